"""The live view of a session: one capture stage after another, and what the operator asks of the one that runs."""

from __future__ import annotations

from collections.abc import Callable

from acquisition.archive.recording_faults import RecordingFault
from acquisition.capture.pair_capture import Rig
from app.live.camera_control import CameraControl
from app.live.capture import CaptureSettings, CaptureStats, LiveCapture
from app.live.parts.device_queue import DeviceQueue
from app.live.parts.errors import SessionError
from app.status import LiveState, Message


class LiveControl:
    """The capture stage that runs, or the last one. One thread calls this; any thread may ask for the numbers.

    Parameters
    ----------
    rig : Rig
        The devices.
    camera : CameraControl
        The settings of the camera.
    devices : DeviceQueue
        Who uses the devices.
    on_message : callable
        Called with every message for the operator.
    """

    def __init__(self, rig: Rig, camera: CameraControl, devices: DeviceQueue, on_message: Callable[[Message], None]) -> None:
        self._rig = rig
        self._camera = camera
        self._devices = devices
        self._on_message = on_message
        self._capture: LiveCapture | None = None
        self._stop_requested = False

    @property
    def running(self) -> bool:
        """Whether frames come or will come: it runs, and was not asked to stop."""
        return self.capturing and not self._stop_requested

    @property
    def capturing(self) -> bool:
        """Whether the capture stage runs, also one that was asked to stop."""
        return self._capture is not None and self._capture.stage.running

    @property
    def failed(self) -> bool:
        """Whether the capture stage has ended with an error."""
        return self._capture is not None and self._capture.stage.error is not None

    def start(self, settings: CaptureSettings, connect: Callable[[LiveCapture], None]) -> None:
        """Start a capture stage, after those that use the devices now.

        Parameters
        ----------
        settings : CaptureSettings
            What it shows and measures.
        connect : callable
            Subscribes all who need its frames, before the first one comes.
        """
        self._stop_requested = False
        self._capture = LiveCapture(self._rig, settings, self._on_message, self._devices.last, self._camera)
        connect(self._capture)
        self._devices.start(self._capture.stage)

    def stop(self) -> None:
        """Ask it to stop; returns at once."""
        self._stop_requested = True
        if self._capture is not None:
            self._capture.request_stop()

    def check_can_retune(self) -> None:
        """Refuse a re-tune where there is no SLM or no light."""
        if self._rig.slm is None:
            raise SessionError("this instrument has no SLM to show probe patterns; restart the live view for a new reference")
        if not self.capturing:
            raise SessionError("there is nothing to re-tune: start the live view first")

    def retune(self) -> None:
        """Ask for a new reference and new reference pairs; returns at once."""
        self.check_can_retune()
        if self._capture is not None:
            self._capture.request_retune()

    def new_reference(self) -> None:
        """Ask for a new reference; returns at once."""
        self._running_capture("measure a reference of").request_reference()

    def auto_exposure(self) -> None:
        """Ask for the exposure at which the brightest pixels reach 80 % of full scale; returns at once."""
        self._running_capture("expose").request_auto_exposure()

    def check_can_record(self) -> None:
        """Refuse a recording while no frame comes, or while what is reconstructed against is about to change."""
        if self._capture is None or not self.capturing:
            raise SessionError("there is nothing to record: start the live view first")
        stats = self._capture.stats()
        if stats.state is LiveState.RETUNING:
            raise SessionError("a re-tune is running, and a recording has one reference; wait until it has ended")
        if stats.reference_requested:
            raise SessionError("a new reference is being measured; record when that is done")

    def stats(self) -> CaptureStats:
        """Return the numbers of the capture stage; before the first one, that nothing runs."""
        capture = self._capture
        return capture.stats() if capture is not None else CaptureStats()

    def pending_fault(self) -> RecordingFault | None:
        """Return a silence of the camera that goes on now and is not reported yet."""
        return self._capture.pending_fault() if self._capture is not None else None

    def let_go(self) -> None:
        """Free the last capture stage."""
        self._capture = None

    def _running_capture(self, purpose: str) -> LiveCapture:
        if self._capture is None or not self.running:
            raise SessionError(f"there is no light to {purpose}: start the live view first")
        return self._capture
