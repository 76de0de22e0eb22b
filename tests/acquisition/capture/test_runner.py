"""The states of a run, as its callbacks see them. Runs under faults are tested in ``tests/app/datasets``, with an audit."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from acquisition.archive.folder import free_bytes
from acquisition.archive.kinds import EventKind, FinishReason
from acquisition.archive.writer import Archive, StorageError
from acquisition.capture import runner
from acquisition.capture.dataset_archive import open_dataset
from acquisition.capture.plan import CapturePlan
from acquisition.capture.progress import AcquisitionProgress, RunCallbacks, RunControl
from acquisition.capture.runner import acquire
from acquisition.capture.states import AcquisitionState
from tests.helpers.virtual_bench import VirtualBench

PLAN = CapturePlan(source="cells", pairs=6, reference_every=3)


def test_a_run_reports_capturing_pausing_and_its_finish_reason(tmp_path: Path) -> None:
    bench, control = VirtualBench(), RunControl()
    progress: list[AcquisitionProgress] = []

    def note(now: AcquisitionProgress) -> None:
        progress.append(now)
        if now.state is AcquisitionState.PAUSED:
            assert now.acknowledged == now.captured == 3, "everything captured is on disk during a pause"
            control.pause.clear()
        elif now.captured == 3 and len(progress) == 3:
            control.pause.set()

    with open_dataset(tmp_path, "x", PLAN, bench.rig, {}) as writer:
        report = acquire(bench.rig, PLAN, writer, control, RunCallbacks(on_progress=note))
    states = [now.state for now in progress]
    assert states[:5] == [AcquisitionState.CAPTURING] * 3 + [AcquisitionState.PAUSED, AcquisitionState.CAPTURING]
    assert set(states[5:]) == {AcquisitionState.CAPTURING}
    assert progress[-1].acknowledged == len(PLAN)
    assert report.complete
    assert report.finish_reason is Archive.open(report.path).finish_reason is FinishReason.COMPLETED


@pytest.mark.parametrize("paused", [False, True])
def test_a_stop_finishes_the_run_also_during_a_pause(tmp_path: Path, *, paused: bool) -> None:
    bench, control = VirtualBench(), RunControl()

    def note(now: AcquisitionProgress) -> None:
        if paused and now.state is AcquisitionState.CAPTURING and not control.stop.is_set():
            control.pause.set()
        if now.state is AcquisitionState.PAUSED or not paused:
            control.stop.set()

    with open_dataset(tmp_path, "x", PLAN, bench.rig, {}) as writer:
        report = acquire(bench.rig, PLAN, writer, control, RunCallbacks(on_progress=note))
    assert report.finish_reason is Archive.open(report.path).finish_reason is FinishReason.STOPPED
    assert 0 < report.acknowledged < len(PLAN)


def test_a_resumed_run_records_where_it_went_on(tmp_path: Path) -> None:
    bench, control = VirtualBench(), RunControl()
    with open_dataset(tmp_path, "x", PLAN, bench.rig, {}) as writer:
        stop = RunCallbacks(on_progress=lambda now: control.stop.set())
        stopped = acquire(bench.rig, PLAN, writer, control, stop)
        report = acquire(bench.rig, PLAN, writer)
    assert (stopped.acknowledged, report.acknowledged) == (1, len(PLAN))
    [event] = [event for event in Archive.open(report.path).events() if event.kind is EventKind.RESUME]
    assert event.text == "went on at pair 1"


@pytest.mark.parametrize("target", ["data.zarr/speckle/c.0.0.0", "journal.sqlite", "."])
def test_a_run_is_not_complete_when_something_is_deleted_meanwhile(tmp_path: Path, target: str) -> None:
    bench, control = VirtualBench(), RunControl()

    def delete(now: AcquisitionProgress) -> None:
        if now.state is AcquisitionState.PAUSED:
            if target == ".":
                shutil.rmtree(now.path)
            else:
                (now.path / target).unlink()
            control.pause.clear()
        elif now.captured == 3 and now.acknowledged == 0:
            control.pause.set()

    with pytest.raises(StorageError, match=r"missing|deleted"), open_dataset(tmp_path, "x", PLAN, bench.rig, {}) as writer:
        acquire(bench.rig, PLAN, writer, control, RunCallbacks(on_progress=delete))
    assert writer.acknowledged >= 3
    with contextlib.suppress(StorageError):
        assert Archive.open(writer.path).finish_reason is None


def test_a_folder_that_is_deleted_before_its_disk_is_asked_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_DISK_INTERVAL_S", 0.0)
    bench = VirtualBench()

    def delete(now: AcquisitionProgress) -> None:
        shutil.rmtree(now.path)

    with pytest.raises(StorageError, match=r"was deleted"), open_dataset(tmp_path, "x", PLAN, bench.rig, {}) as writer:
        acquire(bench.rig, PLAN, writer, callbacks=RunCallbacks(on_progress=delete))
    with pytest.raises(StorageError, match=r"cannot be read: No such file or directory; check whether it was deleted"):
        free_bytes(writer.path)
