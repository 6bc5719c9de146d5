"""How far a registration can be trusted: a figure of 0 to 1 with reasons, and the uncertainty of the pose.

Each check gives 1 where good registrations lie, 0 where failed ones lie, and a straight line between. The
figure is the worst check, so a reader sees at once which one spoke: nothing is averaged away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.space.fit import Fit, Level, Problem, Vector, pose_slopes
from dopascope.space.lattice import Lattice

STRIATAL_CENTRE_MM: Final = (0.0, 4.0, 3.0)
"""Middle of both striata; shifts and tilts are counted here."""
ACCEPTED_FROM: Final = 0.5

NOISE_INFLATION: Final = 4.0
"""Variance of poses over noise draws of one phantom, relative to Gauss-Newton (three cameras, eight draws)."""
ANATOMY_SHIFT_SD_MM: Final = 1.0
ANATOMY_TILT_SD_DEG: Final = 1.4
"""Between the errors on phantoms of our own atlas with warps of 1.5 to 3 mm (0.3 to 0.5 mm, 0.6 to 1.6 degrees) and on
those of the other atlases with 3 mm and more (0.5 to 0.9 mm, 1.5 to 3.2 degrees)."""

RIVAL_MM: Final = 12.0
"""Poses that differ by less all over the head are the same result."""
HEAD_MM: Final = np.array(
    [[0, 4, 3], [70, -20, 8], [-70, -20, 8], [0, 65, 8], [0, -100, 8], [0, -20, 78], [0, -20, -50.0]]
)
"""Points all over the template's head."""

LOCAL_STEPS: Final = 4
LOCAL_PRIOR_MM: Final = 6.0
SIDE_REACH_MM: Final = ((24.0, 32.0, 26.0), (22.0, 4.0, 4.0))
"""Half widths and (right-sided) middle of the box around one striatum."""
INNER_TISSUE: Final = 0.75
"""Blurred tissue from here on counts as inside the brain."""


@dataclass(frozen=True)
class Check:
    """One thing that a good registration has: `value` scores 0 at `bad`, 1 at `good`, linear between."""

    name: str
    value: float
    bad: float
    good: float
    complaint: str

    @property
    def bound(self) -> str:
        """On which side of `good` the good values lie."""
        return "at least" if self.good > self.bad else "at most"

    @property
    def score(self) -> float:
        """0 to 1."""
        if not np.isfinite(self.value):
            return 0.0
        return float(np.clip((self.value - self.bad) / (self.good - self.bad), 0, 1))


@dataclass(frozen=True)
class Verdict:
    """A quality figure, whether it suffices, and what speaks against it."""

    quality: float
    accepted: bool
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]


def judge(coarse: Problem, fine: Problem, matrix: geometry.Affine) -> list[Check]:
    """What the image says of the pose `matrix`, however it was found."""
    near = coarse.level.striatal
    tissue, _ = explained(coarse.lattice, coarse.level, matrix, ~near)
    whole, contrast = explained(coarse.lattice, coarse.level, matrix, np.ones_like(near))
    apart = max(float(np.linalg.norm(local_shift(fine, matrix, side))) for side in (-1, 1))
    seen = fine.lattice.look_up(fine.level.points, matrix)[2]
    scale = np.linalg.norm(matrix[:3, :3], axis=0)
    tilt = np.abs(geometry.rotation_degrees(matrix))
    return [
        Check("tissue", tissue, 0.65, 0.85, "the outline of the brain does not fit the template"),
        Check("whole", whole, 0.7, 0.85, "brain and striata together do not fit the template"),
        Check("contrast", contrast, 0.0, 0.1, "nothing brighter than the brain lies where the striata belong"),
        Check("local", apart, 6.5, 2.5, "the striata would rather lie elsewhere, mm"),
        Check("seen", float(seen.mean()), 0.6, 0.75, "too little of the brain is inside the field"),
        Check("striatum_seen", float(seen[fine.level.striatal].mean()), 0.85, 0.98, "the striata leave the field"),
        Check("scale", float(np.abs(np.log(scale)).max()), 0.4, 0.25, "the head has an implausible size, log"),
        Check("tilt", float(tilt.max()), 45.0, 30.0, "the head is turned implausibly far, degrees"),
    ]


def judge_search(fits: Sequence[Fit]) -> list[Check]:
    """What the search itself says of its `fits`, the best first: did it settle, is there a rival?

    A rival is a fit in another place; its margin is how much worse its cost (negative log posterior) is.
    """
    rivals = [fit.cost - fits[0].cost for fit in distinct(fits)[1:]]
    return [
        Check("settled", fits[0].moved_mm, 1.4, 0.4, "the fit did not settle, mm"),
        Check("rival", min([*rivals, 99.0]), 0.0, 8.0, "another position fits nearly as well, log odds"),
    ]


def distinct(fits: Sequence[Fit]) -> list[Fit]:
    """The fits, the cheapest first, without those that put the head within `RIVAL_MM` of a cheaper one."""
    kept: list[Fit] = []
    for fit in sorted(fits, key=lambda one: one.cost):
        apart = [
            np.linalg.norm(geometry.apply_affine(fit.matrix - one.matrix + np.eye(4), HEAD_MM) - HEAD_MM, axis=1)
            for one in kept
        ]
        if all(float(one.max()) > RIVAL_MM for one in apart):
            kept.append(fit)
    return kept


def verdict(checks: Sequence[Check]) -> Verdict:
    """The worst check decides."""
    quality = min(check.score for check in checks)
    reasons = [
        f"{check.complaint} ({check.value:.2f}; good is {check.bound} {check.good:g})"
        for check in checks
        if check.score < 1
    ]
    return Verdict(quality, quality >= ACCEPTED_FROM, tuple(reasons), tuple(checks))


def explained(lattice: Lattice, level: Level, matrix: geometry.Affine, among: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of the scan's variance that the parts explain at the points `among`, and the striatal contrast.

    The contrast is the mean of striatal points over the median of the tissue around, minus 1.
    """
    value, _, seen = lattice.look_up(level.points, matrix)
    used = seen & among
    if used.sum() < 4 * level.basis.shape[1]:
        return 0.0, 0.0
    weight, basis, scan = level.weight[used], level.basis[used], value[used]
    root = np.sqrt(weight)
    amplitudes = np.linalg.lstsq(basis * root[:, None], scan * root, rcond=1e-4)[0]
    rest = weight @ (scan - basis @ amplitudes) ** 2
    mean = float(weight @ scan / weight.sum())
    spread = float(weight @ (scan - mean) ** 2)
    inside = seen & ~level.striatal & (level.basis[:, 0] > INNER_TISSUE)
    level_of_tissue = float(np.median(value[inside])) if inside.any() else 0.0
    striatal = value[seen & level.striatal]
    contrast = float(striatal.mean()) / level_of_tissue - 1 if len(striatal) and level_of_tissue > 0 else 0.0
    return 1 - float(rest) / max(spread, 1e-30), contrast


def local_shift(problem: Problem, matrix: geometry.Affine, side: int) -> Vector:
    """How far (mm, scan axes) the striatum of one side (-1 left, 1 right) would move if it were free to.

    The same fit as the whole head's, but of a shift alone and of the points around one striatum, with amplitudes of
    its own. Zero is drawn to by a prior of `LOCAL_PRIOR_MM`, for a striatum without uptake has no say.
    """
    level = problem.level
    reach, middle = np.array(SIDE_REACH_MM[0]), np.array(SIDE_REACH_MM[1]) * [side, 1, 1]
    box = (np.abs(level.points[:, :3] - middle) <= reach).all(axis=1)
    points, basis, weight = level.points[box], level.basis[box], level.weight[box]
    per_sample = level.point_ml / problem.sample_ml
    shift = np.zeros(3)
    for _ in range(LOCAL_STEPS):
        value, slope, seen = problem.lattice.look_up(points, geometry.translation(shift) @ matrix)
        root = np.sqrt(weight * seen)[:, None]
        frame = np.linalg.qr(basis * root)[0]
        slope, value = slope * root, value * root[:, 0]
        slope = slope - frame @ (frame.T @ slope)
        value = value - frame @ (frame.T @ value)
        variance = max(float(value @ value) / max(float((root**2).sum()), 1e-9), 1e-30)
        normal = (slope.T @ slope) * per_sample / variance + np.eye(3) / LOCAL_PRIOR_MM**2
        change = -np.linalg.solve(normal, (slope.T @ value) * per_sample / variance + shift / LOCAL_PRIOR_MM**2)
        shift = shift + change * min(1.0, LOCAL_PRIOR_MM / max(float(np.linalg.norm(change)), 1e-9))
    return shift


def pose_covariance(problem: Problem, fit: Fit) -> NDArray[np.float64]:
    """Uncertainty `(6, 6)` of shift (mm) at the middle of the striatum and tilt (degrees), along scan axes.

    Noise: the inverse of the Gauss-Newton information, one value per resolution cell, times `NOISE_INFLATION`. Anatomy:
    how far the best affine of a head is from its striata, which no noise-free scan would tell (`ANATOMY_*_SD`).
    """
    spread = np.linalg.inv(fit.normal / NOISE_INFLATION + np.diag(problem.prior_sd**-2.0))
    slopes = pose_slopes(fit.pose, problem.origin).reshape(3, 4, -1)
    shift = np.einsum("rcp,c->rp", slopes, np.array([*STRIATAL_CENTRE_MM, 1.0]))
    spin = np.einsum("rcp,cd->rdp", slopes[:, :3], np.linalg.inv(fit.matrix[:3, :3]))
    tilt = np.stack([spin[2, 1] - spin[1, 2], spin[0, 2] - spin[2, 0], spin[1, 0] - spin[0, 1]]) / 2
    jacobian = np.concatenate([shift, np.rad2deg(tilt)])
    anatomy = np.diag([ANATOMY_SHIFT_SD_MM**2] * 3 + [ANATOMY_TILT_SD_DEG**2] * 3)
    covariance: NDArray[np.float64] = jacobian @ spread @ jacobian.T + anatomy
    return covariance
