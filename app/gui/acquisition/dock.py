"""The dock with the form of acquisitions: it passes requests on to the session of the live page."""

from __future__ import annotations

from PyQt6.QtWidgets import QDockWidget, QWidget

from app.gui.acquisition.panel import AcquisitionPanel
from app.gui.live_page.page import LivePage


class AcquisitionDock(QDockWidget):
    """Holds the form, which stays when the page changes.

    Parameters
    ----------
    parent : QWidget
        The window that it belongs to.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__("Dataset acquisition", parent)
        self.setObjectName("acquisition")
        self.panel = AcquisitionPanel()
        self.setWidget(self.panel)
        self._page: LivePage | None = None
        self.panel.start_requested.connect(self.start)
        self.panel.stop_requested.connect(self._stop)
        self.panel.pause_requested.connect(self._pause)
        self.panel.continue_requested.connect(self._continue)

    def use_page(self, page: LivePage | None) -> None:
        """Acquire with the session of another page; None if there is none now."""
        self._page = page
        if page is not None:
            self.panel.show_sources(page.session.pattern_sources)

    def open(self) -> None:
        """Show the form."""
        self.show()
        self.panel.name.setFocus()

    def start(self, name: str, pairs: int, source: str) -> None:
        """Start an acquisition; a recording that is running is asked about first."""
        page = self._page
        if page is None:
            return
        if not name:
            page.refuse("The dataset has no name; type one in the acquisition form")
        elif page.may_end_recording("acquire a dataset"):
            page.attempt(lambda: page.session.start_acquisition(name, pairs, source))

    def _stop(self) -> None:
        if self._page is not None:
            self._page.attempt(self._page.session.stop_acquisition)

    def _pause(self) -> None:
        self._set_paused(paused=True)

    def _continue(self) -> None:
        self._set_paused(paused=False)

    def _set_paused(self, *, paused: bool) -> None:
        if self._page is not None:
            session = self._page.session
            self._page.attempt(lambda: session.pause_acquisition(paused=paused))
