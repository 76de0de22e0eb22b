"""Jobs run beside each other, and their results come in the order of the jobs."""

from __future__ import annotations

import threading

import pytest

from acquisition.archive.sealing.ordered_jobs import OrderedJobs


def test_results_come_in_order_although_jobs_end_in_another() -> None:
    jobs: OrderedJobs[int] = OrderedJobs(2)
    second_ended = threading.Event()

    def second() -> int:
        second_ended.set()
        return 2

    jobs.add(lambda: 1 if second_ended.wait(20) else 0)  # only ends because the second runs beside it
    jobs.add(second)
    assert list(jobs.results(0)) == [1, 2]
    jobs.close()


def test_a_result_behind_an_unfinished_job_waits() -> None:
    jobs: OrderedJobs[int] = OrderedJobs(2)
    release, ended = threading.Event(), threading.Event()
    jobs.add(lambda: int(release.wait(20)))
    jobs.add(lambda: ended.set() or 5)
    assert ended.wait(20)
    assert list(jobs.results(2)) == []
    assert jobs.unfinished >= 1
    release.set()
    assert list(jobs.results(0)) == [1, 5]
    assert jobs.unfinished == 0
    jobs.close()


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_comes_after_the_results_before_it(threads: int) -> None:
    jobs: OrderedJobs[int] = OrderedJobs(threads)

    def fail() -> int:
        raise OSError("no space")

    for job in (lambda: 1, fail, lambda: 3):
        jobs.add(job)
    results = jobs.results(0)
    assert next(results) == 1
    with pytest.raises(OSError, match="no space"):
        next(results)
    jobs.close()


def test_a_closed_pool_begins_no_further_job() -> None:
    jobs: OrderedJobs[None] = OrderedJobs(1)
    begun, release = threading.Event(), threading.Event()
    ran: list[int] = []

    def first() -> None:
        begun.set()
        release.wait(20)

    jobs.add(first)
    jobs.add(lambda: ran.append(2))
    assert begun.wait(20)
    closing = threading.Thread(target=jobs.close)
    closing.start()
    release.set()
    closing.join(20)
    assert ran == []
