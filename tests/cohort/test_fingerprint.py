"""What the camera alone tells of the label: all where it is confounded, nothing where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dopascope.cohort import CohortScan
from dopascope.cohort.fingerprint import Predicted, fingerprint, one_line, predicted_labels
from dopascope.geometry import from_parts
from dopascope.volume import Acquisition, Grid


def cohort(labels: np.ndarray, scans_each: int = 1) -> list[CohortScan]:
    return [
        CohortScan(f"{n}-{k}", Path("x"), {"participant_id": f"p{n}", "label": "PD" if label else "control"})
        for n, label in enumerate(labels)
        for k in range(scans_each)
    ]


def predicted(labels: np.ndarray, cameras: np.ndarray, scans_each: int = 1) -> Predicted:
    marks = [str(one) for one in np.repeat(cameras, scans_each)]
    return next(one for one in predicted_labels(cohort(labels, scans_each), marks) if one.label == "PD")


def test_a_confounded_camera_tells_the_label() -> None:
    labels = np.arange(100) % 2 == 0
    found = predicted(labels, labels.astype(int))
    assert found.auroc is not None
    assert found.auroc.low > 0.9
    assert found.tells
    partly = np.where(np.arange(100) % 5 == 0, ~labels, labels).astype(int)
    found = predicted(labels, partly)
    assert found.auroc is not None
    assert found.auroc.value == pytest.approx(0.8, abs=0.03)
    assert found.auroc.low < 0.8 < found.auroc.high
    assert found.tells


@pytest.mark.slow
def test_a_camera_that_says_nothing_comes_out_at_one_half_on_average_and_is_not_told_of() -> None:
    values, told, held = [], 0, 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        found = predicted(rng.random(80) < 0.3, rng.integers(0, 4, 80))
        assert found.auroc is not None
        values.append(found.auroc.value)
        told += found.tells
        held += found.auroc.low <= 0.5 <= found.auroc.high
    assert np.mean(values) == pytest.approx(0.5, abs=0.06)
    assert told <= 2
    assert held >= 27


def test_a_weak_connection_is_told_of_where_the_wide_interval_would_hide_it() -> None:
    told, above_half = 0, 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        labels = np.arange(150) % 2 == 0
        leaning = rng.choice(4, 150, p=[0.1, 0.2, 0.3, 0.4])
        found = predicted(labels, np.where(labels, leaning, rng.integers(0, 4, 150)))
        assert found.auroc is not None
        told += found.tells
        above_half += found.auroc.low > 0.5
    assert above_half < told
    assert told >= 5


def test_many_scans_of_a_person_are_not_many_people() -> None:
    """Each person has a camera of his own: his other scans would tell his label, other people's do not."""
    labels = np.arange(40) % 2 == 0
    found = predicted(labels, np.arange(40), scans_each=5)
    assert found.auroc is not None
    assert found.auroc.value == 0.5
    assert not found.tells
    assert (found.auroc.n, found.auroc.people) == (200, 40)


def test_a_person_with_two_labels_has_no_pair_with_himself() -> None:
    scans = cohort(np.arange(20) % 2 == 0)
    for label in ("PD", "control"):
        scans.append(CohortScan(f"both-{label}", Path("x"), {"participant_id": "both", "label": label}))
    with np.errstate(all="raise"):
        found = predicted_labels(scans, [*"ab" * 10, "own", "a"])[0]
    assert found.auroc is not None
    assert (found.auroc.n, found.auroc.people) == (22, 21)
    assert found.tells


def test_the_figure_does_not_depend_on_the_order_of_rows() -> None:
    rng = np.random.default_rng(3)
    labels, cameras = rng.random(60) < 0.5, rng.integers(0, 3, 60)
    scans, marks = cohort(labels), [str(one) for one in cameras]
    order = rng.permutation(60)
    one = predicted_labels(scans, marks)
    other = predicted_labels([scans[n] for n in order], [marks[n] for n in order])
    assert [a.auroc.value for a in one if a.auroc] == pytest.approx([a.auroc.value for a in other if a.auroc])


def test_too_few_people_and_one_label_have_no_figure() -> None:
    found = predicted(np.arange(30) < 4, np.arange(30) % 2)
    assert (found.auroc, found.tells) == (None, False)
    assert "fewer than 5 people" in found.reason
    assert predicted_labels(cohort(np.zeros(9, bool)), ["a"] * 9) == []


def test_a_fingerprint_names_what_is_stated_and_no_slices() -> None:
    grid = Grid((128, 128, 50), from_parts(np.eye(3), (3.3, 3.3, 4.0), (0, 0, 0)))
    facts = fingerprint(Acquisition(manufacturer="GE", reconstruction="OSEM  8i8s", attenuation_corrected=False), grid)
    assert one_line(facts) == "GE, OSEM 8i8s, attenuation no, 128 x 128, 3.30 x 3.30 x 4.00 mm"
