"""The table of all measurements with their numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from app.gui.image_view.measure.measurements import Measurements
from app.gui.image_view.measure.plots import number_text
from app.gui.image_view.measure.shape_item import COLOURS
from app.gui.widgets.formatting import UNKNOWN
from app.measuring.measurement import Result

_MICRO = "\N{MICRO SIGN}"
#: Headings, and the numbers below them.
_COLUMNS = (
    ("Name", ""),
    ("Frame", ""),
    ("Mean", "mean"),
    ("Std", "std"),
    ("Min", "min"),
    ("Max", "max"),
    (f"Length / {_MICRO}m", "length_um"),
    ("Angle / \N{DEGREE SIGN}", "angle_deg"),
    (f"Area / {_MICRO}m\N{SUPERSCRIPT TWO}", "area_um2"),
    ("Saturated", "saturated_fraction"),
    ("Unit", ""),
)


class ResultsTable(QTableWidget):
    """One row for each measurement; a dash where there is no number."""

    chosen = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__(0, len(_COLUMNS))
        self.setHorizontalHeaderLabels([heading for heading, _ in _COLUMNS])
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAccessibleName("Measurements")
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        if rows is not None and columns is not None:
            rows.hide()
            columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.itemSelectionChanged.connect(self._tell)

    def show_selection(self, name: str) -> None:
        """Select the row of a measurement; none for an empty name."""
        names = [self.text(row, "Name") for row in range(self.rowCount())]
        with QSignalBlocker(self):
            self.selectRow(names.index(name)) if name in names else self.clearSelection()

    def show_results(self, results: Sequence[Result], measurements: Measurements) -> None:
        """Show the newest numbers."""
        with QSignalBlocker(self):  # a row that goes away is no choice of the operator
            self.setRowCount(len(results))
        for row, result in enumerate(results):
            name = result.measurement.name
            for column, text in enumerate(_texts(result)):
                item = self.item(row, column)
                if item is None:
                    item = QTableWidgetItem()
                    if column not in (0, len(_COLUMNS) - 1):
                        item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                    self.setItem(row, column, item)
                if item.text() != text:
                    item.setText(text)
                if column == 0:
                    item.setForeground(QColor(COLOURS[measurements.colour_number(name) % len(COLOURS)]))
                    item.setToolTip(_where(result))

    def text(self, row: int, heading: str) -> str:
        """Return what stands in a row below a heading; raises StopIteration for a heading that does not exist."""
        column = next(k for k, (name, _) in enumerate(_COLUMNS) if name.startswith(heading))
        item = self.item(row, column)
        return "" if item is None else item.text()

    def _tell(self) -> None:
        rows = self.selectedItems()
        if rows:
            self.chosen.emit(self.text(rows[0].row(), "Name"))


def _texts(result: Result) -> list[str]:
    picture = result.picture
    frame = UNKNOWN if picture is None or picture.frame_index is None else str(picture.frame_index)
    texts = [result.measurement.name, frame]
    for _, key in _COLUMNS[2:-1]:
        value = result.numbers.get(key, math.nan)
        if key == "saturated_fraction":
            texts.append(f"{value:.2%}" if math.isfinite(value) else UNKNOWN)
        else:
            texts.append(number_text(value))
    return [*texts, UNKNOWN if picture is None else picture.unit]


def _where(result: Result) -> str:
    shape = ", ".join(f"{name.removesuffix('_um')} {value:.1f}" for name, value in vars(result.measurement.shape).items())
    filters = f"; {', '.join(result.picture.filters)}" if result.picture is not None and result.picture.filters else ""
    return f"On {result.measurement.picture}: {shape} {_MICRO}m{filters}"
