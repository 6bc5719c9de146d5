"""A reading with a simulation: what it holds, that it changes nothing else, and each reason why there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dopascope import phantom
from dopascope.errors import UsageError
from dopascope.reading import Choices, Examination, Images, Reading, counterfactual, examine
from dopascope.volume import Acquisition, Grid, SliceImage, Volume

Scan = tuple[Volume, phantom.Truth]


@pytest.fixture(scope="module")
def asked(no_models: Choices) -> Choices:
    return replace(no_models, counterfactual="normal", age=70, evidence=False, models=("none",))


@pytest.fixture(scope="module")
def changed(pd_scan: Scan, asked: Choices) -> Examination:
    return examine(pd_scan[0], asked)


def why(examination: Examination) -> str:
    assert examination.reading.counterfactual is None
    return examination.reading.reasons["counterfactual"]


def test_a_reading_holds_what_was_asked_and_what_came(changed: Examination) -> None:
    part = changed.reading.counterfactual
    assert part is not None
    assert (part.asked, part.age_years, part.model) == ("normal", 70, "dopascope-editor")
    assert "no evidence" in part.meaning
    missed, before = (
        sum(abs(getattr(one, name) - one.wanted) for one in part.ratios.values()) for name in ("found", "present")
    )
    assert missed < before / 2
    assert Reading.model_validate_json(changed.reading.to_json()) == changed.reading
    images = changed.images
    assert isinstance(images, Images)
    assert images.changed is not None
    assert images.mni is not None
    np.testing.assert_allclose(images.changed.before, images.mni.data[:, :, 35:41].mean(2), rtol=1e-3, atol=1e-4)


def test_it_changes_nothing_else(changed: Examination, pd_scan: Scan, asked: Choices) -> None:
    plain = examine(pd_scan[0], replace(asked, counterfactual=None)).reading
    assert plain.reasons["counterfactual"] == counterfactual.NOT_ASKED
    mine = changed.reading
    left_out = {"counterfactual", "reasons", "created"}
    assert mine.model_dump(exclude=left_out) == plain.model_dump(exclude=left_out)


def test_a_ratio_of_ones_own_is_asked_for(pd_scan: Scan, asked: Choices) -> None:
    part = examine(pd_scan[0], replace(asked, counterfactual="1.5")).reading.counterfactual
    assert part is not None
    assert part.asked == 1.5
    lower = min((one for name, one in part.ratios.items() if "putamen" in name), key=lambda one: one.present)
    assert lower.wanted == pytest.approx(1.5)


def test_without_an_age_or_with_one_that_nobody_had(pd_scan: Scan, asked: Choices) -> None:
    ageless = replace(pd_scan[0], acquisition=Acquisition(modality="NM"))
    assert why(examine(ageless, replace(asked, age=None))) == counterfactual.NO_AGE
    assert "the age is 12 years" in why(examine(ageless, replace(asked, age=12)))


def test_where_the_registration_is_not_accepted(pd_scan: Scan, asked: Choices) -> None:
    shifted = examine(pd_scan[0], replace(asked, shift_mm=(25.0, 25.0, 25.0)))
    assert shifted.reading.registration is None or not shifted.reading.registration.accepted
    assert why(shifted) in (counterfactual.NOT_REGISTERED, "The scan was refused before this part; see the passport.")


def test_of_what_is_refused_or_a_picture(asked: Choices) -> None:
    even = Volume(np.ones((20, 21, 22)), Grid((20, 21, 22), np.diag([4.0, 4, 4, 1])))
    assert "see the passport" in why(examine(even, asked))
    assert "picture of one slice" in why(examine(SliceImage(np.random.default_rng(1).random((90, 80))), asked))


@pytest.mark.parametrize(
    ("choices", "found"),
    [({"counterfactual": "younger"}, "younger"), ({"counterfactual": 90.0}, "90"), ({"counterfactual": "nan"}, "nan")],
)
def test_what_cannot_be_asked(pd_scan: Scan, asked: Choices, choices: dict[str, object], found: str) -> None:
    with pytest.raises(UsageError) as caught:
        examine(pd_scan[0], replace(asked, **choices))
    assert caught.value.found == found
    assert "normal" in str(caught.value.expected)


def test_a_t1_has_none(pd_scan: Scan, no_models: Choices) -> None:
    with pytest.raises(UsageError, match="DaT SPECT alone") as caught:
        examine(pd_scan[0], replace(no_models, modality="t1", counterfactual="normal"))
    assert caught.value.where == "counterfactual"
