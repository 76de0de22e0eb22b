"""The real frames that an engine is checked on: stored ones, or those of the twin when the model belongs to its fibre."""

from __future__ import annotations

from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.training.train import twin_data
from reconstruction.data.simulation import simulated_pool
from reconstruction.engines.check_frames import FRAMES, CheckFrames, recall, remember
from reconstruction.models.model import Model


def frames_for(model: Model, config: InstrumentConfig) -> CheckFrames | None:
    """Return frames of the model's fibre with their phase; None where there are none. Then only full precision can pass.

    Frames of the twin are simulated once and stored. Their images are used neither in training nor for scores.
    """
    frames = recall(model)
    optics = config.twin.optics
    if frames is not None or model.card.fibre != fibre_name(optics) or optics.image_px != model.frame_px:
        return frames
    with simulated_pool(twin_data(config, "validation", FRAMES, 4, model.grid_px), 0) as pool:
        frames = CheckFrames.of_pool(pool)
    remember(model, frames)
    return frames
