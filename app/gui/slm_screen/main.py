"""The process of the screen SLM: a borderless window that shows grey images pixel by pixel on the panel's monitor.

It is a separate process, so that a busy main window cannot delay or disturb what the panel shows.
:class:`drivers.displays.screen.ScreenSlm` starts it and writes each image into a shared file. It then requests the image with
one line of JSON on standard input, and gets one line back when the window system has accepted the image. The process ends when
its standard input is closed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QObject, QPoint, QRect, Qt, pyqtSignal
from PyQt6.QtGui import QBackingStore, QExposeEvent, QGuiApplication, QImage, QPainter, QRegion, QScreen, QWindow

from app.gui.slm_screen.frame_period import frame_period_s
from drivers.displays.screen_protocol import Answer, Command

_FLAGS = (
    Qt.WindowType.FramelessWindowHint
    | Qt.WindowType.WindowStaysOnTopHint
    | Qt.WindowType.WindowDoesNotAcceptFocus
    # The window manager must not add a frame or an animation, and must not move the window.
    | Qt.WindowType.BypassWindowManagerHint
)
#: Variables with which a desktop, or a person, asks Qt to scale windows.
_SCALING_VARIABLES = (
    "QT_SCALE_FACTOR",
    "QT_SCREEN_SCALE_FACTORS",
    "QT_AUTO_SCREEN_SCALE_FACTOR",
    "QT_USE_PHYSICAL_DPI",
    "QT_DEVICE_PIXEL_RATIO",
    "QT_FONT_DPI",
)


@dataclass(frozen=True, kw_only=True)
class ScreenFacts:
    """One monitor as the window system describes it; ``shape`` is its native height and width in pixels."""

    name: str
    serial: str
    model: str
    shape: tuple[int, int]
    position: tuple[int, int]
    refresh_hz: float
    primary: bool


def facts(screen: QScreen) -> ScreenFacts:
    """Return the description of a monitor."""
    geometry = screen.geometry()
    return ScreenFacts(
        name=screen.name(),
        serial=screen.serialNumber(),
        model=f"{screen.manufacturer()} {screen.model()}".strip(),
        shape=(geometry.height(), geometry.width()),
        position=(geometry.x(), geometry.y()),
        refresh_hz=screen.refreshRate(),
        primary=screen is QGuiApplication.primaryScreen(),
    )


def choose(name: str) -> QScreen | str:
    """Return the monitor with this name or serial number, or a text that says why there is none.

    An empty name means the only monitor that is not the operator's.
    """
    if QGuiApplication.platformName() == "wayland":
        return "under Wayland no program can choose the monitor of a window; use an X11 session, or set QT_QPA_PLATFORM=xcb"
    screens = QGuiApplication.screens()
    primary = QGuiApplication.primaryScreen()
    if name:
        matches = [screen for screen in screens if name in (screen.name(), screen.serialNumber())]
    else:
        matches = [screen for screen in screens if screen is not primary]
    if len(matches) == 1:
        return matches[0]
    known = ", ".join(_label(facts(screen)) for screen in screens) or "none"
    if not name:
        return f"cannot guess which monitor is the SLM: there are {known}; set 'screen' to its name or serial number"
    number = "more than one monitor is" if matches else "no monitor is"
    return f"{number} called '{name}', there are {known}; check cable and power of the SLM, or correct 'screen'"


def _label(screen: ScreenFacts) -> str:
    height, width = screen.shape
    serial = f", serial {screen.serial}" if screen.serial else ""
    return f"{screen.name} ({width}x{height}{serial}{', primary' if screen.primary else ''})"


class PanelWindow(QWindow):
    """The window. It paints one image, pixel by pixel, on request and whenever the window was covered."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self._shape = shape
        self._pixels = bytes(shape[0] * shape[1])
        self._store: QBackingStore | None = None
        self.setFlags(_FLAGS)
        self.setCursor(Qt.CursorShape.BlankCursor)

    def place(self, screen: QScreen) -> str:
        """Cover ``screen``; return an error text when its pixels are not those of the panel."""
        self.setScreen(screen)
        self.setGeometry(screen.geometry())
        self.show()
        self.raise_()
        QGuiApplication.sync()
        QGuiApplication.processEvents()
        height, width = covered = self.height(), self.width()
        if covered != self._shape:
            return (
                f"monitor {screen.name()} has {width}x{height} pixels, the panel {self._shape[1]}x{self._shape[0]}; "
                "set the native resolution of the monitor, or the shape of the panel"
            )
        return ""

    def present(self, pixels: NDArray[np.uint8]) -> int:
        """Show an image; return the monotonic time, in ns, at which the window system had accepted it."""
        self._pixels = pixels.tobytes()
        self.paint()
        # Returns after the window system has carried out everything that was sent before.
        QGuiApplication.sync()
        return time.monotonic_ns()

    def paint(self) -> None:
        """Paint the image into the window."""
        if self._store is None:
            self._store = QBackingStore(self)
        height, width = self._shape
        image = QImage(self._pixels, width, height, width, QImage.Format.Format_Grayscale8)
        region = QRegion(QRect(QPoint(0, 0), self.size()))
        self._store.resize(self.size())
        self._store.beginPaint(region)
        painter = QPainter(self._store.paintDevice())
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
        painter.drawImage(QPoint(0, 0), image)
        painter.end()
        self._store.endPaint()
        self._store.flush(region)

    def exposeEvent(self, event: QExposeEvent | None) -> None:
        """Paint the image again after the window was covered."""
        if self.isExposed():
            self.paint()

    def event(self, event: QEvent | None) -> bool:
        """Ignore a request to close: only the program that started this process may end it."""
        if event is not None and event.type() == QEvent.Type.Close:
            event.ignore()
            return True
        return super().event(event)


class Server(QObject):
    """Carries out the commands on standard input and watches the monitor.

    Parameters
    ----------
    screen_name : str
        Name or serial number of the monitor.
    shape : (int, int)
        Native height and width of the panel in pixels.
    shared : ndarray of uint8, shape (H, W)
        The shared file into which the driver writes images.
    """

    line = pyqtSignal(str)
    ended = pyqtSignal()

    def __init__(self, screen_name: str, shape: tuple[int, int], shared: NDArray[np.uint8]) -> None:
        super().__init__()
        self._screen_name = screen_name
        self._shared = shared
        self._window = PanelWindow(shape)
        self._screen: QScreen | None = None
        self.line.connect(self._carry_out)
        # Not quit(): it would ask the window to close, which the window ignores.
        self.ended.connect(lambda: QGuiApplication.exit(0))
        application = QGuiApplication.instance()
        assert isinstance(application, QGuiApplication)
        application.screenRemoved.connect(self._removed)

    def start(self) -> None:
        """Cover the monitor, report it, and wait for commands."""
        self._place(0)
        threading.Thread(target=self._listen, name="stdin", daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            self.line.emit(line)
        self.ended.emit()

    def _carry_out(self, line: str) -> None:
        request = json.loads(line)
        number = int(request["number"])
        command = Command(request["do"])
        if command is Command.PLACE:
            self._place(number)
        elif self._screen is None:
            _answer(
                Answer.LOST,
                number,
                text=f"the SLM's monitor '{self._screen_name}' is not connected; plug it in, then reconnect",
            )
        else:
            _answer(Answer.SHOWN, number, t_ns=self._window.present(self._shared))

    def _place(self, number: int) -> None:
        screen = choose(self._screen_name)
        problem = screen if isinstance(screen, str) else self._window.place(screen)
        if problem or isinstance(screen, str):
            self._window.hide()
            _answer(Answer.REFUSED, number, text=problem)
            return
        self._screen = screen
        # After a reconnection this monitor is used again, not another one that is free.
        self._screen_name = screen.name()
        _answer(Answer.READY, number, screen=asdict(facts(screen)))

    def _removed(self, screen: QScreen) -> None:
        if screen is self._screen:
            # Hide it at once: the window system moves windows of an unplugged monitor to the operator's monitor.
            self._window.hide()
            self._screen = None
            _answer(Answer.LOST, 0, text=f"the SLM's monitor '{screen.name()}' was unplugged; plug it in, then reconnect")


def _answer(answer: Answer, number: int, **content: object) -> None:
    """Answer request ``number``; 0 reports something that was not requested."""
    print(json.dumps({"event": answer, "number": number, **content}), flush=True)


def _switch_scaling_off() -> None:
    """Make one pixel of Qt one pixel of the monitor: the scaling of the desktop is for text, the panel needs every pixel.

    With a scaling of 125 %, Qt cannot place a window of 1366 x 768 pixels: 768 is no multiple of 1.25.
    """
    for name in _SCALING_VARIABLES:
        os.environ.pop(name, None)
    os.environ["QT_ENABLE_HIGHDPI_SCALING"] = "0"


def main(argv: Sequence[str]) -> int:
    """List the monitors (no arguments), measure a frame period (``--period NAME``), or show images on a monitor.

    Showing images needs four arguments: name or serial number of the monitor, height, width, and shared file.

    Returns
    -------
    int
        0.
    """
    _switch_scaling_off()
    application = QGuiApplication(["specklescope-slm"])
    if not argv:
        _answer(Answer.SCREENS, 0, screens=[asdict(facts(screen)) for screen in QGuiApplication.screens()])
        return 0
    if argv[0] == "--period":
        screen = choose(argv[1])
        _answer(Answer.PERIOD, 0, period_s=0.0 if isinstance(screen, str) else frame_period_s(screen))
        return 0
    screen_name, height, width, file = argv
    shape = (int(height), int(width))
    server = Server(screen_name, shape, np.memmap(Path(file), np.uint8, "r", shape=shape))
    server.start()
    return application.exec()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
