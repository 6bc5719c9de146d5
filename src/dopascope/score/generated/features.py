"""Features of images without a network: principal components and random projections.

They see intensities at their places, so a shifted image is another image; put images on one grid first. Features of a
network come as arrays from elsewhere. Say which were used: a distance has no meaning without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from dopascope.errors import UnsuitableError, UsageError
from dopascope.score.generated.sets import Array, positive_count

COMPONENTS: Final = 32


@dataclass(frozen=True)
class Projection:
    """A linear map from images of one shape to features; call it with images (N, *shape)."""

    name: str
    """In words, for `method` and reports."""
    shape: tuple[int, ...]
    mean: Array
    """(P,) that is subtracted from the flattened images."""
    axes: Array
    """(P, D) that they are then multiplied with."""

    def __call__(self, images: ArrayLike) -> Array:
        """Features (N, D) of images (N, *shape).

        Raises:
            UsageError: images of another shape.
            UnsuitableError: a value that is not finite.
        """
        found = np.asarray(images, np.float64)
        if found.shape[1:] != self.shape:
            raise UsageError(
                "These images have another shape than the features were made for.",
                where="images",
                found=found.shape,
                expected=("images", *self.shape),
                fix="Put all sets on one grid.",
            )
        return (_flat(found) - self.mean) @ self.axes


def principal_components(real: ArrayLike, *, components: int = COMPONENTS) -> Projection:
    """The axes along which real images vary most, scaled so that their features have a mean square of 1.

    They fit the images that they were found on better than others: for `memorisation` use `random_projection`.

    Args:
        real: (N, ...) images, at least `components` + 1.
        components: how many features.

    Raises:
        UsageError: more components than images less one, or than voxels.
        UnsuitableError: images that do not vary along so many axes, or a value that is not finite.
    """
    found = np.asarray(real, np.float64)
    flat = _flat(found)
    positive_count(components, "components", most=min(len(flat) - 1, flat.shape[1]))
    mean = flat.mean(0)
    _, spread, axes = np.linalg.svd(flat - mean, full_matrices=False)
    if not spread[components - 1] > spread[0] * 1e-10:
        raise UnsuitableError(
            "The real images do not vary enough.",
            where="real",
            found=f"{int((spread > spread[0] * 1e-10).sum())} axes with variance",
            expected=f"{components}",
            fix="Take fewer components, or more images.",
        )
    kept = spread[:components]
    scale = np.sqrt((kept**2).mean() / (len(flat) - 1))
    share = float((kept**2).sum() / (spread**2).sum())
    return Projection(
        f"{components} principal components of {len(flat)} real images ({100 * share:.0f} % of their variance)",
        found.shape[1:],
        mean,
        np.asarray(axes[:components].T / scale),
    )


def random_projection(shape: tuple[int, ...], *, components: int = COMPONENTS, seed: int = 1) -> Projection:
    """Gaussian random axes, which know nothing of any image: distances keep their size on average.

    Relative errors of squared distances have a standard deviation of sqrt(2 / components).

    Args:
        shape: of an image.
        components: how many features.
        seed: of the axes.

    Source: Johnson and Lindenstrauss 1984; Dasgupta and Gupta 2003, Random Struct Algorithms 22:60.
    """
    voxels = int(np.prod(shape))
    count = positive_count(components, "components")
    axes = np.random.default_rng(seed).normal(0, 1 / np.sqrt(count), (voxels, count))
    return Projection(f"{count} random projections, seed {seed}", tuple(shape), np.zeros(voxels), axes)


def _flat(images: Array) -> Array:
    flat = images.reshape(len(images), -1)
    broken = ~np.isfinite(flat).all(1)
    if broken.any():
        raise UnsuitableError(
            "Some voxels are not finite.",
            where="images",
            found=f"{int(broken.sum())} of {len(flat)} images, the first is image {int(broken.argmax())}",
            expected="finite numbers",
            fix="Leave these images out, and say how many.",
        )
    return flat
