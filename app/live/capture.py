"""The capture stage of the live view. Only its thread uses camera and SLM; it survives a device that is lost and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.recording_faults import RecordingFault
from acquisition.capture.pair_capture import CaptureError, Rig
from acquisition.patterns.sources import blank
from acquisition.streams.channel import RateMeter, Stage
from acquisition.streams.times import NO_TIMES, TimeHistogram, TimeStats
from app.live.auto_exposure import AutoExposure
from app.live.camera_control import CameraControl
from app.live.camera_watch import CameraWatch
from app.live.frame_judge import FrameJudge
from app.live.publisher import Publisher
from app.live.slm.control import SlmControl
from app.live.slm.scene import Scene
from app.live.slm.shown import ShownPattern
from app.status import LiveState, Message, MessageLevel, Topic
from calibration import retune
from calibration.stored import CalibrationError
from drivers.base import (
    DeviceError,
    DeviceLostError,
    DeviceTimeoutError,
    Frame,
    FrameFailedError,
    FrameMark,
    Pattern,
    SpeckleScopeError,
    TriggerMode,
)
from drivers.camera_settings import CameraSetting, SettingName

#: The longest time that a read may block, in seconds: a request to stop is followed within this time.
POLL_S = 0.1
#: When a frame is overdue for so many seconds, the camera is armed again.
SILENT_S = 1.5
#: Time between two attempts to reconnect, in seconds.
_RECONNECT_EVERY_S = 0.5
#: Frames that come without a failure for so long are well again, in nanoseconds.
_WELL_AFTER_NS = 5_000_000_000


class _StoppedError(SpeckleScopeError):
    """The stage was asked to stop while it measures."""


@dataclass(frozen=True, kw_only=True)
class CaptureSettings:
    """What the capture stage shows and measures.

    Parameters
    ----------
    scene : Scene or SlmControl, optional
        What to show; None shows nothing after the reference.
    reference_shots : int
        Frames of the flat pattern that are averaged into the reference. Without an SLM these are the first frames of the run.
    phase_range_rad : float
        What white means in the probe patterns of a re-tune, in radians.
    stored_reference : callable
        Returns the reference (H, W) in counts that a replayed recording holds for one of its frames, by ``recorded_index``;
        None where it holds none, and one has to be measured.
    fit_of : callable
        Returns in words whether model and calibration still fit frames of a shape (H, W), and whether they do.
    """

    scene: Scene | SlmControl | None
    reference_shots: int
    phase_range_rad: float
    stored_reference: Callable[[int | None], NDArray[np.float32] | None] = lambda recorded_index: None
    fit_of: Callable[[tuple[int, ...]], tuple[str, bool]] = lambda shape: ("", True)


@dataclass(frozen=True, kw_only=True)
class CaptureStats:
    """What the capture stage is doing.

    Parameters
    ----------
    state : LiveState
        What it is doing.
    fps : float
        Frames per second that it captures, also of the reference.
    wait : TimeStats
        How long the stage waits for a frame.
    marked : mapping of FrameMark to int
        How many frames had which mark.
    reference_age_s : float or None
        Seconds since the reference in force was measured; None where there is none, where a recording holds it, and after the
        stage has ended: the next one measures its own.
    auto_exposing : bool
        Whether auto exposure goes on.
    reference_requested : bool
        Whether a new reference was asked for and is not measured yet.
    """

    state: LiveState = LiveState.STOPPED
    fps: float = 0.0
    wait: TimeStats = NO_TIMES
    marked: Mapping[FrameMark, int] = field(default_factory=dict)
    reference_age_s: float | None = None
    auto_exposing: bool = False
    reference_requested: bool = False


class LiveCapture:
    """Free-running capture with an optional scene on the SLM.

    Every frame with its marks, every fault of the camera, every reference speckle (H, W) in counts and every result of a
    re-tune is published to all subscribers. ``pictures`` publishes what the camera sees for the screen: every frame, also
    those of the reference and of a re-tune, which have the number of the next frame. ``shown`` publishes every pattern that the
    SLM is commanded to show.

    Parameters
    ----------
    rig : Rig
        The devices. Without an SLM nothing is shown, and frames carry no pattern id.
    settings : CaptureSettings
        What to show and measure.
    on_message : callable
        Called with every message for the operator.
    after : Stage, optional
        The stage that used the devices before; it ends first.
    control : CameraControl, optional
        Where changes of the camera's settings wait; by default one of its own.
    """

    def __init__(
        self,
        rig: Rig,
        settings: CaptureSettings,
        on_message: Callable[[Message], None],
        after: Stage | None = None,
        control: CameraControl | None = None,
    ) -> None:
        self.frames: Publisher[Frame] = Publisher()
        self.pictures: Publisher[Frame] = Publisher()
        self.shown: Publisher[ShownPattern] = Publisher()
        self.references: Publisher[NDArray[np.float32]] = Publisher()
        self.reference_pairs: Publisher[retune.ReferencePairs] = Publisher()
        self.stage = Stage("capture", self._work, after=after)
        self._rig = rig
        self._camera = rig.camera
        self._slm = rig.slm
        self._clock = rig.clock
        self._settings = settings
        self._on_message = on_message
        self._rate = RateMeter()
        self._waits = TimeHistogram()
        self._reference_measured = threading.Event()
        self._reference_requested = threading.Event()
        self._reference_ns: int | None = None
        self._retune_requested = threading.Event()
        self._exposure_requested = threading.Event()
        self._auto_exposure: AutoExposure | None = None
        self._control = control or CameraControl(rig.camera, on_message)
        self._settled_ns = 0
        self._stored_reference: NDArray[np.float32] | None = None
        self._watch = CameraWatch(rig.camera, rig.clock)
        self._judge = FrameJudge()
        self._is_silent = False
        self._failed_ns: int | None = None  # when a frame could not be read, until that is over
        self._marked: Mapping[FrameMark, int] = {}  # replaced as a whole

    @property
    def faults(self) -> Publisher[RecordingFault]:
        """What goes wrong with the camera, and what was done about it."""
        return self._watch.faults

    def pending_fault(self) -> RecordingFault | None:
        """Return a silence of the camera that goes on now and is not reported yet, for a recording that ends in it."""
        return self._watch.pending()

    def start(self) -> None:
        """Start the thread."""
        self.stage.start()

    def request_stop(self) -> None:
        """Ask the thread to end; returns at once."""
        self.stage.request_stop()

    def request_retune(self) -> None:
        """Ask for a new reference and new reference pairs; returns at once."""
        self._retune_requested.set()

    def request_reference(self) -> None:
        """Ask for a new reference; returns at once."""
        self._reference_requested.set()

    def request_auto_exposure(self) -> None:
        """Ask for the exposure at which the brightest pixels reach 80 % of full scale; returns at once."""
        self._exposure_requested.set()

    def stats(self) -> CaptureStats:
        """Return what the stage is doing."""
        measured_ns = self._reference_ns if self.stage.running else None
        return CaptureStats(
            state=self._state(),
            fps=self._rate.per_second(),
            wait=self._waits.stats(),
            marked=self._marked,
            reference_age_s=None if measured_ns is None else (self._clock.now_ns() - measured_ns) * 1e-9,
            auto_exposing=self._exposure_requested.is_set(),
            reference_requested=self._reference_requested.is_set(),
        )

    def _state(self) -> LiveState:
        if not self.stage.running:
            return LiveState.STOPPED if self.stage.error is None else LiveState.FAILED
        if self._retune_requested.is_set():
            return LiveState.RETUNING
        return LiveState.RUNNING if self._reference_measured.is_set() else LiveState.STARTING

    def _work(self, stop: threading.Event) -> None:
        """Run until ``stop`` is set; raises DeviceLostError when a device does not come back."""
        try:
            self._arm()
            self._begin_reference(stop)
            self._reference_measured.set()
            self._capture_frames(stop)
        finally:
            self._camera.disarm()

    def _capture_frames(self, stop: threading.Event) -> None:
        started_ns = self._clock.now_ns()
        while not stop.is_set():
            self._follow_commands(stop)
            if stop.is_set():
                return
            scene = self._settings.scene
            pattern = scene.at((self._clock.now_ns() - started_ns) * 1e-9) if scene is not None else None
            frame = self._next_frame(pattern, stop)
            if frame is not None:
                self._count(frame)
                self.frames.publish(frame)
                self._expose_better(frame, stop)

    def _follow_commands(self, stop: threading.Event) -> None:
        if self._retune_requested.is_set():
            self._retune(stop)
        if stop.is_set():
            return
        self._change_camera(stop)
        if self._reference_requested.is_set():
            self._reference_measured.clear()
            self._measure_reference(stop)
            self._reference_measured.set()
            if not stop.is_set():
                text = f"new reference: the mean of {self._settings.reference_shots} frames"
                self._on_message(Message(MessageLevel.INFO, text, Topic.REFERENCE))

    def _change_camera(self, stop: threading.Event) -> bool:
        """Make the changes of settings that wait; return whether there were any. A new shape asks for a new reference."""
        if not self._control.pending:
            return False
        disarmed = threading.Event()

        def disarm() -> None:
            self._camera.disarm()
            disarmed.set()

        made: list[CameraSetting] = []
        try:
            for setting in self._control.follow(self._watch.next_index, disarm):
                made.append(setting)
            if disarmed.is_set():
                self._arm()
        except DeviceLostError as error:
            self._reconnect(error, stop)
        names = {setting.name for setting in made}
        self._watch.period_s = self._control.period_s
        if names & {SettingName.EXPOSURE_S, SettingName.GAIN}:
            self._judge.light_changed()
        if any(name.changes_shape for name in names):
            self._use_new_shape()
        return bool(names)

    def _use_new_shape(self) -> None:
        """Let a new reference be measured, and say whether model and calibration still fit."""
        self._judge.forget_reference()
        self._reference_ns = None
        self._reference_requested.set()
        text, fits = self._settings.fit_of(self._camera.capabilities.frame_shape)
        if text:
            self._on_message(Message(MessageLevel.INFO if fits else MessageLevel.WARNING, text, Topic.MODEL))

    def _expose_better(self, frame: Frame, stop: threading.Event) -> None:
        """Go on with the auto exposure that was asked for."""
        if not self._exposure_requested.is_set():
            return
        search = self._auto_exposure = self._auto_exposure or AutoExposure(self._camera, self._clock.now_ns())
        try:
            search.saw(frame, self._clock.now_ns())
        except DeviceLostError as error:
            self._reconnect(error, stop)
        self._judge.light_changed()
        if search.result:
            self._auto_exposure = None
            self._exposure_requested.clear()
            self._control.announce(SettingName.EXPOSURE_S, frame.index + 1, "auto exposure")
            level = MessageLevel.INFO if search.succeeded else MessageLevel.WARNING
            self._on_message(Message(level, f"auto exposure: {search.result}", Topic.CAMERA))

    def _next_frame(self, pattern: Pattern | None, stop: threading.Event) -> Frame | None:
        """Show a pattern and return the next frame; None when none came, after what can be done about that."""
        try:
            if self._slm is not None:
                self._slm.check()
            if pattern is not None:
                self._show(pattern)
            frame = self._read()
        except DeviceTimeoutError as error:
            if self._watch.overdue_s > SILENT_S:
                self._is_silent = True
                self._warn(f"no frame for {SILENT_S:g} s: {error}", Topic.CAMERA)
                self._rearm(stop)
        except FrameFailedError as error:
            self._warn(str(error), Topic.CAMERA)  # of many, the newest is shown
            self._failed_ns = self._clock.now_ns()
        except DeviceLostError as error:
            self._reconnect(error, stop)
        else:
            if self._is_silent:
                self._is_silent = False
                self._on_message(Message(MessageLevel.INFO, "frames come again", Topic.CAMERA))
            self._tell_recovered()
            return frame
        return None

    def _tell_recovered(self) -> None:
        """Say once that frames come without a failure again, so that the warning of the last one goes away."""
        if self._failed_ns is not None and self._clock.now_ns() - self._failed_ns > _WELL_AFTER_NS:
            self._failed_ns = None
            self._on_message(Message(MessageLevel.INFO, "every frame is read again", Topic.CAMERA))

    def _rearm(self, stop: threading.Event) -> None:
        try:
            self._arm()
        except DeviceLostError as error:
            self._reconnect(error, stop)
        else:
            self._watch.rearmed(SILENT_S)

    def _arm(self) -> None:
        self._camera.arm(TriggerMode.FREE_RUN)
        self._watch.armed()
        self._judge.armed()
        self._control.refresh()
        self._watch.period_s = self._control.period_s

    def _read(self) -> Frame:
        asked_s = time.perf_counter()
        frame = self._watch.read(POLL_S)
        self._waits.add(time.perf_counter() - asked_s)
        self._rate.tick()
        self._use_stored_reference(frame.recorded_index)
        start_ns = frame.t_ns - round(frame.exposure_s * 1e9)
        shown = self._slm.shown if self._slm is not None else None
        # A frame shows the pattern only when its whole exposure lies after the SLM has settled.
        pattern_id = shown.id if shown is not None and start_ns >= self._settled_ns else frame.pattern_id
        numbered = replace(self._judge(frame), index=self._watch.numbered(frame), pattern_id=pattern_id)
        self.pictures.publish(numbered)
        return numbered

    def _count(self, frame: Frame) -> None:
        if frame.marks:
            self._marked = {**self._marked, **{mark: self._marked.get(mark, 0) + 1 for mark in frame.marks}}

    def _show(self, pattern: Pattern) -> None:
        if self._slm is not None and self._slm.shown is not pattern:
            commanded_ns = self._clock.now_ns()
            self._settled_ns = self._slm.show(pattern)
            self.shown.publish(ShownPattern(pattern, commanded_ns))

    def _use_stored_reference(self, recorded_index: int | None) -> bool:
        """Use the reference that the replayed recording holds for a frame; return whether it holds one."""
        stored = self._settings.stored_reference(recorded_index)
        if stored is not None and stored is not self._stored_reference:
            self._stored_reference = stored
            self._reference_ns = None
            self._use_reference(stored)
        return stored is not None

    def _begin_reference(self, stop: threading.Event) -> None:
        """Use the reference of a replayed recording, or measure one."""
        if self._use_stored_reference(0):
            text = "the reference is the one that is stored in the recording"
            self._on_message(Message(MessageLevel.INFO, text, Topic.REFERENCE))
            return
        if self._slm is None:
            shots = self._settings.reference_shots
            text = f"no SLM: the first {shots} frames are the reference; start the live view with nothing in the field of view"
            self._on_message(Message(MessageLevel.INFO, text, Topic.REFERENCE))
        self._measure_reference(stop)

    def _measure_reference(self, stop: threading.Event) -> None:
        """Measure the reference under the flat pattern; without an SLM, from the frames that come now."""
        shots = self._settings.reference_shots
        flat = blank(self._slm.capabilities.shape) if self._slm is not None else None
        frames: list[NDArray[np.float32]] = []
        others = 0
        while len(frames) < shots and not stop.is_set():
            if self._change_camera(stop):  # frames with other settings do not belong into one mean
                frames.clear()
            frame = self._next_frame(flat, stop)
            if frame is None:
                continue
            if flat is None or frame.pattern_id == flat.id:
                self._judge.add_reference_shot(frame)
                frames.append(frame.pixels.astype(np.float32))
                continue
            others += 1
            if others > 10 * shots + 100:
                raise DeviceError(
                    f"{len(frames)} of {shots} frames of the flat pattern came, and {others} frames of other patterns; "
                    "check the SLM's latency and settling time"
                )
        self._reference_requested.clear()
        if frames and not stop.is_set():
            self._use_reference(np.mean(frames, axis=0, dtype=np.float32))
            self._reference_ns = self._clock.now_ns()

    def _use_reference(self, reference: NDArray[np.float32]) -> None:
        self._judge.set_reference(reference)
        self.references.publish(reference)

    def _retune(self, stop: threading.Event) -> None:
        """Re-tune; a stop ends it after the frame that is being read, and what was measured so far is not used."""

        def on_frame(frame: Frame) -> None:
            self._show_picture(frame)
            if stop.is_set():
                raise _StoppedError("stopped during the re-tune")

        try:
            self._camera.disarm()
            frames = retune.acquire(self._rig, phase_range_rad=self._settings.phase_range_rad, on_frame=on_frame)
            reference_pairs = retune.fit(frames)
            self._judge.set_reference(reference_pairs.reference)
            self._reference_ns = self._clock.now_ns()
            self.reference_pairs.publish(reference_pairs)
        except _StoppedError:
            return
        except (CalibrationError, CaptureError, DeviceError) as error:
            self._on_message(Message(MessageLevel.ERROR, f"not re-tuned: {error}"))
        finally:
            self._retune_requested.clear()
        try:
            self._arm()
        except DeviceLostError as error:
            self._reconnect(error, stop)

    def _show_picture(self, frame: Frame) -> None:
        """Publish a frame of a re-tune for the screen; the camera numbers it from its own start."""
        self.pictures.publish(replace(frame, index=self._watch.next_index))

    def _reconnect(self, lost: DeviceLostError, stop: threading.Event) -> None:
        self._watch.lost(lost)
        self._warn(f"{lost}; waiting for the device. A recording continues when it is back", Topic.CAMERA)
        while not stop.wait(_RECONNECT_EVERY_S):
            try:
                self._camera.reconnect()
                if self._slm is not None:
                    self._slm.reconnect()
                self._arm()
            except DeviceLostError:
                continue
            self._watch.reconnected()
            self._failed_ns = None
            self._on_message(Message(MessageLevel.INFO, "the device is back", Topic.CAMERA))
            return

    def _warn(self, text: str, topic: Topic | None = None) -> None:
        self._on_message(Message(MessageLevel.WARNING, text, topic))
