"""How much memory this computer has left."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
#: The limit of a container or a service on Linux, and what it uses.
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


class _WindowsMemory(ctypes.Structure):
    """``MEMORYSTATUSEX``."""

    _fields_ = [
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("free", ctypes.c_uint64),
        ("more", ctypes.c_uint64 * 5),
    ]


def free_memory_bytes() -> int:
    """Return how many bytes programs can still use without swapping; where the system does not say, half of its memory."""
    if sys.platform == "win32":
        memory = _WindowsMemory(length=ctypes.sizeof(_WindowsMemory))
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(memory))
        return int(memory.free)
    try:
        free = available_bytes(_MEMINFO.read_text("ascii"))
    except (OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    try:
        return max(0, min(free, int(_LIMIT.read_text("ascii")) - int(_USED.read_text("ascii"))))
    except (OSError, ValueError):  # no such limit
        return free


def available_bytes(meminfo: str) -> int:
    """Return what Linux calls available; raises ValueError where its text does not say."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo, re.MULTILINE)
    if match is None:
        raise ValueError("no MemAvailable")
    return int(match[1]) * 1024
