"""Measures how fast recordings are written: beside plain synced files on the same disk, and in memory.

The frames are those of a camera of 2048 x 2048 pixels, of 8 bits and of 12 bits in 16. They go through the recorder of the live
view, with a phase and labels, as fast as it takes them. Recorder and plain files are measured in turns and compared within a
turn, because other programs share the disk and the processors.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acquisition.archive.recorder import Recorder, RecordItem
from acquisition.streams.channel import Channel, Overflow, Stage
from app.live.recording import item_bytes
from app.progress import Report
from drivers.base import Frame

SIDE_PX, GRID_PX = 2048, 256
_DTYPES = {8: np.uint8, 12: np.uint16}
#: Different frames that are written again and again, and memory for those that wait.
_FRAMES, _QUEUE_BYTES = 16, 2**26
_PLAIN_BYTES = 32 * 2**20
_IN_MEMORY = Path("/dev/shm")
_MB = 1e6


@dataclass(frozen=True, kw_only=True)
class WriterSpeed:
    """Medians over the turns.

    Parameters
    ----------
    bits : int
        Bits of a pixel.
    recorder_mb_s, plain_mb_s : float
        Megabytes per second through the recorder, and into plain synced files of 32 MiB.
    ratio : float
        Median of the ratios of each turn.
    frames_not_compressed : int
        Of the last turn.
    """

    bits: int
    recorder_mb_s: float
    plain_mb_s: float
    ratio: float
    frames_not_compressed: int

    def to_dict(self) -> dict[str, object]:
        """Return the numbers as plain values."""
        return {
            "recorder_mb_s": round(self.recorder_mb_s, 1),
            "plain_mb_s": round(self.plain_mb_s, 1),
            "ratio": round(self.ratio, 3),
            "frames_not_compressed": self.frames_not_compressed,
        }


def measure(root: Path, report: Report, *, quick: bool) -> dict[str, object]:
    """Return the numbers of the benchmark.

    Parameters
    ----------
    root : Path
        A folder on the disk.
    report : callable
        Told about the progress.
    quick : bool
        Whether to write 540 MB a time instead of 1 GB.

    Returns
    -------
    dict
        ``writer_to_disk_ratio`` is the smaller of the ratios of 8 and of 12 bits, ``writer_memory_mb_s`` the smaller rate in
        storage that is memory, None where there is none or too little of it, and ``writer`` has the numbers of each.
    """
    total_bytes, turns = (2**29, 3) if quick else (2**30, 7)
    folders = {"disk": root / "writer", **({"memory": _IN_MEMORY} if _has_memory(total_bytes) else {})}
    speeds: dict[str, list[WriterSpeed]] = {}
    for place, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        for bits in _DTYPES:
            report("writing a recording and plain files", len(speeds), len(folders), f"{place}, {bits} bits")
            with tempfile.TemporaryDirectory(prefix="specklescope-writer-", dir=folder) as name:
                speeds.setdefault(place, []).append(writer_speed(Path(name), bits, total_bytes, turns))
    report("writing a recording and plain files", 1, 1)
    in_memory = [speed.recorder_mb_s for speed in speeds.get("memory", [])]
    return {
        "writer_to_disk_ratio": round(min(speed.ratio for speed in speeds["disk"]), 3),
        "writer_memory_mb_s": round(min(in_memory), 1) if in_memory else None,
        "writer": {f"{place}_{speed.bits}_bits": speed.to_dict() for place, several in speeds.items() for speed in several},
    }


def writer_speed(folder: Path, bits: int, total_bytes: int, turns: int) -> WriterSpeed:
    """Write in turns through the recorder and into plain files; what was written is deleted before the next turn."""
    items = _items(bits, total_bytes)
    size_mb = sum(item_bytes(item) for item in items) / _MB
    recorder_s, plain_s = [], []
    not_compressed = 0
    for turn in range(turns):
        for work in (_record, _write_plain) if turn % 2 else (_write_plain, _record):
            target = folder / f"{turn}-{work.__name__}"
            target.mkdir()
            start = time.perf_counter()
            count = work(target, items)
            seconds = time.perf_counter() - start
            shutil.rmtree(target)
            if work is _record:
                recorder_s.append(seconds)
                not_compressed = count
            else:
                plain_s.append(seconds)
    return WriterSpeed(
        bits=bits,
        recorder_mb_s=size_mb / statistics.median(recorder_s),
        plain_mb_s=size_mb / statistics.median(plain_s),
        ratio=statistics.median(plain / recorded for plain, recorded in zip(plain_s, recorder_s, strict=True)),
        frames_not_compressed=not_compressed,
    )


def _items(bits: int, total_bytes: int) -> list[RecordItem]:
    rng = np.random.default_rng(bits)
    frames = [rng.integers(0, 2**bits, (SIDE_PX, SIDE_PX), _DTYPES[bits]) for _ in range(_FRAMES)]
    phase_rad = rng.random((GRID_PX, GRID_PX), np.float32)
    labels = rng.integers(0, 20, (GRID_PX, GRID_PX), np.uint16)
    return [
        RecordItem(
            frame=Frame(frames[index % _FRAMES], index, index * 10**7, 0.005, bits),
            phase_rad=phase_rad,
            model_id="benchmark",
            engine="none",
            latency_s=0.0,
            labels=labels,
        )
        for index in range(total_bytes // frames[0].nbytes)
    ]


def _record(folder: Path, items: Sequence[RecordItem]) -> int:
    """Record all items; return how many frames were not compressed. Raises StorageError when the disk fails."""
    channel: Channel[RecordItem] = Channel("record", _QUEUE_BYTES, Overflow.WAIT, item_bytes)
    recorder = Recorder(folder, "benchmark", {}, channel)
    stage = Stage("record", recorder.run)
    stage.start()
    for item in items:
        channel.put(item)
    channel.close()
    stage.join()
    if stage.error is not None:
        raise stage.error
    return recorder.frames_not_compressed


def _write_plain(folder: Path, items: Sequence[RecordItem]) -> int:
    """Write the same bytes into plain files, one after the other, each synced."""
    per_file = max(1, _PLAIN_BYTES // items[0].frame.pixels.nbytes)
    for first in range(0, len(items), per_file):
        with (folder / f"{first}").open("wb") as file:
            for item in items[first : first + per_file]:
                for image in item.images().values():
                    file.write(image.data)
            file.flush()
            os.fsync(file.fileno())
    return 0


def _has_memory(total_bytes: int) -> bool:
    return _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free > 2 * total_bytes
