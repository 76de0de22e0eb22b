"""The table of cells: one row for each, with its identity in its colour and its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from PyQt6.QtCore import QItemSelection, QItemSelectionModel, QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from app.gui.image_view.cell_marks import CellSizes, identity_colour
from app.gui.live_page.cells.texts import QUANTITIES, narrow_heading, value_text
from app.gui.widgets.rows_table import set_low_rows, show_as_rows
from reconstruction.cells.table import CellQuantity, CellTable

#: Of all columns but the last.
_WIDTHS_PX: Final = (42, 50, 52, 58)
_LOWEST_PX: Final = 130
_LEAST: Final = ".\nThis model gives no uncertainty: ± is that of the noise beside the cell, so it is a lower bound"
_CUT: Final = "The edge of the field cuts this cell off: its numbers are those of a part"


class CellRows(QTableWidget):
    """A dash stands where a number is not known. Several rows can be selected."""

    #: The identities that the operator has selected, as a tuple.
    chosen_changed = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__(0, 1 + len(CellQuantity))
        show_as_rows(self, ["Cell", *(narrow_heading(quantity) for quantity in CellQuantity)], "Cells")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setTabKeyNavigation(False)
        set_low_rows(self)
        self.setObjectName("narrow")
        columns = self.horizontalHeader()
        assert columns is not None
        # Widths that follow the texts would make the columns jump from frame to frame.
        columns.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        columns.setSectionResizeMode(len(_WIDTHS_PX), QHeaderView.ResizeMode.Stretch)
        for column, width in enumerate(_WIDTHS_PX):
            columns.resizeSection(column, width)
        columns.setHighlightSections(False)
        columns.setDefaultAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        for column, quantity in enumerate(CellQuantity, start=1):
            item = self.horizontalHeaderItem(column)
            if item is not None:
                item.setToolTip(QUANTITIES[quantity][2])
        self.setMinimumHeight(_LOWEST_PX)
        self._identities: tuple[int, ...] = ()
        self._chosen: tuple[int, ...] = ()
        self.itemSelectionChanged.connect(self._note_selection)

    @property
    def identities(self) -> tuple[int, ...]:
        """The cells of the rows, from top to bottom."""
        return self._identities

    @property
    def chosen(self) -> tuple[int, ...]:
        """The cells that the operator has selected, also one that has left."""
        return self._chosen

    def show_cells(self, cells: CellTable | None, sizes: CellSizes) -> None:
        """Show the cells that pass, in the order of their identities; None shows no row."""
        places: Sequence[int] = []
        if cells is not None:
            passing = np.flatnonzero(sizes.passes(cells))
            places = [int(place) for place in passing[np.argsort(cells.identity[passing], kind="stable")]]
        identities = tuple(int(cells.identity[place]) for place in places) if cells is not None else ()
        with QSignalBlocker(self):  # a row that goes away is no choice of the operator
            self.setRowCount(len(places))
            for row, place in enumerate(places):
                assert cells is not None
                self._show_row(row, place, cells)
            if identities != self._identities:
                self._identities = identities
                self._select_chosen()

    def text(self, row: int, column: int) -> str:
        """Return what stands in a cell of the table."""
        item = self.item(row, column)
        return "" if item is None else item.text()

    def _show_row(self, row: int, place: int, cells: CellTable) -> None:
        identity, is_cut = int(cells.identity[place]), bool(cells.is_cut[place])
        first = self._item(row, 0, f"{identity} \N{BLACK SCISSORS}" if is_cut else str(identity))
        first.setForeground(QColor(identity_colour(identity)))
        first.setToolTip(_CUT if is_cut else "")
        for column, quantity in enumerate(CellQuantity, start=1):
            value, std = float(cells.values(quantity)[place]), float(cells.std(quantity)[place])
            both = value_text(value, std)
            # The window is narrow: where there is no room, the uncertainty is in the tool tip.
            item = self._item(row, column, both if quantity is CellQuantity.DRY_MASS else value_text(value))
            bound = _LEAST if cells.is_least_std and both != value_text(value) else ""
            known = f"{both} {QUANTITIES[quantity][1]}{bound}"
            item.setToolTip(known if math.isfinite(value) else QUANTITIES[quantity][2])

    def _item(self, row: int, column: int, text: str) -> QTableWidgetItem:
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, column, item)
        if item.text() != text:
            item.setText(text)
        return item

    def _select_chosen(self) -> None:
        selected = QItemSelection()
        model, selection = self.model(), self.selectionModel()
        assert model is not None
        assert selection is not None
        for row, identity in enumerate(self._identities):
            if identity in self._chosen:
                selected.select(model.index(row, 0), model.index(row, self.columnCount() - 1))
        selection.select(selected, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def _note_selection(self) -> None:
        rows = sorted({item.row() for item in self.selectedItems()})
        self._chosen = tuple(self._identities[row] for row in rows if row < len(self._identities))
        self.chosen_changed.emit(self._chosen)
