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
from dopascope.web.tables import AuditEntry, Upload, User
from web_installation import Browser, Finished, Installation, Program

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


def plain(finished: Finished) -> Finished:
    """The same as if nobody had asked for a simulation."""
    whole = json.loads((finished.reading / "reading.json").read_text(encoding="utf-8"))
    assert whole["counterfactual"] is None
    return replace(finished, upload={**finished.upload, "choices": {}})


def test_a_reading_without_one_is_made_again_with_one_and_stays(
    installation: Installation, without_age: Finished
) -> None:
    browser, first = placed(installation, plain(without_age))
    page = f"/readings/{first}"
    assert "Simulate this scan" in browser.get(page).text
    assert "0 to 120 years" in browser.submit(f"{page}/simulate", page=page, age="121").text
    assert len(installation.jobs()) == 1
    told = browser.submit(f"{page}/simulate", page=page, age="70")
    installation.work()
    second = browser.get(told.headers["Location"]).headers["Location"].rsplit("/", 1)[1]
    made = browser.get(f"/readings/{second}/reading.json").json
    assert (made["counterfactual"]["asked"], made["person"]["age_years"]) == ("normal", 70)
    before = browser.get(f"{page}/reading.json").json
    ratios = [{name: one["sbr"] for name, one in told["quantification"]["regions"].items()} for told in (before, made)]
    assert ratios[1] == pytest.approx(ratios[0], rel=1e-4), "nothing was measured otherwise"
    shown = browser.get(f"/readings/{second}").text
    assert "read again with a simulation" in shown
    assert "corrected by hand" not in shown
    assert "Simulate this scan" not in shown
    earlier = browser.get(page).text
    assert "not the current reading" in earlier
    assert f"/readings/{second}" in earlier
    assert "Simulate this scan" not in earlier
    with installation.database.read() as session:
        actions = [one.action for one in session.scalars(select(AuditEntry))]
    assert actions.count("simulation asked for") == 1


def test_programs_ask_for_it_once_and_are_told_why_not(
    installation: Installation, with_age: Finished, without_age: Finished
) -> None:
    _, simulated = placed(installation, with_age)
    ada = installation.program(installation.token("ada"))
    assert _refused(ada, simulated) == "simulated"
    with installation.database.read() as session:
        owner = session.scalars(select(User.id).where(User.name == "ada")).one()
    reading = installation.place(plain(without_age), owner)
    assert ada.post(f"/readings/{reading}/simulations", json={"age": 121}).status_code == 422
    told = ada.post(f"/readings/{reading}/simulations", json={"age": 70})
    assert told.status_code == 202
    upload = ada.get(told.json["links"]["upload"]).json
    assert upload["choices"] == {**ASKED, "age": 70}
    assert upload["replaces"] == ada.get(f"/readings/{reading}").json["upload_id"]
    assert _refused(ada, reading) == "replaced"
    aged = installation.place(replace(with_age, upload={**with_age.upload, "choices": {}}), owner)
    told = ada.post(f"/readings/{aged}/simulations", json={"age": 50})
    assert told.status_code == 409
    assert told.json["type"].endswith("age-known")
    installation.browser("ada").sign(f"/readings/{reading}", "Reduced.")
    assert _refused(ada, reading) == "replaced", "what waits to be read again is not signed"


def _refused(program: Program, reading: str) -> str:
    told = program.post(f"/readings/{reading}/simulations", json={})
    assert told.status_code == 409
    return str(told.json["type"]).rsplit("/", 1)[-1].rsplit(":", 1)[-1]
