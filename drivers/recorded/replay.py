"""Recorded frames as a camera: for benchmarks, for work away from the table, and to look at a recording again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self, overload

import numpy as np
from numpy.typing import NDArray

from drivers.base import (
    CameraCapabilities,
    CameraCounters,
    DeviceError,
    DeviceTimeoutError,
    Frame,
    FrameFailedError,
    SpeckleScopeError,
    TriggerMode,
)
from drivers.clock import Clock, RealClock

#: Rate of a single frame, which has none of its own.
_SINGLE_NS = round(1e9 / 30)


class LazyFrames(Sequence[Frame]):
    """Frames of one shape and bit depth that are read when they are asked for; their times are known beforehand.

    Parameters
    ----------
    times_ns : ndarray of int64, shape (N,)
        Time of every frame in nanoseconds, as its ``t_ns`` will be.
    """

    def __init__(self, times_ns: NDArray[np.int64]) -> None:
        self.times_ns = times_ns

    @abstractmethod
    def load(self, index: int) -> Frame:
        """Read frame ``index``, 0 to ``len - 1``; raises a SpeckleScopeError when that fails."""

    def __len__(self) -> int:
        return len(self.times_ns)

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Frame]: ...

    def __getitem__(self, index: int | slice) -> Frame | Sequence[Frame]:
        numbers = range(len(self))[index]
        return self.load(numbers) if isinstance(numbers, int) else [self.load(number) for number in numbers]


class ReplayCamera:
    """A free-running :class:`drivers.base.Camera` that repeats recorded frames.

    Each comes at its own recorded time after the first, gaps included; the first follows arming, and the start of a new
    loop the last frame, by one mean period. Frames are read from where they lie before they are due, so that a disk which
    keeps up with the recording costs no delay.

    Parameters
    ----------
    frames : sequence of Frame
        What it delivers; of a :class:`LazyFrames` only the first is read before they are due.
    period_s : float, optional
        Time between frames in seconds, in place of the recorded times.
    clock : Clock, optional
        Real or virtual time.
    loop : bool
        Start again after the last frame; otherwise :meth:`read` then raises DeviceError.

    Raises
    ------
    DeviceError
        No frames, frames of different shapes or bit depths, a period that is not positive, or, where none is stated, times
        that do not rise.
    SpeckleScopeError
        The first of lazy frames cannot be read.
    """

    def __init__(
        self, frames: Sequence[Frame], period_s: float | None = None, clock: Clock | None = None, loop: bool = True
    ) -> None:
        looked_at = frames[:1] if isinstance(frames, LazyFrames) else frames
        kinds = {(frame.shape, frame.bit_depth) for frame in looked_at}
        if len(kinds) != 1:
            raise DeviceError(f"replay needs frames of one shape and bit depth, got {len(frames)} of {len(kinds)} kinds")
        if period_s is not None and not period_s > 0:
            raise DeviceError(f"replay needs a period of more than 0 s between frames, got {period_s}")
        self._frames = frames
        self._clock = clock or RealClock()
        self._loop = loop
        self._offsets_ns: Sequence[int] | NDArray[np.int64]
        self._offsets_ns, self._period_ns = _recorded(frames) if period_s is None else _even(len(frames), period_s)
        self._lap_ns = int(self._offsets_ns[-1]) + self._period_ns
        self._armed = False
        self._index = self._failed = 0
        self._armed_ns = 0
        first = looked_at[0]
        self._exposure_s = first.exposure_s
        self.capabilities = CameraCapabilities(
            "replay", "recorded", first.shape, (first.bit_depth,), (first.exposure_s, first.exposure_s), 0.0
        )

    @property
    def counters(self) -> CameraCounters:
        """Frames and unreadable frames since arming; a replay takes no triggers."""
        return CameraCounters(0, self._index - self._failed, self._failed)

    @property
    def exposure_s(self) -> float:
        """Exposure time of the first recorded frame, in seconds."""
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
        self._armed, self._index, self._failed, self._armed_ns = True, 0, 0, self._clock.now_ns()

    def trigger(self) -> None:
        """Refuse: recorded frames answer no trigger."""
        raise DeviceError("a replay cannot be triggered; it can only run freely")

    def read(self, timeout_s: float) -> Frame:
        """Return the next recorded frame, with a new counter and stamped with the time at which it was due.

        Raises
        ------
        DeviceTimeoutError
            It is not due before the deadline.
        FrameFailedError
            It cannot be read or is damaged; the next call goes on with the one after it.
        DeviceError
            The camera is not armed, or the recording is over and does not loop.
        """
        if not self._armed:
            raise DeviceError("the camera is not armed; arm it before reading frames")
        deadline_ns = self._clock.now_ns() + round(timeout_s * 1e9)
        lap, number = divmod(self._index, len(self._frames))
        if lap and not self._loop:
            raise DeviceError(f"the recording ended after {self._index} frames; arm again to start over, or let it loop")
        # A reader that fell behind gets the rest at once: a replay never drops on its own.
        due_ns = self._armed_ns + self._period_ns + lap * self._lap_ns + int(self._offsets_ns[number])
        if due_ns > deadline_ns:
            self._clock.wait_until(deadline_ns)
            raise DeviceTimeoutError(f"no frame within {timeout_s:.3f} s; the recording is slower than that or has a gap here")
        index, self._index = self._index, self._index + 1
        try:
            source = self._frames[number]
        except SpeckleScopeError as error:
            self._failed += 1
            raise FrameFailedError(f"frame {number} of the recording is lost: {error}") from error
        finally:
            self._clock.wait_until(due_ns)
        return Frame(source.pixels, index, due_ns, source.exposure_s, source.bit_depth, source.pattern_id)

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


def _even(count: int, period_s: float) -> tuple[Sequence[int], int]:
    """Return the offsets of ``count`` frames from the first, and their period, in ns."""
    period_ns = max(1, round(period_s * 1e9))
    return range(0, count * period_ns, period_ns), period_ns


def _recorded(frames: Sequence[Frame]) -> tuple[NDArray[np.int64], int]:
    """Return the recorded offsets from the first frame, and their mean period, in ns."""
    times_ns = frames.times_ns if isinstance(frames, LazyFrames) else np.array([frame.t_ns for frame in frames])
    steps_ns = np.diff(times_ns)
    if (steps_ns <= 0).any():
        at = int(np.argmax(steps_ns <= 0))
        raise DeviceError(
            f"replay needs times that rise, but frame {at + 1} comes {-steps_ns[at] * 1e-9:g} s before the last; state period_s"
        )
    return times_ns - times_ns[0], round(steps_ns.mean()) if len(steps_ns) else _SINGLE_NS
