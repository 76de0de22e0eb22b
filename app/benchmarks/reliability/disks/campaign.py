"""Commands on a disk that fills: each ends with an explained error, nothing acknowledged is lost, and nothing is left half.

Where the system allows it, the disk is a small real file system, which fills at a moment of the command. Elsewhere no file of
the command may exceed a size.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acquisition.archive.atomic_files import write_image
from acquisition.archive.reader import Archive
from acquisition.exchange.export import ExportFormat, export
from app.benchmarks.reliability.budget import Budget, Numbers
from app.benchmarks.reliability.children import CACHE, LOGS, TEMPORARY, ChildEnd, Limits, run
from app.benchmarks.reliability.disks.small_disk import Filling, can_mount, on_small_disk
from app.benchmarks.reliability.tasks import (
    Acquire,
    Compile,
    Export,
    Harm,
    Import,
    Items,
    Record,
    Tally,
    Task,
    Train,
    task_bench,
    visible,
)
from app.benchmarks.reliability.workbench import Workbench
from app.live.snapshot import write_snapshot
from app.progress import Report
from app.status import LiveView, Overlay
from drivers.base import Frame, SpeckleScopeError

#: Pairs of the dataset: writing them takes long enough for the disk to be filled meanwhile.
_PAIRS = 250
_TIMEOUT_S = 300.0
_DISK_BYTES = 128 << 20
#: Size that no file may exceed where nothing can be mounted.
_FILE_BYTES = 60_000
#: What of the working folder does not lie on the disk.
_ELSEWHERE = (TEMPORARY, LOGS, "stdout.*", "stderr.*")
#: How a command says how much is acknowledged, see :func:`acknowledged`.
_ACKNOWLEDGED = (r"\((\d+) frames are stored safely", r"(\d+) frames are on disk", r"(\d+) of \d+ pairs are on disk")
_OF_THE_PROGRAM = "this is an error of the program"
_ERROR = "specklescope: "
#: Files that change although what they mean does not.
_CHANGING = ("writer.lock", "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm")


class FileTask(Task):
    """A command whose result are files: all that are there before have to be there afterwards, unchanged."""

    def items(self) -> Items:
        """Return every file with its content."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for top in visible(self.folder)
            if not any(top.match(pattern) for pattern in (*_ELSEWHERE, CACHE))
            for path in (sorted(top.rglob("*")) if top.is_dir() else [top])
            if path.is_file() and path.name not in _CHANGING
        }

    def check(self, tally: Tally) -> None:
        """Check nothing: the command itself has succeeded."""


class Certify(FileTask):
    """``specklescope certify``, with the report of an earlier verification."""

    def prepare(self) -> None:
        """Copy the dataset and certify it."""
        from app.datasets.quality_report import finish_dataset

        finish_dataset(shutil.copytree(self.bench.dataset, self.folder / "dataset"))

    def arguments(self) -> list[object]:
        """Return the command."""
        return ["certify", "dataset"]


class Calibrate(FileTask):
    """``specklescope calibrate``."""

    def arguments(self) -> list[object]:
        """Return the command."""
        return ["calibrate", "lut", "lut", "--levels", 16, "--config", self.bench.instrument]


class Hologram(FileTask):
    """``specklescope hologram``, with an older file of this name."""

    def prepare(self) -> None:
        """Write the image, and an older hologram."""
        self.folder.mkdir(parents=True, exist_ok=True)
        image = np.zeros((64, 64), np.uint8)
        image[20:40, 30:50] = 255
        for name in ("image.png", "hologram.png"):
            write_image(self.folder / name, image, "")

    def arguments(self) -> list[object]:
        """Return the command."""
        return ["hologram", "image.png", "hologram.png", "--iterations", 2, "--config", self.bench.instrument]


class Snapshot(FileTask):
    """A snapshot of the window, which no command writes: this module is the child."""

    def arguments(self) -> list[object]:
        """Return the argument of the child."""
        return ["snapshot"]

    def command(self) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-P", "-m", __spec__.name, *map(str, self.arguments())]


class OverwritingExport(Export):
    """An export in one format that replaces an older one."""

    def prepare(self) -> None:
        """Write the older export, of a part of the data."""
        export(Archive.open(self.bench.dataset), self.folder / "out", self.formats)


def export_in(target: ExportFormat) -> type[OverwritingExport]:
    """Return the export in one format."""
    return type(f"Export {target}", (OverwritingExport,), {"formats": (target,)})


@dataclass(frozen=True, kw_only=True)
class DiskCase:
    """A command, and when its disk fills.

    Parameters
    ----------
    task : type of Task
        The command.
    at : str
        The file in its folder at which the disk fills; empty before the command starts.
    left_bytes : int
        What is left of the disk when it is full.
    """

    task: type[Task]
    at: str = ""
    left_bytes: int = 20_000

    @property
    def name(self) -> str:
        """The name of the command, and the moment."""
        return f"{self.task.__name__.lower()}, disk full {f'at {self.at}' if self.at else 'from the start'}"


#: Temporary files of an export; their names are hidden.
_PART = "out/.*"
#: A quick run does the first ones.
CASES: tuple[DiskCase, ...] = (
    DiskCase(task=Snapshot, left_bytes=2_000),
    DiskCase(task=export_in(ExportFormat.HDF5), at=_PART),
    DiskCase(task=Acquire, at="archive/*/data.zarr/speckle/c.0.*"),
    DiskCase(task=Import, at="archive/.*/*/journal.sqlite"),
    DiskCase(task=Hologram, left_bytes=100),
    *(DiskCase(task=export_in(target), at=_PART) for target in ExportFormat if target is not ExportFormat.HDF5),
    DiskCase(task=Certify, left_bytes=3_000),
    DiskCase(task=Certify, at="dataset/.*"),
    DiskCase(task=Record, at="archive/*/data.zarr/speckle/c.0.*"),
    DiskCase(task=Train, at="m/card.yaml"),
    DiskCase(task=Train, at="m/run/.resolved*"),
    DiskCase(task=Compile, at=f"{CACHE}/*.npz"),
    DiskCase(task=Calibrate, left_bytes=3_000),
    DiskCase(task=Calibrate, at=".lut.*/calibration.yaml"),
)
_QUICK_CASES = 3


def measure(budget: Budget, report: Report) -> Numbers:
    """Fill the disk of each command and count the harm."""
    tally, full = Tally(), 0
    with tempfile.TemporaryDirectory(prefix="specklescope-disks-") as name:
        folder = Path(name)
        bench = task_bench(folder / "bench", pairs=_PAIRS)
        for number, case in enumerate(CASES):
            if budget.quick and number >= _QUICK_CASES and budget.left_s <= 0:
                break
            report("full disks", number, len(CASES), case.name)
            full += fill_and_repeat(case, bench, folder / f"case-{number}", tally)
        report("full disks", len(CASES), len(CASES))
    half = tally.counts[Harm.HALF_WRITTEN] + tally.counts[Harm.WRONG] + tally.counts[Harm.DOUBLED]
    return {
        "full_disks": full,
        "disk_lost": tally.counts[Harm.LOST],
        "disk_half_written": half,
        "disk_without_reason": tally.counts[Harm.WITHOUT_REASON],
        "disks_findings": tally.findings,
    }


def fill_and_repeat(case: DiskCase, bench: Workbench, folder: Path, tally: Tally) -> bool:
    """Run a command on a disk that fills, check how it ends and what it leaves, and repeat it; return whether it was full.

    A command that succeeds had enough room after all; it does not count.
    """
    task = case.task(bench, folder)
    task.prepare()
    before = task.items()
    end = _on_full_disk(task, case)
    if end.code == 0:
        return False
    for fault in without_reason(end):
        tally.add(Harm.WITHOUT_REASON, f"{case.name}: {fault}")
    tally.compare(task, before, case.name)
    acknowledged, stored = acknowledged_in(end.message), len(task.items())
    tally.add(Harm.LOST, f"{case.name}: {stored} of {acknowledged} acknowledged ones are there", max(0, acknowledged - stored))
    left = [str(path.relative_to(folder)) for path in _hidden(folder)]
    tally.add(Harm.HALF_WRITTEN, f"{case.name}: left over: {', '.join(left)}", len(left))
    again = run(folder, task.command(), timeout_s=_TIMEOUT_S)
    if again.code:
        tally.add(Harm.HALF_WRITTEN, f"{case.name}: with room again it fails: {again.message}")
    else:
        task.check(tally)
    return True


def without_reason(end: ChildEnd) -> Iterator[str]:
    """Yield what is wrong with the end of a command whose disk was full."""
    if end.code != 1:
        yield f"it ended with exit code {end.code}: {end.message}"
    if not end.message.startswith(_ERROR):
        yield f"its last line is no explanation: {end.message}"
    if "Traceback" in end.errors or _OF_THE_PROGRAM in end.message:
        yield f"the error was not foreseen: {end.message}"
    if end.survivors:
        yield f"processes live on: {end.survivors}"


def acknowledged_in(message: str) -> int:
    """Return how much a command says to have acknowledged; 0 if it does not say so."""
    return max((int(count) for pattern in _ACKNOWLEDGED for count in re.findall(pattern, message)), default=0)


def _on_full_disk(task: Task, case: DiskCase) -> ChildEnd:
    environment = {"SPECKLESCOPE_CACHE": CACHE}  # on the disk: relative to the working folder
    if can_mount():
        filling = Filling(size_bytes=_DISK_BYTES, left_bytes=case.left_bytes, at=case.at)
        command = on_small_disk(task.command(), filling, _ELSEWHERE)
        return run(task.folder, command, Limits(environment=environment), timeout_s=_TIMEOUT_S)
    limits = Limits(environment=environment, file_bytes=_FILE_BYTES if case.at else case.left_bytes)
    return run(task.folder, task.command(), limits, timeout_s=_TIMEOUT_S)


def _hidden(folder: Path) -> Iterator[Path]:
    """Yield the temporary files that a failed command has left; it had the time to remove them."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts[0] in (TEMPORARY, LOGS)
        if not inside and (path.name.startswith(".") or path.name.endswith((".part", ".__lock"))):
            yield path


def _write_snapshot() -> int:
    """Be the child that writes a snapshot."""
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128), dtype=np.uint8)
    try:
        write_snapshot(Path("snapshots"), Overlay(LiveView(Frame(pixels, 0, 0, 0.01, 8), None), None, 0.0))
    except SpeckleScopeError as error:
        print(f"{_ERROR}{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(_write_snapshot())
