"""Nothing is called complete or verified after a part of it was deleted, during the run or just before the verdict.

Acquisitions and recordings in this process lose a shard, the journal or their folder. A certification loses its report or its
certificate as soon as they are written. Then the command ``acquire`` loses the same while it runs, and ``certify``
meets an older report of a dataset that has lost a shard.

Every run has to end with an error, and a command with an exit code that is not 0. Nothing on the disk or on stdout may say that
all is well.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random
from unittest import mock

import numpy as np

from acquisition.archive.atomic_files import write_together
from acquisition.archive.kinds import COMPLETE_VERDICT, FinishReason
from acquisition.archive.recorder import Recorder, RecordItem
from acquisition.archive.rows import StorageError
from acquisition.archive.writer import Archive, ArchiveWriter
from acquisition.capture.certificate import CERTIFICATE
from acquisition.capture.dataset_archive import dataset_spec
from acquisition.capture.plan import CapturePlan
from acquisition.capture.progress import AcquisitionProgress, RunCallbacks
from acquisition.capture.runner import acquire
from acquisition.streams.channel import Channel, ChannelClosedError, Overflow, Stage
from app.benchmarks.reliability.budget import Budget, Numbers
from app.benchmarks.reliability.children import file, run, specklescope, started
from app.benchmarks.reliability.workbench import Workbench, build_workbench
from app.datasets import quality_report
from app.datasets.quality_report import REPORT, finish_dataset
from app.instrument.opening import open_rig
from app.progress import Report
from drivers.base import Frame, SpeckleScopeError
from drivers.clock import VirtualClock

#: Deletions of each target in this process, and with commands.
_HERE, _COMMANDS = 8, 2
_FRAMES, _PAIRS = 6, 6
#: So many that the first shard is full, or 5 s old, before the run ends.
_COMMAND_PAIRS = 600
_SHAPE = (16, 16)
_TIMEOUT_S = 60.0


class Target(StrEnum):
    """What is deleted."""

    SHARD = "shard"
    JOURNAL = "journal"
    FOLDER = "folder"
    REPORT = "report"


@dataclass
class _Counts:
    cases: int = 0
    findings: list[str] = field(default_factory=list)

    def judge(self, name: str, claims: list[str]) -> None:
        self.cases += 1
        if claims:
            self.findings.append(f"{name}: {', '.join(claims)}")


def measure(budget: Budget, report: Report) -> Numbers:
    """Delete each target ten times; see the module."""
    counts = _Counts()
    full = len(Target) * (_HERE + _COMMANDS)
    with tempfile.TemporaryDirectory(prefix="truth-") as folder:
        root = Path(folder)
        bench = build_workbench(root / "bench", _PAIRS)
        for number in budget.rounds(_HERE):
            for target in Target:
                name = f"{target}, seed {budget.seed + number}"
                trial = root / f"{target}-{number}"
                counts.judge(name, _TRIALS[target](bench, trial, target, Random(budget.seed + number)))
                shutil.rmtree(trial, ignore_errors=True)
                report("deletions", counts.cases, full)
        for number in budget.rounds(_COMMANDS) if not budget.quick else ():
            for target in Target:
                by_command = _certified if target is Target.REPORT else _acquired
                counts.judge(f"{target} of a command, {number}", by_command(bench, root / f"c-{target}-{number}", target))
                report("deletions", counts.cases, full)
    return {"truth_cases": counts.cases, "truth_violations": len(counts.findings), "truth_findings": counts.findings}


def delete(path: Path, target: Target, random: Random) -> None:
    """Delete a part of an archive: one of its shards, its journal, or all of it."""
    if target is Target.FOLDER:
        shutil.rmtree(path, ignore_errors=True)
    elif target is Target.JOURNAL:
        for journal in path.glob("journal.sqlite*"):
            journal.unlink(missing_ok=True)
    else:
        random.choice(sorted(path.glob("data.zarr/*/c.*"))).unlink()


def claims(path: Path) -> list[str]:
    """Return what a folder still says of itself although a part of it is gone."""
    said = []
    with contextlib.suppress(StorageError):
        archive = Archive.open(path)
        text = archive.status.get("verdict", "")
        if archive.finish_reason is FinishReason.COMPLETED or text.startswith(COMPLETE_VERDICT):
            said.append(f"its journal says {text!r}")
    return said + _reports(path)


def _reports(path: Path) -> list[str]:
    said = []
    for name, claim in ((REPORT, "pairs, verified"), (CERTIFICATE, "verified: true")):
        if (path / name).is_file() and claim in (path / name).read_text("utf-8"):
            said.append(f"{name} says {claim!r}")
    return said


# ---- in this process


def _dataset(bench: Workbench, trial: Path, target: Target, random: Random) -> list[str]:
    """Acquire, and lose something after one of the pairs, or when the verdict is due."""
    rig, _ = open_rig(bench.config, VirtualClock())
    plan = CapturePlan(source="cells", pairs=_PAIRS, phase_range_rad=bench.config.phase_range_rad, exposure_s=2e-3)
    moment = random.randint(2, len(plan))
    lost: list[Path] = []

    def lose(path: Path) -> None:
        if not lost:
            lost.append(path)
            delete(path, target, random)

    def watch(now: AcquisitionProgress) -> None:
        if now.acknowledged >= moment:
            lose(now.path)

    spec = dataset_spec("truth", plan, rig, {"fibre": "bench"})
    writer = ArchiveWriter.create(trial, spec, len(plan), seal_after_s=0.0)
    complete = writer.complete

    def lose_and_complete(verdict: str = COMPLETE_VERDICT) -> None:
        writer.flush()
        lose(writer.path)
        complete(verdict)

    said = []
    try:
        with writer, mock.patch.object(writer, "complete", lose_and_complete):
            if acquire(rig, plan, writer, callbacks=RunCallbacks(on_progress=watch)).complete:
                said.append("the acquisition says complete")
    except SpeckleScopeError:
        pass
    finally:
        rig.close()
    return said + claims(writer.path)


def _recording(bench: Workbench, trial: Path, target: Target, random: Random) -> list[str]:
    """Record, and lose something after some of the frames; the last ones come later, or not at all."""
    pixels = np.random.default_rng(random.randrange(1000))
    channel: Channel[RecordItem] = Channel("truth", _FRAMES, Overflow.FAIL)
    recorder = Recorder(trial, "truth", {}, channel, seal_after_s=0.0)
    stage = Stage("recorder", recorder.run)
    stage.start()
    moment = random.randint(1, _FRAMES)
    for index in range(_FRAMES):
        frame = Frame(pixels.integers(0, 256, _SHAPE, np.uint8), index, index, 0.01)
        with contextlib.suppress(ChannelClosedError):  # the recorder has ended already
            channel.put(RecordItem(frame, np.zeros(_SHAPE, np.float32), "model", "torch", 0.01))
        if index + 1 == moment:
            _wait(lambda: recorder.frames_recorded >= moment or not stage.running)
            if recorder.path is not None:
                delete(recorder.path, target, random)
    channel.close()
    if not stage.join(_TIMEOUT_S):
        return ["the recorder does not end"]
    said = [] if stage.error is not None else ["the recorder reports no error"]
    if recorder.finish_reason is FinishReason.COMPLETED:
        said.append(f"the recorder says {recorder.verdict!r}")
    return said + (claims(recorder.path) if recorder.path else [])


def _wait(done: Callable[[], bool]) -> None:
    pause = threading.Event()
    while not done():
        pause.wait(0.002)


def _archive(bench: Workbench, trial: Path, target: Target, random: Random) -> list[str]:
    """Acquire or record, by chance."""
    return (_dataset if random.random() < 0.5 else _recording)(bench, trial, target, random)


def _report(bench: Workbench, trial: Path, target: Target, random: Random) -> list[str]:
    """Certify, and lose the report or the certificate as soon as both are written."""
    path = shutil.copytree(bench.dataset, trial / "dataset")
    lost = random.choice((REPORT, CERTIFICATE))
    said = []

    def write_and_lose(files: Mapping[Path, bytes], remedy: str) -> None:
        write_together(files, remedy)
        (path / lost).unlink()

    # At the moment between writing and telling, which nobody could hit from outside.
    with mock.patch.object(quality_report, "write_together", write_and_lose), contextlib.suppress(SpeckleScopeError):
        if finish_dataset(path).verified:
            said.append(f"certify says verified without {lost}")
    return said + _reports(path)


_TRIALS: dict[Target, Callable[[Workbench, Path, Target, Random], list[str]]] = {
    Target.SHARD: _archive,
    Target.JOURNAL: _archive,
    Target.FOLDER: _archive,
    Target.REPORT: _report,
}


# ---- as commands


def _acquired(bench: Workbench, trial: Path, target: Target) -> list[str]:
    """``specklescope acquire`` loses something while it runs."""
    options = ("--pairs", _COMMAND_PAIRS, "--config", bench.instrument, "--json", "out.json")
    with started(trial, specklescope("acquire", "cells", *options)) as child:
        if not child.wait_for(file("archive/*/data.zarr/*/c.*"), _TIMEOUT_S):
            return [f"no shard came: {child.errors[-200:]}"]
        [path] = (trial / "archive").iterdir()
        delete(path, target, Random(0))
        try:
            end = child.ended(5 * _TIMEOUT_S)
        except SpeckleScopeError as error:
            return [str(error)]
    said = [] if end.code else ["acquire ends with exit code 0"]
    said += [f"stdout says {word}" for word in ("complete", "verified") if word in end.output]
    return said + claims(path)


def _certified(bench: Workbench, trial: Path, target: Target) -> list[str]:
    """``specklescope certify`` of a dataset that has lost a shard, with the report of an earlier verification."""
    path = shutil.copytree(bench.dataset, trial / "dataset")
    finish_dataset(path)
    delete(path, Target.SHARD, Random(0))
    end = run(trial, specklescope("certify", "dataset"))
    said = [] if end.code else ["certify ends with exit code 0"]
    return said + _reports(path)
