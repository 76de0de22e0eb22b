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

#: The module of the process with the window; this room does not import it, because it needs Qt.
_WINDOW = f"{__package__.removesuffix('.benchmarks.live')}.gui.window_bench"
SCENARIOS = ("slow_consumer", "lossless", "camera_losses", "pre_triggers", "disk_stalls", "switches", "robust")
_LONGEST_S = 1800.0


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
            report(f"window: {scenario}", done, len(SCENARIOS))
            numbers.update(_measured(scenario, Path(folder), desktop, quick=quick))
        report("window", len(SCENARIOS), len(SCENARIOS))
    return numbers


def _measured(scenario: str, folder: Path, desktop: XDesktop, *, quick: bool) -> Mapping[str, object]:
    result = folder / f"{scenario}.json"
    options = ["--quick"] if quick else []
    command = [sys.executable, "-P", "-m", _WINDOW, scenario, str(folder / scenario), str(result), *options]
    try:
        ended = subprocess.run(
            command, env=desktop.environment, capture_output=True, text=True, timeout=_LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SpeckleScopeError(f"the scenario {scenario} did not end within {_LONGEST_S:g} s") from error
    if ended.returncode or not result.is_file():
        last = (ended.stderr.strip().splitlines() or ["no output"])[-1]
        raise SpeckleScopeError(f"the scenario {scenario} failed with exit code {ended.returncode}: {last}")
    numbers: dict[str, object] = json.loads(result.read_text(encoding="utf-8"))
    return numbers
