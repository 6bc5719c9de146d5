"""A worker: takes jobs from the queue, has each read by a child process, and writes down what came of it."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from dopascope.processes import settle
from dopascope.web import audit, changes, queue, retention, seal, storage
from dopascope.web.child import ANSWER, IDENTITY, end_with_parent
from dopascope.web.database import Database
from dopascope.web.derive import derive
from dopascope.web.settings import MIB, Settings
from dopascope.web.tables import Identity, Job, ReadingRow, Upload, new_id

_log = logging.getLogger("dopascope.web")
POLL_S: Final = 0.5
BEAT_S: Final = 5.0
TIDY_S: Final = 900.0
"""How often a worker looks for what is too old, and for what others left that were killed; it may name a patient."""
CHILD_FILE_SIZE: Final = 1024 * MIB
DIED: Final = {
    "code": "hostile",
    "what": "The process that reads this upload died.",
    "expected": "a scan that can be read within the limits of memory and time",
    "fix": "Check the file with dopascope inspect on the command line.",
}

OURS: Final = {
    "code": "failed",
    "what": "Reading this upload failed on the server's side.",
    "expected": "room on the disk, and a database that answers",
    "fix": "Tell your administrator; once that is mended, it can be read again.",
}


class Worker:
    """One worker of an installation; several may run, here or on other machines that share database and data."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings, self.database = settings, database
        self.name = f"{socket.gethostname()}-{os.getpid()}-{new_id()[:8]}"
        self._ending = False

    def run(self, *, once: bool = False, idle: Callable[[], None] = lambda: time.sleep(POLL_S)) -> None:
        """Work until told to stop; with `once`, until nothing waits."""
        tidied = -TIDY_S
        while not self._ending:
            if time.monotonic() - tidied >= TIDY_S:
                self.tidy()
                tidied = time.monotonic()
            if self.step():
                continue
            if once:
                return
            idle()

    def stop(self, *_: object) -> None:
        """End after the job that is under way."""
        self._ending = True

    def step(self) -> bool:
        """Take one job and do it; False where none waits."""
        try:
            with self.database.write() as session:
                claim = queue.claim(session, self.name)
        except SQLAlchemyError:
            return False  # the database is away or busy; the queue is still there when it is back
        if claim is None:
            return False
        try:
            with tempfile.TemporaryDirectory(prefix="job-", dir=self.settings.incoming) as temporary:
                self._do(claim, Path(temporary))
        except (OSError, SQLAlchemyError) as error:
            _log.error("job %s: %s", claim.job_id, type(error).__name__)
            with suppress(SQLAlchemyError):  # the database is away too: then the lease runs out
                self._try_later(claim, OURS | {"found": type(error).__name__})
            return False
        return True

    def _try_later(self, claim: queue.Claim, error: dict[str, str]) -> None:
        with self.database.write() as session:
            if queue.retry_or_give_up(session, claim.job_id, self.name, error) == "dead":
                self._note(session, "reading given up", claim.upload_id)

    def _do(self, claim: queue.Claim, folder: Path) -> None:
        out = folder / "out"
        out.mkdir()
        ended = self._child(claim, folder, out)
        if ended is None:
            return  # the lease was lost: the job is another worker's
        answer = _answer(out)
        if answer is None:
            self._try_later(claim, DIED | {"found": _why(ended)})
        elif "series" in answer:
            self._split(claim, answer["series"])
        elif answer["ok"]:
            self._keep(claim, out, answer)
        else:
            with self.database.write() as session:
                if queue.finish(session, claim.job_id, self.name, "refused", answer["error"]):
                    self._note(session, "upload refused", claim.upload_id)

    def _child(self, claim: queue.Claim, folder: Path, out: Path) -> int | None:
        """Run the child; its exit status, negative for a signal, or None where the lease was lost."""
        job = {
            "scan": str(storage.scan_of(self.settings.uploads / claim.upload_id)),
            "out": str(out),
            "choices": claim.choices,
            "models_dir": None if self.settings.models_dir is None else str(self.settings.models_dir),
            "memory": self.settings.child_memory,
            "seconds": int(60 * self.settings.read_minutes),
            "file_size": CHILD_FILE_SIZE,
            "niceness": self.settings.niceness,
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        environment = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "HOME") if name in os.environ}
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "dopascope.web.child", str(folder / "job.json")],
            cwd=folder,
            env=environment | {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return self._watched(child, claim)
        finally:
            _kill(child)

    def _watched(self, child: subprocess.Popen[bytes], claim: queue.Claim) -> int | None:
        ends = time.monotonic() + 60 * self.settings.read_minutes
        while True:
            try:
                return child.wait(timeout=min(BEAT_S, max(0.0, ends - time.monotonic())))
            except subprocess.TimeoutExpired:
                if time.monotonic() >= ends:
                    _kill(child)
                    return child.wait()
            try:
                with self.database.write() as session:
                    if not queue.beat(session, claim.job_id, self.name):
                        return None
            except SQLAlchemyError:
                continue

    def _keep(self, claim: queue.Claim, out: Path, answer: dict[str, Any]) -> None:
        """Move the reading to its place and tell of it in one transaction; where the job is another's now, drop it."""
        identity = json.loads((out / IDENTITY).read_text(encoding="utf-8"))
        for name in (ANSWER, IDENTITY):
            (out / name).unlink()
        sealed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        seal.write(out, self.settings.secret("seal"), claim.job_id, sealed)
        place = self.settings.readings / claim.job_id
        with self.database.write() as session:
            if not queue.finish(session, claim.job_id, self.name, "done"):
                return
            storage.remove([place])  # of a try that ended between move and commit
            os.replace(out, place)
            upload = session.get(Upload, claim.upload_id)
            if upload is None:
                return
            shown = {name: value for name, value in answer.items() if name != "ok"}
            session.add(
                ReadingRow(
                    id=claim.job_id,
                    upload_id=claim.upload_id,
                    owner_id=upload.owner_id,
                    pseudonym=pseudonym_of(identity, self.settings.secret("audit"), upload),
                    created=time.time(),
                    **shown,
                )
            )
            session.flush()
            session.add(Identity(reading_id=claim.job_id, fields=identity))
            if upload.replaces is not None:
                replaced = update(ReadingRow).where(ReadingRow.upload_id == upload.replaces)
                session.execute(replaced.values(current=False))
            self._note(session, "reading done", claim.upload_id)

    def _split(self, claim: queue.Claim, series: list[str]) -> None:
        """Have each image of an upload read: the first by this job, each other one as an upload of its own."""
        with self.database.write() as session:
            if not queue.put_back(session, claim.job_id, self.name):
                return
            upload = session.get_one(Upload, claim.upload_id)
            plain = dict(upload.choices)
            upload.choices = plain | {"series": series[0]}
            for one in series[1:]:
                made = derive(session, self.settings, upload, plain | {"series": one})
                self._note(session, "another image of an upload", made)

    def _note(self, session: Session, action: str, target: str) -> None:
        audit.add(session, self.settings.secret("audit"), "system", action, target)

    def tidy(self) -> None:
        """Remove what was cut off, and what is older than it may be."""
        self.sweep()
        try:
            retention.remove_old(self.database, changes.current(self.settings))
        except (OSError, SQLAlchemyError) as error:
            _log.error("removing by age: %s", type(error).__name__)

    def sweep(self) -> None:
        """Remove what uploads and jobs left that were cut off.

        In `incoming`, what is older than any of them can be. No clock, which may be set, decides over what was uploaded
        or read: it comes to its place inside the transaction that tells of it, so what no row owns during another one
        is a stray.
        """
        old = time.time() - max(3600.0, 120 * self.settings.read_minutes)
        try:
            aside = storage.put_aside(one for one in self.settings.incoming.iterdir() if one.stat().st_mtime <= old)
            places = [*self.settings.uploads.iterdir(), *self.settings.readings.iterdir()]
            with self.database.read() as session:
                strays = _not_owned(session, places)
            if strays:
                with self.database.write() as session:
                    aside += storage.put_aside(_not_owned(session, strays))
            storage.remove(aside)
        except (OSError, SQLAlchemyError) as error:
            _log.error("sweep: %s", type(error).__name__)  # another worker was there first, or the database is away


def _not_owned(session: Session, places: Iterable[Path]) -> list[Path]:
    owned = set(session.scalars(select(Upload.id))) | set(session.scalars(select(Job.id)))
    return [one for one in places if one.name not in owned]


def pseudonym_of(identity: dict[str, Any], key: str, upload: Upload) -> str:
    """A name for the person that tells nobody who he is; the same for all scans of one owner's patient."""
    import hashlib
    import hmac

    person = identity.get("patient_id") or identity.get("patient_name")
    known = f"{upload.owner_id}|{person}" if person else f"upload|{upload.id}"
    digest = hmac.new(bytes.fromhex(key), known.encode(), hashlib.sha256).hexdigest()
    return f"P-{digest[:8].upper()}"


def _answer(out: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((out / ANSWER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "ok" in found else None


def _why(ended: int) -> str:
    if ended < 0:
        return f"signal {signal.Signals(-ended).name}"
    return f"exit status {ended}"


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        child.wait()


def main(settings: Settings) -> None:
    """A worker as a process of the server's."""
    settle()
    end_with_parent()
    work(settings)


def work(settings: Settings) -> None:
    """Take jobs until told to end, in the main thread of a process."""
    database = Database(settings.url)
    worker = Worker(settings, database)
    signal.signal(signal.SIGTERM, worker.stop)
    worker.run()
    database.close()
