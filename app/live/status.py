"""The numbers of the live view, put together from those of its stages."""

from __future__ import annotations

from app.live.capture import CaptureStats
from app.live.inference import InferenceStats
from app.status import LiveStatus
from drivers.base import FrameMark
from reconstruction.live.live_reconstructor import LATENCY_LABEL


def live_status(
    capture: CaptureStats, inference: InferenceStats, *, dropped_record: int, can_retune: bool, drift_threshold: float
) -> LiveStatus:
    """Return what window and terminal show.

    Parameters
    ----------
    capture : CaptureStats
        State and rate of the camera, and the marks of its frames.
    inference : InferenceStats
        Rate, times, engine and model.
    dropped_record : int
        Frames that the recording lost.
    can_retune : bool
        Whether a re-tune may be requested now.
    drift_threshold : float
        The threshold of the drift alarm.
    """
    return LiveStatus(
        state=capture.state,
        camera_fps=capture.fps,
        inference_fps=inference.fps,
        latency_ms_p50=inference.latency_s_p50 * 1e3,
        latency_ms_p99=inference.latency_s_p99 * 1e3,
        latency_label=LATENCY_LABEL,
        inference_ms_p50=inference.inference_s_p50 * 1e3,
        dropped_display=inference.dropped_views,
        dropped_inference=inference.dropped_frames,
        dropped_record=dropped_record,
        engine=inference.engine,
        engine_reason=inference.engine_reason,
        model_name=inference.method_name,
        model_id=inference.method_id,
        reference_correlation=inference.reference_correlation,
        drift_threshold=drift_threshold,
        can_retune=can_retune,
        reference_age_s=capture.reference_age_s,
        auto_exposing=capture.auto_exposing,
        frames_marked={**capture.marked, **({FrameMark.NAN: inference.nan_frames} if inference.nan_frames else {})},
    )
