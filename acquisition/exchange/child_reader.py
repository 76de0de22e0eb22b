"""A child process that reads a file before this process does, because a damaged file can make a C library spin or abort.

The child reads everything once, with a limit on its memory, and ends itself when it makes no progress. If it survives, this
process reads the same file with the same library. It imports nothing from the working folder, serves one file after the
other, and ends with this process.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from drivers.limits import MAX_READ_STALL_S, LimitError, check_regular

#: The program of the child; it imports the module that uses this one, so it is named here.
_COMMAND = [sys.executable, "-P", "-m", f"{__package__}.hdf5_child"]
_END_S = 2.0


class ChildAnswer(StrEnum):
    """What the child says of a file: this process may read it, or reading it needs too much memory."""

    READ = "read"
    MEMORY = "memory"


class ChildReader:
    """The child; it starts with the first file, and again after a file that ended it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def check(self, path: Path) -> None:
        """Let the child read a file.

        Raises
        ------
        LimitError
            It is a pipe or a device; or the file ended the child, or needs too much memory or time.
        """
        check_regular(path)
        with self._lock:
            answer = self._ask(path.absolute())
        if answer == ChildAnswer.READ.value:
            return
        if answer == ChildAnswer.MEMORY.value:
            raise LimitError("reading it needs more memory than a file of pairs does; save it with smaller chunks")
        raise LimitError(
            f"it stops the HDF5 library, or keeps it busy for more than {MAX_READ_STALL_S:g} s without a result ({answer})"
        )

    def end(self) -> None:
        """End the child."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ask(self, path: Path) -> str:
        """Return the child's answer, or how it ended."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        answer = ""
        try:
            with suppress(BrokenPipeError):  # it has ended; the code below says how
                process.stdin.write(json.dumps(str(path)) + "\n")
                process.stdin.flush()
            answer = process.stdout.readline().strip()
        finally:
            if not answer:  # it has ended, or this process is interrupted and must not get the answer later
                process.kill()
                code = process.wait()
                self.end()
        return answer or f"exit status {code}"

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self.end()
            pipe = subprocess.PIPE
            # In a new session: Ctrl-C in the terminal must reach only this program, which then ends the child.
            self._process = subprocess.Popen(
                _COMMAND, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, start_new_session=True
            )
        return self._process


_READER = ChildReader()
atexit.register(_READER.end)


def check_in_child(path: Path) -> None:
    """Let a child process read an HDF5 file; raises LimitError unless it survives, see :meth:`ChildReader.check`."""
    _READER.check(path)
