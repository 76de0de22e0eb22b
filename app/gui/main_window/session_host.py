"""Opens and closes sessions in a thread, so that the window outlives them and always answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from importlib import import_module
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from acquisition.streams.collection_pause import collection_paused
from app.gui.session_protocol import SessionLike
from app.malloc_tuning import collect_only_new_objects
from drivers.base import SpeckleScopeError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InstrumentChoice:
    """What is opened.

    Parameters
    ----------
    path : Path, optional
        Instrument file; None is the simulated instrument.
    model : str, optional
        Model to use instead of the configured one.
    response : Path, optional
        Folder of the fibre response to use instead of the configured one.
    """

    path: Path | None = None
    model: str | None = None
    response: Path | None = None

    @property
    def title(self) -> str:
        """The name of the file, for people."""
        return self.path.name if self.path else "the simulated instrument"


class HostState(Enum):
    """Whether there is a session.

    ::

        EMPTY --> OPENING --> OPEN --> CLOSING --> EMPTY
          ^          |
          +----------+   it cannot be opened
    """

    EMPTY = auto()
    OPENING = auto()
    OPEN = auto()
    CLOSING = auto()


#: What engines, scores and tracking import at their first use: 85,000 objects. A collection of garbage looks at them for .13 s.
_LIBRARIES = (
    "reconstruction.engines.openvino",
    "reconstruction.engines.onnx.export",
    "reconstruction.torchmetrics_functions",
    "norfair",
)


def load_libraries() -> None:
    """Import what the live view needs later, and leave it out of every collection of garbage; for the thread that opens.

    The window would stand still for each such collection, and while the libraries are imported.
    """
    with collection_paused():  # so many new objects would start several collections
        for name in _LIBRARIES:
            with suppress(ImportError):  # whoever needs it says so
                import_module(name)
    collect_only_new_objects()


#: Asks what has to be asked, in the window's thread, and returns what opens the session in another thread.
Prepare = Callable[[InstrumentChoice], Callable[[], SessionLike]]


class SessionHost(QObject):
    """Holds the session of the window, opens another one, and closes it.

    Parameters
    ----------
    prepare : callable
        Called in the window's thread with what to open. Returns a function that opens the session; it runs in a thread.
    """

    #: A session has been opened.
    opened = pyqtSignal()
    #: It could not be opened; the text says why.
    failed = pyqtSignal(str)
    #: The session has been closed, and nothing else is to be opened.
    closed = pyqtSignal()
    state_changed = pyqtSignal()
    #: From the thread: the session, or the error that kept it from opening; or that it has closed.
    _thread_opened = pyqtSignal(object)
    _thread_closed = pyqtSignal()

    def __init__(self, prepare: Prepare) -> None:
        super().__init__()
        self.session: SessionLike | None = None
        self.choice = InstrumentChoice()
        self.state = HostState.EMPTY
        #: Called in the thread that opens a session, before it does; raises SpeckleScopeError when the devices are not free.
        self.before_open: Callable[[], None] = _nothing
        self._prepare = prepare
        self._next: InstrumentChoice | None = None
        self._thread: threading.Thread | None = None
        self._thread_opened.connect(self._finish_opening)
        self._thread_closed.connect(self._finish_closing)

    def adopt(self, session: SessionLike) -> None:
        """Use a session that is open already."""
        self.session = session
        self._set_state(HostState.OPEN)
        self.opened.emit()

    def open(self, choice: InstrumentChoice) -> None:
        """Open an instrument; one that is open is closed first. Returns at once."""
        if self.state in (HostState.OPEN, HostState.CLOSING):
            self._next = choice
            self.close_session()
            return
        if self.state is HostState.OPENING:
            self._next = choice
            return
        self.choice = choice
        try:
            open_session = self._prepare(choice)
        except SpeckleScopeError as error:
            self._set_state(HostState.EMPTY)
            self.failed.emit(str(error))
            return
        self._set_state(HostState.OPENING)
        self._start(lambda: self._open(open_session))

    def close_session(self) -> None:
        """Close the session; returns at once."""
        if self.state is not HostState.OPEN:
            return
        session, self.session = self.session, None
        self._set_state(HostState.CLOSING)
        assert session is not None
        self._start(lambda: self._close(session))

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread that opens or closes; False when that takes longer."""
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _start(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name="session host", daemon=True)
        self._thread.start()

    def _open(self, open_session: Callable[[], SessionLike]) -> None:
        try:
            self.before_open()
            result: object = open_session()
        except SpeckleScopeError as error:
            result = error
        except Exception as error:
            log.exception("the instrument could not be opened")
            result = SpeckleScopeError(f"the instrument could not be opened: {type(error).__name__}: {error}; the log has more")
        self._thread_opened.emit(result)

    def _close(self, session: SessionLike) -> None:
        try:
            session.close(end_recording=True)  # the operator was asked
        except Exception:  # several stages may have failed, each with its own error
            log.exception("the session did not close cleanly")
        self._thread_closed.emit()

    def _finish_opening(self, result: object) -> None:
        if isinstance(result, SpeckleScopeError):
            self._set_state(HostState.EMPTY)
            if self._open_next():
                return
            self.failed.emit(str(result))
            return
        self.session = result  # type: ignore[assignment]  # a signal carries objects of any kind
        self._set_state(HostState.OPEN)
        if self._next is not None:
            self.close_session()
            return
        self.opened.emit()

    def _finish_closing(self) -> None:
        self._set_state(HostState.EMPTY)
        if not self._open_next():
            self.closed.emit()

    def _open_next(self) -> bool:
        choice, self._next = self._next, None
        if choice is None:
            return False
        self.open(choice)
        return True

    def _set_state(self, state: HostState) -> None:
        self.state = state
        self.state_changed.emit()


def _nothing() -> None:
    """Do nothing before a session is opened."""
