"""Where the window starts: as the program ``specklescope-gui``, or off the screen for a picture of it."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from PyQt6.QtCore import QCoreApplication, QEventLoop
from PyQt6.QtWidgets import QApplication

from app.gui.main_window.session_protocol import SessionLike
from app.gui.main_window.settings import default_store
from app.gui.main_window.window import CloseRequest, MainWindow
from app.gui.widgets.style import apply_style
from app.status import Message
from drivers.base import SpeckleScopeError

_CLOSE_TIMEOUT_S = 15.0
_OFFSCREEN_SIZE_PX = (1600, 950)

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``specklescope-gui``.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process when None.

    Returns
    -------
    int
        0, 1 when the session did not close in time, 2 when it could not be opened.
    """
    parser = argparse.ArgumentParser(prog="specklescope-gui", description="The operator's window of SpeckleScope.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="instrument file (YAML); default: simulated")
    parser.add_argument("--setup", action="store_true", help="start with the setup page")
    arguments = parser.parse_args(argv)
    return run_instrument(arguments.config, setup=arguments.setup)


def run_instrument(path: Path | None, model: str | None = None, setup: bool = False) -> int:
    """Open an instrument and its window; the setup page comes first on request, and where the instrument does not open.

    Parameters
    ----------
    path : Path, optional
        Instrument file; None is the simulated instrument, whose setup page proposes ``instrument.yaml``.
    model : str, optional
        Model instead of the configured one.
    setup : bool
        Whether to start with the setup page.

    Returns
    -------
    int
        0, 1 when the session did not close in time, 2 when the instrument could not be opened.
    """
    app = _application(["specklescope-gui"])
    # Heavy imports: --help must not wait for them.
    from app.gui.setup.window import SetupWindow
    from app.instrument.config import InstrumentConfig, load_config
    from app.live.session import Session

    file, trouble, usual = path or Path("instrument.yaml"), "", model
    while True:
        session, config = None, InstrumentConfig()
        try:
            config = load_config(path)
            if not setup:
                session = Session.open(config if model is None else config.model_copy(update={"model": model}))
        except SpeckleScopeError as error:
            trouble = str(error)
            if model != usual:  # one that was just trained does not fit: back to the one before
                model = usual
                continue
            print(f"specklescope-gui: {trouble}", file=sys.stderr)
            if app.platformName() == "offscreen":
                return 2
        if session is None:
            page = SetupWindow(config, file, trouble)
            used = page.exec() == SetupWindow.DialogCode.Accepted
            page.wait_closed(_CLOSE_TIMEOUT_S)
            if not used and (trouble or not setup):
                return 2
            if used:
                path = file = page.file
            setup, trouble = False, ""
            continue
        code, close_request = run_window(session, True, path, trouble)
        if close_request == CloseRequest():
            return code
        setup, trouble, model = close_request.setup, "", close_request.model or model


def run_window(
    session: SessionLike, setup: bool = False, instrument: Path | None = None, trouble: str = ""
) -> tuple[int, CloseRequest]:
    """Show the window until the operator closes it, then wait for the session to close.

    Parameters
    ----------
    session : SessionLike
        What to show.
    setup : bool
        Whether the window offers the setup page and trainings.
    instrument : Path, optional
        The instrument file.
    trouble : str
        What to tell first.

    Returns
    -------
    int
        0, or 1 when the session took too long to close.
    CloseRequest
        What the operator asked for.
    """
    app = _application(["specklescope-gui"])
    window = MainWindow(session, default_store(), setup, instrument)
    if trouble:
        window.banner.push(Message("error", trouble))
    with _errors_in_banner(window), _signals_close(window):
        window.show()
        app.exec()
    window.shut_down()  # also when the application ended by other means than closing the window
    if not window.wait_closed(_CLOSE_TIMEOUT_S):
        print(f"specklescope-gui: the devices did not close within {_CLOSE_TIMEOUT_S:g} s", file=sys.stderr)
        return 1, CloseRequest()
    return 0, window.close_request


def render_offscreen(
    session: SessionLike,
    path: Path,
    views: int = 30,
    timeout_s: float = 60.0,
    size_px: tuple[int, int] = _OFFSCREEN_SIZE_PX,
) -> Path:
    """Run the same window without a screen, start the live view, and save what it looks like.

    Parameters
    ----------
    session : SessionLike
        Stays open and goes on living; the caller closes it.
    path : Path
        PNG file to write.
    views : int
        Live views to show first.
    timeout_s : float
        The longest time to wait for them, in seconds.
    size_px : tuple of int
        Width and height of the window.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    SpeckleScopeError
        When the live view cannot start, when the views did not come in time, or when the file cannot be written.
    """
    app = _application(["specklescope", "-platform", "offscreen"])
    window = MainWindow(session)
    try:
        window.resize(*size_px)
        window.show()
        session.start_live()
        deadline_s = time.monotonic() + timeout_s
        while window.views_shown < views and time.monotonic() < deadline_s:
            app.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)  # the window's timers wake it
        if window.views_shown < views:
            trouble = f"; the window says: {window.banner.text}" if window.banner.text else ""
            shown = f"{window.views_shown} of {views} views in {timeout_s:g} s"
            raise SpeckleScopeError(f"the window showed {shown}; check camera and engine{trouble}")
        window.refresh_numbers()
        if not window.grab().save(str(path), "PNG"):
            raise SpeckleScopeError(f"the window's picture could not be written to {path}; check folder and free space")
    finally:
        window.stop_polling()
        window.hide()
        window.deleteLater()
    return path


def _application(arguments: list[str]) -> QApplication:
    existing = QCoreApplication.instance()
    app = existing if isinstance(existing, QApplication) else QApplication(arguments)
    app.setApplicationName("SpeckleScope")
    if not app.styleSheet():
        apply_style(app)
    return app


@contextmanager
def _errors_in_banner(window: MainWindow) -> Iterator[None]:
    """Keep the window alive over a programming error: PyQt would abort the process, and a recording with it."""
    before = sys.excepthook
    last = ""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        nonlocal last
        words = f"{kind.__name__}: {error}"
        if words != last:  # a timer would repeat it thirty times a second
            last = words
            log.error("unexpected error", exc_info=(kind, error, trace))
            window.banner.push(Message("error", f"Unexpected {words}; what runs goes on, the log has the details"))

    sys.excepthook = hook
    try:
        yield
    finally:
        sys.excepthook = before


@contextmanager
def _signals_close(window: MainWindow) -> Iterator[None]:
    """End in order on Ctrl-C or a polite kill; Python sees them because the window's timers run."""

    def close(*_: object) -> None:
        window.shut_down()
        QCoreApplication.quit()

    before = {number: signal.signal(number, close) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    raise SystemExit(main())
