"""Tables of rows: a row is selected as a whole, and nothing is edited in its cells."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget


def show_as_rows(table: QTableWidget, headings: Sequence[str], name: str, *, wide_column: int | None = None) -> None:
    """Give a table its headings and the look of a list of rows.

    Parameters
    ----------
    table : QTableWidget
        It has a column for each heading.
    headings : sequence of str
        Headings of its columns.
    name : str
        What it shows, for screen readers.
    wide_column : int, optional
        The column that has the width that the others leave. None is the last one, which is as wide as its texts at least.
    """
    table.setHorizontalHeaderLabels(headings)
    table.setAccessibleName(name)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setWordWrap(False)
    table.setShowGrid(False)
    rows, columns = table.verticalHeader(), table.horizontalHeader()
    assert rows is not None
    assert columns is not None
    rows.hide()
    columns.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    if wide_column is None:
        columns.setStretchLastSection(True)
    else:
        columns.setSectionResizeMode(wide_column, QHeaderView.ResizeMode.Stretch)


def select_one_row(table: QTableWidget) -> None:
    """Let one row be selected at a time, and let Tab leave the table."""
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setTabKeyNavigation(False)


def set_low_rows(table: QTableWidget) -> None:
    """Make rows little higher than their texts."""
    rows = table.verticalHeader()
    assert rows is not None
    rows.setDefaultSectionSize(rows.minimumSectionSize() + 4)


def rows_table(headings: Sequence[str], name: str) -> QTableWidget:
    """Return an empty table of rows, one of which can be selected; see :func:`show_as_rows`."""
    table = QTableWidget(0, len(headings))
    show_as_rows(table, headings, name)
    select_one_row(table)
    return table
