"""The memory of this process, as the kernel counts it, for the parts that read files which may fill it."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

_STATUS, _CLEAR_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Let the kernel's largest resident memory (``VmHWM``) begin again; does nothing where that is not possible."""
    with contextlib.suppress(OSError):
        fd = os.open(_CLEAR_PEAK, os.O_WRONLY)
        try:
            os.write(fd, b"5")
        finally:
            os.close(fd)


def memory_bytes(key: str) -> int:
    """Return a number of the kernel about this process's memory, in bytes; 0 where it does not tell."""
    try:
        match = re.search(rf"^{key}:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0
