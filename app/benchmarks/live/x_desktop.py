"""An X server with a window manager of its own (Xvfb and openbox), whatever the environment says."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from drivers.base import SpeckleScopeError

#: Programs that are needed, and the Debian package of each.
_PROGRAMS = {"Xvfb": "xvfb", "openbox": "openbox"}
_END_S = 10.0
#: Variables of another desktop, which would change how Qt draws.
_FOREIGN = ("WAYLAND_DISPLAY", "QT_SCALE_FACTOR", "QT_QPA_PLATFORMTHEME", "XDG_CURRENT_DESKTOP", "XAUTHORITY")


class XDesktop:
    """A screen that nobody sees, with a window manager; both end with the ``with`` block.

    Parameters
    ----------
    width, height : int
        Size of the screen in pixels.

    Raises
    ------
    SpeckleScopeError
        A program is missing (the message names its Debian package), or the server does not start.
    """

    def __init__(self, width: int = 1366, height: int = 768) -> None:
        for program, package in _PROGRAMS.items():
            if shutil.which(program) is None:
                raise SpeckleScopeError(f"{program} is not installed; apt-get install {package}")
        self._server, number = _start_server(width, height)
        if not number:
            self.close()
            raise SpeckleScopeError("Xvfb ended immediately; run it by hand to see why: Xvfb :99")
        self.display = f":{number}"
        self._manager: subprocess.Popen[bytes] | None = None
        try:
            self._manager = subprocess.Popen(
                ["openbox", "--sm-disable"], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            self.close()
            raise SpeckleScopeError(f"openbox does not start: {error}; apt-get install openbox") from error

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of a program whose windows are to open here."""
        kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        return {**kept, "DISPLAY": self.display, "QT_QPA_PLATFORM": "xcb"}

    def close(self) -> None:
        """End window manager and server."""
        for process in (getattr(self, "_manager", None), self._server):
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _start_server(width: int, height: int) -> tuple[subprocess.Popen[bytes], str]:
    """Start Xvfb; return its process and the number of its display, empty when it ended immediately."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24", "+extension", "GLX"]
    server = subprocess.Popen(
        [*command, "-noreset", "-nolisten", "tcp"], pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with contextlib.suppress(OSError):
        os.close(writing)
    with os.fdopen(reading) as answer:
        return server, answer.readline().strip()  # also returns when the server ends
