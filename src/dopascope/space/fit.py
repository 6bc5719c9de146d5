"""Affine Gauss-Newton with free regional amplitudes (variable projection) and a prior on the pose.

Model: scan(T x) = sum over parts of a_k part_k(x) + a_0 + error, for points x of the template. Pose and amplitudes
are solved together in each step, so that what an amplitude can explain is no evidence for a pose (Golub and Pereyra,
Inverse Problems 19 (2003) R1, doi 10.1088/0266-5611/19/2/201, in Kaufman's form).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.space.lattice import Floats, Lattice

Vector = NDArray[np.float64]

PARAMETERS: Final = 12
"""Shift (3, mm), turn (3, rad), log scale (3), shear (3), all about `Model.origin`."""

PRIOR_SD: Final = np.array([25.0] * 3 + [np.deg2rad(14)] * 3 + [0.08] * 3 + [0.02] * 3)
"""How far adults' heads and beds stray: mm, rad, log scale, shear. The shift is from the localised head."""

LONGEST_STEP_MM: Final = 15.0
AMPLITUDE_RIDGE: Final = 1e-6
ODD_PATTERN_SD: Final = 0.03
"""Chosen on series 7000 of the test cohort: .1 hardly helps, below .03 nothing more is gained."""
ROBUST_AT: Final = 3.0
"""Residuals beyond this many robust standard deviations lose weight (Geman-McClure form)."""
_SHEARED: Final = ((0, 1), (0, 2), (1, 2))
_REACH_MM: Final = 75.0
"""Where a step is measured: displacement at this distance from the origin."""


@dataclass(frozen=True)
class Level:
    """Template points to compare at one resolution.

    `points` `(N, 4)` homogeneous mm; `basis` `(N, K)` the blurred parts and a constant; `weight` `(N,)`;
    `striatal` `(N,)` where the striatum shows; `deep` `(N,)` well inside the brain, where no misfit is an outlier: a
    striatum in the wrong place must not be taken for a gland and ignored. `odd_patterns` `(M, K)` times amplitudes are
    zero where these follow the striatum's usual patterns (`levels`), else the departure; `around` `(K,)` times
    amplitudes is the striatum's unspecific background, in whose units a departure is measured.
    """

    points: NDArray[np.float64]
    basis: Floats
    weight: Floats
    striatal: NDArray[np.bool_]
    deep: NDArray[np.bool_]
    odd_patterns: NDArray[np.float64]
    around: NDArray[np.float64]
    point_ml: float
    """Volume that a point stands for, before `weight`."""

    @cached_property
    def near_points(self) -> Floats:
        """`points` in single precision."""
        return self.points.astype(np.float32)


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
    normal: NDArray[np.float64]
    """`(12, 12)` information of the data on the pose, amplitudes profiled out, at the
    fitted noise, counting one value per resolution cell."""
    moved_mm: float
    """Length of the last step."""
    cost: float


def pose_matrix(pose: Vector, origin: Vector, centre: Vector) -> geometry.Affine:
    """Template mm to scan mm: scale and shear, then turn about `origin`, then `origin` goes to `centre` + shift."""
    matrix = geometry.rotation(np.rad2deg(pose[3:6]))
    matrix[:3, :3] = matrix[:3, :3] @ _stretch(pose)
    matrix[:3, 3] = centre + pose[:3] - matrix[:3, :3] @ origin
    return matrix


def pose_slopes(pose: Vector, origin: Vector) -> Vector:
    """Derivative of the upper 12 matrix entries with respect to the pose: `(12 entries, 12 parameters)`."""
    turn, stretch = geometry.rotation(np.rad2deg(pose[3:6]))[:3, :3], _stretch(pose)
    about_z = geometry.rotation([0, 0, np.rad2deg(pose[5])])[:3, :3]
    spins = (turn @ _spin(0), about_z @ _spin(1) @ about_z.T @ turn, _spin(2) @ turn)
    linear = np.zeros((PARAMETERS, 3, 3))
    for axis in range(3):
        linear[3 + axis] = spins[axis] @ stretch
        linear[6 + axis][:, axis] = turn[:, axis] * np.exp(pose[6 + axis])
    for k, (a, b) in enumerate(_SHEARED):
        linear[9 + k][:, a], linear[9 + k][:, b] = turn[:, b], turn[:, a]
    offset = -linear @ origin
    offset[:3] += np.eye(3)
    return np.concatenate([linear, offset[:, :, None]], axis=2).reshape(PARAMETERS, 12).T


def _stretch(pose: Vector) -> Vector:
    stretch = np.diag(np.exp(pose[6:9]))
    for k, (a, b) in enumerate(_SHEARED):
        stretch[a, b] = stretch[b, a] = pose[9 + k]
    return stretch


def _spin(axis: int) -> Vector:
    """Derivative of a rotation about `axis` at angle 0."""
    spin = np.zeros((3, 3))
    b, c = (axis + 1) % 3, (axis + 2) % 3
    spin[c, b], spin[b, c] = 1, -1
    return spin


@dataclass(frozen=True)
class Problem:
    """What a fit compares: the scan's lattice, the template's level, and where poses are counted from.

    A pose of zeros brings `origin` (template mm) to `centre` (scan mm). `sample_ml` is the volume that holds one
    independent value (the resolution cell): it tempers the data against the prior.
    """

    lattice: Lattice
    level: Level
    origin: Vector
    centre: Vector
    sample_ml: float
    prior_sd: Vector = field(default_factory=lambda: PRIOR_SD)
    prior_mean: Vector = field(default_factory=lambda: np.zeros(PARAMETERS))
    free: NDArray[np.bool_] = field(default_factory=lambda: np.ones(PARAMETERS, bool))
    robust: bool = True
    close_enough_mm: float = 0.03
    """A step shorter than this everywhere in the head is the last."""


def gauss_newton(problem: Problem, start: Vector, steps: int) -> Fit:
    """Improve the pose `start` `(12,)` by at most `steps` Gauss-Newton steps."""
    pose, moved = start.copy(), np.inf
    robustness = np.ones(len(problem.level.points), np.float32)
    for turn in range(steps + 1):
        fit, change, residual, weight = _evaluate(problem, pose, robustness)
        if turn == steps or moved < problem.close_enough_mm:
            break
        if problem.robust:
            robustness = _robust_weights(residual, weight, problem.level.deep)
        length = _length_mm(pose_slopes(pose, problem.origin) @ change, problem.level)
        pose = pose + change * min(1.0, LONGEST_STEP_MM / max(length, 1e-9))
        moved = min(length, LONGEST_STEP_MM)
    return replace(fit, moved_mm=moved)


def _evaluate(problem: Problem, pose: Vector, robustness: Floats) -> tuple[Fit, Vector, Floats, Floats]:
    """The fit at `pose`, the Gauss-Newton step from it, the residual and the weights used."""
    level = problem.level
    matrix = pose_matrix(pose, problem.origin, problem.centre)
    value, slope, seen = problem.lattice.look_up(level.points, matrix)
    weight = level.weight * seen * robustness
    gram, right = _normal_equations(level, value, slope, weight)
    total = max(float(weight.sum()), 1e-9)
    gram[12:, 12:] += _stiffness(problem, gram, right, float(weight @ value**2), total)
    amplitudes, normal, pull = _profiled(gram, right, pose_slopes(pose, problem.origin))
    residual = value - level.basis @ amplitudes.astype(np.float32)
    variance = float(weight @ residual**2) / total
    spread = float(weight @ (value - float(weight @ value) / total) ** 2) / total
    variance = max(variance, 1e-9 * spread, 1e-30)
    per_point = level.point_ml / problem.sample_ml / variance
    prior = np.diag(problem.prior_sd**-2.0)
    astray = pose - problem.prior_mean
    change = np.zeros(PARAMETERS)
    free = problem.free
    curvature, downhill = normal * per_point + prior, pull * per_point + prior @ astray
    change[free] = -np.linalg.solve(curvature[np.ix_(free, free)], downhill[free])
    unexplained = min(variance / max(spread, 1e-30), 1.0)
    seen_share = float((level.weight * seen).sum() / level.weight.sum())
    samples = float(level.weight.sum()) * level.point_ml / problem.sample_ml
    cost = 0.5 * samples * np.log(max(unexplained, 1e-6)) + 0.5 * float(astray @ prior @ astray)
    fit = Fit(pose, matrix, amplitudes, 1 - unexplained, seen_share, normal * per_point, np.inf, cost)
    return fit, change, residual, weight


def _normal_equations(level: Level, value: Floats, slope: Floats, weight: Floats) -> tuple[Vector, Vector]:
    """`(12 + K, 12 + K)` and `(12 + K,)` for the 12 matrix entries and the amplitudes (with negative sign)."""
    root = np.sqrt(weight)[:, None]
    design = np.empty((len(value), 12 + level.basis.shape[1]), np.float32)
    np.multiply((slope * root)[:, :, None], level.near_points[:, None, :], out=design[:, :12].reshape(-1, 3, 4))
    np.multiply(level.basis, -root, out=design[:, 12:])
    gram = (design.T @ design).astype(np.float64)
    return gram, (design.T @ (value * root[:, 0])).astype(np.float64)


def _stiffness(problem: Problem, gram: Vector, right: Vector, squares: float, total: float) -> Vector:
    """Penalty `(K, K)` on odd patterns of amplitudes, in the units of `gram`.

    Free amplitudes of regions that the camera blurs into each other can imitate a shift or a tilt; patterns that no
    person has are therefore held within `ODD_PATTERN_SD`, as far as the noise lets them be seen at all.
    """
    parts = gram[12:, 12:] + AMPLITUDE_RIDGE * max(np.trace(gram[12:, 12:]), 1.0) * np.eye(len(gram) - 12)
    amplitudes = np.linalg.solve(parts, -right[12:])
    # Residual sum of squares at the least-squares amplitudes, without a second pass over the points.
    variance = max(squares + float(right[12:] @ amplitudes), 0.0) / total
    around = max(float(problem.level.around @ amplitudes), 1e-3 * float(np.sqrt(squares / total)), 1e-30)
    cell = problem.sample_ml / problem.level.point_ml
    stiffness: Vector = problem.level.odd_patterns.T @ problem.level.odd_patterns
    return stiffness * variance * cell / (ODD_PATTERN_SD * around) ** 2


def _profiled(gram: Vector, right: Vector, slopes: Vector) -> tuple[Vector, Vector, Vector]:
    """Amplitudes at this pose, and information `(12, 12)` and slope `(12,)` of the pose without what they explain."""
    parts = gram[12:, 12:]
    # The floor keeps the system solvable where no point at all is seen.
    parts = parts + max(AMPLITUDE_RIDGE * np.trace(parts) / len(parts), AMPLITUDE_RIDGE) * np.eye(len(parts))
    amplitudes = np.linalg.solve(parts, -right[12:])
    cross = gram[:12, 12:]
    normal = slopes.T @ (gram[:12, :12] - cross @ np.linalg.solve(parts, cross.T)) @ slopes
    pull = slopes.T @ (right[:12] + cross @ amplitudes)
    return amplitudes, normal, pull


def _robust_weights(residual: Floats, weight: Floats, deep: NDArray[np.bool_]) -> Floats:
    used = weight > 0
    if not used.any():
        return np.ones_like(residual)
    spread = 1.4826 * float(np.median(np.abs(residual[used]))) + 1e-12
    scaled = (residual / (ROBUST_AT * spread)) ** 2
    weights = (1 / (1 + scaled)) ** 2
    weights[deep] = 1
    return weights.astype(np.float32)


def _length_mm(entries: NDArray[np.float64], level: Level) -> float:
    """Largest displacement that a change of the matrix makes at points around the head."""
    change = entries.reshape(3, 4)
    middle = level.points[:, :3].mean(axis=0)
    around = middle + _REACH_MM * np.concatenate([np.eye(3), -np.eye(3)])
    return float(np.linalg.norm(around @ change[:, :3].T + change[:, 3], axis=1).max())
