"""Counting noise of regional means, from the image itself.

The noise of a reconstructed image is correlated over about the width of its filter, so the variance of a mean
over a volume is not the voxel variance over the number of voxels. For weights w and noise autocovariance C,

    cov(mean_a, mean_b) = sum over lags h of C(h) * (w_a cross-correlated with w_b)(h).

C is measured in the non-striatal brain, on the difference of each point and its mirror point: anatomy is nearly
symmetric and cancels, noise of the two sides is independent and adds. A straight slope from side to side (uneven
attenuation) is taken out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.atlas import reference_mask, tissue
from dopascope.volume import MNI_2MM, Grid

Array = NDArray[np.float64]

LATTICE: Final = Grid((50, 62, 56), np.array([[3.0, 0, 0, -73.5], [0, 3, 0, -109.5], [0, 0, 3, -73.5], [0, 0, 0, 1]]))
"""3 mm points around the brain, symmetric about x = 0; half the width of the narrowest filter in use."""

LAG_STEPS: Final = 10
FULL_LAG_MM: Final = 18.0
LAST_LAG_MM: Final = 33.0
"""Lags count fully up to 18 mm and fade out at 33 mm: noise filtered with 12 mm FWHM has an autocovariance of 17 mm
FWHM, while what is left of anatomy has no end."""

UPTAKE: Final = {"grey": 0.9, "white": 0.7, "csf": 0.2}
SLOPE_FWHM_MM: Final = 10.0
"""Blurred uptake of the atlas brain, by which flat places are told from steep ones; only the order matters."""

LEAST_X_MM: Final = 12.0
"""Points nearer to the midline have correlated noise with their mirror points, which would cancel with the anatomy."""

LEAST_POINTS: Final = 4000
"""Fewer points with a mirror point inside the field of view than this are too few to measure noise."""


@dataclass(frozen=True, eq=False)
class NoisePoints:
    """Lattice points `(N, 3)` of the right half, their mirror points, and where the right ones sit in `LATTICE`."""

    right: Array
    left: Array
    index: tuple[NDArray[np.intp], ...]


@cache
def noise_points() -> NoisePoints:
    """The pairs of mirror points that noise is measured on: the quieter half of the whole-brain reference.

    Where the anatomy has steep slopes, a head that is not quite symmetric leaves more of them than there is noise;
    so the half of the points where the brain of the atlas, at `SLOPE_FWHM_MM`, has the smaller slopes is taken.
    """
    centres = LATTICE.centres_mm()
    index = np.nonzero(reference_mask("whole_brain", LATTICE) & (centres[..., 0] > LEAST_X_MM))
    steep = _anatomical_slope()[tuple(np.rint(MNI_2MM.to_index(centres[index])).astype(int).T)]
    flat = steep <= np.median(steep)
    index = tuple(axis[flat] for axis in index)
    return NoisePoints(centres[index], centres[index] * [-1, 1, 1], index)


def _anatomical_slope() -> Array:
    from scipy.ndimage import gaussian_gradient_magnitude

    brain = sum(share * tissue(name).data.astype(np.float64) for name, share in UPTAKE.items())
    sigma = SLOPE_FWHM_MM / np.sqrt(8 * np.log(2)) / MNI_2MM.spacing_mm[0]
    found: Array = gaussian_gradient_magnitude(brain, sigma)
    return found


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
    sideways = points.right[seen, 0]
    rest = difference[seen] - sideways * (sideways @ difference[seen]) / (sideways @ sideways)
    box = np.zeros(LATTICE.shape)
    box[tuple(axis[seen] for axis in points.index)] = rest
    pairs = _full_pairs() if seen.all() else _pairs(tuple(axis[seen] for axis in points.index))
    covariance: Array = _correlate(box) / np.maximum(pairs, 1)
    # Of a pair, one point has lag h where the other has its mirror: only the symmetric part was measured.
    covariance = (covariance + covariance[::-1]) / 2
    # The slope that was taken out held noise as well: S / N at every lag, S the sum over lags of the covariance
    # before. With the window's sum W, what was measured sums to S - S W / N.
    window = lag_window()
    lost = (covariance * window).sum() / (seen.sum() - window.sum())
    kept: Array = (covariance + lost) * window
    return kept


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
