"""Where the MNI template lies in a scan: `register` finds the affine, `normalise` brings the scan to `MNI_2MM`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.errors import UnsuitableError
from dopascope.space import levels
from dopascope.space.fit import PARAMETERS, Fit, Level, Problem, gauss_newton
from dopascope.space.lattice import build_lattice, measured_field
from dopascope.space.localise import localise
from dopascope.space.orient import canonical
from dopascope.space.quality import STRIATAL_CENTRE_MM, distinct, judge, judge_search, pose_covariance, verdict
from dopascope.space.resample import resample
from dopascope.volume import MNI_2MM, Grid, Step, Volume

METHOD: Final = "affine-free-regions-1"
"""Changes whenever the same scan could be placed elsewhere."""

COARSE_SIGMA_MM: Final = 6.0
COARSE_SPACING_MM: Final = 6.0
FINE_SIGMA_MM: Final = 3.0
FINE_SPACING_MM: Final = 4.0
STRIATAL_WEIGHT: Final = 1.25
"""How much more a millilitre around the striatum counts: that is where the pose is used."""

COARSE_CELL_ML: Final = 4.0
FINE_CELL_ML: Final = 1.5
"""Resolution cells (FWHM cubed, about): how many voxels' worth of independent information there is."""

START_POSES: Final = (
    *((height, pitch, 1.0) for height in (0.0, -24.0, 24.0) for pitch in (0.0, -16.0, 16.0)),
    *((height, 0.0, 0.8) for height in (0.0, -24.0)),
)
"""Height of the head (mm), pitch (degrees) and size of each start. A small head with a bright scalp looks like a large
one without: hence the small starts."""
FIRST_STEPS: Final = 3
KEPT_STARTS: Final = 5
COARSE_STEPS: Final = 6
FINE_STEPS: Final = 14


@dataclass(frozen=True)
class Manual:
    """A reader's correction of the automatic result.

    The scan, as seen on the template, is turned by `rotate_deg` (x, y, z; right-handed) about the middle of the
    striatum and then moved by `shift_mm` (right, forward, up).
    """

    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotate_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def matrix(self) -> geometry.Affine:
        """`(4, 4)` template mm before the correction to template mm after it."""
        turn = geometry.about(geometry.rotation(self.rotate_deg), STRIATAL_CENTRE_MM)
        moved: geometry.Affine = geometry.translation(self.shift_mm) @ turn
        return moved


@dataclass(frozen=True, eq=False)
class Registration:
    """Where the template lies in a scan, and how far to trust it."""

    mni_to_scan: geometry.Affine
    """`(4, 4)`, MNI mm to the scan's world mm, both RAS+."""
    quality: float
    """0 to 1; accepted from `quality.ACCEPTED_FROM` on."""
    accepted: bool
    reasons: tuple[str, ...]
    """What speaks against the result; empty when nothing does."""
    pose_covariance: NDArray[np.float64]
    """`(6, 6)`: shift (mm) of the middle of the striatum and tilt (degrees) about it, along the scan's world axes."""
    tilt_deg: tuple[float, float, float]
    """How the head is turned in the scan, about x, y, z."""
    scale: tuple[float, float, float]
    """Head size relative to the template along its x, y, z."""
    method: str
    manual: Manual | None = None

    def as_dict(self) -> dict[str, Any]:
        """The registration as JSON-ready data."""
        manual = self.manual and {"shift_mm": list(self.manual.shift_mm), "rotate_deg": list(self.manual.rotate_deg)}
        return {
            "template": "dopascope DaT, MNI152 2 mm",
            "method": self.method,
            "mni_to_scan": self.mni_to_scan.tolist(),
            "quality": round(self.quality, 4),
            "accepted": self.accepted,
            "reasons": list(self.reasons),
            "tilt_deg": [round(v, 3) for v in self.tilt_deg],
            "scale": [round(v, 4) for v in self.scale],
            "pose_covariance": self.pose_covariance.tolist(),
            "manual": manual,
        }


def register(volume: Volume, *, manual: Manual | None = None) -> Registration:
    """Find the affine from `MNI_2MM`'s world to the scan's.

    Several starts (height and pitch of the head) are fitted on a coarse level, the best on a fine one, each with free
    amplitudes of tissue, glands and striatal regions (`space.fit`). Fields that end inside the head are allowed.

    Args:
        volume: a DaT SPECT scan of any axis order, grid and intensity scale.
        manual: a correction put on top of the automatic result; the quality is then judged anew.

    Raises:
        UnsuitableError: a voxel is not finite, or no head is found.
    """
    scan = _measured(volume)
    lattice = build_lattice(scan, sigma_mm=COARSE_SIGMA_MM, spacing_mm=COARSE_SPACING_MM)
    head = localise(lattice)
    origin = np.array(levels.ORIGIN_MM)
    coarse = Problem(lattice, _coarse_level(), origin, head.centre_mm, COARSE_CELL_ML, close_enough_mm=0.5)
    starts = _coarse_fits(coarse)
    lattice = build_lattice(scan, sigma_mm=FINE_SIGMA_MM, spacing_mm=FINE_SPACING_MM)
    fine = Problem(lattice, _fine_level(), origin, head.centre_mm, FINE_CELL_ML)
    fits = sorted((gauss_newton(fine, start.pose, FINE_STEPS) for start in starts), key=lambda one: one.cost)
    fit = fits[0]
    matrix = fit.matrix if manual is None else fit.matrix @ np.linalg.inv(manual.matrix)
    # A manual correction is judged by the image alone: how the search went does not matter any more.
    checks = judge(coarse, fine, matrix) + (judge_search(fits) if manual is None else [])
    found = verdict(checks)
    return Registration(
        mni_to_scan=matrix,
        quality=found.quality,
        accepted=found.accepted,
        reasons=found.reasons,
        pose_covariance=pose_covariance(fine, fit),
        tilt_deg=_three(geometry.rotation_degrees(matrix)),
        scale=_three(np.linalg.norm(matrix[:3, :3], axis=0)),
        method=METHOD if manual is None else f"{METHOD}+manual",
        manual=manual,
    )


def normalise(volume: Volume, registration: Registration) -> Volume:
    """The scan on `MNI_2MM`, `(91, 109, 91)`, raw intensities, linear; 0 outside the scan's field.

    The step in `history` records the whole registration.
    """
    moved = resample(volume, MNI_2MM, to_image=registration.mni_to_scan)
    step = Step("normalise", {**moved.history[-1].params, "registration": registration.as_dict()})
    return replace(moved, history=(*volume.history, step))


def _measured(volume: Volume) -> Volume:
    """The scan in canonical order, its maximum 1 (squares stay in range), without planes that were never measured."""
    if not np.isfinite(volume.data).all():
        bad = np.argwhere(~np.isfinite(volume.data))
        raise UnsuitableError(
            "The scan holds voxels that are not numbers.",
            where=f"voxel {tuple(int(n) for n in bad[0])}",
            found=f"{len(bad)} voxels NaN or infinite",
            expected="finite values",
            fix="Export the scan again; do not fill the gaps by hand.",
        )
    scan = canonical(volume)
    field = measured_field(scan)
    affine = scan.grid.affine.copy()
    affine[:3, 3] = scan.grid.to_world([part.start for part in field])
    data = scan.data[field] / (float(np.abs(scan.data).max()) or 1.0)
    return Volume(data, Grid(data.shape, affine))


def _coarse_level() -> Level:
    return levels.level(COARSE_SIGMA_MM, 5, 1.0)


def _fine_level() -> Level:
    return levels.level(FINE_SIGMA_MM, 3, STRIATAL_WEIGHT)


def _coarse_fits(problem: Problem) -> list[Fit]:
    """Fits from every start, the best first: those that end in different places, at most `KEPT_STARTS`."""
    first = []
    for height, pitch, size in START_POSES:
        start = np.zeros(PARAMETERS)
        start[2], start[3], start[6:9] = height, np.deg2rad(pitch), np.log(size)
        first.append(gauss_newton(problem, start, FIRST_STEPS))
    carried = [gauss_newton(problem, fit.pose, COARSE_STEPS) for fit in distinct(first)[:KEPT_STARTS]]
    return distinct(carried)


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
