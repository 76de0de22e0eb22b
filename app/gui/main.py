"""Starts the window: as the program ``specklescope-gui``, or without a screen to save a picture of it."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from PyQt6.QtCore import (
    QBuffer,
    QCoreApplication,
    QEventLoop,
    QIODevice,
    QMessageLogContext,
    QSettings,
    QTimer,
    QtMsgType,
    qInstallMessageHandler,
)
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QApplication

from acquisition.archive.atomic_files import write_bytes
from app.child_processes import keep_working_folder_off_path
from app.gui.image_view.drawing.choice import DrawingOption, use_drawing
from app.gui.main_window.session_host import InstrumentChoice, SessionHost, load_libraries
from app.gui.main_window.settings import default_store
from app.gui.main_window.window import MainWindow
from app.gui.main_window.window_state import fit_to_screen, last_instrument
from app.gui.session_protocol import SessionLike
from app.gui.widgets.style import apply_style
from app.malloc_tuning import keep_freed_memory
from app.signals import InterruptionError, StopRequest, handled, interruptible, stop_on_signal
from app.status import Message, MessageLevel
from drivers.base import SpeckleScopeError
from drivers.visible_text import visible

if TYPE_CHECKING:
    from app.instrument.config import InstrumentConfig

_CLOSE_TIMEOUT_S = 15.0
_OFFSCREEN_SIZE_PX = (1600, 950)

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None, held: StopRequest | None = None) -> int:
    """Run ``specklescope-gui``.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process when None.
    held : StopRequest, optional
        A signal that came while the program was imported.

    Returns
    -------
    int
        0, 1 when the session did not close in time, 2 when it could not be opened, 130 after SIGINT, 143 after SIGTERM.
    """
    keep_freed_memory()
    keep_working_folder_off_path()
    parser = argparse.ArgumentParser(prog="specklescope-gui", description="The operator's window of SpeckleScope.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="instrument file (YAML); default: simulated")
    parser.add_argument("--setup", action="store_true", help="start with the set-up form of the Rig page")
    options = [option.value for option in DrawingOption]
    parser.add_argument("--drawing", choices=options, default=options[0], help="where pictures are drawn; default: auto")
    arguments = parser.parse_args(argv)
    try:
        with interruptible(held):
            return run_instrument(arguments.config, setup=arguments.setup, drawing=DrawingOption(arguments.drawing))
    except InterruptionError as interruption:
        print(f"specklescope-gui: {interruption}", file=sys.stderr)
        return interruption.exit_code


def run_instrument(
    path: Path | None, model: str | None = None, *, setup: bool = False, drawing: DrawingOption = DrawingOption.AUTO
) -> int:
    """Open the window and an instrument in it.

    Parameters
    ----------
    path : Path, optional
        Instrument file. None opens ``instrument.yaml`` of the present folder, otherwise the file that was used last, otherwise
        the simulated instrument; a message says which.
    model : str, optional
        Model to use instead of the configured one.
    setup : bool
        Whether to start with the set-up form of the Rig page.
    drawing : DrawingOption
        Where pictures are drawn.

    Returns
    -------
    int
        0, 1 when the session did not close in time, 2 when the instrument could not be opened and there is no screen.
    """
    app = _application(["specklescope-gui"])
    use_drawing(drawing)
    store = default_store()
    chosen, note = first_instrument(path, store)
    host = SessionHost(prepared)
    window = MainWindow(host, store)
    problems: list[str] = []
    host.failed.connect(problems.append)
    if app.platformName() == "offscreen":  # nobody could answer there
        host.failed.connect(window.shut_down)
    choice = InstrumentChoice(chosen, model)
    QTimer.singleShot(0, partial(window.instruments.show_setup, choice) if setup else partial(window.instruments.open, choice))
    if note:
        window.report(Message(MessageLevel.INFO, note))
    code = _run(window)
    for problem in problems:
        print(f"specklescope-gui: {visible(problem)}", file=sys.stderr)
    return 2 if problems and app.platformName() == "offscreen" else code


def first_instrument(path: Path | None, store: QSettings) -> tuple[Path | None, str]:
    """Return the instrument file that the window starts with, and a sentence about why it is this one.

    Parameters
    ----------
    path : Path, optional
        The file that was asked for.
    store : QSettings
        What the window has remembered.
    """
    if path is not None:
        return path, ""
    here = Path("instrument.yaml")
    if here.is_file():
        return here, f"Opening {here.absolute()}, the instrument file of this folder"
    last = last_instrument(store)
    if last is not None:
        return last, f"Opening {last}, the instrument that was used last"
    return None, "Opening the simulated instrument, because there is no instrument file yet; File > Set up instrument makes one"


def prepared(choice: InstrumentChoice) -> Callable[[], SessionLike]:
    """Read the instrument file and ask what it may do, in the window's thread; return what opens the session in another thread.

    Raises
    ------
    SpeckleScopeError
        The file cannot be used, or the operator does not trust it.
    """
    # Imported here because they take seconds, and --help must not wait for them.
    from app.gui.rig_page.trust_question import ask_trust
    from app.instrument.config import load_config, replay_of
    from app.instrument.trust import TrustError

    path = choice.path
    config = replay_of(path) if path is not None and path.is_dir() else load_config(path)
    # Without a screen nobody could answer.
    if QGuiApplication.platformName() != "offscreen" and not ask_trust(config):
        raise TrustError(f"{choice.title} was not opened, because you did not trust what it wants to run or to reach")
    if choice.model is not None:
        config = config.model_copy(update={"model": choice.model})
    if choice.response is not None:
        config = config.model_copy(update={"response": choice.response})
    return partial(_open_session, config)


def _open_session(config: InstrumentConfig) -> SessionLike:
    from app.live.session import Session

    load_libraries()
    return Session.open(config)


def run_window(session: SessionLike) -> int:
    """Show a session in the window until the operator closes it, then wait for the session to close.

    Parameters
    ----------
    session : SessionLike
        The session to show.

    Returns
    -------
    int
        0, or 1 when the session took too long to close.

    Raises
    ------
    InterruptionError
        A signal has closed the window; the session is closed.
    """
    _application(["specklescope-gui"])
    host = SessionHost(prepared)
    host.adopt(session)
    return _run(MainWindow(host, default_store()))


def _run(window: MainWindow) -> int:
    """Show the window until it has closed."""
    app = _application(["specklescope-gui"])
    with _signals_close(window.shut_down) as stop:
        with errors_in_banner(window):
            fit_to_screen(window)
            window.show()
            app.exec()
        window.shut_down()  # also when the application has ended without the window being closed
        closed = window.wait_closed(_CLOSE_TIMEOUT_S)
    window.stop_polling()
    if not closed:
        print(f"specklescope-gui: the devices did not close within {_CLOSE_TIMEOUT_S:g} s", file=sys.stderr)
        return 1
    stop.check("what was recorded or acquired so far is on disk")
    return 0


def render_offscreen(
    session: SessionLike,
    path: Path,
    views: int = 30,
    timeout_s: float = 60.0,
    size_px: tuple[int, int] = _OFFSCREEN_SIZE_PX,
) -> Path:
    """Show the window without a screen, start the live view, and save a picture of the window.

    Parameters
    ----------
    session : SessionLike
        The session to show. It stays open and keeps running; the caller closes it.
    path : Path
        PNG file to write.
    views : int
        Number of live views to show before the picture is saved.
    timeout_s : float
        The longest time to wait for these views, in seconds.
    size_px : tuple of int
        Width and height of the window in pixels.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    SpeckleScopeError
        The live view cannot start, the views did not come in time, or the file cannot be written.
    """
    app = _application(["specklescope", "-platform", "offscreen"])
    host = SessionHost(prepared)
    host.adopt(session)
    window = MainWindow(host)
    try:
        window.resize(*size_px)
        window.show()
        session.start_live()
        deadline_s = time.monotonic() + timeout_s
        # An exception in a function that Qt calls would abort the process, so no signal may raise one there.
        with stop_on_signal() as stop:
            while window.views_shown < views and time.monotonic() < deadline_s and not stop.is_set():
                app.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)  # the window's timers wake it
        stop.check()
        if window.views_shown < views:
            message = f"; the window shows: {window.banner.text}" if window.banner.text else ""
            shown = f"{window.views_shown} of {views} views in {timeout_s:g} s"
            raise SpeckleScopeError(f"the window showed {shown}; check camera and engine{message}")
        window.refresh_numbers()
        picture = QBuffer()
        picture.open(QIODevice.OpenModeFlag.WriteOnly)
        if not window.grab().save(picture, "PNG"):
            raise SpeckleScopeError("Qt cannot encode the picture of the window as PNG; install PyQt6 again")
        write_bytes(path, picture.data().data(), "check the folder and its free space")
    finally:
        window.stop_polling()
        window.hide()
        window.deleteLater()
    return path


def _application(arguments: list[str]) -> QApplication:
    existing = QCoreApplication.instance()
    if existing is None:
        # Without a handler of its own Python would print warnings of this log on the terminal.
        logging.getLogger("qt").addHandler(logging.NullHandler())
        qInstallMessageHandler(_log_qt)
    app = existing if isinstance(existing, QApplication) else QApplication(arguments)
    app.setApplicationName("SpeckleScope")
    if not app.styleSheet():
        apply_style(app)
    return app


def _log_qt(kind: QtMsgType, _: QMessageLogContext, text: str | None) -> None:
    """Log what Qt would print on the terminal: it is for programmers, and the terminal is for the operator."""
    levels = {QtMsgType.QtWarningMsg: logging.WARNING, QtMsgType.QtInfoMsg: logging.INFO, QtMsgType.QtDebugMsg: logging.DEBUG}
    logging.getLogger("qt").log(levels.get(kind, logging.ERROR), text)


@contextmanager
def errors_in_banner(window: MainWindow) -> Iterator[None]:
    """Show an unexpected exception as a message. Without this PyQt aborts the process, and a running recording with it."""
    before = sys.excepthook
    last = ""
    # Each thread that starts meanwhile keeps the hook for as long as it lives, and libraries keep threads for ever.
    kept = weakref.ref(window)

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        nonlocal last
        text = f"{kind.__name__}: {error}"
        if text != last:  # a timer would repeat it thirty times a second
            last = text
            log.error("unexpected error", exc_info=(kind, error, trace))
            shown = kept()
            if shown is not None:
                shown.banner.push(
                    Message(MessageLevel.ERROR, f"Unexpected {text}. The work continues; the log has the details")
                )

    sys.excepthook = hook
    try:
        yield
    finally:
        sys.excepthook = before


@contextmanager
def _signals_close(close: Callable[[], object]) -> Iterator[StopRequest]:
    """Close a window on Ctrl-C or SIGTERM. Python handles signals because the window's timers run."""
    stop = StopRequest()

    def on_signal(number: int, _: FrameType | None) -> None:
        stop.receive(number)
        close()
        QCoreApplication.quit()

    with handled(on_signal):
        yield stop


if __name__ == "__main__":
    raise SystemExit(main())
