"""A stalled disk ends a recording at an exact frame or costs nothing; a full one leaves a complete snapshot or none."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.archive.kinds import COMPLETE_VERDICT, FinishReason
from acquisition.archive.reader import Archive
from app.benchmarks.reliability.disks.stalled_disk import stalling_disk
from app.live.frame_joiner import MOST_WAITING_BYTES
from app.live.recording import LiveRecording, RecordingSettings, queue_bytes_of
from app.live.snapshot import write_snapshot
from app.status import LiveView, Overlay, RecordingEnd, RecordingState
from drivers.base import Frame, SpeckleScopeError
from tests.helpers.small_disk import small_disk

SIDE_PX = 1024
FRAME_BYTES = SIDE_PX**2
#: Frames of a shard, and what the threads of the writer and its buffer hold besides the queue.
SHARD = 32 * 2**20 // FRAME_BYTES
FRAMES = 8 * SHARD
PIXELS = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
VIEW = Overlay(LiveView(frame=Frame(PIXELS, 7, 0, 0.01), reconstruction=None), None, 0.0)


def frame(index: int) -> Frame:
    pixels = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    pixels[0, :4] = np.frombuffer(index.to_bytes(4, "little"), np.uint8)
    return Frame(pixels, index, time.monotonic_ns(), 0.01)


def put(recording: LiveRecording, index: int) -> None:
    """Record a frame that inference has skipped."""
    recording.put_frame(frame(index))
    recording.put_view(LiveView(frame(index), None))


def recorded_numbers(recording: LiveRecording) -> list[int]:
    path = recording.status().path
    assert path is not None
    archive = Archive.open(path)
    return [int.from_bytes(archive.read("speckle", k)[0, :4].tobytes(), "little") for k in range(len(archive))]


def finished(recording: LiveRecording) -> LiveRecording:
    recording.finish()
    assert recording.stage.join(60)
    return recording


def test_a_stall_costs_nothing_while_the_memory_lasts(tmp_path: Path) -> None:
    with stalling_disk() as stall:
        recording = LiveRecording(tmp_path, "x", {}, 8, RecordingSettings(FRAMES * FRAME_BYTES))
        put(recording, 0)
        stall.begin()
        for k in range(1, FRAMES):
            put(recording, k)
        assert stall.wait_until_reached(20)
        assert recording.status().frames_recorded == 0
        stall.end()
        status = finished(recording).status()
    assert (status.verdict, status.finish_reason) == (COMPLETE_VERDICT, FinishReason.COMPLETED)
    assert recorded_numbers(recording) == list(range(FRAMES))


def test_a_stall_that_outlasts_the_memory_ends_the_recording_at_an_exact_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.live.recording.MOST_WAITING_BYTES", MOST_WAITING_BYTES // 16)
    with stalling_disk() as stall:
        recording = LiveRecording(tmp_path, "x", {}, 8, RecordingSettings(4 * FRAME_BYTES))
        put(recording, 0)
        while recording.status().path is None:
            assert recording.stage.running
        stall.begin()
        for k in range(1, FRAMES):
            put(recording, k)
        stalled = recording.status()
        assert (stalled.state, stalled.ended_by) == (RecordingState.WRITING, RecordingEnd.ERROR)  # while the disk still stalls
        stall.end()
        status = finished(recording).status()
    assert status.finish_reason is FinishReason.OVERFLOW
    first_missing = status.frames_recorded
    assert 0 < first_missing < FRAMES
    assert status.verdict.startswith(f"stopped at frame {first_missing}: channel 'record' is full")
    assert recorded_numbers(recording) == list(range(first_missing))


def test_the_queue_has_a_quarter_of_the_free_memory_unless_it_is_set() -> None:
    assert queue_bytes_of(64) == 64_000_000
    assert queue_bytes_of(None) > 2**20


@pytest.fixture
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """All snapshots of a test are of the same second."""
    monkeypatch.setattr("time.strftime", lambda _: "20260101-120000")


@pytest.mark.usefixtures("one_second")
def test_the_same_frame_twice_in_a_second_is_one_snapshot(tmp_path: Path) -> None:
    first = write_snapshot(tmp_path / "archive", VIEW)
    assert write_snapshot(tmp_path / "archive", VIEW) == first
    assert list((tmp_path / "archive").iterdir()) == [first]
    assert np.array_equal(cv2.imread(str(first / "speckle.png"), cv2.IMREAD_UNCHANGED), PIXELS)


@pytest.mark.usefixtures("one_second")
def test_a_full_disk_leaves_the_older_snapshot_and_no_other(tmp_path: Path) -> None:
    dark = replace(VIEW, view=LiveView(replace(VIEW.view.frame, pixels=np.zeros_like(PIXELS)), None))
    folder = write_snapshot(tmp_path, dark)
    before = (folder / "speckle.png").read_bytes()
    with (
        small_disk(10_000),
        pytest.raises(SpeckleScopeError, match=r"could not be written to .*: File too large; check the disk"),
    ):
        write_snapshot(tmp_path, VIEW)
    assert list(tmp_path.iterdir()) == [folder]
    assert (folder / "speckle.png").read_bytes() == before


def test_a_full_disk_leaves_no_partial_snapshot(tmp_path: Path) -> None:
    with small_disk(10_000), pytest.raises(SpeckleScopeError, match="check the disk"):
        write_snapshot(tmp_path, VIEW)
    assert not list(tmp_path.iterdir())
