"""What goes wrong between a camera and its capture stage, told to those who record it."""

from __future__ import annotations

from acquisition.archive.kinds import EventKind
from acquisition.archive.recording_faults import RecordingFault
from app.live.publisher import Publisher
from drivers.base import Camera, CameraCounters, DeviceLostError, Frame, FrameFailedError
from drivers.clock import Clock

#: A silence is a fault at once when it has lasted so long, in seconds; a shorter one only when the next frame shows it.
LONG_SILENCE_S = 0.5


class CameraWatch:
    """Publishes every fault of a free-running camera, with the camera's own counters. Only the capture thread calls it.

    A read that times out is not yet a fault: the exposure may be long, or this computer was busy. A silence is a
    ``DeviceTimeoutError`` when it lasts for longer than two frames take, and then one of these happens:

    - it has lasted for ``LONG_SILENCE_S``: one fault, however long it lasts;
    - the next frame was exposed after it: one fault for each read that timed out, because frames are missing;
    - the next frame was exposed before it, and came late: one fault.

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
    """

    def __init__(self, camera: Camera, clock: Clock) -> None:
        self.faults: Publisher[RecordingFault] = Publisher()
        self.next_index = 0
        self._camera = camera
        self._clock = clock
        self._failed = 0
        self._index_offset = 0
        self._last_sign_ns = 0
        self._timed_out_ns = 0
        self._time_outs = 0
        self._reported = 0

    def armed(self) -> None:
        """Start again: the camera's counters are 0."""
        self._failed = 0
        self._index_offset = self.next_index
        self._end_silence()

    def numbered(self, frame: Frame) -> int:
        """Return our own number of a frame that has just been read, and report what it shows to be missing."""
        index = self._index_offset + frame.index
        skipped = index - self.next_index
        if skipped > 0:
            text = f"the camera's frame numbers jump from {frame.index - skipped - 1} to {frame.index}; check the cable"
            self._report(EventKind.FRAMES_SKIPPED, text, count=skipped, missing=skipped)
        self._resolve_silence(frame)
        self.next_index = index + 1
        return index

    def timed_out(self) -> None:
        """Note that a read timed out."""
        now_ns = self._clock.now_ns()
        silence_s = (now_ns - self._last_sign_ns) * 1e-9
        if silence_s <= 2 * self._frame_s():
            return
        self._timed_out_ns = now_ns
        self._time_outs += 1
        if silence_s >= LONG_SILENCE_S and not self._reported:
            self._report(EventKind.DEVICE_TIMEOUT, f"no frame for {silence_s:.1f} s")
            self._reported = 1

    def failed(self, error: FrameFailedError) -> None:
        """Report a frame that the camera declared incomplete, with those that it lost."""
        counted = self._camera.counters.failed
        missing, self._failed = max(1, counted - self._failed), counted
        self._report(EventKind.FRAME_FAILED, str(error), missing=missing)
        self._end_silence()

    def lost(self, error: DeviceLostError) -> None:
        """Report that a device has disappeared."""
        self._report(EventKind.DEVICE_LOST, str(error))

    def rearmed(self, silent_s: float) -> None:
        """Report that a silent camera was armed again."""
        self._report(EventKind.REARMED, f"no frame for {silent_s:.1f} s; the camera was armed again")

    def reconnected(self) -> None:
        """Report that a lost device is back."""
        self._report(EventKind.RECONNECTED, "the device is back")

    def _resolve_silence(self, frame: Frame) -> None:
        now_ns = self._clock.now_ns()
        if self._time_outs:
            start_ns = frame.t_ns - round(frame.exposure_s * 1e9)
            late_s = (now_ns - frame.t_ns) * 1e-9 - self._camera.capabilities.readout_s
            if start_ns >= self._timed_out_ns:
                count = self._time_outs - self._reported
            else:
                count = int(late_s > 2 * self._frame_s() and not self._reported)
            if count > 0:
                silence_s = (now_ns - self._last_sign_ns) * 1e-9
                self._report(EventKind.DEVICE_TIMEOUT, f"no frame for {silence_s:.3f} s", count=count)
        self._end_silence()

    def _end_silence(self) -> None:
        self._last_sign_ns = self._clock.now_ns()
        self._time_outs = self._reported = 0

    def _frame_s(self) -> float:
        return self._camera.exposure_s + self._camera.capabilities.readout_s

    def _report(self, kind: EventKind, text: str, *, count: int = 1, missing: int = 0) -> None:
        fault = RecordingFault(
            kind=kind,
            text=text,
            count=count,
            frame_index=self.next_index,
            camera=self._counters(),
            frames_missing=missing,
        )
        self.faults.publish(fault)

    def _counters(self) -> CameraCounters | None:
        try:
            return self._camera.counters
        except DeviceLostError:
            return None
