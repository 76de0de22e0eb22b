"""What a session shows to whoever watches it, window or terminal: plain frozen data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from drivers.base import Frame
from reconstruction.base import Reconstruction


@dataclass(frozen=True, eq=False)
class LiveView:
    """One consistent picture of the instrument: a frame and what was made of that very frame.

    ``reconstruction`` is None where no model fits the fibre yet. ``truth_rad`` is the displayed pattern on the
    reconstruction's grid, known only when our own SLM made the object.
    """

    frame: Frame
    reconstruction: Reconstruction | None
    truth_rad: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class LiveStatus:
    """Numbers of the running live view.

    ``reference_correlation`` below ``drift_threshold`` means that the fibre has moved. ``can_retune`` says whether a re-tune
    may be asked for now, ``retuning`` whether one is under way.
    """

    running: bool
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
    retuning: bool = False


@dataclass(frozen=True)
class RecordingStatus:
    """The recording being recorded, or the last one. ``verdict`` is empty while recording, then 'complete' or why not."""

    active: bool
    path: Path | None
    frames_recorded: int
    seconds: float
    verdict: str


@dataclass(frozen=True)
class AcquisitionStatus:
    """The dataset being acquired, or the last one.

    ``drift`` holds (shot number, correlation with the first reference) of every sentinel; ``free_bytes`` is the disk's.
    """

    active: bool
    path: Path | None
    pairs_requested: int
    pairs_acknowledged: int
    retaken: int
    pairs_per_s: float
    seconds_left: float | None
    verdict: str
    paused: bool = False
    drift: tuple[tuple[int, float], ...] = ()
    free_bytes: int = 0


@dataclass(frozen=True)
class Message:
    """One line for the operator: what happened and, unless it is 'info', what to do."""

    level: Literal["info", "warning", "error"]
    text: str
