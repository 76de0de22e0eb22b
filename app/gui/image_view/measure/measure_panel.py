"""The panel of tools, numbers and plots, and what it saves as CSV."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QShowEvent
from PyQt6.QtWidgets import (
    QApplication,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from acquisition.archive.atomic_files import write_whole
from app.gui.image_view.measure.plots import AlignmentPlots, UnitPlots, profile_curves, trace_curves, unit_of
from app.gui.image_view.measure.results_table import ResultsTable
from app.gui.image_view.measure.tool import Tool
from app.gui.image_view.measure.tools import MeasureTools
from app.measuring.alignment import FORMULAS
from app.measuring.measurement import profiles_csv, results_csv, series_csv, traces_csv
from drivers.base import SpeckleScopeError


class Sheet(Enum):
    """The sheets of the panel."""

    NUMBERS = "Numbers"
    PROFILE = "Profile"
    TIME = "Time"
    ALIGNMENT = "Alignment"


class MeasurePanel(QWidget):
    """Tools, a table of numbers, and plots.

    Parameters
    ----------
    tools : MeasureTools
        Those of the panes.
    """

    refused = pyqtSignal(str)  # why a file could not be written
    saved = pyqtSignal(str)  # the file that was written

    def __init__(self, tools: MeasureTools) -> None:
        super().__init__()
        self.tools = tools
        self.table = ResultsTable()
        self.profile = UnitPlots("Distance / \N{MICRO SIGN}m", "Value", "Draw a profile on a picture")
        self.time = UnitPlots("Time / s", "Mean", "Draw a point, rectangle or ellipse on a picture")
        self.alignment = AlignmentPlots()
        self.sheets = QTabWidget()
        self.sheets.setDocumentMode(True)
        pages = {Sheet.NUMBERS: self.table, Sheet.PROFILE: self.profile, Sheet.TIME: self.time, Sheet.ALIGNMENT: self.alignment}
        for sheet, page in pages.items():
            self.sheets.addTab(page, sheet.value)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._tool_row())
        layout.addWidget(self.sheets, 1)
        layout.addLayout(self._file_row())
        self.sheets.currentChanged.connect(self._on_sheet)
        tools.measurements.measured.connect(self.refresh)
        tools.measurements.removed.connect(self._on_removed)
        self.table.chosen.connect(tools.select)
        tools.selected.connect(self.table.show_selection)

    def _tool_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        for tool in Tool:
            if tool is not Tool.CAMERA_ROI:
                button = QToolButton()
                button.setDefaultAction(self.tools.actions[tool])
                button.setIconSize(QSize(20, 20))
                button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
                button.setAccessibleName(self.tools.actions[tool].text())
                row.addWidget(button)
        row.addStretch(1)
        return row

    def _file_row(self) -> QHBoxLayout:
        self.save_button = QPushButton("Save CSV\N{HORIZONTAL ELLIPSIS}")
        self.save_button.setToolTip("Save what this sheet shows as a table of comma-separated values, with all digits")
        self.save_button.clicked.connect(self.ask_and_save)
        self.copy_button = QPushButton("Copy")
        self.copy_button.setToolTip("Copy the same table to the clipboard")
        self.copy_button.clicked.connect(self.copy)
        self.clear_button = QPushButton("Remove all")
        self.clear_button.setToolTip("Remove all measurements, and begin all courses over time again")
        self.clear_button.clicked.connect(self.clear)
        row = QHBoxLayout()
        for button in (self.save_button, self.copy_button, self.clear_button):
            row.addWidget(button)
        row.addStretch(1)
        return row

    @property
    def sheet(self) -> Sheet:
        """The sheet that is seen."""
        return tuple(Sheet)[self.sheets.currentIndex()]

    def choose(self, sheet: Sheet) -> None:
        """Show a sheet."""
        self.sheets.setCurrentIndex(tuple(Sheet).index(sheet))

    def refresh(self) -> None:
        """Show the newest numbers; nothing is calculated for a sheet that is not seen."""
        if not self.isVisible():
            self.tools.set_alignment(on=False)
            return
        measurements = self.tools.measurements
        sheet = self.sheet
        self.tools.set_alignment(on=sheet is Sheet.ALIGNMENT)
        if sheet is Sheet.NUMBERS:
            self.table.show_results(measurements.results, measurements)
            self.table.show_selection(self.tools.selection)
        elif sheet is Sheet.PROFILE:
            self.profile.show_curves(*profile_curves(measurements.results, measurements))
        elif sheet is Sheet.TIME:
            self.time.show_curves(trace_curves(measurements.traces, measurements))
        else:
            self.alignment.show_series(self.tools.alignment)

    def clear(self) -> None:
        """Remove all measurements."""
        self.tools.measurements.clear()
        self.tools.forget_series()
        self.refresh()

    def csv_text(self) -> str:
        """Return the table of the sheet that is seen."""
        measurements = self.tools.measurements
        sheet = self.sheet
        if sheet is Sheet.NUMBERS:
            return results_csv(measurements.results)
        if sheet is Sheet.PROFILE:
            return profiles_csv(measurements.results)
        if sheet is Sheet.TIME:
            traces = measurements.traces
            return traces_csv(traces, {name: unit_of(measurements[name].picture) for name in traces})
        return series_csv(self.tools.alignment, [f"{name}: {formula}" for name, formula in FORMULAS.items()])

    def copy(self) -> None:
        """Copy the table of the sheet that is seen."""
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.csv_text())

    def ask_and_save(self) -> None:
        """Ask for a file, then write the table of the sheet that is seen as it was at the click."""
        self._pending = self.csv_text()
        dialog = QFileDialog(self, "Save table", f"{self.sheet.value.lower()}.csv", "Comma-separated values (*.csv)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("csv")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._save_pending)
        dialog.open()

    def save(self, path: Path) -> None:
        """Write the table of the sheet that is seen; ``saved`` or ``refused`` tells the outcome."""
        self._write(path, self.csv_text())

    def _save_pending(self, name: str) -> None:
        self._write(Path(name), self._pending)

    def _write(self, path: Path, text: str) -> None:
        try:
            write_whole(path, text, "choose another folder")
        except SpeckleScopeError as error:
            self.refused.emit(str(error))
        else:
            self.saved.emit(str(path))

    def _on_sheet(self) -> None:
        self.refresh()

    def _on_removed(self) -> None:
        self.refresh()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Show numbers at once."""
        super().showEvent(event)
        self.refresh()
