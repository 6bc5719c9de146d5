"""Counting noise of regional means, from the image itself.

The noise of a reconstructed image is correlated over about the width of its filter, so the variance of a mean
over a volume is not the voxel variance over the number of voxels. For weights w and noise autocovariance C,

    cov(mean_a, mean_b) = sum over lags h of C(h) * (w_a cross-correlated with w_b)(h).

C is measured in the non-striatal brain, on the difference of each point and its mirror point: anatomy is nearly
symmetric and cancels, noise of the two sides is independent and adds. What is left of broad asymmetry
(attenuation, head turned in the field) is taken out by polynomials that are odd in x.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.atlas import reference_mask
from dopascope.volume import Grid

Array = NDArray[np.float64]

LATTICE: Final = Grid((50, 62, 56), np.array([[3.0, 0, 0, -73.5], [0, 3, 0, -109.5], [0, 0, 3, -73.5], [0, 0, 0, 1]]))
"""3 mm points around the brain, symmetric about x = 0; half the width of the narrowest filter in use."""

LAG_STEPS: Final = 10
FULL_LAG_MM: Final = 18.0
LAST_LAG_MM: Final = 33.0
"""Lags count fully up to 18 mm and fade out at 33 mm: noise filtered with 12 mm FWHM has an autocovariance of 17 mm
FWHM, while what is left of anatomy has no end."""

ODD_POWERS: Final = tuple((a, b, c) for a in (1, 3) for b in range(3) for c in range(3) if a + b + c <= 3)

LEAST_X_MM: Final = 12.0
"""Points nearer to the midline have correlated noise with their mirror points, which would cancel with the anatomy."""

LEAST_POINTS: Final = 2000
"""Fewer points with a mirror point inside the field of view than this are too few to measure noise."""


@dataclass(frozen=True, eq=False)
class NoisePoints:
    """Lattice points of the right half of the reference region, and where they sit in `LATTICE`."""

    right: Array
    left: Array
    index: tuple[NDArray[np.intp], ...]
    trend: Array
    """Orthonormal columns (N, P) of the odd polynomials at the points."""


@cache
def noise_points() -> NoisePoints:
    """The pairs of mirror points that noise is measured on."""
    centres = LATTICE.centres_mm()
    taken = reference_mask("whole_brain", LATTICE) & (centres[..., 0] > LEAST_X_MM)
    index = np.nonzero(taken)
    right = centres[index]
    unit = right / np.abs(right).max(0)
    columns = np.stack([np.prod(unit ** np.array(p), axis=1) for p in ODD_POWERS], 1)
    return NoisePoints(right, right * [-1, 1, 1], index, np.linalg.qr(columns)[0])


def autocovariance(right: Array, left: Array) -> Array | None:
    """Noise autocovariance at lags of -10 to 10 lattice steps `(21, 21, 21)`; None when too few points are seen.

    Args:
        right, left: intensities `(N,)` at `noise_points().right` and `.left`; NaN where not in the field of view.
    """
    points = noise_points()
    difference = (right - left) / np.sqrt(2)
    seen = np.isfinite(difference)
    if seen.sum() < LEAST_POINTS:
        return None
    trend = points.trend if seen.all() else np.linalg.qr(points.trend[seen])[0]
    rest = difference[seen] - trend @ (trend.T @ difference[seen])
    box = np.zeros(LATTICE.shape)
    box[tuple(axis[seen] for axis in points.index)] = rest
    pairs = _full_pairs() if seen.all() else _pairs(tuple(axis[seen] for axis in points.index))
    covariance: Array = _correlate(box) / np.maximum(pairs, 1)
    # Of a pair, one point has lag h where the other has its mirror: only the symmetric part was measured.
    return (covariance + covariance[::-1]) / 2 * lag_window()


@cache
def _full_pairs() -> Array:
    return _pairs(noise_points().index)


def _pairs(index: tuple[NDArray[np.intp], ...]) -> Array:
    box = np.zeros(LATTICE.shape)
    box[index] = 1
    return _correlate(box)


def lag_window() -> Array:
    """1 up to `FULL_LAG_MM`, falling as a squared cosine to 0 at `LAST_LAG_MM`."""
    step = LATTICE.spacing_mm[0]
    lag = np.arange(-LAG_STEPS, LAG_STEPS + 1) * step
    distance = np.sqrt(lag[:, None, None] ** 2 + lag[:, None] ** 2 + lag**2)
    window: Array = np.cos(np.clip((distance - FULL_LAG_MM) / (LAST_LAG_MM - FULL_LAG_MM), 0, 1) * np.pi / 2) ** 2
    return window


@cache
def _size() -> tuple[int, ...]:
    from scipy.fft import next_fast_len

    return tuple(int(next_fast_len(n + LAG_STEPS, real=True)) for n in LATTICE.shape)


def _correlate(box: Array) -> Array:
    """Autocorrelation, sum over p of box(p) box(p + h), at lags h within `LAG_STEPS`, without wrap-around."""
    from scipy.fft import irfftn, rfftn

    whole = irfftn(np.abs(rfftn(box, _size())) ** 2, _size())
    lags = np.arange(-LAG_STEPS, LAG_STEPS + 1)
    found: Array = whole[np.ix_(lags, lags, lags)]
    return found


def on_lattice(points: Array) -> Array:
    """Weights of the mean over `points`, shared trilinearly among the lattice points around each; sum 1."""
    place = np.clip(LATTICE.to_index(points), 0, np.array(LATTICE.shape) - 1.001)
    base = np.floor(place).astype(int)
    part = place - base
    box = np.zeros(int(np.prod(LATTICE.shape)))
    for corner in np.ndindex(2, 2, 2):
        share = np.prod(np.where(corner, part, 1 - part), axis=1)
        cell = np.ravel_multi_index(tuple((base + corner).T), LATTICE.shape)
        box += np.bincount(cell, share, box.size)
    return box.reshape(LATTICE.shape) / len(points)


def spectrum(points: Array) -> NDArray[np.complex128]:
    """Fourier transform, flattened, of the weights of the mean over `points`.

    Sharing a point among its neighbours smooths by a triangle of the lattice's width; its transform, a squared
    sinc along each axis, is divided out (Hockney and Eastwood 1988, cloud-in-cell assignment).
    """
    from scipy.fft import fftfreq, rfftfreq, rfftn

    size = _size()
    i, j, k = (np.sinc(f) ** 2 for f in (fftfreq(size[0]), fftfreq(size[1]), rfftfreq(size[2])))
    smoothing = i[:, None, None] * j[:, None] * k
    found: NDArray[np.complex128] = (rfftn(on_lattice(points), size) / smoothing).ravel()
    return found


def covariance_of_means(covariance: Array, spectra: NDArray[np.complex128]) -> Array:
    """Covariance `(K, K)` of the means over K volumes, by Parseval's theorem.

    Args:
        covariance: noise autocovariance at lags, from `autocovariance`.
        spectra: `(K, F)`, each from `spectrum`.
    """
    from scipy.fft import rfftn

    box = np.zeros(_size())
    lags = np.arange(-LAG_STEPS, LAG_STEPS + 1)
    box[np.ix_(lags, lags, lags)] = covariance
    # A windowed estimate need not be positive definite; negative power is noise of the estimate.
    power = np.maximum(rfftn(box).real, 0) * _half_spectrum_weights()
    found: Array = ((spectra.conj() * power.ravel()) @ spectra.T).real / np.prod(_size())
    return found


@cache
def _half_spectrum_weights() -> Array:
    # rfftn stores one of each conjugate pair: all but the first (and, for even lengths, the last) count twice.
    last = _size()[-1]
    weights = np.full(last // 2 + 1, 2.0)
    weights[0] = 1
    if last % 2 == 0:
        weights[-1] = 1
    return weights
