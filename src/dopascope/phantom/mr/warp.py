"""Smooth displacements of the template's brain: cubic B-splines on a lattice, their exact slopes, and their inverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.phantom.mr.fields import smooth_noise
from dopascope.volume import Grid

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

KNOT_MM: Final = 4.0
LATTICE: Final = Grid((48, 58, 52), np.array([[4.0, 0, 0, -94], [0, 4, 0, -130], [0, 0, 4, -96], [0, 0, 0, 1]]))
"""Knots in template mm: around every brain of the template's size with room for what moves."""
_BENT: Final = 2
_STRAIGHT: Final = 5
"""Steps of the inverse with exact splines, after steps with straight lines between knots."""


def weights(t: Floats) -> Floats:
    """The four cubic B-spline weights (..., 4) at fraction `t` between the second and the third knot."""
    return np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], -1) / 6


def slopes(t: Floats) -> Floats:
    """Derivatives (..., 4) of `weights` by `t`."""
    return np.stack([-((1 - t) ** 2), 3 * t**2 - 4 * t, -3 * t**2 + 2 * t + 1, t**2], -1) / 2


class Basis:
    """Splines seen at fixed points: coefficients in, displacements and their slopes out."""

    def __init__(self, points_mm: Floats) -> None:
        from scipy.sparse import csr_matrix

        at = LATTICE.to_index(points_mm)
        whole = np.clip(np.floor(at).astype(int), 1, np.array(LATTICE.shape) - 3)
        value, slope = weights(at - whole), slopes(at - whole) / KNOT_MM
        near = whole[..., None] + np.arange(-1, 3)
        _, j, k = LATTICE.shape
        columns = ((near[:, 0, :, None, None] * j + near[:, 1, None, :, None]) * k + near[:, 2, None, None, :]).ravel()
        rows = np.arange(0, columns.size + 1, 64)

        def matrix(x: Floats, y: Floats, z: Floats) -> csr_matrix:
            data = x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]
            return csr_matrix((data.ravel(), columns, rows), (len(points_mm), int(np.prod(LATTICE.shape))))

        x, y, z = (value[:, a] for a in range(3))
        self._value = matrix(x, y, z)
        self._slopes = [matrix(slope[:, 0], y, z), matrix(x, slope[:, 1], z), matrix(x, y, slope[:, 2])]

    def displacement(self, coefficients: Floats32) -> Floats:
        """(N, 3) mm, of coefficients (I, J, K, 3)."""
        return np.asarray(self._value @ coefficients.reshape(-1, 3), np.float64)

    def slopes(self, coefficients: Floats32) -> Floats:
        """(N, 3, 3): derivative of displacement a by position b."""
        flat = coefficients.reshape(-1, 3)
        return np.stack([np.asarray(one @ flat, np.float64) for one in self._slopes], -1)


@dataclass(frozen=True, eq=False)
class Warp:
    """Template mm to template mm: each point plus its displacement."""

    coefficients: Floats32
    """(I, J, K, 3) mm on `LATTICE`."""

    def forward(self, points_mm: Floats) -> Floats:
        """Where points (N, 3) of the template come to lie; beyond the lattice as at its edge."""
        moved = np.asarray(points_mm, np.float64)
        return moved + self._displacement(moved, order=3)

    def inverse_on_lattice(self) -> Floats32:
        """(I, J, K, 3) mm: what has to be added to a place on `LATTICE` to find which point came to lie there.

        Fixed point of v = -u(x + v); u is shorter than its arguments differ, so each step is nearer.
        """
        place = LATTICE.centres_mm().reshape(-1, 3)
        back = np.zeros_like(place)
        for order in (1,) * _STRAIGHT + (3,) * _BENT:
            back = -self._displacement(place + back, order=order)
        return back.reshape(*LATTICE.shape, 3).astype(np.float32)

    def _displacement(self, points_mm: Floats, order: int) -> Floats:
        from scipy import ndimage

        index = LATTICE.to_index(points_mm).T
        # A spline's knots are no values of it: for straight lines between values it is first read at the knots.
        parts = self.coefficients if order > 1 else self._at_knots()
        found = [
            ndimage.map_coordinates(parts[..., a], index, order=order, mode="nearest", prefilter=False)
            for a in range(3)
        ]
        return np.stack(found, -1).astype(np.float64)

    def _at_knots(self) -> Floats32:
        from scipy import ndimage

        values = self.coefficients
        for axis in range(3):
            values = ndimage.convolve1d(values, np.array([1, 4, 1]) / 6, axis=axis, mode="nearest")
        return np.asarray(values, np.float32)


def draw_displacement(rng: np.random.Generator, rms_mm: float, length_mm: float, inside: NDArray[np.bool_]) -> Floats32:
    """Coefficients (I, J, K, 3) of a smooth random displacement without an affine part of its own.

    Args:
        rng: decides.
        rms_mm: root mean square length over the knots `inside`.
        length_mm: over which it varies.
        inside: (I, J, K) of `LATTICE`, the brain.
    """
    raw = np.stack([smooth_noise(LATTICE, rng, length_mm) for _ in range(3)], -1)
    place = np.concatenate([LATTICE.centres_mm() / 100, np.ones((*LATTICE.shape, 1))], -1)
    known = place[inside]
    affine = np.linalg.solve(known.T @ known, known.T @ raw[inside].astype(np.float64))
    bent = raw - place @ affine
    length = float(np.sqrt((bent[inside] ** 2).sum(-1).mean()))
    return np.asarray(bent * (rms_mm / length if length > 0 else 0.0), np.float32)
