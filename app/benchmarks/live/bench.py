"""Runs the scenarios of the window in processes of their own, each on an X server of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from app.benchmarks.live.library_search import measure_search
from app.benchmarks.live.reconstruct_again import measure_reconstruct_again
from app.benchmarks.live.x_desktop import XDesktop
from app.instrument.config import InstrumentConfig
from app.progress import Report
from drivers.base import SpeckleScopeError

#: The modules of the processes with windows; this room does not import them, because they need Qt.
_GUI = f"{__package__.removesuffix('.benchmarks.live')}.gui"
_WINDOW, _PAINT_TIMES = f"{_GUI}.window_bench", f"{_GUI}.image_view.drawing.paint_times"
SCENARIOS = ("slow_consumer", "recordings", "robust", "disk_stalls", "switches", "playback", "data_page")
#: What belongs to the benchmark of segmentation.
SEGMENTED = "segmented"
#: A quick run measures the first three in one window, and two others in another one: a window takes long to start.
QUICK_SCENARIOS = ("one_window", "switches_and_playback")
_QUICK_ALONE = (QUICK_SCENARIOS[:1],)
#: Scenarios that measure no times of the live view: a quick run has two processes for them, at the same time.
_QUICK_BESIDE = (QUICK_SCENARIOS[1:], ("disk_stalls", "data_page"))
_LONGEST_S = 1800.0
#: What has to be so: a number, and the number, or the name of the number, that it has to be.
_PROMISES: Mapping[str, tuple[str, object]] = {
    "a recorded frame is missing": ("lossless_missing", 0),
    "a stalled disk was not survived": ("disk_stall_right", "disk_stalls"),
    "a lost camera did not come back": ("camera_loss_recovered", "camera_losses"),
    "a recording did not begin with the seconds before": ("pretrigger_exact", "pretriggers"),
    "outlines of another frame were painted": ("overlay_mismatches", 0),
    "a command was not carried out": ("switches_survived", "switches"),
    "a fault was not survived": ("robust_failed", 0),
    "the player showed something else than what was recorded": ("playback_pictures_different", 0),
    "a recording that was reconstructed again is another one": ("reconstruct_again_equal", 1),
}
_PAINTS, _QUICK_PAINTS = 100, 10


def bench_window(report: Report, *, quick: bool = False) -> Mapping[str, object]:
    """Measure the window. Each scenario has a process and a screen of its own; in a quick run, some share them.

    Parameters
    ----------
    report : callable
        Called with what is done.
    quick : bool
        Shorter runs. The slow consumer, the recordings and the faults share a window. What measures no times of the live view
        runs two at a time: the player's and the Data page's times are those of a busy computer.

    Raises
    ------
    SpeckleScopeError
        A program is missing, or a scenario does not end.
    """
    numbers: dict[str, object] = {}
    alone = _QUICK_ALONE if quick else tuple((scenario,) for scenario in SCENARIOS)
    beside = _QUICK_BESIDE if quick else ()
    steps = len(alone) + bool(beside) + 1
    with tempfile.TemporaryDirectory(prefix="specklescope-window-") as name, ThreadPoolExecutor(2) as two:
        folder = Path(name)
        for done, scenarios in enumerate(alone):
            report(f"window: {', '.join(scenarios)}", done, steps)
            numbers.update(_measured(scenarios, folder, quick=quick))
        if beside:
            report(f"window: {', '.join(name for scenarios in beside for name in scenarios)}", len(alone), steps)
            for measured in two.map(partial(_measured, folder=folder, quick=quick), beside):
                numbers.update(measured)
        report("window: painting", steps - 1, steps)
        with XDesktop() as desktop:
            numbers.update(_paint_times(desktop, _QUICK_PAINTS if quick else _PAINTS))
        report("window", steps, steps)
    return numbers


def bench_segmented(report: Report, *, quick: bool = False) -> Mapping[str, object]:
    """Compare the rate of the camera's frames on the screen with and without segmentation.

    Parameters
    ----------
    report : callable
        Called with what is done.
    quick : bool
        Fewer and shorter rounds.

    Returns
    -------
    mapping
        The rates; ``window_skipped`` says why there are none, where a program is missing.
    """
    report("window with and without segmentation", 0, 1)
    try:
        with tempfile.TemporaryDirectory(prefix="specklescope-window-") as name:
            return _measured((SEGMENTED,), Path(name), quick=quick)
    except SpeckleScopeError as error:
        return {"window_skipped": str(error)}


def bench_library(config: InstrumentConfig, report: Report, *, quick: bool = False) -> Mapping[str, object]:
    """Measure the search in a large archive, and whether a recording that is reconstructed again is the same.

    Parameters
    ----------
    config : InstrumentConfig
        A simulated instrument.
    report : callable
        Called with what is done.
    quick : bool
        A smaller archive and fewer frames.

    Raises
    ------
    SpeckleScopeError
        The live view reconstructs nothing, or the recording fails.
    """
    with tempfile.TemporaryDirectory(prefix="specklescope-library-") as folder:
        searched = measure_search(report, Path(folder) / "search", quick=quick)
        stored_here = config.model_copy(update={"archive": Path(folder) / "again"})
        return {**searched, **measure_reconstruct_again(report, stored_here, quick=quick)}


def broken_promises(numbers: Mapping[str, object]) -> list[str]:
    """Return in words what must not be so, of what was measured; times are not among it: they are those of the computer."""
    return [
        text for text, (name, right) in _PROMISES.items() if name in numbers and numbers[name] != numbers.get(str(right), right)
    ]


def _paint_times(desktop: XDesktop, repeats: int) -> Mapping[str, object]:
    """Time how a pane paints, in software and by OpenGL; -1 where there is no OpenGL."""
    command = [sys.executable, "-P", "-m", _PAINT_TIMES, str(repeats)]
    times: dict[str, object] = json.loads(_run("painting", command, desktop))
    renderer, paints = times.pop("renderer"), times.pop("repeats")
    numbers = {name: -1.0 if value is None else value for name, value in times.items()}
    return {**numbers, "paint_renderer": renderer, "paint_repeats": paints}


def _measured(scenarios: tuple[str, ...], folder: Path, *, quick: bool) -> Mapping[str, object]:
    """Run scenarios one after the other in one process."""
    names = ",".join(scenarios)
    result = folder / f"{names}.json"
    options = ["--quick"] if quick else []
    command = [sys.executable, "-P", "-m", _WINDOW, names, str(folder), str(result), *options]
    with XDesktop() as desktop:
        _run(names, command, desktop)
    if not result.is_file():
        raise SpeckleScopeError(f"the scenario {names} wrote no numbers; run it by hand to see why: {' '.join(command)}")
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
