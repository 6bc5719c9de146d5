"""Figures of masks against closed forms, scikit-learn, MONAI and slow definitions."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import gaussian_filter
from sklearn import metrics

from dopascope.claims import shipped
from dopascope.errors import UsageError
from dopascope.score import (
    ObjectCounts,
    Objects,
    find_objects,
    hausdorff_mm,
    object_average_precision,
    object_counts,
    object_map,
    pixel_figures,
)
from dopascope.score.segmentation import COCO_IOUS

SHAPES = array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=7)
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape)))


def blobs(seed: int, shape: tuple[int, ...] = (24, 29, 17), level: float = 0.02) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape)
    return gaussian_filter(noise, 2.5) > level


# --- pixels


@given(PAIRS)
def test_pixel_figures_are_those_of_scikit_learn(pair: Any) -> None:
    said, truth = pair
    found = pixel_figures(said, truth)
    options = {"zero_division": np.nan}
    one, other = truth.ravel(), said.ravel()
    oracle = {
        "pixel_iou": metrics.jaccard_score(one, other) if (one | other).any() else np.nan,
        "pixel_dice": metrics.f1_score(one, other, **options),
        "pixel_f1": metrics.f1_score(one, other, **options),
        "pixel_precision": metrics.precision_score(one, other, **options),
        "pixel_recall": metrics.recall_score(one, other, **options),
    }
    assert found.keys() == oracle.keys()
    for name, value in oracle.items():
        assert found[name] == pytest.approx(value) if np.isfinite(value) else found[name] is None, name


@given(PAIRS)
def test_dice_and_iou_are_bound_and_do_not_ask_who_said_it(pair: Any) -> None:
    said, truth = pair
    there, back = pixel_figures(said, truth), pixel_figures(truth, said)
    assert there["pixel_dice"] == back["pixel_dice"]
    assert there["pixel_iou"] == back["pixel_iou"]
    assert (there["pixel_precision"], there["pixel_recall"]) == (back["pixel_recall"], back["pixel_precision"])
    dice, iou = there["pixel_dice"], there["pixel_iou"]
    if dice is not None and iou is not None:
        assert dice == pytest.approx(2 * iou / (1 + iou))
        assert (iou == 1) == np.array_equal(said, truth)


@pytest.mark.parametrize("shift", range(11))
def test_a_shifted_square_has_the_figures_of_its_geometry(shift: int) -> None:
    side = 10
    truth, said = np.zeros((2, 30, 40), np.uint8)
    truth[8 : 8 + side, 9 : 9 + side] = 3
    said[8 : 8 + side, 9 + shift : 9 + shift + side] = 1
    found = pixel_figures(said, truth)
    assert found["pixel_iou"] == pytest.approx((side - shift) / (side + shift))
    assert found["pixel_dice"] == found["pixel_f1"] == pytest.approx((side - shift) / side)
    assert found["pixel_precision"] == found["pixel_recall"] == pytest.approx((side - shift) / side)
    # One whole side is `shift` away, more than 5 % of the surface.
    assert hausdorff_mm(said, truth, (2.0, 0.7)) == pytest.approx(0.7 * shift)


EMPTY, FULL = np.zeros((3, 4), bool), np.ones((3, 4), bool)


@pytest.mark.parametrize(
    ("said", "truth", "overlap", "precision", "recall", "distance"),
    [
        (EMPTY, EMPTY, None, None, None, None),
        (EMPTY, FULL, 0, None, 0, np.inf),
        (FULL, EMPTY, 0, 0, None, np.inf),
        (FULL, FULL, 1, 1, 1, 0),
    ],
)
def test_figures_of_nothing_and_of_all(
    said: Any, truth: Any, overlap: Any, precision: Any, recall: Any, distance: Any
) -> None:
    assert pixel_figures(said, truth) == {
        "pixel_iou": overlap,
        "pixel_dice": overlap,
        "pixel_f1": overlap,
        "pixel_precision": precision,
        "pixel_recall": recall,
    }
    assert hausdorff_mm(said, truth, (1.0, 1.0)) == distance


@pytest.mark.parametrize(
    ("said", "truth"), [(EMPTY, EMPTY.T), (EMPTY + 0.5, EMPTY), (EMPTY, EMPTY * 1j), (np.True_, np.True_)]
)
def test_what_are_no_two_masks_is_refused(said: Any, truth: Any) -> None:
    for figure in (pixel_figures, find_objects, lambda a, b: hausdorff_mm(a, b, (1.0, 1.0))):
        with pytest.raises(UsageError, match="two masks"):
            figure(said, truth)


# --- surfaces


def slow_hausdorff(one: np.ndarray, other: np.ndarray, spacing: tuple[float, ...], percentile: float) -> float:
    """Every distance between every two surface voxels, the surfaces found neighbour by neighbour."""

    def surface(mask: np.ndarray) -> np.ndarray:
        padded, found = np.pad(mask, 1), []
        for place in np.argwhere(mask):
            steps = np.concatenate([np.eye(mask.ndim, dtype=int), -np.eye(mask.ndim, dtype=int)])
            if not all(padded[tuple(place + 1 + step)] for step in steps):
                found.append(place)
        return np.array(found) * spacing

    apart = np.linalg.norm(surface(one)[:, None] - surface(other)[None], axis=-1)
    return max(np.percentile(apart.min(axis=1), percentile), np.percentile(apart.min(axis=0), percentile))


@settings(deadline=None)
@given(PAIRS, st.lists(st.floats(0.3, 4), min_size=3, max_size=3), st.sampled_from([0, 50, 95, 100]))
def test_distances_are_those_of_the_definition(pair: Any, spacing: list[float], percentile: float) -> None:
    said, truth = pair
    assume(said.any() and truth.any())
    steps = tuple(spacing[: said.ndim])
    found = hausdorff_mm(said, truth, steps, percentile=percentile)
    assert found == pytest.approx(slow_hausdorff(said, truth, steps, percentile), abs=1e-9)
    assert found == hausdorff_mm(truth, said, steps, percentile=percentile)
    assert hausdorff_mm(said, said, steps, percentile=percentile) == 0
    turned = hausdorff_mm(said.T, truth.T, steps[::-1], percentile=percentile)
    assert turned == pytest.approx(found, abs=1e-9)


@settings(deadline=None)
@given(PAIRS)
def test_the_whole_distance_is_zero_for_equal_surfaces_alone(pair: Any) -> None:
    said, truth = pair
    assume(said.any() and truth.any())
    steps = (1.0,) * said.ndim
    surfaces = [mask & ~np.logical_and.reduce([padded_step(mask, step) for step in faces(mask.ndim)]) for mask in pair]
    whole = hausdorff_mm(said, truth, steps, percentile=100)
    assert (whole == 0) == np.array_equal(*surfaces)
    assert hausdorff_mm(said, truth, steps) <= whole


def faces(dimensions: int) -> list[tuple[int, int]]:
    return list(product(range(dimensions), (-1, 1)))


def padded_step(mask: np.ndarray, step: tuple[int, int]) -> np.ndarray:
    """The neighbour of each voxel along one axis; beyond the image there is none."""
    axis, by = step
    rolled = np.roll(np.pad(mask, 1), by, axis)
    return rolled[(slice(1, -1),) * mask.ndim]


def test_a_zero_of_95_percent_does_not_say_that_masks_are_equal() -> None:
    truth = np.zeros((40, 50), bool)
    truth[5:35, 5:45] = True
    said = truth.copy()
    said[4, 20] = True
    assert hausdorff_mm(said, truth, (1.0, 1.0)) == 0
    assert hausdorff_mm(said, truth, (1.0, 1.0), percentile=100) == 1


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.5)])
def test_concentric_spheres_are_apart_by_the_difference_of_their_radii(spacing: tuple[float, float, float]) -> None:
    shape = tuple(int(44 / mm) for mm in spacing)
    places = (np.moveaxis(np.indices(shape), 0, -1) - (np.array(shape) - 1) / 2) * spacing
    radius = np.linalg.norm(places, axis=-1)
    found = hausdorff_mm(radius < 19, radius < 12, spacing)
    assert found == pytest.approx(7, abs=max(spacing) / 2)


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("percentile", [95, 100])
def test_distances_are_those_of_monai(seed: int, percentile: float) -> None:
    pytest.importorskip("monai")
    import torch
    from monai.metrics import compute_hausdorff_distance

    said, truth, spacing = blobs(seed), blobs(seed + 100), (1.0, 0.7, 2.5)
    oracle = compute_hausdorff_distance(
        torch.from_numpy(said[None, None].astype(np.float32)),
        torch.from_numpy(truth[None, None].astype(np.float32)),
        include_background=True,
        percentile=percentile,
        spacing=list(spacing),
    )
    assert hausdorff_mm(said, truth, spacing, percentile=percentile) == pytest.approx(float(oracle), rel=1e-5)


@pytest.mark.parametrize(
    ("spacing", "percentile", "word"),
    [
        ((1.0,), 95, "spacing"),
        ((1.0, 0.0), 95, "spacing"),
        ((1.0, np.nan), 95, "spacing"),
        ((1.0, 1.0), 101, "percentile"),
        ((1.0, 1.0), np.nan, "percentile"),
    ],
)
def test_distances_that_cannot_be_meant_are_refused(spacing: Any, percentile: float, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        hausdorff_mm(FULL, FULL, spacing, percentile=percentile)


# --- objects


def squares(*places: tuple[int, int], side: int = 4) -> np.ndarray:
    made = np.zeros((40, 50), bool)
    for row, column in places:
        made[row : row + side, column : column + side] = True
    return made


def test_objects_are_found_missed_and_said_in_vain() -> None:
    truth = squares((2, 2), (12, 2), (22, 2))
    said = squares((2, 3), (12, 5), (30, 30), (30, 40))  # IoU 3/5, 1/7, nothing, nothing
    found = find_objects(said, truth)
    assert sorted(found.overlap[found.overlap > 0]) == pytest.approx([1 / 7, 3 / 5])
    assert object_counts([found]) == ObjectCounts(1, 3, 2, 0.5)
    assert object_counts([found], iou=0.1) == ObjectCounts(2, 2, 1, 0.1)
    assert object_counts([found], iou=0.61) == ObjectCounts(0, 4, 3, 0.61)
    two = object_counts([found, found])
    assert (two.tp, two.fp, two.fn) == (2, 6, 4)
    assert (two.object_precision, two.object_recall, two.object_f1) == pytest.approx((1 / 4, 1 / 3, 2 / 7))


@settings(deadline=None)
@given(PAIRS.filter(lambda pair: pair[0].ndim == 2), st.sampled_from([1, 2]))
def test_components_and_overlaps_are_those_of_a_flood(pair: Any, connectivity: int) -> None:
    def flood(mask: np.ndarray) -> list[set[tuple[int, int]]]:
        left, found = {tuple(place) for place in np.argwhere(mask).tolist()}, []
        while left:
            part, edge = set(), {min(left)}
            while edge:
                part |= edge
                steps = [s for s in product((-1, 0, 1), repeat=2) if 0 < abs(s[0]) + abs(s[1]) <= connectivity]
                edge = {(r + s[0], c + s[1]) for r, c in edge for s in steps} & left - part
            left -= part
            found.append(part)
        return found

    said, truth = (flood(mask) for mask in pair)
    overlap = find_objects(*pair, connectivity=connectivity).overlap
    expected = np.array([[len(a & b) / len(a | b) for b in truth] for a in said]).reshape(len(said), len(truth))
    # Both count components in the order of their first pixel.
    assert np.allclose(overlap, expected)


def test_corners_touch_unless_faces_are_asked_for() -> None:
    cubes = np.zeros((4, 5, 6), bool)
    cubes[1, 1, 1] = cubes[2, 2, 2] = True
    counts = [len(find_objects(cubes, cubes, connectivity=one).scores) for one in (1, 2, 3, None)]
    assert counts == [2, 2, 1, 1]


OVERLAPS = st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.sampled_from([0, 0.2, 0.3, 0.5, 0.55, 0.6, 0.8, 0.95, 1]))
)


@given(OVERLAPS, st.sampled_from([0.1, 0.25, 0.5, 0.55, 0.95, 1.0]))
def test_no_other_pairing_finds_more(overlap: np.ndarray, iou: float) -> None:
    found = object_counts([Objects(overlap, np.ones(len(overlap)))], iou=iou)
    table = overlap if overlap.shape[0] <= overlap.shape[1] else overlap.T
    rows = range(table.shape[0])
    orders = permutations(range(table.shape[1]), table.shape[0])
    best = max(sum(table[r, c] >= iou for r, c in zip(rows, order, strict=True)) for order in orders)
    assert found.tp == best
    assert (found.tp + found.fp, found.tp + found.fn) == overlap.shape


def test_one_object_never_finds_two() -> None:
    truth = squares((0, 0), side=2) | squares((0, 3), side=2)
    said = np.zeros_like(truth)
    said[0:2, 0:5] = True
    assert object_counts([find_objects(said, truth)], iou=0.3).tp == 1
    assert object_counts([find_objects(truth, said)], iou=0.3).tp == 1


def test_without_objects_there_are_no_figures() -> None:
    nothing = find_objects(EMPTY, EMPTY)
    assert object_counts([nothing, nothing]) == ObjectCounts(0, 0, 0, 0.5)
    assert object_counts([]).object_f1 is None
    missed, vain = find_objects(EMPTY, FULL), find_objects(FULL, EMPTY)
    counts = object_counts([missed])
    assert (counts.object_precision, counts.object_recall, counts.object_f1) == (None, 0, 0)
    counts = object_counts([vain])
    assert (counts.object_precision, counts.object_recall, counts.object_f1) == (0, None, 0)
    assert object_map([nothing]) is object_map([vain]) is object_average_precision([]) is None
    assert object_map([missed]) == 0


# --- average precision


def by_recall(hits: list[bool], true: int) -> float:
    """The best precision at each recall k / true or above, averaged over k: the area, written differently."""
    found, points = 0, []
    for said, hit in enumerate(hits, 1):
        found += hit
        points.append((found, found / said))
    return sum(max([p for k, p in points if k >= wanted], default=0) for wanted in range(1, true + 1)) / true


@given(st.lists(st.booleans(), max_size=8), st.integers(0, 4), st.integers(1, 3))
def test_average_precision_is_the_area_by_all_points(hits: list[bool], missed: int, images: int) -> None:
    true = sum(hits) + missed
    assume(true)
    parts: list[Objects] = []
    for image in range(images):  # deal the objects of one ranked list to several images
        mine = [n for n in range(len(hits)) if n % images == image]
        found = [n for n in mine if hits[n]]
        overlap = np.zeros((len(mine), len(found) + (missed if image == 0 else 0)))
        for column, n in enumerate(found):
            overlap[mine.index(n), column] = 0.75
        parts.append(Objects(overlap, 1.0 - np.array(mine, float) / 10))
    assert object_average_precision(parts) == pytest.approx(by_recall(hits, true))
    assert object_average_precision(parts[::-1]) == pytest.approx(by_recall(hits, true))
    # Found at .75: six of the ten overlaps of COCO.
    share = sum(iou <= 0.75 for iou in COCO_IOUS) / len(COCO_IOUS)
    assert object_map(parts) == pytest.approx(share * by_recall(hits, true))


@given(st.lists(OVERLAPS, min_size=1, max_size=3), st.sampled_from(COCO_IOUS))
def test_equally_sure_objects_are_one_point_of_the_curve(overlaps: list[np.ndarray], iou: float) -> None:
    parts = [Objects(one, np.full(len(one), 0.4)) for one in overlaps]
    counts = object_counts(parts, iou=iou)
    assume(counts.tp + counts.fn)
    expected = counts.object_recall * counts.object_precision if counts.tp + counts.fp else 0  # type: ignore[operator]
    assert object_average_precision(parts, iou=iou) == pytest.approx(expected)


def test_the_surer_object_gets_the_partner() -> None:
    overlap = np.array([[0.9], [0.6]])
    assert object_average_precision([Objects(overlap, np.array([0.2, 0.8]))]) == 1
    assert object_average_precision([Objects(overlap, np.array([0.2, 0.8]))], iou=0.7) == 0.5
    assert object_average_precision([Objects(overlap, np.array([0.8, 0.2]))], iou=0.7) == 1


def test_an_object_is_as_sure_as_its_pixels_on_average() -> None:
    said = squares((2, 2), (20, 20))
    score = np.linspace(0, 1, said.size).reshape(said.shape)
    found = find_objects(said, said, score=score)
    assert found.scores == pytest.approx([score[2:6, 2:6].mean(), score[20:24, 20:24].mean()])
    assert object_map([found]) == 1
    for wrong in (score[:-1], np.where(said, np.nan, score)):
        with pytest.raises(UsageError, match="scores"):
            find_objects(said, said, score=wrong)


def test_coco_overlaps_are_hundredths_and_hold_their_own_ratio() -> None:
    assert (COCO_IOUS[0], COCO_IOUS[-1], len(COCO_IOUS)) == (0.5, 0.95, 10)
    for percent, iou in zip(range(50, 100, 5), COCO_IOUS, strict=True):
        truth, said = np.zeros((2, 1, 100), bool)
        truth[0] = True
        said[0, :percent] = True
        assert object_counts([find_objects(said, truth)], iou=iou).tp == 1


@pytest.mark.parametrize("iou", [0, -0.5, 1.01, np.nan])
def test_an_overlap_that_cannot_be_meant_is_refused(iou: float) -> None:
    for figure in (object_counts, object_average_precision):
        with pytest.raises(UsageError, match="overlap"):
            figure([find_objects(FULL, FULL)], iou=iou)
    with pytest.raises(UsageError, match="connectivity"):
        find_objects(FULL, FULL, connectivity=3)


def test_the_counts_of_s5_are_of_objects_and_its_iou_is_not_theirs() -> None:
    """`audit-claim s5` says that F1 and IoU are not of the same objects; these are the figures of each kind."""
    (claim,) = shipped("s5").sets
    counts = ObjectCounts(claim.counts["tp"], claim.counts["fp"], claim.counts["fn"], 0.5)
    printed = claim.reported
    assert printed["precision"].allows(counts.object_precision)
    assert printed["sensitivity"].allows(counts.object_recall)
    assert printed["f1"].allows(counts.object_f1)
    f1, iou = counts.object_f1, printed["jaccard"].value / 100
    assert f1 is not None
    assert abs(f1 / (2 - f1) - iou) > 0.1
    # A mask with the printed IoU has another F1.
    truth, said = np.zeros((2, 100, 100), bool)
    truth[:] = True
    said.flat[: round(iou * truth.size)] = True
    figures = pixel_figures(said, truth)
    assert figures["pixel_iou"] == pytest.approx(iou, abs=1e-4)
    assert not printed["f1"].allows(figures["pixel_f1"])
    assert set(figures).isdisjoint(name for name in dir(counts) if name.startswith("object_"))
