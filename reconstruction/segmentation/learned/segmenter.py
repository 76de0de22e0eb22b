"""The learned segmenter: a small U-Net gives maps, and a watershed gives the cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from reconstruction.models.model import SHIPPED
from reconstruction.segmentation.base import SegmentationError, Segmenter
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.learned.compiled import SegmenterEngine
from reconstruction.segmentation.learned.maps import labels_of
from reconstruction.segmentation.learned.network import load_network, predicted_maps

#: The weights that come with the program.
SHIPPED_WEIGHTS: Final = SHIPPED / "segmenters" / "cells.safetensors"
_THRESHOLD: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class LearnedSettings:
    """How the maps of the network become cells.

    Parameters
    ----------
    threshold : float
        Least probability of a pixel that belongs to a cell.
    min_area_px : int
        Cells with fewer pixels are removed.

    Raises
    ------
    SegmentationError
        A setting is impossible.
    """

    threshold: float = _THRESHOLD
    min_area_px: int = 12

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1 or self.min_area_px < 1:
            raise SegmentationError(
                f"the learned segmenter needs a threshold between 0 and 1 and at least 1 pixel, got {self.threshold:g} and "
                f"{self.min_area_px}"
            )


class LearnedSegmenter(Segmenter):
    """Labels cells as it has learned from reconstructions of synthetic ones.

    Parameters
    ----------
    weights : Path
        File that ``train --kind segmentation`` wrote.
    settings : LearnedSettings, optional
        How maps become cells.

    Raises
    ------
    SegmentationError
        The weights cannot be used.
    """

    kind = "learned"

    def __init__(self, weights: Path, settings: LearnedSettings | None = None) -> None:
        network, self.facts, self._id = load_network(weights)
        self._engine = SegmenterEngine(network, self._id)
        self._settings = settings or LearnedSettings()

    @classmethod
    def of(cls, config: SegmentationConfig) -> Self:
        """Return the segmenter of a configuration."""
        threshold = _THRESHOLD if config.threshold is None else config.threshold
        return cls(config.weights or SHIPPED_WEIGHTS, LearnedSettings(threshold=threshold, min_area_px=config.min_area_px))

    def settings(self) -> Mapping[str, str | float | bool]:
        """Return the settings, and which weights they are; see :meth:`Segmenter.settings`."""
        own = {"threshold": self._settings.threshold, "min_area_px": self._settings.min_area_px}
        return {"segmenter": self.kind, "weights": self._id, **own}

    def _segment(
        self, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_], std_rad: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
        maps = predicted_maps(self._engine, self._engine.multiple_px, phase_rad, mask)
        return labels_of(maps, self._settings.threshold, self._settings.min_area_px)
