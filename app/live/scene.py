"""What the SLM plays as the live object when there is no tissue: patterns in turn, with their truth for comparison."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.sources import open_source
from app.instrument.config import SceneConfig
from drivers.base import Pattern
from reconstruction.field import to_grid


class Scene:
    """A loop of patterns, each shown for ``period_s``.

    Parameters
    ----------
    config : SceneConfig
        Source, period and count.
    shape : (int, int)
        The SLM's height and width.
    grid_px : int
        Side of the truth images.
    phase_range_rad : float
        Phase of white.
    """

    def __init__(self, config: SceneConfig, shape: tuple[int, int], grid_px: int, phase_range_rad: float) -> None:
        source = open_source(config.source, shape, count=config.count, seed=config.seed, phase_range_rad=phase_range_rad)
        self.period_s = config.period_s
        self._patterns = [source[index] for index in range(len(source))]
        self._truth = {pattern.id: to_grid(pattern.phase_rad, grid_px) for pattern in self._patterns}

    def at(self, elapsed_s: float) -> Pattern:
        """Return the pattern to show ``elapsed_s`` after the start."""
        return self._patterns[int(elapsed_s / self.period_s) % len(self._patterns)]

    def truth(self, pattern_id: str | None) -> NDArray[np.float32] | None:
        """Return the displayed phase on the grid, or None for a pattern that is not of this scene."""
        return self._truth.get(pattern_id) if pattern_id else None
