"""A window with one frame that stays, on which the operator marks cells by clicks and boxes.

The segmenter answers in a thread. The picture is embedded once; every click costs a short answer.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PyQt6.QtCore import QPointF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QColor, QKeySequence
from PyQt6.QtWidgets import QCheckBox, QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.gui.image_view.cell_marks import identity_colour
from app.gui.image_view.contents import Content, Newest, PaneFacts, Shown
from app.gui.image_view.drawing.choice import new_picture_item
from app.gui.image_view.drawing.picture_item import MAX_OUTLINE_COLOURS
from app.gui.image_view.levels.level_store import LevelStore
from app.gui.image_view.pane import Pane
from app.gui.image_view.pane_options import PaneOptions
from app.gui.widgets.csv_button import CsvButton
from app.gui.widgets.formatting import count
from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.style import GAP_PX
from app.jobs.latest_work import LatestWork
from app.measuring.cell_history import CellHistory, CellMoment
from app.measuring.marked_cells import MarkedCells, PromptSource, save_labels
from app.status import Overlay
from drivers.base import SpeckleScopeError
from reconstruction.cells.measurement import measure_cells
from reconstruction.cells.table import CellScale
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.foundation.prompts import Box, Click, PromptedMask, SamPrompts

_SIZE_PX = (720, 760)
_POLL_MS: Final = 50
#: A mouse that moves less between press and release has clicked; in pixels of the screen.
_CLICK_PX: Final = 5.0
_HOW: Final = "Click on a cell, or drag a box around it"


class ClickWindow(QWidget):
    """Shows one frame, and marks the cells that are clicked.

    Parameters
    ----------
    owner : QWidget
        This window ends together with it.
    facts : PaneFacts
        What a pane has to know about the instrument.
    overlay : Overlay
        The frame, with a reconstruction.
    source : PromptSource
        Opens what answers clicks.
    live : SegmentationConfig
        The segmenter of the live view.
    """

    refused = pyqtSignal(str)  # why something could not be done
    saved = pyqtSignal(str)  # the file that was written

    def __init__(
        self, owner: QWidget, facts: PaneFacts, overlay: Overlay, source: PromptSource, live: SegmentationConfig
    ) -> None:
        super().__init__(owner, Qt.WindowType.Window)
        self.setObjectName("popout")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Mark cells on frame {count(overlay.view.frame.index)}")
        newest = Newest(facts, view=overlay.view, overlay=replace(overlay, labels=None, cells=None))
        picture = newest.picture(Content.OVERLAY)
        assert isinstance(picture, Shown), "the frame has a phase"
        self._picture = picture
        self._overlay = overlay
        self._field_um = facts.field_um
        self.cells = MarkedCells((picture.values.shape[0], picture.values.shape[1]))
        self._clicks: list[Click] = []
        self._box: Box | None = None
        self._pressed = QPointF()
        self._answer: PromptedMask | None = None
        self._prompts: SamPrompts | None = None
        self._facts: Mapping[str, str | float | bool] = {}
        self._preparing: LatestWork[tuple[SamPrompts, Mapping[str, str | float | bool]]] = LatestWork("prepare clicks")
        self._answering: LatestWork[PromptedMask] = LatestWork("answer a click")
        self.pane = Pane(facts, LevelStore(facts), PaneOptions.of(Content.OVERLAY), new_picture_item())
        self.outside = QCheckBox("Next click: not part of this cell")
        self.state = ElidedLabel("muted")
        self.keep = QPushButton("Keep cell")
        self.undo = QPushButton("Undo")
        self.save_csv = CsvButton("marked cells.csv", "Save the numbers of the cells that are kept", self._csv_text)
        self.save_tiff = QPushButton("Save labels\N{HORIZONTAL ELLIPSIS}")
        self._build()
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self.poll)
        reconstruction = overlay.view.reconstruction
        assert reconstruction is not None, "the frame has a phase"
        phase_rad, mask = reconstruction.phase_rad, picture.mask
        self._preparing.ask(lambda stop: source.prepared(live, phase_rad, mask))
        self.state.show_text("The segmenter is being opened, and the frame prepared: this takes some seconds")
        self._timer.start()
        self._show()

    @property
    def is_ready(self) -> bool:
        """Whether clicks are answered."""
        return self._prompts is not None

    @property
    def answer(self) -> PromptedMask | None:
        """The answer that is shown and not kept yet."""
        return self._answer

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Forget what is being computed."""
        self._timer.stop()
        self._preparing.forget()
        self._answering.forget()
        super().closeEvent(event)

    def poll(self) -> None:
        """Show what has come from the threads."""
        prepared = self._preparing.poll()
        if prepared is not None and prepared.value is not None:
            self._prompts, self._facts = prepared.value
            self.state.show_text(_HOW)
        elif prepared is not None:
            self.state.show_text(prepared.problem)
            self.refused.emit(prepared.problem)
        answered = self._answering.poll()
        if answered is not None and answered.value is not None:
            self._answer = answered.value
            area_um2 = int(self._answer.mask.sum()) * self.pane.pitch_um**2
            self.state.show_text(f"Score {self._answer.score:.2f}, {area_um2:.3g} \N{MICRO SIGN}m\N{SUPERSCRIPT TWO}")
        elif answered is not None:
            self.state.show_text(answered.problem)
            self.refused.emit(answered.problem)
        if prepared is not None or answered is not None:
            self._show()

    # -- what the operator does -----------------------------------------------------------------------------------

    def keep_answer(self) -> None:
        """Keep the cell that is shown."""
        if self._answer is None:
            return
        try:
            self.cells.add(self._answer)
        except SpeckleScopeError as error:
            self.refused.emit(str(error))
        self._forget_answer()
        cells = len(self.cells)
        self.state.show_text(f"{count(cells)} {'cell is' if cells == 1 else 'cells are'} marked. {_HOW}")

    def undo_last(self) -> None:
        """Forget the clicks of the cell that is shown; without one, remove the cell that was kept last."""
        if not self._clicks and self._box is None:
            self.cells.remove_last()
        self._forget_answer()
        self.state.show_text(_HOW)

    def _forget_answer(self) -> None:
        self._answering.forget()
        self._clicks, self._box, self._answer = [], None, None
        self.outside.setChecked(False)
        self._show()

    def _press(self, _: Pane, point_um: QPointF) -> None:
        self._pressed = point_um

    def _release(self, _: Pane, point_um: QPointF) -> None:
        if self._prompts is None:
            return
        canvas = self.pane.canvas
        moved = canvas.position_of(point_um) - canvas.position_of(self._pressed)
        if moved.manhattanLength() < _CLICK_PX:
            x_px, y_px = self._pixel(point_um)
            self._clicks.append(Click(x_px=x_px, y_px=y_px, on_object=not self.outside.isChecked()))
        else:
            (x0, y0), (x1, y1) = self._pixel(self._pressed), self._pixel(point_um)
            self._box = Box(left_px=min(x0, x1), top_px=min(y0, y1), right_px=max(x0, x1), bottom_px=max(y0, y1))
        self._answering.ask(partial(_answered, self._prompts, tuple(self._clicks), self._box))
        self.state.show_text("The segmenter answers\N{HORIZONTAL ELLIPSIS}")
        self._show()

    def _pixel(self, point_um: QPointF) -> tuple[float, float]:
        """Return column and row of a place; the centre of the first pixel is at 0."""
        pitch_um = self.pane.pitch_um
        return point_um.x() / pitch_um - 0.5, point_um.y() / pitch_um - 0.5

    def _csv_text(self) -> str:
        reconstruction = self._overlay.view.reconstruction
        assert reconstruction is not None, "the frame has a phase"
        pixel_um = self._field_um / self._picture.values.shape[1]
        table = measure_cells(
            reconstruction.phase_rad,
            self.cells.labels(),
            self._picture.mask,
            CellScale(pixel_um=pixel_um),
            reconstruction.uncertainty_rad,
        )
        history = CellHistory()
        cells = table.with_identities(table.label.astype(np.int32))
        history.add(CellMoment.of_frame(self._overlay.view.frame, pixel_um, cells))
        return history.csv(lambda table: np.ones(len(table), np.bool_))

    def _ask_file(self) -> None:
        dialog = QFileDialog(self, "Save labels", "marked cells.tif", "TIFF pictures (*.tif)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("tif")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.save_labels)
        dialog.open()

    def save_labels(self, name: str) -> None:
        """Write the cells that are kept as a TIFF file."""
        try:
            save_labels(Path(name), self.cells.labels(), {"frame": self._overlay.view.frame.index, **self._facts})
        except SpeckleScopeError as error:
            self.refused.emit(str(error))
        else:
            self.saved.emit(name)

    # -- what is shown --------------------------------------------------------------------------------------------

    def _show(self) -> None:
        labels = self.cells.labels(None if self._answer is None else self._answer.mask)
        colours = np.array([QColor(identity_colour(k + 1)).getRgb() for k in range(int(labels.max()))], np.uint8)
        few = 0 < len(colours) <= MAX_OUTLINE_COLOURS
        self.pane.show_picture(replace(self._picture, labels=labels, outline_colours=colours if few else None))
        self.pane.refresh_numbers("")
        self.keep.setEnabled(self._answer is not None)
        self.undo.setEnabled(bool(self._clicks) or self._box is not None or len(self.cells) > 0)
        self.outside.setEnabled(bool(self._clicks) or self._box is not None)
        for button in (self.save_csv, self.save_tiff):
            button.setEnabled(len(self.cells) > 0)

    def _build(self) -> None:
        self.pane.canvas.set_drawing(on=True)
        for tool in (self.pane.enlarge_button, self.pane.view_button):
            tool.hide()  # they belong to the panes of the live page
        self.pane.drawn_from.connect(self._press)
        self.pane.drawn.connect(self._release)
        self.keep.setToolTip("Keep the cell that is shown  (Return)")
        self.keep.setShortcut(QKeySequence(Qt.Key.Key_Return))
        self.undo.setToolTip("Forget the last clicks, or the cell that was kept last  (Ctrl+Z)")
        self.undo.setShortcut(QKeySequence(QKeySequence.StandardKey.Undo))
        self.save_tiff.setToolTip("Save the cells that are kept as a TIFF file of labels")
        self.outside.setToolTip("The next click shows what does not belong to the cell")
        self.keep.clicked.connect(self.keep_answer)
        self.undo.clicked.connect(self.undo_last)
        self.save_tiff.clicked.connect(self._ask_file)
        self.save_csv.refused.connect(self.refused)
        self.save_csv.saved.connect(self.saved)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX)
        layout.addWidget(self.pane, 1)
        layout.addWidget(self.state)
        buttons = QHBoxLayout()
        buttons.addWidget(self.outside)
        buttons.addStretch(1)
        for button in (self.keep, self.undo, self.save_csv, self.save_tiff):
            button.setObjectName("small")
            buttons.addWidget(button)
        layout.addLayout(buttons)
        self.resize(*_SIZE_PX)


def _answered(prompts: SamPrompts, clicks: tuple[Click, ...], box: Box | None, _: threading.Event) -> PromptedMask:
    return prompts.prompted(clicks, box)
