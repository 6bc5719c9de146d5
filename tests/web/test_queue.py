"""The queue: leases, heartbeats, retries, and one final state for each job."""

from __future__ import annotations

import multiprocessing
import time

import pytest

from dopascope.web import queue
from dopascope.web.tables import Job, Throttle, Upload, new_id
from web_installation import Installation, count_up


@pytest.fixture
def jobs(installation: Installation) -> list[str]:
    """Three jobs that wait, oldest first."""
    owner, made = installation.user("ada"), []
    for number in range(3):
        with installation.database.write() as session:
            upload = Upload(
                id=new_id(), owner_id=owner, original_name="x", files=1, size=1, sha256=str(number), choices={}
            )
            session.add(upload)
            session.flush()
            job = Job(upload_id=upload.id, created=float(number))
            session.add(job)
            session.flush()
            made.append(job.id)
    return made


def taken(installation: Installation, worker: str) -> queue.Claim | None:
    with installation.database.write() as session:
        return queue.claim(session, worker)


def change(installation: Installation, job_id: str, **values: object) -> None:
    with installation.database.write() as session:
        job = session.get_one(Job, job_id)
        for name, value in values.items():
            setattr(job, name, value)


def test_the_oldest_comes_first_and_nobody_gets_the_same(installation: Installation, jobs: list[str]) -> None:
    claims = [taken(installation, worker) for worker in ("one", "two", "one", "two")]
    assert [None if one is None else one.job_id for one in claims] == [*jobs, None]


@pytest.mark.promise(
    "A full disk, a silent worker or a clock that was set back loses no reading and does none twice",
    asvs="2.3.3",
    threats="T24",
)
def test_a_worker_that_is_silent_loses_its_job_and_cannot_end_it(installation: Installation, jobs: list[str]) -> None:
    taken(installation, "one")
    with installation.database.write() as session:
        assert queue.beat(session, jobs[0], "one")
        assert not queue.beat(session, jobs[0], "two")
    change(installation, jobs[0], lease_until=time.time() - 1)
    again = taken(installation, "two")
    assert (again.job_id, again.attempt) == (jobs[0], 2)
    with installation.database.write() as session:
        assert not queue.beat(session, jobs[0], "one")
        assert not queue.finish(session, jobs[0], "one", "done")
        assert queue.finish(session, jobs[0], "two", "done")
        assert not queue.finish(session, jobs[0], "two", "refused")
    assert installation.jobs()[0].state == "done"


@pytest.mark.promise(
    "A full disk, a silent worker or a clock that was set back loses no reading and does none twice",
    asvs="2.3.3",
    threats="T24",
)
def test_a_clock_that_was_set_back_does_not_keep_a_job_for_ever(installation: Installation, jobs: list[str]) -> None:
    taken(installation, "one")
    change(installation, jobs[0], lease_until=time.time() + queue.FAR_S + 5)
    assert taken(installation, "two").job_id == jobs[0]
    change(installation, jobs[1], not_before=time.time() + 3600 * 24)  # a try that was put off before
    assert taken(installation, "two").job_id == jobs[1]


def test_what_never_ends_is_given_up_and_can_be_started_again(
    installation: Installation, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "RETRY_S", 0.0)
    states = []
    for _ in range(queue.ATTEMPTS):
        assert taken(installation, "one").job_id == jobs[0]
        with installation.database.write() as session:
            states.append(queue.retry_or_give_up(session, jobs[0], "one", {"what": "died"}))
    assert states == ["queued", "queued", "dead"]
    with installation.database.write() as session:
        assert queue.restart(session, jobs[0])
        assert not queue.restart(session, jobs[0])
    assert taken(installation, "one").attempt == 1


def test_a_job_whose_workers_all_died_is_given_up(installation: Installation, jobs: list[str]) -> None:
    change(installation, jobs[0], state="running", worker="gone", attempts=queue.ATTEMPTS, lease_until=1.0)
    assert taken(installation, "two") is None
    assert installation.jobs()[0].state == "dead"
    assert taken(installation, "two").job_id == jobs[1]


def test_only_final_states_end_a_job(installation: Installation, jobs: list[str]) -> None:
    taken(installation, "one")
    with pytest.raises(ValueError, match="queued"), installation.database.write() as session:
        queue.finish(session, jobs[0], "one", "queued")
    assert installation.jobs()[0].state == "running"


@pytest.mark.promise(
    "Many who write at the same time wait for each other, and none of it is lost", asvs="2.3.3, 15.4.1", threats="T23"
)
def test_writers_wait_for_each_other_and_lose_nothing(installation: Installation) -> None:
    with installation.database.write() as session:
        session.add(Throttle(key="account:x", failures=0, last=0.0, until=0.0))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=count_up, args=(installation.settings.url, 100)) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert [one.exitcode for one in workers] == [0] * 4
    with installation.database.read() as session:
        assert session.get_one(Throttle, "account:x").failures == 400
