"""Recorded frames as a camera: for benchmarks, for work away from the table, and to look at a take again."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from drivers.base import (
    CameraCapabilities,
    CameraCounters,
    DeviceError,
    DeviceTimeout,
    Frame,
    TriggerMode,
)
from drivers.clock import Clock, RealClock


class ReplayCamera:
    """A free-running :class:`drivers.base.Camera` that repeats recorded frames.

    Parameters
    ----------
    frames : sequence of Frame
        What it delivers, in a loop. Their own times give the rate unless ``period_s`` is stated.
    period_s : float, optional
        Time between frames in seconds.
    clock : Clock, optional
        Real or virtual time.

    Raises
    ------
    DeviceError
        No frames, frames of different shapes or bit depths, or a period that is not positive.
    """

    def __init__(self, frames: Sequence[Frame], period_s: float | None = None, clock: Clock | None = None) -> None:
        kinds = {(frame.shape, frame.bit_depth) for frame in frames}
        if len(kinds) != 1:
            raise DeviceError(f"replay needs frames of one shape and bit depth, got {len(frames)} of {len(kinds)} kinds")
        if period_s is not None and not period_s > 0:
            raise DeviceError(f"replay needs a period of more than 0 s between frames, got {period_s}")
        self._frames = frames
        self._clock = clock or RealClock()
        span_s = (frames[-1].t_ns - frames[0].t_ns) * 1e-9
        self._period_ns = round(1e9 * (period_s or (span_s / (len(frames) - 1) if span_s > 0 else 1 / 30)))
        self._armed = False
        self._index = 0
        self._next_ns = 0
        first = frames[0]
        self._exposure_s = first.exposure_s
        self.capabilities = CameraCapabilities(
            "replay", "recorded", first.shape, (first.bit_depth,), (first.exposure_s, first.exposure_s), 0.0
        )

    @property
    def counters(self) -> CameraCounters:
        """Frames since arming; a replay takes no triggers."""
        return CameraCounters(0, self._index, 0)

    @property
    def exposure_s(self) -> float:
        """Exposure time of the recorded frames, in seconds."""
        return self._exposure_s

    @property
    def bit_depth(self) -> int:
        """Significant bits of the recorded frames."""
        return self.capabilities.bit_depths[0]

    def set_exposure(self, exposure_s: float) -> None:
        """Refuse anything but the recorded exposure."""
        if exposure_s != self._exposure_s:
            raise DeviceError(f"a replay keeps its recorded exposure of {self._exposure_s} s, got {exposure_s} s")

    def arm(self, trigger: TriggerMode) -> None:
        """Start from the first frame; only free run is possible."""
        if trigger is not TriggerMode.FREE_RUN:
            raise DeviceError("a replay cannot be triggered; it can only run freely")
        self._armed, self._index, self._next_ns = True, 0, self._clock.now_ns() + self._period_ns

    def trigger(self) -> None:
        """Refuse: recorded frames answer no trigger."""
        raise DeviceError("a replay cannot be triggered; it can only run freely")

    def read(self, timeout_s: float) -> Frame:
        """Return the next recorded frame, with a new counter and stamped with the time at which it was due."""
        if not self._armed:
            raise DeviceError("the camera is not armed; arm it before reading frames")
        deadline = self._clock.now_ns() + round(timeout_s * 1e9)
        if self._next_ns > deadline:
            self._clock.wait_until(deadline)
            raise DeviceTimeout(f"no frame within {timeout_s:.3f} s; the recording is slower than that")
        self._clock.wait_until(self._next_ns)
        source = self._frames[self._index % len(self._frames)]
        frame = Frame(source.pixels, self._index, self._next_ns, source.exposure_s, source.bit_depth, source.pattern_id)
        self._index += 1
        # A reader that fell behind gets the rest at once: a replay never drops on its own.
        self._next_ns += self._period_ns
        return frame

    def disarm(self) -> None:
        """Stop."""
        self._armed = False

    def reconnect(self) -> None:
        """Disarm: a replay is never lost."""
        self.disarm()

    def close(self) -> None:
        """Stop."""
        self.disarm()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
