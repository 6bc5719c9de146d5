"""Workers beside uploads and beside each other: strays go, and nothing else does."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from dopascope.web import seal
from dopascope.web.queue import Claim
from dopascope.web.tables import Job, Upload, new_id
from dopascope.web.worker import Worker
from web_installation import Installation

LONG_AGO = 1.0


def folder(at: Path, name: str, *, old: bool = True) -> Path:
    """A folder with a file, as an upload leaves it."""
    made = at / name
    made.mkdir()
    (made / "000001.dcm").write_bytes(b"x")
    if old:
        os.utime(made, (LONG_AGO, LONG_AGO))
    return made


def test_strays_go_and_what_is_owned_or_still_comes_in_stays(installation: Installation) -> None:
    settings = installation.settings
    installation.user("ada")
    installation.browser("ada").upload((b"no scan", "one.dcm"))
    owned = [settings.uploads / installation.jobs()[0].upload_id]
    owned.append(folder(settings.readings, installation.jobs()[0].id))
    young = folder(settings.incoming, "young", old=False)
    for place in (settings.incoming, settings.uploads, settings.readings):
        folder(place, new_id())
    (settings.incoming / "tmp1").write_bytes(b"x")
    os.utime(settings.incoming / "tmp1", (LONG_AGO, LONG_AGO))
    Worker(settings, installation.database).sweep()
    left = {path for at in (settings.incoming, settings.uploads, settings.readings) for path in at.iterdir()}
    assert left == {*owned, young}
    assert all(any(one.iterdir()) for one in left)


@pytest.mark.promise(
    "A clock that is set forward or back loses no acknowledged upload and holds no reading up",
    asvs="2.3.3",
    threats="T24",
)
def test_an_upload_that_is_being_told_of_is_no_stray_whatever_the_clock_says(installation: Installation) -> None:
    settings, name = installation.settings, new_id()
    owner = installation.user("ada")
    incoming = folder(settings.incoming, name)
    sweeping = threading.Thread(target=Worker(settings, installation.database).sweep)
    with installation.database.write() as session:
        incoming.rename(settings.uploads / name)
        session.add(
            Upload(id=name, owner_id=owner, original_name="x", files=1, size=1, sha256="0", choices={}),
        )
        session.flush()
        session.add(Job(upload_id=name))
        sweeping.start()
        sweeping.join(timeout=1)  # it waits for this transaction, or has taken the folder by now
    sweeping.join(timeout=30)
    assert not sweeping.is_alive()
    assert [one.name for one in (settings.uploads / name).iterdir()] == ["000001.dcm"]


class Overtaken(Worker):
    """A worker that says nothing for so long, while its child reads, that another one does its job."""

    def _child(self, claim: Claim, folder: Path, out: Path) -> int | None:
        ended = super()._child(claim, folder, out)
        with self.database.write() as session:
            session.execute(update(Job).values(lease_until=time.time() - 1))
        assert Worker(self.settings, self.database).step()
        self.found = (self.settings.readings / claim.job_id).stat().st_ino
        return ended


@pytest.mark.slow
@pytest.mark.promise(
    "A full disk, a silent worker or a clock that was set back loses no reading and does none twice",
    asvs="2.3.3",
    threats="T24",
)
def test_a_worker_that_comes_too_late_leaves_the_reading_alone(installation: Installation, scan: bytes) -> None:
    settings = installation.settings
    installation.user("ada")
    installation.browser("ada").upload((scan, "one.dcm"))
    late = Overtaken(settings, installation.database)
    assert late.step()
    (job,) = installation.jobs()
    assert (job.state, job.attempts) == ("done", 2)
    reading = settings.readings / job.id
    assert reading.stat().st_ino == late.found
    found = seal.load(reading / seal.SEAL)
    seal.verify(found, seal.public_key(settings.secret("seal")), [reading / one for one in found.files])
    assert list(settings.incoming.iterdir()) == []
