"""The Build page: plan, acquire, import, resume and verify datasets."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QTabWidget, QVBoxLayout

from app.gui.build_page.acquire.sheet import AcquireSheet
from app.gui.build_page.datasets.sheet import DatasetsSheet
from app.gui.build_page.importing.sheet import ImportSheet
from app.gui.build_page.run_strip import RunStrip
from app.gui.pages.page import Page, PageContext
from app.gui.session_protocol import SessionLike
from app.gui.widgets.formatting import count
from app.gui.widgets.style import GAP_PX
from app.status import Message, MessageLevel, Topic
from drivers.base import SpeckleScopeError

_POLL_MS = 200


class BuildPage(Page):
    """Three sheets and the strip of the acquisition that runs.

    Parameters
    ----------
    context : PageContext
        What it gets from the window.
    """

    title: ClassVar[str] = "Build"
    icon_name: ClassVar[str] = "build"

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self._acquiring = False
        self.acquire = AcquireSheet(context)
        self.importer = ImportSheet(context)
        self.datasets = DatasetsSheet(context)
        self.run = RunStrip()
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName("Build")
        self.tabs.addTab(self.acquire, "Acquire")
        self.tabs.addTab(self.importer, "Import")
        self.tabs.addTab(self.datasets, "Datasets")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, 0)
        layout.setSpacing(GAP_PX)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.run)
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._connect()

    def use_session(self, session: SessionLike | None) -> None:
        """Build with another instrument, or with none."""
        super().use_session(session)
        self._acquiring = False
        for sheet in (self.acquire, self.importer, self.datasets):
            sheet.use_session(session)
        self.refresh()

    def enter(self) -> None:
        """Look at the instrument and at the archive as they are now, and refresh from now on."""
        self.acquire.propose()
        self.datasets.look_again()
        self.refresh()
        self._timer.start()

    def leave(self) -> None:
        """Refresh nothing; keep what is filled in."""
        self._timer.stop()
        self.acquire.remember()

    def refresh(self) -> None:
        """Show the acquisition, and what the sheets have found."""
        if self.session is not None:
            status = self.session.acquisition_status()
            self.run.show_status(status)
            if self._acquiring and not status.active:
                self.datasets.look_again(status.path)
            self._acquiring = status.active
        else:
            self.run.hide()
        for sheet in (self.acquire, self.importer, self.datasets):
            sheet.refresh()

    def show_dataset(self, path: Path) -> None:
        """Show the report of a dataset."""
        self.tabs.setCurrentWidget(self.datasets)
        self.datasets.look_again(path)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        if self.session is not None:
            self.session.stop_acquisition()

    def _pause(self) -> None:
        self._set_paused(paused=True)

    def _continue(self) -> None:
        self._set_paused(paused=False)

    def _set_paused(self, *, paused: bool) -> None:
        if self.session is None:
            return
        try:
            self.session.pause_acquisition(paused=paused)
        except SpeckleScopeError as error:
            self._refuse(str(error))
        self.refresh()

    def _refuse(self, reason: str) -> None:
        if reason:
            self.reported.emit(Message(MessageLevel.ERROR, reason, Topic.COMMAND))

    def _begun(self) -> None:
        self.succeeded.emit()
        self.refresh()

    def _show_imported(self, path: Path) -> None:
        self.succeeded.emit()
        self.reported.emit(Message(MessageLevel.INFO, f"Imported: {path}"))
        self.show_dataset(path)

    def _show_unfinished(self, number: int) -> None:
        place = self.tabs.indexOf(self.datasets)
        self.tabs.setTabText(place, f"Datasets ({count(number)} unfinished)" if number else "Datasets")

    def _connect(self) -> None:
        self._timer.timeout.connect(self.refresh)
        for sheet in (self.acquire, self.importer, self.datasets):
            sheet.refused.connect(self._refuse)
        self.acquire.started.connect(self._begun)
        self.datasets.resumed.connect(self._begun)
        self.datasets.play_requested.connect(self.play_requested)
        self.datasets.unfinished_changed.connect(self._show_unfinished)
        self.importer.imported.connect(self._show_imported)
        self.run.pause_requested.connect(self._pause)
        self.run.continue_requested.connect(self._continue)
        self.run.stop_requested.connect(self._stop)
        self.run.report_requested.connect(self.show_dataset)
