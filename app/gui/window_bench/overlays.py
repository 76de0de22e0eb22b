"""Whether the outlines that are painted belong to the phase that is painted below them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QObject

from app.gui.image_view.pane import Pane
from app.status import LiveView
from reconstruction.base import Reconstruction
from reconstruction.segmentation.threshold_watershed import segment

#: Reconstructions that wait to be painted; a painted one that is older counts as a mismatch.
_REMEMBERED = 512


@dataclass(frozen=True, eq=False)
class _Painted:
    frame_index: int | None
    phase_rad: NDArray[np.generic]
    labels: NDArray[np.uint16] | None


class PaintedOverlays(QObject):
    """Notes what the overlay pane paints, and compares it later, so that the comparison does not slow the window.

    Parameters
    ----------
    pane : Pane
        The pane with the overlay.
    """

    def __init__(self, pane: Pane) -> None:
        super().__init__()
        self.compared = 0
        self.mismatches = 0
        self._pane = pane
        self._painted: list[_Painted] = []
        self._begun = False
        self._ended = False
        self._views: deque[LiveView] = deque(maxlen=_REMEMBERED)
        pane.canvas.viewport.installEventFilter(self)

    def begin(self) -> None:
        """Compare what is painted from now on."""
        self._painted.clear()
        self._begun = True

    def end(self) -> None:
        """Note and remember nothing more."""
        self._begun = False
        self._ended = True
        self._views.clear()

    def note_view(self, view: LiveView) -> None:
        """Remember a reconstruction until the end; called in the inference thread."""
        if not self._ended:
            self._views.append(view)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Note what is painted now: what the item draws, and what the pane says of it."""
        shown = self._pane.shown
        if event is not None and event.type() is QEvent.Type.Paint and shown is not None and self._begun:
            painted = _Painted(shown.frame_index, self._pane.canvas.image_item.picture, shown.labels)
            if not self._painted or self._painted[-1].phase_rad is not painted.phase_rad:
                self._painted.append(painted)
        return super().eventFilter(watched, event)

    def compare(self) -> None:
        """Compare what was painted since the last call with the reconstructions of the same frames."""
        painted, self._painted = self._painted, []
        phases = {view.frame.index: view.reconstruction for view in tuple(self._views)}
        for one in painted:
            self.compared += 1
            self.mismatches += not _belong_together(one, phases.get(one.frame_index if one.frame_index is not None else -1))


def _belong_together(painted: _Painted, reconstruction: Reconstruction | None) -> bool:
    """Whether phase and outlines are those of the frame whose number is shown."""
    if reconstruction is None or reconstruction.mask is None:
        return False
    mask = reconstruction.mask
    if not np.array_equal(painted.phase_rad[mask], reconstruction.phase_rad[mask]):
        return False
    if painted.labels is None:
        return not reconstruction.is_finite
    return np.array_equal(painted.labels, segment(reconstruction.phase_rad, mask, reconstruction.uncertainty_rad))
