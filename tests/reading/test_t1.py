"""One T1-weighted MRI through the floors: measured, never diagnosed, and refused where it is none."""

from __future__ import annotations

import json
from dataclasses import replace
from statistics import NormalDist

import jsonschema
import numpy as np
import pytest

from dopascope.bundle import store
from dopascope.errors import UsageError
from dopascope.quant.morphometry import Measured
from dopascope.quant.sides import asymmetry
from dopascope.reading import Choices, Examination, Reading, examine, reopen, schema, t1
from dopascope.reading.route import route
from dopascope.reading.t1 import ENIGMA_AUC, ENIGMA_D
from dopascope.volume import Acquisition, Grid, LabelMap, SliceImage, Source, Volume
from t1_head import as_file, brain_known, examined, simulated

TINY = Grid((6, 7, 8), np.eye(4))


@pytest.fixture(scope="session")
def read_t1() -> Examination:
    return examined()


def named(name: str, modality: str | None = None) -> Volume:
    return Volume(
        np.zeros(TINY.shape),
        TINY,
        Acquisition(modality=modality),
        Source(name, "nifti", "0" * 64, orientation_from="s"),
    )


@pytest.mark.parametrize(
    ("image", "asked", "modality", "known_from"),
    [
        (named("a.nii.gz"), "t1", "t1", "argument"),
        (named("a.nii.gz", "MR"), "dat", "dat", "argument"),
        (named("a.dcm", "MR"), None, "t1", "header"),
        (named("a.dcm", "NM"), None, "dat", "header"),
        (named("a.dcm", "CT"), None, "dat", "header"),
        (named("sub-1_T1w.nii.gz"), None, "t1", "assumed"),
        (named("sub-1_T1w.json.nii"), None, "dat", "assumed"),
        (named("t1.nii.gz"), None, "dat", "assumed"),
        (SliceImage(np.zeros((4, 5), np.float32)), None, "dat", "assumed"),
    ],
)
def test_what_an_image_is_read_as(
    image: Volume | SliceImage, asked: str | None, modality: str, known_from: str
) -> None:
    found = route(image, asked)
    assert (found.modality, found.known_from) == (modality, known_from)
    assert (found.assumed is None) == (known_from == "argument" or (known_from == "header" and modality == "dat"))


def test_it_is_measured_and_no_verdict_is_given(read_t1: Examination) -> None:
    reading = read_t1.reading
    assert reading.is_t1
    assert reading.verdict is None
    assert reading.word == schema.NO_VERDICT
    assert reading.reasons["verdict"] == reading.verdict_reasons[0]
    assert "does not tell Parkinson's disease" in reading.verdict_reasons[0]
    assert reading.passport.verdict == "in-distribution", reading.passport.reasons
    assert reading.brain is not None
    assert reading.registration is not None
    assert reading.registration.accepted
    assert reading.quantification is None
    assert not reading.readers
    assert {"quantification", "readers", "maps"} <= set(reading.reasons)


def test_volumes_are_those_of_the_simulated_person(read_t1: Examination) -> None:
    measured, truth = read_t1.reading.morphometry, simulated().body.volumes_ml
    assert measured is not None
    for name in ("caudate_left", "caudate_right", "putamen_left", "putamen_right", "midbrain", "pons"):
        one = measured.volumes[name]
        low, high = one.interval
        assert low < one.ml < high
        assert low < truth[name] < high, name
    for name in ("asymmetry_putamen", "asymmetry_caudate", "midbrain_pons_ratio"):
        index = measured.indices[name]
        assert index.interval is not None
        assert index.interval[0] < (index.value or 0) < index.interval[1]


def test_coarser_voxels_than_errors_were_measured_with_are_a_warning(read_t1: Examination) -> None:
    known = {"people": {"spacing_mm": 1.5}}
    for spacing, warned in ((1.0, 0), (2.0, 0), (3.0, 1)):
        grid = Grid((6, 7, 8), np.diag([1.0, 1.0, spacing, 1.0]))
        said = t1.too_coarse(Volume(np.zeros(grid.shape), grid), known)
        assert len(said) == warned
    assert not read_t1.reading.warnings


def test_the_brain_and_its_grey_range_are_kept(read_t1: Examination) -> None:
    reading, images = read_t1.reading, read_t1.images
    assert not isinstance(images, SliceImage)
    assert images.brain is not None
    assert reading.pseudocolour is not None
    values = images.scan.data[images.brain.data > 0]
    assert (reading.pseudocolour.low, reading.pseudocolour.high) == (values.min(), values.max())
    assert reading.pseudocolour.voxels == values.size
    assert "no information" in reading.pseudocolour.meaning


def test_json_is_read_back_and_follows_the_schema(read_t1: Examination) -> None:
    text = read_t1.reading.to_json()
    assert Reading.model_validate_json(text) == read_t1.reading
    jsonschema.validate(json.loads(text), schema.json_schema())
    assert json.loads(text)["verdict"] is None


def test_readings_of_the_first_form_can_be_read(read_t1: Examination) -> None:
    data = json.loads(read_t1.reading.to_json())
    for name in ("read_as", "brain", "pseudocolour"):
        del data[name]
    data |= {"schema": "dopascope.reading/1", "verdict": "refused", "morphometry": None}
    old = Reading.model_validate(data)
    assert not old.is_t1
    assert old.word == "refused"


def test_reopen_keeps_the_scan(read_t1: Examination) -> None:
    assert not isinstance(read_t1.images, SliceImage)
    again = reopen(as_file(simulated().volume), read_t1.reading)
    assert again.reading == read_t1.reading


def test_given_as_dat_it_is_refused_as_ever_and_the_option_is_named() -> None:
    unstated = replace(as_file(simulated().volume, "head.nii.gz"), acquisition=Acquisition())
    reading = examine(unstated, Choices()).reading
    assert reading.verdict == "refused"
    assert "--modality t1" in reading.verdict_reasons[-1]
    stated = examine(as_file(simulated().volume), Choices(modality="dat")).reading
    assert stated.verdict == "refused"
    assert any(one.name == "modality" and one.verdict == "refused" for one in stated.passport.checks)
    assert "--modality" not in " ".join(stated.verdict_reasons)


def test_a_scan_of_which_no_brain_is_found_is_refused_with_the_reason() -> None:
    empty = LabelMap(np.zeros(simulated().volume.grid.shape, np.uint8), simulated().volume.grid)
    with brain_known(empty):
        reading = examine(as_file(simulated().volume), Choices()).reading
    assert reading.verdict == "refused"
    assert "too little brain" in reading.verdict_reasons[0]
    assert reading.brain is None
    assert reading.reasons["brain"]


@pytest.mark.parametrize(
    ("choices", "where"),
    [
        ({"reference": "occipital"}, "reference"),
        ({"shift_mm": (1.0, 0.0, 0.0)}, "shift_mm"),
        ({"models": ("none",)}, "models"),
        ({"models": (store.SHIPPED_READER,)}, store.SHIPPED_READER),
    ],
)
def test_choices_that_a_t1_mri_does_not_know(choices: dict[str, object], where: str) -> None:
    with pytest.raises(UsageError) as told:
        examine(as_file(simulated().volume), Choices(**choices))  # type: ignore[arg-type]
    assert where in str(told.value.where) + str(told.value.found)
    assert told.value.fix


def test_a_picture_given_as_t1_is_shown_and_not_measured() -> None:
    y, x = np.mgrid[-60:60, -50:50]
    picture = SliceImage(np.where((x / 40) ** 2 + (y / 50) ** 2 < 1, 200.0 + x, 0.0).astype(np.float32))
    with brain_known():
        reading = examine(picture, Choices(modality="t1")).reading
    assert reading.verdict in ("uncertain", "refused")
    assert reading.brain is None
    assert reading.reasons["brain"]


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(UsageError, match="no such modality"):
        Choices(modality="t2")


def test_the_area_under_the_curve_of_a_small_difference() -> None:
    assert pytest.approx(NormalDist().cdf(ENIGMA_D / np.sqrt(2))) == ENIGMA_AUC
    assert round(ENIGMA_AUC, 2) == 0.55


def test_asymmetry_is_the_definition_and_its_interval_turns_with_the_sides() -> None:
    left, right = Measured(4.4, 4.0, 4.84), Measured(4.0, 3.2, 5.0)
    one, other = asymmetry(left, right), asymmetry(right, left)
    assert one.value == pytest.approx(100 * (4.4 - 4.0) / 4.2)
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low))
    exact = asymmetry(Measured(4.4, 4.4, 4.4), Measured(4.0, 4.0, 4.0))
    assert exact.low == pytest.approx(exact.high)
