"""An slmPy window on a monitor of this computer, served over slmPy's own protocol, on the loopback address only.

This is a separate program (``python slmpy_window.py --help``) because wxPython needs its own process and often another
interpreter. It needs Python 3.9, wxPython, numpy and slmPy, and nothing else of this repository. When it is ready for images
it prints one line of JSON, ``{"port": ..., "shape": [height, width]}``. An error is one line on stderr and exit code 2.
It ends when its standard input closes, so it never outlives the program that started it.

Differences from ``SLMdisplay.listen_port``:

- Other computers cannot reach it.
- It accepts a new connection after the last one ended.
- It refuses images of another size instead of stretching them.
- It answers ``done`` when the window has painted the image.
- A monitor that does not exist, or a window that was closed, ends it instead of blocking for ever.
- It places the window on its monitor; the window manager may put slmPy's own window on another one. If the window does not
  cover its monitor exactly, also later because the monitor was unplugged, the program ends.
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
    print(f"{sys.executable} has no numpy; install numpy and wxPython for it, or choose another interpreter", file=sys.stderr)
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
#: Number of attempts to place a new window, and the seconds between them.
_ATTEMPTS, _ATTEMPT_S = 60, 0.05
#: Number of times in a row that the window must be in place: window managers answer late, and wx reports its own request.
_STEADY = 5
#: Time between two later checks of its place, in seconds.
_WATCH_S = 0.1


def fail(reason: str) -> NoReturn:
    """Print one line and end the process, from any thread."""
    print(" ".join(reason.split()), file=sys.stderr, flush=True)
    # Not sys.exit: wx's thread crashes while Python shuts down, and slmPy's constructor may block for ever.
    os._exit(2)


def end_with_stdin() -> None:
    """End the process when the other end of stdin is closed, which also happens when its owner crashes."""
    while os.read(0, 1024):
        pass
    os._exit(0)


def open_display(monitor: int, slmpy_path: str) -> Any:
    """Return slmPy's ``SLMdisplay``, full screen and on top."""
    # This folder contains another slmpy.py, the client, which must not be imported here.
    sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != _HERE]
    # No scaling, so that an image pixel is a panel pixel. Only X11 lets a window choose its monitor.
    os.environ.update(GDK_SCALE="1", GDK_DPI_SCALE="1", GDK_BACKEND="x11")
    try:
        if slmpy_path:
            with suppress(ImportError):
                importlib.import_module("wx")  # now, because the next lines would slow it down
            sys.path.insert(0, slmpy_path)
            # The operator has allowed the code in this folder, but not the compiled copies in its __pycache__.
            sys.dont_write_bytecode, sys.pycache_prefix = True, os.devnull
        display_class = importlib.import_module("slmpy").SLMdisplay
    except (ImportError, AttributeError) as error:
        fail(f"cannot load slmPy ({error}); install wxPython and give a checkout of wavefrontshaping/slmPy with --slmpy-path")
    return display_class(monitor=monitor, isImageLock=True, alwaysTop=True)


class Picture(np.ndarray):
    """An array with the method that slmPy calls and that NumPy removed in version 2.3."""

    tostring = np.ndarray.tobytes


class Screen:
    """slmPy's window, covering its whole monitor. Only wx's own thread calls the window."""

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
        fail(f"slmPy's window does not cover monitor {monitor}; use another monitor or another window manager")

    def show(self, grey: NDArray[np.uint8]) -> None:
        """Show an image (H, W) and return when it is painted; end the program if the window does not cover its monitor."""
        self.display.updateArray(np.repeat(grey[:, :, None], 3, axis=2).view(Picture), sleep=0.0)
        # slmPy holds this lock until the window has received the image.
        with self.display.eventLock:
            pass
        self.insist(self.painted_in_place)

    def watch(self) -> NoReturn:
        """Check the window's place for ever; end the program when it does not cover its monitor."""
        while True:
            self.insist(self.covers)
            time.sleep(_WATCH_S)

    def insist(self, in_place: Callable[[], bool]) -> None:
        """End the program unless ``in_place`` returns true in wx's thread."""
        if not self.ask(in_place):
            fail(f"slmPy's window no longer covers monitor {self.monitor}; check cables, power and screen settings")

    def place(self) -> bool:
        """Return whether the window covers its monitor; if not, place it there."""
        if not (in_place := self.covers()):
            self.display.vt.frame.SetSize(self.wx.Display(self.monitor).GetGeometry())
        return in_place

    def painted_in_place(self) -> bool:
        """Paint immediately instead of when wx is idle; return whether the window covers its monitor."""
        self.display.vt.frame.Window.Update()
        return self.covers()

    def covers(self) -> bool:
        """Return whether the window has exactly the monitor's pixels."""
        display = self.wx.Display
        return bool(
            self.monitor < display.GetCount()
            and self.display.vt.frame.Window.GetScreenRect() == display(self.monitor).GetGeometry()
        )

    def ask(self, question: Callable[[], bool]) -> bool:
        """Return the result of ``question`` from wx's thread; end the program when that thread has ended."""
        answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        with suppress(AssertionError):  # wx has ended
            self.wx.CallAfter(lambda: answers.put(question()))
        while self.display.vt.is_alive():
            with suppress(queue.Empty):
                return answers.get(timeout=_WATCH_S)
        fail(f"slmPy's window on monitor {self.monitor} was closed")


def serve(listener: socket.socket, screen: Screen, compression: str) -> NoReturn:
    """Accept one connection after the other and show their images."""
    while True:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            serve_connection(connection, screen, compression)


def serve_connection(connection: socket.socket, screen: Screen, compression: str) -> None:
    """Show the images of one connection until it ends, which is an OSError, or sends an impossible length."""
    height, width = screen.shape
    while True:
        (length,) = _LENGTH.unpack(receive(connection, _LENGTH.size))
        # No image is longer than this, however badly it is compressed.
        possible = 0 <= length <= 2 * height * width + 1024
        data = receive(connection, length) if possible else b""
        try:
            image = np.frombuffer(_DECOMPRESS[compression](data), np.uint8)
        except (OSError, EOFError, ValueError, zlib.error):
            image = np.empty(0, np.uint8)
        if fits := image.size == height * width:
            screen.show(image.reshape(height, width))
        connection.sendall(b"done" if fits else b"err")
        if not possible:
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
    parser.add_argument("--compression", choices=_DECOMPRESS, default="zlib", help="compression of the images")
    parser.add_argument("--slmpy-path", default="", help="folder of a checkout of slmPy, if it is not installed")
    options = parser.parse_args()

    # This includes wx's thread: after an error there, slmPy's constructor would block for ever.
    threading.excepthook = lambda args: fail(f"slmPy failed, {getattr(args.exc_type, '__name__', '')}: {args.exc_value}")
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
