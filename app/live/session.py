"""A session: it wires the stages of one instrument together. Without Qt, so that window and terminal use the same session."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.kinds import RecordingEnd
from acquisition.capture.pair_capture import Rig
from acquisition.capture.plan import CapturePlan
from acquisition.capture.preflight import Estimate, estimate
from acquisition.capture.progress import AcquisitionReport
from acquisition.patterns.source_name import DESCRIPTIONS
from acquisition.streams.channel import Stage
from app.calibrations.kinds import FACTS, CalibrationOrder
from app.calibrations.run import CalibrationRun
from app.calibrations.shots import why_impossible
from app.calibrations.target import CalibrationTarget
from app.datasets.acquisition_job import DatasetRun, NewDataset, RunOptions, calibration_files, dataset_metadata
from app.datasets.resume import AcquisitionDevices, Resumable
from app.datasets.start_check import start_problem
from app.instrument.config import InstrumentConfig
from app.instrument.device_facts import RigFacts, rig_facts
from app.instrument.opening import open_instrument
from app.instrument.replayed import Replayed
from app.instrument.responses import response_of
from app.jobs.job_list import JobList, JobOrder
from app.live.camera_control import CameraControl
from app.live.capture import CaptureSettings, LiveCapture
from app.live.drills.drill import Drill
from app.live.drills.faults import FullDisk
from app.live.drills.kinds import DrillKind
from app.live.inference import NO_MODEL, InferencePipeline, InferenceSettings
from app.live.loop_back.results import DEFAULT_FLASHES, LoopBackStatus
from app.live.parts.acquisition_control import AcquisitionControl, PairScreen
from app.live.parts.calibration_control import CalibrationControl
from app.live.parts.cell_scales import CellScales
from app.live.parts.device_queue import DeviceQueue
from app.live.parts.drill_control import DrillControl
from app.live.parts.errors import SessionError
from app.live.parts.live_control import LiveControl
from app.live.parts.loop_back_control import LoopBackControl
from app.live.parts.model_facts import fit_of, grid_px_of
from app.live.parts.newest_results import NewestResults
from app.live.parts.processing import Processing
from app.live.parts.recording_control import RecordedInstrument, RecordingControl
from app.live.parts.sampler_control import SamplerControl
from app.live.parts.slm_of_instrument import draw_and_show, draw_only, scene_of, slm_control_of
from app.live.parts.stages import Stages
from app.live.recordings.disk_room import DiskRoom
from app.live.recordings.export_job import export_recording
from app.live.recordings.options import RecordingOptions
from app.live.reference_log import ReferenceLog
from app.live.segmentation import SegmentationSettings
from app.live.slm.content import SlmContent, SlmStatus
from app.live.slm.scene import Scene
from app.live.status import StageStats, live_status
from app.malloc_tuning import give_back_freed_memory
from app.status import AcquisitionStatus, JobStatus, LiveStatus, LiveView, Message, MessageLevel, Overlay, RecordingStatus
from app.training.engine_check_frames import frames_for
from drivers.base import DeviceError, Frame
from drivers.camera_settings import CameraSetting, SettingName, SettingValue, find
from reconstruction.models.model import Model
from reconstruction.sampling import Sampling
from reconstruction.segmentation.config import SegmentationConfig

__all__ = ["Session", "SessionError"]


class Session:
    """One open instrument.

    Commands return at once and raise SpeckleScopeError when they cannot be carried out. Stages report later events as messages.
    One thread calls all methods, for instance the window's; another one may call :meth:`close` or :meth:`camera_settings` at
    any time. A command either comes before the closing, which then ends what it started, or is refused.

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
        self._messages: deque[Message] = deque(maxlen=200)
        self._stages = Stages(self._messages.append)
        self._devices = DeviceQueue(self._stages)
        self._facts = rig_facts(rig, config, fibre)
        self._drills = DrillControl(config, rig)
        self._camera = CameraControl(rig.camera, self._messages.append)
        self._slm = slm_control_of(config, rig, scene, model, self._messages.append)
        self._recorded = RecordedInstrument(config=config, rig=rig, fibre=fibre, camera=self._camera)
        references = ReferenceLog(response_of(model, config.response, fibre) if model else None)
        self._recordings = RecordingControl(self._recorded, self._stages, references)
        self._camera.changes.subscribe(self._recordings.ring.put_fault)
        segmentation = SegmentationSettings(config=config.segmentation, scale_of=CellScales(self._recorded).of)
        self._processing = Processing(self._recordings.ring, self._stages, self._messages.append, segmentation)
        self._newest = NewestResults(self._processing)
        self._loop_back = LoopBackControl(rig, self._slm, self._stages, self._messages.append, self._processing.views)
        self._acquisition = AcquisitionControl(self._devices)
        self._calibration = CalibrationControl(rig, self._camera, self._devices)
        self._sampler = SamplerControl(model, config.live, self._processing, self._warn)
        self._jobs = JobList()
        self._live = LiveControl(rig, self._camera, self._devices, self._messages.append)

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
            session = cls(config, rig, fibre, model, scene_of(config, rig, model))
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
    def fibre(self) -> str:
        """Name of the fibre, to which models and datasets belong."""
        return self._fibre

    @property
    def model(self) -> Model | None:
        """The reconstructor, or None where none fits the fibre."""
        return self._model

    @property
    def field_um(self) -> float:
        """Width of the camera's field at the fibre's facet, in micrometres."""
        return self._rig.camera.capabilities.shape[1] * self._recorded.pixel_um

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
        with self._stages.starting():
            if self._acquisition.active:
                raise SessionError("an acquisition is running; stop it before starting the live view")
            if self._live.running:
                return
            settings = CaptureSettings(
                scene=self._slm,
                reference_shots=self.config.live.reference_shots,
                phase_range_rad=self.config.phase_range_rad,
                stored_reference=self._replayed.reference if self._replayed else lambda recorded_index: None,
                fit_of=partial(fit_of, self._model),
            )
            self._live.start(settings, partial(self._connect, self._start_inference()))

    def _connect(self, inference: InferencePipeline, capture: LiveCapture) -> None:
        """Let a capture stage deliver to all who need its frames."""
        ring, references = self._recordings.ring, self._recordings.references
        ring.clear()
        capture.pictures.subscribe(self._newest.put_frame)
        self._loop_back.connect(capture)
        capture.references.subscribe(ring.forget_before)
        capture.frames.subscribe(ring.put_frame)  # first: a view must not come before its frame
        capture.faults.subscribe(ring.put_fault)
        capture.frames.subscribe(inference.offer)
        capture.references.subscribe(inference.set_reference)
        capture.reference_pairs.subscribe(inference.set_reference_pairs)
        capture.references.subscribe(references.set_reference)
        capture.reference_pairs.subscribe(references.set_reference_pairs)

    def stop_live(self, *, end_recording: bool = False) -> None:
        """Ask the live view to stop.

        Parameters
        ----------
        end_recording : bool
            Whether a recording may end with it. Without this it is refused while one runs, and nothing changes; so are
            :meth:`retune`, :meth:`start_acquisition` and :meth:`close`.
        """
        self._end_recording("stopping the live view", agreed=end_recording)
        self._loop_back.stop()
        self._live.stop()

    def retune(self, *, end_recording: bool = False) -> None:
        """Measure a new reference and new reference pairs; the live view pauses meanwhile, then continues with them."""
        self._live.check_can_retune()
        self._loop_back.check_idle("re-tuning")
        self._end_recording("re-tuning, because a recording has one reference", agreed=end_recording)
        self._live.retune()

    def new_reference(self) -> None:
        """Measure a new reference: under the flat pattern, or without an SLM from the frames that come now."""
        if self._live.running and self.recording_status().active:
            raise SessionError("a recording is running, and a recording has one reference; stop it before a new reference")
        self._loop_back.check_idle("a new reference")
        self._live.new_reference()

    def camera_settings(self) -> tuple[CameraSetting, ...]:
        """Return the settings of the camera as they were last read; any thread may call this at any time."""
        return self._camera.settings

    def device_facts(self) -> RigFacts:
        """Return what is known of the devices and does not change while they are open."""
        return self._facts

    def set_camera(self, name: SettingName, value: SettingValue) -> None:
        """Change a setting of the camera; returns at once. A message says what it is then, or why it was refused.

        While the live view runs, a new region or binning stops the camera for a moment, and a new reference is measured.

        Raises
        ------
        SpeckleScopeError
            The camera does not have the setting or does not take the value, an acquisition runs, or a recording runs and
            frames would have another shape. Nothing changes.
        """
        if self._acquisition.active:
            raise SessionError("an acquisition is running, and all its pairs have the same camera settings; stop it first")
        if name.changes_shape and self._recordings.running:
            raise SessionError(
                f"a recording is running, and its frames have one shape; stop it before changing the {name.label}"
            )
        self._loop_back.check_idle(f"changing the {name.label}")
        with self._stages.starting():
            self._camera.request(name, value)
            if not self._live.running:
                self._devices.use("camera settings", self._camera.follow_unarmed)

    def auto_exposure(self) -> None:
        """Set the exposure at which the brightest pixels reach 80 % of full scale; a message says what it is then."""
        find(self._camera.settings, SettingName.EXPOSURE_S)
        self._loop_back.check_idle("auto exposure")
        self._live.auto_exposure()

    def choose_sampling(self, sampling: Sampling) -> None:
        """Choose in how many steps a model draws samples, from which noise, and what is shown; returns at once.

        A recording goes on: each of its frames says how it was drawn. While the graph of another number of steps is opened, its
        frames have no phase.

        Raises
        ------
        SpeckleScopeError
            The model draws no samples, or none with these settings, or a loop-back measurement runs. Nothing changes.
        """
        self._loop_back.check_idle("changing how samples are drawn")
        self._sampler.choose(sampling)

    @property
    def segmentation(self) -> SegmentationConfig:
        """How cells are labelled."""
        return self._processing.segmentation

    def choose_segmentation(self, config: SegmentationConfig) -> None:
        """Label cells in another way from the next frame on; returns at once. Their identities stay.

        A recording goes on: each of its frames whose labels depend on something else than its metadata says so. A segmenter
        that cannot be used is reported by a message, and there are no labels then.
        """
        self._processing.set_segmentation(config)

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
        if self._acquisition.active:
            raise SessionError("an acquisition is running and shows its own patterns on the SLM; stop it first")
        self._loop_back.check_idle("showing something else")
        with self._stages.starting():
            draw = self._slm.request(content)
            if self._live.running:  # the capture thread shows what was drawn
                self._stages.start(Stage("SLM pattern", partial(draw_only, draw)))
            else:
                self._devices.use("SLM", partial(draw_and_show, draw, self._rig.display(), self._messages.append))

    def start_loop_back(self, flashes: int = DEFAULT_FLASHES) -> None:
        """Let the SLM flash so often, and measure when each flash is seen; returns at once. A message gives the result.

        Raises
        ------
        SessionError
            The live view reconstructs nothing now, there is no SLM, the fibre has moved, or a recording or another measurement
            runs. Nothing changes.
        """
        if self.recording_status().active:
            raise SessionError("a recording is running, and flashes do not belong into it; stop it first")
        self._calibration.check_idle("a loop-back measurement")
        with self._stages.starting():
            self._loop_back.start(flashes, self.live_status(), self.config.phase_range_rad)

    def stop_loop_back(self) -> None:
        """Ask the loop-back measurement to stop; what was found is kept."""
        self._loop_back.stop()

    def loop_back_status(self) -> LoopBackStatus:
        """Return what the present or last loop-back measurement has found."""
        return self._loop_back.status()

    def note_painted(self, frame_index: int) -> None:
        """Note that the reconstruction of a frame is on the screen now, for a loop-back measurement."""
        self._loop_back.painted(frame_index)

    def check_can_drill(self) -> None:
        """Raise SessionError unless a drill can begin now: simulated devices, a live view, and nothing that it would spoil."""
        self._drills.check_possible()
        if not self._live.running:
            raise SessionError("a drill shows what the live view says; start the live view first")
        if self.recording_status().active:
            raise SessionError("a recording is running, and a drill would spoil it; stop it first")
        self._loop_back.check_idle("a drill")

    def drill(self, kind: DrillKind) -> Drill:
        """Return a drill whose ``run`` is the work of a job; it ends by itself and undoes what it did.

        Raises
        ------
        SpeckleScopeError
            No drill can begin now; see :meth:`check_can_drill`. Nothing changes.
        """
        self.check_can_drill()
        return self._drills.drill(kind, self._record_for_drill)

    def _record_for_drill(self) -> FullDisk:
        folder = Path(tempfile.mkdtemp(prefix="specklescope-drill-"))
        disk = FullDisk(folder, lambda: self.recording_status().active)
        try:
            self.start_recording("full disk drill", RecordingOptions(folder=folder, check_disk=disk.check))
        except BaseException:
            disk.end()
            raise
        return disk

    def poll_frame(self) -> Frame | None:
        """Return the newest camera frame, or None when there is nothing new; it does not wait for a reconstruction."""
        return self._newest.poll_frame()

    def poll_view(self) -> LiveView | None:
        """Return the newest view, or None when there is nothing new."""
        return self._newest.poll_view()

    def poll_overlay(self) -> Overlay | None:
        """Return the newest view that was segmented, with its labels, or None when there is nothing new."""
        return self._newest.poll_overlay()

    def live_status(self) -> LiveStatus:
        """Return the numbers of the live view."""
        self._notice_failures()
        capture = self._live.stats()
        inference, segmentation = self._processing.stats(self._model)
        recording = self.recording_status()
        return live_status(
            StageStats(capture=capture, inference=inference, segmentation=segmentation),
            dropped_record=recording.frames_dropped,
            can_retune=capture.state.is_running and self._rig.slm is not None and not recording.active,
            drift_threshold=self.config.live.drift_threshold,
            sampler=self._sampler.state,
        )

    def recording_folder(self, options: RecordingOptions) -> Path:
        """Return where a recording with these options is stored."""
        return self._recordings.folder(options)

    def recording_room(self, options: RecordingOptions) -> DiskRoom | None:
        """Return how long the disk lasts for a recording with these options; None where its folder is not there yet."""
        return self._recordings.room(options, grid_px_of(self._rig, self._model, self._replayed), self._live.stats().fps)

    def set_pre_trigger(self, seconds: float) -> None:
        """Keep so many seconds of frames in memory, so that a recording can begin with them; 0 keeps none."""
        self._recordings.set_pre_trigger(seconds)

    @property
    def pre_trigger_s(self) -> float:
        """Seconds of frames that are in memory now."""
        return self._recordings.ring.kept_s

    def start_recording(self, name: str, options: RecordingOptions | None = None) -> None:
        """Record camera frames, with their reconstructions, into a new recording, until it is stopped or has its length."""
        with self._stages.starting():
            self._calibration.check_idle("recording")
            self._live.check_can_record()
            self._loop_back.check_idle("recording")
            stats, segmentation = self._processing.stats(self._model)
            if self._model is None and self._replayed is not None and self._replayed.has_uncertainty:
                stats = replace(stats, has_uncertainty=True)
            grid_px = grid_px_of(self._rig, self._model, self._replayed)
            self._recordings.start(name, options or RecordingOptions(), stats, grid_px, segmentation)

    def add_marker(self, text: str) -> None:
        """Mark this moment of the recording with a text; it is stored with the time and the number of the newest frame."""
        self._recordings.add_marker(text)

    def stop_recording(self, ended_by: RecordingEnd = RecordingEnd.OPERATOR) -> None:
        """Finish the recording; the recorder writes what is queued."""
        self._recordings.stop(ended_by, self._live.pending_fault())

    def _end_recording(self, reason: str, *, agreed: bool) -> None:
        """End the recording that runs, if the operator has agreed; otherwise refuse what would end it."""
        self._recordings.check_may_end(reason, agreed=agreed)
        self.stop_recording()

    def recording_status(self) -> RecordingStatus:
        """Return the state of the current or last recording."""
        return self._recordings.status()

    def snapshot(self, options: RecordingOptions | None = None) -> Path:
        """Write the newest view with its own labels as files; return their folder. Before the first view, the newest frame.

        Its metadata are those of a recording; of the options they have notes, tags, operator, sample and licence.
        """
        given = options or RecordingOptions()
        said = RecordingOptions(notes=given.notes, tags=given.tags, credits=given.credits)
        stats, segmentation = self._processing.stats(self._model)
        facts = self._recorded.metadata(stats, said, segmentation.segmenter)
        return self._newest.snapshot(self.config.archive, facts)

    def export_last_recording(self) -> None:
        """Export the last recording as OME-TIFF and video in the background."""
        path = self.recording_status().path
        if path is None or self.recording_status().active:
            raise SessionError("there is no finished recording to export; record one first")
        with self._stages.starting():
            work = partial(export_recording, path, self._messages.append)
            self._stages.add(self._jobs.start(JobOrder(name=f"Export {path.name}", work=work)).stage)

    def jobs(self) -> tuple[JobStatus, ...]:
        """Return the jobs in the background, oldest first."""
        return self._jobs.statuses()

    def start_acquisition(self, name: str, pairs: int, source: str, *, end_recording: bool = False) -> None:
        """Acquire ``pairs`` object pairs into a new dataset; the live view stops for it."""
        plan = CapturePlan(
            source=source, pairs=pairs, phase_range_rad=self.config.phase_range_rad, exposure_s=self._rig.camera.exposure_s
        )
        self.acquire(name, plan, end_recording=end_recording)

    def acquire(self, name: str, plan: CapturePlan, *, end_recording: bool = False) -> None:
        """Acquire a new dataset by a plan; the live view stops for it.

        Raises
        ------
        SpeckleScopeError
            The archive cannot take it, or something else uses the devices. Nothing changes.
        """
        problem = start_problem(self.config.archive, self.estimate_acquisition(plan))
        if problem:
            raise SessionError(f"the dataset {name!r} was not started: {problem}")
        dataset = NewDataset(
            root=self.config.archive, name=name, metadata=dataset_metadata(self.config, self._fibre, self._camera.binning)
        )
        self._acquire(lambda options: DatasetRun.new(self._rig, plan, dataset, options), end_recording=end_recording)

    def resume_acquisition(self, resumable: Resumable, *, end_recording: bool = False) -> None:
        """Complete an interrupted dataset; the live view stops for it. Refused as :meth:`acquire`."""
        self._acquire(lambda options: DatasetRun.resumed(self._rig, resumable, options), end_recording=end_recording)

    def acquisition_devices(self) -> AcquisitionDevices:
        """Return what acquisitions have to know of the devices."""
        return AcquisitionDevices.of(self._rig, self._fibre)

    def estimate_acquisition(self, plan: CapturePlan) -> Estimate:
        """Return the time and the disk space that a plan needs; raises DeviceError without an SLM."""
        return estimate(self._rig, plan, self.config.archive)

    def _acquire(self, make_run: Callable[[RunOptions], DatasetRun], *, end_recording: bool) -> None:
        if self._acquisition.active:
            raise SessionError("an acquisition is already running; stop it first")
        self._calibration.check_idle("an acquisition")
        self._recordings.check_may_end("an acquisition", agreed=end_recording)
        with self._stages.starting():
            options = RunOptions(
                after=self._devices.last,
                on_pair=PairScreen(self._start_inference(), self._newest.put_frame).show,
                on_message=self._messages.append,
                calibration=calibration_files(self.config),
            )
            run = make_run(options)
            self.stop_live(end_recording=True)
            self._acquisition.start(run)
            self._devices.use("camera settings", self._camera.refresh)  # the plan has its own exposure

    def stop_acquisition(self) -> None:
        """Ask the acquisition to stop after the current pair."""
        self._acquisition.stop()

    def pause_acquisition(self, *, paused: bool) -> None:
        """Pause the acquisition after the current pair, or let it continue."""
        self._acquisition.pause(paused=paused)

    def acquisition_status(self) -> AcquisitionStatus:
        """Return the state of the current or last dataset."""
        return self._acquisition.status()

    @property
    def acquisition_report(self) -> AcquisitionReport | None:
        """What the last acquisition did; None until it has ended without an error."""
        return self._acquisition.report

    def calibration_target(self) -> CalibrationTarget:
        """Return the instrument as calibrations and their verdicts see it."""
        return self._calibration.target(self.config, self._fibre)

    def start_calibration(self, order: CalibrationOrder) -> CalibrationRun:
        """Measure with the devices of this session, and store the result; the live view pauses, and goes on afterwards.

        Raises
        ------
        SpeckleScopeError
            A recording, an acquisition or another measurement runs, or the instrument cannot be calibrated so. Nothing changes.
        """
        self._calibration.check_idle("another calibration")
        self._loop_back.check_idle("a calibration")
        if self._acquisition.active:
            raise SessionError("an acquisition is running and uses the camera and the SLM; stop it first")
        self._recordings.check_may_end("a calibration", agreed=False)
        target = self.calibration_target()
        reason = why_impossible(order.what, target, order.previous)
        if reason:
            raise SessionError(f"the calibration was not started: {reason}")
        with self._stages.starting():
            was_live = self._live.running
            self.stop_live()
            run = self._calibration.start(order, target, self._show_chosen)
            if was_live:
                self.start_live()  # it waits for the devices
                title = FACTS[order.what].title
                text = f"the live view pauses while '{title}' is measured, and goes on afterwards"
                self._messages.append(Message(MessageLevel.INFO, text))
        return run

    def _show_chosen(self) -> None:
        """Show on the SLM what the operator has chosen there; called by whoever has the devices."""
        slm, chosen = self._rig.slm, self._slm.at(0.0) if self._slm is not None else None
        if slm is None or chosen is None:
            return
        try:
            slm.show(chosen)
        except DeviceError as error:
            self._warn(f"the SLM does not show the pattern from before the calibration: {error}")

    def watch(self, callback: Callable[[LiveView], None]) -> None:
        """Call ``callback`` with every view, in the inference thread. It must return quickly and must not raise."""
        self._processing.views.subscribe(callback)

    def watch_newest(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever there is something new to poll, in the thread of a stage. It must return at once."""
        self._newest.arrivals.subscribe(lambda arrival: callback())

    def pop_messages(self) -> list[Message]:
        """Return the messages since the last call, oldest first."""
        self._notice_failures()
        self._messages.extend(self._recordings.messages())
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
        self._calibration.stop()
        self.stop_live()
        self._processing.join(timeout_s)
        self._stages.join(timeout_s)

    def close(self, *, end_recording: bool = False) -> None:
        """Stop everything, release the devices in reverse order of opening, and free model, engine and frames.

        Messages and the outcome of the last recording and dataset can still be read.

        Raises
        ------
        SessionError
            A recording is running, and it may not end; nothing closes.
        """
        with self._stages.closing():
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
        for part in (self._live, self._recordings, self._acquisition, self._calibration, self._newest, self._processing):
            part.let_go()
        self._loop_back.let_go()
        self._stages.let_go()
        self._model = self._slm = self._replayed = None
        give_back_freed_memory()

    def _start_inference(self) -> InferencePipeline:
        """Return the running inference stage; one that has failed is replaced."""
        model, config, replayed = self._model, self.config, self._replayed
        has_phase = replayed is not None and replayed.grid_px is not None
        settings = InferenceSettings(
            model=model,
            engine=config.live.engine,
            truth_of=self._slm.truth if self._slm else lambda pattern_id: None,
            check_frames=(lambda: frames_for(model, config)) if model else (lambda: None),
            recorded=replayed.reconstruction if replayed else lambda frame: None,
            name=replayed.name if replayed and has_phase else NO_MODEL,
            sampling=self._sampler.sampling,
        )
        return self._processing.start(settings)

    def _warn(self, text: str) -> None:
        self._messages.append(Message(MessageLevel.WARNING, text))

    def _notice_failures(self) -> None:
        """Report the error of every stage that has failed, once."""
        if self._live.failed and self._recordings.running:
            self.stop_recording(RecordingEnd.ERROR)  # no further frame comes
        self._stages.notice()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop_recording(
            RecordingEnd.ERROR if isinstance(error, Exception) else RecordingEnd.OPERATOR
        )  # a signal is no Exception
        self.close()
