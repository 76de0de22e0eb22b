"""Two processes that want the same dataset, model, export or engine: the second one is refused, or waits, and is told why.

The first process is halted while it holds its lock, so that the second one surely comes in the middle of its work.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from acquisition.archive.folder import LOCK
from acquisition.archive.kinds import FinishReason
from acquisition.archive.reader import JOURNAL, Archive
from acquisition.archive.writer import ArchiveWriter
from acquisition.exchange.export import ExportFormat, export
from app.benchmarks.reliability.budget import Budget, Numbers
from app.benchmarks.reliability.children import Child, ChildEnd, Moment, line, run, specklescope, started
from app.benchmarks.reliability.workbench import NETWORK, Workbench, build_workbench
from app.progress import Report
from drivers.base import SpeckleScopeError

#: The longest time for one process, in seconds.
_LONGEST_S = 240.0
#: Exit code of a process that is refused, and those of a first process: it is asked to end after the second one has come.
_REFUSED, _ENDED = 1, (0, 143)
#: In the arguments of the second process: the archive that the first one writes.
_ITS_ARCHIVE = "ARCHIVE"
_IN_ARCHIVE = f"archive/*/{LOCK}"
#: Rows of a growing dataset that are awaited before it is read.
_ROWS = 2


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Something that two processes want.

    Parameters
    ----------
    name : str
        Its name in the findings.
    play : callable
        Runs both in a new folder; returns what was wrong.
    reads : bool
        Whether the second process only reads, and must not be refused.
    """

    name: str
    play: Callable[[Path], list[str]]
    reads: bool = False


def measure(budget: Budget, report: Report) -> Numbers:
    """Start a second process for everything that a first process writes; others read and build at the same time.

    Parameters
    ----------
    budget : Budget
        How much is done. A quick run does the first contests only.
    report : Report
        Shows the progress.
    """
    with tempfile.TemporaryDirectory(prefix="specklescope-writers-") as folder:
        root = Path(folder)
        return play_contests(all_contests(build_workbench(root / "bench")), root, budget, report)


def play_contests(contests: Sequence[Contest], root: Path, budget: Budget, report: Report) -> Numbers:
    """Run contests, each in a new folder inside ``root``, and count those that went wrong."""
    played: list[Contest] = []
    wrong: list[Contest] = []
    findings: list[str] = []
    for number in budget.rounds(len(contests)):
        contest = contests[number]
        report("writers", number, len(contests), contest.name)
        faults = contest.play(root / f"{number}")
        findings += [f"{contest.name}: {fault}" for fault in faults]
        played.append(contest)
        wrong += [contest] if faults else []
        shutil.rmtree(root / f"{number}", ignore_errors=True)
    report("writers", len(played), len(played), f"{len(wrong)} wrong")
    return {
        "double_writers": sum(not contest.reads for contest in played),
        "double_writers_accepted": sum(not contest.reads for contest in wrong),
        "readers_while_writing": sum(contest.reads for contest in played),
        "readers_blocked": sum(contest.reads for contest in wrong),
        "writers_findings": findings,
    }


def all_contests(bench: Workbench) -> list[Contest]:
    """Return the contests; the quick ones come first."""
    config = ("--config", bench.instrument)
    acquire = specklescope("acquire", "cells", "--pairs", 5000, *config)
    resume = specklescope("acquire", "--resume", _ITS_ARCHIVE, *config)
    certify = specklescope("certify", _ITS_ARCHIVE)
    append = [sys.executable, "-P", "-m", __spec__.name, _ITS_ARCHIVE]
    record = specklescope("record", "r", "--seconds", 600, *config)
    train = specklescope("train", "trained", *NETWORK, "--source", "cells", "--pairs", 2000, "--batch", 4, *config)
    exported = specklescope("export", bench.dataset, "--out", "out", "--format", *ExportFormat)
    calibrate = specklescope("calibrate", "lut", "measured", *config)
    simulate = specklescope("twin-statistics", "twin", "--images", "cells", "--count", 5000, *config)

    def refused(name: str, lock: str, first: Sequence[str], second: Sequence[str]) -> Contest:
        return Contest(name=name, play=partial(second_is_refused, lock, first, second))

    return [
        refused("export, twice", "out/.*.lock", exported, [*exported, "--overwrite"]),
        refused("acquire, resumed meanwhile", _IN_ARCHIVE, acquire, resume),
        refused("acquire, certified meanwhile", _IN_ARCHIVE, acquire, certify),
        refused("acquire, appended to by another program", _IN_ARCHIVE, acquire, append),
        refused("record, appended to by another program", _IN_ARCHIVE, record, append),
        refused("train, twice", "trained/run/writer.lock", train, train),
        refused("train, resumed meanwhile", "trained/run/writer.lock", train, [*train, "--resume"]),
        refused("calibrate, twice", ".measured.lock", calibrate, calibrate),
        refused("twin-statistics, twice", ".twin.lock", simulate, simulate),
        Contest(name="acquire, exported meanwhile", play=partial(_reader_is_not_blocked, acquire), reads=True),
        Contest(name="import under one name, twice", play=partial(_both_import, bench)),
        Contest(name="compile, twice", play=partial(_second_waits, bench)),
    ]


def second_is_refused(lock: str, first: Sequence[str], second: Sequence[str], folder: Path) -> list[str]:
    """Start the second process while the first one holds its lock; return what was wrong.

    Parameters
    ----------
    lock : str
        Pattern of the lock file in the folder.
    first, second : sequence of str
        The command lines. In the second one, ``ARCHIVE`` stands for the archive that the first process writes.
    folder : Path
        The working folder of both.
    """
    with started(folder, first) as holder:
        moment = _is_archive if lock == _IN_ARCHIVE else _held(lock)
        if not holder.wait_for(moment, _LONGEST_S):
            return [f"the first process took no lock: {holder.errors[-300:]!r}"]
        holder.send(signal.SIGSTOP)
        archives = sorted(str(path.parent) for path in folder.glob(f"archive/[!.]*/{JOURNAL}"))
        places = {_ITS_ARCHIVE: archives[0] if archives else ""}
        end = run(folder, [places.get(argument, argument) for argument in second], timeout_s=_LONGEST_S)
        faults = _not_refused(end, holder)
        # SIGTERM first: it is pending when the process goes on.
        holder.send(signal.SIGTERM)
        holder.send(signal.SIGCONT)
        code = holder.ended(_LONGEST_S).code
    faults += [] if code in _ENDED else [f"the first process ended with exit code {code}"]
    damaged = [path for path in archives if not Archive.open(Path(path)).verify().ok]
    return faults + [f"damaged: {path}" for path in damaged]


def _not_refused(end: ChildEnd, holder: Child) -> list[str]:
    """Return what is wrong with the end of a process that had to be refused."""
    if end.code == 0:
        return ["the second process was accepted"]
    if end.code != _REFUSED or f"is being written by process {holder.pid} on computer" not in end.message:
        return [f"the second process was not told who writes: exit code {end.code}, {end.errors[-300:]!r}"]
    return []


def _reader_is_not_blocked(writer: Sequence[str], folder: Path) -> list[str]:
    """Export a dataset that grows."""
    with started(folder, writer) as child:
        if not child.wait_for(_has_rows, _LONGEST_S):
            return [f"the first process wrote nothing: {child.errors[-300:]!r}"]
        [path] = (journal.parent for journal in folder.glob(f"archive/[!.]*/{JOURNAL}"))
        end = run(folder, specklescope("export", path, "--out", "out", "--format", "npz"), timeout_s=_LONGEST_S)
        grows = child.runs()
        child.send(signal.SIGTERM)
        child.ended(_LONGEST_S)
    faults = [] if end.code == 0 else [f"the reader failed: {end.errors[-300:]!r}"]
    return faults if grows else [*faults, f"the writer failed: {child.errors[-300:]!r}"]


def _both_import(bench: Workbench, folder: Path) -> list[str]:
    """Import the same pairs under the same name at the same time: two complete datasets with names of their own."""
    [layout] = export(Archive.open(bench.dataset), folder / "layout", [ExportFormat.SPECDIFFUSION])
    command = specklescope("import", layout, "--name", "same", "--archive", "imported")
    with started(folder, command) as first, started(folder, command) as second:
        ends = [first.ended(_LONGEST_S), second.ended(_LONGEST_S)]
    faults = [f"an import failed: {end.errors[-300:]!r}" for end in ends if end.code]
    archives = [Archive.open(path) for path in (folder / "imported").iterdir()]
    whole = [one for one in archives if one.verify().ok and one.finish_reason is FinishReason.COMPLETED]
    pairs = len(Archive.open(bench.dataset))
    return faults if [len(one) for one in whole] == [pairs] * 2 else [*faults, f"the archives hold {list(map(len, archives))}"]


def _second_waits(bench: Workbench, folder: Path) -> list[str]:
    """Compile a model twice with an empty cache: the second process says for whom it waits, and uses the result."""
    command = specklescope("compile", bench.model, "--engine", "onnxruntime", "--config", bench.instrument)
    with started(folder, command) as builder:
        if not builder.wait_for(_held("cache/*.lock"), _LONGEST_S):
            return [f"the first process built nothing: {builder.errors[-300:]!r}"]
        builder.send(signal.SIGSTOP)
        with started(folder, command) as second:
            says = second.wait_for(line(f"waiting for process {builder.pid} on computer"), _LONGEST_S)
            builder.send(signal.SIGCONT)
            ends = [builder.ended(_LONGEST_S), second.ended(_LONGEST_S)]
    faults = [f"exit code {end.code}: {end.errors[-300:]!r}" for end in ends if end.code]
    return faults if says else [*faults, "the second process did not say for whom it waits"]


def _held(pattern: str) -> Moment:
    """Return the moment when a lock file names its holder."""
    return lambda child: any(path.stat().st_size for path in child.folder.glob(pattern))


def _has_rows(child: Child, rows: int = _ROWS) -> bool:
    """Whether the child has acknowledged some rows of its archive."""
    try:
        return any(len(Archive.open(journal.parent)) >= rows for journal in child.folder.glob(f"archive/[!.]*/{JOURNAL}"))
    except SpeckleScopeError:  # it is not complete enough yet
        return False


def _is_archive(child: Child) -> bool:
    """Whether the child has begun its archive, so that others can open it."""
    return _has_rows(child, rows=0)


def _append(path: Path) -> None:
    """Open an archive for writing, as another program would with this library."""
    try:
        with ArchiveWriter.resume(path):
            pass
    except SpeckleScopeError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    _append(Path(sys.argv[1]))
