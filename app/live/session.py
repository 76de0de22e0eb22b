"""A session: one instrument's devices, threads and data, wired together. No Qt; window and terminal use the same."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.writer import Archive
from acquisition.capture.pair_capture import Rig
from acquisition.capture.plan import CapturePlan, Shot
from acquisition.capture.runner import AcquisitionReport
from acquisition.exchange.export import ExportFormat, export
from acquisition.patterns.source_name import DESCRIPTIONS
from acquisition.streams.channel import Stage
from app.datasets.acquisition_job import DatasetRun, calibration_files, dataset_metadata
from app.instrument.config import InstrumentConfig
from app.instrument.opening import open_instrument
from app.live.capture import LiveCapture
from app.live.inference import InferencePipeline
from app.live.recording import LiveRecording
from app.live.scene import Scene
from app.live.snapshot import write_snapshot
from app.live.status import live_status
from app.status import AcquisitionStatus, LiveStatus, LiveView, Message, RecordingStatus
from app.training.engine_check_frames import frames_for
from calibration.retune import ReferencePairs
from drivers.base import Frame, SpeckleScopeError
from reconstruction.live.pairs_method import pairs_grid_px
from reconstruction.models.model import Model


class SessionError(SpeckleScopeError):
    """A command that the session cannot follow now."""


class Session:
    """Composition root. Commands return at once and may raise SpeckleScopeError; stages report through messages."""

    pattern_sources = tuple(DESCRIPTIONS)

    def __init__(self, config: InstrumentConfig, rig: Rig, fibre: str, model: Model | None, scene: Scene | None) -> None:
        self.config = config
        self._rig = rig
        self._fibre = fibre
        self._model = model
        self._scene = scene
        self._messages: deque[Message] = deque(maxlen=200)
        self._live_wanted = False
        self._capture: LiveCapture | None = None
        self._capture_stage: Stage | None = None
        self._inference: InferencePipeline | None = None
        self._dataset: DatasetRun | None = None
        self._recording: LiveRecording | None = None
        self._watchers: list[Callable[[LiveView], None]] = []
        self._stages: list[Stage] = []
        self._noticed: list[BaseException] = []
        self._last_view: LiveView | None = None
        self._failures: list[BaseException] = []

    @classmethod
    def open(cls, config: InstrumentConfig) -> Session:
        """Open devices and model.

        Raises
        ------
        SpeckleScopeError
            A device is missing; or, on the twin, the model is or does not fit. A real fibre may have no model yet.
        """
        rig, fibre, model, trouble = open_instrument(config)
        scene = None
        height, width = rig.camera.capabilities.shape
        if rig.slm is not None and (model is not None or height == width):
            grid_px = model.grid_px if model else pairs_grid_px((height, width))
            scene = Scene(config.scene, rig.slm.capabilities.shape, grid_px, config.phase_range_rad)
        session = cls(config, rig, fibre, model, scene)
        if trouble:
            session._messages.append(Message("warning", trouble))
        return session

    @property
    def title(self) -> str:
        """The instrument's name."""
        return self.config.name

    @property
    def model(self) -> Model | None:
        """The reconstructor, or None where none fits the fibre."""
        return self._model

    @property
    def field_um(self) -> float:
        """Width of the camera's field at the fibre's facet, in micrometres."""
        return self._rig.camera.capabilities.shape[1] * self.config.frame_pixel_um

    @property
    def display_range_rad(self) -> tuple[float, float]:
        """Fixed display levels of the phase."""
        return 0.0, self.config.phase_range_rad

    @property
    def frame_full_scale(self) -> int:
        """Count at which the camera saturates."""
        return int(2**self._rig.camera.bit_depth - 1)

    def start_live(self) -> None:
        """Start camera and inference; does nothing while they run."""
        if self.acquisition_status().active:
            raise SessionError("an acquisition is running; stop it before starting the live view")
        if self._live_wanted and self._capture_stage is not None and self._capture_stage.running:
            return
        self._live_wanted = True
        self._start_inference()
        self._capture = LiveCapture(
            self._rig,
            self._scene,
            self.config.live.reference_shots,
            self.config.phase_range_rad,
            self._on_frame,
            self._on_reference,
            self._on_reference_pairs,
            self._messages.append,
        )
        self._capture_stage = self._started("capture", self._capture.work, after=self._capture_stage)

    def stop_live(self) -> None:
        """Ask the live view to stop; a recording ends with it."""
        self._live_wanted = False
        if self._capture_stage is not None:
            self._capture_stage.request_stop()
        self.stop_recording()

    def retune(self) -> None:
        """Show the flat pattern and a few probes, and go on with what they tell; the live view rests meanwhile."""
        if self._rig.slm is None:
            raise SessionError("this instrument has no SLM to show probes; restart the live view for a new reference")
        if self._capture is None or not (self._capture_stage and self._capture_stage.running):
            raise SessionError("there is nothing to re-tune: start the live view first")
        if self.recording_status().active:
            raise SessionError("a recording is running, and a recording has one reference; stop it before re-tuning")
        self._capture.retuning.set()

    def poll_view(self) -> LiveView | None:
        """Return the newest view, or None when there is nothing new."""
        if self._inference is None:
            return None
        try:
            view = self._inference.display.poll()
        except Exception:
            return None  # the channel is closed; the stage's own message says why
        self._last_view = view or self._last_view
        return view

    def live_status(self) -> LiveStatus:
        """Return the numbers of the live view."""
        self._notice_failures()
        running = bool(self._capture_stage and self._capture_stage.running)
        dropped = self._recording.dropped if self._recording else 0
        can_retune = running and self._rig.slm is not None and not self.recording_status().active
        return live_status(running, can_retune, self._capture, self._inference, self._model, dropped, self.config.live)

    def start_recording(self, name: str) -> None:
        """Record every camera frame, with its reconstruction, into a new recording."""
        if not (self._capture_stage and self._capture_stage.running):
            raise SessionError("there is nothing to record: start the live view first")
        if self._recording is not None and self._recording.stage.running:
            raise SessionError("a recording is already running; stop it first")
        method = self._inference.method if self._inference else None
        metadata = {
            "instrument": self.config.name,
            "fibre": self._fibre,
            "pixel_um": self.config.frame_pixel_um,
            "bit_depth": self._rig.camera.bit_depth,
            "model": method.name if method else "",
            "model_id": method.id if method else "",
            "phase_range_rad": self.config.phase_range_rad,
        }
        grid_px = method.mask.shape[0] if method else 1
        self._recording = LiveRecording(self.config.archive, name, metadata, grid_px, self.config.live.record_queue)
        self._stages.append(self._recording.stage)

    def stop_recording(self) -> None:
        """Finish the recording; the recorder writes what it holds."""
        if self._recording is not None:
            self._recording.finish()

    def recording_status(self) -> RecordingStatus:
        """Return the state of the current or last recording."""
        return self._recording.status() if self._recording else RecordingStatus(False, None, 0, 0.0, "")

    def snapshot(self) -> Path:
        """Write the newest frame, phase and labels as files; return their folder."""
        view = self._last_view
        if view is None:
            raise SessionError("there is no picture yet: start the live view first")
        return write_snapshot(self.config.archive, view)

    def export_last_recording(self) -> None:
        """Export the last recording as OME-TIFF and video in the background."""
        path = self.recording_status().path
        if path is None or self.recording_status().active:
            raise SessionError("there is no finished recording to export; record one first")

        def work(stop: threading.Event) -> None:
            formats = (ExportFormat.OME_TIFF, ExportFormat.FFV1)
            written = export(Archive.open(path), path / "export", formats, overwrite=True)
            self._messages.append(Message("info", f"exported {len(written)} files to {path / 'export'}"))

        self._started("export", work)

    def start_acquisition(self, name: str, pairs: int, source: str) -> None:
        """Acquire ``pairs`` object pairs into a new dataset; the live view stops for it."""
        if self.acquisition_status().active:
            raise SessionError("an acquisition is already running; stop it first")
        plan = CapturePlan(source, pairs, phase_range_rad=self.config.phase_range_rad, exposure_s=self._rig.camera.exposure_s)
        metadata = dataset_metadata(self.config, self._fibre)
        files, on_message = calibration_files(self.config), self._messages.append
        after, on_pair = self._capture_stage, self._on_pair
        run = DatasetRun.new(self._rig, plan, self.config.archive, name, metadata, after, on_pair, on_message, files)
        self.stop_live()
        self._start_inference()
        self._dataset = run
        self._stages.append(run.stage)
        run.stage.start()

    def stop_acquisition(self) -> None:
        """Ask the acquisition to stop after the pair in hand."""
        if self._dataset is not None:
            self._dataset.stage.request_stop()

    def pause_acquisition(self, paused: bool) -> None:
        """Let the acquisition rest after the pair in hand, or go on."""
        if self._dataset is not None:
            self._dataset.pause(paused)

    def acquisition_status(self) -> AcquisitionStatus:
        """Return the state of the current or last dataset."""
        return self._dataset.status() if self._dataset else AcquisitionStatus(False, None, 0, 0, 0, 0.0, None, "")

    @property
    def acquisition_report(self) -> AcquisitionReport | None:
        """What the last acquisition did, once it has ended well."""
        return self._dataset.report if self._dataset else None

    def watch(self, callback: Callable[[LiveView], None]) -> None:
        """Call ``callback`` with every view, in the inference thread: it must be quick and must not raise."""
        self._watchers.append(callback)

    def pop_messages(self) -> list[Message]:
        """Return what happened since the last call, oldest first."""
        self._notice_failures()
        messages = []
        while self._messages:
            messages.append(self._messages.popleft())
        return messages

    def join(self, timeout_s: float = 30.0) -> None:
        """Stop everything and wait; raises every stage's error as one ExceptionGroup.

        Raises
        ------
        ExceptionGroup
            The errors of all stages that failed.
        """
        self.stop_acquisition()
        self.stop_live()
        if self._inference is not None:
            self._inference.stop()
            self._inference.join(timeout_s)
        for stage in list(self._stages):
            stage.join(timeout_s)
        self._notice_failures()
        errors = [error for error in self._failures if isinstance(error, Exception)]
        if errors:
            self._failures.clear()
            raise ExceptionGroup("stages of the session failed", errors)

    def close(self) -> None:
        """Stop everything and release the devices, in reverse order of opening."""
        try:
            self.join()
        except ExceptionGroup as group:
            for error in group.exceptions:
                self._messages.append(Message("error", str(error)))
        finally:
            self._rig.close()

    def _start_inference(self) -> None:
        if self._inference is not None and self._inference.error is None:
            return
        truth_of = self._scene.truth if self._scene else lambda pattern_id: None
        engine, say, model, config = self.config.live.engine, self._messages.append, self._model, self.config
        seen = (lambda: frames_for(model, config)) if model else (lambda: None)
        self._inference = InferencePipeline(model, engine, truth_of, self._on_view, say, seen)
        self._inference.start()

    def _started(self, name: str, work: Callable[[threading.Event], None], after: Stage | None = None) -> Stage:
        stage = Stage(name, work, after=after)
        self._stages.append(stage)
        stage.start()
        return stage

    def _on_frame(self, frame: Frame) -> None:
        if self._recording is not None:
            self._recording.joiner.frame(frame)
        if self._inference is not None:
            self._inference.offer(frame)

    def _on_view(self, view: LiveView) -> None:
        if self._recording is not None and view.reconstruction is not None:
            self._recording.joiner.reconstruction(view.reconstruction)
        for callback in self._watchers:
            callback(view)

    def _on_reference(self, reference: NDArray[np.float32]) -> None:
        if self._inference is not None:
            self._inference.set_reference(reference)

    def _on_reference_pairs(self, reference_pairs: ReferencePairs) -> None:
        if self._inference is not None:
            self._inference.set_reference_pairs(reference_pairs)

    def _on_pair(self, shot: Shot, frame: Frame) -> None:
        if shot.is_reference:
            self._on_reference(frame.pixels.astype(np.float32))
        elif self._inference is not None:
            self._inference.offer(frame)

    def _notice_failures(self) -> None:
        """Turn the error of every stage that ended badly into one message, once."""
        errors = [*(stage.error for stage in self._stages), self._inference.error if self._inference else None]
        for error in errors:
            if error is not None and not any(error is known for known in self._noticed):
                self._noticed.append(error)
                self._failures.append(error)
                self._messages.append(Message("error", str(error)))
        self._stages = [stage for stage in self._stages if stage.running]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
