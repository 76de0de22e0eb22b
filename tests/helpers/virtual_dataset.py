"""Datasets that are acquired in virtual time, within a second."""

from __future__ import annotations

from pathlib import Path

from acquisition.capture.dataset_archive import open_dataset
from acquisition.capture.plan import CapturePlan
from acquisition.capture.progress import AcquisitionProgress, RunCallbacks, RunControl
from acquisition.capture.runner import acquire
from tests.helpers.virtual_bench import VirtualBench

PLAN = CapturePlan(source="cells", pairs=12, reference_every=4)
FIBRE = "twin 1"


def acquired(
    root: Path, pairs: int | None = None, name: str = "test", bench: VirtualBench | None = None, plan: CapturePlan = PLAN
) -> tuple[Path, VirtualBench]:
    """Acquire a dataset in virtual time, and stop after so many pairs."""
    bench, control = bench or VirtualBench(), RunControl()

    def watch(progress: AcquisitionProgress) -> None:
        if pairs is not None and progress.captured >= pairs:
            control.stop.set()

    with open_dataset(root, name, plan, bench.rig, {"fibre": FIBRE}) as writer:
        acquire(bench.rig, plan, writer, control, RunCallbacks(on_progress=watch))
    return writer.path, bench
