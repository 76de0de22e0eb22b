"""The numbers of the live view, gathered from the stages that have them."""

from __future__ import annotations

import math

from app.instrument.config import LiveConfig
from app.live.capture import LiveCapture
from app.live.inference import InferencePipeline
from app.status import LiveStatus
from reconstruction.live.live_reconstructor import LATENCY_LABEL
from reconstruction.models.model import Model


def live_status(
    running: bool,
    can_retune: bool,
    capture: LiveCapture | None,
    inference: InferencePipeline | None,
    model: Model | None,
    dropped_record: int,
    config: LiveConfig,
) -> LiveStatus:
    """Return what the window and the terminal show; NaN and empty where there is nothing yet.

    Parameters
    ----------
    running, can_retune : bool
        Whether the camera runs, and whether a re-tune may be asked for.
    capture, inference
        The stages, once they were started.
    model : Model, optional
        What will be used before the stages say what is.
    dropped_record : int
        Frames that the recording lost.
    config : LiveConfig
        For the threshold of the drift gauge.
    """
    live = inference.live if inference else None
    chosen, method = (inference.chosen, inference.method) if inference else (None, None)
    latency_p50, latency_p99 = live.latency_s(50, 99) if live else (math.nan, math.nan)
    planned = (model.card.name, model.id) if model else ("none for this fibre", "")
    name, id = (method.name, method.id) if method else planned
    return LiveStatus(
        running=running,
        camera_fps=capture.rate.per_second() if capture else 0.0,
        inference_fps=inference.rate.per_second() if inference else 0.0,
        latency_ms_p50=latency_p50 * 1e3,
        latency_ms_p99=latency_p99 * 1e3,
        latency_label=LATENCY_LABEL,
        inference_ms_p50=live.inference_s() * 1e3 if live else math.nan,
        dropped_display=inference.display.dropped if inference else 0,
        dropped_inference=inference.frames.dropped if inference else 0,
        dropped_record=dropped_record,
        engine=method.engine if method else "",
        engine_reason=chosen.reason if chosen and method and method.engine == chosen.name else "",
        model_name=name,
        model_id=id,
        reference_correlation=live.reference_correlation if live else math.nan,
        drift_threshold=config.drift_threshold,
        can_retune=can_retune,
        retuning=bool(running and capture and capture.retuning.is_set()),
    )
