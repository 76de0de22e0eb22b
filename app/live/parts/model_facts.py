"""What the model and the camera say about the images of the phase, before an engine is open."""

from __future__ import annotations

from acquisition.capture.pair_capture import Rig
from app.instrument.replayed import Replayed
from reconstruction.base import ReconstructionError
from reconstruction.live.pairs_method import pairs_grid_px
from reconstruction.models.model import Model


def grid_px_of(rig: Rig, model: Model | None, replayed: Replayed | None) -> int:
    """Return the side of the phase images: that of the model, of the replayed recording, or of reference pairs."""
    if model is not None:
        return model.grid_px
    if replayed is not None and replayed.grid_px is not None:
        return replayed.grid_px
    height, width = rig.camera.capabilities.shape
    return pairs_grid_px((height, width)) if rig.slm is not None and height == width else 1


def truth_grid_px(rig: Rig, model: Model | None) -> int | None:
    """Return the side of the images of the true phase; None where frames have no such grid."""
    height, width = rig.camera.capabilities.shape
    if model is None and height != width:
        return None
    return model.grid_px if model else pairs_grid_px((height, width))


def fit_of(model: Model | None, shape: tuple[int, ...]) -> tuple[str, bool]:
    """Return whether the model still fits frames of a shape, (H, W) or (C, H, W), in words and as a truth value."""
    if model is None:
        return "there is no model that could fit; reference pairs of a re-tune hold for one region: re-tune", True
    try:
        model.check_frame(shape)
    except ReconstructionError as error:
        return f"nothing is reconstructed: {error}; the calibrated response and a re-tune do not fit either", False
    return (
        f"model {model.card.name!r} fits frames of {shape[-2]} x {shape[-1]} px; it and the calibration are right only for the "
        "region and the binning that they were made with"
    ), True
