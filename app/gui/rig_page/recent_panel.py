"""The instruments that were opened last: simulated or real, when, and whether their file is still there."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from acquisition.streams.channel import Stage
from app.gui.rig_page.note import Note, NoteLevel
from app.gui.widgets.icons import Ink, icon
from app.gui.widgets.rows_table import rows_table
from app.gui.widgets.style import GAP_PX, set_style
from app.instrument.recent_instruments import InstrumentSort, RecentInstrument

_COLUMNS = ("Name", "Kind", "Last used", "State", "File")
_BUILT_IN = "Simulated instrument"
_SIGNS = {InstrumentSort.REAL: "sliders", InstrumentSort.SIMULATED: "live", InstrumentSort.RECORDING: "play"}


class FileState(Enum):
    """Whether the file of an instrument can be found."""

    UNKNOWN = auto()
    PRESENT = auto()
    MISSING = auto()
    OPEN = auto()


_STATES = {
    FileState.UNKNOWN: ("looking for it\N{HORIZONTAL ELLIPSIS}", "wait", Ink.MUTED),
    FileState.PRESENT: ("can be opened", "good", Ink.GOOD),
    FileState.MISSING: ("file is missing", "error", Ink.ALARM),
    FileState.OPEN: ("open now", "live", Ink.ACCENT),
}


class RecentPanel(QWidget):
    """A list; one click chooses an instrument, a button or a double click opens it."""

    #: An instrument is to be opened; its path, or None for the built-in simulated one.
    open_requested = pyqtSignal(object)
    #: An instrument is to be shown in the set-up form; its path, or None.
    set_up_requested = pyqtSignal(object)
    #: An entry is to be taken off the list; its path.
    removal_requested = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self._recent: tuple[RecentInstrument, ...] = ()
        self._present: dict[Path, bool] = {}  # written by the thread that looks, one entry after another
        self._search: Stage | None = None
        self._open: Path | None = None
        self._has_open = False
        self.table = rows_table(_COLUMNS, "Recent instruments")
        self.note = Note("The chosen instrument")
        self.open_button = QPushButton("Open")
        self.set_up_button = QPushButton("Set up\N{HORIZONTAL ELLIPSIS}")
        self.remove_button = QPushButton("Remove from list")
        self.browse_button = QPushButton("Open another file\N{HORIZONTAL ELLIPSIS}")
        set_style(self.open_button, "tone", "primary")
        tips = {
            self.open_button: "Open the chosen instrument; one that is open is closed first, and a recording is asked about",
            self.set_up_button: "Show the settings of the chosen instrument, to change them",
            self.remove_button: "Take the chosen instrument off this list; its file stays",
            self.browse_button: "Choose an instrument file that is not in this list",
        }
        row = QHBoxLayout()
        for button, tip in tips.items():
            button.setToolTip(tip)
            row.addWidget(button)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, 4)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.note)
        layout.addLayout(row)
        self.table.itemSelectionChanged.connect(self._show_choice)
        self.table.itemDoubleClicked.connect(lambda _: self._open_chosen())
        self.open_button.clicked.connect(self._open_chosen)
        self.set_up_button.clicked.connect(lambda: self.set_up_requested.emit(self._path()))
        self.remove_button.clicked.connect(lambda: self.removal_requested.emit(self._path()))
        self.browse_button.clicked.connect(self._browse)

    def show_recent(self, recent: Sequence[RecentInstrument]) -> None:
        """Show the instruments, the newest at the top, and look for their files in a thread."""
        self._recent = tuple(recent)
        self._fill()
        if self._search is None or not self._search.running:
            self._search = Stage("files of instruments", self._look)
            self._search.start()

    def show_open(self, path: Path | None, *, is_open: bool) -> None:
        """Say which instrument is open; None is the built-in one."""
        self._open, self._has_open = path, is_open
        self.refresh()

    def refresh(self) -> None:
        """Show what the search for the files has found so far; a timer calls it."""
        for row in range(self.table.rowCount()):
            state = self._state_of(row)
            text, sign, ink = _STATES[state]
            item = self.table.item(row, 3)
            if item is not None and item.text() != text:
                item.setText(text)
                item.setIcon(icon(sign, ink))
        self._show_choice()

    def _look(self, stop: threading.Event) -> None:
        """Look for the files; on a network drive this may last seconds."""
        for one in self._recent:
            if stop.is_set():
                return
            self._present[one.path] = one.is_there

    def _fill(self) -> None:
        self.table.setRowCount(1 + len(self._recent))
        simulated = InstrumentSort.SIMULATED
        self._fill_row(0, (_BUILT_IN, simulated.value, "", "", "built in; needs no file"), simulated)
        for row, one in enumerate(self._recent, 1):
            self._fill_row(row, (one.name, one.sort.value, _local(one.used_utc), "", str(one.path)), one.sort)
        self.refresh()
        if not self.table.selectedItems():
            self.table.selectRow(0)

    def _fill_row(self, row: int, texts: Sequence[str], sort: InstrumentSort) -> None:
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setToolTip(text)
            if column == 1:
                item.setIcon(icon(_SIGNS[sort], Ink.MUTED))
            self.table.setItem(row, column, item)

    def _chosen(self) -> RecentInstrument | None:
        """Return the chosen instrument; None for the built-in one."""
        row = self.table.currentRow()
        return self._recent[row - 1] if 1 <= row <= len(self._recent) else None

    def _path(self) -> Path | None:
        chosen = self._chosen()
        return chosen.path if chosen is not None else None

    def _state_of(self, row: int) -> FileState:
        path = self._recent[row - 1].path if row else None
        if self._has_open and path == self._open:
            return FileState.OPEN
        if path is None:
            return FileState.PRESENT
        present = self._present.get(path)
        return FileState.UNKNOWN if present is None else FileState.PRESENT if present else FileState.MISSING

    def _show_choice(self) -> None:
        chosen, state = self._chosen(), self._state_of(max(0, self.table.currentRow()))
        is_file = chosen is None or chosen.sort is not InstrumentSort.RECORDING
        self.open_button.setEnabled(state in (FileState.UNKNOWN, FileState.PRESENT))
        self.set_up_button.setEnabled(is_file and state is not FileState.MISSING)
        self.remove_button.setEnabled(chosen is not None)
        if state is FileState.MISSING and chosen is not None:
            text = f"{chosen.path} is missing. Put it back, plug in its disk, or remove it from the list."
            self.note.tell(text, NoteLevel.ERROR)
        elif state is FileState.OPEN:
            self.note.tell("This instrument is open now.")
        else:
            self.note.tell("")

    def _open_chosen(self) -> None:
        if self.open_button.isEnabled():
            self.open_requested.emit(self._path())

    def _browse(self) -> None:
        files = "Instrument files (*.yaml *.yml)"
        name, _ = QFileDialog.getOpenFileName(self, "Open an instrument file", "", files)
        if name:
            self.open_requested.emit(Path(name))


def _local(used_utc: str) -> str:
    """Return a time in UTC as this computer shows times; a text that is none stays as it is."""
    try:
        return datetime.fromisoformat(used_utc).replace(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return used_utc
