"""The phantoms of known ratio, and which scans of them the selftest makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from dopascope.atlas.striatum import CAUDATE, PUTAMEN
from dopascope.errors import by_name
from dopascope.phantom import CAMERAS, SITES, Camera, Person, Pose, draw_pose

FULL: Final = 5.0
"""True ratio of every region of the uniform phantom: that of a striatal phantom filled 6 to 1."""
RATIOS: Final = (FULL / 4, FULL / 2, FULL)
ANGLES_DEG: Final = (5.0, 10.0, 15.0)
SHIFTS_MM: Final = (5.0, 10.0)
COUNTS: Final = (0.5e6, 1e6, 2e6, 4e6)
USUAL_COUNTS: Final = 2e6
REPEATS: Final = 8
"""Noisy scans at each level of counts."""
MAIN_CAMERA: Final = "lehr-osem"
"""The camera of the lines that use one camera: in the middle of the five."""
SECOND_CAMERA: Final = "lehr-fbp"
SITES_SHOWN: Final = ("siemens-lehr-fbp-chang", "ge-lehr-osem-chang", "siemens-leuhr-osem-rr-map-tew")
"""Sites, with scatter and attenuation, beside the plain cameras."""
STORAGE_AXES: Final = ("RAS", "LPS", "RPI", "AIL", "SPR")
UPRIGHT: Final = Pose()
OBLIQUE: Final = Pose(tilt_deg=(6.0, -4.0, 5.0), shift_mm=(3.0, -5.0, 7.0))
"""A pose in no line with the axes, for lines about something else than the pose."""

_ACCUMBENS: Final = ("accumbens_left", "accumbens_right")


@dataclass(frozen=True)
class Storage:
    """How a scan is written to a file."""

    format: Literal["nifti", "dicom"] = "nifti"
    axes: str = "RAS"
    spacing_sign: int = 1


@dataclass(frozen=True)
class Job:
    """One phantom scan, stored in one or several ways, each read by the whole chain."""

    line: str
    """The line of the selftest that it was made for, such as `tilt`."""
    phantom: str
    camera: Camera
    pose: Pose = UPRIGHT
    seed: int = 0
    stored: tuple[Storage, ...] = (Storage(),)
    level: float = 0.0
    """What the line varies: degrees, millimetres, counts, or the true ratio."""
    axis: str = ""
    with_models: bool = False


def _uniform(left: Mapping[str, float], right: Mapping[str, float]) -> Person:
    """A head filled evenly, with hot striata and nothing else: what a striatal phantom of plastic is."""
    sbr = {f"{name}_left": value for name, value in left.items()}
    sbr |= {f"{name}_right": value for name, value in right.items()} | dict.fromkeys(_ACCUMBENS, 0.0)
    lower = None if left == right else ("left" if left["posterior_putamen"] < right["posterior_putamen"] else "right")
    return Person(
        seed=0, group="healthy" if lower is None else "pd", age=60.0, sex="F", worse_side=lower, sbr=sbr,
        grey=1.0, white=1.0, fluid=1.0, scalp=0.0, thalamus=0.0, glands=0.0,
    )  # fmt: skip


def _head(left: Mapping[str, float], right: Mapping[str, float]) -> Person:
    """The same with the tissues of a head, for readers that know people only."""
    filled = _uniform(left, right)
    sbr = dict(filled.sbr) | dict.fromkeys(_ACCUMBENS, 3.2)
    return replace(filled, sbr=sbr, white=0.85, fluid=0.35, scalp=0.4, thalamus=0.35, glands=0.4)


def _all(ratio: float) -> dict[str, float]:
    return {"caudate": ratio, "anterior_putamen": ratio, "posterior_putamen": ratio}


_HIGH: Final = {"caudate": 5.0, "anterior_putamen": 4.0, "posterior_putamen": 4.0}
_LOW: Final = {"caudate": 4.0, "anterior_putamen": 2.0, "posterior_putamen": 1.5}
_HEALTHY: Final = {"caudate": 6.3, "anterior_putamen": 4.2, "posterior_putamen": 3.7}
_BETTER: Final = {"caudate": 4.8, "anterior_putamen": 2.2, "posterior_putamen": 1.4}
_WORSE: Final = {"caudate": 3.9, "anterior_putamen": 1.6, "posterior_putamen": 0.9}

PHANTOMS: Final[Mapping[str, Person]] = {
    "uniform, ratio 5": _uniform(_all(FULL), _all(FULL)),
    "uniform, ratio 2.5": _uniform(_all(FULL / 2), _all(FULL / 2)),
    "uniform, ratio 1.25": _uniform(_all(FULL / 4), _all(FULL / 4)),
    "uniform, ratio 0": _uniform(_all(0.0), _all(0.0)),
    "uniform, left lower": _uniform(_LOW, _HIGH),
    "uniform, right lower": _uniform(_HIGH, _LOW),
    "head, symmetric": _head(_HEALTHY, _HEALTHY),
    "head, left lower": _head(_WORSE, _BETTER),
    "head, right lower": _head(_BETTER, _WORSE),
}
"""Every phantom by name. True ratios are to the filling (uniform) or to grey matter (head)."""

MAIN: Final = "uniform, ratio 5"


def camera_named(name: str) -> Camera:
    """A camera by its name.

    Raises:
        UsageError: there is none of this name.
    """
    return by_name(every_camera(), name, kind="camera or site", where="--site")


def every_camera() -> dict[str, Camera]:
    """The cameras that the selftest knows, by name."""
    return {**CAMERAS, **{name: site.camera for name, site in SITES.items()}}


def jobs(seed: int, main: Camera) -> Iterator[Job]:
    """Every scan of the selftest: long ones first. `main` is the camera of all lines that use one camera."""
    quiet = replace(main, counts=None)
    for camera in _all_cameras(main):
        yield Job("recovery", MAIN, replace(camera, counts=None), OBLIQUE, stored=(Storage("dicom", "LPS"),))
    for axes in STORAGE_AXES:
        three = (Storage("nifti", axes), Storage("dicom", axes, 1), Storage("dicom", axes, -1))
        yield Job("storage", MAIN, quiet, OBLIQUE, stored=three)
    yield from _poses(quiet)
    yield from _noisy(seed, main)
    for lower in ("left", "right"):
        stored = (Storage("nifti", "LAS"), Storage("dicom", "LPS"))
        yield Job("left_right", f"uniform, {lower} lower", quiet, OBLIQUE, stored=stored)
    for ratio in RATIOS:
        yield Job("linearity", f"uniform, ratio {ratio:g}", quiet, OBLIQUE, stored=(Storage("dicom"),), level=ratio)
    yield Job("refusals", "uniform, ratio 0", quiet, OBLIQUE)
    yield Job("refusals", MAIN, quiet, Pose(cut=(0, main.shape[2] // 2 + 2)))
    yield from _clear_cases(seed, main)
    for time in (1.0, 2.0):
        stored = (Storage("dicom", "LPS"), Storage("nifti"))
        yield Job("repeatability", MAIN, main, OBLIQUE, seed=seed, stored=stored, level=time)


def _all_cameras(main: Camera) -> list[Camera]:
    """Those whose recovery is measured."""
    known = every_camera()
    names = dict.fromkeys((*CAMERAS, *SITES_SHOWN, main.name))
    return [known[name] for name in names]


def _poses(camera: Camera) -> Iterator[Job]:
    yield Job("tilt", MAIN, camera)
    for number, axis in enumerate(("nod", "lean", "turn")):
        for angle in ANGLES_DEG:
            x, y, z = (angle * (n == number) for n in range(3))
            yield Job("tilt", MAIN, camera, Pose(tilt_deg=(x, y, z)), level=angle, axis=axis)
    yield Job("shift", MAIN, camera)
    for number, axis in enumerate(("right", "forward", "up")):
        for distance in SHIFTS_MM:
            x, y, z = (distance * (n == number) for n in range(3))
            yield Job("shift", MAIN, camera, Pose(shift_mm=(x, y, z)), level=distance, axis=axis)


def _noisy(seed: int, camera: Camera) -> Iterator[Job]:
    for level, counts in enumerate(COUNTS):
        for repeat in range(REPEATS):
            own = 1000 * seed + 100 * level + repeat
            stored = (Storage("dicom" if repeat % 2 else "nifti", "LPS"),)
            pose = draw_pose(own, tilt_deg=10.0, scale=(1.0, 1.0))
            yield Job("counts", MAIN, replace(camera, counts=counts), pose, seed=own, stored=stored, level=counts)


def _clear_cases(seed: int, main: Camera) -> Iterator[Job]:
    second = CAMERAS[SECOND_CAMERA]
    cases = (("symmetric", main), ("symmetric", second), ("left lower", main), ("right lower", second))
    for number, (name, camera) in enumerate(cases):
        pose = draw_pose(1000 * seed + 900 + number, tilt_deg=8.0, scale=(0.97, 1.03))
        stored = (Storage("dicom", "LPS"),)
        yield Job("readers", f"head, {name}", camera, pose, 1000 * seed + number, stored, with_models=True)


def ideal_jobs(main: Camera) -> list[tuple[str, Camera]]:
    """The phantoms and cameras whose ideal ratios are needed."""
    quiet = [replace(camera, counts=None) for camera in _all_cameras(main)]
    others = ("uniform, left lower", *(f"uniform, ratio {ratio:g}" for ratio in RATIOS[:-1]))
    return [*((MAIN, camera) for camera in quiet), *((name, replace(main, counts=None)) for name in others)]


def striatal_ml() -> float:
    """Volume of one striatum of the phantoms by a closed form: the area of each coronal ellipse, pi a b, along y.

    The ellipses' centres move from plane to plane, which changes no volume (Cavalieri).
    """
    volume = 0.0
    for tube in (CAUDATE, PUTAMEN):
        sections = np.array(tube.sections)
        y = np.linspace(sections[0, 0], sections[-1, 0], 4001)
        minor2, major2 = (np.interp(y, sections[:, 0], sections[:, column] ** 2) for column in (1, 2))
        volume += float(np.trapezoid(np.pi * np.sqrt(minor2 * major2), y)) / 1000
    return volume
