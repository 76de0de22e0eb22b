"""SIGINT and SIGTERM at every moment of every command: how it ends, what it says, and what it leaves."""

from __future__ import annotations

import re
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import product
from pathlib import Path

import cv2
import h5py
import numpy as np
import safetensors
import tifffile

from acquisition.archive.atomic_files import write_image, write_whole
from acquisition.archive.folder import LOCK
from acquisition.archive.kinds import ArchiveKind, FinishReason
from acquisition.archive.reader import JOURNAL, Archive
from acquisition.exchange.containers.matlab_file import read_matlab5
from acquisition.exchange.export import ExportFormat, export
from acquisition.patterns.sources import open_source
from app.benchmarks.reliability import children
from app.benchmarks.reliability.budget import Budget, Numbers
from app.benchmarks.reliability.children import Child, ChildEnd, Limits, after, started
from app.benchmarks.reliability.workbench import NETWORK, build_workbench
from app.progress import Report
from drivers.base import SpeckleScopeError
from drivers.recorded.video_file import VideoFile
from drivers.safe_text import parse_json, read_yaml
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig
from reconstruction.data.pairs import TwinExposure

SIGNALS = (signal.SIGINT, signal.SIGTERM)
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
#: Moments of each command, from its start to its end.
MOMENTS = 5
#: The longest time from a signal to the end of the command, in seconds.
SLOWEST_S = 20.0
#: How long a command is waited for; then it hangs.
_HANGS_S = 90.0
#: The longest time of a command that is not interrupted, on a busy machine.
_LONGEST_S = 600.0
#: Python's own start, in which nothing hears signals, may take so many seconds, and so many times longer than undisturbed.
_STARTS_S, _SLOWER = 0.2, 4.0
#: Lines that are no messages: the progress, and what the live view reports.
_PROGRESS = re.compile(r": \d+ of \d+|^(info|warning): ")
_INTERRUPTED = re.compile(r"^specklescope(-gui)?: interrupted")
#: What stderr never holds.
_CRASHES = ("Traceback", "Exception ignored", "terminate called", "Fatal Python error", "QThread: Destroyed")
_ENDS_OF_TEMPORARY_FILES = (".part", ".old", ".lock")
#: Folders and files of a child's folder that are not the command's result.
_NO_RESULT = (children.TEMPORARY, children.CACHE, children.LOGS)
_PAIRS = 40
_REFERENCE_PX, _PHASE_RANGE_RAD = 128, 2.0
_GUI = "from specklescope.__main__ import gui; raise SystemExit(gui())"


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command that is interrupted.

    Parameters
    ----------
    name : str
        Its name in the findings.
    program : tuple of str
        The command line; the last option is the file for its numbers.
    inputs : mapping of str to Path
        What is copied into its working folder first, by the name there.
    ends_after_s : float, optional
        For a command that never ends by itself: the time in which it is interrupted.
    environment : mapping of str to str
        Further variables of the environment.
    """

    name: str
    program: tuple[str, ...]
    inputs: Mapping[str, Path] = field(default_factory=dict)
    ends_after_s: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Send(Enum):
    """How a signal is sent."""

    #: Once, to the command.
    ONCE = auto()
    #: Once, to the command and its children, as a terminal does.
    GROUP = auto()
    #: SIGINT twice in a row.
    TWICE = auto()
    #: SIGINT, and again after three seconds.
    TWICE_SLOWLY = auto()
    #: SIGINT, and SIGTERM while the command closes.
    THEN_SIGTERM = auto()
    #: SIGINT, which the parent process wants ignored; then SIGTERM.
    IGNORED = auto()


#: Time between both signals, in seconds.
_BETWEEN_S = {Send.TWICE: 0.05, Send.TWICE_SLOWLY: 3.2, Send.THEN_SIGTERM: 0.2, Send.IGNORED: 0.5}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One signal to one command.

    Parameters
    ----------
    command : Command
        The command.
    number : Signals
        The first signal.
    fraction : float
        When it comes, as a fraction of the time that the command takes from when it hears signals; from its start if it is
        less than the first moment.
    send : Send
        How it is sent.
    """

    command: Command
    number: signal.Signals
    fraction: float
    send: Send = Send.ONCE

    @property
    def code(self) -> int:
        """The exit code of an interrupted command."""
        return EXIT_CODES[signal.SIGTERM if self.send is Send.IGNORED else self.number]

    @property
    def codes(self) -> set[int]:
        """The exit codes that are right: of two different signals, either may be the one that ended the command."""
        return {self.code, EXIT_CODES[signal.SIGTERM]} if self.send is Send.THEN_SIGTERM else {self.code}

    def __str__(self) -> str:
        """Name the case, so that it can be repeated."""
        how = "" if self.send is Send.ONCE else f" {self.send.name.lower()}"
        return f"{self.command.name} {self.number.name}{how} at {self.fraction:.3f}"


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """A command that was not interrupted.

    Parameters
    ----------
    seconds : float
        How long it took.
    hears_after_s : float
        How long after its start it handled signals; 0 if never.
    files : frozenset of str
        The files that it wrote, without numbers in their names.
    pairs : int
        Pairs in its datasets.
    """

    seconds: float
    hears_after_s: float
    files: frozenset[str]
    pairs: int


@dataclass
class Tally:
    """What was counted."""

    signals: int = 0
    bad_ends: int = 0
    before_start: int = 0
    after_end: int = 0
    slowest_s: float = 0.0
    findings: list[str] = field(default_factory=list)

    def numbers(self) -> Numbers:
        """Return the numbers of this part."""
        return {
            "signals": self.signals,
            "bad_ends": self.bad_ends,
            "signals_before_start": self.before_start,
            "signals_after_end": self.after_end,
            "signals_slowest_end_s": round(self.slowest_s, 2),
            "signals_findings": self.findings,
        }


def _reads_safetensors(path: Path) -> bool:
    with safetensors.safe_open(path, "np") as tensors:
        return all(tensors.get_tensor(name) is not None for name in tensors.keys())  # noqa: SIM118 - it is no mapping


def _reads_hdf5(path: Path) -> bool:
    with h5py.File(path) as file:
        return all(file[name][()] is not None for name in file)


#: How a file of this suffix is read; whatever it raises or returns for half a file.
_READERS: Mapping[str, Callable[[Path], object]] = {
    ".json": lambda path: parse_json(path.read_text("utf-8")) is not None,
    ".yaml": lambda path: read_yaml(path) is not None,
    ".png": lambda path: cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED) is not None,
    ".npy": lambda path: np.load(path, allow_pickle=False) is not None,
    ".npz": lambda path: zipfile.ZipFile(path).testzip() is None,
    ".tiff": lambda path: tifffile.imread(path).size,
    ".h5": _reads_hdf5,
    ".mat": lambda path: read_matlab5(path) is not None,
    ".mkv": lambda path: VideoFile(path, 0.01).load(0).pixels.size,
    ".mp4": lambda path: VideoFile(path, 0.01).load(0).pixels.size,
    ".html": lambda path: path.read_text("utf-8").rstrip().endswith("</html>"),
    ".svg": lambda path: path.read_text("utf-8").rstrip().endswith("</svg>"),
    ".safetensors": _reads_safetensors,
}


def measure(budget: Budget, report: Report) -> Numbers:
    """Interrupt every command at five moments with two signals, and some in the ways of an impatient operator.

    Parameters
    ----------
    budget : Budget
        How much is done. A quick run interrupts some commands.
    report : Report
        Shows the progress.
    """
    with tempfile.TemporaryDirectory(prefix="specklescope-signals-") as folder:
        root = Path(folder)
        return interrupt(all_cases(commands(root / "bench"), budget.seed), root / "runs", budget, report).numbers()


def interrupt(cases: Sequence[Case], folder: Path, budget: Budget, report: Report) -> Tally:
    """Run the cases, each in a new folder inside ``folder``, and judge how they ended."""
    tally = Tally()
    undisturbed: dict[str, Undisturbed] = {}
    for number in budget.rounds(len(cases)):
        case = cases[number]
        name = case.command.name
        if name not in undisturbed:
            undisturbed[name] = _undisturbed(case.command, folder / name)
        report("signals", number, len(cases), str(case))
        own = folder / f"{number}"
        faults = _run(case, own, undisturbed[name], tally)
        tally.signals += 1
        if faults:
            tally.bad_ends += 1
            tally.findings.append(f"{case}: {'; '.join(faults)}")
            report("signals", number, len(cases), tally.findings[-1])
        shutil.rmtree(own)
    report("signals", len(cases), len(cases), f"{tally.bad_ends} bad ends")
    return tally


def all_cases(listed: Sequence[Command], seed: int) -> list[Case]:
    """Return every command at each moment with each signal; then the ways of an impatient operator and of a terminal."""
    rng = np.random.default_rng(seed)
    cases = [
        Case(command=command, number=number, fraction=(moment + rng.uniform()) / MOMENTS)
        for moment, number, command in product(_from_the_middle(), SIGNALS, listed)
    ]
    cases += [
        Case(command=command, number=signal.SIGINT, fraction=rng.uniform(0.3, 0.9), send=send)
        for command, send in product(listed, Send)
        if send is not Send.ONCE and command.name in _IMPATIENT
    ]
    return cases


#: Commands that are also interrupted twice, as a group, or with SIGINT ignored: they write, or have children.
_IMPATIENT = ("acquire", "record", "train", "export", "import", "calibrate", "demo", "gui")


def _from_the_middle() -> Iterator[int]:
    """Yield the moments, the middle first: a quick run comes no further."""
    yield from sorted(range(MOMENTS), key=lambda moment: abs(moment - MOMENTS // 2))


def commands(folder: Path) -> list[Command]:
    """Return every command, with what it needs in ``folder``; the quick ones come first."""
    bench = build_workbench(folder, pairs=_PAIRS)
    target = folder / "target.png"
    write_image(target, np.full((64, 64), 200, np.uint8), "choose another folder for temporary files")
    [layout] = export(Archive.open(bench.dataset), folder / "layouts", [ExportFormat.SPECDIFFUSION])
    references = _write_references(folder / "references")
    config = ("--config", bench.instrument)
    formats = [one.value for one in ExportFormat]
    training = ("--source", "cells", "--pairs", 40, "--steps", 40, "--batch", 4, "--validate-every", 10)
    named: list[tuple[str, tuple[object, ...]]] = [
        ("hologram", (target, "hologram.npy", "--iterations", 60, *config)),
        ("export", (bench.dataset, "--out", "out", "--format", *formats)),
        ("import", (layout, "--archive", "imported")),
        ("acquire", ("cells", "--pairs", 200, *config)),
        ("certify", ("dataset",)),
        ("twin-statistics", ("twin", "--images", "cells", "--count", 60, *config)),
        ("trust", (bench.instrument, "--yes")),
        ("calibrate", ("lut", "lut", "--levels", 16, *config)),
        ("reconstruct", (references / "input" / "0.png", "--references", references, "--out", "phase.npy")),
        ("live", ("--seconds", 2, *config)),
        ("record", ("recorded", "--seconds", 2, *config)),
        ("train", ("trained", *NETWORK, *training, *config)),
        ("evaluate", ("--pairs", 40, *config)),
        ("compile", (bench.model, "--engine", "onnxruntime", *config)),
        ("doctor", config),
        ("bench", ("twin", *config)),
        ("demo", ("--headless", "--pairs", 10, *config)),
    ]
    inputs = {"certify": {"dataset": bench.dataset}}
    listed = [
        Command(name=name, program=tuple(children.specklescope(name, *arguments)), inputs=inputs.get(name, {}))
        for name, arguments in named
    ]
    window = (sys.executable, "-P", "-c", _GUI, "--config", str(bench.instrument))
    return [*listed, Command(name="gui", program=window, ends_after_s=6.0, environment={"QT_QPA_PLATFORM": "offscreen"})]


def _write_references(folder: Path) -> Path:
    """Write pairs in the published layout that a frame can be reconstructed from; return ``folder``."""
    source = open_source("leaves", (_REFERENCE_PX, _REFERENCE_PX), count=5, seed=95, phase_range_rad=_PHASE_RANGE_RAD)
    phases_rad = np.stack([source[index].phase_rad for index in range(len(source))])
    optics = FibreOptics(OpticsConfig(image_px=_REFERENCE_PX, field_radius_um=41.0, seed=95))
    frames = TwinExposure(optics, SensorConfig(), 0.01, 95)(phases_rad)
    remedy = "choose another folder for temporary files"
    for index, (frame, phase_rad) in enumerate(zip(frames, phases_rad, strict=True)):
        write_image(folder / "input" / f"{index}.png", frame, remedy)
        write_image(folder / "label" / f"{index}.png", np.rint(phase_rad / _PHASE_RANGE_RAD * 255).astype(np.uint8), remedy)
    write_whole(folder / "metadata.yaml", f"phase_range_rad: {_PHASE_RANGE_RAD}\n", remedy)
    return folder


def _start(command: Command, folder: Path, *, ignore_sigint: bool = False) -> AbstractContextManager[Child]:
    folder.mkdir(parents=True)
    for name, source in command.inputs.items():
        shutil.copytree(source, folder / name)
    environment = {"HOME": str(folder / children.LOGS), **command.environment}
    return started(folder, command.program, Limits(ignore_sigint=ignore_sigint, environment=environment))


def _undisturbed(command: Command, folder: Path) -> Undisturbed:
    """Run a command to its end; raise SpeckleScopeError if it fails."""
    with _start(command, folder) as child:
        _until_it_is_the_command(child)
        start_s = child.age_s
        hears_after_s = child.age_s - start_s if child.wait_for(_hears) else 0.0
        if command.ends_after_s is not None:
            return Undisturbed(seconds=command.ends_after_s, hears_after_s=hears_after_s, files=frozenset(), pairs=0)
        end = child.ended(_LONGEST_S)
    if end.code or end.temporary or end.survivors:
        raise SpeckleScopeError(
            f"'{command.name}' of the benchmark failed with exit code {end.code}, left {end.temporary} and {end.survivors}: "
            f"{end.errors[-500:]}; mend it first"
        )
    pairs = sum(len(archive) for archive in _archives(folder) if archive.kind is ArchiveKind.DATASET)
    return Undisturbed(seconds=end.seconds - start_s, hears_after_s=hears_after_s, files=_files(folder), pairs=pairs)


def _until_it_is_the_command(child: Child) -> None:
    """Wait until the process that sets the limits has become the command."""
    cmdline, starter = Path(f"/proc/{child.pid}/cmdline"), children.__name__.encode()

    def is_the_command(_: Child) -> bool:
        try:
            return starter not in cmdline.read_bytes()
        except OSError:
            return True

    child.wait_for(is_the_command)


def _hears(child: Child) -> bool:
    """Whether the command handles SIGTERM already; Python itself never does."""
    try:
        status = Path(f"/proc/{child.pid}/status").read_text()
    except OSError:
        return False
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def _run(case: Case, folder: Path, undisturbed: Undisturbed, tally: Tally) -> list[str]:
    """Run one case; count it, and return what was wrong with its end."""
    with _start(case.command, folder, ignore_sigint=case.send is Send.IGNORED) as child:
        before = _files(folder)
        _until_it_is_the_command(child)
        start_s = child.age_s
        _wait_for_the_moment(child, case, undisturbed)
        is_python_starting = child.runs() and not _hears(child)
        sent_s = child.age_s
        child.send(case.number, group=case.send is Send.GROUP)
        faults = _send_again(case, child)
        try:
            end = child.ended(_HANGS_S)
        except SpeckleScopeError as error:
            return [str(error)]
    tally.slowest_s = max(tally.slowest_s, end.seconds - sent_s)
    if end.seconds - sent_s > SLOWEST_S:
        faults.append(f"it ended {end.seconds - sent_s:.1f} s after the signal")
    faults += _left(folder, end)
    if is_python_starting and end.code not in {0, *case.codes}:
        tally.before_start += 1
        faults += [] if _files(folder) == before else ["it wrote files before it heard signals"]
        if sent_s - start_s > _STARTS_S + _SLOWER * undisturbed.hears_after_s:
            faults.append(f"it heard no signal {sent_s - start_s:.1f} s after its start")
    elif end.code == 0 and case.command.ends_after_s is None:
        tally.after_end += 1
        missing = undisturbed.files - _files(folder)
        faults += [f"exit code 0 without {name}" for name in sorted(missing)]
    else:
        faults += _wrong_message(case, end)
    return faults + _wrong_files(folder, end.errors, undisturbed.pairs)


def _wait_for_the_moment(child: Child, case: Case, undisturbed: Undisturbed) -> None:
    """Wait from the start of Python for the first of the moments, and for the others from when the command hears signals."""
    work_s = undisturbed.seconds
    if case.fraction >= 1 / MOMENTS and undisturbed.hears_after_s and child.wait_for(_hears):
        work_s -= undisturbed.hears_after_s
    child.wait_for(after(child.age_s + case.fraction * work_s))
    child.wait_for(children.begun)


def _send_again(case: Case, child: Child) -> list[str]:
    """Send the second signal, if there is one; return what was wrong meanwhile."""
    if case.send not in _BETWEEN_S:
        return []
    ended = not child.wait_for(after(child.age_s + _BETWEEN_S[case.send]))
    if case.send is Send.IGNORED and ended and "interrupted" in child.errors:
        return ["an ignored SIGINT ended it"]
    second = signal.SIGINT if case.send in (Send.TWICE, Send.TWICE_SLOWLY) else signal.SIGTERM
    child.send(second)
    return []


def _left(folder: Path, end: ChildEnd) -> list[str]:
    """Return what should not be there: processes, and temporary files."""
    faults = [f"a child is alive: {line}" for line in end.survivors] + [f"left in TMPDIR: {name}" for name in end.temporary]
    every = (path for path in folder.rglob("*") if path.relative_to(folder).parts[0] != children.LOGS)
    hidden = [path for path in every if path.name.startswith(".") or path.suffix in _ENDS_OF_TEMPORARY_FILES]
    return faults + [f"left: {path.relative_to(folder)}" for path in hidden if path.name != LOCK]


def _wrong_message(case: Case, end: ChildEnd) -> list[str]:
    """Return what is wrong with the exit code, and with what the command has said."""
    lines = [line for line in end.errors.splitlines() if line.strip() and not _PROGRESS.search(line)]
    faults = [] if end.code in case.codes else [f"exit code {end.code} instead of {case.code}"]
    faults += [f"stderr has '{crash}'" for crash in _CRASHES if crash in end.errors]
    if len(lines) != 1 or not _INTERRUPTED.search(lines[0]):
        faults.append(f"stderr is not one line 'interrupted' but {end.errors[-400:]!r}")
    return faults


def _wrong_files(folder: Path, errors: str, pairs: int) -> list[str]:
    """Return which files are not whole, and which numbers in the message are not those on the disk."""
    faults = []
    for path in _results(folder):
        if path.suffix in _READERS and (fault := unreadable(path)):
            faults.append(f"half-written: {path.relative_to(folder)}{fault}")
    try:
        archives = list(_archives(folder))
    except SpeckleScopeError as error:
        return [*faults, f"half-written: {error}"]
    for archive in archives:
        if not archive.verify().ok:
            faults.append(f"damaged: {archive.path.relative_to(folder)}")
        complete = archive.kind is ArchiveKind.DATASET and archive.finish_reason is FinishReason.COMPLETED
        if complete and len(archive) < pairs:
            faults.append(f"{archive.path.name} is called complete with {len(archive)} of {pairs} pairs")
    if (stated := re.search(r"interrupted; (\d+)( of \d+ pairs| frames) are on disk", errors)) is not None:
        on_disk = sum(map(len, archives))
        faults += [] if on_disk == int(stated[1]) else [f"it says {stated[0]}, but {on_disk} are"]
    return faults


def unreadable(path: Path) -> str:
    """Return why a file cannot be read, as the end of a message; empty if it can."""
    try:
        return "" if _READERS[path.suffix](path) else ", it is incomplete"
    except Exception as error:  # whatever a library raises for half a file
        return f", {type(error).__name__}: {error}"


def _results(folder: Path) -> Iterator[Path]:
    """Yield the files that the command has written, and its inputs."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        is_output = len(inside.parts) == 1 and inside.stem in ("stdout", "stderr")
        if path.is_file() and inside.parts[0] not in _NO_RESULT and not is_output:
            yield path


def _files(folder: Path) -> frozenset[str]:
    """Return the names of the result's files, without what differs from run to run: numbers, dates and hashes."""
    return frozenset(re.sub(r"[\da-f]{6,}|\d+", "#", path.relative_to(folder).as_posix()) for path in _results(folder))


def _archives(folder: Path) -> Iterator[Archive]:
    for journal in sorted(folder.rglob(JOURNAL)):
        if journal.relative_to(folder).parts[0] not in _NO_RESULT:
            yield Archive.open(journal.parent)
