"""The benchmark of bad frames finds every mark in a recording, and notices a missing and a false one."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.reader import Archive
from acquisition.archive.recorder import Recorder, RecordItem
from acquisition.streams.channel import Channel, Overflow
from app.benchmarks.reliability import frames
from app.benchmarks.reliability.budget import Budget, Numbers
from app.live.frame_judge import FrameJudge
from drivers.base import Frame, FrameMark


def recorded(root: Path, marks: list[FrameMark | None], *, segmented: bool = False) -> Archive:
    """Record a frame for each mark; its time is 100 times its number."""
    channel: Channel[RecordItem] = Channel("record", len(marks), Overflow.FAIL)
    rng = np.random.default_rng(0)
    for index, mark in enumerate(marks):
        frame = Frame(rng.integers(0, 255, (8, 8), dtype=np.uint8), index, 100 * index, 0.01)
        if mark is not None:
            frame = frame.marked((mark,), readable=False)
        phase = np.zeros((4, 4), np.float32)
        item = RecordItem(frame=frame, phase_rad=phase, model_id="", engine="torch", latency_s=0.0)
        channel.put(replace(item, segmented=segmented or mark is None))
    channel.close()
    recorder = Recorder(root, "frames", {}, channel)
    recorder.run(threading.Event())
    assert recorder.path is not None
    return Archive.open(recorder.path)


def counted(archive: Archive, spoiled: dict[int, FrameMark]) -> Numbers:
    injections = frames.Injections(spoiled={100 * index: mark for index, mark in spoiled.items()})
    injections.without_phase.update(row.crc32["speckle"] for row in archive.rows())
    tally = frames.Tally()
    frames.count(archive, injections, tally, "test")
    return tally.numbers()


def test_marks_are_matched_frame_by_frame(tmp_path: Path) -> None:
    marks: list[FrameMark | None] = [None, *FrameMark, None, None]
    spoiled = {index: mark for index, mark in enumerate(marks) if mark is not None}
    archive = recorded(tmp_path / "all", marks)
    numbers = counted(archive, spoiled)
    assert (numbers["bad_frames_injected"], numbers["bad_frames_marked"]) == (5, 5)
    assert (numbers["good_frames"], numbers["false_marks"]) == (3, 0)
    for mark in FrameMark:
        assert (numbers[f"bad_frames_injected_{mark}"], numbers[f"bad_frames_marked_{mark}"]) == (1, 1)
    assert numbers["frames_findings"] == []
    more = counted(archive, {**spoiled, 6: FrameMark.FROZEN})
    assert (more["bad_frames_injected_frozen"], more["bad_frames_marked_frozen"], more["false_marks"]) == (2, 1, 0)
    fewer = counted(archive, {index: mark for index, mark in spoiled.items() if mark is not FrameMark.DARK})
    assert (fewer["bad_frames_injected_dark"], fewer["false_marks"]) == (0, 1)
    assert fewer["frames_findings"] == ["test: frame 2 is good, marked dark"]


def test_labels_of_a_frame_without_light_are_noticed(tmp_path: Path) -> None:
    numbers = counted(recorded(tmp_path, [None, FrameMark.DARK, FrameMark.FROZEN], segmented=True), {1: FrameMark.DARK})
    assert (numbers["bad_frames_injected_dark"], numbers["bad_frames_marked_dark"]) == (1, 0)


def measured() -> Numbers:
    return frames.measure(Budget(quick=True, quick_s=8.0), lambda *args: None)


@pytest.mark.slow
def test_sessions_mark_every_bad_frame() -> None:
    numbers = measured()
    for mark in FrameMark:
        assert numbers[f"bad_frames_injected_{mark}"] == numbers[f"bad_frames_marked_{mark}"], numbers
    assert numbers["bad_frames_injected"] == numbers["bad_frames_marked"] > 20
    assert numbers["good_frames"] > 200
    assert numbers["false_marks"] == 0


@pytest.mark.slow
def test_a_judge_that_is_blind_or_sees_ghosts_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FrameJudge, "__call__", lambda judge, frame: frame)
    numbers = measured()
    assert numbers["bad_frames_marked"] == numbers["bad_frames_marked_nan"] < numbers["bad_frames_injected"]
    monkeypatch.setattr(FrameJudge, "__call__", lambda judge, frame: frame.marked((FrameMark.FROZEN,), readable=True))
    assert measured()["false_marks"] > 100
