"""Multi-scale structural similarity of images, and the diversity of a set: its mean over pairs.

Images of brains are alike, so a high mean is no fault as such: read it beside that of real images. It says nothing of
whether images are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UsageError
from dopascope.score.bootstrap import DRAWS, LEVEL
from dopascope.score.generated.distances import ENTRIES
from dopascope.score.generated.result import Measured, Result
from dopascope.score.generated.sets import Array, image_set, positive_count

WEIGHTS: Final = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, from fine to coarse: Wang, Simoncelli and Bovik 2003, section 3.2."""
SIGMA: Final = 1.5
"""Standard deviation of the Gaussian window in voxels of each scale."""
K1: Final = 0.01
K2: Final = 0.03
KERNELS: Final = (11, 7, 5, 3)
"""Widths of the window: the first with which three scales fit is taken. 11 is the paper's."""
WANTED_SCALES: Final = 3
PAIRS: Final = 1000


@dataclass(frozen=True)
class Scales:
    """Width of the window and weights of the scales, from fine to coarse; each scale has half the voxels an axis."""

    kernel: int
    weights: tuple[float, ...]

    def __str__(self) -> str:
        return f"{len(self.weights)} scales, window {self.kernel}, sigma {SIGMA}"


@dataclass(frozen=True)
class Diversity(Result):
    """Mean MS-SSIM over pairs of different images of a set: the lower, the more varied."""

    mean: Measured
    kernel: int
    weights: tuple[float, ...]
    data_range: float
    pairs: int
    n: int


def fitting_scales(shape: Sequence[int]) -> Scales:
    """What fits images of this shape: 64 x 64 three scales with a window of 11, 32 x 32 x 32 three with 7.

    The paper's weights are scaled to a sum of 1 where fewer than five scales fit.

    Args:
        shape: (I, J) or (I, J, K).

    Raises:
        UsageError: the shortest axis has less than 12 voxels.
    """
    side = min(shape)
    for kernel in KERNELS:
        count = sum(side >> scale >= kernel for scale in range(len(WEIGHTS)))
        if count >= WANTED_SCALES:
            weights = np.array(WEIGHTS[:count]) / sum(WEIGHTS[:count])
            return Scales(kernel, tuple(float(weight) for weight in weights))
    raise UsageError(
        "These images are too small for three scales.",
        where="images",
        found=" x ".join(str(n) for n in shape),
        expected=f"{KERNELS[-1] << (WANTED_SCALES - 1)} voxels along the shortest axis, or more",
        fix="Leave a channel axis out; or compare images of more voxels.",
    )


def ms_ssim(first: ArrayLike, second: ArrayLike, *, data_range: float, scales: Scales | None = None) -> Array:
    """MS-SSIM (N,) of image with image, 1 for equal ones.

    Args:
        first: (N, I, J) or (N, I, J, K).
        second: of the same shape.
        data_range: largest less smallest value that images can have; one and the same for all that is compared.
        scales: `fitting_scales` of the shape unless given.

    Raises:
        UsageError: see `sets.image_set`; different shapes; a range that is not positive; see `fitting_scales`.
        UnsuitableError: a value that is not finite.

    Source: Wang, Simoncelli and Bovik 2003, Asilomar, equation 7, with negative contrast terms cut to 0.
    """
    one, other = image_set(first, "first"), image_set(second, "second")
    if one.shape != other.shape:
        raise UsageError(
            "These images do not pair.",
            where="first, second",
            found=f"shapes {one.shape} and {other.shape}",
            expected="the same shape",
            fix="Put both on one grid; for a set against itself use `diversity`.",
        )
    chosen = scales or fitting_scales(one.shape[1:])
    top = _positive(data_range)
    step = max(1, ENTRIES // (8 * one[0].size))
    values = [
        _similarities(_moments(one[at : at + step], chosen), _moments(other[at : at + step], chosen), chosen, top)
        for at in range(0, len(one), step)
    ]
    return np.concatenate(values)


def diversity(
    images: ArrayLike, *, data_range: float, pairs: int = PAIRS, draws: int = DRAWS, seed: int = 1
) -> Diversity:
    """Mean MS-SSIM over pairs of images of one set, with a bootstrap over images.

    A drawn image weighs a pair by how often it was drawn; pairs of an image with itself do not count. Where pairs are a
    sample the range is a little too wide, as the sample's own chance is counted more than once.

    Args:
        images: (N, I, J) or (N, I, J, K), one image a person.
        data_range: largest less smallest value that images can have; the same for sets that are to be compared.
        pairs: drawn at random where the set has more.
        draws: bootstrap samples.
        seed: of pairs and bootstrap.

    Raises:
        UsageError: see `ms_ssim`.
        UnsuitableError: fewer than 3 images, or a value that is not finite.
    """
    found = image_set(images, "images", least=3)
    scales = fitting_scales(found.shape[1:])
    rng = np.random.default_rng(seed)
    rows, columns = _some_pairs(len(found), positive_count(pairs, "pairs"), rng)
    values = _of_pairs(found, rows, columns, scales, _positive(data_range))
    return Diversity(
        method=f"mean MS-SSIM of {len(rows)} pairs, {scales}, data range {data_range:g}; "
        "range by the bootstrap over images",
        mean=mean_of_pairs(values, rows, columns, len(found), draws=positive_count(draws, "draws"), rng=rng),
        kernel=scales.kernel,
        weights=scales.weights,
        data_range=float(data_range),
        pairs=len(rows),
        n=len(found),
    )


def diversity_difference(
    real: ArrayLike, generated: ArrayLike, *, data_range: float, pairs: int = PAIRS, seed: int = 1
) -> float:
    """How far the diversity of generated images is from that of real ones, either way: for `floors.against_floor`.

    Raises:
        UsageError, UnsuitableError: see `diversity`.
    """
    means = []
    for images, name in ((real, "real"), (generated, "generated")):
        found = image_set(images, name, least=3)
        rows, columns = _some_pairs(len(found), positive_count(pairs, "pairs"), np.random.default_rng(seed))
        means.append(_of_pairs(found, rows, columns, fitting_scales(found.shape[1:]), _positive(data_range)).mean())
    return float(abs(means[1] - means[0]))


def mean_of_pairs(
    values: Array, rows: NDArray[np.int_], columns: NDArray[np.int_], n: int, *, draws: int, rng: np.random.Generator
) -> Measured:
    """Mean of values (P,) of pairs of n images, with a percentile bootstrap over the images."""
    counts = rng.multinomial(n, np.full(n, 1 / n), size=draws)
    weights = (counts[:, rows] * counts[:, columns]).astype(np.float64)
    totals = weights.sum(1)
    means = (weights @ values)[totals > 0] / totals[totals > 0]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Measured(float(values.mean()), float(low), float(high))


def _some_pairs(n: int, most: int, rng: np.random.Generator) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """All pairs of n images, or `most` of them at random."""
    rows, columns = np.triu_indices(n, 1)
    if len(rows) <= most:
        return rows, columns
    taken = np.sort(rng.choice(len(rows), most, replace=False))
    return rows[taken], columns[taken]


@dataclass(frozen=True)
class _Moments:
    """Of images at one scale: values (N, I, J[, K]), windowed means and windowed means of squares."""

    values: Array
    mean: Array
    square: Array

    def at(self, indices: NDArray[np.int_]) -> _Moments:
        return _Moments(self.values[indices], self.mean[indices], self.square[indices])


def _of_pairs(images: Array, rows: NDArray[np.int_], columns: NDArray[np.int_], scales: Scales, top: float) -> Array:
    prepared = _moments(images, scales)
    step = max(1, ENTRIES // (8 * images[0].size))
    found = []
    for at in range(0, len(rows), step):
        one, other = ([scale.at(side[at : at + step]) for scale in prepared] for side in (rows, columns))
        found.append(_similarities(one, other, scales, top))
    return np.concatenate(found)


def _moments(images: Array, scales: Scales) -> list[_Moments]:
    found = []
    for scale in range(len(scales.weights)):
        images = _halved(images) if scale else images
        found.append(_Moments(images, _windowed(images, scales.kernel), _windowed(images**2, scales.kernel)))
    return found


def _similarities(one: list[_Moments], other: list[_Moments], scales: Scales, top: float) -> Array:
    """(N,) of images whose moments these are."""
    c1, c2 = (K1 * top) ** 2, (K2 * top) ** 2
    product = np.ones(len(one[0].values))
    for scale, weight in enumerate(scales.weights):
        x, y = one[scale], other[scale]
        variances = x.square - x.mean**2 + y.square - y.mean**2
        covariance = _windowed(x.values * y.values, scales.kernel) - x.mean * y.mean
        term = (2 * covariance + c2) / (variances + c2)  # contrast and structure
        if scale == len(scales.weights) - 1:
            term *= (2 * x.mean * y.mean + c1) / (x.mean**2 + y.mean**2 + c1)  # luminance, at the coarsest alone
        product *= np.maximum(term.reshape(len(term), -1).mean(1), 0) ** weight
    return product


def _windowed(images: Array, kernel: int) -> Array:
    """Gaussian means where the window lies inside the image: each axis but the first becomes `kernel` - 1 shorter."""
    taps = np.exp(-((np.arange(kernel) - kernel // 2) ** 2) / (2 * SIGMA**2))
    taps /= taps.sum()
    for axis in range(1, images.ndim):
        size = images.shape[axis]
        band = np.zeros((size, size - kernel + 1))
        for place in range(size - kernel + 1):
            band[place : place + kernel, place] = taps
        images = np.moveaxis(np.moveaxis(images, axis, -1) @ band, -1, axis)
    return images


def _halved(images: Array) -> Array:
    """Means of 2 x 2 [x 2] voxels; a last odd one is left out."""
    for axis in range(1, images.ndim):
        moved = np.moveaxis(images, axis, 0)
        even = len(moved) // 2 * 2
        images = np.moveaxis((moved[0:even:2] + moved[1:even:2]) / 2, 0, axis)
    return images


def _positive(data_range: float) -> float:
    if not 0 < data_range < np.inf:
        raise UsageError(
            "This is no range of values.",
            where="data_range",
            found=data_range,
            expected="a positive number: largest less smallest value that images can have",
            fix="Take it from the real images, for all sets alike.",
        )
    return float(data_range)
