"""The panel of results: how the one that is shown was made, and what can be computed beside it."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from acquisition.archive.results.stored_result import ResultKind, StoredResult
from app.datasets.recorded_methods import RecordingOptions
from app.gui.player.corrections import Correction
from app.gui.player.result_jobs import Computation, equality_text, refusal
from app.gui.player.side import AS_RECORDED, Side, result_name
from app.gui.widgets.formatting import count
from app.gui.widgets.labels import FieldPlace, add_field, caption_label
from app.gui.widgets.number_box import NumberBox
from app.playback.cell_files import CellFile
from drivers.visible_text import visible
from reconstruction.models.model import shipped_models
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.registry import segmenter_kinds

_OF_RECORDING = "Model of the recording"
_CORRECTION_TIPS = {
    Correction.DELETE: "Click a cell on the overlay: it is deleted",
    Correction.MERGE: "Click two cells on the overlay, one after the other: they become one",
    Correction.SPLIT: "Drag across a cell on the overlay: it is divided along the line",
}
#: The largest threshold in radians, and the largest smallest cell in pixels, that can be chosen.
_MOST_RAD, _MOST_PX = 6.28, 10_000
_FOLDER = "Model folder\N{HORIZONTAL ELLIPSIS}"
_TIPS = {
    Computation.AGAIN: "Compute phase and labels of every frame; the recorded ones stay as they are",
    Computation.SKIPPED: "Compute phase and labels of the frames that were skipped while they were recorded",
    Computation.SEGMENT: "Compute the labels from the recorded phase; the recorded ones stay as they are",
    Computation.CELLS: "Measure and follow the cells of all frames by the labels that are shown, and save their numbers (CSV), "
    "outlines (ImageJ) or labels (napari)",
}


class ResultPanel(QWidget):
    """Tells about the result of the left side, and lets further ones be computed."""

    compute_clicked = pyqtSignal(object)  # a Computation
    compare_clicked = pyqtSignal()
    correction_chosen = pyqtSignal(object)  # a Correction, or None to move the picture again
    undo_clicked = pyqtSignal()
    store_clicked = pyqtSignal()
    cells_requested = pyqtSignal(object)  # the file for them
    refused = pyqtSignal(str)  # why a number that was typed is not taken

    def __init__(self) -> None:
        super().__init__()
        self.shown = _wrapped(QLabel())
        self.details = _wrapped(QLabel())
        self.details.setObjectName("muted")
        self.compare = QPushButton("Compare with what was recorded")
        self.compare.setToolTip("Show what was recorded beside it, at the same frame")
        self.model = QComboBox()
        self.model.addItem(_OF_RECORDING, "")
        for name in shipped_models():
            self.model.addItem(name, name)
        self.model.addItem(_FOLDER, None)
        self.kind = QComboBox()
        self.kind.addItems(segmenter_kinds())
        self.threshold = NumberBox()
        self.threshold.setRange(0.0, _MOST_RAD)
        self.threshold.setSingleStep(0.05)
        self.threshold.setSpecialValueText("automatic")
        self.threshold.describe("The threshold", "")
        self.smallest = NumberBox()
        self.smallest.setDecimals(0)
        self.smallest.setRange(1, _MOST_PX)
        self.smallest.setValue(SegmentationConfig().min_area_px)
        self.smallest.setSuffix(" px")
        self.smallest.describe("The smallest cell", "px")
        self._chosen = 0
        self._dialog: QFileDialog | None = None
        self.buttons = {computation: _button(computation.value, _TIPS[computation]) for computation in Computation}
        self.reasons = {computation: _wrapped(QLabel()) for computation in Computation}
        self.tools = {correction: QToolButton() for correction in Correction}
        for correction, button in self.tools.items():
            button.setText(correction.value)
            button.setCheckable(True)
            button.setToolTip(_CORRECTION_TIPS[correction])
            button.clicked.connect(self._choose_tool)
        self.undo = QToolButton()
        self.undo.setText("Undo")
        self.undo.setToolTip("Take the last correction back")
        self.undo.clicked.connect(self.undo_clicked)
        self.corrected = _wrapped(QLabel())
        self.store = _button("Store corrections", "Store the corrected labels; the automatic ones stay as they are")
        self.store.clicked.connect(self.store_clicked)
        self._layout()
        self.model.activated.connect(self._choose_model)
        self.compare.clicked.connect(self.compare_clicked)
        for number in (self.threshold, self.smallest):
            number.refused.connect(self.refused)
        self.buttons[Computation.AGAIN].clicked.connect(self._again)
        self.buttons[Computation.SKIPPED].clicked.connect(self._skipped)
        self.buttons[Computation.SEGMENT].clicked.connect(self._segment)
        self.buttons[Computation.CELLS].clicked.connect(self._ask_for_file)

    def _layout(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        layout.setSpacing(6)
        layout.addWidget(caption_label("Shown now"))
        for widget in (self.shown, self.details, self.compare):
            layout.addWidget(widget)
        layout.addSpacing(12)
        heading = QLabel("Compute beside it")
        heading.setObjectName("heading")
        layout.addWidget(heading)
        grid = QGridLayout()
        add_field(grid, "Model", self.model, "What reconstructs the frames", FieldPlace(0, 0, 3))
        for column, (caption, field, tip) in enumerate(
            (
                ("Segmenter", self.kind, "What labels the cells when a recording is segmented again"),
                ("Threshold", self.threshold, "How far above the background a cell begins; 0 lets the segmenter choose"),
                ("Smallest", self.smallest, "Smaller objects are removed as noise"),
            )
        ):
            add_field(grid, caption, field, tip, FieldPlace(2, column))
        layout.addLayout(grid)
        heading = QLabel("Correct cells")
        heading.setObjectName("heading")
        self.corrected.setObjectName("muted")
        for computation in Computation:
            self.reasons[computation].setObjectName("muted")
            layout.addWidget(self.buttons[computation])
            layout.addWidget(self.reasons[computation])
        layout.addSpacing(12)
        layout.addWidget(heading)
        tools = QHBoxLayout()
        for button in self.tools.values():
            tools.addWidget(button)
        tools.addWidget(self.undo)
        tools.addStretch(1)
        layout.addLayout(tools)
        layout.addWidget(self.corrected)
        layout.addWidget(self.store)
        layout.addStretch(1)

    # -- what is shown --------------------------------------------------------------------------------------------

    def show_side(self, side: Side, conflict: str) -> None:
        """Show the result of a side, and what can be computed; ``conflict`` says why nothing can, beside other reasons."""
        archive, result = side.archive, side.result
        self.shown.setText(AS_RECORDED if result is None else result_name(result))
        self.details.setText("" if result is None else result_text(result))
        self.details.setVisible(result is not None)
        self.compare.setVisible(result is not None)
        self._show_corrections(side)
        for computation, button in self.buttons.items():
            reason = "Nothing is open" if archive is None else refusal(computation, archive) or conflict
            button.setEnabled(not reason)
            button.setToolTip(reason or _TIPS[computation])
            self.reasons[computation].setText(reason)
            self.reasons[computation].setVisible(bool(reason))
        if archive is not None and archive.facts.is_recording:
            skipped = int((~archive.reconstructed).sum())
            text = Computation.SKIPPED.value + (f" ({count(skipped)})" if skipped else "")
            self.buttons[Computation.SKIPPED].setText(text)

    @property
    def options(self) -> RecordingOptions:
        """What the operator wants to reconstruct with."""
        model = str(self.model.itemData(self._chosen) or "")
        return RecordingOptions(model=model) if model else RecordingOptions(as_recorded=True)

    # -- the model ------------------------------------------------------------------------------------------------

    def use_model(self, folder: Path) -> None:
        """Reconstruct with the model in a folder."""
        known = self.model.findData(str(folder))
        if known < 0:
            known = self.model.count() - 1
            self.model.insertItem(known, visible(folder.name), str(folder))
            self.model.setItemData(known, str(folder), Qt.ItemDataRole.ToolTipRole)
        self._choose(known)

    def _choose_model(self, number: int) -> None:
        if number < self.model.count() - 1:
            self._choose(number)
            return
        self._choose(self._chosen)  # until a folder is chosen
        dialog = QFileDialog(self, "Choose the folder of a model")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._use_folder)
        dialog.open()

    def _use_folder(self, name: str) -> None:
        self.use_model(Path(name))

    def _choose(self, number: int) -> None:
        self._chosen = number
        self.model.setCurrentIndex(number)

    @property
    def segmentation(self) -> SegmentationConfig:
        """How a recording is segmented again."""
        return SegmentationConfig(
            kind=self.kind.currentText(),
            threshold=self.threshold.value() or None,
            min_area_px=round(self.smallest.value()),
        )

    def _again(self) -> None:
        self.compute_clicked.emit(Computation.AGAIN)

    def _skipped(self) -> None:
        self.compute_clicked.emit(Computation.SKIPPED)

    def _segment(self) -> None:
        self.compute_clicked.emit(Computation.SEGMENT)

    def _show_corrections(self, side: Side) -> None:
        number = side.corrections.count
        is_recording = side.archive is not None and side.archive.facts.is_recording
        for button in self.tools.values():
            button.setEnabled(is_recording)
        self.undo.setEnabled(number > 0)
        self.store.setEnabled(number > 0)
        frames = f"{count(number)} corrected {'frame is' if number == 1 else 'frames are'} not stored yet"
        self.corrected.setText(frames if number else "Click or drag on the overlay")

    def _choose_tool(self) -> None:
        """Choose the tool whose button was pressed, or none where it was chosen already."""
        pressed = self.sender()
        for button in self.tools.values():
            if button is not pressed:
                button.setChecked(False)
        chosen = next((correction for correction, button in self.tools.items() if button.isChecked()), None)
        self.correction_chosen.emit(chosen)

    def _ask_for_file(self) -> None:
        kinds = [f"{kind.label} (*{kind.value})" for kind in CellFile]
        dialog = QFileDialog(self, "Save the cells", "cells.csv")
        dialog.setNameFilters(kinds)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("csv")
        dialog.filterSelected.connect(self._use_end)
        self._dialog = dialog
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._request_cells)
        dialog.open()

    def _use_end(self, kind: str) -> None:
        """Let a name without an end get that of the chosen kind of file."""
        chosen = next((each for each in CellFile if kind.startswith(each.label)), None)
        if self._dialog is not None and chosen is not None:
            self._dialog.setDefaultSuffix(chosen.value.removeprefix("."))

    def _request_cells(self, name: str) -> None:
        self.cells_requested.emit(Path(name))


def result_text(result: StoredResult) -> str:
    """Return how a result was made and how it compares with what was recorded, line by line."""
    card = result.card
    lines = [f"{count(len(result.rows))} frames"]
    known = (("Method", card.method), ("Engine", card.engine), ("Hash", card.method_id), ("Reference", card.reference))
    lines += [f"{name}: {visible(value)}" for name, value in known if value]
    if card.kind is ResultKind.SEGMENTATION:
        lines += [f"{visible(key)}: {visible(str(value))}" for key, value in card.facts.items()]
    lines += [equality_text(result)] if equality_text(result) else []
    return "\n".join(lines)


def _wrapped(label: QLabel) -> QLabel:
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
