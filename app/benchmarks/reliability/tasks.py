"""The commands that are killed, or whose disk is filled; each knows what it has acknowledged, and checks its result."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import h5py
import numpy as np
import tifffile

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.exchange.export import ExportFormat, export
from app.benchmarks.reliability.children import CACHE, LOGS, TEMPORARY, specklescope
from app.benchmarks.reliability.workbench import NETWORK, OPTICS, Workbench, build_workbench
from app.datasets.audit import audit_pairs
from app.training.compiled_engines import EngineState
from app.training.process import can_resume
from drivers.base import SpeckleScopeError
from drivers.recorded.video_file import VideoFile
from drivers.twin.optics import FibreOptics
from reconstruction.models.model import WEIGHTS, load_model
from reconstruction.training.checkpoint import CHECKPOINT, read_checkpoint, read_values
from reconstruction.training.run import CURVE, RUN

_PAIRS = 100
_STEPS = 60
_RECORD_S = 7
_MATLAB5_HEADER_BYTES = 128
#: Ends of names that only unfinished files have.
_UNFINISHED = (".part", ".old", ".__lock", ".lock")
#: Files that an interrupted program leaves on purpose.
_ON_PURPOSE = ("writer.lock",)

#: What a reader finds: the name of each item, and what identifies its content.
Items = Mapping[Hashable, Hashable]


class Harm(StrEnum):
    """What a kill or a full disk can do."""

    #: Something that a reader has seen is missing or changed.
    LOST = "lost"
    #: Something is there twice.
    DOUBLED = "doubled"
    #: A pair of a frame and another pattern, or a result that differs from that of an undisturbed run.
    WRONG = "wrong"
    #: A final name that no reader takes, a leftover that the next run trips over, or a command that cannot be repeated.
    HALF_WRITTEN = "half_written"
    #: A command that fails without an explanation for the operator.
    WITHOUT_REASON = "without_reason"


@dataclass
class Tally:
    """The harm that was found, and one text for each finding."""

    counts: Counter[Harm] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def add(self, harm: Harm, text: str, count: int = 1) -> None:
        """Count one finding; nothing if ``count`` is 0."""
        if count:
            self.counts[harm] += count
            self.findings.append(f"{harm} ({count}): {text}")

    def compare(self, task: Task, before: Items, what: str, undisturbed: Task | None = None) -> None:
        """Count what is unreadable now, and what a reader has seen before and does not find any more."""
        try:
            now, incomplete = task.items(), task.incomplete(undisturbed)
        except (SpeckleScopeError, OSError) as error:
            self.add(Harm.HALF_WRITTEN, f"{what}: {error}")
            return
        self.add(Harm.HALF_WRITTEN, f"{what}: not whole: {', '.join(incomplete)}", len(incomplete))
        lost = [key for key, content in before.items() if now.get(key) != content]
        self.add(Harm.LOST, f"{what}: {lost[:3]} of {len(before)}", len(lost))


class Task(ABC):
    """One command that is killed.

    Parameters
    ----------
    bench : Workbench
        What the command needs.
    folder : Path
        Its working folder; new.
    """

    #: Seconds that it takes on a quiet computer, for a quick run that does not measure it.
    usual_s = 2.0

    def __init__(self, bench: Workbench, folder: Path) -> None:
        self.bench = bench
        self.folder = folder

    @abstractmethod
    def arguments(self) -> list[object]:
        """Return the command; where an interrupted run can be resumed, the one that resumes it."""

    @abstractmethod
    def items(self) -> Items:
        """Return everything that is acknowledged now; raises SpeckleScopeError for a final name that is unreadable."""

    def result(self) -> Items:
        """Return what has to be the same as in an undisturbed run; by default nothing, because of random noise."""
        return {}

    def prepare(self) -> None:
        """Write what the command finds in its folder; by default only the folder itself."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def incomplete(self, undisturbed: Task | None) -> list[str]:
        """Return the final names whose content is not whole, after a kill; by default those that no reader takes suffice."""
        del undisturbed
        return []

    @abstractmethod
    def check(self, tally: Tally) -> None:
        """Count the harm that the result itself shows, after the command has been repeated."""

    def command(self) -> list[str]:
        """Return the command line."""
        return specklescope(*self.arguments())


class Acquire(Task):
    """``specklescope acquire``, resumed when it has left a dataset."""

    usual_s = 4.0

    def arguments(self) -> list[object]:
        """Return the command."""
        known = [path for path in visible(self.folder / "archive") if path.is_dir()]
        resume = ("--resume", known[0]) if known else ()
        return ["acquire", "cells", "--pairs", _PAIRS, *resume, "--config", self.bench.instrument]

    def items(self) -> Items:
        """Return the pairs."""
        return _rows(self.folder / "archive")

    def check(self, tally: Tally) -> None:
        """Count shots that are missing, that are there twice, and that belong to another pattern."""
        for archive in _archives(self.folder / "archive"):
            shots = Counter(row.extra["shot"] for row in archive.rows())
            wanted = range(_PAIRS + 1 + -(-_PAIRS // 25))
            tally.add(Harm.DOUBLED, f"shots of {archive.path}", sum(count - 1 for count in shots.values()))
            tally.add(Harm.LOST, f"shots of {archive.path}", len(set(wanted) - set(shots)))
            tally.add(Harm.WRONG, f"pairs of {archive.path} by their speckle", audit_pairs(archive, FibreOptics(OPTICS)).wrong)
            _count_damage(archive, tally)


class Record(Task):
    """``specklescope record``: a killed recording stays as it is, and the next one is another recording."""

    usual_s = 9.0

    def arguments(self) -> list[object]:
        """Return the command."""
        return ["record", "r", "--seconds", _RECORD_S, "--config", self.bench.instrument]

    def items(self) -> Items:
        """Return the frames."""
        return _rows(self.folder / "archive")

    def check(self, tally: Tally) -> None:
        """Count frames that are there twice, or damaged."""
        for archive in _archives(self.folder / "archive"):
            frames = Counter(row.frame_index for row in archive.rows())
            tally.add(Harm.DOUBLED, f"frames of {archive.path}", sum(count - 1 for count in frames.values()))
            _count_damage(archive, tally)


class Train(Task):
    """``specklescope train``, resumed when it has left a checkpoint."""

    usual_s = 8.0

    def arguments(self) -> list[object]:
        """Return the command."""
        resume = ("--resume",) if can_resume(self.folder / "m") else ()
        data = ("--source", "cells", "--pairs", 24, "--batch", 4, "--steps", _STEPS, "--validate-every", 10)
        return ["train", "m", *NETWORK, *data, *resume, "--config", self.bench.instrument]

    def items(self) -> Items:
        """Return the steps up to the checkpoint, which is acknowledged, and whether there is a model."""
        model = self.folder / "m"
        if (model / WEIGHTS).exists():
            load_model(model)
        if not can_resume(model):
            return {}
        values = read_values(model / RUN / CHECKPOINT)
        return {("step", step): True for step in range(int(values["report"]["steps"]) + 1)}

    def check(self, tally: Tally) -> None:
        """Count the steps that are in the curve twice."""
        curve = (self.folder / "m" / RUN / CURVE).read_text("utf-8")
        steps = Counter((line["step"], "validation" in line) for line in map(json.loads, curve.splitlines()))
        tally.add(Harm.DOUBLED, f"steps in the curve of {self.folder / 'm'}", sum(count - 1 for count in steps.values()))

    def result(self) -> Items:
        """Return what identifies the trained weights and all tensors of the checkpoint."""
        tensors, _ = read_checkpoint(self.folder / "m" / RUN / CHECKPOINT)
        return {
            "weights": _digest((self.folder / "m" / WEIGHTS).read_bytes()),
            **{name: _digest(tensor.numpy().tobytes()) for name, tensor in tensors.items()},
        }


class Export(Task):
    """``specklescope export``, by default in every format."""

    usual_s = 2.5
    formats: tuple[ExportFormat, ...] = tuple(ExportFormat)

    def arguments(self) -> list[object]:
        """Return the command."""
        return ["export", self.bench.dataset, "--out", "out", "--overwrite", "--format", *self.formats]

    def items(self) -> Items:
        """Return the exported files and folders with their content."""
        return {path.name: content_of(path) for path in visible(self.folder / "out")}

    def check(self, tally: Tally) -> None:
        """Count the formats of which nothing is there."""
        tally.add(Harm.LOST, f"exports in {self.folder / 'out'}", max(0, len(self.formats) - len(self.items())))

    def result(self) -> Items:
        """Return the same."""
        return self.items()

    def incomplete(self, undisturbed: Task | None) -> list[str]:
        """Return the files whose content is not that of an undisturbed export."""
        whole = undisturbed.items() if undisturbed is not None else {}
        return [str(name) for name, content in self.items().items() if whole.get(name, content) != content]


class Compile(Task):
    """``specklescope compile``, whose graphs and check frames are stored in a cache."""

    usual_s = 9.0

    def arguments(self) -> list[object]:
        """Return the command."""
        return ["compile", self.bench.model, "--engine", "onnxruntime", "--config", self.bench.instrument, "--json", "c.json"]

    def items(self) -> Items:
        """Return the files of the cache; each has the SHA-256 that its description states."""
        contents: dict[Hashable, Hashable] = {}
        for path in visible(self.folder / CACHE):
            sidecar = path.with_name(f"{path.name}.json")
            if path.suffix not in (".onnx", ".npz"):
                continue
            content = path.read_bytes()
            if not sidecar.exists() or json.loads(sidecar.read_text("utf-8"))["sha256"] != _digest(content):
                raise SpeckleScopeError(f"{path} differs from its description")
            contents[path.name] = _digest(content)
        return contents

    def check(self, tally: Tally) -> None:
        """Count the engines that are not ready."""
        rows = json.loads((self.folder / "c.json").read_text("utf-8"))["rows"]
        refused = [row["engine"] for row in rows if EngineState(row["state"]) is not EngineState.READY]
        tally.add(Harm.WRONG, f"engines refused in {self.folder}: {refused}", len(refused) + (not rows))

    def result(self) -> Items:
        """Return the names of the cached files."""
        return dict.fromkeys(self.items(), True)


class Import(Task):
    """``specklescope import`` of exported pairs."""

    usual_s = 2.5

    def __init__(self, bench: Workbench, folder: Path) -> None:
        super().__init__(bench, folder)
        self._expected = [dict(row.crc32) for row in Archive.open(bench.dataset).rows()]

    def arguments(self) -> list[object]:
        """Return the command."""
        return ["import", self.bench.instrument.parent / "pairs.npz", "--archive", "archive"]

    def items(self) -> Items:
        """Return the imported pairs."""
        return _rows(self.folder / "archive")

    def check(self, tally: Tally) -> None:
        """Count datasets that do not hold every pair once, with its bytes."""
        tally.add(Harm.WRONG, f"pairs in {self.folder}", len(self.incomplete(None)))
        for archive in _archives(self.folder / "archive"):
            _count_damage(archive, tally)

    def incomplete(self, undisturbed: Task | None) -> list[str]:
        """Return the datasets that do not hold every pair."""
        del undisturbed
        pairs_of = {archive.path: [dict(row.crc32) for row in archive.rows()] for archive in _archives(self.folder / "archive")}
        return [path.name for path, pairs in pairs_of.items() if pairs != self._expected]


def task_bench(folder: Path, pairs: int = 60) -> Workbench:
    """Return a workbench with a dataset of so many pairs, and with an export of it that can be imported."""
    bench = build_workbench(folder, pairs)
    (exported,) = export(Archive.open(bench.dataset), folder / "exported", [ExportFormat.NPZ])
    exported.rename(folder / "pairs.npz")
    return bench


def content_of(path: Path) -> str:
    """Return what identifies the decoded content of an exported file or folder, without times and ids of the export itself.

    Raises
    ------
    SpeckleScopeError
        It cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for name, content in _decoded(path):
            digest.update(f"{name} {len(content)} ".encode() + content)
    except (OSError, ValueError, RuntimeError, LookupError) as error:
        raise SpeckleScopeError(f"{path} is unreadable: {error}") from error
    return digest.hexdigest()


def _decoded(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        files = (file for file in sorted(path.rglob("*")) if file.is_file())
        yield from ((str(file.relative_to(path)), file.read_bytes()) for file in files)
    elif path.suffix == ".h5":
        with h5py.File(path) as arrays:
            for name in sorted(arrays):
                yield name, np.asarray(arrays[name][()]).tobytes()
    elif path.suffix == ".mat":  # its header tells when it was made
        yield path.name, path.read_bytes()[_MATLAB5_HEADER_BYTES:]
    elif path.suffix == ".sha256":  # of a video, which has a random identifier: it differs in every export
        yield path.name, b""
    elif path.suffix == ".mkv":
        video = VideoFile(path, 0.01)
        for number in range(len(video)):
            yield str(number), video.load(number).pixels.tobytes()
    elif path.suffix == ".tif":
        with tifffile.TiffFile(path) as pages:
            for number, page in enumerate(pages.pages):
                yield str(number), page.asarray().tobytes()
    else:
        yield path.name, path.read_bytes()


def _rows(folder: Path) -> Items:
    """Return the rows of all archives in a folder."""
    return {
        (archive.path.name, row.index): (row.frame_index, row.pattern_id, tuple(sorted(row.crc32.items())))
        for archive in _archives(folder)
        for row in archive.rows()
    }


def _archives(folder: Path) -> list[Archive]:
    kinds = tuple(f"_{kind.value}_" for kind in ArchiveKind)
    return [Archive.open(path) for path in visible(folder) if any(kind in path.name for kind in kinds)]


def _count_damage(archive: Archive, tally: Tally) -> None:
    bad = archive.verify().bad
    tally.add(Harm.WRONG, f"images of {archive.path}: {bad[:1]}", len(bad))


def visible(folder: Path) -> list[Path]:
    """Return what a user sees in a folder; a hidden name is a temporary one, which everybody ignores."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def leftovers(folder: Path) -> Iterator[Path]:
    """Yield the unfinished files that are not hidden; an archive's own lock file stays on purpose."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        if inside[0] in (TEMPORARY, LOGS) or any(part.startswith(".") for part in inside) or path.name in _ON_PURPOSE:
            continue
        if path.name.endswith(_UNFINISHED):
            yield path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
