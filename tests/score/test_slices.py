"""Figures of a set of slices against the figures of all their pixels and objects, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope.errors import UsageError
from dopascope.score import find_objects, object_counts, object_map, pixel_figures
from dopascope.score.slices import PEOPLE, SLICES, Judged, _Table, figures_of, interval_of, judge, slice_draws

SHAPE = (17, 23)


def blobs(seed: int, count: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Masks, truths and scores that overlap here and there; some are empty."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        field = gaussian_filter(rng.normal(size=(2, *SHAPE)), (0, 2, 2))
        truth = field[0] > 0.15 if number % 4 else np.zeros(SHAPE, bool)
        said = 0.75 * field[0] + 0.25 * field[1] > 0.13
        found.append((said, truth, rng.random(SHAPE).astype(np.float32)))
    return found


def judged(seed: int = 1, count: int = 9, people: int = 3) -> list[Judged]:
    return [
        judge(said, truth, f"p{number % people}", score=score, pixel_mm=1.5)
        for number, (said, truth, score) in enumerate(blobs(seed, count))
    ]


def test_pixels_are_pooled_and_objects_are_counted_over_all_slices() -> None:
    known = blobs(1, 9)
    found = figures_of(judged(), draws=20)
    pooled = pixel_figures(np.stack([one[0] for one in known]), np.stack([one[1] for one in known]))
    for name, value in pooled.items():
        assert found[name]["value"] == pytest.approx(value)
    objects = [find_objects(said, truth, score=score) for said, truth, score in known]
    counts = object_counts(objects)
    assert found["object_counts"] == {"tp": counts.tp, "fp": counts.fp, "fn": counts.fn, "iou": 0.5}
    assert found["object_precision"]["value"] == counts.object_precision
    assert found["object_f1"]["value"] == counts.object_f1
    assert found["object_map"]["value"] == pytest.approx(object_map(objects))
    assert found["pixel_iou"]["n"] == 9
    assert found["pixel_iou"]["people"] == 3


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=9, max_size=9).filter(any))
def test_a_slice_that_counts_twice_is_as_two_slices(times: list[int]) -> None:
    known = judged()
    repeated = [one for one, n in zip(known, times, strict=True) for _ in range(n)]
    weighed = _Table.of(known).figures(np.array(times, float))
    plain = _Table.of(repeated).figures(np.ones(len(repeated)))
    assert weighed == pytest.approx(plain, nan_ok=True)


def test_intervals_hold_the_value_and_the_same_seed_gives_the_same() -> None:
    found, again = figures_of(judged(), draws=200), figures_of(judged(), draws=200)
    assert found == again
    for name in ("pixel_iou", "object_f1", "object_map", "hausdorff95_mm"):
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
    assert found["pixel_iou"]["low"] < found["pixel_iou"]["high"]


def test_whole_people_are_drawn_where_there_are_enough() -> None:
    people = [f"p{number // 4}" for number in range(24)]
    assert interval_of(people) == PEOPLE
    assert interval_of(people[:16]) == SLICES
    for times in slice_draws(people, draws=30):
        assert (times.reshape(6, 4) == times.reshape(6, 4)[:, :1]).all()
        assert times.sum() == 24
    several = np.array(list(slice_draws(people[:16], draws=30)))
    assert (several.reshape(30, 4, 4).sum(axis=2) == 4).all(), "each person keeps its number of slices"
    assert len(np.unique(several, axis=0)) > 25


def test_what_cannot_be_had_is_null_with_its_reason() -> None:
    nothing = np.zeros(SHAPE, bool)
    found = figures_of([judge(nothing, nothing, "p1"), judge(nothing, nothing, "p2")], draws=10)
    for name in ("pixel_iou", "pixel_precision", "object_recall", "object_map", "hausdorff95_mm"):
        assert found[name]["value"] is None
        assert found[name]["reason"]
    with pytest.raises(UsageError):
        figures_of([])


def test_surfaces_are_measured_where_a_pixel_has_a_size_and_both_masks_are_there() -> None:
    mask, moved = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    mask[4:9, 4:12], moved[4:9, 6:14] = True, True
    assert judge(moved, mask, "p1", pixel_mm=1.5).hausdorff95_mm == pytest.approx(3.0)
    assert judge(moved, mask, "p1").hausdorff95_mm is None
    assert judge(np.zeros(SHAPE, bool), mask, "p1", pixel_mm=1.5).hausdorff95_mm is None
    found = figures_of([judge(moved, mask, "p1", pixel_mm=1.5), judge(moved, mask, "p1")], draws=10)
    assert found["hausdorff95_mm"]["n"] == 1
