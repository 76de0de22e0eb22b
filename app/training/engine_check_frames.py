"""Which real frames an engine is judged on: kept ones, or those of the twin where the model is for the twin's fibre."""

from __future__ import annotations

from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.training.train import twin_data
from reconstruction.data.simulation import simulated_pool
from reconstruction.engines.check_frames import FRAMES, CheckFrames, recall, remember
from reconstruction.models.model import Model


def frames_for(model: Model, config: InstrumentConfig) -> CheckFrames | None:
    """Return frames of the model's fibre with their phase; None where none are known, and then only full precision is used.

    The twin's are simulated once, from images that neither training nor scores have seen, and kept.
    """
    frames = recall(model)
    optics = config.twin.optics
    if frames is not None or model.card.fibre != fibre_name(optics) or optics.image_px != model.frame_px:
        return frames
    with simulated_pool(twin_data(config, "validation", FRAMES, 4, model.grid_px), 0) as pool:
        frames = CheckFrames.of_pool(pool)
    remember(model, frames)
    return frames
