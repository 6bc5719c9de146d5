"""Uploads: from the form to a reading, and everything that must not get further."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from dopascope.web import queue
from dopascope.web.storage import parted
from dopascope.web.tables import AuditEntry, Identity, Job, ReadingRow, Upload
from web_installation import Installation


@pytest.fixture
def reader(installation: Installation):  # type: ignore[no-untyped-def]
    installation.user("ada")
    return installation.browser("ada")


def picture() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.tile(np.arange(96, dtype=np.uint8), (80, 1))).save(stream, "PNG")
    return stream.getvalue()


def test_a_scan_becomes_a_reading_that_its_owner_finds(installation: Installation, reader, scan: bytes) -> None:  # type: ignore[no-untyped-def]
    told = reader.upload((scan, "Müller^<b>.dcm"), age="67", sex="F")
    assert told.status_code == 302, told.text
    page = reader.get(told.headers["Location"])
    assert "waiting" in page.text
    assert "&lt;b&gt;" in page.text
    assert "<b>" not in page.text
    installation.work()
    job = installation.jobs()[0]
    assert (job.state, job.attempts, job.error) == ("done", 1, None)
    page = reader.get(reader.get(told.headers["Location"]).headers["Location"])
    assert page.status_code == 200
    assert page.text.index("Passport") < page.text.index("Readers")
    assert "simulated people at 9 cameras; no real scan" in page.text
    whole = reader.get(f"/readings/{job.id}/reading.json").json
    assert whole["person"]["age_years"] == 67
    assert whole["verdict"] in page.text
    report = reader.get(f"/readings/{job.id}/report.html")
    assert "sandbox" in report.headers["Content-Security-Policy"]
    assert reader.get(f"/readings/{job.id}/report.pdf?save=1").data.startswith(b"%PDF")
    assert reader.get(f"/readings/{job.id}/secrets.json").status_code == 404
    history = reader.get("/").text
    assert history.count(f"/readings/{job.id}") == 1
    events = reader.get(f"/uploads/{job.upload_id}/events").text
    assert json.loads(events.removeprefix("data: ").strip())["state"] == "done"
    assert list(installation.settings.incoming.iterdir()) == []


def test_the_same_files_are_read_once(installation: Installation, reader, scan: bytes) -> None:  # type: ignore[no-untyped-def]
    first = reader.upload((scan, "one.dcm"))
    second = reader.upload((scan, "other.dcm"))
    assert first.headers["Location"] == second.headers["Location"]
    third = reader.upload((scan, "one.dcm"), age="50")
    assert third.headers["Location"] != first.headers["Location"]
    assert len(installation.jobs()) == 2
    assert len(list(installation.settings.uploads.iterdir())) == 2


def test_a_picture_and_a_zip_are_read_too(installation: Installation, reader, scan: bytes) -> None:  # type: ignore[no-untyped-def]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("disc/IM0001", scan)
    reader.upload((stream.getvalue(), "disc.zip"))
    reader.upload((picture(), "slice.png"))
    installation.work()
    assert [one.state for one in installation.jobs()] == ["done", "done"]
    with installation.database.read() as session:
        verdicts = {one.upload.original_name: one for one in session.scalars(select(ReadingRow))}
    assert verdicts["slice.png"].p_abnormal is None
    assert verdicts["disc.zip"].verdict != "refused"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"nothing of the kind", "scan.dcm"),
        (gzip.compress(bytes(400)), "scan.nii.gz"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "slice.png"),
        (b"PK\x05\x06" + bytes(18), "empty.zip"),
    ],
    # Ids without the bytes: a gzip header holds the time, and workers must collect the same names.
    ids=["text", "zeros", "picture", "zip"],
)
def test_what_cannot_be_read_is_refused_with_the_reason(
    installation: Installation,
    reader,  # type: ignore[no-untyped-def]
    data: bytes,
    name: str,
) -> None:
    told = reader.upload((data, name))
    installation.work()
    job = installation.jobs()[0]
    assert job.state == "refused", job.error
    page = reader.get(told.headers["Location"]).text
    assert "This upload was not read." in page
    assert job.error["what"]
    assert str(installation.settings.data) not in json.dumps(job.error)


@pytest.mark.promise(
    "Uploads are opened by a process of their own, which can die without harm", asvs="15.2.5", threats="T9"
)
def test_a_child_that_dies_takes_nothing_with_it(
    installation: Installation,
    reader,  # type: ignore[no-untyped-def]
    scan: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed for its time: three tries, then a place where it can be tried again."""
    monkeypatch.setattr("dopascope.web.queue.RETRY_S", 0.0)
    told = reader.upload((scan, "one.dcm"))
    installation.work(read_minutes=0.002)
    job = installation.jobs()[0]
    assert (job.state, job.attempts) == ("dead", 3)
    assert "Reading was given up." in reader.get(told.headers["Location"]).text
    assert reader.submit(f"/uploads/{job.upload_id}/again", page=told.headers["Location"]).status_code == 302
    installation.work()
    assert installation.jobs()[0].state == "done"


@pytest.mark.promise(
    "Uploads are opened by a process of their own, which can die without harm", asvs="15.2.5", threats="T9"
)
def test_too_little_memory_is_a_refusal(  # type: ignore[no-untyped-def]
    installation: Installation, reader, scan: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "RETRY_S", 0.0)  # a child that died is tried again at once
    reader.upload((scan, "one.dcm"))
    installation.work(child_memory=64 << 20)
    job = installation.jobs()[0]
    assert job.state in ("refused", "dead")
    assert "limits" in job.error["what"] + job.error.get("expected", "")


@pytest.mark.promise(
    "Uploads are bounded in size and number per user, and leave nothing when refused", asvs="5.2.1, 5.2.4", threats="T1"
)
def test_more_than_is_allowed_leaves_nothing(install: Callable[..., Installation]) -> None:
    installation = install(largest_upload=100_000, quota=150_000)
    installation.user("ada")
    browser = installation.browser("ada")
    told = browser.upload((bytes(200_000), "large.dcm"))
    assert told.status_code == 413
    assert "too large" in told.text
    assert browser.upload((b"1" * 80_000, "one.dcm")).status_code == 302
    told = browser.upload((b"2" * 80_000, "two.dcm"))
    assert told.status_code == 400
    assert "no room" in told.text
    assert len(list(installation.settings.uploads.iterdir())) == 1
    assert list(installation.settings.incoming.iterdir()) == []
    assert "Nothing can be read" in browser.submit("/upload", page="/upload").text


@pytest.mark.promise("Names of uploaded files are never paths", asvs="5.3.2", threats="T13")
@pytest.mark.parametrize(
    "name", ["../../x.dcm", "/etc/passwd", "a\x00b.nii.gz", "x" * 300, "..", "患者.dcm", "C:\\x.dcm"]
)
def test_names_are_never_paths(installation: Installation, reader, name: str) -> None:  # type: ignore[no-untyped-def]
    told = reader.upload((b"something", name))
    assert told.status_code == 302, told.text
    folder = next(installation.settings.uploads.iterdir())
    files = list(folder.iterdir())
    assert [one.name.split(".")[0] for one in files] == ["000001"]
    assert folder.stat().st_mode & 0o777 == 0o700
    with installation.database.read() as session:
        assert len(session.scalars(select(Upload)).one().original_name) <= 255


def test_header_and_image_of_a_pair_stay_together() -> None:
    assert parted("Scan.HDR") == ("scan", ".hdr")
    assert parted("scan.img") == ("scan", ".img")
    assert parted("a.b.nii.gz") == ("a.b", ".nii.gz")
    assert parted("IM0001") == ("im0001", "")


@pytest.mark.slow
@pytest.mark.promise(
    "A patient's name is in no list, table, report, trail or stored reading", asvs="14.2.1, 16.2.5", threats="T22"
)
def test_identity_is_apart_and_the_pseudonym_is_one_persons(installation: Installation, reader, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    import pydicom

    from dopascope import phantom

    for number, patient in enumerate(("ZZCANARY1", "ZZCANARY1", "ZZCANARY2")):
        path = tmp_path / f"{number}.dcm"
        phantom.write(phantom.example(seed=3 + number, group="healthy")[0], path, format="dicom")
        data = pydicom.dcmread(path)
        data.PatientName, data.PatientID = f"{patient}^PAT", patient
        data.save_as(path)
        reader.upload((path.read_bytes(), f"{number}.dcm"))
    installation.work()
    with installation.database.read() as session:
        found = session.scalars(select(ReadingRow).join(Upload).order_by(Upload.created)).all()
        names = [one.pseudonym for one in found]
        assert names[0] == names[1] != names[2]
        assert session.get(Identity, found[0].id).fields["patient_id"] == "ZZCANARY1"
        trail = " ".join(f"{one.action} {one.target} {one.detail}" for one in session.scalars(select(AuditEntry)))
    assert "ZZCANARY" not in trail
    assert "ZZCANARY1" in reader.get(f"/readings/{found[0].id}").text
    for url in ("/", "/history.csv", f"/readings/{found[0].id}/reading.json", f"/readings/{found[0].id}/report.html"):
        assert "ZZCANARY" not in reader.get(url).text, url
    for path in installation.settings.readings.rglob("*"):
        assert path.is_dir() or b"ZZCANARY" not in path.read_bytes(), path


@pytest.mark.slow
@pytest.mark.promise(
    "A full disk, a silent worker or a clock that was set back loses no reading and does none twice",
    asvs="2.3.3",
    threats="T24",
)
def test_a_full_disk_loses_no_job(
    installation: Installation,
    reader,  # type: ignore[no-untyped-def]
    scan: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    reader.upload((scan, "one.dcm"))
    with monkeypatch.context() as patch:
        patch.setattr("dopascope.web.worker.os.replace", full)
        installation.work()
    job = installation.jobs()[0]
    assert (job.state, job.attempts, job.error["code"]) == ("queued", 1, "failed")
    with installation.database.write() as session:
        session.get_one(Job, job.id).not_before = 0.0
    installation.work()
    assert installation.jobs()[0].state == "done"
    assert list(installation.settings.incoming.iterdir()) == []
