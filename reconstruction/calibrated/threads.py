"""A loop of short operations on several processor cores, beside an engine that has threads of its own.

torch shares every operation among its threads, which wait actively for the next one. The loop's operations take a millisecond
or less, so sharing them gains little, and the waiting threads compete with those of the engine. Here the loop runs in a thread
that computes with one core (:func:`beside_engine`), and hands whole parts of its work to threads like it (:func:`shared`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

import torch

from drivers.twin.parallel import one_core_threads, parallel_map

T = TypeVar("T")
R = TypeVar("R")

_lock = threading.Lock()
_teams: dict[int, tuple[Executor, Executor]] = {}
_here = threading.local()


def beside_engine(work: Callable[[], R]) -> R:
    """Return ``work()``, computed without gradients in a thread in which torch uses one core; one such work runs at a time."""
    threads = torch.get_num_threads()
    if threads == 1:
        return work()
    leader, helpers = _team(threads)

    def led() -> R:
        _here.helpers, _here.count = helpers, threads - 1
        with torch.inference_mode():
            return work()

    return leader.submit(led).result()


def shared(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return ``[work(item) for item in items]``, computed without gradients by as many threads as there are cores."""
    helpers: Executor | None = getattr(_here, "helpers", None)
    if helpers is None:
        return parallel_map(work, items)

    def in_turn(mine: Sequence[T]) -> list[R]:
        with torch.inference_mode():
            return [work(item) for item in mine]

    count = 1 + _here.count
    others = [helpers.submit(in_turn, items[number::count]) for number in range(1, min(count, len(items)))]
    results = dict(enumerate([in_turn(items[::count]), *(other.result() for other in others)]))
    return [results[number % count][number // count] for number in range(len(items))]


def _team(threads: int) -> tuple[Executor, Executor]:
    """Return the thread that leads and those that help, each of which computes with one core."""
    with _lock:
        if threads not in _teams:
            _teams[threads] = one_core_threads(1, "loop"), one_core_threads(threads - 1, "loop-helper")
        return _teams[threads]
