"""A session that a test controls, with real arrays and without threads."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage import data, transform

from acquisition.capture.plan import CapturePlan
from acquisition.capture.preflight import Estimate
from acquisition.capture.states import AcquisitionState
from app.calibrations.kinds import CalibrationOrder
from app.calibrations.target import CalibrationTarget
from app.datasets.resume import AcquisitionDevices, Resumable
from app.gui.session_protocol import CalibrationRunLike
from app.instrument.config import InstrumentConfig
from app.instrument.device_facts import RigFacts
from app.instrument.opening import fibre_name
from app.live.drills.drill import Drill
from app.live.drills.kinds import DrillKind
from app.live.loop_back.results import LoopBackStatus
from app.live.recordings.disk_room import DiskRoom
from app.live.recordings.options import RecordingOptions
from app.live.segmentation import segmented
from app.live.slm.content import SlmContent, SlmKind, SlmStatus
from app.status import (
    AcquisitionStatus,
    JobStatus,
    LiveState,
    LiveStatus,
    LiveView,
    Message,
    Overlay,
    RecordingStatus,
)
from drivers.base import Frame, SpeckleScopeError
from drivers.camera_settings import CameraSetting, SettingName, SettingValue
from reconstruction.base import Reconstruction
from reconstruction.sampling import Sampling
from reconstruction.segmentation.config import SegmentationConfig

MODEL_ID = "3fa9c21e77b04d55"
FIELD_UM = 400.0


def live_status() -> LiveStatus:
    """Return the numbers of an instrument that works and is stopped."""
    return LiveStatus(
        state=LiveState.STOPPED,
        camera_fps=0.0,
        inference_fps=0.0,
        latency_ms_p50=math.nan,
        latency_ms_p99=math.nan,
        latency_label="software path",
        inference_ms_p50=math.nan,
        dropped_display=0,
        dropped_inference=0,
        dropped_record=0,
        engine="OpenVINO bf16",
        engine_reason="fastest of 3 measured on this machine",
        model_name="referenced-unet",
        model_id=MODEL_ID,
        reference_correlation=math.nan,
    )


def make_view(index: int = 0, seed: int = 0) -> LiveView:
    """Return a 512 px speckle-like frame and the coins image as a 128 px phase."""
    rng = np.random.default_rng(seed)
    pixels = np.minimum(rng.exponential(60.0, (512, 512)), 255).astype(np.uint8)
    coins = transform.resize(data.coins(), (128, 128), anti_aliasing=True)
    phase_rad = (coins * 2.6).astype(np.float32)
    reconstruction = Reconstruction(
        phase_rad=phase_rad,
        frame_index=index,
        latency_s=0.04,
        inference_s=0.012,
        model_id=MODEL_ID,
        engine="torch",
        mask=np.ones((128, 128), np.bool_),
    )
    return LiveView(Frame(pixels, index, 0, 0.002), reconstruction)


class ScriptedFault:
    """A fault that does nothing; tests see when it begins and ends."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()

    def begin(self) -> None:
        self.begun.set()

    def end(self) -> None:
        self.ended.set()


class ScriptedSession:
    """Satisfies SessionLike; tests set its attributes and read ``calls``."""

    title = "simulated instrument"
    simulated = True
    field_um = FIELD_UM
    display_range_rad = (0.0, 2.6)
    frame_full_scale = 255
    pattern_sources: tuple[str, ...] = ("cells", "digits")

    def __init__(self) -> None:
        self.config = InstrumentConfig()
        self.fibre = fibre_name(self.config.twin.optics)
        self.frames: deque[Frame] = deque()
        self.views: deque[LiveView] = deque()
        self.overlays: deque[Overlay] = deque()
        self.messages: list[Message] = []
        self.calls: list[tuple[object, ...]] = []
        self.failure: SpeckleScopeError | None = None
        self.status = live_status()
        self.segmentation = SegmentationConfig()
        self.recording = RecordingStatus()
        self.acquisition = AcquisitionStatus()
        self.archive = Path("archive")
        self.free_bytes = 10**11
        self.devices = AcquisitionDevices(
            fibre=self.fibre,
            frame_shape=(64, 64),
            bit_depth=8,
            exposure_s=0.002,
            exposure_range_s=(1e-5, 1.0),
            pattern_shape=(64, 64),
        )
        self.options = RecordingOptions()
        self.settings: tuple[CameraSetting, ...] = ()
        self.slm = SlmStatus(kinds=(SlmKind.SCENE, SlmKind.PICTURE, SlmKind.BLANK, SlmKind.TEST_CARD))
        self.slm_phase_rad: NDArray[np.float32] | None = None
        self.job_statuses: tuple[JobStatus, ...] = ()
        self.facts = RigFacts()
        self.no_drill = ""
        self.fault = ScriptedFault()
        self.loop_back = LoopBackStatus()
        self.target = CalibrationTarget(
            config=InstrumentConfig(), fibre="", devices={}, display=None, exposure_s=0.002, frame_s=0.01
        )
        self.painted: list[int] = []
        self.polls = 0
        self.may_close = threading.Event()
        self.may_close.set()
        self.closed = threading.Event()

    def _command(self, *call: object) -> None:
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure

    def start_live(self) -> None:
        self._command("start_live")
        self.status = replace(self.status, state=LiveState.RUNNING)

    def stop_live(self, *, end_recording: bool = False) -> None:
        self._command("stop_live")
        self.status = replace(self.status, state=LiveState.STOPPED)

    def add(self, view: LiveView) -> Overlay:
        """Let every stage bring its result of one frame; return the last one."""
        overlay = segmented(view)
        self.frames.append(view.frame)
        self.views.append(view)
        self.overlays.append(overlay)
        return overlay

    def watch_newest(self, callback: Callable[[], None]) -> None:
        pass  # the tests ask the window to poll

    def poll_frame(self) -> Frame | None:
        return self.frames.popleft() if self.frames else None

    def poll_overlay(self) -> Overlay | None:
        return self.overlays.popleft() if self.overlays else None

    def poll_view(self) -> LiveView | None:
        self.polls += 1
        return self.views.popleft() if self.views else None

    def live_status(self) -> LiveStatus:
        return self.status

    def retune(self, *, end_recording: bool = False) -> None:
        self._command("retune")

    def recording_status(self) -> RecordingStatus:
        return self.recording

    def acquisition_status(self) -> AcquisitionStatus:
        return self.acquisition

    def start_recording(self, name: str, options: RecordingOptions | None = None) -> None:
        self._command("start_recording", name)
        self.options = options or RecordingOptions()

    def recording_folder(self, options: RecordingOptions) -> Path:
        return options.folder or self.archive

    def recording_room(self, options: RecordingOptions) -> DiskRoom | None:
        return DiskRoom(10**11, 7500.0)

    def set_pre_trigger(self, seconds: float) -> None:
        self._command("set_pre_trigger", seconds)

    pre_trigger_s = 0.0

    def add_marker(self, text: str) -> None:
        self._command("add_marker", text)

    def stop_recording(self) -> None:
        self._command("stop_recording")

    def snapshot(self, options: RecordingOptions | None = None) -> Path:
        self._command("snapshot")
        return Path("archive/snapshot-0001")

    def export_last_recording(self) -> None:
        self._command("export_last_recording")

    def acquire(self, name: str, plan: CapturePlan, *, end_recording: bool = False) -> None:
        self._command("acquire", name, plan)
        self.acquisition = AcquisitionStatus(state=AcquisitionState.PREPARING, pairs_requested=len(plan))

    def resume_acquisition(self, resumable: Resumable, *, end_recording: bool = False) -> None:
        self._command("resume_acquisition", resumable.path)
        self.acquisition = AcquisitionStatus(state=AcquisitionState.PREPARING, pairs_requested=len(resumable.plan))

    def acquisition_devices(self) -> AcquisitionDevices:
        return self.devices

    def estimate_acquisition(self, plan: CapturePlan) -> Estimate:
        return Estimate(
            shots=len(plan),
            seconds_per_pair=0.1,
            seconds=0.1 * len(plan),
            bytes_raw=320_000 * len(plan),
            bytes_free=self.free_bytes,
        )

    def stop_acquisition(self) -> None:
        self._command("stop_acquisition")

    def pause_acquisition(self, *, paused: bool) -> None:
        self._command("pause_acquisition", paused)

    def calibration_target(self) -> CalibrationTarget:
        return self.target

    def start_calibration(self, order: CalibrationOrder) -> CalibrationRunLike:
        self._command("start_calibration", order)
        raise SpeckleScopeError("a scripted session has no devices; use a real one")

    def camera_settings(self) -> tuple[CameraSetting, ...]:
        return self.settings

    def device_facts(self) -> RigFacts:
        return self.facts

    def set_camera(self, name: SettingName, value: SettingValue) -> None:
        self._command("set_camera", name, value)

    def auto_exposure(self) -> None:
        self._command("auto_exposure")

    def new_reference(self) -> None:
        self._command("new_reference")

    def choose_sampling(self, sampling: Sampling) -> None:
        self._command("choose_sampling", sampling)
        assert self.status.sampler is not None
        self.status = replace(self.status, sampler=replace(self.status.sampler, sampling=sampling))

    def choose_segmentation(self, config: SegmentationConfig) -> None:
        self._command("choose_segmentation", config)
        self.segmentation = config

    def slm_status(self) -> SlmStatus:
        return self.slm

    def slm_phase(self) -> NDArray[np.float32] | None:
        return self.slm_phase_rad

    def show_on_slm(self, content: SlmContent) -> None:
        self._command("show_on_slm", content)
        self.slm = replace(self.slm, content=content)

    def start_loop_back(self, flashes: int) -> None:
        self._command("start_loop_back", flashes)

    def stop_loop_back(self) -> None:
        self._command("stop_loop_back")

    def loop_back_status(self) -> LoopBackStatus:
        return self.loop_back

    def note_painted(self, frame_index: int) -> None:
        self.painted.append(frame_index)

    def check_can_drill(self) -> None:
        if self.no_drill:
            raise SpeckleScopeError(self.no_drill)

    def drill(self, kind: DrillKind) -> Drill:
        self._command("drill", kind)
        return Drill(kind, self.fault)

    def jobs(self) -> tuple[JobStatus, ...]:
        return self.job_statuses

    def pop_messages(self) -> list[Message]:
        messages, self.messages = self.messages, []
        return messages

    def close(self, *, end_recording: bool = False) -> None:
        self.may_close.wait(20)
        self.closed.set()
