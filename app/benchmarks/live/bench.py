"""Runs every scenario of the window in a process of its own, on an X server of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from app.benchmarks.live.x_desktop import XDesktop
from app.progress import Report
from drivers.base import SpeckleScopeError

#: The modules of the processes with windows; this room does not import them, because they need Qt.
_GUI = f"{__package__.removesuffix('.benchmarks.live')}.gui"
_WINDOW, _PAINT_TIMES = f"{_GUI}.window_bench", f"{_GUI}.image_view.drawing.paint_times"
SCENARIOS = ("slow_consumer", "recordings", "disk_stalls", "switches", "robust")
_LONGEST_S = 1800.0
_PAINTS, _QUICK_PAINTS = 100, 10


def bench_window(report: Report, *, quick: bool = False) -> Mapping[str, object]:
    """Measure the window.

    Parameters
    ----------
    report : callable
        Called with what is done.
    quick : bool
        Shorter runs.

    Raises
    ------
    SpeckleScopeError
        A program is missing, or a scenario does not end.
    """
    numbers: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="specklescope-window-") as folder, XDesktop() as desktop:
        for done, scenario in enumerate(SCENARIOS):
            report(f"window: {scenario}", done, len(SCENARIOS) + 1)
            numbers.update(_measured(scenario, Path(folder), desktop, quick=quick))
        report("window: painting", len(SCENARIOS), len(SCENARIOS) + 1)
        numbers.update(_paint_times(desktop, _QUICK_PAINTS if quick else _PAINTS))
        report("window", len(SCENARIOS) + 1, len(SCENARIOS) + 1)
    return numbers


def _paint_times(desktop: XDesktop, repeats: int) -> Mapping[str, object]:
    """Time how a pane paints, in software and by OpenGL; -1 where there is no OpenGL."""
    command = [sys.executable, "-P", "-m", _PAINT_TIMES, str(repeats)]
    times: dict[str, object] = json.loads(_run("painting", command, desktop))
    renderer, paints = times.pop("renderer"), times.pop("repeats")
    numbers = {name: -1.0 if value is None else value for name, value in times.items()}
    return {**numbers, "paint_renderer": renderer, "paint_repeats": paints}


def _measured(scenario: str, folder: Path, desktop: XDesktop, *, quick: bool) -> Mapping[str, object]:
    result = folder / f"{scenario}.json"
    options = ["--quick"] if quick else []
    command = [sys.executable, "-P", "-m", _WINDOW, scenario, str(folder / scenario), str(result), *options]
    _run(scenario, command, desktop)
    if not result.is_file():
        raise SpeckleScopeError(f"the scenario {scenario} wrote no numbers; run it by hand to see why: {' '.join(command)}")
    numbers: dict[str, object] = json.loads(result.read_text(encoding="utf-8"))
    return numbers


def _run(scenario: str, command: list[str], desktop: XDesktop) -> str:
    """Run a process on the screen, and return what it prints; raises SpeckleScopeError if it fails or does not end."""
    try:
        ended = subprocess.run(
            command, env=desktop.environment, capture_output=True, text=True, timeout=_LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SpeckleScopeError(f"the scenario {scenario} did not end within {_LONGEST_S:g} s") from error
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no output"])[-1]
        raise SpeckleScopeError(f"the scenario {scenario} failed with exit code {ended.returncode}: {last}")
    return ended.stdout
