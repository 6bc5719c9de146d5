"""A T1 MRI in the app: a reading without ratios and without a verdict, in every list, page, table and answer."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from dopascope.formats import save_nifti
from dopascope.reading.schema import NO_VERDICT
from dopascope.reading.t1 import MASK_FILE
from dopascope.web import child
from t1_head import brain_known, simulated
from web_installation import Browser, Finished, Installation


@pytest.fixture(scope="module")
def finished_t1(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """What the child makes of a head, with the true brain in the segmenter's place."""
    folder = tmp_path_factory.mktemp("t1")
    files, out = folder / "files", folder / "reading"
    files.mkdir()
    out.mkdir()
    save_nifti(simulated().volume, files / "head.nii.gz", whole=True)
    with brain_known():
        answer = child.read(files / "head.nii.gz", out, {"modality": "t1"}, None)
    assert answer.pop("ok"), answer
    identity = json.loads((out / child.IDENTITY).read_text(encoding="utf-8"))
    (out / child.IDENTITY).unlink()
    (out / "seal.json").write_text("{}", encoding="utf-8")
    upload = {"files": 1, "size": 1, "sha256": answer["sha256"], "choices": {"modality": "t1"}}
    return Finished(files, out, upload, answer, identity)


@pytest.fixture
def one(installation: Installation, finished_t1: Finished) -> tuple[Browser, str]:
    """A browser with one reading."""
    reading = installation.place(finished_t1, installation.user("ada"), "head.nii.gz")
    return installation.browser("ada"), reading


def test_the_child_answers_without_ratios_and_without_a_verdict(finished_t1: Finished) -> None:
    row = finished_t1.row
    assert row["verdict"] == NO_VERDICT
    assert (row["p_abnormal"], row["ratios"], row["disagreement"]) == (None, {}, False)


def test_the_reading_page_shows_volumes_and_offers_no_correction(one: tuple[Browser, str]) -> None:
    browser, reading = one
    page = browser.get(f"/readings/{reading}").text
    for said in (NO_VERDICT, "does not tell Parkinson", "Volume, ml", "Putamen", "Midbrain pons ratio"):
        assert said in page, said
    assert "Correct the registration" not in page
    assert "Binding ratios" not in page
    assert '<option value="gray" selected>' in page or "data-part" not in page
    assert browser.get(f"/readings/{reading}/{MASK_FILE}").status_code == 200
    told = browser.submit(f"/readings/{reading}/adjust", page=f"/readings/{reading}", right="1")
    assert "is not corrected by hand" in browser.get(told.headers["Location"]).text


def test_lists_tables_and_figures_take_it(installation: Installation, one: tuple[Browser, str]) -> None:
    browser, reading = one
    assert reading in browser.get(f"/?verdict={NO_VERDICT}").text
    assert "Nothing was found" in browser.get("/?verdict=normal").text
    assert NO_VERDICT in browser.get("/worklist").text
    assert f">{NO_VERDICT}<" in browser.get("/dashboard").text
    assert "No binding ratio was measured yet" in browser.get("/dashboard").text
    (row,) = csv.DictReader(io.StringIO(browser.get("/history.csv").text))
    assert (row["verdict"], row["p_abnormal"]) == (NO_VERDICT, "")
    with installation.database.read() as session:
        from dopascope.web.tables import ReadingRow

        pseudonym = session.get_one(ReadingRow, reading).pseudonym
    assert browser.get(f"/people/{pseudonym}").status_code == 200


def test_it_is_signed_as_what_it_is(one: tuple[Browser, str]) -> None:
    browser, reading = one
    page = f"/readings/{reading}"
    assert "Not a valid choice" in browser.sign(page, "Reduced.").text
    assert browser.sign(page, "A T1 MRI.", label=NO_VERDICT).status_code == 302
    assert "signature, <bdi>ada</bdi>" in browser.get(page).text


def test_programs_are_told_the_same(installation: Installation, one: tuple[Browser, str]) -> None:
    _, reading = one
    program = installation.program(installation.token("ada"))
    (line,) = program.get(f"/readings?verdict={NO_VERDICT}").json
    assert (line["verdict"], line["ratios"], line["p_abnormal"]) == (NO_VERDICT, {}, None)
    whole = program.get(f"/readings/{reading}/reading").json
    assert whole["verdict"] is None
    assert MASK_FILE in program.get(f"/readings/{reading}").json["files"]
    refused = program.post(f"/readings/{reading}/corrections", json={"shift_mm": [1, 0, 0], "rotate_deg": [0, 0, 0]})
    assert (refused.status_code, refused.json["type"].rsplit("/", 1)[-1]) == (409, "t1") or refused.status_code == 409
    assert program.get("/dashboard").json["counts"][NO_VERDICT] == 1


def test_what_it_is_can_be_said_at_the_upload(installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "head.nii.gz"
    save_nifti(simulated().volume, path, whole=True)
    installation.user("ada")
    program = installation.program(installation.token("ada"))
    told = program.upload((path.read_bytes(), "head.nii.gz"), modality="t1")
    assert told.status_code == 202
    assert program.get(f"/uploads/{told.json['upload_id']}").json["choices"] == {"modality": "t1"}
    assert program.upload((path.read_bytes(), "head.nii.gz"), modality="t2").status_code == 422
    assert installation.browser("ada").upload((path.read_bytes(), "b.nii.gz"), modality="t2").status_code == 200
