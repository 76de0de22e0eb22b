"""Lets the operator choose what the window opens: instruments, recordings, models; and shows the setup page between two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QFileDialog, QWidget

from app.gui.command import Command
from app.gui.main_window.empty_page import EmptyPage
from app.gui.main_window.session_host import HostState, InstrumentChoice, SessionHost
from app.gui.setup.window import SetupWindow
from app.gui.widgets.questions import Question, ask
from app.instrument.config import InstrumentConfig, load_config, replay_of
from app.instrument.path_content import ContentKind, PathContent
from app.status import Message, MessageLevel, Topic
from drivers.base import SpeckleScopeError


class Instruments(QObject):
    """What can be opened, and what was opened last.

    Parameters
    ----------
    host : SessionHost
        Opens and closes the sessions.
    empty_page : EmptyPage
        Is seen while nothing is open.
    may_end_work : callable
        Asks about what is running, given what for; returns whether it may be ended.
    window : QWidget
        Dialogs belong to it.
    """

    #: A Message for the operator.
    reported = pyqtSignal(object)

    def __init__(self, host: SessionHost, empty_page: EmptyPage, may_end_work: Callable[[str], bool], window: QWidget) -> None:
        super().__init__(window)
        self.setup_page: SetupWindow | None = None
        self._host = host
        self._empty_page = empty_page
        self._may_end_work = may_end_work
        self._window = window
        self._setup_requested = False
        self._opened = host.choice if host.state is HostState.OPEN else None  # the last one that could be opened
        self._ending = False
        host.opened.connect(self._remember_opened)
        host.failed.connect(self._show_failure)
        host.closed.connect(self._session_has_closed)
        empty_page.open_clicked.connect(self.choose_file)
        empty_page.setup_clicked.connect(self.go_to_setup)
        empty_page.simulated_clicked.connect(self.use_simulated)

    def answers(self) -> dict[Command, Callable[[], object]]:
        """Return what is done for each command about instruments."""
        return {
            Command.OPEN: self.choose_file,
            Command.SIMULATED: self.use_simulated,
            Command.OPEN_RECORDING: self.choose_recording,
            Command.SETUP: self.go_to_setup,
        }

    @property
    def config(self) -> InstrumentConfig:
        """What the present file says; the defaults if it cannot be read, which a message has said."""
        path = self._host.choice.path
        try:
            return replay_of(path) if path is not None and path.is_dir() else load_config(path)
        except SpeckleScopeError:
            return InstrumentConfig()

    def open(self, choice: InstrumentChoice) -> None:
        """Open another instrument or model; what is running is asked about first."""
        if self._may_end_work("open another instrument"):
            self._host.open(choice)

    def choose_file(self) -> None:
        """Let the operator choose an instrument file."""
        files = "Instrument files (*.yaml *.yml)"
        name, _ = QFileDialog.getOpenFileName(self._window, "Open an instrument file", "", files)
        if name:
            self.open(InstrumentChoice(Path(name)))

    def open_file(self, path: Path | None) -> None:
        """Open an instrument file, or the simulated instrument."""
        self.open(InstrumentChoice(path))

    def choose_recording(self) -> None:
        """Let the operator choose a recording or a dataset to play."""
        name = QFileDialog.getExistingDirectory(self._window, "Open the folder of a recording or a dataset")
        if name:
            self.play(Path(name))

    def play(self, archive: Path) -> None:
        """Play a recording or a dataset in place of the camera."""
        self.open(InstrumentChoice(archive))

    def use_simulated(self) -> None:
        """Open the simulated instrument."""
        self.open(InstrumentChoice())

    def use_model(self, model: str) -> None:
        """Open the same instrument with another model."""
        self.open(replace(self._host.choice, model=model))

    def open_content(self, content: PathContent) -> None:
        """Open what a file or folder is; whether a model or a fibre response is used is asked first."""
        choice = self._host.choice
        if content.kind is ContentKind.MODEL:
            self._open_if_wanted(replace(choice, model=str(content.path)), f"model {content.name}")
        elif content.kind is ContentKind.RESPONSE:
            self._open_if_wanted(replace(choice, response=content.path), f"fibre response {content.name}")
        else:
            self.open(InstrumentChoice(content.path))

    def _open_if_wanted(self, choice: InstrumentChoice, what: str) -> None:
        question = Question(
            text=f"To use the {what}, the instrument is closed and opened again with it.",
            agree="Use it",
            refuse="Keep the present one",
        )
        if ask(question, self._window):
            self.open(choice)

    def go_to_setup(self) -> None:
        """Close the instrument and show the setup page, which opens its devices itself."""
        if self.setup_page is None and self._may_end_work("set up the instrument"):
            if self._host.state is HostState.OPEN:
                self._setup_requested = True
                self._host.close_session()
            else:
                self.show_setup(self._host.choice)

    def show_setup(self, choice: InstrumentChoice, problem: str = "") -> None:
        """Show the setup page for an instrument file; no session is open."""
        self._setup_requested = False
        config = InstrumentConfig()
        try:
            config = load_config(choice.path)
        except SpeckleScopeError as error:
            problem = problem or str(error)
        page = SetupWindow(config, choice.path or Path("instrument.yaml"), problem)
        page.accepted.connect(self._open_from_setup)
        page.rejected.connect(self._leave_setup)
        self.setup_page = page
        page.show()

    def end(self) -> None:
        """Leave the setup page, and open nothing any more."""
        self._ending = True
        if self.setup_page is not None:
            self.setup_page.reject()

    def _open_from_setup(self) -> None:
        page, self.setup_page = self.setup_page, None
        if page is not None:
            self._host.open(InstrumentChoice(page.file))
            page.deleteLater()

    def _leave_setup(self) -> None:
        page, self.setup_page = self.setup_page, None
        if page is not None:
            page.deleteLater()
        if self._opened is not None and not self._ending:
            self._host.open(self._opened)

    def _remember_opened(self) -> None:
        self._opened = self._host.choice

    def _show_failure(self, problem: str) -> None:
        """Show why an instrument could not be opened; go back to the one before."""
        self.reported.emit(Message(MessageLevel.ERROR, problem, Topic.INSTRUMENT))
        failed, before = self._host.choice, self._opened
        if before is not None and before != failed and not self._ending:
            self._host.open(before)
        else:
            self._empty_page.show_choice(problem)

    def _session_has_closed(self) -> None:
        if self._setup_requested and not self._ending:
            self.show_setup(self._host.choice)
