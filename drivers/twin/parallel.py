"""Batches on a processor: one frame a thread, each thread on its own, which wastes less than all threads on one frame."""

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
    """Return ``[work(item) for item in items]``, computed by as many threads as torch may use, without gradients.

    With a single thread or item, or where gradients are wanted, it is that list comprehension.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(items) == 1 or torch.is_grad_enabled():
        return [work(item) for item in items]

    def alone(item: T) -> R:
        with torch.no_grad():
            return work(item)

    return list(_pool(threads).map(alone, items))


def _pool(threads: int) -> ThreadPoolExecutor:
    with _lock:
        if threads not in _pools:
            _pools[threads] = ThreadPoolExecutor(threads, "frames")
            # torch keeps its number of threads per thread, and starts new ones with the last number that anybody set.
            started = threading.Barrier(threads)

            def begin(_: int) -> None:
                torch.set_num_threads(1)
                started.wait()

            list(_pools[threads].map(begin, range(threads)))
            torch.set_num_threads(threads)
        return _pools[threads]
