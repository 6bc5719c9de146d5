"""A simulation in the app: asked for with the upload, shown as one on the page, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from dopascope import phantom
from dopascope.formats import save_nifti
from dopascope.reading.counterfactual import FILE, NO_AGE
from dopascope.web import child
from dopascope.web.tables import Upload
from web_installation import Browser, Finished, Installation

ASKED = {"counterfactual": "normal"}


def _read(folder: Path, choices: dict[str, object]) -> Finished:
    """What the child makes of a scan whose file says no age."""
    files, out = folder / "files", folder / "reading"
    files.mkdir()
    out.mkdir()
    save_nifti(phantom.example(seed=2, group="pd")[0], files / "one.nii.gz")
    answer = child.read(files / "one.nii.gz", out, dict(choices), None)
    assert answer.pop("ok"), answer
    identity = json.loads((out / child.IDENTITY).read_text(encoding="utf-8"))
    (out / child.IDENTITY).unlink()
    (out / "seal.json").write_text("{}", encoding="utf-8")
    upload = {"files": 1, "size": 1, "sha256": answer["sha256"], "choices": choices}
    return Finished(files, out, upload, answer, identity)


@pytest.fixture(scope="module")
def with_age(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return _read(tmp_path_factory.mktemp("aged"), {**ASKED, "age": 70.0, "evidence": False})


@pytest.fixture(scope="module")
def without_age(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return _read(tmp_path_factory.mktemp("ageless"), {**ASKED, "evidence": False})


def placed(installation: Installation, finished: Finished) -> tuple[Browser, str]:
    reading = installation.place(finished, installation.user("ada"), "one.nii.gz")
    return installation.browser("ada"), reading


def test_the_page_shows_it_as_what_it_is(installation: Installation, with_age: Finished) -> None:
    browser, reading = placed(installation, with_age)
    page = browser.get(f"/readings/{reading}").text
    for said in (
        "<h2>Simulation, no evidence</h2>",
        f"/readings/{reading}/{FILE}",
        "trained on simulated people alone",
    ):
        assert said in page, said
    picture = browser.get(f"/readings/{reading}/{FILE}")
    assert picture.mimetype == "image/png"
    assert picture.data.startswith(b"\x89PNG")
    whole = browser.get(f"/readings/{reading}/reading.json").json["counterfactual"]
    for region in whole["ratios"].values():
        assert f"{region['found']:.2f}" in page


def test_programs_find_it_too(installation: Installation, with_age: Finished) -> None:
    _, reading = placed(installation, with_age)
    ada = installation.program(installation.token("ada"))
    whole = ada.get(f"/readings/{reading}/reading").json["counterfactual"]
    assert (whole["asked"], whole["age_years"]) == ("normal", 70)
    assert FILE in ada.get(f"/readings/{reading}").json["files"]


def test_nobody_else_sees_the_picture(installation: Installation, with_age: Finished) -> None:
    _, reading = placed(installation, with_age)
    installation.user("eve")
    assert installation.browser("eve").get(f"/readings/{reading}/{FILE}").status_code == 404


def test_where_there_is_none_the_page_says_why(installation: Installation, without_age: Finished) -> None:
    browser, reading = placed(installation, without_age)
    page = browser.get(f"/readings/{reading}").text
    assert NO_AGE in page
    assert browser.get(f"/readings/{reading}/{FILE}").status_code == 404


def test_a_reading_without_the_wish_has_no_such_part(installation: Installation, without_age: Finished) -> None:
    plain = replace(without_age, upload={**without_age.upload, "choices": {}})
    browser, reading = placed(installation, plain)
    assert "Simulation, no evidence" not in browser.get(f"/readings/{reading}").text


def test_it_is_asked_for_on_the_page_and_by_programs(installation: Installation) -> None:
    installation.user("ada")
    browser, data = installation.browser("ada"), b"any bytes at all"
    assert "Simulation" in browser.get("/upload").text
    assert browser.upload((data, "one.dcm"), age="70", counterfactual="normal").status_code == 302
    ada = installation.program(installation.token("ada"))
    told = ada.upload((data + b"!", "two.dcm"), counterfactual="normal")
    assert ada.get(told.json["links"]["upload"]).json["choices"] == ASKED
    with installation.database.read() as session:
        stored = [one.choices for one in session.scalars(select(Upload).order_by(Upload.created)).unique()]
    assert stored == [{"age": 70.0, **ASKED}, ASKED]
    for wrong in ("younger", "1.5"):
        assert ada.upload((data, "one.dcm"), counterfactual=wrong).status_code == 422
        assert "Not a valid choice" in browser.upload((data, "three.dcm"), counterfactual=wrong).text
