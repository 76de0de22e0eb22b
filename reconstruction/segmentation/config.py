"""Settings of a segmenter, as an instrument file and the window state them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class SegmentationConfig:
    """Which segmenter labels the cells, and its settings.

    Parameters
    ----------
    kind : str
        Name of the segmenter: ``threshold`` is threshold and watershed.
    threshold : float, optional
        What a pixel must exceed to belong to a cell: for ``threshold`` the phase above the background in radians, for a trained
        segmenter the score from 0 to 1. By default the segmenter chooses it, for ``threshold`` from the noise of the phase.
    min_area_px : int
        Smallest cell, in pixels of the phase's grid; what is smaller is removed as noise.
    weights : Path, optional
        File or folder with the weights of a trained segmenter; by default its own.
    allow_pickle : bool
        Read weights that are stored as a pickle, which can run a program. Allow it only for files from a source you trust.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    kind: str = "threshold"
    threshold: float | None = None
    min_area_px: int = 12
    weights: Path | None = None
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        if not self.kind or len(self.kind) > 60:
            raise ValueError(f"the kind of a segmenter is a name of at most 60 characters, got {self.kind!r}")
        if self.threshold is not None and self.threshold < 0:
            raise ValueError(f"the threshold of a segmenter cannot be negative, got {self.threshold:g}")
        if self.min_area_px < 1:
            raise ValueError(f"the smallest cell has at least 1 pixel, got {self.min_area_px}")
