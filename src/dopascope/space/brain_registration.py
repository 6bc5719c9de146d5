"""Where the ICBM152 template lies in a T1-weighted scan whose brain is known: an affine of 12 parameters.

The brain, masked, is explained as grey matter, white matter and fluid of the template with free amplitudes
(`space.fit`), so no contrast is assumed; what lies outside the mask counts as dark, which ties the outline.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas, geometry
from dopascope.errors import UnsuitableError, UsageError
from dopascope.space.fit import PARAMETERS, Fit, Level, Problem, gauss_newton
from dopascope.space.lattice import Lattice, build_lattice
from dopascope.space.orient import canonical
from dopascope.space.quality import Check, distinct, verdict
from dopascope.space.resample import resample
from dopascope.space.template import FWHM_PER_SIGMA, blurred, depth_mm
from dopascope.volume import MNI_2MM, LabelMap, Step, Volume

METHOD: Final = "affine-free-tissues-1"
"""Changes whenever the same scan could be placed elsewhere."""
TEMPLATE: Final = "ICBM152 2009a nonlinear symmetric, 2 mm"
PARTS: Final = ("grey", "white", "csf")
BRAIN_ML: Final = (600.0, 2500.0)
"""A mask outside this range is no whole brain of an adult."""
START_PITCHES: Final = (0.0, -20.0, 20.0)
PRIOR_SD: Final = np.array([15.0] * 3 + [np.deg2rad(15)] * 3 + [0.08] * 3 + [0.04] * 3)
"""How far poses stray from the mask's middle and size: mm, rad, log scale, shear."""


@dataclass(frozen=True)
class Resolution:
    """One pass: blur of scan and template, spacing of nodes, every so many-th template voxel, steps.

    Points reach `margin_mm` outside the template's brain: where they see too little of the dark around the scan's, a
    template that shrinks into the brain fits as well (found on two of seven real scans with 6 mm).
    """

    sigma_mm: float
    margin_mm: float
    spacing_mm: float
    every: int
    cell_ml: float
    steps: int


PASSES: Final = (
    Resolution(8.0, 16.0, 6.0, 5, 4.0, 10),
    Resolution(4.0, 12.0, 4.0, 3, 1.0, 10),
    Resolution(2.0, 8.0, 2.0, 2, 0.4, 12),
)


@dataclass(frozen=True, eq=False)
class BrainRegistration:
    """Where the template lies in a scan, and how far to trust it."""

    mni_to_scan: geometry.Affine
    """(4, 4), MNI mm to the scan's world mm, both RAS+."""
    quality: float
    accepted: bool
    reasons: tuple[str, ...]
    """What speaks against the result; empty when nothing does."""
    tilt_deg: tuple[float, float, float]
    scale: tuple[float, float, float]
    overlap: float
    """Dice of the mask and the template's brain."""
    explained: float
    """Share of the masked scan's variance that the template's tissues explain."""
    method: str = METHOD

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "template": TEMPLATE,
            "method": self.method,
            "mni_to_scan": self.mni_to_scan.tolist(),
            "quality": round(self.quality, 4),
            "accepted": self.accepted,
            "reasons": list(self.reasons),
            "tilt_deg": [round(v, 3) for v in self.tilt_deg],
            "scale": [round(v, 4) for v in self.scale],
            "overlap": round(self.overlap, 4),
            "explained": round(self.explained, 4),
        }


def register_brain(volume: Volume, mask: LabelMap) -> BrainRegistration:
    """Find the affine from `MNI_2MM`'s world to the scan's.

    Args:
        volume: T1-weighted, shading corrected (`bias.correct_bias`), any axis order and intensity scale.
        mask: brain, above 0, on the same grid.

    Raises:
        UsageError: mask and scan lie on different grids.
        UnsuitableError: the mask holds no whole brain, or the scan values that are not numbers.
    """
    brain = masked(volume, mask)
    scan, inside = canonical(brain), canonical(mask)
    start, origin, centre = _start(inside)
    fits: list[Fit] = []
    for number, one in enumerate(PASSES):
        lattice = build_lattice(scan, sigma_mm=one.sigma_mm, spacing_mm=one.spacing_mm)
        problem = Problem(
            lattice,
            _level(one.sigma_mm, one.margin_mm, one.every),
            origin,
            centre,
            one.cell_ml,
            prior_sd=PRIOR_SD,
            prior_mean=start,
        )
        poses = [fit.pose for fit in fits] if number else [_pitched(start, pitch) for pitch in START_PITCHES]
        fits = distinct([gauss_newton(problem, pose, one.steps) for pose in poses])
        fits = fits[:1] if number else fits
    fit = fits[0]
    return _judged(fit, lattice, problem.level, inside)


def masked(volume: Volume, mask: LabelMap) -> Volume:
    """`volume` within the brain, its 99th percentile 1; 0 outside.

    Raises:
        UsageError, UnsuitableError: see `register_brain`.
    """
    if not mask.grid.same_as(volume.grid):
        raise UsageError(
            "The brain mask and the scan lie on different grids.",
            where="mask",
            found=f"shape {mask.grid.shape}, spacing {mask.grid.spacing_mm} mm",
            expected=f"shape {volume.grid.shape}, spacing {volume.grid.spacing_mm} mm",
            fix="Bring the mask there first: space.resample(mask, volume.grid).",
        )
    inside = mask.data > 0
    ml = float(inside.sum()) * mask.grid.voxel_ml
    values = volume.data[inside]
    bright = float(np.percentile(values, 99)) if len(values) else 0.0
    if not BRAIN_ML[0] <= ml <= BRAIN_ML[1] or not np.isfinite(values).all() or bright <= 0:
        raise UnsuitableError(
            "The mask does not hold a whole brain.",
            where="brain mask",
            found=f"{ml:.0f} ml, 99th percentile of its intensities {bright:.4g}",
            expected=f"{BRAIN_ML[0]:g} to {BRAIN_ML[1]:g} ml of finite, positive intensities",
            fix="Look at the mask over the scan; slabs and parts of a brain cannot be placed.",
        )
    data = np.where(inside, volume.data / np.float32(bright), np.float32(0))
    return volume.with_data(data, Step("masked", {"brain_ml": ml}))


def on_mni(volume: Volume, registration: BrainRegistration) -> Volume:
    """The scan on `MNI_2MM`, `(91, 109, 91)`: blurred to its voxels where it is finer, linear; 0 outside."""
    from scipy import ndimage

    spacing = np.array(volume.grid.spacing_mm)
    fwhm = np.sqrt(np.maximum(np.array(MNI_2MM.spacing_mm) ** 2 - spacing**2, 0))
    data = ndimage.gaussian_filter(volume.data, fwhm / FWHM_PER_SIGMA / spacing, truncate=3)
    blurred_scan = volume.with_data(data, Step("blur", {"fwhm_mm": fwhm.tolist()}))
    moved = resample(blurred_scan, MNI_2MM, to_image=registration.mni_to_scan)
    step = Step("normalise", {**moved.history[-1].params, "registration": registration.as_dict()})
    return moved.with_data(moved.data, step)


def _start(mask: LabelMap) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Pose (12,) from the mask's size, and the middles (3,) of the template's brain and of the mask."""
    template = atlas.tissue("brain").data >= 0.5
    origin = MNI_2MM.to_world(np.argwhere(template)).mean(0)
    inside = mask.data > 0
    centre = mask.grid.to_world(np.argwhere(inside).mean(0))
    share = float(inside.sum()) * mask.grid.voxel_ml / (float(template.sum()) * MNI_2MM.voxel_ml)
    start = np.zeros(PARAMETERS)
    start[6:9] = np.log(share) / 3
    return start, origin, centre


def _pitched(start: NDArray[np.float64], pitch_deg: float) -> NDArray[np.float64]:
    pose = start.copy()
    pose[3] = np.deg2rad(pitch_deg)
    return pose


@lru_cache(maxsize=4)
def _level(sigma_mm: float, margin_mm: float, every: int) -> Level:
    """Template points every so many voxels in the brain and its margin, with the blurred tissues there."""
    on = np.zeros(MNI_2MM.shape, bool)
    middle = MNI_2MM.shape[0] // 2
    on[middle % every :: every, ::every, ::every] = True
    index = np.argwhere(on & (depth_mm() >= -margin_mm))
    basis = [blurred(atlas.tissue(name).data, sigma_mm * FWHM_PER_SIGMA)[tuple(index.T)] for name in PARTS]
    points = MNI_2MM.to_world(index)
    columns = len(PARTS) + 1
    return Level(
        points=np.concatenate([points, np.ones((len(index), 1))], axis=1),
        basis=np.stack([*basis, np.ones(len(index), np.float32)], axis=1),
        weight=np.ones(len(index), np.float32),
        striatal=np.zeros(len(index), bool),
        deep=np.zeros(len(index), bool),
        odd_patterns=np.zeros((0, columns)),
        around=np.full(columns, 1.0),
        point_ml=(MNI_2MM.spacing_mm[0] * every) ** 3 / 1000,
    )


def _judged(fit: Fit, lattice: Lattice, level: Level, mask: LabelMap) -> BrainRegistration:
    matrix = fit.matrix
    template = atlas.tissue("brain").data >= 0.5
    seen = resample(LabelMap((mask.data > 0).astype(np.uint8), mask.grid), MNI_2MM, to_image=matrix).data > 0
    overlap = 2 * float((template & seen).sum()) / float(template.sum() + seen.sum())
    explained = _explained(lattice, level, fit)
    scale, tilt = np.linalg.norm(matrix[:3, :3], axis=0), geometry.rotation_degrees(matrix)
    found = verdict(
        [
            Check("overlap", overlap, 0.85, 0.93, "the mask does not fit the template's brain"),
            Check("explained", explained, 0.35, 0.55, "grey and white matter do not lie where the template has them"),
            Check("scale", float(np.abs(np.log(scale)).max()), 0.4, 0.28, "the head has an implausible size, log"),
            Check("tilt", float(np.abs(tilt).max()), 60.0, 45.0, "the head is turned implausibly far, degrees"),
            Check("settled", fit.moved_mm, 1.4, 0.4, "the fit did not settle, mm"),
        ]
    )
    return BrainRegistration(
        mni_to_scan=matrix,
        quality=found.quality,
        accepted=found.accepted,
        reasons=found.reasons,
        tilt_deg=(float(tilt[0]), float(tilt[1]), float(tilt[2])),
        scale=(float(scale[0]), float(scale[1]), float(scale[2])),
        overlap=overlap,
        explained=explained,
    )


def _explained(lattice: Lattice, level: Level, fit: Fit) -> float:
    """Share of the variance within the template's brain that the tissues explain."""
    value, _, seen = lattice.look_up(level.points, fit.matrix)
    used = seen & (level.basis[:, :-1].sum(1) >= 0.5)
    rest = value[used] - level.basis[used] @ fit.amplitudes.astype(np.float32)
    return 1 - float(rest.var()) / max(float(value[used].var()), 1e-30)
