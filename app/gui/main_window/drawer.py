"""The drawer below the page: all messages of this start, with their times, and the jobs in the background."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from app.gui.widgets.banner import LoggedMessage
from app.gui.widgets.formatting import duration
from app.gui.widgets.rows_table import show_as_rows
from app.status import JobStatus, MessageLevel

_LEVELS = {MessageLevel.INFO: "Information", MessageLevel.WARNING: "Warning", MessageLevel.ERROR: "Error"}
_MOST_ROWS = 2000
_HEIGHT_PX = 116


class Drawer(QDockWidget):
    """Jobs at the left, messages at the right; the newest message is at the top."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("Jobs and messages", parent)
        self.setObjectName("drawer")
        self.setAllowedAreas(Qt.DockWidgetArea.BottomDockWidgetArea)
        self.jobs = _table(("Job", "State", "Progress", "Time"), "Jobs")
        self.messages = _table(("Time", "Kind", "Message"), "Messages")
        jobs_header = self.jobs.horizontalHeader()
        assert jobs_header is not None
        jobs_header.setStretchLastSection(False)
        jobs_header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)  # a long name is shortened, its state is not
        content = QWidget()
        layout = QHBoxLayout(content)
        layout.setContentsMargins(10, 4, 10, 4)
        layout.setSpacing(10)
        layout.addWidget(self.jobs, 2)
        layout.addWidget(self.messages, 5)
        self.setWidget(content)
        self.setMinimumHeight(_HEIGHT_PX)
        self._shown_jobs: tuple[JobStatus, ...] = ()

    def add_message(self, entry: LoggedMessage) -> None:
        """Add a message at the top."""
        self.messages.insertRow(0)
        cells = (entry.time.strftime("%H:%M:%S"), _LEVELS[entry.message.level], " ".join(entry.message.text.split()))
        for column, text in enumerate(cells):
            self.messages.setItem(0, column, _cell(text))
        if self.messages.rowCount() > _MOST_ROWS:
            self.messages.removeRow(_MOST_ROWS)

    def show_jobs(self, jobs: Sequence[JobStatus]) -> None:
        """Show the jobs, the newest at the top."""
        newest_first = tuple(reversed(jobs))
        if newest_first == self._shown_jobs:
            return
        self._shown_jobs = newest_first
        self.jobs.setRowCount(len(newest_first))
        for row, job in enumerate(newest_first):
            progress = f"{job.done} of {job.total}" if job.total else ""
            for column, text in enumerate((job.name, job.state, progress, duration(job.seconds))):
                self.jobs.setItem(row, column, _cell(text))


def _table(headings: tuple[str, ...], name: str) -> QTableWidget:
    table = QTableWidget(0, len(headings))
    show_as_rows(table, headings, name)
    return table


def _cell(text: str) -> QTableWidgetItem:
    cell = QTableWidgetItem(text)
    cell.setToolTip(text)
    return cell
