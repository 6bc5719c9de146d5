"""The viewer's volumes, registrations corrected by hand, and several images that came in together."""

from __future__ import annotations

import gzip
import html
import io
import json
import re
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select, update

from dopascope import atlas, phantom, space
from dopascope.volume import MNI_2MM
from dopascope.web.tables import AuditEntry, Job, Note, Upload
from web_installation import Browser, Finished, Installation


@pytest.fixture
def one(installation: Installation, finished: Finished) -> tuple[Installation, Browser, str]:
    """A reading of one's own."""
    reading = installation.place(finished, installation.user("ada"))
    return installation, installation.browser("ada"), reading


def volume_of(data: bytes) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    image = nib.Nifti1Image.from_bytes(gzip.decompress(data))
    return np.asarray(image.dataobj, np.float32), np.asarray(image.affine)


def told_to_the_viewer(page: str) -> dict[str, object]:
    return dict(json.loads(html.unescape(re.search(r'data-viewer="([^"]+)"', page)[1])))


def test_the_viewer_is_given_the_scan_itself_and_the_scan_on_the_template(
    one: tuple[Installation, Browser, str], scan: bytes, tmp_path: Path
) -> None:
    _, browser, reading_id = one
    told = told_to_the_viewer(browser.get(f"/readings/{reading_id}").text)
    on_template, own = (volume_of(browser.get(shown["url"]).data) for shown in told["scans"])
    (tmp_path / "one.dcm").write_bytes(scan)
    from dopascope import formats

    volume = formats.load(tmp_path / "one.dcm")
    np.testing.assert_allclose(own[0], volume.data, atol=volume.data.max() / 32767)
    np.testing.assert_allclose(own[1], volume.grid.affine, atol=1e-4)
    numbers = browser.get(f"/readings/{reading_id}/reading.json").json["quantification"]
    np.testing.assert_allclose(on_template[1], MNI_2MM.affine)
    reference = atlas.reference_mask("whole_brain")
    assert on_template[0][reference].mean() == pytest.approx(1, abs=0.02)
    left = atlas.striatum_labels().data == 1
    measured = numbers["regions"]["caudate_left"]["sbr"]
    assert on_template[0][left].mean() - 1 == pytest.approx(measured, rel=0.1)


def test_what_lies_beside_and_above_is_on_the_template(one: tuple[Installation, Browser, str]) -> None:
    _, browser, reading_id = one
    told = told_to_the_viewer(browser.get(f"/readings/{reading_id}").text)
    regions, affine = volume_of(browser.get(told["overlays"][0]["url"]).data)
    np.testing.assert_array_equal(regions, atlas.striatum_labels().data)
    np.testing.assert_allclose(affine, MNI_2MM.affine)
    template, _ = volume_of(browser.get(told["template"]["url"]).data)
    assert template[regions > 0].mean() > 2 > 1.2 > template[atlas.reference_mask("occipital")].mean()
    evidence, _ = volume_of(browser.get(told["overlays"][1]["url"]).data)
    assert evidence.shape == MNI_2MM.shape
    assert browser.get("/volumes/secrets.json").status_code == 404
    assert browser.get(f"/readings/{reading_id}/evidence-..nii.gz").status_code == 404


def test_a_picture_has_nothing_to_view(installation: Installation) -> None:
    from PIL import Image

    installation.user("ada")
    browser = installation.browser("ada")
    stream = io.BytesIO()
    Image.fromarray(np.tile(np.arange(96, dtype=np.uint8), (80, 1))).save(stream, "PNG")
    browser.upload((stream.getvalue(), "slice.png"))
    installation.work()
    page = browser.get(f"/readings/{installation.jobs()[0].id}").text
    assert "data-viewer" not in page
    assert "Correct the registration" not in page


def test_a_correction_is_read_anew_and_recorded_and_the_earlier_reading_stays(
    one: tuple[Installation, Browser, str],
) -> None:
    installation, browser, first = one
    page = f"/readings/{first}"
    before = browser.get(f"{page}/reading.json").json
    told = browser.submit(f"{page}/adjust", page=page, right="2", front="0", up="-1.5", nod="0", tilt="0", turn="4")
    assert told.status_code == 302
    installation.work()
    second = browser.get(told.headers["Location"]).headers["Location"].rsplit("/", 1)[1]
    after = browser.get(f"/readings/{second}/reading.json").json
    assert after["registration"]["manual"] == {"shift_mm": [2, 0, -1.5], "rotate_deg": [0, 0, 4]}
    matrix = space.Manual((2, 0, -1.5), (0, 0, 4)).matrix
    moved = np.array(before["registration"]["mni_to_scan"]) @ np.linalg.inv(matrix)
    np.testing.assert_allclose(after["registration"]["mni_to_scan"], moved, atol=1e-3)
    assert after["quantification"] != before["quantification"]
    assert browser.get(f"{page}/reading.json").json == before
    shown = browser.get(f"/readings/{second}").text
    assert page in shown
    assert "moved by 2.0, 0.0, -1.5 mm" in shown
    assert f"/readings/{second}" in browser.get(page).text
    assert "not the current reading" in browser.get(page).text
    pseudonym = re.search(r"P-[0-9A-F]{8}", shown)[0]
    for url in ("/worklist", f"/people/{pseudonym}"):
        listed = browser.get(url).text
        assert second in listed
        assert first not in listed
    assert "1 reading of 1 person" in re.sub(r"\s+", " ", browser.get("/dashboard").text)
    with installation.database.read() as session:
        lines = session.scalars(select(AuditEntry).where(AuditEntry.action == "registration corrected")).all()
        uploads = {one.job.id: one for one in session.scalars(select(Upload)).unique()}
    assert [json.loads(line.detail)["shift_mm"] for line in lines] == [[2, 0, -1.5]]
    assert uploads[second].size == 0  # the same files lie there once
    ours = [next((installation.settings.uploads / uploads[one].id).iterdir()) for one in (first, second)]
    assert ours[0].samefile(ours[1])


def test_what_is_signed_is_corrected_no_more(one: tuple[Installation, Browser, str]) -> None:
    installation, browser, reading_id = one
    page = f"/readings/{reading_id}"
    shown = browser.get(page).text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', shown)[1]
    browser.sign(page, "Reduced.")
    assert "Correct the registration" not in browser.get(page).text
    told = browser.client.post(f"{page}/adjust", data={"csrf_token": token, "right": "2"})
    assert told.headers["Location"].endswith(page)
    assert len(installation.jobs()) == 1


def test_what_was_corrected_is_neither_corrected_again_nor_signed(one: tuple[Installation, Browser, str]) -> None:
    """Two people who correct one reading at the same moment must not leave two current readings."""
    installation, browser, reading_id = one
    page = f"/readings/{reading_id}"
    browser.submit(f"{page}/adjust", page=page, right="2")
    told = browser.submit(f"{page}/adjust", page=page, right="3")
    assert told.headers["Location"].endswith(page)
    assert "was read again from here before" in browser.get(page).text
    assert len(installation.jobs()) == 2
    browser.sign(page, "Reduced.")
    assert "was read again from here before" in browser.get(page).text
    with installation.database.read() as session:
        assert session.scalars(select(Note)).all() == []


def test_a_correction_that_was_refused_can_be_tried_again(one: tuple[Installation, Browser, str]) -> None:
    installation, browser, reading_id = one
    page = f"/readings/{reading_id}"
    browser.submit(f"{page}/adjust", page=page, right="2")
    with installation.database.write() as session:
        session.execute(update(Job).where(Job.id != reading_id).values(state="refused"))
    told = browser.submit(f"{page}/adjust", page=page, right="3")
    assert "/readings/" not in told.headers["Location"]
    assert len(installation.jobs()) == 3


@pytest.mark.parametrize("far", ["31", "-31", "1e9", "nan", "much"])
def test_a_correction_that_cannot_be_meant_is_refused(one: tuple[Installation, Browser, str], far: str) -> None:
    _, browser, reading_id = one
    told = browser.submit(f"/readings/{reading_id}/adjust", page=f"/readings/{reading_id}", right=far)
    assert told.status_code == 200
    assert 'class="wrong"' in told.text
    assert browser.get("/").text.count("one.dcm") == 1


@pytest.mark.slow
def test_each_image_of_several_that_came_in_together_is_read(installation: Installation, tmp_path: Path) -> None:
    installation.user("ada")
    browser = installation.browser("ada")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, group in enumerate(("pd", "healthy")):
            path = tmp_path / f"{group}.nii.gz"
            phantom.write(phantom.example(seed=number, group=group)[0], path, format="nifti")
            archive.write(path, path.name)
    browser.upload((stream.getvalue(), "both.zip"), age="61")
    installation.work()
    jobs = installation.jobs()
    assert [one.state for one in jobs] == ["done", "done"]
    with installation.database.read() as session:
        uploads = [session.get_one(Upload, one.upload_id) for one in jobs]
    assert {one.choices["series"] for one in uploads} == {"pd.nii.gz", "healthy.nii.gz"}
    said = {one.choices["series"]: browser.get(f"/readings/{one.job.id}/reading.json").json for one in uploads}
    assert all(reading["person"]["age_years"] == 61 for reading in said.values())
    assert said["pd.nii.gz"]["verdict"] == "reduced"
    assert said["healthy.nii.gz"]["verdict"] == "normal"
    history = browser.get("/").text
    assert all(one.job.id in history for one in uploads)
    again = browser.upload((stream.getvalue(), "both.zip"), age="61")
    assert len(installation.jobs()) == 2
    assert again.status_code == 302
