"""One frame of a recording or a dataset with everything that was stored of it, or the reason why something is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.rows import StoredRow
from app.status import LiveView, Overlay


class Layer(StrEnum):
    """What can be stored of a frame."""

    SPECKLE = "speckle"
    PHASE = "phase"
    UNCERTAINTY = "uncertainty"
    LABELS = "labels"
    #: The pattern on the SLM, in a dataset.
    PATTERN = "pattern"


@dataclass(frozen=True, kw_only=True, eq=False)
class PlayedFrame:
    """One frame.

    Parameters
    ----------
    position : int
        Its number, from 0.
    row : StoredRow
        What the journal says of it.
    overlay : Overlay
        The frame, its phase with uncertainty, and its labels. A frame that cannot be read is a single black pixel.
    pattern_rad : ndarray of float32, shape (h, w), optional
        In a dataset, the phase of the pattern that the SLM showed.
    missing : mapping of Layer to str
        Why something is not there, as a sentence.
    broken : frozenset of Layer
        What of it was stored and cannot be read.
    nbytes : int
        Its size in memory, in bytes.
    """

    position: int
    row: StoredRow
    overlay: Overlay
    pattern_rad: NDArray[np.float32] | None = None
    missing: Mapping[Layer, str] = field(default_factory=dict)
    broken: frozenset[Layer] = frozenset()
    nbytes: int = 0

    @property
    def view(self) -> LiveView:
        """The frame with its phase."""
        return self.overlay.view

    @property
    def is_whole(self) -> bool:
        """Whether everything that was stored could be read."""
        return not self.broken
