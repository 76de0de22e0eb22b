"""Rests of long work in Python that runs beside the window.

Python runs one thread at a time. One that only computes keeps its turn for 5 ms, and the window gives its own turn back many
times for one picture: reading the rows of a recording of ten minutes without a rest stops the picture for up to 0.2 s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

#: Some three times the work between two rests, so that most of the time belongs to others.
REST_S = 0.002


def with_rests(items: Iterable[Item], every: int) -> Iterator[Item]:
    """Yield the items; rest after each ``every`` of them, unless this is the main thread, which others wait for."""
    resting = threading.current_thread() is not threading.main_thread()
    for number, item in enumerate(items, start=1):
        yield item
        if resting and number % every == 0:
            time.sleep(REST_S)
