"""Corrects the labels of the frame that is shown: clicks delete and merge cells, a drag splits one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QPointF, pyqtSignal

from acquisition.archive.results.stored_result import StoredResult
from app.datasets.corrected_labels import store_corrections
from app.gui.image_view.contents import Content
from app.gui.image_view.pane import Pane
from app.gui.image_view.pane_grid import PaneGrid
from app.status import Overlay
from drivers.base import SpeckleScopeError
from reconstruction.cells.corrections import Place, deleted, merged, split


class Correction(Enum):
    """What the mouse does to cells on the overlay; the value is how it is called in the window."""

    DELETE = "Delete"
    MERGE = "Merge"
    SPLIT = "Split"


@dataclass(frozen=True, eq=False)
class _Step:
    """What is undone: a row, and its labels before; None where they were the automatic ones."""

    row: int
    before: NDArray[np.uint16] | None


class CellCorrections(QObject):
    """The corrections of one recording that are not stored yet.

    Parameters
    ----------
    pictures : PaneGrid
        The panes; cells are clicked on those that show the overlay.
    """

    #: Labels were corrected, or a correction was undone: the frame has to be shown again.
    changed = pyqtSignal()
    #: Why something was not corrected.
    refused = pyqtSignal(str)

    def __init__(self, pictures: PaneGrid) -> None:
        super().__init__()
        self._pictures = pictures
        self._tool: Correction | None = None
        self._labels: NDArray[np.uint16] | None = None
        self._row: int | None = None
        self._corrected: dict[int, NDArray[np.uint16]] = {}
        self._steps: list[_Step] = []
        self._first: Place | None = None
        self._start: Place | None = None
        self._watched: list[Pane] = []

    @property
    def count(self) -> int:
        """How many frames are corrected and not stored yet."""
        return len(self._corrected)

    def choose(self, tool: Correction | None) -> None:
        """Choose what the mouse does; None lets it move the picture again."""
        self._tool = tool
        self._first = self._start = None
        self._show_tool()

    def _show_tool(self) -> None:
        for pane in self._pictures.panes:
            if pane not in self._watched:  # panes are made when they are first needed
                self._watched.append(pane)
                pane.drawn_from.connect(self._press)
                pane.drawn.connect(self._release)
            if pane.content is Content.OVERLAY:
                pane.canvas.set_drawing(on=self._tool is not None)

    def corrected(self, row: int, overlay: Overlay) -> Overlay:
        """Return what is shown of a row: its corrected labels, if there are some. The next click is meant for this row."""
        labels = self._corrected.get(row)
        self._row, self._labels = row, overlay.labels if labels is None else labels
        return overlay if labels is None else replace(overlay, labels=labels)

    def undo(self) -> None:
        """Take the last correction back."""
        if not self._steps:
            self.refused.emit("There is nothing to undo")
            return
        step = self._steps.pop()
        if step.before is None:
            del self._corrected[step.row]
        else:
            self._corrected[step.row] = step.before
        self.changed.emit()

    def forget(self) -> None:
        """Forget what is not stored."""
        self._corrected.clear()
        self._steps.clear()
        self._first = self._start = None

    def store(self, path: Path, automatic: StoredResult | None) -> StoredResult:
        """Store the corrections beside the automatic labels; raises SpeckleScopeError where that is not possible."""
        result = store_corrections(path, self._corrected, automatic)
        self.forget()
        return result

    def _press(self, pane: Pane, point_um: QPointF) -> None:
        if self._tool is not None and pane.content is Content.OVERLAY:
            self._start = self._place(pane, point_um)

    def _release(self, pane: Pane, point_um: QPointF) -> None:
        start, self._start = self._start, None
        self._show_tool()  # the tools of measurements end their own drawing with each release
        if self._tool is None or start is None or self._labels is None or self._row is None:
            return
        try:
            labels = self._applied(self._labels, start, self._place(pane, point_um))
        except SpeckleScopeError as error:
            self._first = None
            self.refused.emit(str(error))
            return
        if labels is not None:
            labels.flags.writeable = False
            self._steps.append(_Step(self._row, self._corrected.get(self._row)))
            self._corrected[self._row] = labels
            self.changed.emit()

    def _applied(self, labels: NDArray[np.uint16], start: Place, end: Place) -> NDArray[np.uint16] | None:
        """Return corrected labels; None where a second click is needed."""
        if self._tool is Correction.DELETE:
            return deleted(labels, end)
        if self._tool is Correction.SPLIT:
            return split(labels, start, end)
        if self._first is None:
            self._first = end
            return None
        first, self._first = self._first, None
        return merged(labels, first, end)

    def _place(self, pane: Pane, point_um: QPointF) -> Place:
        """Return row and column of a place in micrometres."""
        pitch_um = pane.pitch_um
        return int(point_um.y() // pitch_um), int(point_um.x() // pitch_um)
