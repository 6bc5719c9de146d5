"""The queue of readings: claimed by lease, kept alive by heartbeat, ended exactly once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from dopascope.web.tables import FINAL_STATES, Job

LEASE_S: Final = 30.0
"""A worker that says nothing for so long has died, and another one takes its job."""
FAR_S: Final = 3 * LEASE_S
"""No time that is waited for lies so far ahead: it was written before the clock was set back."""
ATTEMPTS: Final = 3
RETRY_S: Final = 5.0


@dataclass(frozen=True)
class Claim:
    """A job that a worker has taken."""

    job_id: str
    upload_id: str
    choices: dict[str, Any]
    attempt: int


def claim(session: Session, worker: str) -> Claim | None:
    """Take the oldest job that waits or whose worker has died. In a `Database.write`."""
    now = time.time()
    far = now + FAR_S
    waits = (Job.state == "queued") & or_(Job.not_before <= now, Job.not_before > far)
    orphaned = (Job.state == "running") & or_(Job.lease_until < now, Job.lease_until > far)
    wanted = select(Job).where(waits | orphaned).order_by(Job.created).limit(1).with_for_update(skip_locked=True)
    job = session.scalars(wanted).unique().first()
    if job is None:
        return None
    if job.attempts >= ATTEMPTS:
        _end(job, "dead", LOST)
        return None
    job.state, job.worker, job.lease_until = "running", worker, now + LEASE_S
    job.attempts += 1
    job.progress = "reading"
    return Claim(job.id, job.upload_id, dict(job.upload.choices), job.attempts)


LOST: Final = {
    "code": "failed",
    "what": "Reading this upload ended without an answer each time.",
    "found": f"{ATTEMPTS} tries",
    "fix": "Look at the file with dopascope inspect on the command line; an administrator can try again.",
}


def beat(session: Session, job_id: str, worker: str, progress: str | None = None) -> bool:
    """Lengthen the lease; False where the job is another's by now."""
    values: dict[str, Any] = {"lease_until": time.time() + LEASE_S}
    if progress is not None:
        values["progress"] = progress
    owned = update(Job).where(Job.id == job_id, Job.worker == worker, Job.state == "running").values(**values)
    return bool(session.execute(owned).rowcount)  # type: ignore[attr-defined]


def finish(session: Session, job_id: str, worker: str, state: str, error: dict[str, Any] | None = None) -> bool:
    """End a job, if it is still this worker's; what comes of it is written in the same transaction."""
    job = _own(session, job_id, worker)
    if job is None:
        return False
    _end(job, state, error)
    return True


def retry_or_give_up(session: Session, job_id: str, worker: str, error: dict[str, Any]) -> str | None:
    """After a failure that another try may mend: queued again, or dead; None where the job is another's."""
    job = _own(session, job_id, worker)
    if job is None:
        return None
    if job.attempts >= ATTEMPTS:
        _end(job, "dead", error)
    else:
        job.state, job.worker, job.progress = "queued", None, "waiting to try again"
        job.not_before = time.time() + RETRY_S * job.attempts
        job.error = error
    return job.state


def put_back(session: Session, job_id: str, worker: str) -> bool:
    """Let a job wait again, as if it had not been tried; False where it is another's by now."""
    job = _own(session, job_id, worker)
    if job is None:
        return False
    job.state, job.attempts, job.progress, job.worker = "queued", 0, "waiting", None
    return True


def restart(session: Session, job_id: str) -> bool:
    """Queue a dead job again."""
    job = session.get(Job, job_id, with_for_update=True)
    if job is None or job.state != "dead":
        return False
    job.state, job.attempts, job.progress, job.finished, job.error = "queued", 0, "waiting", None, None
    return True


def _own(session: Session, job_id: str, worker: str) -> Job | None:
    job = session.get(Job, job_id, with_for_update=True)
    return job if job is not None and job.state == "running" and job.worker == worker else None


def _end(job: Job, state: str, error: dict[str, Any] | None) -> None:
    if state not in FINAL_STATES:
        raise ValueError(state)
    job.state, job.error, job.finished, job.progress = state, error, time.time(), state
