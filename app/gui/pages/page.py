"""A page of the window: what the rail shows of it, and what it gets from the window."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from PyQt6.QtCore import QSettings, pyqtSignal
from PyQt6.QtWidgets import QWidget

from app.gui.image_view.pane import Pane
from app.gui.session_protocol import SessionLike
from app.jobs.job_list import JobList


@dataclass(frozen=True, kw_only=True)
class PageContext:
    """What a page gets from the window.

    Parameters
    ----------
    jobs : JobList
        The jobs of all pages.
    store : QSettings, optional
        What is remembered between runs; None remembers nothing. A page uses keys that begin with its title in small letters.
    """

    jobs: JobList
    store: QSettings | None = None


class Page(QWidget):
    """A page on the rail.

    The window makes it at the first click on the rail, and keeps it. A page that is not seen does nothing, apart from its jobs.

    Parameters
    ----------
    context : PageContext
        What it gets from the window.
    """

    #: Title on the rail and in menus.
    title: ClassVar[str]
    #: Name of its icon, see :func:`app.gui.widgets.icons.icon`.
    icon_name: ClassVar[str]

    #: A Message for the operator.
    reported = pyqtSignal(object)
    #: A command was carried out: a refusal that is still on display is over.
    succeeded = pyqtSignal()
    #: The operator wants to play a recording or a dataset in the live view, in place of the camera; its folder.
    play_requested = pyqtSignal(object)
    #: The operator wants to export recordings or datasets; their folders, a tuple of Path.
    export_requested = pyqtSignal(object)
    #: The operator wants the live view to use a model; the name of a shipped model, or the path of a model.
    model_requested = pyqtSignal(str)
    #: The page wants to use camera and SLM itself, so an open instrument is closed first: what for, as a verb, and what is
    #: called when they are free. It is not called when the operator keeps the instrument open.
    devices_requested = pyqtSignal(str, object)
    #: The page has released camera and SLM: the instrument that was closed for it is opened again.
    devices_released = pyqtSignal()
    #: The page has made fields or buttons after its start; the widget that they are in. Keys then go to them first.
    fields_made = pyqtSignal(object)
    #: The operator wants to see the live page.
    live_page_requested = pyqtSignal()
    #: The operator wants to open an instrument file; its path, or None for the simulated instrument.
    instrument_requested = pyqtSignal(object)

    def __init__(self, context: PageContext) -> None:
        super().__init__()
        self.context = context
        self.session: SessionLike | None = None

    def use_session(self, session: SessionLike | None) -> None:
        """Work with another session, or with none; the window calls this whenever an instrument opens or closes."""
        self.session = session

    @property
    def pane_on_display(self) -> Pane | None:
        """The pane with a picture that the operator looks at; None where the page shows none."""
        return None

    def show_file(self, path: Path | None, problem: str = "") -> None:
        """Show a file of this page, because another part of the window asks for it.

        Parameters
        ----------
        path : Path, optional
            The file.
        problem : str
            What is wrong with it; empty when nothing is.
        """

    def enter(self) -> None:
        """Begin to refresh: the operator looks at the page now."""

    def leave(self) -> None:
        """Refresh nothing until the page is entered again."""

    def show_models(self) -> None:
        """Show the models that can be used, because another part of the window asks for it; most pages have none."""

    def release(self) -> None:
        """End all threads, apart from those of jobs: the window closes, and the page is not seen again."""

    def unfinished(self) -> str:
        """Return what would be lost if the window closed now, beside the jobs, as a sentence; empty when nothing would."""
        return ""
