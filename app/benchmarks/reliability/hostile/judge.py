"""Gives one hostile input to its reader, in a process of its own, and judges what became of it."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from acquisition.archive.atomic_files import write_inside
from app.benchmarks.reliability.hostile.attack import CANARY, Attack, Target
from app.benchmarks.reliability.memory import memory_bytes, reset_peak
from app.benchmarks.reliability.samples import Sample
from drivers.base import SpeckleScopeError

#: How much memory one input may take, in bytes.
MOST_BYTES = 2 * 2**30
#: Address space beyond that, where the system stops a reader.
_ADDRESS_SPACE_BYTES = 16 * 2**30
_POLL_S = 0.005


class Verdict(StrEnum):
    """What became of a hostile input."""

    #: A message of ours, and nothing else.
    REFUSED = "refused"
    #: It was read, which some inputs may be, and did nothing.
    INERT = "inert"
    #: It was read although it must be refused.
    READ = "read"
    #: It ran a program or wrote outside its folder.
    RAN = "ran"
    #: Its control characters reached the terminal.
    PRINTED = "printed"
    #: It needed too much time or memory.
    GREEDY = "greedy"
    #: It ended in an exception that nobody foresaw, or killed the process.
    UNFORESEEN = "unforeseen"

    @property
    def is_accepted(self) -> bool:
        """Whether the program has to be mended."""
        return self not in (Verdict.REFUSED, Verdict.INERT)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict on one input, and why."""

    name: str
    verdict: Verdict
    text: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.verdict}: {self.name}: {self.text}"

    def line(self) -> str:
        """Return it as a line of JSON."""
        return json.dumps(asdict(self))


def judge(attack: Attack, sample: Sample, folder: Path) -> Judgement:
    """Make an input hostile in a new folder, let a forked process read it, and judge the result.

    Parameters
    ----------
    attack : Attack
        The input.
    sample : Sample
        What is changed.
    folder : Path
        Absent; deleted in the end.
    """
    outside = folder / "outside"
    outside.mkdir(parents=True)
    changed = sample.copy_to(folder / "sample")
    target = Target(folder=changed.folder, path=changed.path, outside=outside)
    attack.spoil(target)
    before = _names(folder)
    read = attack.read or changed.reader
    start_s = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(lambda: read(changed.path), folder)
    ended = _wait(pid, attack.most_s)
    seconds = time.monotonic() - start_s
    verdict, text = _verdict(attack, folder, ended)
    if verdict in (Verdict.REFUSED, Verdict.INERT) and _left_outside(folder, before):
        verdict, text = Verdict.RAN, f"it left {', '.join(_left_outside(folder, before))}"
    shutil.rmtree(folder, ignore_errors=True)
    return Judgement(name=attack.name, verdict=verdict, text=text, seconds=round(seconds, 2))


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in (folder / "outside").rglob("*")}


def _left_outside(folder: Path, before: set[str]) -> list[str]:
    return sorted(_names(folder) - before)


def _verdict(attack: Attack, folder: Path, ended: int | None) -> tuple[Verdict, str]:
    if (folder / "outside" / CANARY).exists():
        return Verdict.RAN, "the canary is there"
    if ended is None:
        return Verdict.GREEDY, f"not ended within {attack.most_s:g} s"
    printed = (folder / "printed").read_bytes() if (folder / "printed").exists() else b""
    if b"\x1b" in printed or b"\x07" in printed:
        return Verdict.PRINTED, repr(printed[:200])
    if not (folder / "result").exists():
        return Verdict.UNFORESEEN, f"the process ended with {ended}: {printed[-200:]!r}"
    result = json.loads((folder / "result").read_bytes())
    if result["growth"] > MOST_BYTES:
        return Verdict.GREEDY, f"{result['growth'] / 2**30:.1f} GiB"
    verdict = Verdict(result["verdict"])
    return (Verdict.INERT if verdict is Verdict.READ and attack.inert else verdict), result["text"]


def _wait(pid: int, most_s: float) -> int | None:
    """Return how the process ended; None if it had to be killed."""
    deadline_s = time.monotonic() + most_s
    while time.monotonic() < deadline_s:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_POLL_S)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


# ---- in the forked process


def _child(read: Callable[[], object], folder: Path) -> None:
    """Read, write down the result, and end."""
    try:
        os.setpgid(0, 0)
        printed = os.open(folder / "printed", os.O_WRONLY | os.O_CREAT)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, place in enumerate((nothing, printed, printed)):
            os.dup2(place, number)
        sys.stdout, sys.stderr = io.TextIOWrapper(io.FileIO(1, "w")), io.TextIOWrapper(io.FileIO(2, "w"))
        work = folder / "work"
        work.mkdir()
        os.chdir(work)
        os.environ["XDG_CONFIG_HOME"] = str(folder / "account")
        os.environ["SPECKLESCOPE_LOG_FOLDER"] = str(folder / "logs")
        warnings.simplefilter("ignore")
        before = memory_bytes("VmRSS")
        reset_peak()
        verdict, text = _read(read)
        growth = memory_bytes("VmHWM") - before
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        result = {"verdict": verdict, "text": text, "growth": growth}
        write_inside(folder / "result", json.dumps(result).encode())
    finally:
        os._exit(0)


def _read(read: Callable[[], object]) -> tuple[Verdict, str]:
    try:
        read()
    except SystemExit as ended:
        return (Verdict.REFUSED if ended.code else Verdict.READ), f"exit code {ended.code}"
    except Exception as error:
        explained = isinstance(error, SpeckleScopeError) or (isinstance(error, OSError) and error.filename is not None)
        text = " ".join(str(error).split())[:300]
        if explained:
            return Verdict.REFUSED, text
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Verdict.UNFORESEEN, f"{type(error).__name__}: {text} ({Path(place.filename).name}:{place.lineno})"
    return Verdict.READ, "it was read"
