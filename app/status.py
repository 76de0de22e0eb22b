"""What a session reports to the window or the terminal: frozen data and enums, without behaviour of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.kinds import COMPLETE_VERDICT, EventKind, FinishReason, RecordingEnd
from acquisition.capture.states import AcquisitionState
from acquisition.streams.times import TimeStats
from drivers.base import Frame, FrameMark
from reconstruction.base import Reconstruction
from reconstruction.cells.table import CellTable
from reconstruction.sampling import SamplerState


class MessageLevel(StrEnum):
    """How serious a message is, from the least to the most serious."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for the least serious level."""
        return list(MessageLevel).index(self)


class LiveState(StrEnum):
    """What the live view is doing.

    ::

        STOPPED --> STARTING --> RUNNING <--> RETUNING
           ^           |            |            |
           +-----------+------------+------------+   the operator stops it
                       |            |            |
                       +------------+------------+--> FAILED

    A live view that has failed can be started again.
    """

    #: No camera is read.
    STOPPED = "stopped"
    #: The camera is armed and the reference is measured.
    STARTING = "starting"
    #: Frames are captured.
    RUNNING = "running"
    #: Probe patterns are shown, and a new reference is measured.
    RETUNING = "retuning"
    #: The capture thread ended with an error; a message says why.
    FAILED = "failed"

    @property
    def is_running(self) -> bool:
        """Whether the camera is in use."""
        return self in (LiveState.STARTING, LiveState.RUNNING, LiveState.RETUNING)


class RecordingState(StrEnum):
    """What a recording is doing.

    ::

        IDLE --> RECORDING --> WRITING --> FINISHED
                     |                        ^
                     +------------------------+   the disk failed or was too slow

    What ended it is a :class:`acquisition.archive.kinds.RecordingEnd`, and whether everything is on disk a
    :class:`acquisition.archive.kinds.FinishReason`.
    """

    #: Nothing was recorded yet.
    IDLE = "idle"
    #: Every camera frame is recorded.
    RECORDING = "recording"
    #: No frame is added any more; the frames in the queue are written to the disk.
    WRITING = "writing"
    #: Nothing more happens; the finish reason says why.
    FINISHED = "finished"


#: What is stamped on a picture that has a mark.
MARK_TEXTS: Mapping[FrameMark, str] = {
    FrameMark.NAN: "not a number",
    FrameMark.DARK: "dark",
    FrameMark.SATURATED: "saturated",
    FrameMark.FROZEN: "frozen picture",
    FrameMark.DECORRELATED: "fibre has moved",
}


@dataclass(frozen=True, eq=False)
class LiveView:
    """One camera frame together with the reconstruction of this same frame.

    Parameters
    ----------
    frame : Frame
        The camera frame.
    reconstruction : Reconstruction or None
        None while no model fits the fibre and there are no reference pairs.
    truth_rad : ndarray of float32, shape (grid, grid), optional
        The displayed phase in radians on the grid of the reconstruction. It is known only when our own SLM shows the object.
    """

    frame: Frame
    reconstruction: Reconstruction | None
    truth_rad: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Overlay:
    """A view together with the objects in its own phase.

    Parameters
    ----------
    view : LiveView
        The frame and its reconstruction.
    labels : ndarray of uint16, shape (grid, grid), or None
        Segmentation: 0 is background; 1, 2, ... are the objects. None where nothing can be segmented: the frame is not
        readable, its phase is not finite, or a recording has no labels of it.
    segment_s : float
        How long the segmentation took with the measurement of the cells, in seconds.
    cells : CellTable, optional
        The measured cells with their identities; None where nothing is measured.
    segmenter : mapping of str to str, float or bool
        What the labels depend on; empty where they were recorded, or where there are none.
    """

    view: LiveView
    labels: NDArray[np.uint16] | None
    segment_s: float
    cells: CellTable | None = None
    segmenter: Mapping[str, str | float | bool] = field(default_factory=dict)

    @property
    def frame_index(self) -> int:
        """Number of the frame that phase and labels belong to."""
        return self.view.frame.index


class StageName(StrEnum):
    """What takes time on the way of a frame."""

    #: Waiting for the camera.
    CAPTURE = "capture"
    #: Inside the engine.
    INFERENCE = "inference"
    #: From the end of the exposure to the reconstruction.
    LATENCY = "latency"
    SEGMENTATION = "segmentation"
    #: Drawing the panes; only the window knows it.
    PAINT = "paint"


@dataclass(frozen=True, kw_only=True)
class LiveStatus:
    """Numbers of the live view, measured now; NaN and empty text where nothing is known.

    Parameters
    ----------
    state : LiveState
        What the live view is doing.
    choosing_engine : bool
        Whether engines are being compared: nothing is reconstructed until one is chosen.
    camera_fps, inference_fps, segmentation_fps : float
        Frames per second that the camera delivers, that are reconstructed, and that are segmented.
    latency_ms_p50, latency_ms_p99 : float
        Median and 99th percentile of the latency, in milliseconds.
    latency_label : str
        Between which two points the latency is measured.
    inference_ms_p50 : float
        Median time inside the engine for one frame, in milliseconds.
    stage_times : mapping of StageName to TimeStats
        How long every stage takes for a frame.
    dropped_display, dropped_inference, dropped_segmentation, dropped_record : int
        Frames that display, inference and segmentation skipped, and frames that the recording lost.
    engine, engine_reason : str
        The engine that runs, and why it was chosen.
    model_name, model_id : str
        The model or the method, and its hash.
    reference_correlation : float
        Mean correlation of recent frames with the reference. Below ``drift_threshold`` the fibre has moved.
    drift_threshold : float
        The threshold of the drift alarm.
    can_retune : bool
        Whether a re-tune may be requested now.
    frames_marked : mapping of FrameMark to int
        How many frames have which mark since the live view was started.
    reference_age_s : float or None
        Seconds since the reference in force was measured; None where there is none, or where a recording holds it.
    auto_exposing : bool
        Whether auto exposure goes on.
    sampler : SamplerState or None
        How samples are drawn, as it was asked for last, and what can be chosen; None where the model draws none.
    """

    state: LiveState
    camera_fps: float
    inference_fps: float
    latency_ms_p50: float
    latency_ms_p99: float
    latency_label: str
    inference_ms_p50: float
    dropped_display: int
    dropped_inference: int
    dropped_record: int
    engine: str
    engine_reason: str
    model_name: str
    model_id: str
    reference_correlation: float
    drift_threshold: float = 0.5
    can_retune: bool = False
    frames_marked: Mapping[FrameMark, int] = field(default_factory=dict)
    reference_age_s: float | None = None
    auto_exposing: bool = False
    choosing_engine: bool = False
    segmentation_fps: float = math.nan
    dropped_segmentation: int = 0
    stage_times: Mapping[StageName, TimeStats] = field(default_factory=dict)
    sampler: SamplerState | None = None

    @property
    def running(self) -> bool:
        """Whether the camera is in use."""
        return self.state.is_running

    @property
    def retuning(self) -> bool:
        """Whether a re-tune is in progress."""
        return self.state is LiveState.RETUNING

    def to_dict(self) -> dict[str, object]:
        """Return plain types, for JSON."""
        marked = {mark.value: self.frames_marked.get(mark, 0) for mark in FrameMark}
        times = {stage.value: stats.to_dict() for stage, stats in self.stage_times.items()}
        plain = {**asdict(self), "state": str(self.state), "frames_marked": marked, "stage_times": times}
        return {"running": self.running, **plain, "retuning": self.retuning}


#: What ended a recording, for the operator.
END_TEXTS: Mapping[RecordingEnd, str] = {
    RecordingEnd.OPERATOR: "ended by the operator",
    RecordingEnd.SET_LENGTH: "reached its set length",
    RecordingEnd.ERROR: "ended by an error",
}


#: What went wrong while a recording ran, for the operator.
FAULT_TEXTS: Mapping[EventKind, str] = {
    EventKind.DEVICE_TIMEOUT: "time-outs of the camera",
    EventKind.DEVICE_LOST: "losses of the camera",
    EventKind.FRAME_FAILED: "frames that could not be read",
    EventKind.TRIGGER_IGNORED: "ignored triggers",
    EventKind.WRONG_PATTERN: "frames of a wrong pattern",
    EventKind.BAD_PAIR: "bad pairs",
    EventKind.FRAMES_SKIPPED: "gaps in the camera's counter",
    EventKind.FRAME_NAN: "phases that are not a number",
    EventKind.FRAME_DARK: "dark frames",
    EventKind.FRAME_SATURATED: "saturated frames",
    EventKind.FRAME_FROZEN: "frozen frames",
    EventKind.FRAME_DECORRELATED: "frames after the fibre has moved",
}


@dataclass(frozen=True, kw_only=True)
class RecordingLength:
    """After how much a recording ends by itself; without any, it goes on until it is stopped.

    Parameters
    ----------
    frames : int, optional
        Frames to record.
    seconds : float, optional
        Seconds from the first frame, by the times of the frames.
    """

    frames: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class RecordingStatus:
    """The current or last recording.

    Parameters
    ----------
    state : RecordingState
        What it is doing.
    path : Path or None
        Its folder, once the first frame came.
    frames_recorded, frames_dropped : int
        Frames that are safe on disk, and frames that were lost. More than 0 lost frames would be a defect.
    faults : mapping of str to int
        Faults of the camera while it recorded: how many of each kind.
    frames_missing : int
        Frames that are missing by the camera's own counter.
    frames_not_reconstructed, frames_not_segmented : int
        Frames that were recorded without a phase, and without labels.
    seconds : float
        How long it has recorded, in seconds.
    ended_by : RecordingEnd or None
        What ended it; None while it records.
    finish_reason : FinishReason or None
        Why it finished; None until then.
    verdict : str
        The finish reason in words, with the number of the first frame that is not on disk; empty until then.
    """

    state: RecordingState = RecordingState.IDLE
    path: Path | None = None
    frames_recorded: int = 0
    frames_dropped: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    frames_missing: int = 0
    frames_not_reconstructed: int = 0
    frames_not_segmented: int = 0
    seconds: float = 0.0
    ended_by: RecordingEnd | None = None
    finish_reason: FinishReason | None = None
    verdict: str = ""

    @property
    def active(self) -> bool:
        """Whether frames are still recorded or written."""
        return self.state in (RecordingState.RECORDING, RecordingState.WRITING)

    @property
    def verdict_text(self) -> str:
        """The verdict for the operator: what went wrong is said in words, not with the names that the archive has."""
        if self.finish_reason is not FinishReason.COMPLETED:
            return self.verdict
        faults = ", ".join(f"{FAULT_TEXTS.get(EventKind(kind), kind)}: {count}" for kind, count in self.faults.items())
        return f"{COMPLETE_VERDICT}, but not without faults ({faults})" if faults else COMPLETE_VERDICT


@dataclass(frozen=True, kw_only=True)
class AcquisitionStatus:
    """The current or last acquisition of a dataset.

    Parameters
    ----------
    state : AcquisitionState or None
        What it is doing; None when nothing was acquired yet.
    path : Path or None
        The folder of the dataset, once it exists.
    pairs_requested, pairs_acknowledged, retaken : int
        Pairs that were requested, that are safe on disk, and that were captured again after a fault.
    pairs_per_s : float
        The present rate.
    seconds_left : float or None
        Time left at the present rate, in seconds; None where it is unknown.
    finish_reason : FinishReason or None
        Why it finished; None until then.
    verdict : str
        What is being checked, or the finish reason in words; empty while pairs are captured.
    drift : tuple of (int, float)
        Shot number of every reference check, and its correlation with the first reference.
    free_bytes : int
        Free space on the disk, in bytes; 0 while it is unknown.
    faults : mapping of str to int
        How many faults of each kind there were; their pairs were captured again.
    """

    state: AcquisitionState | None = None
    path: Path | None = None
    pairs_requested: int = 0
    pairs_acknowledged: int = 0
    retaken: int = 0
    pairs_per_s: float = 0.0
    seconds_left: float | None = None
    finish_reason: FinishReason | None = None
    verdict: str = ""
    drift: tuple[tuple[int, float], ...] = ()
    free_bytes: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it still works or is paused."""
        return self.state not in (None, AcquisitionState.FINISHED)

    @property
    def paused(self) -> bool:
        """Whether it is paused."""
        return self.state is AcquisitionState.PAUSED


class JobState(StrEnum):
    """What a job in the background is doing."""

    RUNNING = "running"
    FINISHED = "finished"
    #: The operator has stopped it.
    STOPPED = "stopped"
    #: It ended with an error; a message says which.
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """A job in the background, such as an export.

    Parameters
    ----------
    name : str
        What it does, for people.
    state : JobState
        What it is doing.
    done, total : int
        Steps that are done, and all steps; ``total`` is 0 while it is unknown.
    seconds : float
        How long it has run, in whole seconds.
    """

    name: str
    state: JobState
    done: int = 0
    total: int = 0
    seconds: float = 0.0


class Topic(StrEnum):
    """What a message is about. A newer message replaces the one of the same topic that is on display."""

    COMMAND = "command"
    CAMERA = "camera"
    SLM = "slm"
    REFERENCE = "reference"
    MODEL = "model"
    CELLS = "cells"
    RECORDING = "recording"
    ACQUISITION = "acquisition"
    EXPORT = "export"
    INSTRUMENT = "instrument"


@dataclass(frozen=True)
class Message:
    """One line for the operator: what happened and, unless it is only information, what to do.

    Parameters
    ----------
    level : MessageLevel
        How serious it is.
    text : str
        What happened, and what to do.
    topic : Topic, optional
        What it is about. It goes away when a newer message of this topic comes, such as "the device is back".
    """

    level: MessageLevel
    text: str
    topic: Topic | None = None
