"""Sets of images or of their features as arrays, after a look at whether they can be compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UnsuitableError, UsageError

Array = NDArray[np.float64]


def feature_set(values: ArrayLike, name: str, *, least: int = 2) -> Array:
    """Features (N, D) of N images as float64.

    Args:
        values: (N, D).
        name: what the caller calls this set.
        least: images that are needed.

    Raises:
        UsageError: not two axes, or no features.
        UnsuitableError: fewer than `least` images, or a value that is not finite.
    """
    found = np.asarray(values, np.float64)
    if found.ndim != 2 or not found.shape[1]:
        raise UsageError(
            "These are no features of images.",
            where=name,
            found=f"shape {found.shape}",
            expected="(images, features)",
            fix="Give a row for each image; flatten images or use dopascope.score.generated.features.",
        )
    _sound(found, name, least)
    return found


def feature_sets(real: ArrayLike, generated: ArrayLike, *, least: int = 2) -> tuple[Array, Array]:
    """Features (N, D) of real and (M, D) of generated images. A generator that makes one image only is not refused.

    Raises:
        UsageError: see `feature_set`; or different numbers of features.
        UnsuitableError: see `feature_set`; or all real images have the same features.
    """
    one, other = feature_set(real, "real", least=least), feature_set(generated, "generated", least=least)
    same_features(one, other, "real, generated")
    if not np.ptp(one, axis=0).any():
        raise UnsuitableError(
            "All real images have the same features.",
            where="real",
            found=f"{len(one)} equal rows",
            expected="features that vary",
            fix="Use features that tell the real images apart.",
        )
    return one, other


def same_features(one: Array, other: Array, names: str) -> None:
    """Both sets have features of one kind.

    Raises:
        UsageError: different numbers of features.
    """
    if one.shape[1] != other.shape[1]:
        raise UsageError(
            "These features are of different kinds.",
            where=names,
            found=f"{one.shape[1]} and {other.shape[1]} features",
            expected="the same number for each set",
            fix="Make both by one and the same function.",
        )


def image_set(values: ArrayLike, name: str, *, least: int = 1) -> Array:
    """Images (N, I, J) or volumes (N, I, J, K) as float64.

    Raises:
        UsageError: another number of axes.
        UnsuitableError: fewer than `least` images, or a value that is not finite.
    """
    found = np.asarray(values, np.float64)
    if found.ndim not in (3, 4):
        raise UsageError(
            "These are no sets of images.",
            where=name,
            found=f"shape {found.shape}",
            expected="(images, I, J) or (images, I, J, K)",
            fix="Leave the channel axis out: compare channels one by one.",
        )
    _sound(found, name, least)
    return found


def sample(values: ArrayLike, name: str, *, least: int = 2) -> Array:
    """Numbers (N,) as float64.

    Raises:
        UsageError: not one axis.
        UnsuitableError: fewer than `least`, or a value that is not finite.
    """
    found = np.asarray(values, np.float64)
    if found.ndim != 1:
        raise UsageError(
            "This is no list of numbers.",
            where=name,
            found=f"shape {found.shape}",
            expected="one number for each image",
            fix="Compare one quantity at a time.",
        )
    _sound(found, name, least)
    return found


def positive_count(value: int, name: str, *, most: int | None = None) -> int:
    """A whole number from 1 to `most`.

    Raises:
        UsageError: anything else.
    """
    if isinstance(value, bool) or int(value) != value or value < 1 or (most is not None and value > most):
        raise UsageError(
            f"This cannot be the value of {name}.",
            where=name,
            found=value,
            expected="a whole number of at least 1" + (f" and at most {most}" if most is not None else ""),
            fix=f"Give another {name}" + ("." if most is None else ", or more images."),
        )
    return int(value)


def _sound(found: Array, name: str, least: int) -> None:
    if len(found) < least:
        raise UnsuitableError(
            "There are too few images.",
            where=name,
            found=f"{len(found)}",
            expected=f"at least {least}",
            fix="Give more images.",
        )
    broken = ~np.isfinite(found.reshape(len(found), -1)).all(1)
    if broken.any():
        raise UnsuitableError(
            "Some values are not finite.",
            where=name,
            found=f"{int(broken.sum())} of {len(found)} rows, the first is row {int(broken.argmax())}",
            expected="finite numbers",
            fix="Leave these images out, and say how many.",
        )
