"""Freed memory stays with the process: fields and frames of the same few megabytes come and go thousands of times.

The C library hands large blocks back to the system as soon as they are free, and the system clears every page of them anew.
"""

from __future__ import annotations

import ctypes
import sys

#: Parameters of glibc's ``mallopt`` (malloc.h), and what they are set to: blocks up to the largest size that it takes come from
#: the heap, and so much may lie free at its end.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_FREE_BYTES, _BLOCK_BYTES = 512 << 20, 32 << 20


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, for its next fields; return whether the C library can."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        mallopt(parameter, value) for parameter, value in ((_TRIM_THRESHOLD, _FREE_BYTES), (_MMAP_THRESHOLD, _BLOCK_BYTES))
    )
