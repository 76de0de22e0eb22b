"""What the SLM shows as the live object when there is no tissue: patterns in turn, whose phase is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.sources import open_source
from app.instrument.config import SceneConfig
from drivers.base import Pattern
from reconstruction.field import to_grid


class Scene:
    """A loop of patterns, each shown for ``period_s`` seconds.

    Parameters
    ----------
    config : SceneConfig
        Pattern source, period in seconds, and number of patterns.
    shape : (int, int)
        Height and width of the SLM in pixels.
    grid_px : int
        Side of the images of the true phase.
    phase_range_rad : float
        What white means in a pattern, in radians.
    """

    def __init__(self, config: SceneConfig, shape: tuple[int, int], grid_px: int, phase_range_rad: float) -> None:
        source = open_source(config.source, shape, count=config.count, seed=config.seed, phase_range_rad=phase_range_rad)
        self.period_s = config.period_s
        self._patterns = [source[index] for index in range(len(source))]
        self._truth = {pattern.id: to_grid(pattern.phase_rad, grid_px) for pattern in self._patterns}

    def at(self, elapsed_s: float) -> Pattern:
        """Return the pattern to show ``elapsed_s`` seconds after the start."""
        return self._patterns[int(elapsed_s / self.period_s) % len(self._patterns)]

    def truth(self, pattern_id: str | None) -> NDArray[np.float32] | None:
        """Return the displayed phase in radians, (grid_px, grid_px); None for a pattern that is not part of this scene."""
        return self._truth.get(pattern_id) if pattern_id else None
