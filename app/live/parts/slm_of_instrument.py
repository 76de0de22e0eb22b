"""What one instrument can show on its SLM in the live view."""

from __future__ import annotations

import threading
from collections.abc import Callable

from acquisition.capture.pair_capture import Rig
from app.instrument.config import InstrumentConfig
from app.live.parts.model_facts import truth_grid_px
from app.live.slm.control import SlmControl
from app.live.slm.drawing import SlmFacts
from app.live.slm.scene import Scene
from app.status import Message, MessageLevel, Topic
from drivers.base import DeviceError, Pattern, Slm
from reconstruction.models.model import Model


def scene_of(config: InstrumentConfig, rig: Rig, model: Model | None) -> Scene | None:
    """Return the patterns of the instrument file; None where nothing is shown."""
    grid_px = truth_grid_px(rig, model)
    if rig.slm is None or grid_px is None:
        return None
    return Scene(config.scene, rig.slm.capabilities.shape, grid_px, config.phase_range_rad)


def slm_control_of(
    config: InstrumentConfig, rig: Rig, scene: Scene | None, model: Model | None, on_message: Callable[[Message], None]
) -> SlmControl | None:
    """Return what chooses the SLM's patterns; None without an SLM."""
    if rig.slm is None:
        return None
    facts = SlmFacts(
        shape=rig.slm.capabilities.shape,
        grid_px=truth_grid_px(rig, model),
        phase_range_rad=config.phase_range_rad,
        has_hologram=bool(config.hologram.carrier_period_px or config.hologram.lens_focal_length_mm),
    )
    return SlmControl(scene, facts, on_message)


def draw_only(draw: Callable[[], Pattern | None], stop: threading.Event) -> None:
    """Draw what was chosen; the capture thread shows it."""
    draw()


def draw_and_show(draw: Callable[[], Pattern | None], slm: Slm, on_message: Callable[[Message], None]) -> None:
    """Draw what was chosen, and show it while no live view does."""
    pattern = draw()
    if pattern is None:
        return
    try:
        slm.show(pattern)
    except DeviceError as error:
        on_message(Message(MessageLevel.WARNING, f"not shown on the SLM: {error}", Topic.SLM))
