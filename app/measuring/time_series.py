"""Values over time, each with the number of its frame; the oldest are forgotten."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray


class TimeSeries:
    """One or more values for each frame.

    Parameters
    ----------
    names : tuple of str
        Names of the values.
    longest : int
        Number of frames that are kept.
    """

    def __init__(self, names: tuple[str, ...], longest: int = 10_000) -> None:
        self.names = names
        self._rows: deque[tuple[float, ...]] = deque(maxlen=longest)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, frame_index: int, time_s: float, *values: float) -> None:
        """Add the values of a frame; a frame that is already the newest one is skipped.

        Parameters
        ----------
        frame_index : int
            The camera's counter of the frame.
        time_s : float
            When it was exposed, in seconds of any clock that does not jump.
        *values : float
            One for each name.

        Raises
        ------
        ValueError
            There are more or fewer values than names.
        """
        if len(values) != len(self.names):
            raise ValueError(f"{len(values)} values were given for {len(self.names)} names")
        if not self._rows or (frame_index, time_s) != self._rows[-1][:2]:
            self._rows.append((frame_index, time_s, *values))

    def clear(self) -> None:
        """Forget everything."""
        self._rows.clear()

    def column(self, name: str) -> NDArray[np.float64]:
        """Return all values of a name, or of "frame" or "time_s"; shape (n,)."""
        place = ("frame", "time_s", *self.names).index(name)
        return np.array([row[place] for row in self._rows], np.float64)
