"""Batches on a CPU: one thread for each frame, which is faster than all threads on one frame after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

_lock = threading.Lock()
_pools: dict[int, ThreadPoolExecutor] = {}


def parallel_map(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return ``[work(item) for item in items]``, computed without gradients by as many threads as torch uses.

    With one thread or one item, or when gradients are enabled, the caller's thread computes the list.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(items) == 1 or torch.is_grad_enabled():
        return [work(item) for item in items]

    def without_gradients(item: T) -> R:
        with torch.no_grad():
            return work(item)

    return list(_pool(threads).map(without_gradients, items))


def one_core_threads(count: int, name: str) -> ThreadPoolExecutor:
    """Return ``count`` threads, in each of which torch uses one core; in the caller's thread it uses as many as before.

    Parameters
    ----------
    count : int
        Number of threads, all of which are started.
    name : str
        How their names begin.
    """
    threads, pool = torch.get_num_threads(), ThreadPoolExecutor(count, name)
    # torch keeps the number of threads for each thread separately. At its first use in a thread, torch replaces the number
    # by the one that was set last in any thread, so the number is asked for before it is set.
    started = threading.Barrier(count)

    def begin(_: int) -> None:
        torch.get_num_threads()
        torch.set_num_threads(1)
        started.wait()

    list(pool.map(begin, range(count)))
    torch.set_num_threads(threads)
    return pool


def _pool(threads: int) -> ThreadPoolExecutor:
    with _lock:
        if threads not in _pools:
            _pools[threads] = one_core_threads(threads, "frames")
        return _pools[threads]
