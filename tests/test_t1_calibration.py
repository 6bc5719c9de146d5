"""The page on T1 studies: no figure typed in by hand, and its arithmetic against closed forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

import t1_calibration
import t1_studies
from dopascope.cohort import leaks
from dopascope.cohort.splits import Place
from dopascope.score import Estimate


def recorded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_the_page_is_made_from_the_figures() -> None:
    wanted = t1_calibration.page(recorded(t1_calibration.RESULTS), recorded(t1_calibration.WALK))
    assert t1_calibration.PAGE.read_text(encoding="utf-8") == wanted


def test_the_walk_stands_beside_matched_nulls() -> None:
    """Commands are those that the script runs today, in its order; each study has its null and the baselines."""
    walk = recorded(t1_calibration.WALK)
    words = [one["words"] for one in walk["steps"]]
    assert words == list(t1_studies.STEPS[: len(words)])
    assert list(walk["studies"]) == [name for name in t1_studies.STUDIES if f"study run {name} " in "\n".join(words)]
    expected = {"s5": ("grey", "pseudocolour"), "s2": ("scratch", "stand-in")}
    for name, told in walk["studies"].items():
        assert [(one["null"], one["of"]) for one in told["matched_nulls"]] == [expected[name]]
        assert {"answer", expected[name][0], "majority", "volumes-logistic"} == set(told["readers"])


def test_the_recorded_intervals_hold_one_half_as_often_as_they_should() -> None:
    """Those of a held-out test, and those of folds that allow for what their models share; not those that do not."""
    null = recorded(t1_calibration.RESULTS)["null"]
    assert null["seeds"] == 200
    for name in ("allowing_for_folds", "held_out"):
        assert 0.90 <= null[name]["hold_half"] <= 0.98, name
    assert null["people_drawn"]["hold_half"] < null["allowing_for_folds"]["hold_half"]


@pytest.mark.parametrize("d", [0.16, 0.5, 2.0])
def test_what_a_difference_allows_is_that_of_two_normal_distributions(d: float) -> None:
    """AUROC = P(x > y), x and y normal, d apart."""
    allowed = t1_calibration._phi(d / np.sqrt(2))
    grid = np.linspace(-9, 9, 4001)
    assert allowed == pytest.approx(np.trapezoid(norm.pdf(grid, d) * norm.cdf(grid), grid), abs=1e-6)


def test_coverage_counts_intervals_that_hold_one_half() -> None:
    found = [Estimate(0.5, 0.4, 0.6, 60, 60), Estimate(0.7, 0.6, 0.8, 60, 60), Estimate(0.3, 0.2, 0.4, 60, 60)]
    told = t1_calibration._coverage([*found, found[0]])
    assert (told["hold_half"], told["above"], told["below"]) == (0.5, 1, 1)


def test_a_large_planted_difference_is_found() -> None:
    seen = t1_calibration._cohort(3, 200, 3.0)
    one = t1_calibration._auroc(seen, 1)
    assert one.low > 0.5
    assert abs(one.value - t1_calibration._phi(0.48 / np.sqrt(2))) < 0.12
    places = [Place("1", role, scan.name, str(scan.person)) for scan in seen.scans for role in ("train", "test")]
    assert len(leaks.leaks(seen.scans, places, contents=False)) == 200, "each person stands on both sides"
