"""The operator's changes of camera settings: they wait here for the thread that uses the camera, which alone follows them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from acquisition.archive.kinds import EventKind
from acquisition.archive.recording_faults import RecordingFault
from app.live.publisher import Publisher
from app.status import Message, MessageLevel, Topic
from drivers.base import Camera, DeviceError, DeviceLostError
from drivers.camera_settings import CameraSetting, SettingName, SettingValue, change_setting, find, settings_of


class CameraControl:
    """The settings of one camera as they were last read, and the changes that wait.

    Of several changes of one setting that wait only the newest counts, so that a slider does not make a queue.

    Parameters
    ----------
    camera : Camera
        The camera. Its settings are read once here, so no other thread may use it meanwhile.
    on_message : callable
        Called with the result of every change, from the thread that made it.

    Attributes
    ----------
    settings : tuple of CameraSetting
        The settings as they were last read; replaced as a whole, so any thread may read it.
    changes : Publisher of RecordingFault
        Where every change goes, for the event of a recording.
    """

    def __init__(self, camera: Camera, on_message: Callable[[Message], None]) -> None:
        self.changes: Publisher[RecordingFault] = Publisher()
        self._camera = camera
        self._on_message = on_message
        self._lock = threading.Lock()
        self._wanted: dict[SettingName, SettingValue] = {}
        self._changing = False
        self.settings = settings_of(camera)

    @property
    def pending(self) -> bool:
        """Whether a change waits, or is being made."""
        return bool(self._wanted) or self._changing

    @property
    def binning(self) -> int:
        """Pixels of the sensor that make one pixel of the frame, along each side; 1 where the camera does not say."""
        values = [setting.value for setting in self.settings if setting.name is SettingName.BINNING]
        return next((int(value) for value in values if isinstance(value, int | float)), 1)

    @property
    def period_s(self) -> float:
        """Time from frame to frame at the frame rate that is set, in seconds; 0 where the camera does not say."""
        rates = [setting.value for setting in self.settings if setting.name is SettingName.FRAME_RATE_HZ]
        return next((1 / rate for rate in rates if isinstance(rate, int | float) and rate > 0), 0.0)

    def request(self, name: SettingName, value: SettingValue) -> None:
        """Let the camera's thread change a setting; returns at once.

        Raises
        ------
        DeviceError
            The camera has no such setting, or does not take the value.
        """
        setting = find(self.settings, name)
        with self._lock:
            if not self._wanted:  # what waits may move the range; the camera's thread checks again
                setting.check(value)
            self._wanted[name] = value

    # ---- in the thread that uses the camera

    def refresh(self) -> None:
        """Read the settings again: another command may have changed them, or arming."""
        try:
            self.settings = settings_of(self._camera)
        except DeviceLostError:
            return  # they are read again when the camera is back

    def follow(self, frame_index: int, disarm: Callable[[], None] = lambda: None) -> Iterator[CameraSetting]:
        """Make every change that waits, report each, and yield each that was made.

        Parameters
        ----------
        frame_index : int
            Our number of the next frame.
        disarm : callable
            Disarms the camera; called before a change that needs it.

        Raises
        ------
        DeviceLostError
            The camera has disappeared; the changes that were not made wait on.
        """
        while change := self._pop():
            name, value = change
            try:
                yield self._change(name, value, frame_index, disarm)
            except DeviceLostError:
                with self._lock:
                    self._wanted = {name: value, **self._wanted}
                raise
            except DeviceError as error:
                self._on_message(Message(MessageLevel.WARNING, f"not changed: {error}", Topic.CAMERA))
            finally:
                self._changing = False

    def follow_unarmed(self) -> None:
        """Make every change that waits on a camera that is not armed, and read the settings again; report what fails."""
        try:
            for _ in self.follow(0):
                pass
            self.refresh()
        except DeviceLostError as error:
            with self._lock:
                self._wanted.clear()
            self._on_message(Message(MessageLevel.WARNING, f"not changed: {error}", Topic.CAMERA))

    def announce(self, name: SettingName, frame_index: int, text: str) -> None:
        """Read the settings again, and report one that the thread has changed without being asked through here."""
        self.refresh()
        self._report(f"{name.label} is {find(self.settings, name).text} ({text})", frame_index)

    def _pop(self) -> tuple[SettingName, SettingValue] | None:
        with self._lock:
            name = next(iter(self._wanted), None)
            if name is None:
                return None
            self._changing = True
            return name, self._wanted.pop(name)

    def _change(self, name: SettingName, value: SettingValue, frame_index: int, disarm: Callable[[], None]) -> CameraSetting:
        before = find(settings_of(self._camera), name)
        before.check(value)
        if not before.live:
            disarm()
        after = change_setting(self._camera, name, value)
        self.settings = settings_of(self._camera)
        text = f"{name.label} is {after.text} (was {before.text})"
        self._report(text, frame_index)
        self._on_message(Message(MessageLevel.INFO, text, Topic.CAMERA))
        return after

    def _report(self, text: str, frame_index: int) -> None:
        frames = (range(frame_index, frame_index + 1),)
        self.changes.publish(RecordingFault(kind=EventKind.CAMERA_SETTING, text=text, frames=frames))
