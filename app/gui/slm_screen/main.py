"""The process of the screen SLM: a borderless window that shows grey images pixel for pixel on the panel's monitor.

It is a process of its own, so that neither a busy main window nor a command without a window can delay or disturb what the
panel shows. :class:`drivers.displays.screen.ScreenSlm` starts it and writes each image into a shared file. It then asks for
the image with one line of JSON on standard input, and gets one line back when the window system has taken the image. The
process ends when its standard input is closed.
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

_FLAGS = (
    Qt.WindowType.FramelessWindowHint
    | Qt.WindowType.WindowStaysOnTopHint
    | Qt.WindowType.WindowDoesNotAcceptFocus
    # No window manager between us and the panel: no decoration, no animation, no other place.
    | Qt.WindowType.BypassWindowManagerHint
)


@dataclass(frozen=True)
class ScreenFacts:
    """One monitor as the window system describes it; ``shape`` is its native height and width in pixels."""

    name: str
    serial: str
    model: str
    shape: tuple[int, int]
    position: tuple[int, int]
    refresh_hz: float
    scaling: float
    primary: bool


def facts(screen: QScreen) -> ScreenFacts:
    """Describe a monitor."""
    ratio, geometry = screen.devicePixelRatio(), screen.geometry()
    return ScreenFacts(
        name=screen.name(),
        serial=screen.serialNumber(),
        model=f"{screen.manufacturer()} {screen.model()}".strip(),
        shape=(round(geometry.height() * ratio), round(geometry.width() * ratio)),
        position=(geometry.x(), geometry.y()),
        refresh_hz=screen.refreshRate(),
        scaling=ratio,
        primary=screen is QGuiApplication.primaryScreen(),
    )


def choose(wanted: str) -> QScreen | str:
    """Return the monitor of this name or serial number, or words about why there is none.

    Empty stands for the only monitor that is not the operator's.
    """
    if QGuiApplication.platformName() == "wayland":
        return "Wayland lets no program choose a window's monitor; log in to an X11 desktop, or set QT_QPA_PLATFORM=xcb"
    screens = QGuiApplication.screens()
    primary = QGuiApplication.primaryScreen()
    if wanted:
        found = [screen for screen in screens if wanted in (screen.name(), screen.serialNumber())]
    else:
        found = [screen for screen in screens if screen is not primary]
    if len(found) == 1:
        return found[0]
    there = ", ".join(_words(facts(screen)) for screen in screens) or "none"
    if not wanted:
        return f"cannot guess which monitor is the SLM: there are {there}; set 'screen' to its name or serial number"
    many = "more than one monitor is" if found else "no monitor is"
    return f"{many} called '{wanted}', there are {there}; check cable and power of the SLM, or correct 'screen'"


def _words(screen: ScreenFacts) -> str:
    height, width = screen.shape
    serial = f", serial {screen.serial}" if screen.serial else ""
    return f"{screen.name} ({width}x{height}{serial}{', primary' if screen.primary else ''})"


class PanelWindow(QWindow):
    """The window: paints one image, exactly, whenever it is asked or uncovered."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self._shape = shape
        self._pixels = bytes(shape[0] * shape[1])
        self._store: QBackingStore | None = None
        self.setFlags(_FLAGS)
        self.setCursor(Qt.CursorShape.BlankCursor)

    def place(self, screen: QScreen) -> str:
        """Cover ``screen``; return words when its pixels are not the panel's."""
        self.setScreen(screen)
        self.setGeometry(screen.geometry())
        self.show()
        self.raise_()
        QGuiApplication.sync()
        QGuiApplication.processEvents()
        ratio = self.devicePixelRatio()
        covered = (self.height() * ratio, self.width() * ratio)
        if covered != self._shape:
            height, width = covered
            return (
                f"monitor {screen.name()} has {width:g}x{height:g} pixels at {100 * ratio:g} % scaling, the panel "
                f"{self._shape[1]}x{self._shape[0]}; set its native resolution, a scaling of 100 %, or the panel's shape"
            )
        return ""

    def present(self, pixels: NDArray[np.uint8]) -> int:
        """Show an image; return the monotonic time in ns at which the window system had taken it."""
        self._pixels = pixels.tobytes()
        self.paint()
        # A round trip: everything sent before it has been carried out.
        QGuiApplication.sync()
        return time.monotonic_ns()

    def paint(self) -> None:
        """Paint the image into the window."""
        if self._store is None:
            self._store = QBackingStore(self)
        height, width = self._shape
        image = QImage(self._pixels, width, height, width, QImage.Format.Format_Grayscale8)
        # Without this, scaling would resample the image.
        image.setDevicePixelRatio(self.devicePixelRatio())
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
        """Paint again what was covered."""
        if self.isExposed():
            self.paint()

    def event(self, event: QEvent | None) -> bool:
        """Swallow a request to close: only the program that started us may end it."""
        if event is not None and event.type() == QEvent.Type.Close:
            event.ignore()
            return True
        return super().event(event)


class Server(QObject):
    """Follows the lines on standard input and watches the monitor.

    Parameters
    ----------
    wanted : str
        Name or serial number of the monitor.
    shape : (int, int)
        The panel's native shape.
    shared : ndarray of uint8, shape (H, W)
        Where the program that started us puts images.
    """

    line = pyqtSignal(str)
    ended = pyqtSignal()

    def __init__(self, wanted: str, shape: tuple[int, int], shared: NDArray[np.uint8]) -> None:
        super().__init__()
        self._wanted = wanted
        self._shared = shared
        self._window = PanelWindow(shape)
        self._screen: QScreen | None = None
        self.line.connect(self._follow)
        # Not quit(): that asks the window, which refuses.
        self.ended.connect(lambda: QGuiApplication.exit(0))
        application = QGuiApplication.instance()
        assert isinstance(application, QGuiApplication)
        application.screenRemoved.connect(self._removed)

    def start(self) -> None:
        """Cover the monitor, say so, and listen."""
        self._place(0)
        threading.Thread(target=self._listen, name="stdin", daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            self.line.emit(line)
        self.ended.emit()

    def _follow(self, line: str) -> None:
        request = json.loads(line)
        number = int(request["number"])
        if request["do"] == "place":
            self._place(number)
        elif self._screen is None:
            _say("lost", number, text=f"the SLM's monitor '{self._wanted}' is gone; plug it in, then reconnect")
        else:
            _say("shown", number, t_ns=self._window.present(self._shared))

    def _place(self, number: int) -> None:
        screen = choose(self._wanted)
        trouble = screen if isinstance(screen, str) else self._window.place(screen)
        if trouble or isinstance(screen, str):
            self._window.hide()
            _say("refused", number, text=trouble)
            return
        self._screen = screen
        # A monitor that returns is the one that was chosen, not the next that nobody uses.
        self._wanted = screen.name()
        _say("ready", number, screen=asdict(facts(screen)))

    def _removed(self, screen: QScreen) -> None:
        if screen is self._screen:
            # At once: the window system moves windows of a vanished monitor onto the operator's.
            self._window.hide()
            self._screen = None
            _say("lost", 0, text=f"the SLM's monitor '{screen.name()}' was unplugged; plug it in, then reconnect")


def _say(event: str, number: int, **facts: object) -> None:
    """Answer request ``number``; 0 is what happens unasked."""
    print(json.dumps({"event": event, "number": number, **facts}), flush=True)


def main(argv: Sequence[str]) -> int:
    """List the monitors (no arguments), measure one's frame period (``--period NAME``), or run a panel on one.

    A panel takes four arguments: name or serial number of the monitor, height, width, shared file.

    Returns
    -------
    int
        0.
    """
    # Scaling of the desktop is for text; a panel's pixels are its own.
    os.environ["QT_ENABLE_HIGHDPI_SCALING"] = "0"
    application = QGuiApplication(["specklescope-slm"])
    if not argv:
        _say("screens", 0, screens=[asdict(facts(screen)) for screen in QGuiApplication.screens()])
        return 0
    if argv[0] == "--period":
        screen = choose(argv[1])
        _say("period", 0, period_s=0.0 if isinstance(screen, str) else frame_period_s(screen))
        return 0
    wanted, height, width, file = argv
    shape = (int(height), int(width))
    server = Server(wanted, shape, np.memmap(Path(file), np.uint8, "r", shape=shape))
    server.start()
    return application.exec()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
