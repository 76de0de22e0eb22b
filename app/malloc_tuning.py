"""Keeps freed memory in the process, for fields and frames of a few megabytes that are allocated and freed thousands of times.

By default the C library returns large blocks to the system as soon as they are freed, and the system clears every page again
at the next allocation.

What is kept is bounded. By default, glibc gives the threads up to 8 pools ("arenas") for each processor core. Each pool keeps
what its threads once needed at the same time, so every new thread makes another pool grow. Here all threads share ``_POOLS``
pools, and at most ``_POOLS`` times the largest need is kept. Free memory of more than ``_FREE_BYTES`` at the end of a pool and
blocks above ``_BLOCK_BYTES`` go back at once. A session that is closed gives back everything that is free.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable

#: Parameters of ``mallopt`` in glibc (malloc.h) and their values. Blocks up to ``_BLOCK_BYTES``, the largest value that glibc
#: accepts, come from the heap, and up to ``_FREE_BYTES`` may stay free at the end of a pool.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_FREE_BYTES, _BLOCK_BYTES, _POOLS = 512 << 20, 32 << 20, 2


def keep_freed_memory() -> bool:
    """Keep freed memory in this process; return whether the C library supports it.

    Call it before threads start: pools that exist already stay.
    """
    mallopt = _glibc("mallopt")
    settings = ((_TRIM_THRESHOLD, _FREE_BYTES), (_MMAP_THRESHOLD, _BLOCK_BYTES), (_ARENA_MAX, _POOLS))
    return mallopt is not None and all(mallopt(parameter, value) for parameter, value in settings)


def collect_only_new_objects() -> None:
    """Leave all objects that exist at the first call out of every later garbage collection.

    Call it when all libraries are imported: a whole collection looks at some 350,000 of their objects, and every thread waits
    for it, up to 0.4 s.
    """
    if not gc.get_freeze_count():
        gc.freeze()


def give_back_freed_memory() -> None:
    """Give all memory that is free now back to the system; does nothing where the C library cannot."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    function: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return function
