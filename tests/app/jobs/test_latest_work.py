"""Of short work only the newest result counts; a job with a result hands it over when it has ended."""

from __future__ import annotations

import threading

from app.jobs.job_list import JobList
from app.jobs.latest_work import LatestWork
from app.jobs.result_job import JobStoppedError, ResultJob
from app.status import JobState
from drivers.base import SpeckleScopeError
from tests.helpers.small_instrument import until


def _polled(work: LatestWork[int]) -> tuple[int | None, str]:
    outcomes = []
    until(lambda: (outcome := work.poll()) is not None and not outcomes.append(outcome))
    return outcomes[0].value, outcomes[0].problem


def test_the_newest_question_is_answered() -> None:
    work: LatestWork[int] = LatestWork("test")
    begun = threading.Event()

    def long_work(stop: threading.Event) -> int:
        begun.set()
        assert stop.wait(30)
        return 1

    work.ask(long_work)
    assert begun.wait(30)
    work.ask(lambda stop: 2)
    work.ask(lambda stop: 3)
    assert work.busy
    assert _polled(work) == (3, "")
    assert not work.busy
    assert work.poll() is None


def test_a_failure_is_a_sentence() -> None:
    work: LatestWork[int] = LatestWork("test")

    def refused(stop: threading.Event) -> int:
        raise SpeckleScopeError("the folder is gone; choose another one")

    work.ask(refused)
    assert _polled(work) == (None, "the folder is gone; choose another one")
    work.ask(lambda stop: 1 // 0)
    assert _polled(work)[1].startswith("ZeroDivisionError")


def test_forgotten_work_gives_nothing() -> None:
    work: LatestWork[int] = LatestWork("test")
    ended = threading.Event()

    def waits(stop: threading.Event) -> int:
        stop.wait(30)
        ended.set()
        return 1

    work.ask(waits)
    work.forget()
    assert ended.wait(30)
    assert work.poll() is None
    work.ask(lambda stop: 2)
    assert _polled(work) == (2, "")


def test_a_job_hands_over_what_it_has_found() -> None:
    jobs = JobList()
    job = ResultJob.start(jobs, "count", lambda progress, stop: 7)
    until(lambda: not job.running)
    assert (job.outcome().value, job.outcome().problem) == (7, "")
    assert jobs.statuses()[0].state is JobState.FINISHED


def test_a_job_that_was_stopped_has_neither_result_nor_problem() -> None:
    jobs = JobList()

    def work(progress: object, stop: threading.Event) -> int:
        assert stop.wait(30)
        raise JobStoppedError("stopped after 1 of 2")

    job = ResultJob.start(jobs, "count", work)
    job.stop()
    until(lambda: not job.running)
    assert (job.outcome().value, job.outcome().problem) == (None, "")
    assert jobs.statuses()[0].state is JobState.STOPPED
