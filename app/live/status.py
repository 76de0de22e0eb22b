"""The numbers of the live view, put together from those of its stages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from acquisition.streams.times import NO_TIMES, TimeStats
from app.live.capture import CaptureStats
from app.live.inference import InferenceStats
from app.live.segmentation import SegmentationStats
from app.status import LiveStatus, StageName
from drivers.base import FrameMark
from reconstruction.live.live_reconstructor import LATENCY_LABEL
from reconstruction.sampling import SamplerState


@dataclass(frozen=True, kw_only=True)
class StageStats:
    """The numbers of every stage.

    Parameters
    ----------
    capture : CaptureStats
        State and rate of the camera, and the marks of its frames.
    inference : InferenceStats
        Rate, times, engine and model.
    segmentation : SegmentationStats
        Rate and times.
    """

    capture: CaptureStats = field(default_factory=CaptureStats)
    inference: InferenceStats = field(default_factory=InferenceStats)
    segmentation: SegmentationStats = field(default_factory=SegmentationStats)

    def times(self) -> dict[StageName, TimeStats]:
        """Return how long every stage takes for a frame; nothing is known while the camera stands still."""
        is_live = self.capture.state.is_running and self.capture.fps > 0
        return {
            StageName.CAPTURE: self.capture.wait if is_live else NO_TIMES,
            StageName.INFERENCE: self.inference.inference if is_live else NO_TIMES,
            StageName.LATENCY: self.inference.latency if is_live else NO_TIMES,
            StageName.SEGMENTATION: self.segmentation.segmentation if is_live else NO_TIMES,
        }


def times_csv(times: Mapping[StageName, TimeStats]) -> str:
    """Return the times of stages as CSV text: a row for each, in milliseconds, with empty cells where nothing is known."""
    lines = ["stage,count,p50_ms,p95_ms,p99_ms"]
    for stage, stats in times.items():
        cells = (stats.p50_s, stats.p95_s, stats.p99_s)
        lines.append(",".join([stage, str(stats.count), *("" if math.isnan(s) else f"{s * 1e3:.3f}" for s in cells)]))
    return "\n".join(lines) + "\n"


def live_status(
    stages: StageStats,
    *,
    dropped_record: int,
    can_retune: bool,
    drift_threshold: float,
    sampler: SamplerState | None = None,
) -> LiveStatus:
    """Return what window and terminal show. While the live view is stopped, every number of it is unknown.

    Parameters
    ----------
    stages : StageStats
        The numbers of every stage.
    dropped_record : int
        Frames that the recording lost.
    can_retune : bool
        Whether a re-tune may be requested now.
    drift_threshold : float
        The threshold of the drift alarm.
    sampler : SamplerState, optional
        How samples are drawn, if the model draws some.
    """
    capture, inference, segmentation = stages.capture, stages.inference, stages.segmentation
    is_live, times = capture.state.is_running, stages.times()
    return LiveStatus(
        state=capture.state,
        choosing_engine=inference.choosing_engine,
        camera_fps=capture.fps if is_live else math.nan,
        inference_fps=inference.fps if is_live else math.nan,
        segmentation_fps=segmentation.fps if is_live else math.nan,
        latency_ms_p50=times[StageName.LATENCY].p50_s * 1e3,
        latency_ms_p99=times[StageName.LATENCY].p99_s * 1e3,
        latency_label=LATENCY_LABEL,
        inference_ms_p50=times[StageName.INFERENCE].p50_s * 1e3,
        stage_times=times,
        dropped_display=inference.dropped_views,
        dropped_inference=inference.dropped_frames,
        dropped_segmentation=segmentation.dropped_frames,
        dropped_record=dropped_record,
        engine=inference.engine,
        engine_reason=inference.engine_reason,
        model_name=inference.method_name,
        model_id=inference.method_id,
        reference_correlation=inference.reference_correlation if is_live else math.nan,
        drift_threshold=drift_threshold,
        can_retune=can_retune,
        reference_age_s=capture.reference_age_s if is_live else None,
        auto_exposing=capture.auto_exposing,
        sampler=sampler,
        frames_marked={**capture.marked, **({FrameMark.NAN: inference.nan_frames} if inference.nan_frames else {})},
    )
