"""What a recording of the benchmark holds: the numbers in its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acquisition.archive.reader import Archive
from app.benchmarks.live.counter_code import bit_centres, read_number


def recorded_numbers(path: Path) -> list[int | None]:
    """Return the number in the pixels of every frame of a recording, in its order; None for one that cannot be read."""
    x, y = np.moveaxis(bit_centres().astype(int), -1, 0)
    archive = Archive.open(path)
    return [read_number(archive.read("speckle", row.index)[y, x] / 255) for row in archive.rows()]


def are_consecutive(numbers: list[int | None]) -> bool:
    """Whether there are numbers, and none is missing, doubled or unreadable."""
    return bool(numbers) and numbers[0] is not None and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
