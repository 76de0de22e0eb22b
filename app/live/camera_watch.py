"""What goes wrong between a camera and its capture stage, told to those who record it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from acquisition.archive.kinds import EventKind
from acquisition.archive.recording_faults import RecordingFault
from app.live.publisher import Publisher
from drivers.base import Camera, CameraCounters, DeviceLostError, DeviceTimeoutError, Frame, FrameFailedError
from drivers.clock import Clock

#: A silence is a fault at once when a frame is overdue for so long, in seconds; a shorter one when the next frame shows it.
LONG_SILENCE_S = 0.5
#: A read that times out so many times later than it should says only that this computer was busy.
_BUSY = 1.5


@dataclass(frozen=True, kw_only=True)
class _Silence:
    """Reads in a row that timed out; replaced as a whole, so that other threads read one consistent state.

    Parameters
    ----------
    waited_s : float
        How long these reads have waited, in seconds.
    overdue_s : float
        How much longer that is than two frames take, in seconds.
    ended_ns : int
        When the last of them ended.
    reported : bool
        Whether this silence was reported.
    """

    waited_s: float = 0.0
    overdue_s: float = 0.0
    ended_ns: int = 0
    reported: bool = False


class CameraWatch:
    """Reads a free-running camera, numbers its frames, and publishes every fault. Only the capture thread calls it.

    A read that times out is not yet a fault: the exposure may be long, or this computer was busy. Only reads that ended in time
    count. When they have waited for longer than two frames take, the silence is one ``DeviceTimeoutError`` if

    - a frame is overdue for ``LONG_SILENCE_S``, however long the silence lasts then;
    - the next frame was exposed after the silence, and the camera's counter does not show that frames were lost in it: then
      the fault is these lost frames;
    - the next frame was due long before the silence ended: it came late.

    Parameters
    ----------
    camera : Camera
        The camera.
    clock : Clock
        Its clock.

    Attributes
    ----------
    faults : Publisher of RecordingFault
        Where the faults go.
    next_index : int
        Our own number of the next frame; it goes on when the camera's counter starts again.
    period_s : float
        Time from frame to frame at the frame rate that is set, in seconds; exposure and readout may take longer.
    """

    def __init__(self, camera: Camera, clock: Clock) -> None:
        self.faults: Publisher[RecordingFault] = Publisher()
        self.next_index = 0
        self.period_s = 0.0
        self._camera = camera
        self._clock = clock
        self._failed = 0
        self._index_offset = 0
        self._silence = _Silence()

    @property
    def overdue_s(self) -> float:
        """For how long a frame has been overdue, in seconds; 0 or less while none is."""
        return self._silence.overdue_s

    def armed(self) -> None:
        """Start again: the camera's counters are 0."""
        self._failed = 0
        self._index_offset = self.next_index
        self._silence = _Silence()

    def read(self, timeout_s: float) -> Frame:
        """Return the camera's next frame; raises what :meth:`drivers.base.Camera.read` raises.

        A driver that returns no frame, against its contract, is treated as one that has timed out.
        """
        start_ns = self._clock.now_ns()
        try:
            return self._frame(timeout_s, start_ns)
        except DeviceTimeoutError:
            self._timed_out((self._clock.now_ns() - start_ns) * 1e-9, timeout_s)
            raise
        except FrameFailedError as error:
            counted = self._camera.counters.failed
            missing, self._failed = max(1, counted - self._failed), counted
            self._report(EventKind.FRAME_FAILED, str(error), missing=missing)
            self._silence = _Silence()
            raise

    def _frame(self, timeout_s: float, start_ns: int) -> Frame:
        frame: Frame | None = self._camera.read(timeout_s)  # None breaks the contract, as software of makers does
        if frame is None:
            self._clock.wait_until(start_ns + round(timeout_s * 1e9))  # it would be asked without a pause
            raise DeviceTimeoutError("the camera's driver returned nothing; check the cable, then restart the live view")
        return frame

    def numbered(self, frame: Frame) -> int:
        """Return our own number of a frame that has just been read, and report what it shows to be missing."""
        index = self._index_offset + frame.index
        skipped = index - self.next_index
        if skipped < 0:  # the camera's counter stands still, or has started again
            self._index_offset -= skipped
            index, skipped = self.next_index, 0
        if skipped:
            text = f"the camera's frame numbers jump from {frame.index - skipped - 1} to {frame.index}; check the cable"
            self._report(EventKind.FRAMES_SKIPPED, text, frames=range(self.next_index, index), missing=skipped)
        if self._was_fault(frame, were_lost=skipped > 0):
            self._report(EventKind.DEVICE_TIMEOUT, f"no frame for {self._silence.waited_s:.3f} s")
        self._silence = _Silence()
        self.next_index = index + 1
        return index

    def lost(self, error: DeviceLostError) -> None:
        """Report that a device has disappeared."""
        self._report(EventKind.DEVICE_LOST, str(error))

    def rearmed(self, silent_s: float) -> None:
        """Report that a silent camera was armed again."""
        self._report(EventKind.REARMED, f"no frame for {silent_s:.1f} s; the camera was armed again")

    def reconnected(self) -> None:
        """Report that a lost device is back."""
        self._report(EventKind.RECONNECTED, "the device is back")

    def pending(self) -> RecordingFault | None:
        """Return the fault that a silence is which goes on now and was not reported; any thread may ask."""
        silence = self._silence
        if silence.reported or silence.overdue_s <= 0:
            return None
        return self._fault(EventKind.DEVICE_TIMEOUT, f"no frame for {silence.waited_s:.3f} s at the end")

    def _timed_out(self, took_s: float, timeout_s: float) -> None:
        if took_s > _BUSY * timeout_s:
            return
        waited_s = self._silence.waited_s + took_s
        overdue_s = waited_s - 2 * self._frame_s()
        self._silence = replace(self._silence, waited_s=waited_s, overdue_s=overdue_s, ended_ns=self._clock.now_ns())
        if overdue_s >= LONG_SILENCE_S and not self._silence.reported:
            self._report(EventKind.DEVICE_TIMEOUT, f"no frame for {waited_s:.1f} s")
            self._silence = replace(self._silence, reported=True)

    def _was_fault(self, frame: Frame, *, were_lost: bool) -> bool:
        """Whether the silence before a frame, if any, is a fault that was not reported yet; lost frames may explain it."""
        silence = self._silence
        if silence.reported or silence.overdue_s <= 0:
            return False
        was_exposed_after = frame.t_ns - round(frame.exposure_s * 1e9) >= silence.ended_ns
        late_s = (silence.ended_ns - frame.t_ns) * 1e-9 - self._camera.capabilities.readout_s
        return (was_exposed_after and not were_lost) or late_s > 2 * self._frame_s()

    def _frame_s(self) -> float:
        return max(self.period_s, self._camera.exposure_s + self._camera.capabilities.readout_s)

    def _report(self, kind: EventKind, text: str, *, frames: range | None = None, missing: int = 0) -> None:
        fault = self._fault(kind, text, frames)
        self.faults.publish(replace(fault, frames_missing=missing, camera=self._counters()))

    def _fault(self, kind: EventKind, text: str, frames: range | None = None) -> RecordingFault:
        frames = frames or range(self.next_index, self.next_index + 1)
        return RecordingFault(kind=kind, text=text, count=len(frames), frames=(frames,))

    def _counters(self) -> CameraCounters | None:
        try:
            return self._camera.counters
        except DeviceLostError:
            return None
