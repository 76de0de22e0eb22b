"""Keeps freed memory in the process, for fields and frames of a few megabytes that are allocated and freed thousands of times.

By default the C library returns large blocks to the system as soon as they are freed, and the system clears every page again
at the next allocation.
"""

from __future__ import annotations

import ctypes
import sys

#: Parameters of ``mallopt`` in glibc (malloc.h) and their values. Blocks up to ``_BLOCK_BYTES``, the largest value that glibc
#: accepts, come from the heap, and up to ``_FREE_BYTES`` may stay free at the end of the heap.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_FREE_BYTES, _BLOCK_BYTES = 512 << 20, 32 << 20


def keep_freed_memory() -> bool:
    """Keep freed memory in this process; return whether the C library supports it."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        mallopt(parameter, value) for parameter, value in ((_TRIM_THRESHOLD, _FREE_BYTES), (_MMAP_THRESHOLD, _BLOCK_BYTES))
    )
