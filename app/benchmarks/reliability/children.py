"""Commands of ours as child processes: each is started, killed or signalled at a moment, and judged by what it leaves.

::

    with started(folder, specklescope("acquire", "cells")) as child:
        child.wait_for(file("archive/*/journal.sqlite"))
        child.send(signal.SIGKILL)
        end = child.ended()

A child runs in a folder of its own, as the leader of a process group. Its output goes to files, so that no full pipe stops it.
Its temporary files, its cache and its log go to folders beside them.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from drivers.base import SpeckleScopeError

#: A variable of the environment that every process inherits; its value names the child.
_MARK = "SPECKLESCOPE_BENCH_CHILD"
_PROC = Path("/proc")
#: How often a moment is looked for, in seconds.
_POLL_S = 0.002
#: How long processes that a child has started may live on after its end, in seconds: one that is just importing ends only then.
_GRACE_S = 15.0
#: Folders inside the child's folder.
TEMPORARY, CACHE, LOGS = "temporary", "cache", "logs"

Moment = Callable[["Child"], bool]


def specklescope(*arguments: object) -> list[str]:
    """Return the command line of a command of the program."""
    return [sys.executable, "-P", "-m", "specklescope", *map(str, arguments)]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a child may do.

    Parameters
    ----------
    file_bytes : int, optional
        Size beyond which no file can grow, as on a full disk.
    ignore_sigint : bool
        Whether SIGINT is ignored, as ``nohup`` and background jobs want it. Otherwise the child hears it, even if this
        process ignores it.
    environment : mapping of str to str
        Further variables of the environment.
    """

    file_bytes: int | None = None
    ignore_sigint: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ChildEnd:
    """How a child ended.

    Parameters
    ----------
    code : int
        Its exit code; minus the number of the signal that ended it.
    output, errors : str
        What it wrote to stdout and stderr.
    survivors : tuple of str
        Command lines of processes that it started and that were still alive some seconds later; they have been killed now.
    temporary : tuple of str
        Names of what it left in its temporary folder.
    seconds : float
        How long it ran.
    """

    code: int
    output: str
    errors: str
    survivors: tuple[str, ...]
    temporary: tuple[str, ...]
    seconds: float

    @property
    def message(self) -> str:
        """The last line of stderr, which says why a command failed."""
        return (self.errors.strip().splitlines() or [""])[-1]


class Child:
    """A child that runs; made by :func:`started`.

    Attributes
    ----------
    folder : Path
        Its working folder.
    pid : int
        Its number; also that of its process group.
    """

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], mark: str) -> None:
        self.folder = folder
        self.pid = process.pid
        self._process = process
        self._mark = mark
        self._started_s = time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._started_s

    @property
    def output(self) -> str:
        """What it has written to stdout so far."""
        return self._written("stdout")

    @property
    def errors(self) -> str:
        """What it has written to stderr so far."""
        return self._written("stderr")

    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait_for(self, moment: Moment, timeout_s: float = 60.0) -> bool:
        """Wait until a moment; return False if the child ended before, or if the time is up."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if moment(self):
                return True
            if not self.runs():
                return moment(self)
            time.sleep(_POLL_S)
        return False

    def send(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the child, or to its whole group as the terminal does; nothing happens if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            if group:
                os.killpg(self.pid, number)
            else:
                self._process.send_signal(number)

    def ended(self, timeout_s: float = 120.0) -> ChildEnd:
        """Wait for the end and return it.

        Raises
        ------
        SpeckleScopeError
            It did not end in this time; it is killed then.
        """
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            self.kill_all()
            raise SpeckleScopeError(
                f"a child process did not end within {timeout_s:g} s: {self._process.args!r}; stderr: {self.errors[-300:]!r}"
            ) from error
        seconds = self.age_s
        survivors = self._survivors()
        self.kill_all()
        return ChildEnd(
            code=code,
            output=self.output,
            errors=self.errors,
            survivors=survivors,
            temporary=tuple(sorted(path.name for path in (self.folder / TEMPORARY).iterdir())),
            seconds=seconds,
        )

    def kill_all(self) -> None:
        """Kill the child and everything that it has started."""
        self.send(signal.SIGKILL)
        self._process.wait()
        for pid in self._descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _written(self, stream: str) -> str:
        return (self.folder / f"{stream}.{self._mark}").read_text("utf-8", "replace")

    def _survivors(self) -> tuple[str, ...]:
        """Give the descendants a little time to end, then return the command lines of those that did not."""
        deadline_s = time.monotonic() + _GRACE_S
        while (pids := self._descendants()) and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        return tuple(_command_line(pid) for pid in pids)

    def _descendants(self) -> list[int]:
        """Return the processes that have inherited the mark; without ``/proc`` none is found."""
        wanted = f"{_MARK}={self._mark}".encode()
        marked = []
        for folder in _PROC.glob("[0-9]*"):
            with contextlib.suppress(OSError):  # ended meanwhile, or somebody else's
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    marked.append(int(folder.name))
        return marked


@contextmanager
def started(folder: Path, command: Sequence[str], limits: Limits | None = None) -> Iterator[Child]:
    """Start a command in a folder, which is made if absent; in the end it is killed with everything that it has started."""
    limits = limits or Limits()
    mark = uuid.uuid4().hex[:8]
    for place in (folder, folder / TEMPORARY, folder / CACHE, folder / LOGS):
        place.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "COLUMNS": "200",
        "TMPDIR": str(folder / TEMPORARY),
        "SPECKLESCOPE_CACHE": str(folder / CACHE),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / CACHE),
        "SPECKLESCOPE_LOG_FOLDER": str(folder / LOGS),
        _MARK: mark,
        **limits.environment,
    }
    environment.pop("DISPLAY", None)
    starter = [sys.executable, "-P", "-m", __spec__.name, json.dumps({**asdict(limits), "environment": {}}), *command]
    with (folder / f"stdout.{mark}").open("xb") as output, (folder / f"stderr.{mark}").open("xb") as errors:
        process = subprocess.Popen(
            starter,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    child = Child(folder, process, mark)
    try:
        yield child
    finally:
        child.kill_all()


def run(folder: Path, command: Sequence[str], limits: Limits | None = None, timeout_s: float = 120.0) -> ChildEnd:
    """Run a command to its own end; see :func:`started`."""
    with started(folder, command, limits) as child:
        return child.ended(timeout_s)


def after(seconds: float) -> Moment:
    """Return the moment that comes so many seconds after the start."""
    return lambda child: child.age_s >= seconds


def begun(child: Child) -> bool:
    """Whether the process has become the command: a signal that comes just before would be lost."""
    return __spec__.name not in _command_line(child.pid)


def line(text: str) -> Moment:
    """Return the moment when stdout or stderr holds a text."""
    return lambda child: text in child.errors or text in child.output


def file(pattern: str) -> Moment:
    """Return the moment when the child's folder holds a file whose relative path matches the pattern."""
    return lambda child: any(True for _ in child.folder.glob(pattern))


def _command_line(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()[:200]
    except OSError:
        return f"process {pid}"


def _start(limits: Limits, command: Sequence[str]) -> None:
    """Become the command, with the limits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN if limits.ignore_sigint else signal.SIG_DFL)
    if limits.file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails, as on a full disk, instead of ending the process
    os.execv(command[0], list(command))


if __name__ == "__main__":
    _start(Limits(**json.loads(sys.argv[1])), sys.argv[2:])
