"""A session: it wires the stages of one instrument together. Without Qt, so that window and terminal use the same session."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.folder import free_bytes
from acquisition.archive.kinds import FinishReason, RecordingEnd
from acquisition.archive.writer import Archive
from acquisition.capture.pair_capture import Rig
from acquisition.capture.plan import CapturePlan, Shot
from acquisition.capture.progress import AcquisitionReport
from acquisition.exchange.export import ExportFormat, export
from acquisition.patterns.source_name import DESCRIPTIONS
from acquisition.streams.channel import Channel, Overflow, Stage
from app.datasets.acquisition_job import DatasetRun, NewDataset, RunOptions, calibration_files, dataset_metadata
from app.instrument.config import InstrumentConfig
from app.instrument.opening import open_instrument
from app.instrument.replayed import Replayed
from app.instrument.responses import response_of
from app.live.camera_control import CameraControl
from app.live.capture import CaptureSettings, CaptureStats, LiveCapture
from app.live.inference import NO_MODEL, InferencePipeline, InferenceSettings, InferenceStats
from app.live.jobs import Jobs, Progress
from app.live.recording import LiveRecording, RecordingSettings, queue_bytes_of
from app.live.recordings.disk_room import DiskRoom, disk_room
from app.live.recordings.options import RecordingOptions
from app.live.recordings.pre_trigger import PreTriggerRing
from app.live.reference_log import ReferenceLog
from app.live.segmentation import SegmentationPipeline, SegmentationStats, segmented
from app.live.slm.content import SlmContent, SlmStatus
from app.live.slm.control import SlmControl
from app.live.slm.drawing import SlmFacts
from app.live.slm.scene import Scene
from app.live.snapshot import write_snapshot
from app.live.status import StageStats, live_status
from app.malloc_tuning import give_back_freed_memory
from app.status import (
    AcquisitionStatus,
    JobStatus,
    LiveStatus,
    LiveView,
    Message,
    MessageLevel,
    Overlay,
    RecordingState,
    RecordingStatus,
    Topic,
)
from app.training.engine_check_frames import frames_for
from drivers.base import DeviceError, Frame, Pattern, SpeckleScopeError
from drivers.camera_settings import CameraSetting, SettingName, SettingValue, facts, find
from reconstruction.base import ReconstructionError
from reconstruction.live.pairs_method import pairs_grid_px
from reconstruction.models.model import Model

#: Bytes of phase, uncertainty and label of one pixel.
_RESULT_BYTES = 4 + 4 + 2


class SessionError(SpeckleScopeError):
    """A command that the session cannot carry out in its present state."""


@dataclass(frozen=True, kw_only=True)
class _Ended:
    """What a closed session still says of its last recording and dataset."""

    recording: RecordingStatus = field(default_factory=RecordingStatus)
    acquisition: AcquisitionStatus = field(default_factory=AcquisitionStatus)
    report: AcquisitionReport | None = None


class Session:
    """One open instrument.

    Commands return at once and raise SpeckleScopeError when they cannot be carried out. Stages report later events as messages.
    All methods are called from one thread, for instance the window's.

    The stages and what flows between them. To the window flows only the newest of each; what comes too late is skipped::

        capture --pictures--------------------------------------------> window (poll_frame)
           |
           +--frames--> inference --views-----------------------------> window (poll_view)
           |               |
           |               +--views--> segmentation --overlays--------> window (poll_overlay)
           |               |                |
           +--frames,------+--views---------+--overlays--> recording
              faults

    Parameters
    ----------
    config : InstrumentConfig
        The instrument.
    rig : Rig
        Its open devices; the session closes them.
    fibre : str
        Name of the fibre.
    model : Model, optional
        The reconstructor; None where none fits the fibre.
    scene : Scene, optional
        What the SLM shows as the live object.
    """

    pattern_sources = tuple(DESCRIPTIONS)

    def __init__(self, config: InstrumentConfig, rig: Rig, fibre: str, model: Model | None, scene: Scene | None) -> None:
        self.config = config
        self._rig = rig
        self._fibre = fibre
        self._model = model
        self._replayed: Replayed | None = None
        self._references = ReferenceLog(response_of(model, config.response, fibre) if model else None)
        self._messages: deque[Message] = deque(maxlen=200)
        self._camera = CameraControl(rig.camera, self._messages.append)
        self._slm = _slm_control(config, rig, scene, model, self._messages.append)
        self._capture: LiveCapture | None = None
        self._device_stage: Stage | None = None
        self._stop_requested = False
        self._inference: InferencePipeline | None = None
        self._segmentation: SegmentationPipeline | None = None
        self._dataset: DatasetRun | None = None
        self._recording: LiveRecording | None = None
        self._ring = PreTriggerRing()
        self._ring.keep(config.live.pre_trigger_s)
        self._camera.changes.subscribe(self._ring.put_fault)
        self._watchers: list[Callable[[LiveView], None]] = []
        self._stages: list[Stage] = []
        self._jobs = Jobs()
        self._noticed: list[BaseException] = []
        self._reported: LiveRecording | None = None
        self._last_view: LiveView | None = None
        self._last_frame: Frame | None = None
        self._last_overlay: Overlay | None = None
        self._newest_frame: Channel[Frame] = Channel("pictures", 1, Overflow.DROP_OLDEST)
        self._failures: list[BaseException] = []
        self._ended = _Ended()

    @classmethod
    def open(cls, config: InstrumentConfig) -> Session:
        """Open the devices and the model.

        Raises
        ------
        SpeckleScopeError
            A device is missing. On the twin also when the model is missing or does not fit; a real fibre may have no model yet.
        """
        replayed = Replayed.of(config)
        config = replayed.described(config) if replayed else config
        rig, fibre, model, why_no_model = open_instrument(config)
        try:
            session = cls(config, rig, fibre, model, _scene(config, rig, model))
            session._replayed = replayed
        except BaseException:  # also an interruption
            rig.close()
            raise
        if why_no_model:
            shown = "the recorded phase" if replayed and replayed.grid_px else "only the camera frame"
            session._warn(f"{why_no_model}; until then, {shown} is shown")
        for problem in replayed.problems if replayed else ():
            session._warn(problem)
        return session

    @property
    def title(self) -> str:
        """The instrument's name."""
        return self.config.name

    @property
    def simulated(self) -> bool:
        """Whether no real light is measured."""
        return self.config.on_twin

    @property
    def model(self) -> Model | None:
        """The reconstructor, or None where none fits the fibre."""
        return self._model

    @property
    def field_um(self) -> float:
        """Width of the camera's field at the fibre's facet, in micrometres."""
        return self._rig.camera.capabilities.shape[1] * self._pixel_um

    @property
    def _pixel_um(self) -> float:
        """Size of a pixel of the frames at the fibre's facet, in micrometres."""
        return self.config.frame_pixel_um * self._camera.binning

    @property
    def display_range_rad(self) -> tuple[float, float]:
        """Fixed display levels of the phase in radians."""
        return 0.0, self.config.phase_range_rad

    @property
    def frame_full_scale(self) -> int:
        """Count at which the camera saturates."""
        return int(2**self._rig.camera.bit_depth - 1)

    def start_live(self) -> None:
        """Start camera and inference; does nothing while they run."""
        if self.acquisition_status().active:
            raise SessionError("an acquisition is running; stop it before starting the live view")
        if self._capture is not None and self._capture.stage.running and not self._stop_requested:
            return
        self._stop_requested = False
        inference = self._start_inference()
        settings = CaptureSettings(
            scene=self._slm,
            reference_shots=self.config.live.reference_shots,
            phase_range_rad=self.config.phase_range_rad,
            stored_reference=self._replayed.reference if self._replayed else lambda recorded_index: None,
            fit_of=partial(_fit_of, self._model),
        )
        capture = LiveCapture(self._rig, settings, self._messages.append, self._device_stage, self._camera)
        capture.pictures.subscribe(self._newest_frame.put)
        self._ring.clear()
        capture.references.subscribe(self._ring.forget_before)
        capture.frames.subscribe(self._ring.put_frame)  # first: a view must not come before its frame
        capture.faults.subscribe(self._ring.put_fault)
        capture.frames.subscribe(inference.offer)
        capture.references.subscribe(inference.set_reference)
        capture.reference_pairs.subscribe(inference.set_reference_pairs)
        capture.references.subscribe(self._references.set_reference)
        capture.reference_pairs.subscribe(self._references.set_reference_pairs)
        self._capture = capture
        self._device_stage = capture.stage
        self._stages.append(capture.stage)
        capture.start()

    def stop_live(self, *, end_recording: bool = False) -> None:
        """Ask the live view to stop.

        Parameters
        ----------
        end_recording : bool
            Whether a recording may end with it. Without this it is refused while one runs, and nothing changes; so are
            :meth:`retune`, :meth:`start_acquisition` and :meth:`close`.
        """
        self._end_recording("stopping the live view", agreed=end_recording)
        self._stop_requested = True
        if self._capture is not None:
            self._capture.request_stop()

    def retune(self, *, end_recording: bool = False) -> None:
        """Measure a new reference and new reference pairs; the live view pauses meanwhile, then continues with them."""
        if self._rig.slm is None:
            raise SessionError("this instrument has no SLM to show probe patterns; restart the live view for a new reference")
        if self._capture is None or not self._capture.stage.running:
            raise SessionError("there is nothing to re-tune: start the live view first")
        self._end_recording("re-tuning, because a recording has one reference", agreed=end_recording)
        self._capture.request_retune()

    def new_reference(self) -> None:
        """Measure a new reference: under the flat pattern, or without an SLM from the frames that come now."""
        if not self._is_live:
            raise SessionError("there is no light to measure a reference of: start the live view first")
        if self.recording_status().active:
            raise SessionError("a recording is running, and a recording has one reference; stop it before a new reference")
        assert self._capture is not None
        self._capture.request_reference()

    def camera_settings(self) -> tuple[CameraSetting, ...]:
        """Return the settings of the camera as they were last read; any thread may call this at any time."""
        return self._camera.settings

    def set_camera(self, name: SettingName, value: SettingValue) -> None:
        """Change a setting of the camera; returns at once. A message says what it is then, or why it was refused.

        While the live view runs, a new region or binning stops the camera for a moment, and a new reference is measured.

        Raises
        ------
        SpeckleScopeError
            The camera does not have the setting or does not take the value, an acquisition runs, or a recording runs and
            frames would have another shape. Nothing changes.
        """
        if self.acquisition_status().active:
            raise SessionError("an acquisition is running, and all its pairs have the same camera settings; stop it first")
        if name.changes_shape and self.recording_status().state is RecordingState.RECORDING:
            raise SessionError(f"a recording is running, and its frames have one shape; stop it before changing {name}")
        self._camera.request(name, value)
        if not self._is_live:
            self._use_camera("camera settings", self._camera.follow_unarmed)

    def auto_exposure(self) -> None:
        """Set the exposure at which the brightest pixels reach 80 % of full scale; a message says what it is then."""
        find(self._camera.settings, SettingName.EXPOSURE_S)
        if not self._is_live:
            raise SessionError("there is no light to expose: start the live view first")
        assert self._capture is not None
        self._capture.request_auto_exposure()

    def slm_status(self) -> SlmStatus:
        """Return what the SLM can show, and what is chosen."""
        return self._slm.status() if self._slm is not None else SlmStatus()

    def slm_phase(self) -> NDArray[np.float32] | None:
        """Return the phase (h, w) in radians that the SLM shows now; None without an SLM, and where it is not known."""
        shown = self._rig.slm.shown if self._rig.slm is not None and self._slm is not None else None
        return shown.phase_rad if shown is not None else None

    def show_on_slm(self, content: SlmContent) -> None:
        """Choose what the SLM shows in the live view; returns at once. A message says what it shows then, or why it does not.

        While the live view is stopped, the SLM shows it at once; of the scene, the first pattern.

        Raises
        ------
        SpeckleScopeError
            There is no SLM, an acquisition runs, or there is no such picture. Nothing changes.
        """
        if self._slm is None:
            raise SessionError("this instrument has no SLM; add one to its file to show patterns")
        if self.acquisition_status().active:
            raise SessionError("an acquisition is running and shows its own patterns on the SLM; stop it first")
        draw = self._slm.request(content)
        if not self._is_live:
            self._use_camera("SLM", partial(_draw_and_show, draw, self._rig, self._messages.append))
            return
        stage = Stage("SLM pattern", partial(_draw, draw))
        self._stages.append(stage)
        stage.start()

    @property
    def _is_live(self) -> bool:
        return self._capture is not None and self._capture.stage.running and not self._stop_requested

    def _use_camera(self, name: str, use: Callable[[], None]) -> None:
        """Use the camera, or the SLM, in a thread of its own, when those that use it now have ended."""
        stage = Stage(name, lambda stop: use(), after=self._device_stage)
        self._device_stage = stage
        self._stages.append(stage)
        stage.start()

    def poll_frame(self) -> Frame | None:
        """Return the newest camera frame, or None when there is nothing new; it does not wait for a reconstruction."""
        frame = self._newest_frame.poll()
        self._last_frame = frame or self._last_frame
        return frame

    def poll_view(self) -> LiveView | None:
        """Return the newest view, or None when there is nothing new."""
        if self._inference is None:
            return None
        try:
            view = self._inference.display.poll()
        except Exception:
            return None  # the channel is closed; a message of the stage says why
        self._last_view = view or self._last_view
        return view

    def poll_overlay(self) -> Overlay | None:
        """Return the newest view that was segmented, with its labels, or None when there is nothing new."""
        if self._segmentation is None:
            return None
        try:
            overlay = self._segmentation.display.poll()
        except Exception:
            return None  # the channel is closed; a message of the stage says why
        self._last_overlay = overlay or self._last_overlay
        return overlay

    def live_status(self) -> LiveStatus:
        """Return the numbers of the live view."""
        self._notice_failures()
        capture = self._capture.stats() if self._capture else CaptureStats()
        inference = self._inference.stats() if self._inference else InferenceStats.before_start(self._model)
        segmentation = self._segmentation.stats() if self._segmentation else SegmentationStats()
        recording = self.recording_status()
        return live_status(
            StageStats(capture=capture, inference=inference, segmentation=segmentation),
            dropped_record=recording.frames_dropped,
            can_retune=capture.state.is_running and self._rig.slm is not None and not recording.active,
            drift_threshold=self.config.live.drift_threshold,
        )

    def recording_folder(self, options: RecordingOptions) -> Path:
        """Return where a recording with these options is stored."""
        return options.folder or self.config.archive

    def recording_room(self, options: RecordingOptions) -> DiskRoom | None:
        """Return how long the disk lasts for a recording with these options; None where its folder is not there yet."""
        folder = self.recording_folder(options)
        existing = next((path for path in (folder, *folder.absolute().parents) if path.exists()), None)
        if existing is None:
            return None
        rows, columns = self._rig.camera.capabilities.shape
        frame_bytes = rows * columns * (2 if self._rig.camera.bit_depth > 8 else 1) + self._grid_px() ** 2 * _RESULT_BYTES
        fps = self._capture.stats().fps if self._capture is not None else 0.0
        per_s = 1 / options.every_s if options.every_s else (fps if math.isfinite(fps) else 0.0) / options.every_nth
        return disk_room(free_bytes(existing), frame_bytes, per_s)

    def set_pre_trigger(self, seconds: float) -> None:
        """Keep so many seconds of frames in memory, so that a recording can begin with them; 0 keeps none."""
        if self._is_recording:
            raise SessionError("a recording is running; change the seconds before a recording when it has ended")
        self._ring.keep(seconds)

    @property
    def pre_trigger_s(self) -> float:
        """Seconds of frames that are in memory now."""
        return self._ring.kept_s

    def start_recording(self, name: str, options: RecordingOptions | None = None) -> None:
        """Record camera frames, with their reconstructions, into a new recording, until it is stopped or has its length."""
        options = options or RecordingOptions()
        if self._capture is None or not self._capture.stage.running or self._inference is None:
            raise SessionError("there is nothing to record: start the live view first")
        if self.recording_status().active:
            raise SessionError("a recording is already running; stop it first")
        if self.live_status().retuning:
            raise SessionError("a re-tune is running, and a recording has one reference; wait until it has ended")
        if self._camera.pending:
            raise SessionError("a setting of the camera is being changed; record when that is done")
        if options.before_s > self._ring.seconds:
            raise SessionError(
                f"the last {options.before_s:g} s are not in memory, {self._ring.seconds:g} s are kept; set pre_trigger_s first"
            )
        self._disconnect_recording()
        stats = self._inference.stats()
        metadata = {
            "instrument": self.config.name,
            "fibre": self._fibre,
            "pixel_um": self._pixel_um,
            "bit_depth": self._rig.camera.bit_depth,
            "camera_settings": facts(self._camera.settings),
            "model": stats.method_name if stats.method_id else "",
            "model_id": stats.method_id,
            "phase_range_rad": self.config.phase_range_rad,
            **self.config.credits,
            **options.metadata(),
        }
        settings = RecordingSettings(queue_bytes_of(self.config.live.record_queue_mb), options, self._has_uncertainty(stats))
        recording = LiveRecording(options.folder or self.config.archive, name, metadata, self._grid_px(), settings)
        self._references.follow(recording.put_reference)
        self._ring.attach(recording, options.before_s)
        self._recording = recording
        self._stages.append(recording.stage)

    def add_marker(self, text: str) -> None:
        """Mark this moment of the recording with a text; it is stored with the time and the number of the newest frame."""
        if self._recording is None or not self._is_recording:
            raise SessionError("there is no recording to mark; start one first")
        self._recording.add_marker(text)

    def stop_recording(self, ended_by: RecordingEnd = RecordingEnd.OPERATOR) -> None:
        """Finish the recording; the recorder writes what is queued."""
        if self._recording is not None:
            self._disconnect_recording()
            silence = self._capture.pending_fault() if self._capture is not None else None
            if silence is not None and self._is_recording:
                self._recording.put_fault(silence)
            self._recording.finish(ended_by)

    @property
    def _is_recording(self) -> bool:
        return self.recording_status().state is RecordingState.RECORDING

    def _end_recording(self, reason: str, *, agreed: bool) -> None:
        """End the recording that runs, if the operator has agreed; otherwise refuse what would end it."""
        if self._is_recording and not agreed:
            raise SessionError(f"a recording is running; stop the recording first, before {reason}")
        self.stop_recording()

    def recording_status(self) -> RecordingStatus:
        """Return the state of the current or last recording."""
        return self._recording.status() if self._recording else self._ended.recording

    def snapshot(self) -> Path:
        """Write the newest view with its own labels as files; return their folder. Before the first view, the newest frame."""
        overlay, view, frame = self._last_overlay, self._last_view, self._last_frame
        if view is None and frame is not None:
            view = LiveView(frame, None)
        if view is None:
            raise SessionError("there is no picture yet: start the live view first")
        has_labels = overlay is not None and overlay.view is view
        return write_snapshot(self.config.archive, overlay if overlay is not None and has_labels else segmented(view))

    def export_last_recording(self) -> None:
        """Export the last recording as OME-TIFF and video in the background."""
        path = self.recording_status().path
        if path is None or self.recording_status().active:
            raise SessionError("there is no finished recording to export; record one first")

        self._stages.append(self._jobs.start(f"Export {path.name}", partial(_export, path, self._messages.append)))

    def jobs(self) -> tuple[JobStatus, ...]:
        """Return the jobs in the background, oldest first."""
        return self._jobs.statuses()

    def start_acquisition(self, name: str, pairs: int, source: str, *, end_recording: bool = False) -> None:
        """Acquire ``pairs`` object pairs into a new dataset; the live view stops for it."""
        if self.acquisition_status().active:
            raise SessionError("an acquisition is already running; stop it first")
        if self._is_recording and not end_recording:
            raise SessionError("a recording is running; stop the recording first, before an acquisition")
        plan = CapturePlan(
            source=source, pairs=pairs, phase_range_rad=self.config.phase_range_rad, exposure_s=self._rig.camera.exposure_s
        )
        dataset = NewDataset(
            root=self.config.archive, name=name, metadata=dataset_metadata(self.config, self._fibre, self._camera.binning)
        )
        options = RunOptions(
            after=self._device_stage,
            on_pair=partial(_show_pair, self._start_inference(), self._newest_frame),
            on_message=self._messages.append,
            calibration=calibration_files(self.config),
        )
        run = DatasetRun.new(self._rig, plan, dataset, options)
        self.stop_live(end_recording=True)
        self._dataset = run
        self._stages.append(run.stage)
        run.stage.start()
        self._device_stage = run.stage
        self._use_camera("camera settings", self._camera.refresh)  # the plan has its own exposure

    def stop_acquisition(self) -> None:
        """Ask the acquisition to stop after the current pair."""
        if self._dataset is not None:
            self._dataset.stage.request_stop()

    def pause_acquisition(self, *, paused: bool) -> None:
        """Pause the acquisition after the current pair, or let it continue."""
        if self._dataset is not None:
            self._dataset.pause(paused=paused)

    def acquisition_status(self) -> AcquisitionStatus:
        """Return the state of the current or last dataset."""
        return self._dataset.status() if self._dataset else self._ended.acquisition

    @property
    def acquisition_report(self) -> AcquisitionReport | None:
        """What the last acquisition did; None until it has ended without an error."""
        return self._dataset.report if self._dataset else self._ended.report

    def watch(self, callback: Callable[[LiveView], None]) -> None:
        """Call ``callback`` with every view, in the inference thread. It must return quickly and must not raise."""
        self._watchers.append(callback)
        if self._inference is not None:
            self._inference.views.subscribe(callback)

    def pop_messages(self) -> list[Message]:
        """Return the messages since the last call, oldest first."""
        self._notice_failures()
        self._notice_faults()
        messages = []
        while self._messages:
            messages.append(self._messages.popleft())
        return messages

    def join(self, timeout_s: float = 30.0, *, end_recording: bool = False) -> None:
        """Stop everything and wait.

        Raises
        ------
        SessionError
            A recording is running, and it may not end; nothing stops.
        ExceptionGroup
            The errors of all stages that failed.
        """
        self._end_recording("stopping everything", agreed=end_recording)
        self.stop_acquisition()
        self.stop_live()
        if self._inference is not None:
            self._inference.stop()
            self._inference.join(timeout_s)
        if self._segmentation is not None:
            self._segmentation.stop()
        for stage in list(self._stages):
            stage.join(timeout_s)
        self._notice_failures()
        errors = [error for error in self._failures if isinstance(error, Exception)]
        if errors:
            self._failures.clear()
            raise ExceptionGroup("stages of the session failed", errors)

    def close(self, *, end_recording: bool = False) -> None:
        """Stop everything, release the devices in reverse order of opening, and free model, engine and frames.

        Messages and the outcome of the last recording and dataset can still be read.

        Raises
        ------
        SessionError
            A recording is running, and it may not end; nothing closes.
        """
        self._end_recording("closing the instrument", agreed=end_recording)
        try:
            self.join()
        except ExceptionGroup as group:
            for error in group.exceptions:
                self._messages.append(Message(MessageLevel.ERROR, str(error)))
        finally:
            self._rig.close()
            self._let_go()

    def _let_go(self) -> None:
        """Free what is large, and what may refer to this session: nothing must wait for Python's search for cycles."""
        self._ended = _Ended(
            recording=self.recording_status(), acquisition=self.acquisition_status(), report=self.acquisition_report
        )
        self._model = self._slm = self._last_view = self._last_frame = self._last_overlay = self._replayed = None
        self._newest_frame.poll()
        self._ring.clear()
        self._capture = self._inference = self._segmentation = self._dataset = self._recording = self._reported = None
        self._references = ReferenceLog()
        self._watchers.clear()
        self._stages.clear()
        self._noticed.clear()
        self._failures.clear()
        give_back_freed_memory()

    def _start_inference(self) -> InferencePipeline:
        """Return the running inference stage; one that has failed is replaced."""
        if self._inference is not None and self._inference.error is None:
            return self._inference
        model, config, replayed = self._model, self.config, self._replayed
        has_phase = replayed is not None and replayed.grid_px is not None
        settings = InferenceSettings(
            model=model,
            engine=config.live.engine,
            truth_of=self._slm.truth if self._slm else lambda pattern_id: None,
            check_frames=(lambda: frames_for(model, config)) if model else (lambda: None),
            recorded=replayed.reconstruction if replayed else lambda frame: None,
            name=replayed.name if replayed and has_phase else NO_MODEL,
        )
        inference = InferencePipeline(settings, self._messages.append)
        for watcher in self._watchers:
            inference.views.subscribe(watcher)
        inference.views.subscribe(self._ring.put_view)
        if self._segmentation is not None:  # that of a stage that has failed would wait for views for ever
            self._segmentation.stop()
        self._segmentation = SegmentationPipeline()
        self._segmentation.overlays.subscribe(self._ring.put_overlay)
        self._stages.append(self._segmentation.stage)
        inference.views.subscribe(self._segmentation.offer)
        self._segmentation.start()
        inference.start()
        self._inference = inference
        return inference

    def _grid_px(self) -> int:
        """Return the side of the phase images: that of the model, also before its engine is open, or of reference pairs."""
        if self._model is not None:
            return self._model.grid_px
        if self._replayed is not None and self._replayed.grid_px is not None:
            return self._replayed.grid_px
        height, width = self._rig.camera.capabilities.shape
        return pairs_grid_px((height, width)) if self._rig.slm is not None and height == width else 1

    def _has_uncertainty(self, stats: InferenceStats) -> bool:
        """Whether views have a standard deviation: that of the method, or the recorded one of a replay without a model."""
        replays = self._model is None and self._replayed is not None
        return stats.has_uncertainty or (replays and self._replayed is not None and self._replayed.has_uncertainty)

    def _disconnect_recording(self) -> None:
        if self._recording is None:
            return
        self._references.follow(None)
        self._ring.detach()

    def _warn(self, text: str) -> None:
        self._messages.append(Message(MessageLevel.WARNING, text))

    def _notice_failures(self) -> None:
        """Report the error of every stage that has failed, once."""
        if self._capture is not None and self._capture.stage.error is not None and self._is_recording:
            self.stop_recording(RecordingEnd.ERROR)  # no further frame comes
        errors = [*(stage.error for stage in self._stages), self._inference.error if self._inference else None]
        for error in errors:
            if error is not None and not any(error is other for other in self._noticed):
                self._noticed.append(error)
                self._failures.append(error)
                self._messages.append(Message(MessageLevel.ERROR, str(error)))
        self._stages = [stage for stage in self._stages if stage.running]

    def _notice_faults(self) -> None:
        """Report a disk that stalls, and once the verdict of a finished recording that is complete but had faults."""
        said = self._recording.disk_message() if self._recording is not None else None
        if said is not None:
            self._messages.append(said)
        status = self.recording_status()
        has_faults = bool(status.faults) or status.frames_missing > 0
        if self._recording is self._reported or status.finish_reason is not FinishReason.COMPLETED or not has_faults:
            return
        self._reported = self._recording
        self._warn(f"the recording is {status.verdict}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop_recording(
            RecordingEnd.ERROR if isinstance(error, Exception) else RecordingEnd.OPERATOR
        )  # a signal is no Exception
        self.close()


def _scene(config: InstrumentConfig, rig: Rig, model: Model | None) -> Scene | None:
    """Return what the SLM shows in the live view; None where it shows nothing."""
    grid_px = _truth_grid_px(rig, model)
    if rig.slm is None or grid_px is None:
        return None
    return Scene(config.scene, rig.slm.capabilities.shape, grid_px, config.phase_range_rad)


def _truth_grid_px(rig: Rig, model: Model | None) -> int | None:
    """Return the side of the images of the true phase; None where frames have no such grid."""
    height, width = rig.camera.capabilities.shape
    if model is None and height != width:
        return None
    return model.grid_px if model else pairs_grid_px((height, width))


def _slm_control(
    config: InstrumentConfig, rig: Rig, scene: Scene | None, model: Model | None, on_message: Callable[[Message], None]
) -> SlmControl | None:
    """Return what chooses the SLM's patterns; None without an SLM."""
    if rig.slm is None:
        return None
    facts = SlmFacts(
        shape=rig.slm.capabilities.shape,
        grid_px=_truth_grid_px(rig, model),
        phase_range_rad=config.phase_range_rad,
        has_hologram=bool(config.hologram.carrier_period_px or config.hologram.lens_focal_length_mm),
    )
    return SlmControl(scene, facts, on_message)


def _draw(draw: Callable[[], Pattern | None], stop: threading.Event) -> None:
    """Draw what was chosen for the SLM; the capture thread shows it."""
    draw()


def _draw_and_show(draw: Callable[[], Pattern | None], rig: Rig, on_message: Callable[[Message], None]) -> None:
    """Draw what was chosen, and show it while no live view does."""
    pattern = draw()
    if pattern is None or rig.slm is None:
        return
    try:
        rig.slm.show(pattern)
    except DeviceError as error:
        on_message(Message(MessageLevel.WARNING, f"not shown on the SLM: {error}", Topic.SLM))


def _fit_of(model: Model | None, shape: tuple[int, int]) -> tuple[str, bool]:
    """Return whether the model still fits frames of a shape (H, W), in words and as a truth value."""
    if model is None:
        return "there is no model that could fit; reference pairs of a re-tune hold for one region: re-tune", True
    try:
        model.check_frame(shape)
    except ReconstructionError as error:
        return f"nothing is reconstructed: {error}; the calibrated response and a re-tune do not fit either", False
    return (
        f"model {model.card.name!r} fits frames of {shape[0]} x {shape[1]} px; it and the calibration are right only for the "
        "region and the binning that they were made with"
    ), True


def _export(path: Path, on_message: Callable[[Message], None], report: Progress, stop: threading.Event) -> None:
    """Export a recording as OME-TIFF and video; the work of a job."""
    archive, folder, written = Archive.open(path), path / "export", 0
    formats = (ExportFormat.OME_TIFF, ExportFormat.FFV1)
    for number, target in enumerate(formats):
        report(number, len(formats))
        if stop.is_set():
            return
        written += len(export(archive, folder, [target], overwrite=True))
    report(len(formats), len(formats))
    on_message(Message(MessageLevel.INFO, f"exported {written} files to {folder}", Topic.EXPORT))


def _show_pair(inference: InferencePipeline, pictures: Channel[Frame], shot: Shot, frame: Frame) -> None:
    """Let the operator see a pair that was just captured; called in the thread of the acquisition."""
    pictures.put(frame)
    if shot.is_reference:
        inference.set_reference(frame.pixels.astype(np.float32))
    else:
        inference.offer(frame)
