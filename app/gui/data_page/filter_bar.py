"""The line at the top: search, kinds, dates and stars; the archives, and the trash."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QKeySequence, QShortcut
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QMenu, QPushButton, QToolButton, QWidget

from app.gui.data_page.filters import DateFilter, Filters, KindFilter
from app.gui.widgets.icons import Ink, icon
from app.library.archives import ArchiveState, ArchiveStatus
from drivers.visible_text import visible

_TIP = (
    'Words in the name, notes, tags, date, instrument or model. "two words" belong together, -word leaves out,\n'
    "#tag looks among the tags; today, yesterday, starred, unfinished, simulated and untagged mean just that  (Ctrl+F)"
)


class FilterBar(QWidget):
    """What is shown of the list. It emits a signal for every request, and decides nothing itself."""

    #: The operator has changed what is shown.
    changed = pyqtSignal()
    add_requested = pyqtSignal()
    #: An archive shall not be listed any more; its Path.
    remove_requested = pyqtSignal(object)
    #: All archives shall be looked at again now.
    look_requested = pyqtSignal()
    #: The operator goes from the search down into the list.
    list_requested = pyqtSignal()
    #: The trash shall be shown.
    trash_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.search = QLineEdit()
        self.kind = QComboBox()
        self.date = QComboBox()
        self.starred = QToolButton()
        self.archives = QPushButton("Archives")
        self.trash = QPushButton("Trash")
        self.menu = QMenu(self)
        self._statuses: tuple[ArchiveStatus, ...] = ()
        self._own: Path | None = None
        self._build()
        down = QShortcut(QKeySequence("Down"), self.search)
        down.setContext(Qt.ShortcutContext.WidgetShortcut)
        down.activated.connect(self.list_requested)
        self.menu.aboutToShow.connect(self.fill_menu)
        self.search.textChanged.connect(self._tell)
        self.kind.currentIndexChanged.connect(self._tell)
        self.date.currentIndexChanged.connect(self._tell)
        self.starred.toggled.connect(self._tell)
        self.trash.clicked.connect(self.trash_requested)
        self.menu.triggered.connect(self._choose)

    def filters(self) -> Filters:
        """Return what is to be shown."""
        return Filters(
            query=self.search.text(),
            kind=self.kind.currentData(),
            date=self.date.currentData(),
            starred=self.starred.isChecked(),
        )

    def show_filters(self, filters: Filters) -> None:
        """Set every filter; one signal tells it."""
        with QSignalBlocker(self):
            self.search.setText(filters.query)
            self.kind.setCurrentIndex(list(KindFilter).index(filters.kind))
            self.date.setCurrentIndex(list(DateFilter).index(filters.date))
            self.starred.setChecked(filters.starred)
        self.changed.emit()

    def type(self, letters: str) -> None:
        """Go on in the search with letters that were typed elsewhere."""
        self.search.setFocus()
        self.search.setCursorPosition(len(self.search.text()))
        self.search.insert(letters)

    def show_archives(self, statuses: Sequence[ArchiveStatus], own: Path | None) -> None:
        """List the archives; all but that of the instrument can be removed from the list."""
        self.archives.setText(f"Archives ({len(statuses)})" if len(statuses) > 1 else "Archives")
        self._statuses = tuple(statuses)
        self._own = own

    def fill_menu(self) -> None:
        """Write into the menu what is known now."""
        self.menu.clear()
        for status in self._statuses:
            shown = self.menu.addAction(_archive_text(status))
            assert shown is not None
            shown.setEnabled(False)
        self.menu.addSeparator()
        self._add("Add a folder…", _MenuChoice.ADD, None)
        self._add("Look at all again", _MenuChoice.LOOK, None)
        for status in self._statuses:
            if status.root != self._own:
                self._add(f"Remove {visible(status.root.name)} from this list", _MenuChoice.REMOVE, status.root)

    def _add(self, text: str, choice: _MenuChoice, root: Path | None) -> QAction:
        action = self.menu.addAction(text)
        assert action is not None
        action.setData((choice, root))
        return action

    def _choose(self, action: QAction) -> None:
        choice, root = action.data()
        if choice is _MenuChoice.ADD:
            self.add_requested.emit()
        elif choice is _MenuChoice.LOOK:
            self.look_requested.emit()
        else:
            self.remove_requested.emit(root)

    def _tell(self) -> None:
        self.starred.setIcon(icon("starred", Ink.WARNING) if self.starred.isChecked() else icon("star"))
        self.changed.emit()

    def _build(self) -> None:
        self.search.setPlaceholderText("Search")
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icon("search", Ink.MUTED), QLineEdit.ActionPosition.LeadingPosition)
        for kind in KindFilter:
            self.kind.addItem(kind.value, kind)
        for date in DateFilter:
            self.date.addItem(date.value, date)
        self.starred.setCheckable(True)
        self.starred.setIcon(icon("star"))
        self.starred.setText("Starred")
        self.starred.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.archives.setIcon(icon("folder"))
        self.archives.setMenu(self.menu)
        self.trash.setIcon(icon("trash"))
        for widget, name, tip in (
            (self.search, "Search", _TIP),
            (self.kind, "Kind", "Which kinds are listed"),
            (self.date, "Date", "How old they may be"),
            (self.starred, "Starred only", "List only what has a star"),
            (self.archives, "Archives", "The folders that are listed: that of the instrument, and others that you add"),
            (self.trash, "Trash", "Show what was moved to the trash, to restore it or to delete it for good"),
        ):
            widget.setAccessibleName(name)
            widget.setToolTip(tip)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.search, 1)
        for widget in (self.kind, self.date, self.starred, self.archives, self.trash):
            layout.addWidget(widget)


class _MenuChoice(Enum):
    """What is chosen in the menu of the archives."""

    ADD = "add"
    LOOK = "look"
    REMOVE = "remove"


def _archive_text(status: ArchiveStatus) -> str:
    root = visible(str(status.root))
    if status.state is ArchiveState.GONE:
        return f"{root}: cannot be read"
    if status.state is ArchiveState.ABSENT:
        return f"{root}: nothing was stored there yet"
    if status.state is ArchiveState.LOOKING:
        return f"{root}: {status.done} of {status.total or '?'} folders looked at"
    return f"{root}: {status.entries} {'entry' if status.entries == 1 else 'entries'}"
