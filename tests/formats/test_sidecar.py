"""The JSON file beside a NIfTI scan: facts come through it, another's is left alone, a bad one of ours is refused."""

from __future__ import annotations

import json
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopascope.errors import HostileError, InputError, UnreadableError
from dopascope.formats import load, save_nifti
from dopascope.formats.blob import Blob
from dopascope.formats.sidecar import FORM, FORM_KEY, FROM_SIDECAR, KEYS, MAX_BYTES, sidecar_of, write_sidecar
from dopascope.volume import Acquisition, Grid, Volume

FACTS = Acquisition(
    modality="NM",
    image_type=("DERIVED", "PRIMARY"),
    manufacturer="ACME",
    model="TWIN",
    radiopharmaceutical="Ioflupane",
    radionuclide="^123^Iodine",
    collimator="LEHR",
    reconstruction="OSEM 8i8s",
    filter="Gaussian 8 mm",
    attenuation_corrected=True,
    scatter_corrected=False,
    corrections=("UNIF", "ATTN"),
    activity_mbq=185.0,
    hours_after_injection=3.5,
    frame_duration_s=30.0,
    units="{counts}",
    age_years=63.4,
    sex="F",
)


@pytest.fixture(params=["scan.nii.gz", "SCAN.NII"])
def scan(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / request.param
    save_nifti(Volume(np.ones((3, 4, 5)), Grid((3, 4, 5), np.diag([2.0, 3, 4, 1]))), path)
    return path


def beside(scan: Path) -> Path:
    return scan.with_name(scan.name.split(".")[0] + ".json")


def test_every_fact_has_a_key() -> None:
    assert set(KEYS) == {one.name for one in fields(Acquisition)}
    assert len(set(KEYS.values())) == len(KEYS)
    assert None not in (getattr(FACTS, name) for name in KEYS)


@pytest.mark.parametrize("facts", [FACTS, Acquisition(), Acquisition(sex="M", scatter_corrected=True)])
def test_facts_come_through_the_file(scan: Path, facts: Acquisition) -> None:
    write_sidecar(facts, beside(scan))
    found = load(scan)
    assert found.acquisition == facts  # type: ignore[union-attr]
    assert FROM_SIDECAR in found.source.assumed  # type: ignore[union-attr]


def test_it_is_found_in_a_zip_too(scan: Path, tmp_path: Path) -> None:
    write_sidecar(FACTS, beside(scan))
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        for path in (scan, beside(scan)):
            archive.write(path, path.name)
    assert load(tmp_path / "both.zip").acquisition == FACTS  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not JSON",
        b'{"Modality": "MR", "Manufacturer": "ACME"}',
        b"[" * 70_000,
        json.dumps({"note": FORM}).encode(),
        json.dumps([FORM]).encode(),
        b"\xff\xfe\x00",
    ],
)
def test_someone_elses_file_is_left_alone(scan: Path, content: bytes) -> None:
    beside(scan).write_bytes(content)
    found = load(scan)
    assert found.acquisition == Acquisition()  # type: ignore[union-attr]
    assert found.source.assumed == ()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("AgeYears", -1),
        ("AgeYears", 131),
        ("AgeYears", "63"),
        ("AgeYears", True),
        pytest.param("AgeYears", 10**400, id="enormous"),
        ("Sex", "X"),
        ("Sex", 1),
        ("AttenuationCorrected", "yes"),
        ("ScatterCorrected", 1),
        ("CorrectedImage", "ATTN"),
        ("CorrectedImage", [1]),
        ("CorrectedImage", ["A"] * 33),
        ("ReconMethodName", "x" * 257),
        ("ReconMethodName", "two\nlines"),
        ("ReconMethodName", None),
        ("InjectedRadioactivity", 185e6),
        ("Modality", {"a": 1}),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_its_key(scan: Path, key: str, value: object) -> None:
    beside(scan).write_text(json.dumps({FORM_KEY: FORM, key: value}))
    with pytest.raises(UnreadableError) as refused:
        load(scan)
    assert refused.value.where.endswith(f", {key}")
    assert "can be read without" in refused.value.fix
    assert len(refused.value.found) <= 80


@pytest.mark.parametrize(
    "text", ['{"%s": "%s", "AgeYears": NaN}', '{"%s": "%s", "AgeYears": ', '{"%s": "%s"} ' + "[" * 9]
)
def test_damaged_json_of_ours_is_refused(scan: Path, text: str) -> None:
    beside(scan).write_text(text % (FORM_KEY, FORM))
    with pytest.raises(UnreadableError):
        load(scan)


def test_deep_nesting_of_ours_is_refused(scan: Path) -> None:
    beside(scan).write_text(f'{{"{FORM_KEY}": "{FORM}", "x": {"[" * 60_000}')
    with pytest.raises(UnreadableError):
        load(scan)


def test_an_enormous_one_of_ours_is_refused_unread(scan: Path) -> None:
    beside(scan).write_text(json.dumps({FORM_KEY: FORM, "x": "y" * MAX_BYTES}))
    with pytest.raises(HostileError) as refused:
        load(scan)
    assert f"{MAX_BYTES:,}" in refused.value.expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*KEYS.values(), "Other"]), json_values, max_size=4))
def test_any_values_are_facts_or_a_typed_refusal(said: dict[str, Any]) -> None:
    content = json.dumps({FORM_KEY: FORM, **said}).encode()
    blob = Blob("a.nii", content=b"", beside={"a.json": Blob("a.json", content=content)})
    try:
        facts = sidecar_of(blob)
    except InputError:
        return
    for name, key in KEYS.items():
        if key in said:
            value = getattr(facts, name)
            assert value == (tuple(said[key]) if isinstance(value, tuple) else said[key])
