"""A plain table of names and values, and a list of sentences that is as high as its lines."""

from __future__ import annotations

from collections.abc import Iterable

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHeaderView, QListWidget, QTableWidget, QTableWidgetItem

_ROW_PX = 24
_MOST_LINES = 5


class FactsTable(QTableWidget):
    """Two columns without headings; nothing in it can be edited.

    Parameters
    ----------
    name : str
        What it lists, for people who cannot see it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(0, 2)
        self.setAccessibleName(name)
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        rows.setDefaultSectionSize(_ROW_PX)
        columns.hide()
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setStretchLastSection(True)

    def show_facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Show names and values; nothing is seen of an empty table."""
        shown = tuple(facts)
        self.setRowCount(len(shown))
        for row, texts in enumerate(shown):
            for column, text in enumerate(texts):
                cell = QTableWidgetItem(text)
                cell.setToolTip(text)
                self.setItem(row, column, cell)
        self.setVisible(bool(shown))


class Sentences(QListWidget):
    """Problems and notes, one below the other.

    Parameters
    ----------
    name : str
        What they are about, for people who cannot see them.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setWordWrap(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.show_texts(())

    @property
    def texts(self) -> list[str]:
        """The sentences that are shown."""
        return [item.text() for row in range(self.count()) if (item := self.item(row)) is not None]

    def show_texts(self, texts: Iterable[str]) -> None:
        """Show sentences; nothing is seen while there are none."""
        self.clear()
        self.addItems(list(texts))
        lines = min(_MOST_LINES, 2 * self.count())  # a sentence may need two lines
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + 8)
        self.setVisible(self.count() > 0)
