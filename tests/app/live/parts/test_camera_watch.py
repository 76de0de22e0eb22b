"""A silence is a fault of the camera or none: late and lost frames, a busy computer, and the end of a recording."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from acquisition.archive.kinds import EventKind
from acquisition.archive.recording_faults import RecordingFault
from app.live.camera_watch import CameraWatch
from drivers.base import DeviceTimeoutError, Frame, TriggerMode
from tests.helpers.virtual_bench import VirtualBench

#: Exposure and readout of the virtual camera, in seconds.
EXPOSURE_S, READOUT_S = 0.010, 0.004


class ScriptedReads:
    """The virtual camera, but a script says how long a read takes, and whether it gives a frame or times out."""

    def __init__(self) -> None:
        bench = VirtualBench()
        self.clock = bench.clock
        self.camera = bench.camera
        self.capabilities, self.exposure_s = bench.camera.capabilities, EXPOSURE_S
        self.camera.arm(TriggerMode.FREE_RUN)
        self.script: Iterator[tuple[float, Frame | None]] = iter(())

    @property
    def counters(self) -> object:
        return self.camera.counters

    def read(self, timeout_s: float) -> Frame:
        took_s, frame = next(self.script)
        self.clock.wait_until(self.clock.now_ns() + round(took_s * 1e9))
        if frame is None:
            raise DeviceTimeoutError(f"no frame within {timeout_s} s")
        return frame


def watched(*script: tuple[float, int, float] | float) -> list[RecordingFault]:
    """Return the faults of a script: a number is a time-out that took so long; else seconds, frame number, age of the frame."""
    reads = ScriptedReads()
    watch = CameraWatch(reads, reads.clock)
    faults: list[RecordingFault] = []
    watch.faults.subscribe(faults.append)
    for step in ((0.014, 0, READOUT_S), *script):
        took_s, number, age_s = step if isinstance(step, tuple) else (step, -1, 0.0)
        t_ns = reads.clock.now_ns() + round((took_s - age_s) * 1e9)
        frame = Frame(np.zeros((4, 4), np.uint8), number, t_ns, EXPOSURE_S) if number >= 0 else None
        reads.script = iter([(took_s, frame)])
        try:
            watch.numbered(watch.read(0.1))
        except DeviceTimeoutError:
            continue
    pending = watch.pending()
    return [*faults, *([pending] if pending else [])]


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        # Nothing is wrong.
        ([(0.014, 1, READOUT_S), (0.014, 2, READOUT_S)], []),
        # The computer was busy in a read that timed out; the frame was there, and is old when it comes.
        ([0.4, (0.001, 1, 0.3)], []),
        ([2.0, (0.014, 1, READOUT_S)], []),
        ([0.9], []),
        # A busy computer that gets its frame late from a read.
        ([(0.8, 1, 0.7)], []),
        # The frame came late; once in the next read, once after several reads that found nothing.
        ([0.1, (0.05, 1, 0.14)], [EventKind.DEVICE_TIMEOUT]),
        ([0.1, 0.1, 0.1, (0.05, 1, 0.34)], [EventKind.DEVICE_TIMEOUT]),
        # No exposure took place meanwhile, and no number is missing.
        ([0.1, (0.014, 1, READOUT_S)], [EventKind.DEVICE_TIMEOUT]),
        ([0.1, 0.1, (0.014, 1, READOUT_S)], [EventKind.DEVICE_TIMEOUT]),
        # Frames were lost, and their numbers say how many.
        ([0.1, (0.014, 2, READOUT_S)], [EventKind.FRAMES_SKIPPED]),
        ([0.1, 0.1, (0.014, 3, READOUT_S)], [EventKind.FRAMES_SKIPPED]),
        # A long silence is told at once, and once.
        ([0.1] * 12, [EventKind.DEVICE_TIMEOUT]),
        ([*[0.1] * 12, (0.014, 1, READOUT_S)], [EventKind.DEVICE_TIMEOUT]),
        # A short one at the end of a recording.
        ([0.1, 0.1], [EventKind.DEVICE_TIMEOUT]),
        # The camera's counter stands still, or starts again.
        ([(0.014, 1, READOUT_S), (0.014, 1, READOUT_S), (0.014, 0, READOUT_S)], []),
    ],
)
def test_what_reads_show(script: list[tuple[float, int, float] | float], kinds: list[EventKind]) -> None:
    faults = watched(*script)
    assert [fault.kind for fault in faults] == kinds
    for fault in faults:
        skipped = fault.kind is EventKind.FRAMES_SKIPPED
        assert fault.frames == (range(1, 1 + fault.frames_missing) if skipped else range(1, 2),)
        assert fault.count == (fault.frames_missing if skipped else 1)


def test_a_driver_that_returns_nothing_is_one_that_times_out() -> None:
    reads = ScriptedReads()
    reads.read = lambda timeout_s: None  # type: ignore[assignment, method-assign]
    watch = CameraWatch(reads, reads.clock)
    faults: list[RecordingFault] = []
    watch.faults.subscribe(faults.append)
    start_ns = reads.clock.now_ns()
    for _ in range(10):
        with pytest.raises(DeviceTimeoutError, match="the camera's driver returned nothing"):
            watch.read(0.1)
    assert reads.clock.now_ns() - start_ns == pytest.approx(1e9, rel=0.01)
    assert [fault.kind for fault in faults] == [EventKind.DEVICE_TIMEOUT]
