"""The page of a study: its aggregator against S3's printed table, and what it says in words."""

from __future__ import annotations

from typing import Any

from dopascope.claims import shipped
from dopascope.report import study_words
from dopascope.report.study import _fold_means


def test_s3s_table_has_the_mean_that_its_rows_have() -> None:
    """Weighted by fold size .9659, where the paper prints .9645: it divided by one scan too many (audit-claim s3)."""
    tables = {one.name: one for one in shipped("s3").folds}
    validation, training, loss = (
        [float(one.value) for one in tables[name].values]
        for name in ("validation accuracy", "training accuracy", "validation loss")
    )
    sizes = tables["validation accuracy"].sizes
    folds = [
        {
            "accuracy": accuracy,
            "train_accuracy": trained,
            "log_loss": lost,
            "train_log_loss": 0.0,
            "auroc": 1.0,
            "n": size,
            "train_n": 659 - size,
        }
        for accuracy, trained, lost, size in zip(validation, training, loss, sizes, strict=True)
    ]
    means = _fold_means(folds)
    assert round(means["accuracy"][0], 4) == 0.9659
    assert round(means["train_accuracy"][0], 4) == 0.9892
    assert round(means["log_loss"][0], 4) == 0.1331
    assert round(means["accuracy"][0] * 659 / 660, 4) == 0.9645


def slope(low: float, high: float) -> dict[str, Any]:
    calibration = {"slope": 1.1, "slope_interval": (low, high), "intercept": 0.0, "intercept_interval": (-1.0, 1.0)}
    return {"readers": {"answer": {"calibration": calibration, "ece": {"value": 0.1, "by_chance": 0.05}}}}


def test_a_slope_is_said_to_contain_one_or_not() -> None:
    assert "contains 1" in study_words.calibration(slope(0.8, 1.4), {})[1]
    assert "does not contain 1" in study_words.calibration(slope(1.05, 1.4), {})[1]
    none = {
        "readers": {"answer": {"calibration": {"slope": None, "reason": "apart"}, "ece": {"value": 0, "by_chance": 0}}}
    }
    told = study_words.calibration(none, {"1": {"reason": "no inner folds"}, "2": {"reason": "no inner folds"}})
    assert "apart" in told[1]
    assert len(told) == 3


def test_words_for_what_cannot_be_had() -> None:
    assert study_words.estimate({"value": None, "reason": "none to count"}) == "none to count"
    assert study_words.subgroup({"by": "camera", "group": "x", "n": 3, "reason": "too few"}) == (
        "camera: x",
        3,
        ["too few", "", ""],
    )
    assert study_words.seed_noise({"slab": {"seeds": 1, "reason": "one seed"}}) == ["slab: one seed."]
    small = {"figure": "auroc", "less": "s1", "value": 0.01, "low": -0.1, "high": 0.1, "p_holm": 0.0001}
    assert study_words.difference(small)[2] == "< 0.001"
