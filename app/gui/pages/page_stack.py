"""The pages of the window, one of which is seen: each is made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QStackedWidget, QWidget

from app.gui.pages.page import Page, PageContext
from app.gui.session_protocol import SessionLike


@dataclass(frozen=True, kw_only=True)
class PageEntry:
    """A page that can be asked for.

    Parameters
    ----------
    title : str
        Title on the rail.
    icon_name : str
        Name of its icon.
    load : callable
        Imports and returns the class of the page; the window starts faster when this is done later.
    """

    title: str
    icon_name: str
    load: Callable[[], type[Page]]


class PageStack(QStackedWidget):
    """The pages of the window.

    Parameters
    ----------
    first : QWidget
        The page that is always there, number 0.
    entries : tuple of PageEntry
        The others, from number 1 on.
    context : PageContext
        What every page gets.
    """

    #: A page was made; the Page.
    made = pyqtSignal(object)

    def __init__(self, first: QWidget, entries: tuple[PageEntry, ...], context: PageContext) -> None:
        super().__init__()
        self._entries = entries
        self._context = context
        self._pages: dict[int, Page] = {}
        self._session: SessionLike | None = None
        self.number = 0
        self.addWidget(first)
        self._first = first

    @property
    def pages(self) -> tuple[Page, ...]:
        """The pages that were made so far."""
        return tuple(self._pages.values())

    @property
    def current_page(self) -> Page | None:
        """The page that is seen; None for the first one."""
        return self._pages.get(self.number)

    def show_page(self, number: int) -> None:
        """Show a page; it is made when it is shown for the first time."""
        if number == self.number:
            return
        before = self.current_page
        page = self.page(number) if number else None
        if before is not None:
            before.leave()
        self.number = number
        self.setCurrentWidget(page or self._first)
        if page is not None:
            page.enter()

    def page(self, number: int) -> Page:
        """Return a page from number 1 on; it is made when it is first asked for."""
        if number not in self._pages:
            page = self._entries[number - 1].load()(self._context)
            page.use_session(self._session)
            self._pages[number] = page
            self.addWidget(page)
            self.made.emit(page)
        return self._pages[number]

    def use_session(self, session: SessionLike | None) -> None:
        """Let every page work with another session, or with none."""
        self._session = session
        for page in self._pages.values():
            page.use_session(session)

    def release(self) -> None:
        """Let every page end its threads: the window closes."""
        for page in self._pages.values():
            page.leave()
            page.release()

    def unfinished(self) -> str:
        """Return what would be lost if the window closed now, as a sentence; empty when nothing would."""
        return " ".join(text for page in self._pages.values() if (text := page.unfinished()))
