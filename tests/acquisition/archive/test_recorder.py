"""Recording: every item on disk and 'complete', or stopped with the frame and the reason."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import COMPLETE_VERDICT, ArchiveKind, EventKind, FinishReason
from acquisition.archive.recorder import Recorder, RecordItem
from acquisition.archive.recording_faults import RecordingFault, event_frames, recorded_faults, recording_facts
from acquisition.archive.writer import Archive, NotOnDiskError, StorageError
from acquisition.streams.channel import Channel, ChannelClosedError, ChannelOverflowError, Overflow, Stage
from drivers.base import DeviceLostError, Frame, FrameMark


def item(index: int, size: int = 4, *, labels: bool = True, uncertainty: bool = False) -> RecordItem:
    rng = np.random.default_rng(index)
    pixels = rng.integers(0, 255, (8, 8), dtype=np.uint8)
    return RecordItem(
        frame=Frame(pixels, index=index, t_ns=index * 10**7, exposure_s=0.005, pattern_id=f"p{index}"),
        phase_rad=rng.normal(size=(size, size)).astype(np.float32),
        labels=rng.integers(0, 9, (size, size), dtype=np.uint16) if labels else None,
        uncertainty_rad=rng.random((size, size), dtype=np.float32) if uncertainty else None,
        model_id="model-hash",
        engine="onnxruntime cpu",
        latency_s=0.001 * index,
    )


def channel_with(*items: RecordItem, capacity: int = 16) -> Channel[RecordItem]:
    channel: Channel[RecordItem] = Channel("recording", capacity, Overflow.FAIL)
    for one in items:
        channel.put(one)
    return channel


def recorder_of(channel: Channel[RecordItem], root: Path) -> Recorder:
    return Recorder(root, "cells", {"pixel_um": 3.45}, channel)


def recorded(recorder: Recorder) -> Archive:
    assert recorder.path is not None
    return Archive.open(recorder.path)


@pytest.mark.parametrize(
    ("labels", "uncertainty", "arrays"),
    [
        (True, False, ("speckle", "phase", "labels")),
        (True, True, ("speckle", "phase", "labels", "uncertainty")),
        (False, False, ("speckle", "phase")),
    ],
)
def test_a_whole_recording_is_complete_and_lossless(
    tmp_path: Path, *, labels: bool, uncertainty: bool, arrays: tuple[str, ...]
) -> None:
    items = [item(k, labels=labels, uncertainty=uncertainty) for k in range(5)]
    channel: Channel[RecordItem] = Channel("recording", 16, Overflow.FAIL)
    recorder = recorder_of(channel, tmp_path)
    stage = Stage("recorder", recorder.run)
    stage.start()
    for one in items:
        channel.put(one)
    channel.close()
    assert stage.join(20)
    assert stage.error is None
    assert recorder.finish_reason is FinishReason.COMPLETED
    assert (recorder.verdict, recorder.frames_recorded, recorder.frames_skipped) == (COMPLETE_VERDICT, 5, 0)
    archive = recorded(recorder)
    assert archive.arrays == arrays
    assert archive.metadata == {"pixel_um": 3.45}
    assert archive.kind is ArchiveKind.RECORDING
    assert archive.finish_reason is FinishReason.COMPLETED
    assert (archive.status["kind"], archive.status["verdict"]) == ("recording", "complete")
    assert [(e.kind, e.text) for e in archive.events()] == [(EventKind.VERDICT, "complete")]
    for k, one in enumerate(items):
        for name, image in one.images().items():
            np.testing.assert_array_equal(archive.read(name, k), image)
        row = archive.row(k)
        assert (row.frame_index, row.t_ns, row.exposure_s) == (k, k * 10**7, 0.005)
        assert (row.model_id, row.engine, row.latency_s) == ("model-hash", "onnxruntime cpu", 0.001 * k)
        assert row.pattern_id == f"p{k}"


def test_a_stop_records_the_items_in_the_channel_and_refuses_more(tmp_path: Path) -> None:
    channel = channel_with(item(0), item(1))
    recorder = recorder_of(channel, tmp_path)
    stop = threading.Event()
    stop.set()
    recorder.run(stop)
    assert recorder.finish_reason is FinishReason.COMPLETED
    assert (recorder.verdict, recorder.frames_recorded) == (COMPLETE_VERDICT, 2)
    with pytest.raises(ChannelClosedError):
        channel.put(item(2))


def test_an_overflow_keeps_the_accepted_frames_and_names_the_first_lost_one(tmp_path: Path) -> None:
    channel = channel_with(item(0), item(1), capacity=2)
    with pytest.raises(ChannelOverflowError) as overflow:
        channel.put(item(2))
    channel.close(overflow.value)
    recorder = recorder_of(channel, tmp_path)
    with pytest.raises(ChannelOverflowError):
        recorder.run(threading.Event())
    assert recorder.frames_recorded == 2
    assert recorder.verdict.startswith("stopped at frame 2: ")
    assert "full" in recorder.verdict
    assert recorder.finish_reason is FinishReason.OVERFLOW
    archive = recorded(recorder)
    assert len(archive) == 2
    assert archive.status["verdict"] == recorder.verdict
    assert archive.finish_reason is FinishReason.OVERFLOW


@pytest.mark.parametrize("error", [DeviceLostError("camera unplugged"), TimeoutError("camera unplugged")])
def test_the_producers_error_is_the_verdict(tmp_path: Path, error: Exception) -> None:
    channel = channel_with(item(0))
    channel.close(error)
    recorder = recorder_of(channel, tmp_path)
    with pytest.raises(type(error), match="unplugged"):
        recorder.run(threading.Event())
    assert recorder.verdict == "stopped at frame 1: camera unplugged"
    assert recorded(recorder).status["verdict"] == recorder.verdict
    assert recorder.finish_reason is recorded(recorder).finish_reason is FinishReason.FAILED


def test_an_item_of_another_shape_stops_the_recording_and_keeps_the_frames_before_it(tmp_path: Path) -> None:
    channel = channel_with(item(0), item(1), item(2, size=8), item(3))
    recorder = recorder_of(channel, tmp_path)
    with pytest.raises(StorageError, match="phase"):
        recorder.run(threading.Event())
    assert recorder.verdict.startswith("stopped at frame 2: ")
    assert recorder.finish_reason is FinishReason.FAILED
    assert len(recorded(recorder)) == 2
    with pytest.raises(ChannelClosedError):
        channel.put(item(4))


def test_a_failing_disk_stops_the_producer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    channel = channel_with(item(0))
    recorder = recorder_of(channel, tmp_path / "file")
    with pytest.raises(StorageError):
        recorder.run(threading.Event())
    assert recorder.verdict.startswith("stopped at frame 0: cannot create")
    assert recorder.finish_reason is FinishReason.DISK_FAILED
    assert recorder.path is None
    with pytest.raises(ChannelClosedError):
        channel.put(item(1))


def test_frames_that_inference_dropped_are_counted(tmp_path: Path) -> None:
    channel = channel_with(item(3), item(4), item(7))
    channel.close()
    recorder = recorder_of(channel, tmp_path)
    recorder.run(threading.Event())
    assert recorder.frames_skipped == 2
    assert recorded(recorder).status["frames_skipped"] == "2"


def test_a_recording_without_frames_is_not_complete(tmp_path: Path) -> None:
    channel = channel_with()
    channel.close()
    recorder = recorder_of(channel, tmp_path)
    recorder.run(threading.Event())
    assert recorder.verdict == "stopped at frame 0: no frame came"
    assert recorder.finish_reason is FinishReason.NO_FRAMES
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lost", ["data.zarr/speckle/c.0.0.0", "journal.sqlite", ""])
def test_a_recording_that_is_not_on_the_disk_is_not_complete(tmp_path: Path, lost: str) -> None:
    channel = channel_with(item(0), item(1))
    recorder = Recorder(tmp_path, "cells", {"pixel_um": 3.45}, channel, seal_after_s=0.0)
    stage = Stage("recorder", recorder.run)
    stage.start()
    deadline_s = time.monotonic() + 20
    while recorder.frames_recorded < 2:
        assert time.monotonic() < deadline_s
    assert recorder.path is not None
    target = recorder.path / lost
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()
    channel.close()
    assert stage.join(20)
    assert isinstance(stage.error, NotOnDiskError)
    assert recorder.finish_reason is FinishReason.DISK_FAILED
    assert recorder.verdict.startswith("not on the disk: ")


def marked(index: int, *marks: FrameMark) -> RecordItem:
    return replace(item(index), frame=item(index).frame.marked(marks, readable=True))


def test_frames_with_a_mark_are_faults_and_a_run_of_them_is_one_event(tmp_path: Path) -> None:
    dark, frozen = FrameMark.DARK, FrameMark.FROZEN
    items = [item(0), marked(1, dark), marked(2, dark, frozen), marked(3, dark), item(4), marked(5, dark), marked(7, dark)]
    channel = channel_with(*items)
    channel.close()
    recorder = recorder_of(channel, tmp_path)
    recorder.run(threading.Event())
    assert recorder.verdict == "complete, with 6 faults: 1 FrameFrozen, 5 FrameDark"
    assert recorder.faults == {"FrameFrozen": 1, "FrameDark": 5}
    assert recorder.finish_reason is FinishReason.COMPLETED
    archive = recorded(recorder)
    frozen_event, dark_event, verdict = archive.events()
    assert (frozen_event.kind, dark_event.kind) == (EventKind.FRAME_FROZEN, EventKind.FRAME_DARK)
    assert verdict.kind is EventKind.VERDICT
    assert frozen_event.text.endswith(", frame 2)")
    assert dark_event.text.startswith("5 times: next to no light")
    assert dark_event.text.endswith(", frames 1-3, 5, 7)")
    assert (event_frames(frozen_event), event_frames(dark_event), event_frames(verdict)) == ([2], [1, 2, 3, 5, 7], [])
    assert [row.extra.get("marks") for row in archive.rows()] == [None, "dark", "dark,frozen", "dark", None, "dark", "dark"]
    assert recording_facts(archive)["marked_frames"] == {"dark": "1-3, 5, 7", "frozen": "2"}


def test_a_run_of_frames_with_a_mark_is_counted_while_it_goes_on(tmp_path: Path) -> None:
    channel = channel_with(item(0), marked(1, FrameMark.DARK))
    recorder = recorder_of(channel, tmp_path)
    stage = Stage("recorder", recorder.run)
    stage.start()
    deadline_s = time.monotonic() + 20
    while recorder.faults != {"FrameDark": 1}:
        assert time.monotonic() < deadline_s
    channel.put(marked(2, FrameMark.DARK))
    while recorder.faults != {"FrameDark": 2}:
        assert time.monotonic() < deadline_s
    channel.close()
    assert stage.join(20)
    [event, _] = recorded(recorder).events()
    assert event.text.endswith(", frames 1-2)")


def test_faults_are_stored_while_no_frame_comes(tmp_path: Path) -> None:
    channel = channel_with(item(0))
    recorder = Recorder(tmp_path, "cells", {}, channel, seal_after_s=0.0)
    stage = Stage("recorder", recorder.run)
    stage.start()
    recorder.log.add(RecordingFault(kind=EventKind.DEVICE_LOST, text="unplugged", frames=(range(1, 2),)))
    deadline_s = time.monotonic() + 20
    while recorder.path is None or EventKind.DEVICE_LOST not in [event.kind for event in recorded(recorder).events()]:
        assert time.monotonic() < deadline_s
    channel.close()
    assert stage.join(20)
    assert recorder.verdict == "complete, with 1 fault: 1 DeviceLostError"
    assert recorded_faults(recorded(recorder)) == {"DeviceLostError": 1}


def test_a_frame_is_on_disk_although_no_further_one_comes(tmp_path: Path) -> None:
    channel = channel_with(item(0))
    recorder = Recorder(tmp_path, "cells", {}, channel, seal_after_s=0.01)
    stage = Stage("recorder", recorder.run)
    stage.start()
    deadline_s = time.monotonic() + 20
    while recorder.frames_recorded < 1:
        assert time.monotonic() < deadline_s
    channel.close()
    assert stage.join(20)
    assert recorded(recorder).status["frames_not_compressed"] == "0"


def test_the_wall_clock_time_is_that_of_the_exposure(tmp_path: Path) -> None:
    """Reconstruction takes a while, and a recording is compared with other devices by this time."""
    late_s = 7.5
    exposed, simulated = item(0), item(1)
    exposed = replace(exposed, frame=replace(exposed.frame, t_ns=time.monotonic_ns() - round(late_s * 1e9)))
    simulated = replace(simulated, frame=replace(simulated.frame, t_ns=2**62))
    before = datetime.now(UTC)
    channel = channel_with(exposed, simulated)
    channel.close()
    recorder = recorder_of(channel, tmp_path)
    recorder.run(threading.Event())
    times = [datetime.fromisoformat(row.host_utc) for row in recorded(recorder).rows()]
    after = datetime.now(UTC)
    assert before - timedelta(seconds=late_s + 0.5) <= times[0] <= after - timedelta(seconds=late_s)
    assert before <= times[1] <= after
