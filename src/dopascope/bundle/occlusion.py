"""Where an answer comes from: cover one patch of the picture at a time and see how the answer moves.

Occlusion sensitivity: Zeiler and Fergus, ECCV 2014, doi 10.1007/978-3-319-10590-1_53. Here a patch is replaced
by the background, the median of the brain outside the striatum, and the change of the mean logit is recorded:
probabilities near 0 or 1 hardly move whatever is covered, logits do.

What it cannot show: background put where uptake is missing changes nothing, so a lost putamen is seen through
the uptake that is left around it. Pass a normal picture as `fill` to ask what normal uptake there would change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope import atlas
from dopascope.bundle import view
from dopascope.bundle.answer import grade_probabilities, logits_of
from dopascope.bundle.predictor import Bundle
from dopascope.errors import UsageError
from dopascope.space import views
from dopascope.volume import MNI_2MM, Step, Volume

Floats = NDArray[np.float32]

PATCH_MM: Final = 14.0
"""A little above the resolution of a clinical DaT scan: a smaller patch is filled in from around by the blur."""
STRIDE_MM: Final = 10.0
"""Patches overlap by a third of their width; about 160 cover the brain, and five networks answer for all of them
in a second on one core."""
STRIATUM_MARGIN_MM: Final = 6.0
"""The striatum on the slab is widened by half the resolution before the share inside it is taken."""
BRAIN_FROM: Final = 0.5
"""A pixel belongs to the brain when the tissue map says so for half the slab."""

MEANING: Final = (
    "Change of the answer when a patch of {patch:g} mm is replaced by {fill}: positive where the scan as it is speaks "
    "for 'reduced', negative where it speaks for 'normal'. Unit: {unit}."
)


@dataclass(frozen=True, eq=False)
class Evidence:
    """An occlusion map and how much of it lies where the disease is."""

    bundle_id: str
    output: str
    """The group of networks that was asked."""
    map: Floats
    """`(91, 109)` on the view's plane, x from left to right (RAS); 0 where nothing was covered."""
    share_inside_striatum: float
    """Part of the sum of absolute values that lies inside the striatum with its margin, 0 to 1."""
    area_inside_striatum: float
    """Part of the covered area that lies there: the share that an even map would have."""
    score: float
    """The answer on the whole picture, in `unit`."""
    unit: str
    meaning: str
    patch_mm: float
    stride_mm: float
    positions: int

    def as_volume(self, scan: Volume | None = None) -> Volume:
        """The map on `MNI_2MM`, the same on every slice of the slab and 0 elsewhere; history continues `scan`'s."""
        data = np.zeros(MNI_2MM.shape, np.float32)
        data[:, :, views.SLAB_12MM] = self.map[:, :, None]
        params = {
            "bundle": self.bundle_id,
            "output": self.output,
            "patch_mm": self.patch_mm,
            "stride_mm": self.stride_mm,
        }
        step = Step("occlusion", params)
        return Volume(data, MNI_2MM, history=(step,)) if scan is None else scan.with_data(data, step, MNI_2MM)


def occlusion(
    bundle: Bundle,
    scan: Volume | ArrayLike,
    *,
    patch_mm: float = PATCH_MM,
    stride_mm: float = STRIDE_MM,
    fill: ArrayLike | None = None,
) -> Evidence:
    """The evidence map of one bundle on one scan.

    For a bundle with votes the score is the mean logit of the group that gives the probability; for a regional
    bundle the expected grade (0 normal, 4 almost missing), averaged over the regions. Each pixel gets the
    mean change over the patches that cover it.

    Args:
        bundle: a classifier.
        scan: raw intensities on `MNI_2MM`, or the view `(I, J)` in units of the intensity reference.
        patch_mm: edge of the square that is covered.
        stride_mm: distance between neighbouring patches.
        fill: a picture `(I, J)` in the same units to cover with; None for the background.

    Raises:
        UsageError: the bundle is not a classifier, or patch and stride leave gaps or are below a voxel.
        UnsuitableError: the scan cannot be scaled, or has values that are not finite.
        BundleError: the model fails.
    """
    bundle.require_classifier()
    patch, stride = _pixels(patch_mm), _pixels(stride_mm)
    if not 1 <= stride <= patch:
        raise UsageError(
            "Patch and stride do not cover the picture.",
            where="patch_mm, stride_mm",
            found=f"{patch_mm:g}, {stride_mm:g} mm",
            expected="2 mm <= stride <= patch",
            fix="Make the patch larger or the stride smaller.",
        )
    wanted = bundle.spec.input
    picture = view.take(scan, wanted) if isinstance(scan, Volume) else view.checked(scan, wanted)
    cover = _background(picture) if fill is None else view.checked(fill, wanted)
    corners = _corners(bundle, patch, stride)
    scores = _scores(bundle, np.concatenate([picture[None], _covered(picture, cover, corners, patch)]))
    painted = _paint(scores[0] - scores[1:], corners, patch)
    inside, covered = _striatum(), _touched(corners, patch)
    total = float(np.abs(painted).sum())
    named = "the median of the brain outside the striatum" if fill is None else "the same patch of another picture"
    output, unit = _asked(bundle)
    return Evidence(
        bundle_id=bundle.id,
        output=output,
        map=painted,
        share_inside_striatum=float(np.abs(painted[inside]).sum()) / total if total else 0.0,
        area_inside_striatum=float((inside & covered).sum() / covered.sum()),
        score=float(scores[0]),
        unit=unit,
        meaning=MEANING.format(patch=patch * 2, fill=named, unit=unit),
        patch_mm=patch * 2.0,
        stride_mm=stride * 2.0,
        positions=len(corners),
    )


def _pixels(millimetres: float) -> int:
    return round(millimetres / MNI_2MM.spacing_mm[0])


def _asked(bundle: Bundle) -> tuple[str, str]:
    spec = bundle.spec
    if spec.vote is not None:
        return spec.vote.probability, "logit of the probability of 'reduced', mean over the networks"
    if spec.grades is not None:
        return spec.grades.output, "grade (0 normal, 4 almost missing), mean over the regions"
    raise ValueError(f"bundle {bundle.id} is a {spec.kind}")


def _scores(bundle: Bundle, pictures: Floats) -> NDArray[np.float64]:
    """`(B, I, J)` to one number each `(B,)`."""
    name, _ = _asked(bundle)
    raw = bundle.run_one_output(name, pictures)
    if bundle.spec.vote is not None:
        scores: NDArray[np.float64] = logits_of(raw, bundle.spec.outputs[name]).mean(1)
        return scores
    probabilities = grade_probabilities(raw)
    expected: NDArray[np.float64] = (probabilities @ np.arange(probabilities.shape[-1])).mean(-1)
    return expected


def _corners(bundle: Bundle, patch: int, stride: int) -> NDArray[np.int64]:
    """First indices `(N, 2)` of the patches whose middle lies in the brain and in what the model sees."""
    brain = _brain()
    middle = (brain.shape[0] // 2, brain.shape[1] // 2)
    axes = [_starts(*seen, about, patch, stride) for seen, about in zip(_seen(bundle), middle, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    middles = grid + patch // 2
    kept: NDArray[np.int64] = grid[brain[middles[:, 0], middles[:, 1]]]
    return kept


def _starts(low: int, high: int, about: int, patch: int, stride: int) -> NDArray[np.int64]:
    """First indices of patches inside `[low, high)`, one of them centred on `about`.

    On the x axis that is the midline, so that left and right are covered alike where `patch` is odd.
    """
    first = about - patch // 2
    first -= (first - low) // stride * stride
    return np.arange(first, high - patch + 1, stride)


def _seen(bundle: Bundle) -> list[tuple[int, int]]:
    """The index range on each axis of the unflipped view that reaches the model."""
    wanted = bundle.spec.input
    (x_low, x_high), *others = wanted.crop
    if wanted.flip_x:
        size = view.VIEWS[wanted.view][1][0]
        x_low, x_high = size - x_high, size - x_low
    return [(x_low, x_high), *others]


def _covered(picture: Floats, cover: Floats, corners: NDArray[np.int64], patch: int) -> Floats:
    """One copy of the picture for each corner, with that patch replaced: `(N, I, J)`."""
    copies = np.repeat(picture[None], len(corners), axis=0)
    for copy, (i, j) in zip(copies, corners, strict=True):
        copy[i : i + patch, j : j + patch] = cover[i : i + patch, j : j + patch]
    return copies


def _paint(changes: NDArray[np.float64], corners: NDArray[np.int64], patch: int) -> Floats:
    total = np.zeros(_brain().shape)
    count = np.zeros(_brain().shape)
    for change, (i, j) in zip(changes, corners, strict=True):
        total[i : i + patch, j : j + patch] += change
        count[i : i + patch, j : j + patch] += 1
    return (total / np.maximum(count, 1)).astype(np.float32)


def _touched(corners: NDArray[np.int64], patch: int) -> NDArray[np.bool_]:
    touched: NDArray[np.bool_] = _paint(np.ones(len(corners)), corners, patch) > 0
    return touched


def _background(picture: Floats) -> Floats:
    return np.full_like(picture, np.median(picture[_brain() & ~_striatum()]))


@lru_cache
def _brain() -> NDArray[np.bool_]:
    """Pixels of the slab that are brain, `(91, 109)`."""
    mask: NDArray[np.bool_] = views.slab_12mm(atlas.tissue("brain")) >= BRAIN_FROM
    mask.setflags(write=False)
    return mask


@lru_cache
def _striatum() -> NDArray[np.bool_]:
    """Pixels of the slab within the margin of any striatal region, `(91, 109)`."""
    from scipy.ndimage import distance_transform_edt

    labelled = (atlas.striatum_labels().data[:, :, views.SLAB_12MM] > 0).any(-1)
    mask: NDArray[np.bool_] = distance_transform_edt(~labelled, sampling=MNI_2MM.spacing_mm[:2]) <= STRIATUM_MARGIN_MM
    mask.setflags(write=False)
    return mask
