"""What is measured on the window: each scenario opens windows of its own, in a process of its own, and returns numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from app.gui.window_bench.amounts import Amounts, Numbers
from app.gui.window_bench.bench_window import BenchWindow
from app.gui.window_bench.data_page import data_page
from app.gui.window_bench.flow import lossless, slow_consumer
from app.gui.window_bench.losses import camera_losses
from app.gui.window_bench.playback import playback
from app.gui.window_bench.recordings import disk_stalls, pre_triggers
from app.gui.window_bench.robust import robust
from app.gui.window_bench.switches import switches


def recordings(folder: Path, amounts: Amounts) -> Numbers:
    """Record without loss, through losses of the camera, and with the seconds before, one after the other in one window."""
    with BenchWindow(folder) as bench:
        bench.start()
        return {**lossless(bench, amounts), **camera_losses(bench, amounts), **pre_triggers(bench, amounts)}


SCENARIOS: Mapping[str, Callable[[Path, Amounts], Numbers]] = {
    "slow_consumer": slow_consumer,
    "recordings": recordings,
    "robust": robust,
    "disk_stalls": disk_stalls,
    "switches": switches,
    "playback": playback,
    "data_page": data_page,
}
