"""An X server with a window manager of its own (Xvfb and openbox), whatever the environment says."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from app.benchmarks.virtual_screens import NotInstalledError, end_process, start_xvfb
from drivers.base import SpeckleScopeError

#: Programs that are needed, and the Debian package of each.
_PROGRAMS = {"Xvfb": "xvfb", "openbox": "openbox"}
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
    NotInstalledError
        A program is missing; the message names its Debian package.
    SpeckleScopeError
        The server does not start.
    """

    def __init__(self, width: int = 1366, height: int = 768) -> None:
        for program, package in _PROGRAMS.items():
            if shutil.which(program) is None:
                raise NotInstalledError(f"{program} is not installed; apt-get install {package}")
        self._server, number = start_xvfb(width, height, "+extension", "GLX", "-r")  # a slow test holds no key for long
        if not number:
            self.close()
            raise SpeckleScopeError("Xvfb ended immediately; run it by hand to see why: Xvfb :99")
        self.display = f":{number}"
        self._manager: subprocess.Popen[bytes] | None = None
        try:
            self._manager = self._start_manager()
        except OSError as error:
            self.close()
            raise SpeckleScopeError(f"openbox does not start: {error}; apt-get install openbox") from error

    def _start_manager(self) -> subprocess.Popen[bytes]:
        """Start the window manager; a window that came while it starts would never be shown, so wait until it works."""
        command = ["openbox", "--sm-disable", "--startup", "echo ready"]
        manager = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert manager.stdout is not None
        manager.stdout.readline()  # also returns when openbox ends
        return manager

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of a program whose windows are to open here."""
        kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        return {**kept, "DISPLAY": self.display, "QT_QPA_PLATFORM": "xcb"}

    def close(self) -> None:
        """End window manager and server."""
        for process in (getattr(self, "_manager", None), self._server):
            if process is not None:
                end_process(process)
                if process.stdout is not None:
                    process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
