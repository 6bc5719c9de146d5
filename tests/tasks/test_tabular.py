"""Simple models and the numbers they are given."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope.errors import UnsuitableError
from dopascope.score import auroc
from dopascope.tasks import tabular
from dopascope.tasks.tabular import SBR_FEATURES, SHAPE_FEATURES, Tabular

RATIOS = {
    f"{structure}_{side}": value + (0.1 if side == "left" else 0.0)
    for structure, value in (
        ("caudate", 2.0),
        ("putamen", 1.0),
        ("anterior_putamen", 1.5),
        ("posterior_putamen", 0.5),
        ("striatum", 1.4),
    )
    for side in ("left", "right")
}


def test_features_are_blind_to_the_side() -> None:
    turned = {"left": "right", "right": "left"}
    mirrored = {f"{one.rsplit('_', 1)[0]}_{turned[one.rsplit('_', 1)[1]]}": value for one, value in RATIOS.items()}
    assert tabular.sbr_features(RATIOS) == tabular.sbr_features(mirrored)
    found = dict(zip(SBR_FEATURES, tabular.sbr_features(RATIOS), strict=True))
    assert found["lower_putamen"] == 1.0
    assert found["higher_caudate"] == 2.1
    assert found["putamen_difference"] == pytest.approx(0.1)
    assert found["caudate_less_putamen"] == pytest.approx(1.0)


def test_a_ratio_that_could_not_be_had_is_not_a_number() -> None:
    found = dict(zip(SBR_FEATURES, tabular.sbr_features(RATIOS | {"putamen_left": None}), strict=True))
    assert np.isnan([found["lower_putamen"], found["putamen_difference"]]).all()
    assert found["lower_caudate"] == 2.0


def test_shapes_come_in_pairs() -> None:
    shape = {
        f"{name}_{side}": float(number) + (side == "left")
        for number, name in enumerate(("volume_ml", "length_mm", "width_mm", "centre_y_mm"))
        for side in ("left", "right")
    }
    found = dict(zip(SHAPE_FEATURES, tabular.shape_features(shape), strict=True))
    assert (found["lower_length_mm"], found["higher_length_mm"]) == (1.0, 2.0)


def test_covariates_of_numbers_and_of_two_words() -> None:
    np.testing.assert_array_equal(tabular.covariate("age", ["60", None, "71.5"]), [60, np.nan, 71.5])
    np.testing.assert_array_equal(tabular.covariate("sex", ["M", "F", None]), [1, 0, np.nan])
    with pytest.raises(UnsuitableError) as caught:
        tabular.covariate("hand", ["left", "right", "both"])
    assert caught.value.where == "column hand"


@pytest.mark.parametrize("kind", ["logistic", "svm", "boosting"])
def test_every_model_learns_bears_missing_values_and_does_not_see_the_order(kind: str) -> None:
    rng = np.random.default_rng(1)
    positive = np.arange(120) % 2 == 0
    features = rng.normal(size=(120, 3)) + positive[:, None] * np.array([1.5, 0, 0])
    features[::7, 1] = np.nan
    features[:, 2] = np.nan
    logits = Tabular(kind, seed=1).fit(features, positive).logits(features)  # type: ignore[arg-type]
    assert auroc(logits, positive) > 0.8
    order = rng.permutation(120)
    turned = Tabular(kind, seed=1).fit(features[order], positive[order]).logits(features)  # type: ignore[arg-type]
    np.testing.assert_allclose(turned, logits, atol=1e-9)
