"""The datasets of an archive as a table, the unfinished ones first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QIcon
from PyQt6.QtWidgets import QTableWidget, QTableWidgetItem

from app.datasets.dataset_list import ListedDataset, Verified
from app.gui.widgets.formatting import count
from app.gui.widgets.icons import Ink, icon
from app.gui.widgets.rows_table import select_one_row, show_as_rows
from app.library.entry import EntryEnd

_HEADINGS = ("Name", "Date", "Pairs", "State")
_VERIFIED = {
    Verified.YES: ("good", Ink.GOOD, "complete, verified"),
    Verified.NO: ("error", Ink.ALARM, "verification failed"),
    Verified.UNKNOWN: ("info", Ink.MUTED, "complete, not verified"),
}


class DatasetTable(QTableWidget):
    """One row for each dataset; a row is selected as a whole."""

    def __init__(self) -> None:
        super().__init__(0, len(_HEADINGS))
        self._datasets: tuple[ListedDataset, ...] = ()
        show_as_rows(self, _HEADINGS, "Datasets", wide_column=0)
        select_one_row(self)

    @property
    def selected(self) -> ListedDataset | None:
        """The dataset of the selected row."""
        row = self.currentRow()
        return self._datasets[row] if 0 <= row < len(self._datasets) else None

    def show_datasets(self, datasets: Sequence[ListedDataset]) -> None:
        """Show datasets; the one that was selected stays selected."""
        before = self.selected
        self._datasets = tuple(datasets)
        self.setRowCount(len(self._datasets))
        for row, dataset in enumerate(self._datasets):
            self._show_row(row, dataset)
        if before is not None and not self.select(before.path):
            self.setCurrentCell(-1, -1)

    def select(self, path: Path) -> bool:
        """Select the dataset of a folder; return whether it is listed."""
        row = next((row for row, dataset in enumerate(self._datasets) if dataset.path == path), -1)
        if row >= 0:
            self.setCurrentCell(row, 0)
        return row >= 0

    def _show_row(self, row: int, dataset: ListedDataset) -> None:
        entry = dataset.entry
        missing = dataset.resumable.missing if dataset.resumable is not None else 0
        of_all = f" of {count(len(dataset.resumable.plan))}" if dataset.resumable is not None else ""
        sign, text = _state(dataset)
        cells = (
            (entry.shown_name, None),
            (f"{entry.date:%Y-%m-%d %H:%M}" if entry.date is not None else "", None),
            (f"{count(entry.pairs)}{of_all}", None),
            (text, sign),
        )
        tip = f"{entry.path.name}\n{entry.ended}" + (f"\n{count(missing)} pairs are missing" if missing else "")
        for column, (shown, picture) in enumerate(cells):
            cell = QTableWidgetItem(shown)
            if picture is not None:
                cell.setIcon(picture)
            if column == 2:
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            cell.setToolTip(tip)
            self.setItem(row, column, cell)


def _state(dataset: ListedDataset) -> tuple[QIcon, str]:
    if dataset.entry.end is EntryEnd.WRITING:
        return icon("record", Ink.ACCENT), "being written"
    if dataset.is_unfinished:
        return icon("warning", Ink.WARNING), f"unfinished: {dataset.entry.end.value}"
    name, ink, text = _VERIFIED[dataset.verified]
    return icon(name, ink), text
