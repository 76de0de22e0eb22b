"""Recorded frames as a camera, for benchmarks, for work without the instrument, and for viewing a recording."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
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
    named_or_numbered,
)
from drivers.camera_settings import CameraSetting, NumberRange, SettingName, SettingValue, accepted, number
from drivers.clock import Clock, RealClock

#: Period of a recording of a single frame, which has no rate of its own, in nanoseconds.
_SINGLE_NS = round(1e9 / 30)
#: Frames per second at which a recording can be played, as far as its exposure allows.
_RATES_HZ = (0.01, 1000.0)


class LazyFrames(Sequence[Frame]):
    """Frames of one shape and bit depth that are read on access; their times are known in advance.

    Parameters
    ----------
    times_ns : ndarray of int64, shape (N,)
        ``t_ns`` of every frame, in nanoseconds.
    channels : tuple of str
        Names of the colours or planes of a frame; empty if the frames are grey.
    """

    def __init__(self, times_ns: NDArray[np.int64], channels: tuple[str, ...] = ()) -> None:
        self.times_ns = times_ns
        self.channels = channels

    @abstractmethod
    def load(self, index: int) -> Frame:
        """Read frame ``index``, 0 to ``len - 1``; raises SpeckleScopeError when it cannot be read."""

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

    Every frame arrives as long after the first one as it was recorded, so gaps are repeated. The first frame arrives one mean
    period after arming, and a repetition starts one mean period after the last frame. Frames are read before they are due, so a
    disk that is as fast as the recording causes no delay.

    Parameters
    ----------
    frames : sequence of Frame
        The recorded frames. Of :class:`LazyFrames` only the first is read immediately.
    period_s : float, optional
        Time between frames in seconds, used instead of the recorded times.
    clock : Clock, optional
        Real or virtual time.
    loop : bool
        Whether to start again after the last frame. Otherwise :meth:`read` then raises DeviceError.

    Raises
    ------
    DeviceError
        There are no frames, their shapes or bit depths differ, ``period_s`` is not positive, or without ``period_s`` the
        recorded times do not rise.
    SpeckleScopeError
        The first of :class:`LazyFrames` cannot be read.
    """

    def __init__(
        self, frames: Sequence[Frame], period_s: float | None = None, clock: Clock | None = None, *, loop: bool = True
    ) -> None:
        checked = frames[:1] if isinstance(frames, LazyFrames) else frames
        kinds = {(frame.pixels.shape, frame.bit_depth) for frame in checked}
        if len(kinds) != 1:
            raise DeviceError(f"replay needs frames of one shape and bit depth, got {len(frames)} of {len(kinds)} kinds")
        if period_s is not None and not period_s > 0:
            raise DeviceError(f"period_s of a replay must be more than 0 s, got {period_s}")
        self._frames = frames
        self._clock = clock or RealClock()
        self._loop = loop
        self._armed = False
        self._index = self._failed = 0
        self._armed_ns = 0
        first = checked[0]
        self._exposure_s = first.exposure_s
        self.capabilities = CameraCapabilities(
            model="replay",
            serial="recorded",
            shape=first.shape,
            bit_depths=(first.bit_depth,),
            exposure_range_s=(first.exposure_s, first.exposure_s),
            readout_s=0.0,
            channels=_channels(frames, first),
        )
        self._offsets_ns: Sequence[int] | NDArray[np.int64] = ()
        self._follow(*(_recorded(frames) if period_s is None else _even(len(frames), period_s)))

    @property
    def counters(self) -> CameraCounters:
        """Frames and unreadable frames since arming; a replay has no triggers."""
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
        """Refuse any exposure except the recorded one."""
        if exposure_s != self._exposure_s:
            raise DeviceError(
                f"a replay keeps its recorded exposure of {self._exposure_s} s, got {exposure_s} s; use the recorded value"
            )

    def settings(self) -> tuple[CameraSetting, ...]:
        """Return the frame rate; everything else is as it was recorded."""
        rate_hz = 1e9 / self._period_ns
        lowest_hz, highest_hz = _RATES_HZ
        if self._exposure_s > 0:
            highest_hz = min(highest_hz, 1 / self._exposure_s)
        limits = NumberRange(min(lowest_hz, rate_hz), max(highest_hz, rate_hz))
        return (CameraSetting(name=SettingName.FRAME_RATE_HZ, value=rate_hz, limits=limits, unit="Hz"),)

    def change_setting(self, name: SettingName, value: SettingValue) -> None:
        """Play evenly at another rate; while it plays, the next frame comes one new period after now."""
        rate_hz = number(accepted(self.settings(), name, value))
        self._follow(*_even(len(self._frames), 1 / rate_hz))
        lap, at = divmod(self._index, len(self._frames))
        self._armed_ns = self._clock.now_ns() - lap * self._lap_ns - int(self._offsets_ns[at])

    def arm(self, trigger: TriggerMode) -> None:
        """Start with the first frame. Only free run is possible."""
        if trigger is not TriggerMode.FREE_RUN:
            raise DeviceError("a replay cannot be triggered; it can only run freely")
        self._armed = True
        self._index = self._failed = 0
        self._armed_ns = self._clock.now_ns()

    def trigger(self) -> None:
        """Refuse: recorded frames have no trigger."""
        raise DeviceError("a replay cannot be triggered; it can only run freely")

    def read(self, timeout_s: float) -> Frame:
        """Return the next recorded frame with a new number; its time stamp is the time at which it was due.

        Raises
        ------
        DeviceTimeoutError
            It is not due within ``timeout_s``.
        FrameFailedError
            It cannot be read or is damaged. The next call continues with the frame after it.
        DeviceError
            The camera is not armed, or the recording has ended and ``loop`` is false.
        """
        if not self._armed:
            raise DeviceError("the camera is not armed; arm it before reading frames")
        deadline_ns = self._clock.now_ns() + round(timeout_s * 1e9)
        lap, number = divmod(self._index, len(self._frames))
        if lap and not self._loop:
            raise DeviceError(f"the recording ended after {self._index} frames; arm again to start over, or set loop")
        # A caller that is late gets the frames that are due immediately: a replay never drops a frame.
        due_ns = self._armed_ns + self._period_ns + lap * self._lap_ns + int(self._offsets_ns[number])
        if due_ns > deadline_ns:
            self._clock.wait_until(deadline_ns)
            raise DeviceTimeoutError(
                f"no frame within {timeout_s:.3f} s; the recording is slower than that or has a gap here; wait longer"
            )
        index = self._index
        self._index += 1
        try:
            source = self._frames[number]
        except SpeckleScopeError as error:
            self._failed += 1
            raise FrameFailedError(f"frame {number} of the recording cannot be read: {error}") from error
        finally:
            self._clock.wait_until(due_ns)
        # The recorded frame is that of the file: a new number and time, and nothing that is judged again.
        return Frame(
            source.pixels,
            index,
            due_ns,
            source.exposure_s,
            source.bit_depth,
            source.pattern_id,
            recorded_index=number,
        )

    def disarm(self) -> None:
        """Stop."""
        self._armed = False

    def reconnect(self) -> None:
        """Disarm; a replay is never lost."""
        self.disarm()

    def close(self) -> None:
        """Stop."""
        self.disarm()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _follow(self, offsets_ns: Sequence[int] | NDArray[np.int64], period_ns: int) -> None:
        """Play the frames at these times after the first, and start again one period after the last, in ns."""
        self._offsets_ns = offsets_ns
        self._period_ns = period_ns
        self._lap_ns = int(offsets_ns[-1]) + period_ns
        longest_ns = max([period_ns, *np.diff(offsets_ns).tolist()])
        # As long as the longest gap, so that nobody takes a gap for a camera that has failed, and arms it again.
        readout_s = max(0.0, longest_ns * 1e-9 - self._exposure_s)
        self.capabilities = replace(self.capabilities, readout_s=readout_s)


def _even(count: int, period_s: float) -> tuple[Sequence[int], int]:
    """Return the offsets of ``count`` frames from the first, and their period, in ns."""
    period_ns = max(1, round(period_s * 1e9))
    return range(0, count * period_ns, period_ns), period_ns


def _channels(frames: Sequence[Frame], first: Frame) -> tuple[str, ...]:
    """Return the names of the channels, or numbers where nobody has named them."""
    named = frames.channels if isinstance(frames, LazyFrames) else ()
    return named_or_numbered(named, first.channels if first.pixels.ndim == 3 else 0)


def _recorded(frames: Sequence[Frame]) -> tuple[NDArray[np.int64], int]:
    """Return the recorded offsets from the first frame, and their mean period, in ns."""
    times_ns = frames.times_ns if isinstance(frames, LazyFrames) else np.array([frame.t_ns for frame in frames])
    steps_ns = np.diff(times_ns)
    if (steps_ns <= 0).any():
        at = int(np.argmax(steps_ns <= 0))
        raise DeviceError(
            f"replay needs times that rise, but frame {at + 1} comes {-steps_ns[at] * 1e-9:g} s before frame {at}; "
            "set period_s, the seconds from frame to frame; in an instrument file: replay: {path: ..., period_s: 0.1}"
        )
    return times_ns - times_ns[0], round(steps_ns.mean()) if len(steps_ns) else _SINGLE_NS
