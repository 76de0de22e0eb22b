"""The list of entries as a model of Qt: a row for each entry, a column for each fact, sorted by one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from PyQt6.QtCore import QAbstractTableModel, QModelIndex, Qt
from PyQt6.QtGui import QIcon, QPixmap

from app.gui.data_page.entry_list.thumbnail_loader import ThumbnailLoader
from app.gui.widgets.formatting import count, duration
from app.gui.widgets.icons import Ink, icon
from app.library.description import size_text
from app.library.entry import Entry, EntryEnd, EntryKind
from drivers.visible_text import visible

#: Role of the second line of a cell.
SECOND_LINE = Qt.ItemDataRole.UserRole + 1
_LONG_AGO = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, kw_only=True)
class ColumnText:
    """How a column appears.

    Parameters
    ----------
    title : str
        Its heading.
    width_px : int
        Its width at the smallest size of texts; 0 for what is left.
    right : bool
        Whether it holds numbers, which stand at the right.
    """

    title: str
    width_px: int
    right: bool = False


class Column(Enum):
    """The columns, from left to right."""

    PICTURE = ColumnText(title="Picture", width_px=106)
    STAR = ColumnText(title="Star", width_px=46)
    NAME = ColumnText(title="Name", width_px=0)
    KIND = ColumnText(title="Kind", width_px=78)
    DATE = ColumnText(title="Date", width_px=88)
    LENGTH = ColumnText(title="Length", width_px=64, right=True)
    COUNT = ColumnText(title="Frames", width_px=62, right=True)
    SIZE = ColumnText(title="Size", width_px=68, right=True)
    INSTRUMENT = ColumnText(title="Instrument", width_px=104)
    ENDED = ColumnText(title="Ended", width_px=140)


COLUMNS = tuple(Column)
KINDS: Mapping[EntryKind, str] = {
    EntryKind.RECORDING: "Recording",
    EntryKind.DATASET: "Dataset",
    EntryKind.SNAPSHOT: "Snapshot",
    EntryKind.UNREADABLE: "Unreadable",
}
_ENDS: Mapping[EntryEnd, tuple[str, str, Ink]] = {
    EntryEnd.COMPLETE: ("complete", "good", Ink.GOOD),
    EntryEnd.STOPPED: ("stopped", "stop", Ink.MUTED),
    EntryEnd.FAILED: ("error", "error", Ink.ALARM),
    EntryEnd.CUT_OFF: ("cut off", "warning", Ink.WARNING),
    EntryEnd.WRITING: ("being written", "record", Ink.ACCENT),
    EntryEnd.UNKNOWN: ("unreadable", "error", Ink.ALARM),
}
_SORT_KEYS: Mapping[Column, Callable[[Entry], Any]] = {
    Column.STAR: lambda entry: entry.notes.star,
    Column.NAME: lambda entry: entry.name.casefold(),
    Column.KIND: lambda entry: KINDS[entry.kind],
    Column.DATE: lambda entry: entry.date or _LONG_AGO,
    Column.LENGTH: lambda entry: entry.seconds or 0.0,
    Column.COUNT: lambda entry: entry.frames + entry.pairs,
    Column.SIZE: lambda entry: entry.size_bytes,
    Column.INSTRUMENT: lambda entry: (entry.instrument.casefold(), entry.model.casefold()),
    Column.ENDED: lambda entry: _ENDS[entry.end][0],
}
_FIRST_LINES: Mapping[Column, Callable[[Entry], str]] = {
    Column.NAME: lambda entry: f"frame {entry.name}" if _is_numbered_snapshot(entry) else entry.shown_name,
    Column.KIND: lambda entry: KINDS[entry.kind],
    Column.DATE: lambda entry: f"{entry.date:%Y-%m-%d}" if entry.date else "",
    Column.LENGTH: lambda entry: duration(entry.seconds) if entry.kind is EntryKind.RECORDING else "",
    Column.COUNT: lambda entry: count(entry.frames + entry.pairs) if entry.kind is not EntryKind.UNREADABLE else "",
    Column.SIZE: lambda entry: size_text(entry.size_bytes),
    Column.INSTRUMENT: lambda entry: visible(entry.instrument),
    Column.ENDED: lambda entry: end_sign(entry)[0],
}
_SECOND_LINES: Mapping[Column, Callable[[Entry], str]] = {
    Column.NAME: lambda entry: _tags(entry),
    Column.KIND: lambda entry: "simulated" if entry.simulated else "",
    Column.DATE: lambda entry: f"{entry.date:%H:%M:%S}" if entry.date else "",
    Column.COUNT: lambda entry: "pairs" if entry.kind is EntryKind.DATASET else "",
    Column.INSTRUMENT: lambda entry: visible(entry.model),
    Column.ENDED: lambda entry: f"{count(entry.frames_without_phase)} without phase" if entry.frames_without_phase else "",
}


def end_sign(entry: Entry) -> tuple[str, str, Ink]:
    """Return how an entry ended: a word or two, the name of an icon, and its colour."""
    if entry.end is EntryEnd.COMPLETE and entry.problem:
        return "damaged", "error", Ink.ALARM
    if entry.end is EntryEnd.COMPLETE and entry.has_faults:
        return "with faults", "warning", Ink.WARNING
    return _ENDS[entry.end]


def _is_numbered_snapshot(entry: Entry) -> bool:
    """Whether an entry is a snapshot that nobody has named: its name is the number of its frame."""
    return entry.kind is EntryKind.SNAPSHOT and entry.name.isdecimal()


def _tags(entry: Entry) -> str:
    notes = entry.notes
    return visible(", ".join(notes.tags) or notes.text.partition("\n")[0])


class EntryModel(QAbstractTableModel):
    """The entries that fit the filters.

    Parameters
    ----------
    pictures : ThumbnailLoader
        Makes their small pictures.
    """

    def __init__(self, pictures: ThumbnailLoader) -> None:
        super().__init__()
        self._pictures = pictures
        self._entries: tuple[Entry, ...] = ()
        self._column = Column.DATE
        self._descending = True

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries, from top to bottom."""
        return self._entries

    @property
    def order(self) -> tuple[Column, bool]:
        """The column by which they are sorted, and whether the largest comes first."""
        return self._column, self._descending

    def set_order(self, column: Column, *, descending: bool) -> None:
        """Choose the order; the list is sorted anew."""
        if column in _SORT_KEYS:
            self._column, self._descending = column, descending
            self.show_entries(self._entries)

    def show_entries(self, entries: Sequence[Entry]) -> bool:
        """Show other entries; return whether rows came, went or moved: then nothing is selected any more."""
        chosen = sorted(entries, key=_SORT_KEYS[self._column], reverse=self._descending)
        before, self._entries = self._entries, tuple(chosen)
        if [entry.path for entry in before] != [entry.path for entry in chosen]:
            self._entries = before
            self.beginResetModel()
            self._entries = tuple(chosen)
            self.endResetModel()
            return True
        for row, (old, new) in enumerate(zip(before, chosen, strict=True)):
            if old is not new and old != new:
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))
        return False

    def show_pictures(self) -> None:
        """Paint the pictures anew: some have come."""
        if self._entries:
            column = COLUMNS.index(Column.PICTURE)
            self.dataChanged.emit(self.index(0, column), self.index(len(self._entries) - 1, column))

    # -- for Qt ---------------------------------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of entries."""
        return 0 if parent is not None and parent.isValid() else len(self._entries)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the title of a column."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        text = COLUMNS[section].value
        if role == Qt.ItemDataRole.DisplayRole:
            return text.title
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(text)
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid():
            return None
        entry, column = self._entries[index.row()], COLUMNS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return _FIRST_LINES[column](entry) if column in _FIRST_LINES else ""
        if role == SECOND_LINE:
            return _SECOND_LINES[column](entry) if column in _SECOND_LINES else ""
        if role == Qt.ItemDataRole.DecorationRole:
            return self._decoration(entry, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column.value)
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tip(entry, column)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return _spoken(entry, column)
        return None

    def _decoration(self, entry: Entry, column: Column) -> QIcon | QPixmap | None:
        if column is Column.PICTURE:
            return self._pictures.pixmap(entry)
        if column is Column.STAR:
            return icon("starred", Ink.WARNING) if entry.notes.star else icon("star", Ink.FAINT)
        if column is Column.ENDED:
            return icon(*end_sign(entry)[1:])
        return None


def _alignment(text: ColumnText) -> Qt.AlignmentFlag:
    return Qt.AlignmentFlag.AlignVCenter | (Qt.AlignmentFlag.AlignRight if text.right else Qt.AlignmentFlag.AlignLeft)


def _tip(entry: Entry, column: Column) -> str:
    if column is Column.STAR:
        return "Click to take the star away" if entry.notes.star else "Click to give it a star"
    if column is Column.ENDED:
        return entry.problem or entry.ended
    if column is Column.NAME:
        return "\n".join(part for part in (entry.shown_name, _tags(entry)) if part)
    return ""


def _spoken(entry: Entry, column: Column) -> str:
    if column is Column.STAR:
        return "with a star" if entry.notes.star else "without a star"
    lines = [lines[column](entry) for lines in (_FIRST_LINES, _SECOND_LINES) if column in lines]
    return ", ".join(line for line in lines if line)
