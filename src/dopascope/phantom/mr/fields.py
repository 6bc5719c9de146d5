"""Smooth random fields."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dopascope.volume import Grid


def smooth_noise(grid: Grid, rng: np.random.Generator, length_mm: float) -> NDArray[np.float32]:
    """Noise (I, J, K) of zero mean and unit spread that varies over `length_mm`: random knots and cubic splines."""
    steps = [max(1.0, length_mm / s) for s in grid.spacing_mm]
    knots = rng.standard_normal([int(np.ceil(n / step)) + 4 for n, step in zip(grid.shape, steps, strict=True)])
    field = knots.astype(np.float32)
    for axis, (n, step) in enumerate(zip(grid.shape, steps, strict=True)):
        field = spread(field, np.arange(n) / step + 1.5, axis)
    deviation = float(field.std())
    return np.asarray((field - field.mean()) / (deviation if deviation > 0 else 1), np.float32)


def spread(values: NDArray[np.float32], at: NDArray[np.float64], axis: int) -> NDArray[np.float32]:
    """Cubic B-spline interpolation along one axis, as one small matrix product."""
    whole = np.floor(at).astype(int)
    t = at - whole
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    matrix = np.zeros((len(at), values.shape[axis]), np.float32)
    for offset in range(4):
        column = np.clip(whole - 1 + offset, 0, values.shape[axis] - 1)
        np.add.at(matrix, (np.arange(len(at)), column), weights[offset])
    return np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
