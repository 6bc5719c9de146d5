from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope.bundle import spec
from dopascope.errors import BundleError


@pytest.fixture
def sound(models, five_votes) -> dict:
    listed = {"model.onnx": "0" * 64, "MODEL_CARD.md": "1" * 64}
    return models.spec(five_votes, files=listed)


def parsed(content: dict) -> spec.BundleSpec:
    return spec.parse(json.dumps(content).encode())


def test_a_sound_spec_survives_writing_and_reading(sound: dict) -> None:
    once = parsed(sound)
    assert spec.parse(once.to_json().encode()) == once
    assert json.loads(once.to_json())["schema"] == "dopascope.bundle/1"


def changed(content: dict, path: str, value: object) -> dict:
    copy = json.loads(json.dumps(content))
    *steps, last = path.split(".")
    at = copy
    for step in steps:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "dopascope.bundle/2"),
        ("surprise", 1),
        ("input.run", "rm"),
        ("title", ...),
        ("kind", "program"),
        ("id", "../evil"),
        ("id", "Linear"),
        ("input.sd", 0),
        ("input.sd", "1"),
        ("input.mean", float("nan")),
        ("input.crop", [[9, 80], [29, 101]]),
        ("input.crop", [[81, 9], [29, 101]]),
        ("input.shape", [1, 10**9, 72]),
        ("files", {"model.onnx": "0" * 64}),
        ("files", {"model.onnx": "0" * 63, "MODEL_CARD.md": "1" * 64}),
        ("licence.file", "LICENSE"),
        ("calibration_reason", None),
        ("vote", None),
        ("vote.decides", "nobody"),
        ("vote.probability", "nobody"),
        ("vote.agree", ["nobody"]),
        ("vote.groups", {"other": {"threshold": 0.5, "votes_needed": 1}}),
        ("vote.groups.acc.votes_needed", 6),
        ("vote.groups.acc.votes_needed", 0),
        ("vote.groups.acc.threshold", 1.5),
        ("outputs.acc.role", "grade_logit"),
        ("papers", [{"citation": "x", "doi": "javascript:alert(1)"}]),
    ],
)
def test_what_does_not_fit_is_refused_by_name(sound: dict, path: str, value: object) -> None:
    with pytest.raises(BundleError) as caught:
        parsed(changed(sound, path, value))
    assert caught.value.expected
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "a\\b", "C:x", ".hidden", "", "x" * 101, "a\0b"])
def test_file_names_that_could_leave_the_folder_are_refused(sound: dict, name: str) -> None:
    with pytest.raises(BundleError):
        parsed(sound | {"files": {**sound["files"], name: "2" * 64}})


GRADES = {
    "output": "acc",
    "regions": ["caudate_left", "putamen_left"],
    "grades": ["normal", "reduced"],
    "reduced_from": "reduced",
    "source": "a test",
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("grades.output", "no"),
        ("grades.regions", ["one"]),
        ("grades.reduced_from", "worse"),
        ("outputs.acc.role", "logit"),
    ],
)
def test_grades_must_fit_their_output(sound: dict, path: str, value: object) -> None:
    output = {"role": "grade_logit", "shape": [5, 2, 2], "meaning": "grades"}
    graded = sound | {"vote": None, "grades": GRADES, "outputs": {"acc": output}}
    assert parsed(graded).grades is not None
    with pytest.raises(BundleError):
        parsed(changed(graded, path, value))


def test_calibration_and_its_reason_exclude_each_other(sound: dict) -> None:
    calibration = {"method": "logistic", "slope": 1.0, "intercept": 0.0, "scans": 10, "data": "a test"}
    with pytest.raises(BundleError):
        parsed(sound | {"calibration": calibration})
    assert parsed(sound | {"calibration": calibration, "calibration_reason": None}).calibration is not None


@pytest.mark.parametrize("text", [b"", b"not json", b"[]", b"\xff\xfe", b"{" * 5000, b" " * (spec.MAX_SPEC_BYTES + 1)])
def test_what_is_not_json_of_bounded_size_is_refused(text: bytes) -> None:
    with pytest.raises(BundleError):
        spec.parse(text)


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_gives_a_spec_or_a_typed_error(value: object) -> None:
    with pytest.raises(BundleError):
        spec.parse(json.dumps(value).encode())


def test_a_folder_without_spec_and_a_linked_spec_are_refused(tmp_path: Path, sound: dict) -> None:
    with pytest.raises(BundleError, match="not a bundle"):
        spec.read(tmp_path)
    (tmp_path / "real.json").write_text(json.dumps(sound))
    (tmp_path / "bundle.json").symlink_to("real.json")
    with pytest.raises(BundleError, match="not a bundle"):
        spec.read(tmp_path)
