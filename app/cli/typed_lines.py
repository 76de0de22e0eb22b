"""Lines that are typed on the terminal while a command works."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from typing import TextIO

_MOST_BYTES = 4096


class TypedLines:
    """Reads what has been typed, without ever waiting.

    It reads a terminal alone, and only while the command is in its foreground: a command in the background would be stopped
    by the shell. On Windows, where one cannot ask whether a line is there, it reads nothing.

    Parameters
    ----------
    file : TextIO, optional
        The terminal; by default the standard input.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._rest = b""
        try:
            self._number = (file or sys.stdin).fileno()
            self.open = sys.platform != "win32" and os.isatty(self._number)
        except (OSError, ValueError, AttributeError):  # closed, or replaced by a program
            self._number = -1
            self.open = False

    def pop(self) -> Sequence[str]:
        """Return the lines that were typed since the last call, without their ends."""
        if not self.open or not _in_foreground(self._number):
            return ()
        try:
            readable, _, _ = select.select([self._number], [], [], 0)
            data = os.read(self._number, _MOST_BYTES) if readable else None
        except OSError:  # the terminal has gone
            data = b""
        if data is None:
            return ()
        if not data:
            self.open = False  # the end was typed
            return ()
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace").strip() for line in lines]


def _in_foreground(number: int) -> bool:
    try:
        return os.tcgetpgrp(number) == os.getpgrp()
    except OSError:  # it does not control this process, and cannot stop it
        return True
