"""Small real entries of an archive: recordings, datasets and snapshots, also such that a crash has cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from acquisition.archive.kinds import ArchiveKind, FinishReason
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from app.live.snapshot import write_snapshot
from app.status import LiveView, Overlay
from drivers.base import Frame

#: Not from ``tests.conftest``: the process that is killed would import pytest and hypothesis too, for a third of its time.
ROOT = Path(__file__).resolve().parents[3]
SIDE_PX = 16
METADATA: Mapping[str, object] = {
    "instrument": "bench 2",
    "fibre": "fibre A",
    "model": "bench-july",
    "model_id": "0123456789ab",
    "bit_depth": 8,
}


def open_writer(root: Path, name: str, kind: ArchiveKind, metadata: Mapping[str, object] = METADATA) -> ArchiveWriter:
    shape = (SIDE_PX, SIDE_PX)
    arrays = [ArraySpec("speckle", shape, "uint8"), ArraySpec("phase", shape, "float32")]
    return ArchiveWriter.create(root, ArchiveSpec(kind=kind, name=name, arrays=arrays, metadata=metadata), 10)


def append(writer: ArchiveWriter, number: int, *, has_phase: bool = True) -> None:
    phase = np.full((SIDE_PX, SIDE_PX), number if has_phase else np.nan, np.float32)
    speckle = np.random.default_rng(number).integers(0, 255, (SIDE_PX, SIDE_PX), np.uint8)
    extra = {} if has_phase else {ROW_NOT_RECONSTRUCTED: 1}
    row = PairRow(frame_index=10 + number, t_ns=number * 10**9, exposure_s=0.002, model_id="0123456789ab", extra=extra)
    writer.append({"speckle": speckle, "phase": phase}, row)


def recording(root: Path, name: str = "cells", *, frames: int = 3, metadata: Mapping[str, object] = METADATA) -> Path:
    """Write a complete recording with a frame each second, of which the last has no phase."""
    with open_writer(root, name, ArchiveKind.RECORDING, metadata) as writer:
        for number in range(frames):
            append(writer, number, has_phase=number < frames - 1)
        writer.complete()
        return writer.path


def dataset(root: Path, name: str = "pairs", *, complete: bool = True) -> Path:
    """Write a dataset of two pairs, complete or stopped by the operator."""
    with open_writer(root, name, ArchiveKind.DATASET) as writer:
        for number in range(2):
            append(writer, number)
        if complete:
            writer.complete()
        else:
            writer.conclude(FinishReason.STOPPED, "stopped at 2 of 60")
        return writer.path


def snapshot(root: Path, index: int = 7) -> Path:
    frame = Frame(np.zeros((SIDE_PX, SIDE_PX), np.uint8), index, 0, 0.002, 8)
    return write_snapshot(root, Overlay(LiveView(frame, None), None, 0.0))


_KILLED = """
import sys, time
from pathlib import Path
from acquisition.archive.kinds import ArchiveKind
from tests.helpers.archives.library_archive import append, open_writer
writer = open_writer(Path(sys.argv[1]), sys.argv[2], ArchiveKind(sys.argv[3]))
for number in range(int(sys.argv[4])):
    append(writer, number)
writer.flush()
append(writer, int(sys.argv[4]))
print(writer.path, flush=True)
sys.stdin.read()
"""


def writing_process(
    root: Path, name: str = "lost", frames: int = 4, kind: ArchiveKind = ArchiveKind.RECORDING
) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that has written so many frames, and holds one more that is not on the disk."""
    command = [sys.executable, "-c", _KILLED, str(root), name, kind.value, str(frames)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process as the system does, and wait for its end."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def cut_off(root: Path, name: str = "lost", frames: int = 4, kind: ArchiveKind = ArchiveKind.RECORDING) -> Path:
    """Write a recording whose program is killed."""
    process, path = writing_process(root, name, frames, kind)
    end(process)
    return path
