"""Worker processes that are used again, watched from outside: one that hangs is killed, one that dies is replaced."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Self

from app.benchmarks.reliability.fuzz.judge import Outcome, Result

#: How long one input may take, in seconds.
WATCHDOG_S = 20.0
#: How long a process may take to start and to load its libraries, in seconds.
_START_S = 120.0
#: How long a process that has closed its stdout may take to end, in seconds.
_DYING_S = 5.0
_TRACEBACK = b"Traceback (most recent call last)"


class Worker:
    """One worker process.

    Parameters
    ----------
    samples, scratch : Path
        Folder of the samples, and a folder for temporary files.
    watchdog_s : float
        How long one input may take, in seconds.

    Attributes
    ----------
    command : list of str
        How the process is started.
    first_s : float
        How long the first input of each reader may take, which also loads its libraries, in seconds.
    """

    def __init__(self, samples: Path, scratch: Path, watchdog_s: float = WATCHDOG_S) -> None:
        self.command = [sys.executable, "-P", "-m", str(__package__), str(samples)]
        self.first_s = _START_S
        self._scratch = scratch
        self._watchdog_s = watchdog_s
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = scratch / "stderr"
        self._seen = 0
        self._warm: set[str] = set()

    def read(self, reader: str, seed: int) -> Result:
        """Let the process read one input."""
        if self._process is None:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        allowed_s = self._watchdog_s if reader in self._warm else self.first_s
        start_s = time.monotonic()
        answer = b""
        try:
            process.stdin.write(json.dumps({"reader": reader, "seed": seed}).encode() + b"\n")
            process.stdin.flush()
            if select.select([process.stdout], [], [], allowed_s)[0]:
                answer = process.stdout.readline()
        except BrokenPipeError:
            pass
        seconds = time.monotonic() - start_s
        self._warm.add(reader)
        printed = self._printed()
        if not answer:
            hangs = seconds >= allowed_s
            code = self._stop(dying=not hangs)
            printed += self._printed()
            text = f"no answer within {allowed_s:g} s" if hangs else f"the process died with {code}: {_tail(printed)}"
            outcome = Outcome.HANG if hangs else Outcome.TRACEBACK
            return Result(reader=reader, seed=seed, outcome=outcome, text=text, seconds=seconds)
        fields = json.loads(answer)
        result = Result(
            reader=reader, seed=seed, outcome=Outcome(fields["outcome"]), text=fields["text"], seconds=fields["seconds"]
        )
        if _TRACEBACK in printed and not result.outcome.is_fault:
            return Result(reader=reader, seed=seed, outcome=Outcome.TRACEBACK, text=_tail(printed), seconds=seconds)
        return result

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        self._scratch.mkdir(parents=True, exist_ok=True)
        temporary = self._scratch / "temporary"
        temporary.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "TMPDIR": str(temporary),
            "SPECKLESCOPE_CACHE": str(self._scratch / "cache"),
            "SPECKLESCOPE_LOG_FOLDER": str(self._scratch / "logs"),
            "OMP_NUM_THREADS": "1",
        }
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                cwd=temporary,
            )
        self._seen = 0

    def _stop(self, *, dying: bool = False) -> int:
        """Kill the process, or wait for the end of one that has closed its stdout, and return its exit code."""
        process, self._process = self._process, None
        assert process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_DYING_S if dying else 0)
        process.kill()
        code = process.wait()
        for stream in (process.stdin, process.stdout):
            _close(stream)
        self._warm.clear()
        return code

    def _printed(self) -> bytes:
        """Return what the process has written to stderr since the last call."""
        with self._errors.open("rb") as file:
            file.seek(self._seen)
            printed = file.read()
        self._seen += len(printed)
        return printed


def _close(stream: IO[bytes] | None) -> None:
    try:
        if stream is not None:
            stream.close()
    except BrokenPipeError:
        pass


def _tail(printed: bytes) -> str:
    return " | ".join(printed.decode("utf-8", "replace").strip().splitlines()[-4:])[-500:]
