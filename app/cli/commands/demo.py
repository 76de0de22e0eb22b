"""``specklescope demo``: everything once, on the simulated instrument."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from app.cli.options import Count, TwinOptions, has_display
from app.cli.output import progress_bars, publish
from drivers.base import SpeckleScopeError

_INSTRUMENT = TwinOptions()


def demo(
    *, headless: bool = False, pairs: Count = 200, out: Path = Path("demo-out"), instrument: TwinOptions = _INSTRUMENT
) -> None:
    """Show everything once on the simulated instrument: acquire, verify, reconstruct live, record, export.

    Opens the window if there is a display. Otherwise it runs without a window and draws the same window into a file.

    Parameters
    ----------
    headless
        Open no window even if there is a display.
    pairs
        Number of pairs of speckle and phase to acquire.
    out
        Folder for the dataset, the recording, its exports and the picture of the window.
    """
    from app.demo import Demo
    from app.gui.main import render_offscreen, run_window
    from app.live.session import Session

    settings = instrument.settings().model_copy(update={"archive": out / "archive"})
    if not settings.on_twin:
        raise SpeckleScopeError(f"the demo needs the simulated instrument, not camera '{settings.camera}'; leave out --config")
    windowed = not headless and has_display()
    if not windowed:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with Session.open(settings) as session, progress_bars() as report:
        demonstration = Demo(session, pairs, report)
        if windowed:
            numbers = _beside_window(demonstration.run, lambda: run_window(session))
        else:
            numbers = demonstration.run()
            report("drawing the window", 0, 1)
            numbers["screenshot"] = str(render_offscreen(session, out / "window.png"))
            report("drawing the window", 1, 1)
    if numbers:
        publish("demo", numbers, instrument.json)
        if numbers["wrong_pairs"]:
            raise SpeckleScopeError("a pair is wrong; the numbers above say how many, so do not use this dataset")


def _beside_window(work: Callable[[], dict[str, object]], show_window: Callable[[], object]) -> dict[str, object]:
    """Run ``work`` in a thread while the window is open; return its numbers, or none if the window closed first."""
    result: dict[str, object] = {}
    errors: list[BaseException] = []

    def run() -> None:
        try:
            result.update(work())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="demo", daemon=True)
    thread.start()
    show_window()
    if errors:
        raise errors[0]
    return result
