"""Affine Gauss-Newton with free regional amplitudes (variable projection) and a prior on the pose.

Model: scan(T x) = sum over parts of a_k part_k(x) + a_0 + error, for points x of the template. Pose and amplitudes
are solved together in each step, so that what an amplitude can explain is no evidence for a pose (Golub and Pereyra,
Inverse Problems 19 (2003) R1, doi 10.1088/0266-5611/19/2/201, in Kaufman's form).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.space.lattice import Floats, Lattice

PARAMETERS: Final = 12
"""Shift (3, mm), turn (3, rad), log scale (3), shear (3), all about `Model.origin`."""

PRIOR_SD: Final = np.array([25.0] * 3 + [np.deg2rad(14)] * 3 + [0.08] * 3 + [0.02] * 3)
"""How far adults' heads and beds stray: mm, rad, log scale, shear. The shift is from the localised head."""

CLOSE_ENOUGH_MM: Final = 0.03
LONGEST_STEP_MM: Final = 15.0
ROBUST_AT: Final = 3.0
"""Residuals beyond this many robust standard deviations lose weight (Geman-McClure form)."""
_REACH_MM: Final = 75.0
"""Where a step is measured: displacement at this distance from the origin."""


@dataclass(frozen=True)
class Level:
    """Template points to compare at one resolution.

    `points` `(N, 4)` homogeneous mm; `basis` `(N, K)` the blurred parts and a constant; `weight` `(N,)`;
    `protected` `(N,)` where a misfit is signal (the striatum) and keeps its weight.
    """

    points: NDArray[np.float64]
    basis: Floats
    weight: Floats
    protected: NDArray[np.bool_]
    point_ml: float
    """Volume that a point stands for, before `weight`."""


@dataclass(frozen=True)
class Fit:
    """A pose and what is known of it."""

    pose: NDArray[np.float64]
    """`(12,)` in the order of `PARAMETERS`."""
    matrix: geometry.Affine
    amplitudes: NDArray[np.float64]
    explained: float
    """1 - residual / total sum of squares over the seen points."""
    seen_share: float
    noise: float
    """Robust SD of the residual."""
    normal: NDArray[np.float64]
    """`(12, 12)` information of the data on the pose, amplitudes profiled out, for unit noise and independent points."""
    moved_mm: float
    """Length of the last step."""
    cost: float


def pose_matrix(pose: NDArray[np.float64], origin: NDArray[np.float64], centre: NDArray[np.float64]) -> geometry.Affine:
    """Template mm to scan mm: scale and shear, then turn about `origin`, then `origin` goes to `centre` + shift."""
    shift, turn, scale, shear = pose[:3], pose[3:6], pose[6:9], pose[9:12]
    matrix = geometry.rotation(np.rad2deg(turn))
    stretch = np.diag(np.exp(scale))
    for (a, b), value in zip(((0, 1), (0, 2), (1, 2)), shear, strict=True):
        stretch[a, b] = stretch[b, a] = value
    matrix[:3, :3] = matrix[:3, :3] @ stretch
    matrix[:3, 3] = centre + shift - matrix[:3, :3] @ origin
    return matrix


def pose_slopes(pose: NDArray[np.float64], origin: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivative of the upper 12 matrix entries with respect to the pose: `(12 entries, 12 parameters)`."""
    step = 1e-4
    columns = []
    for k in range(PARAMETERS):
        ahead, back = pose.copy(), pose.copy()
        ahead[k] += step
        back[k] -= step
        change = pose_matrix(ahead, origin, centre) - pose_matrix(back, origin, centre)
        columns.append(change[:3].ravel() / (2 * step))
    return np.stack(columns, axis=1)


def gauss_newton(
    lattice: Lattice,
    level: Level,
    start: NDArray[np.float64],
    *,
    origin: NDArray[np.float64],
    centre: NDArray[np.float64],
    steps: int,
    sample_ml: float,
    free: NDArray[np.bool_] | None = None,
    robust: bool = True,
) -> Fit:
    """Improve the pose `start` (12,) by at most `steps` Gauss-Newton steps.

    Args:
        sample_ml: the volume that holds one independent value (the resolution cell): tempers data against prior.
        free: `(12,)` which parameters may move; all when omitted.
    """
    pose = start.copy()
    moving = np.ones(PARAMETERS, bool) if free is None else free
    robustness = np.ones(len(level.points), np.float32)
    moved = np.inf
    for turn in range(steps + 1):
        matrix = pose_matrix(pose, origin, centre)
        value, slope, seen = lattice.look_up(level.points, matrix)
        weight = level.weight * seen * robustness
        linear = (slope[:, :, None] * level.points[:, None, :].astype(np.float32)).reshape(len(value), 12)
        design = np.concatenate([linear, -level.basis], axis=1)
        weighted = design * weight[:, None]
        gram = (weighted.T @ design).astype(np.float64)
        right = (weighted.T @ value).astype(np.float64)
        slopes = pose_slopes(pose, origin, centre)
        fit = _solve(gram, right, slopes, pose, level, value, weight, seen, matrix, sample_ml, moving)
        change, amplitudes, fit_now = fit
        residual = value - level.basis @ amplitudes.astype(np.float32)
        if robust:
            robustness = _robust_weights(residual, weight, level.protected)
        if turn == steps or moved < CLOSE_ENOUGH_MM:
            break
        moved = _length_mm(slopes @ change, level)
        if moved > LONGEST_STEP_MM:
            change *= LONGEST_STEP_MM / moved
        pose = pose + change
    return replace(fit_now, moved_mm=moved)


def _solve(gram, right, slopes, pose, level, value, weight, seen, matrix, sample_ml, moving):
    amp = gram[12:, 12:]
    amp = amp + 1e-6 * np.trace(amp) / len(amp) * np.eye(len(amp))
    amplitudes = np.linalg.solve(amp, -right[12:])
    # Profile the amplitudes out of pose information and slope.
    cross = gram[:12, 12:]
    tied = np.linalg.solve(amp, cross.T)
    normal = slopes.T @ (gram[:12, :12] - cross @ tied) @ slopes
    pull = slopes.T @ (right[:12] + cross @ amplitudes)
    residual = value - level.basis @ amplitudes.astype(np.float32)
    total = float(weight.sum())
    rss = float((weight * residual**2).sum())
    mean = float((weight * value).sum()) / max(total, 1e-9)
    tss = float((weight * (value - mean) ** 2).sum())
    variance = max(rss / max(total, 1e-9), 1e-12 * max(tss, 1e-12))
    # `weight` counts points; a resolution cell of sample_ml holds one independent value.
    per_point = level.point_ml / sample_ml / variance
    prior = np.diag(PRIOR_SD**-2.0)
    full = normal * per_point + prior
    slope = pull * per_point + prior @ pose
    change = np.zeros(PARAMETERS)
    change[moving] = -np.linalg.solve(full[np.ix_(moving, moving)], slope[moving])
    explained = 1 - rss / max(tss, 1e-12)
    share = float((level.weight * seen).sum() / level.weight.sum())
    samples = total * level.point_ml / sample_ml
    cost = 0.5 * samples * np.log(max(1 - explained, 1e-6)) + 0.5 * float(pose @ prior @ pose)
    fit = Fit(pose, matrix, amplitudes, explained, share, float(np.sqrt(variance)), normal * per_point, np.inf, cost)
    return change, amplitudes, fit


def _robust_weights(residual: Floats, weight: Floats, protected: NDArray[np.bool_]) -> Floats:
    used = weight > 0
    if not used.any():
        return np.ones_like(residual)
    spread = 1.4826 * float(np.median(np.abs(residual[used]))) + 1e-12
    scaled = (residual / (ROBUST_AT * spread)) ** 2
    weights = (1 / (1 + scaled)) ** 2
    weights[protected] = 1
    return weights.astype(np.float32)


def _length_mm(entries: NDArray[np.float64], level: Level) -> float:
    """Largest displacement that a change of the matrix makes at points around the head."""
    change = entries.reshape(3, 4)
    middle = level.points[:, :3].mean(axis=0)
    around = middle + _REACH_MM * np.concatenate([np.eye(3), -np.eye(3)])
    return float(np.linalg.norm(around @ change[:, :3].T + change[:, 3], axis=1).max())
