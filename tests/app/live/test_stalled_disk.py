"""A disk that stalls costs nothing while the memory lasts; a longer stall ends the recording at an exact frame."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import COMPLETE_VERDICT, FinishReason
from acquisition.archive.reader import Archive
from app.benchmarks.reliability.disks.stalled_disk import stalling_disk
from app.live.frame_joiner import MOST_WAITING_BYTES
from app.live.recording import LiveRecording, queue_bytes_of
from app.status import LiveView
from drivers.base import Frame

SIDE_PX = 1024
FRAME_BYTES = SIDE_PX**2
#: Frames of a shard, and what the threads of the writer and its buffer hold besides the queue.
SHARD = 32 * 2**20 // FRAME_BYTES
FRAMES = 8 * SHARD


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
        recording = LiveRecording(tmp_path, "x", {}, 8, FRAMES * FRAME_BYTES)
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
        recording = LiveRecording(tmp_path, "x", {}, 8, 4 * FRAME_BYTES)
        put(recording, 0)
        while recording.status().path is None:
            assert recording.stage.running
        stall.begin()
        for k in range(1, FRAMES):
            put(recording, k)
        stall.end()
        status = finished(recording).status()
    assert status.finish_reason is FinishReason.OVERFLOW
    first_missing = status.frames_recorded
    assert SHARD < first_missing < FRAMES
    assert status.verdict.startswith(f"stopped at frame {first_missing}: channel 'record' is full")
    assert recorded_numbers(recording) == list(range(first_missing))


def test_the_queue_has_a_quarter_of_the_free_memory_unless_it_is_set() -> None:
    assert queue_bytes_of(64) == 64_000_000
    assert queue_bytes_of(None) > 2**20
