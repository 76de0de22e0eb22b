"""``specklescope gui``: open the window."""

from __future__ import annotations

from typing import Literal

from app.cli.options import Config, Instrument, Model, has_display
from drivers.base import SpeckleScopeError


def gui(
    *,
    setup: bool = False,
    drawing: Literal["auto", "software", "card"] = "auto",
    model: Model = None,
    config: Config = None,
    instrument: Instrument = None,
) -> None:
    """Open the window.

    Parameters
    ----------
    setup
        Start with the set-up form of the Rig page: choose camera and SLM, see them live, and write the instrument file.
    drawing
        Draw pictures on the graphics card, or in software. ``auto`` uses the card where there is one; the status bar says
        which.
    """
    from app.gui.image_view.drawing.choice import DrawingOption
    from app.gui.main import run_instrument
    from app.instrument.config import chosen_file

    if not has_display():
        raise SpeckleScopeError("there is no display to open a window on; use 'specklescope live', or connect with ssh -X")
    code = run_instrument(chosen_file(config, instrument), model, setup=setup, drawing=DrawingOption(drawing))
    if code:
        raise SystemExit(code)
