"""Lets the operator choose what the window opens: instruments, recordings, models; closes one for whoever needs its devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QFileDialog, QWidget

from app.gui.command import Command
from app.gui.main_window.empty_page import EmptyPage
from app.gui.main_window.session_host import HostState, InstrumentChoice, SessionHost
from app.gui.pages.model_choices import ModelChoices
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

    Attributes
    ----------
    models : ModelChoices
        The models that were chosen; the window sets where they are remembered.
    """

    #: A Message for the operator.
    reported = pyqtSignal(object)
    #: The set-up form is to be shown: the instrument file, or None, and why it could not be opened.
    set_up_requested = pyqtSignal(object, str)

    def __init__(self, host: SessionHost, empty_page: EmptyPage, may_end_work: Callable[[str], bool], window: QWidget) -> None:
        super().__init__(window)
        self.models = ModelChoices(None)
        self._host = host
        self._empty_page = empty_page
        self._may_end_work = may_end_work
        self._window = window
        self._when_free: Callable[[], None] | None = None
        self._problem = ""
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
            self._host.open(self._with_chosen_model(choice))

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
        """Show the set-up form, with the reason why the instrument could not be opened, if it could not."""
        problem = self._problem if self._host.state is HostState.EMPTY else ""
        self.show_setup(self._host.choice, problem)

    def show_setup(self, choice: InstrumentChoice, problem: str = "") -> None:
        """Show the set-up form for an instrument file. An instrument stays open until its devices are tested."""
        path = choice.path
        self.set_up_requested.emit(None if path is not None and path.is_dir() else path, problem)

    def free_devices(self, purpose: str, then: Callable[[], None]) -> None:
        """Close the instrument, unless the operator wants to keep what is running, and call ``then`` when it is closed.

        Parameters
        ----------
        purpose : str
            What for, as a verb.
        then : callable
            Uses camera and SLM.
        """
        if self._host.state is HostState.OPENING:
            wait = f"The instrument is being opened; wait, then {purpose}"
            self.reported.emit(Message(MessageLevel.ERROR, wait, Topic.COMMAND))
        elif self._may_end_work(purpose):
            if self._host.state is HostState.OPEN:
                self._when_free = then
                self._host.close_session()
            else:
                then()

    def reopen(self) -> None:
        """Open the instrument that was open last, if none is open now."""
        if self._host.state is HostState.EMPTY and self._opened is not None and not self._ending:
            self._host.open(self._opened)

    def end(self) -> None:
        """Open nothing any more."""
        self._ending = True
        self._when_free = None

    def _with_chosen_model(self, choice: InstrumentChoice) -> InstrumentChoice:
        """Return the choice with the model that was chosen for this instrument, if it can still be used."""
        from app.training.model_list import fibre_of, usable_model  # it loads much that the start of the window does not need

        path = choice.path
        if choice.model is not None or (path is not None and path.is_dir()):
            return choice
        try:
            config = load_config(path)
        except SpeckleScopeError:
            return choice  # opening it says why
        model = self.models.of(path, config.model)
        problem = usable_model(model, fibre_of(config)) if model else ""
        if problem:
            text = f"{problem}; {Path(config.model).name} is used instead"
            self.reported.emit(Message(MessageLevel.WARNING, text, Topic.INSTRUMENT))
        return replace(choice, model=model) if model and not problem else choice

    def _remember_opened(self) -> None:
        self._opened = choice = self._host.choice
        if choice.model is not None and not (choice.path is not None and choice.path.is_dir()):
            self.models.remember(choice.path, self.config.model, choice.model)
        self._when_free = None
        self._problem = ""

    def _show_failure(self, problem: str) -> None:
        """Show why an instrument could not be opened; go back to the one before."""
        self.reported.emit(Message(MessageLevel.ERROR, problem, Topic.INSTRUMENT))
        self._problem = problem
        failed, before = self._host.choice, self._opened
        if before is not None and before != failed and not self._ending:
            self._host.open(before)
        else:
            self._empty_page.show_choice(problem)

    def _session_has_closed(self) -> None:
        then, self._when_free = self._when_free, None
        if then is not None:
            then()
