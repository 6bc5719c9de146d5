"""How well a mask fits the truth: pixel by pixel, at the surface, and object by object, under different names.

`pixel_*` figures count pixels (or voxels) of one mask; `object_*` figures count connected components that were found.
F1 and IoU of the same counts are bound by F1 = 2 IoU / (1 + IoU), so a report that mixes the two kinds contradicts
itself (`claims` finds it).

A figure whose denominator is zero is None: it cannot be had, which is not 0.

| mask, truth | pixel_iou, pixel_dice, pixel_f1 | pixel_precision | pixel_recall | hausdorff_mm |
|---|---|---|---|---|
| empty, empty | None | None | None | None |
| empty, not | 0 | None | 0 | inf |
| not, empty | 0 | 0 | None | inf |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import UsageError
from dopascope.score.confusion import Confusion

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

IOU: Final = 0.5
"""Overlap from which on an object counts as found."""

COCO_IOUS: Final = tuple(percent / 100 for percent in range(50, 100, 5))
"""Overlaps that the mean average precision is taken over: .50, .55 to .95 (COCO)."""


def pixel_figures(said: ArrayLike, truth: ArrayLike) -> dict[str, float | None]:
    """`pixel_iou`, `pixel_dice`, `pixel_precision`, `pixel_recall` and `pixel_f1` of a mask.

    Dice and F1 of pixels are the same number; both names are in use.

    Args:
        said: `(...)` of bool or whole numbers; what is not 0 is inside.
        truth: the same shape.

    Raises:
        UsageError: other shapes, or values that are no whole numbers.

    Source: Dice 1945, Ecology 26:297; Jaccard 1912, New Phytologist 11:37.
    """
    counts = Confusion.of(*_masks(said, truth))
    return {
        "pixel_iou": counts.jaccard,
        "pixel_dice": counts.f1,
        "pixel_precision": counts.precision,
        "pixel_recall": counts.sensitivity,
        "pixel_f1": counts.f1,
    }


def hausdorff_mm(
    said: ArrayLike, truth: ArrayLike, spacing_mm: tuple[float, ...], *, percentile: float = 95.0
) -> float | None:
    """Distance between the surfaces of two masks in mm: HD95, or another percentile of the Hausdorff distance.

    A surface is every voxel of the mask with a face neighbour that is not in it; beyond the image nothing is. Each
    voxel of one surface has its distance to the nearest voxel of the other, between centres. The figure is the larger
    of the two 95th percentiles (mask to truth, truth to mask; linear between ranks), as in MONAI, and not the
    percentile of all distances together. 0 says that 95 % of each surface lies on the other one, not that the masks
    are equal.

    Args:
        said: `(I, J)` or `(I, J, K)` of bool or whole numbers; what is not 0 is inside.
        truth: the same shape.
        spacing_mm: of each axis.
        percentile: 100 for the Hausdorff distance itself.

    Returns:
        mm; inf where one mask is empty (nothing is near it, and an average must show that); None where both are.

    Raises:
        UsageError: other shapes, values that are no whole numbers, a spacing that is not above 0, or no percentile.

    Source: Huttenlocher et al. 1993, IEEE TPAMI 15:850 (ranked distances).
    """
    one, other = _masks(said, truth)
    steps = np.asarray(spacing_mm, np.float64)
    if steps.shape != (one.ndim,) or not (np.isfinite(steps).all() and (steps > 0).all()):
        raise _wrong("This spacing cannot be meant.", "spacing_mm", spacing_mm, f"{one.ndim} numbers above 0")
    if not 0 <= percentile <= 100:
        raise _wrong("This is no percentile.", "percentile", percentile, "0 to 100")
    if not one.any() or not other.any():
        return float("inf") if one.any() or other.any() else None
    from scipy.spatial import cKDTree

    here, there = (_surface(mask) * steps for mask in (one, other))
    directed = [cKDTree(b).query(a)[0] for a, b in ((here, there), (there, here))]
    return float(max(np.percentile(distances, percentile) for distances in directed))


def _surface(mask: Mask) -> NDArray[np.int_]:
    """Indices of the voxels with a face neighbour outside, `(N, dimensions)`."""
    from scipy.ndimage import binary_erosion

    return np.argwhere(mask & ~binary_erosion(mask))


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one image: P that were said, T that are true."""

    overlap: Floats
    """IoU of each that was said with each that is true, `(P, T)`."""
    scores: Floats
    """How sure each was said, `(P,)`."""


@dataclass(frozen=True)
class ObjectCounts:
    """Objects found, said in vain and missed, of one image or many."""

    tp: int
    fp: int
    fn: int
    iou: float
    """Overlap from which on an object counts as found."""

    @property
    def object_precision(self) -> float | None:
        """Share of the objects said that are true."""
        return self._counts.precision

    @property
    def object_recall(self) -> float | None:
        """Share of the true objects that were found."""
        return self._counts.sensitivity

    @property
    def object_f1(self) -> float | None:
        """Harmonic mean of the two."""
        return self._counts.f1

    @property
    def _counts(self) -> Confusion:
        return Confusion(self.tp, self.fp, 0, self.fn)  # there is no such thing as a true object that is none


def find_objects(
    said: ArrayLike, truth: ArrayLike, *, score: ArrayLike | None = None, connectivity: int | None = None
) -> Objects:
    """The connected components of a mask and of the truth, and how far each pair overlaps.

    Args:
        said: `(I, J)` or `(I, J, K)` of bool or whole numbers; what is not 0 is inside.
        truth: the same shape.
        score: how sure each pixel is, the same shape; an object's score is its mean. Without it all objects are
            equally sure.
        connectivity: 1 where pixels touch by faces alone, up to the number of axes where corners do; default: corners.

    Raises:
        UsageError: other shapes, values that are no whole numbers, a score that is not finite, or no connectivity.
    """
    from scipy.ndimage import generate_binary_structure, label, mean

    one, other = _masks(said, truth)
    rank = one.ndim if connectivity is None else connectivity
    if rank not in range(1, one.ndim + 1):
        raise _wrong("This connectivity cannot be meant.", "connectivity", connectivity, f"1 to {one.ndim}")
    touching = generate_binary_structure(one.ndim, rank)
    (here, p), (there, t) = (label(mask, touching) for mask in (one, other))
    shared = np.bincount((here * (t + 1) + there).ravel(), minlength=(p + 1) * (t + 1)).reshape(p + 1, t + 1)
    sizes = shared.sum(axis=1)[1:, None] + shared.sum(axis=0)[None, 1:]
    inside = shared[1:, 1:]
    sure = np.ones(one.shape) if score is None else np.asarray(score, np.float64)
    if sure.shape != one.shape or not np.isfinite(sure[one]).all():
        raise _wrong(
            "These scores cannot be meant.", "score", f"shape {sure.shape}", f"{one.shape}, finite in the mask"
        )
    return Objects(inside / (sizes - inside), np.asarray(mean(sure, here, np.arange(1, p + 1)), np.float64))


def object_counts(images: Iterable[Objects], *, iou: float = IOU) -> ObjectCounts:
    """Objects of all images that were found, said in vain and missed.

    Objects are paired one to one: as many pairs as can be that overlap by `iou` or more, and of such pairings the one
    with the largest sum of overlaps. Above .5 there is never a choice.

    Args:
        images: of `find_objects`, one for each image.
        iou: overlap from which on an object counts as found, above 0 to 1.

    Raises:
        UsageError: no such overlap.
    """
    _check_iou(iou)
    tp = fp = fn = 0
    for one in images:
        found = len(_pairs(one.overlap, iou)[0])
        said, true = one.overlap.shape
        tp, fp, fn = tp + found, fp + said - found, fn + true - found
    return ObjectCounts(tp, fp, fn, iou)


def object_average_precision(images: Iterable[Objects], *, iou: float = IOU) -> float | None:
    """Area under object precision over object recall at all points, each precision the best at its recall or above.

    In each image, objects are paired from the surest to the least sure, each with the true object left that it overlaps
    most; equally sure ones together. 0 where nothing was said; None where nothing is true.

    Args:
        images: of `find_objects`, one for each image; scores must be comparable between images.
        iou: overlap from which on an object counts as found, above 0 to 1.

    Raises:
        UsageError: no such overlap.

    Source: Everingham et al. 2015, IJCV 111:98 (all points); Lin et al. 2014, ECCV, 740 (pairing by score).
    """
    _check_iou(iou)
    known = list(images)
    true = sum(one.overlap.shape[1] for one in known)
    if not true:
        return None
    scores = np.concatenate([one.scores for one in known])
    hits = np.concatenate([object_hits(one, iou) for one in known])
    return area_of_hits(scores, hits, np.ones(len(scores)), true)


def area_of_hits(scores: Floats, hits: Floats, weights: Floats, true: float) -> float:
    """`object_average_precision` of objects whose partners are known.

    Args:
        scores: how sure each was said, `(P,)`.
        hits: 1 for each that has a partner, else 0, `(P,)`; see `object_hits`.
        weights: how often each counts, `(P,)`.
        true: how many objects are true, above 0.
    """
    levels, at = np.unique(-scores, return_inverse=True)
    found = np.cumsum(np.bincount(at, hits * weights, len(levels)))
    said = np.cumsum(np.bincount(at, weights, len(levels)))
    shares = np.divide(found, said, out=np.zeros(len(levels)), where=said > 0)
    best = np.maximum.accumulate(shares[::-1])[::-1]
    return float(np.sum(np.diff(found / true, prepend=0) * best))


def object_map(images: Iterable[Objects]) -> float | None:
    """`object_average_precision` averaged over the overlaps .50, .55 to .95: the mAP of COCO for one class.

    COCO reads the curve at 101 recalls; here all its points count. None where nothing is true.

    Source: Lin et al. 2014, ECCV, 740.
    """
    known = list(images)
    found = [object_average_precision(known, iou=iou) for iou in COCO_IOUS]
    values = [one for one in found if one is not None]
    return float(np.mean(values)) if values else None


def object_hits(image: Objects, iou: float) -> Floats:
    """1 for each object said that has a partner, 0 for the others, `(P,)`."""
    hits, free = np.zeros(len(image.scores)), np.arange(image.overlap.shape[1])
    able = np.flatnonzero((image.overlap >= iou).any(axis=1))
    for score in np.unique(image.scores[able])[::-1]:
        group = able[image.scores[able] == score]
        rows, columns = _pairs(image.overlap[np.ix_(group, free)], iou)
        hits[group[rows]] = 1
        free = np.delete(free, columns)
    return hits


def _pairs(overlap: Floats, iou: float) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Rows and columns of the most pairs that overlap by `iou`, and of these of the largest sum of overlaps."""
    from scipy.optimize import linear_sum_assignment

    enough = overlap >= iou
    # A pair is worth more than all overlaps together.
    rows, columns = linear_sum_assignment(enough * (1 + overlap / (min(overlap.shape) + 1)), maximize=True)
    kept = enough[rows, columns]
    return rows[kept], columns[kept]


def _masks(said: ArrayLike, truth: ArrayLike) -> tuple[Mask, Mask]:
    one, other = np.asarray(said), np.asarray(truth)
    if one.shape != other.shape or not one.ndim or one.dtype.kind not in "biu" or other.dtype.kind not in "biu":
        raise UsageError(
            "These are no two masks of one image.",
            where="said, truth",
            found=f"shapes {one.shape} and {other.shape}, {one.dtype} and {other.dtype}",
            expected="one shape; bool or whole numbers, 0 outside",
            fix="Bring both on one grid, and cut probabilities at a threshold first.",
        )
    return one.astype(bool), other.astype(bool)


def _check_iou(iou: float) -> None:
    if not 0 < iou <= 1:
        raise _wrong("This overlap cannot be meant.", "iou", iou, "above 0, up to 1")


def _wrong(what: str, where: str, found: object, expected: str) -> UsageError:
    return UsageError(what, where=where, found=found, expected=expected, fix="Correct it.")
