"""What the window needs from a session; app.gui uses nothing else of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acquisition.capture.plan import CapturePlan
from acquisition.capture.preflight import Estimate
from app.calibrations.kinds import CalibrationOrder
from app.calibrations.target import CalibrationTarget
from app.datasets.resume import AcquisitionDevices, Resumable
from app.instrument.config import InstrumentConfig
from app.instrument.device_facts import RigFacts
from app.live.drills.drill import Drill
from app.live.drills.kinds import DrillKind
from app.live.loop_back.results import LoopBackStatus
from app.live.recordings.disk_room import DiskRoom
from app.live.recordings.options import RecordingOptions
from app.live.slm.content import SlmContent, SlmStatus
from app.status import AcquisitionStatus, JobStatus, LiveStatus, LiveView, Message, Overlay, RecordingStatus
from drivers.base import Frame
from drivers.camera_settings import CameraSetting, SettingName, SettingValue
from reconstruction.sampling import Sampling
from reconstruction.segmentation.config import SegmentationConfig


class CalibrationRunLike(Protocol):
    """A calibration that was started."""

    def follow(self, report: Callable[[int, int], None], stop: threading.Event) -> Path | None:
        """Wait for the end in a thread of the caller; return where the result is stored, None when it was stopped."""


class SessionLike(Protocol):
    """What the window polls and commands.

    Every call returns at once, except :meth:`close`. Long work runs in the session's own threads and reports through
    :meth:`pop_messages`. Commands may raise ``drivers.base.SpeckleScopeError``, which the window shows as a message.
    """

    @property
    def title(self) -> str:
        """Name of the instrument, for example "simulated instrument"."""

    @property
    def simulated(self) -> bool:
        """Whether no real light is measured."""

    @property
    def config(self) -> InstrumentConfig:
        """What the instrument file says, with the model and the response that are in use."""

    @property
    def fibre(self) -> str:
        """Name of the fibre, to which models and datasets belong."""

    @property
    def field_um(self) -> float:
        """Width of the square field of view in micrometres."""

    @property
    def display_range_rad(self) -> tuple[float, float]:
        """Fixed display levels of the phase in radians."""

    @property
    def frame_full_scale(self) -> int:
        """The count at which the camera saturates."""

    @property
    def pattern_sources(self) -> tuple[str, ...]:
        """Names of the pattern sources that a dataset can be acquired from."""

    def start_live(self) -> None:
        """Start camera and inference."""

    def stop_live(self, *, end_recording: bool = False) -> None:
        """Ask camera and inference to stop. While a recording runs, this is refused unless the recording may end with it."""

    def poll_frame(self) -> Frame | None:
        """Return the newest camera frame, or None when there is nothing new. It comes at the camera's rate. Never raises."""

    def poll_view(self) -> LiveView | None:
        """Return the newest reconstruction with its frame, or None when there is nothing new. Never raises."""

    def poll_overlay(self) -> Overlay | None:
        """Return the newest view that was segmented, with its labels, or None when there is nothing new. Never raises."""

    def watch_newest(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever there is something new to poll, in any thread. It must return at once."""

    def live_status(self) -> LiveStatus:
        """Return the numbers of the live view."""

    def retune(self, *, end_recording: bool = False) -> None:
        """Measure a new reference and new reference pairs within a minute; refused as :meth:`stop_live`."""

    def recording_status(self) -> RecordingStatus:
        """Return the state of the current or last recording."""

    def acquisition_status(self) -> AcquisitionStatus:
        """Return the state of the current or last dataset."""

    def start_recording(self, name: str, options: RecordingOptions | None = None) -> None:
        """Record into a new recording, by default every frame, until it is stopped or has its length."""

    def recording_folder(self, options: RecordingOptions) -> Path:
        """Return where a recording with these options is stored."""

    def recording_room(self, options: RecordingOptions) -> DiskRoom | None:
        """Return how long the disk lasts for a recording with these options."""

    def set_pre_trigger(self, seconds: float) -> None:
        """Keep so many seconds of frames in memory, so that a recording can begin with them; 0 keeps none."""

    @property
    def pre_trigger_s(self) -> float:
        """Seconds of frames that are in memory now."""

    def add_marker(self, text: str) -> None:
        """Mark this moment of the recording with a text."""

    def stop_recording(self) -> None:
        """Finish the recording."""

    def snapshot(self, options: RecordingOptions | None = None) -> Path:
        """Write the newest frame, phase and labels as files, and return their folder."""

    def export_last_recording(self) -> None:
        """Start to export the last recording in the background."""

    def acquire(self, name: str, plan: CapturePlan, *, end_recording: bool = False) -> None:
        """Start to acquire a new dataset by a plan; refused as :meth:`stop_live`, and when the archive cannot take it."""

    def resume_acquisition(self, resumable: Resumable, *, end_recording: bool = False) -> None:
        """Start to complete an interrupted dataset; refused as :meth:`stop_live`."""

    def acquisition_devices(self) -> AcquisitionDevices:
        """Return what acquisitions have to know of the devices."""

    def estimate_acquisition(self, plan: CapturePlan) -> Estimate:
        """Return the time and the disk space that a plan needs; raises an error without an SLM."""

    def stop_acquisition(self) -> None:
        """Ask the acquisition to stop after the current pair."""

    def pause_acquisition(self, *, paused: bool) -> None:
        """Pause the acquisition after the current pair, or let it continue."""

    def calibration_target(self) -> CalibrationTarget:
        """Return the instrument as calibrations and their verdicts see it."""

    def start_calibration(self, order: CalibrationOrder) -> CalibrationRunLike:
        """Measure with the devices, and store the result; the live view pauses, and goes on afterwards."""

    def camera_settings(self) -> tuple[CameraSetting, ...]:
        """Return the settings of the camera as they were last read."""

    def device_facts(self) -> RigFacts:
        """Return what is known of the devices and does not change while they are open."""

    def set_camera(self, name: SettingName, value: SettingValue) -> None:
        """Change a setting of the camera; a message says what it is then."""

    def auto_exposure(self) -> None:
        """Set the exposure to the light; a message says what it is then."""

    def new_reference(self) -> None:
        """Measure a new reference."""

    def choose_sampling(self, sampling: Sampling) -> None:
        """Choose in how many steps a model draws samples, from which noise, and what is shown; a recording goes on."""

    @property
    def segmentation(self) -> SegmentationConfig:
        """How cells are labelled."""

    def choose_segmentation(self, config: SegmentationConfig) -> None:
        """Label cells in another way from the next frame on; a recording goes on."""

    def slm_status(self) -> SlmStatus:
        """Return what the SLM can show, and what is chosen."""

    def slm_phase(self) -> NDArray[np.float32] | None:
        """Return the phase (h, w) in radians that the SLM shows now; None where it is not known. It comes at once."""

    def show_on_slm(self, content: SlmContent) -> None:
        """Choose what the SLM shows; a message says what it shows then."""

    def start_loop_back(self, flashes: int) -> None:
        """Let the SLM flash so often, and measure when each flash is seen."""

    def stop_loop_back(self) -> None:
        """Ask the loop-back measurement to stop."""

    def loop_back_status(self) -> LoopBackStatus:
        """Return what the present or last loop-back measurement has found."""

    def note_painted(self, frame_index: int) -> None:
        """Note that the reconstruction of a frame is on the screen now."""

    def check_can_drill(self) -> None:
        """Raise an error that says why no drill can begin now; nothing where one can."""

    def drill(self, kind: DrillKind) -> Drill:
        """Return a drill whose ``run`` is the work of a job."""

    def jobs(self) -> tuple[JobStatus, ...]:
        """Return the jobs in the background, oldest first."""

    def pop_messages(self) -> list[Message]:
        """Return the messages since the last call, oldest first."""

    def close(self, *, end_recording: bool = False) -> None:
        """Stop everything and release the devices; may take seconds; refused as :meth:`stop_live`."""
