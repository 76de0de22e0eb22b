"""The list of jobs: what runs, what cannot run side by side, how each one ended."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app.jobs.job_list import JobConflictError, JobList, JobOrder, Need, Progress
from app.status import JobState


def _waiting(name: str, needs: frozenset[Need] = frozenset(), folders: frozenset[Path] = frozenset()) -> JobOrder:
    """A job that runs until it is stopped."""

    def work(progress: Progress, stop: threading.Event) -> None:
        progress(1, 3)
        stop.wait()

    return JobOrder(name=name, work=work, needs=needs, folders=folders, resumable=True)


def test_two_jobs_that_need_the_devices_do_not_run_side_by_side() -> None:
    jobs = JobList()
    first = jobs.start(_waiting("Acquire liver", frozenset({Need.DEVICES})))
    with pytest.raises(JobConflictError, match="Acquire liver is running and uses the camera and the SLM"):
        jobs.start(_waiting("Measure the timing", frozenset({Need.DEVICES, Need.COMPUTER})))
    other = jobs.start(_waiting("Train", frozenset({Need.COMPUTER})))
    assert [job.order.name for job in jobs.running] == ["Acquire liver", "Train"]
    first.stop()
    assert first.stage.join(10)
    assert not jobs.conflict(frozenset({Need.DEVICES}))
    other.stop()
    assert other.stage.join(10)


def test_two_jobs_on_one_folder_do_not_run_side_by_side(tmp_path: Path) -> None:
    jobs = JobList()
    job = jobs.start(_waiting("Export liver", folders=frozenset({tmp_path / "liver"})))
    assert jobs.conflict(folders=frozenset({tmp_path / "liver", tmp_path / "kidney"})) == (
        "Export liver is running and uses liver; wait for its end, or stop it"
    )
    assert not jobs.conflict(folders=frozenset({tmp_path / "kidney"}))
    jobs.stop_resumable()
    assert job.stage.join(10)


def test_each_job_says_how_it_ended() -> None:
    jobs = JobList()

    def fail(progress: Progress, stop: threading.Event) -> None:
        raise OSError("no space")

    ended = [
        jobs.start(JobOrder(name="Report", work=lambda progress, stop: progress(2, 2))),
        jobs.start(JobOrder(name="Copy", work=fail)),
        jobs.start(_waiting("Train")),
    ]
    jobs.stop_resumable()
    assert all(job.stage.join(10) for job in ended)
    assert [(status.name, status.state) for status in jobs.statuses()] == [
        ("Report", JobState.FINISHED),
        ("Copy", JobState.FAILED),
        ("Train", JobState.STOPPED),
    ]


def test_what_cannot_go_on_later_is_not_stopped() -> None:
    jobs = JobList()
    finishes = threading.Event()
    export = jobs.start(JobOrder(name="Export", work=lambda progress, stop: finishes.wait(10) and None))
    copy = jobs.start(_waiting("Copy"))
    jobs.stop_resumable()
    assert copy.stage.join(10)
    assert export.running
    finishes.set()
    assert export.stage.join(10)
    assert [status.state for status in jobs.statuses()] == [JobState.FINISHED, JobState.STOPPED]


def test_a_long_day_keeps_the_running_jobs_and_the_newest_hundred_that_ended() -> None:
    jobs = JobList()
    running = jobs.start(_waiting("Train"))
    for number in range(150):
        assert jobs.start(JobOrder(name=f"Export {number}", work=lambda progress, stop: None)).stage.join(10)
    names = [status.name for status in jobs.statuses()]
    assert names[0] == "Train"
    assert 100 <= len(names) - 1 <= 101
    assert names[-1] == "Export 149"
    running.stop()
    assert running.stage.join(10)


def test_devices_are_freed_by_stopping_what_can_go_on_later_and_nothing_else() -> None:
    jobs = JobList()
    devices = frozenset({Need.DEVICES})
    test = jobs.start(_waiting("Test of the devices", devices))
    train = jobs.start(_waiting("Train", frozenset({Need.COMPUTER})))
    jobs.free(devices)
    assert not test.running
    assert train.running
    finishes = threading.Event()
    jobs.start(JobOrder(name="Calibrate", work=lambda progress, stop: finishes.wait(10) and None, needs=devices))
    with pytest.raises(JobConflictError, match="Calibrate is running"):
        jobs.free(devices)
    finishes.set()
    train.stop()
    assert all(job.stage.join(10) for job in jobs.running)
