"""Image-space cameras and poses: what a scanner and its reconstruction do to an activity, and how a head lies in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations, product
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.errors import UsageError
from dopascope.volume import Grid

Kind = TypeVar("Kind", bound=np.generic)

HEAD_CENTRE_MM: Final = (0.0, -20.0, 5.0)
"""MNI point that lies in the middle of the field of view at zero shift, and about which a pose turns and scales."""

ORIENTATIONS: Final = tuple(
    "".join(letters) for order in permutations(("LR", "PA", "IS")) for letters in product(*order)
)
"""The 48 ways to store an array: the anatomical directions that its axes grow towards."""


@dataclass(frozen=True)
class Camera:
    """A camera with its reconstruction, seen from the image it makes.

    Voxel values are averages over the voxel of the activity blurred by a Gaussian; voxel and Gaussian together have the
    variance of a Gaussian of `fwhm_mm`.

    Raises:
        UsageError: a length, count or scale that is not positive, or a negative share.
    """

    name: str
    shape: tuple[int, int, int]
    """Voxels along x (left to right), y (back to front), z (up)."""
    spacing_mm: tuple[float, float, float]
    fwhm_mm: float
    counts: float | None = 2e6
    """Counts of the whole acquisition, which set the noise; None for none."""
    noise_fwhm_mm: float = 8.0
    """Grain of the noise: the reconstruction's filter."""
    amplification: float = 3.5
    """How much more a voxel of a reconstruction scatters than its share of the counts would alone (tomography)."""
    scale: float = 20.0
    """Stored value of grey matter's unspecific uptake: arbitrary, as cameras' scales are."""
    clipped: bool = True
    """Negative values are set to zero, as iterative reconstructions do."""
    haze: float = 0.0
    """What scatter and septal penetration add where they are not corrected: this share of the activity, blurred by
    `haze_fwhm_mm`, on top of the image."""
    haze_fwhm_mm: float = 80.0
    attenuation_per_cm: float = 0.0
    """Attenuation that is left uncorrected, 1/cm: the image is multiplied by the mean over transaxial directions of
    exp(-mu L), L the way to the border of an ellipsoid that stands for the head."""

    def __post_init__(self) -> None:
        lengths = (*self.spacing_mm, self.fwhm_mm, self.noise_fwhm_mm, self.haze_fwhm_mm)
        names = ("spacing_mm",) * len(self.spacing_mm) + ("fwhm_mm", "noise_fwhm_mm", "haze_fwhm_mm")
        positive = [*zip(names, lengths, strict=True), *(("shape", n) for n in self.shape), ("scale", self.scale)]
        if self.counts is not None:
            positive.append(("counts", self.counts))
        for name, value in positive:
            if not 0 < value < float("inf"):
                raise _refusal(name, value, "more than 0")
        for name, value in (
            ("haze", self.haze),
            ("attenuation_per_cm", self.attenuation_per_cm),
            ("amplification", self.amplification),
        ):
            if not 0 <= value < float("inf"):
                raise _refusal(name, value, "0 or more")

    def grid(self, cut: tuple[int, int] = (0, 0)) -> Grid:
        """The camera's grid in RAS order, its whole field centred on 0; `cut` slices are missing below and above.

        Raises:
            UsageError: no slice is left.
        """
        below, above = cut
        slices = self.shape[2] - below - above
        if min(below, above) < 0 or slices < 1:
            raise UsageError(
                "The cut leaves no slice.",
                where="cut",
                found=cut,
                expected=f"less than {self.shape[2]} slices together",
            )
        first = -(np.array(self.shape) - 1) / 2 + [0, 0, below]
        affine = geometry.from_parts(np.eye(3), self.spacing_mm, first * np.array(self.spacing_mm))
        return Grid((self.shape[0], self.shape[1], slices), affine)


def _refusal(name: str, found: object, expected: str) -> UsageError:
    return UsageError("There cannot be such a camera.", where=name, found=found, expected=expected)


@dataclass(frozen=True)
class Pose:
    """How the head lies in the camera, and how the array is stored.

    The head is scaled and turned about `HEAD_CENTRE_MM`, then shifted; `axes` only orders the array, positions stay.
    """

    tilt_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """About x (nod), y (lean), z (turn)."""
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0
    axes: str = "RAS"
    cut: tuple[int, int] = (0, 0)
    """Axial slices missing at the lower and at the upper end of the field of view."""

    def matrix(self) -> geometry.Affine:
        """(4, 4): MNI-sized head, mm, to scan mm."""
        moved: geometry.Affine = (
            geometry.translation(self.shift_mm)
            @ geometry.rotation(self.tilt_deg)
            @ np.diag([self.scale, self.scale, self.scale, 1.0])
            @ geometry.translation(-np.array(HEAD_CENTRE_MM))
        )
        return moved


def draw_pose(
    seed: int,
    *,
    tilt_deg: float = 15.0,
    shift_mm: float = 10.0,
    scale: tuple[float, float] = (0.9, 1.1),
    axes: str = "RAS",
) -> Pose:
    """A pose with each tilt and shift uniform within +- the given limits, and the scale between its two."""
    rng = np.random.default_rng([seed, 7])
    tilts, shifts = rng.uniform(-tilt_deg, tilt_deg, 3), rng.uniform(-shift_mm, shift_mm, 3)
    return Pose(
        tilt_deg=(float(tilts[0]), float(tilts[1]), float(tilts[2])),
        shift_mm=(float(shifts[0]), float(shifts[1]), float(shifts[2])),
        scale=float(rng.uniform(*scale)),
        axes=axes,
    )


def _preset(
    name: str,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    fwhm_mm: float,
    counts: float,
    noise_fwhm_mm: float,
    scale: float,
    *,
    clipped: bool = True,
) -> Camera:
    """A preset with the haze of a low-energy collimator whose scatter is not corrected."""
    noise = {"counts": counts, "noise_fwhm_mm": noise_fwhm_mm, "scale": scale}
    return Camera(name, shape, spacing_mm, fwhm_mm, **noise, clipped=clipped, haze=0.6, haze_fwhm_mm=120.0)


CAMERAS: Final[Mapping[str, Camera]] = {
    camera.name: camera
    for camera in (
        _preset("brain", (112, 128, 96), (2.0, 2.0, 2.0), 8.0, 4e6, 6.5, 310.0),
        _preset("fan-beam", (128, 128, 64), (2.46, 2.46, 3.2), 9.5, 3e6, 7.5, 8.0),
        _preset("lehr-osem", (128, 128, 60), (3.3, 3.3, 3.3), 11.0, 2.5e6, 8.5, 45.0),
        _preset("lehr-fbp", (128, 128, 50), (3.9, 3.9, 3.9), 12.0, 2e6, 10.0, 3.0, clipped=False),
        _preset("coarse", (64, 64, 44), (4.42, 4.42, 4.42), 13.0, 1.5e6, 11.0, 120.0),
    )
}
"""Presets from a dedicated brain camera to an old parallel-hole one, all invented, within published ranges."""


def stored_as(data: NDArray[Kind], affine: geometry.Affine, axes: str) -> tuple[NDArray[Kind], geometry.Affine]:
    """A RAS-ordered array and its affine with the array axes running along `axes`, such as `LPS`; positions stay.

    Raises:
        UsageError: `axes` is not one of the 48 `ORIENTATIONS`.
    """
    if axes not in ORIENTATIONS:
        raise UsageError(
            "These are not three array axes.", where="axes", found=axes, expected="such as RAS, LPS or AIL"
        )
    change = np.zeros((4, 4))
    change[3, 3] = 1
    order = []
    for new, letter in enumerate(axes):
        old = next(n for n, pair in enumerate(("LR", "PA", "IS")) if letter in pair)
        flipped = letter in "LPI"
        change[old, new] = -1 if flipped else 1
        change[old, 3] = data.shape[old] - 1 if flipped else 0
        order.append(old)
    turned = data[tuple(slice(None, None, int(change[old, order.index(old)])) for old in range(3))]
    return np.ascontiguousarray(turned.transpose(order)), affine @ change
