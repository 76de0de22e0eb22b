"""What is measured on the window: each scenario opens windows of its own, in a process of its own, and returns numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from app.gui.window_bench import flow
from app.gui.window_bench import playback as player
from app.gui.window_bench import switches as commands
from app.gui.window_bench.amounts import Amounts, Numbers
from app.gui.window_bench.bench_window import BenchOptions, BenchWindow
from app.gui.window_bench.data_page import data_page
from app.gui.window_bench.losses import camera_losses
from app.gui.window_bench.recordings import disk_stalls, pre_triggers
from app.gui.window_bench.robust import robust_numbers, with_slm, without_slm


def slow_consumer(folder: Path, amounts: Amounts) -> Numbers:
    """Show the camera while inference is slow."""
    with BenchWindow(folder) as bench:
        return flow.slow_consumer(bench, amounts)


def recordings(folder: Path, amounts: Amounts) -> Numbers:
    """Record without loss, through losses of the camera, and with the seconds before, one after the other in one window."""
    with BenchWindow(folder) as bench:
        bench.start()
        return _recordings(bench, amounts)


def robust(folder: Path, amounts: Amounts) -> Numbers:
    """Let everything go wrong once, in a window without an SLM, and in one with it."""
    with BenchWindow(folder / "camera") as bench:
        bench.start()
        results = without_slm(bench, amounts)
    with BenchWindow(folder / "slm", BenchOptions(has_slm=True)) as bench:
        bench.start()
        return robust_numbers([*results, *with_slm(bench)])


def switches(folder: Path, amounts: Amounts) -> Numbers:
    """Give random commands in a window."""
    with BenchWindow(folder) as bench:
        bench.start()
        return commands.switches(bench, amounts)


def playback(folder: Path, amounts: Amounts) -> Numbers:
    """Record in a window, close it, and play the recording."""
    with BenchWindow(folder / "recorded") as bench:
        bench.start()
        recording = player.recording_to_play(bench, amounts)
    return player.playback(recording, folder, amounts)


def segmented(folder: Path, amounts: Amounts) -> Numbers:
    """Show the camera with and without segmentation."""
    with BenchWindow(folder) as bench:
        bench.start()
        return flow.with_and_without_segmentation(bench, amounts)


def switches_and_playback(folder: Path, amounts: Amounts) -> Numbers:
    """Give random commands in a window, and play a recording of the same window."""
    with BenchWindow(folder / "recorded") as bench:
        bench.start()
        numbers = commands.switches(bench, amounts)
        recording = player.recording_to_play(bench, amounts)
    return {**numbers, **player.playback(recording, folder, amounts)}


def one_window(folder: Path, amounts: Amounts) -> Numbers:
    """Measure the slow consumer, the recordings and every fault one after the other in one window: no start between them."""
    with BenchWindow(folder, BenchOptions(has_slm=True)) as bench:
        numbers = {**flow.slow_consumer(bench, amounts), **_recordings(bench, amounts)}
        return {**numbers, **robust_numbers([*without_slm(bench, amounts), *with_slm(bench)])}


def _recordings(bench: BenchWindow, amounts: Amounts) -> Numbers:
    return {**flow.lossless(bench, amounts), **camera_losses(bench, amounts), **pre_triggers(bench, amounts)}


SCENARIOS: Mapping[str, Callable[[Path, Amounts], Numbers]] = {
    "slow_consumer": slow_consumer,
    "recordings": recordings,
    "robust": robust,
    "disk_stalls": disk_stalls,
    "switches": switches,
    "playback": playback,
    "data_page": data_page,
    "segmented": segmented,
    "one_window": one_window,
    "switches_and_playback": switches_and_playback,
}
