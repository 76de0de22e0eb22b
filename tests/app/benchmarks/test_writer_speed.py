"""The benchmark of the writer records through the recorder, writes the same bytes plainly, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.benchmarks.writer_speed import writer_speed


@pytest.mark.parametrize(("bits", "frame_bytes"), [(8, 2048**2), (12, 2 * 2048**2)])
def test_recorder_and_plain_files_are_compared(tmp_path: Path, bits: int, frame_bytes: int) -> None:
    frames = 3
    speed = writer_speed(tmp_path, bits, frames * frame_bytes, turns=1)
    assert speed.ratio == pytest.approx(speed.recorder_mb_s / speed.plain_mb_s)
    assert speed.recorder_mb_s > 0
    assert speed.frames_not_compressed <= frames
    assert set(speed.to_dict()) == {"recorder_mb_s", "plain_mb_s", "ratio", "frames_not_compressed"}
    assert list(tmp_path.iterdir()) == []
