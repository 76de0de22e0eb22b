"""Unfinished datasets: what is missing, and every reason why an instrument cannot complete one."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from acquisition.archive.folder import WriterLock
from acquisition.archive.writer import Archive
from acquisition.capture.preflight import Estimate
from app.datasets import resume
from app.datasets.acquisition_job import DatasetRun
from app.datasets.dataset_list import DatasetList, Verified
from app.datasets.report_view import stored_report, verified_report
from app.datasets.resume import AcquisitionDevices, find_resumable
from app.datasets.start_check import name_problem, same_name, start_problem
from app.jobs.result_job import JobStoppedError
from app.library.entry import EntryEnd
from drivers.base import SpeckleScopeError
from tests.helpers.virtual_bench import VirtualBench
from tests.helpers.virtual_dataset import FIBRE, PLAN, acquired


@pytest.fixture
def stopped(tmp_path: Path) -> tuple[Path, AcquisitionDevices]:
    path, bench = acquired(tmp_path / "archive", pairs=5)
    return path, AcquisitionDevices.of(bench.rig, FIBRE)


def test_a_stopped_dataset_says_what_is_missing_and_is_completed(stopped) -> None:
    path, devices = stopped
    resumable = find_resumable(path, devices)
    assert (resumable.stored, resumable.missing) == (5, len(PLAN) - 5)
    run = DatasetRun.resumed(VirtualBench().rig, resumable)
    run.stage.start()
    assert run.stage.join(60)
    assert run.report is not None
    assert run.report.complete
    assert len(Archive.open(path)) == len(PLAN)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fibre": "another"}, r"was started with fibre 'twin 1', the instrument has 'another'"),
        ({"frame_shape": (32, 64)}, r"frames of 64 x 64 px, the camera delivers 64 x 32 px now; set the camera's region"),
        ({"bit_depth": 12}, r"frames of type uint8, the camera delivers 12 bits now"),
        ({"pattern_shape": (64, 128)}, r"patterns of 64 x 64 px, the SLM shows 128 x 64 px now"),
        ({"pattern_shape": None}, r"the instrument has no SLM now"),
    ],
)
def test_another_fibre_and_other_devices_are_refused_with_the_reason(stopped, change: dict, reason: str) -> None:
    path, devices = stopped
    before = sorted(file.name for file in path.rglob("*"))
    with pytest.raises(SpeckleScopeError, match=reason):
        find_resumable(path, replace(devices, **change))
    assert sorted(file.name for file in path.rglob("*")) == before


def test_a_dataset_that_is_being_written_is_refused(stopped) -> None:
    path, devices = stopped
    with WriterLock(path), pytest.raises(SpeckleScopeError, match="is being written now"):
        find_resumable(path, devices)


def test_a_folder_without_rights_is_refused(stopped, monkeypatch) -> None:
    path, devices = stopped
    monkeypatch.setattr(resume.os, "access", lambda folder, mode: False)  # tests may run as root, who may do everything
    with pytest.raises(SpeckleScopeError, match="you have no right to write there"):
        find_resumable(path, devices)


def test_the_list_has_unfinished_datasets_first_each_with_what_can_be_done(stopped, tmp_path: Path) -> None:
    path, devices = stopped
    whole, _ = acquired(tmp_path / "archive", name="whole")
    datasets = DatasetList(tmp_path / "archive", tmp_path / "cache")
    first, second = datasets.look(devices)
    assert (first.path, second.path) == (path, whole)
    assert first.is_unfinished
    assert first.resumable is not None
    assert first.resumable.missing == len(PLAN) - 5
    assert second.entry.end is EntryEnd.COMPLETE
    assert (second.resumable, second.refusal, second.verified) == (None, "", Verified.UNKNOWN)
    verified_report(whole, lambda done, total: None, threading.Event())
    other = datasets.look(replace(devices, fibre="another"))
    assert "started with fibre" in other[0].refusal
    assert other[0].resumable is None
    assert other[1].verified is Verified.YES


def test_an_archive_that_is_not_there_yet_has_no_datasets(stopped, tmp_path: Path) -> None:
    assert DatasetList(tmp_path / "none", tmp_path / "cache").look(stopped[1]) == ()


def test_a_report_is_the_same_when_it_is_read_back(tmp_path: Path) -> None:
    path, _ = acquired(tmp_path / "archive")
    assert stored_report(path) is None
    steps: list[tuple[int, int]] = []
    report = verified_report(path, lambda done, total: steps.append((done, total)), threading.Event())
    assert report.good
    assert steps[-1] == (len(PLAN), len(PLAN))
    read = stored_report(path)
    assert read is not None
    assert (read.verdict, read.rows, read.drift, read.good) == (report.verdict, report.rows, report.drift, True)
    assert read.sheet is not None
    assert read.sheet.ndim == 2


def test_a_certificate_of_fewer_pairs_than_there_are_says_so(stopped, tmp_path: Path) -> None:
    path, devices = stopped
    report = verified_report(path, lambda done, total: None, threading.Event())
    assert not report.good
    assert "5 of" in report.verdict
    run = DatasetRun.resumed(VirtualBench().rig, find_resumable(path, devices))
    certificate = (path / "certificate.yaml").read_bytes()
    run.stage.start()
    assert run.stage.join(60)
    (path / "certificate.yaml").write_bytes(certificate)  # as after a crash before the new one was written
    read = stored_report(path)
    assert read is not None
    assert not read.good
    assert "verify the dataset again" in read.notes[0]


def test_a_verification_that_is_stopped_leaves_the_older_report(tmp_path: Path) -> None:
    path, _ = acquired(tmp_path / "archive")
    verified_report(path, lambda done, total: None, threading.Event())
    stop = threading.Event()
    stop.set()
    with pytest.raises(JobStoppedError, match="stopped after 1 of"):
        verified_report(path, lambda done, total: None, stop)
    assert stored_report(path) is not None


def test_a_damaged_certificate_is_told(tmp_path: Path) -> None:
    path, _ = acquired(tmp_path / "archive")
    (path / "certificate.yaml").write_text("pairs: many\n")
    with pytest.raises(SpeckleScopeError, match=r"cannot be read.*verify the dataset again"):
        stored_report(path)


def _estimate(needed: int, free: int) -> Estimate:
    return Estimate(shots=1, seconds_per_pair=1.0, seconds=1.0, bytes_raw=needed, bytes_free=free)


def test_an_archive_that_cannot_take_a_dataset_is_told_before(tmp_path: Path) -> None:
    assert start_problem(tmp_path / "new" / "archive", _estimate(10, 100)) == ""
    assert "only 0.0 GB are free" in start_problem(tmp_path, _estimate(10**10, 100))
    (tmp_path / "file").write_text("")
    assert "is a file and no folder" in start_problem(tmp_path / "file" / "archive", _estimate(10, 100))


def test_a_name_is_checked_and_one_that_exists_is_told(tmp_path: Path) -> None:
    assert name_problem("liver 2") == ""
    assert name_problem("") == "Type a name for the dataset"
    assert "no slash" in name_problem("a/b")
    path, _ = acquired(tmp_path, name="liver 2")
    assert same_name(tmp_path, "liver 2") == path
    assert same_name(tmp_path, "liver") is None
    assert same_name(tmp_path / "none", "liver") is None
