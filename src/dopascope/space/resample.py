"""Sampling an image on another grid. The class of the image decides: a Volume is interpolated, a LabelMap never.

No smoothing is done before sampling coarser than the image: a DaT scan (6 to 16 mm FWHM) holds nothing finer
than the 2 mm grid can carry, and labels must not be smoothed at all. Who reduces a sharper image by a large
factor smooths it first.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UsageError
from dopascope.volume import Grid, LabelMap, Step, Volume

Image = TypeVar("Image", Volume, LabelMap)
Method = Literal["linear", "cubic"]
Outside = float | Literal["nearest"]

_ALIGNED: Final = 1e-6
"""Off-axis drift, in image voxels over the whole target grid, below which grids count as parallel."""


def resample(
    image: Image,
    grid: Grid,
    *,
    to_image: ArrayLike | None = None,
    outside: Outside = 0.0,
    method: Method = "linear",
) -> Image:
    """`image` sampled at the voxel centres of `grid`.

    Args:
        image: a Volume (linear or cubic spline) or a LabelMap (always the nearest voxel).
        grid: where to sample.
        to_image: `(4, 4)`, world mm of `grid` to world mm of the image; identity when omitted.
        outside: the value beyond the outer faces of the image's edge voxels, or `"nearest"` for the edge voxel.
            Between the centre and the outer face of an edge voxel the voxel's own value is used.
        method: `linear` or `cubic`, for a Volume only.

    Raises:
        UsageError: an unknown method, or `cubic` for labels.
    """
    if method not in ("linear", "cubic") or (isinstance(image, LabelMap) and method != "linear"):
        raise UsageError(
            "This interpolation is not possible here.",
            where="resample(method=...)",
            found=f"{method!r} for a {type(image).__name__}",
            expected="'linear' or 'cubic' for a Volume; labels always take the nearest voxel",
            fix="Leave out method=, or pass a Volume.",
        )
    move = np.eye(4) if to_image is None else np.asarray(to_image, float)
    index = np.linalg.inv(image.grid.affine) @ move @ grid.affine
    labels = isinstance(image, LabelMap)
    kind = "nearest" if labels else method
    step = Step(
        "resample",
        {
            "shape": list(grid.shape),
            "affine": grid.affine.tolist(),
            "to_image": move.tolist(),
            "method": kind,
            "outside": outside,
        },
    )
    return image.with_data(_sample(image.data, index, grid.shape, outside, kind), step, grid)


def _sample(
    data: NDArray[Any], index: NDArray[np.float64], shape: tuple[int, int, int], outside: Outside, kind: str
) -> NDArray[Any]:
    along = _source_axes(index, shape)
    if kind == "nearest":
        sampled = _nearest(data, index, shape)
    elif along is not None and kind == "linear" and np.isfinite(np.sum(data, dtype=np.float64)):
        # A dense product would spread one NaN over its whole line, hence only for finite data.
        sampled = _separable(data, index, shape, along)
    else:
        from scipy.ndimage import affine_transform

        sampled = affine_transform(
            data, index[:3, :3], index[:3, 3], output_shape=shape, order=3 if kind == "cubic" else 1, mode="nearest"
        )
    if outside != "nearest":
        _blank(sampled, index, data.shape, along, outside)
    return sampled


def _coordinate(index: NDArray[np.float64], shape: tuple[int, int, int], axis: int) -> NDArray[np.float64]:
    """Image index along `axis` for every target voxel, broadcastable to `shape`."""
    i, j, k = (np.arange(n) for n in shape)
    row = index[axis]
    across = row[0] * i[:, None] + row[1] * j[None, :] + row[3]
    total: NDArray[np.float64] = across[:, :, None] + row[2] * k
    return total


def _blank(
    sampled: NDArray[Any],
    index: NDArray[np.float64],
    size: tuple[int, ...],
    along: tuple[int, int, int] | None,
    value: float,
) -> None:
    """Write `value` wherever the target voxel lies beyond the outer faces of the image."""
    shape = (sampled.shape[0], sampled.shape[1], sampled.shape[2])
    for axis in range(3):
        if along is None:
            at = _coordinate(index, shape, axis)
            sampled[(at < -0.5 - _ALIGNED) | (at > size[axis] - 0.5 + _ALIGNED)] = value
        else:
            at = index[axis, along[axis]] * np.arange(shape[along[axis]]) + index[axis, 3]
            beyond = (at < -0.5 - _ALIGNED) | (at > size[axis] - 0.5 + _ALIGNED)
            np.moveaxis(sampled, along[axis], 0)[beyond] = value


def _nearest(data: NDArray[Any], index: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[Any]:
    at = []
    for axis in range(3):
        rounded = np.floor(_coordinate(index, shape, axis) + 0.5).astype(np.intp)
        at.append(np.clip(rounded, 0, data.shape[axis] - 1))
    taken: NDArray[Any] = data[at[0], at[1], at[2]]
    return taken


def _source_axes(index: NDArray[np.float64], shape: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """For each image axis the one target axis it runs along, or None when the grids are not parallel."""
    drift = np.abs(index[:3, :3]) * (np.array(shape) - 1)
    along = np.abs(index[:3, :3]).argmax(axis=1)
    rest = drift.copy()
    rest[np.arange(3), along] = 0
    if sorted(along) != [0, 1, 2] or rest.max() > _ALIGNED:
        return None
    return int(along[0]), int(along[1]), int(along[2])


def _separable(
    data: NDArray[Any], index: NDArray[np.float64], shape: tuple[int, int, int], along: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Linear interpolation between parallel grids: one small matrix product for each axis."""
    weights = []
    for axis in range(3):
        at = index[axis, along[axis]] * np.arange(shape[along[axis]]) + index[axis, 3]
        weights.append(_linear_weights(at, data.shape[axis]))
    # First axis first: each product works on memory in its own order, without a copy, and scans have more voxels than
    # the MNI grid along the first two axes, fewer along the last.
    turned: NDArray[Any] = np.ascontiguousarray(data, np.float32)
    turned = (weights[0] @ turned.reshape(len(turned), -1)).reshape(-1, *turned.shape[1:])
    turned = (weights[1] @ turned) @ weights[2].T
    # Axis a of the product runs along target axis along[a].
    return np.ascontiguousarray(turned.transpose([along.index(target) for target in range(3)]))


def _linear_weights(at: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """`(len(at), size)` weights of linear interpolation at fractional indices `at`, clamped to the ends."""
    at = np.clip(at, 0, size - 1)
    low = np.minimum(at.astype(np.intp), max(size - 2, 0))
    weights = np.zeros((len(at), size), np.float32)
    rows = np.arange(len(at))
    weights[rows, low] = 1 - (at - low)
    if size > 1:
        weights[rows, low + 1] = at - low
    return weights
