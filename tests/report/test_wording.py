"""Numbers and sentences: closed forms."""

from __future__ import annotations

import pytest

from dopascope.reading.images import Examination
from dopascope.reading.schema import ManualAdjustment, Reading
from dopascope.report import content, figures, html, wording


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(None, 2, "–"), (1.005, 2, "1.00"), (-0.004, 2, "0.00"), (-1.25, 1, "−1.2"), (2.0, 0, "2"), (1e6, 1, "1000000.0")],
)
def test_numbers_have_their_decimals_and_a_true_minus(value: float | None, digits: int, expected: str) -> None:
    assert wording.number(value, digits) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        ("sform", "sform"),
        (-0.0, "0"),
        (2.4600001, "2.46"),
        (1834512.4, "1834512"),
        (-13.25, "−13.25"),
        (7.2664e-07, "7.266e−07"),
    ],
)
def test_measured_values_keep_four_digits(value: float | str | None, expected: str) -> None:
    assert wording.significant(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (0.0, "0.000"),
        (1.0, "1.000"),
        (1e-9, "< 0.001"),
        (0.99999, "> 0.999"),
        (0.5, "0.500"),
        (0.9994, "0.999"),
    ],
)
def test_a_probability_is_never_rounded_to_certainty(value: float | None, expected: str) -> None:
    assert wording.probability(value) == expected


def test_intervals_and_answers() -> None:
    assert wording.interval((-0.126, 1.0)) == "−0.13 to 1.00"
    assert wording.probability_interval((0.0001, 0.25)) == "< 0.001 to 0.250"
    assert wording.interval(None) == wording.probability_interval(None) == "–"
    assert [wording.answer(one) for one in (True, False, None)] == ["yes", "no", "not stated"]
    assert wording.moment("2026-01-15T10:20:30+00:00") == "2026-01-15 10:20:30 UTC"


@pytest.mark.parametrize(
    ("key", "expected"),
    [("putamen_left", ("Putamen", "left")), ("left_anterior_putamen", ("Anterior putamen", "left")), ("x", ("X", ""))],
)
def test_a_regions_key_is_a_structure_and_a_side(key: str, expected: tuple[str, str]) -> None:
    assert wording.sided(key) == expected


def normal_reading(examinations: dict[str, Examination]) -> Reading:
    return examinations["normal"].reading


def test_regions_stand_in_anatomical_order_right_before_left(examinations: dict[str, Examination]) -> None:
    numbers = normal_reading(examinations).quantification
    assert numbers is not None
    rows = content.ratio_table(numbers).rows
    assert [row.structure for row in rows[::2]] == list(content.STRUCTURES)
    assert [row.side for row in rows] == ["right", "left"] * 5


def test_negative_and_huge_ratios_stay_on_the_axis(examinations: dict[str, Examination]) -> None:
    numbers = normal_reading(examinations).quantification
    assert numbers is not None
    worst = numbers.regions["putamen_left"].model_copy(update={"sbr": -0.3, "interval": (-0.7, 0.1)})
    absurd = numbers.regions["putamen_left"].model_copy(update={"sbr": 1e9, "interval": (-1e9, 2e9)})
    for changed, zero in ((worst, True), (absurd, False)):
        table = content.ratio_table(
            numbers.model_copy(update={"regions": {**numbers.regions, "putamen_left": changed}})
        )
        for row in table.rows:
            assert row.bar is not None
            places = (row.bar.zero, row.bar.value, row.bar.low, row.bar.high, row.bar.expected)
            assert all(place is not None and 0 <= place <= 1 for place in places)
        if zero:
            assert ("0.0", table.rows[0].bar.zero) in [(label, pytest.approx(at)) for label, at in table.ticks]  # type: ignore[union-attr]


def test_a_region_that_could_not_be_measured_says_why(examinations: dict[str, Examination]) -> None:
    normal = examinations["normal"]
    numbers = normal.reading.quantification
    assert numbers is not None
    lost = numbers.regions["putamen_left"].model_copy(
        update={"sbr": None, "interval": None, "z": None, "reason": "This region lies outside the field of view."}
    )
    changed = numbers.model_copy(update={"regions": {**numbers.regions, "putamen_left": lost}})
    reading = normal.reading.model_copy(update={"quantification": changed})
    page = html.render(Examination(reading, normal.images), figures.draw(normal))
    assert page.count("This region lies outside the field of view.") == 1
    assert page.count("<rect x=") == 2 * 9  # a ground and a bar each; the lost region has neither


def test_a_manual_adjustment_is_said(examinations: dict[str, Examination]) -> None:
    reading = normal_reading(examinations)
    assert reading.registration is not None
    moved = reading.registration.model_copy(
        update={"manual": ManualAdjustment(shift_mm=(1.5, 0, -2), rotate_deg=(0, 0, 3))}
    )
    changed = reading.model_copy(update={"registration": moved})
    assert dict(content.registration_facts(moved))["Moved by hand"] == "1.5, 0.0, −2.0 mm; turned 0.0, 0.0, 3.0 °"
    assert "A person then moved it by 1.5, 0.0, −2.0 mm" in " ".join(wording.method_sentences(changed))


def test_limits_depend_on_what_was_read(examinations: dict[str, Examination]) -> None:
    said = {kind: " ".join(wording.limits(one.reading)) for kind, one in examinations.items()}
    assert "multiple system atrophy" in said["normal"]
    assert "attenuation" in said["normal"]
    assert "multiple system atrophy" not in said["refused"]
    assert "Binding ratios" not in said["picture"]
    stated = normal_reading(examinations)
    corrected = stated.model_copy(
        update={"acquisition": stated.acquisition.model_copy(update={"attenuation_corrected": True})}
    )
    assert "attenuation" not in " ".join(wording.limits(corrected))


@pytest.mark.parametrize(
    ("modality", "expected"), [("NM", "Dopamine transporter SPECT"), (None, "Dopamine transporter image")]
)
def test_the_title_follows_the_modality(
    examinations: dict[str, Examination], modality: str | None, expected: str
) -> None:
    reading = normal_reading(examinations)
    changed = reading.model_copy(update={"scan": reading.scan.model_copy(update={"modality": modality})})
    assert content.title(changed) == expected
    assert content.title(examinations["picture"].reading) == "Picture"
    assert content.title(examinations["refused"].reading) == "Image that was not read"


def test_a_reason_is_said_once(examinations: dict[str, Examination]) -> None:
    for kind, kept in (("refused", 0), ("uncertain", 1)):
        reading = examinations[kind].reading
        assert len(reading.passport.reasons) == 1
        assert len(content.passport_reasons(reading)) == kept
