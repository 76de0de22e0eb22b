"""An slmPy window on a monitor of this computer, served over slmPy's own protocol, on the loopback address only.

A program of its own (``python slmpy_window.py --help``), because wxPython wants a process for itself and often another
interpreter: it needs Python 3.9, wxPython, numpy and slmPy, and nothing else of this repository. It prints one line of
JSON, ``{"port": ..., "shape": [height, width]}``, when images are taken. A failure is one line on stderr and exit code 2.
It ends when its standard input closes, so it never outlives the program that started it.

It differs from ``SLMdisplay.listen_port`` in this: other computers cannot reach it; it takes a new connection after the last
one ended; images of another size are refused instead of stretched; ``done`` comes when the window has painted the image; a
monitor that does not exist, or a window that was closed, ends it instead of blocking for ever. And the window is where it
should be: left alone, slmPy's lands on another monitor when that suits the window manager. A window that does not cover its
monitor exactly, also because the monitor went away later, ends the program.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import importlib
import json
import os
import queue
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

try:
    import numpy as np
except ImportError:
    print(f"{sys.executable} has no numpy; install numpy and wxPython for it or choose another", file=sys.stderr)
    sys.exit(2)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HERE = Path(__file__).resolve().parent
_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.decompress,
    "gzip": gzip.decompress,
    "bz2": bz2.decompress,
    "none": bytes,
}
_LENGTH = struct.Struct("=i")
#: How often, and every how many seconds, a window that opens is put in its place.
_ATTEMPTS, _ATTEMPT_S = 60, 0.05
#: So many times in a row it has to be found there: window managers answer late, and wx believes what it asked for.
_STEADY = 5
#: How often it is looked at later, in seconds.
_WATCH_S = 0.1


def fail(reason: str) -> NoReturn:
    """Print one line and end the process from whatever thread."""
    print(" ".join(reason.split()), file=sys.stderr, flush=True)
    # No sys.exit: wx's thread crashes while Python cleans up, and slmPy's constructor may wait for ever.
    os._exit(2)


def end_with_stdin() -> None:
    """Wait until nobody holds the other end of stdin any more, however they ended, and end."""
    while os.read(0, 1024):
        pass
    os._exit(0)


def open_display(monitor: int, slmpy_path: str) -> Any:
    """Return slmPy's ``SLMdisplay``, full screen and on top."""
    # This folder holds another slmpy, the client.
    sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != _HERE]
    if slmpy_path:
        sys.path.insert(0, slmpy_path)
    # One image pixel is one panel pixel; and only X11 lets a window choose its monitor.
    os.environ.update(GDK_SCALE="1", GDK_BACKEND="x11")
    try:
        display_class = importlib.import_module("slmpy").SLMdisplay
    except (ImportError, AttributeError) as error:
        fail(f"cannot load slmPy ({error}); it needs wxPython and a checkout of wavefrontshaping/slmPy named by --slmpy-path")
    return display_class(monitor=monitor, isImageLock=True, alwaysTop=True)


class Picture(np.ndarray):
    """An array with the method that slmPy calls and that NumPy 2.3 no longer has."""

    tostring = np.ndarray.tobytes


class Screen:
    """slmPy's window, put over the whole of its monitor and asked only in the thread that may touch it."""

    def __init__(self, monitor: int, slmpy_path: str) -> None:
        self.display = open_display(monitor, slmpy_path)
        self.wx: Any = importlib.import_module("wx")
        self.monitor = monitor
        width, height = self.display.getSize()
        self.shape = (height, width)
        steady = 0
        for _ in range(_ATTEMPTS):
            steady = steady + 1 if self.ask(self.place) else 0
            if steady == _STEADY:
                return
            time.sleep(_ATTEMPT_S)
        fail(f"slmPy's window does not cover monitor {monitor}; give it a window manager that lets it, or another monitor")

    def show(self, grey: NDArray[np.uint8]) -> None:
        """Show an image (H, W) and return when it is painted; end the program when it is not where it should be."""
        self.display.updateArray(np.repeat(grey[:, :, None], 3, axis=2).view(Picture), sleep=0.0)
        # slmPy holds this lock until the window has the image.
        with self.display.eventLock:
            pass
        self.insist(self.painted_in_place)

    def watch(self) -> NoReturn:
        """End the program when the window is not where it should be."""
        while True:
            self.insist(self.covers)
            time.sleep(_WATCH_S)

    def insist(self, in_place: Callable[[], bool]) -> None:
        """End the program unless the answer is yes."""
        if not self.ask(in_place):
            fail(f"slmPy's window does not cover monitor {self.monitor} any more; check cables, power and screen settings")

    def place(self) -> bool:
        """Put the window where it belongs; return whether it was there."""
        if not (there := self.covers()):
            self.display.vt.frame.SetSize(self.wx.Display(self.monitor).GetGeometry())
        return there

    def painted_in_place(self) -> bool:
        """Paint now instead of when nothing else is to be done; return whether the window is where it belongs."""
        self.display.vt.frame.Window.Update()
        return self.covers()

    def covers(self) -> bool:
        """Whether the window's pixels are the monitor's pixels."""
        display = self.wx.Display
        return bool(
            self.monitor < display.GetCount()
            and self.display.vt.frame.Window.GetScreenRect() == display(self.monitor).GetGeometry()
        )

    def ask(self, question: Callable[[], bool]) -> bool:
        """Return the answer from wx's thread; end the program when that has ended."""
        answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        with suppress(AssertionError):  # wx has ended
            self.wx.CallAfter(lambda: answers.put(question()))
        while self.display.vt.is_alive():
            with suppress(queue.Empty):
                return answers.get(timeout=_WATCH_S)
        fail(f"slmPy's window on monitor {self.monitor} was closed")


def serve(listener: socket.socket, screen: Screen, compression: str) -> NoReturn:
    """Take images, one connection after the other."""
    while True:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            talk(connection, screen, compression)


def talk(connection: socket.socket, screen: Screen, compression: str) -> None:
    """Take images from one connection until it ends, which is an OSError, or is beyond understanding."""
    height, width = screen.shape
    while True:
        (length,) = _LENGTH.unpack(receive(connection, _LENGTH.size))
        # What is longer than an image can be, however badly compressed, is not worth reading.
        understood = 0 <= length <= 2 * height * width + 1024
        data = receive(connection, length) if understood else b""
        try:
            image = np.frombuffer(_DECOMPRESS[compression](data), np.uint8)
        except (OSError, EOFError, ValueError, zlib.error):
            image = np.empty(0, np.uint8)
        if fits := image.size == height * width:
            screen.show(image.reshape(height, width))
        connection.sendall(b"done" if fits else b"err")
        if not understood:
            return


def receive(connection: socket.socket, size: int) -> bytes:
    """Return exactly ``size`` bytes, or raise ConnectionError."""
    data = bytearray(size)
    left = memoryview(data)
    while left:
        if not (count := connection.recv_into(left)):
            raise ConnectionError
        left = left[count:]
    return bytes(data)


def main() -> NoReturn:
    """Open the window and serve it until stdin closes."""
    parser = argparse.ArgumentParser(description="Show slmPy's window on a monitor and serve slmPy's protocol on 127.0.0.1.")
    parser.add_argument("--monitor", type=int, default=1, help="number of the monitor; the first is 0")
    parser.add_argument("--port", type=int, default=9999, help="TCP port; 0 takes a free one")
    parser.add_argument("--compression", choices=_DECOMPRESS, default="zlib", help="how the images come")
    parser.add_argument("--slmpy-path", default="", help="folder of slmPy's checkout, where it is not installed")
    options = parser.parse_args()

    # Also for wx's own thread: an error there would leave slmPy's constructor waiting for ever.
    threading.excepthook = lambda args: fail(f"slmPy says {getattr(args.exc_type, '__name__', '')}: {args.exc_value}")
    threading.Thread(target=end_with_stdin, name="stdin", daemon=True).start()
    try:
        listener = socket.create_server(("127.0.0.1", options.port))
    except (OSError, OverflowError) as error:
        fail(f"cannot listen on port {options.port} ({error}); choose another")
    screen = Screen(options.monitor, options.slmpy_path)
    threading.Thread(target=serve, args=(listener, screen, options.compression), name="server", daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1], "shape": screen.shape}), flush=True)
    screen.watch()


if __name__ == "__main__":
    main()
