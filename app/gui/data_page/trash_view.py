"""The trash of the archives: what lies there, to be restored, or to be deleted for good."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.gui.widgets.formatting import count
from app.gui.widgets.icons import icon
from app.gui.widgets.problem_label import ProblemLabel
from app.gui.widgets.rows_table import show_as_rows
from app.gui.widgets.style import GAP_PX, set_style
from app.library.description import size_text
from app.library.trash import TrashedEntry
from drivers.visible_text import visible

_HEADINGS = ("Name", "Where it was", "Moved to the trash", "Size")


class TrashView(QWidget):
    """A list of what lies in the trash. It emits a signal for every request, and decides nothing itself."""

    back_clicked = pyqtSignal()
    #: A tuple of TrashedEntry.
    restore_requested = pyqtSignal(object)
    empty_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._entries: tuple[TrashedEntry, ...] = ()
        self.back = QPushButton("Back to the list")
        self.back.setIcon(icon("back"))
        self.restore = QPushButton("Restore")
        self.restore.setToolTip("Move what is selected back to where it was")
        set_style(self.restore, "tone", "primary")
        self.empty = QPushButton("Empty trash…")
        self.empty.setIcon(icon("trash"))
        self.empty.setToolTip("Delete everything that is listed here for good; it asks first")
        self.text = QLabel()
        self.problem = ProblemLabel()
        self.table = QTableWidget(0, len(_HEADINGS))
        self._build()
        self.back.clicked.connect(self.back_clicked)
        self.restore.clicked.connect(self._restore)
        self.empty.clicked.connect(self.empty_requested)
        self.table.itemSelectionChanged.connect(self._show_enabled)
        self.show_entries(())

    @property
    def entries(self) -> tuple[TrashedEntry, ...]:
        """What is listed."""
        return self._entries

    @property
    def selected(self) -> tuple[TrashedEntry, ...]:
        """What is selected."""
        selection = self.table.selectionModel()
        rows = sorted(index.row() for index in selection.selectedRows()) if selection is not None else []
        return tuple(self._entries[row] for row in rows)

    def show_entries(self, entries: Sequence[TrashedEntry]) -> None:
        """List what lies in the trash, the newest first."""
        self._entries = tuple(sorted(entries, key=lambda entry: entry.trashed, reverse=True))
        self.table.clearSelection()
        self.table.setRowCount(len(self._entries))
        for row, entry in enumerate(self._entries):
            texts = (
                entry.former.name,
                str(entry.former.parent),
                f"{entry.trashed:%Y-%m-%d %H:%M}",
                size_text(entry.size_bytes),
            )
            for column, text in enumerate(texts):
                cell = QTableWidgetItem(visible(text))
                cell.setToolTip(visible(text))
                self.table.setItem(row, column, cell)
        self.text.setText(_sum_text(self._entries))
        self._show_enabled()

    def _restore(self) -> None:
        self.problem.show_problem("")
        self.restore_requested.emit(self.selected)

    def _show_enabled(self) -> None:
        self.restore.setEnabled(bool(self.selected))
        self.empty.setEnabled(bool(self._entries))

    def _build(self) -> None:
        table = self.table
        show_as_rows(table, _HEADINGS, "Trash", wide_column=1)
        table.setTabKeyNavigation(False)
        buttons = QHBoxLayout()
        buttons.addWidget(self.back)
        buttons.addWidget(self.text, 1)
        buttons.addWidget(self.restore)
        buttons.addWidget(self.empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, 4)
        layout.addLayout(buttons)
        layout.addWidget(self.problem)
        layout.addWidget(table, 1)


def _sum_text(entries: Sequence[TrashedEntry]) -> str:
    if not entries:
        return "The trash is empty"
    noun = "entry" if len(entries) == 1 else "entries"
    return f"{count(len(entries))} {noun} in the trash, {size_text(sum(entry.size_bytes for entry in entries))}"
