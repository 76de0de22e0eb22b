"""Two virtual monitors (Xvfb) whose pixels can be read back exactly, for benchmarks and tests of the screen SLM."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceLostError, Slm, SpeckleScopeError
from drivers.displays.panel import Panel

_START_S = 20.0
_END_S = 10.0
_CHECK_S = 0.005
_RGB_MASK = np.uint32(0xFFFFFF)
#: One grey level in each of the three colour bytes.
_GREY_TO_RGB = np.uint32(0x010101)


class NotInstalledError(SpeckleScopeError):
    """A program or library that is needed here is not installed."""


class VirtualScreens:
    """An X server with the operator's monitor ``CTRL`` and, to the right of it, the SLM's monitor ``SLM``.

    The server ends with the ``with`` block.

    Parameters
    ----------
    operator, panel : (int, int)
        Height and width of the two monitors in pixels.

    Raises
    ------
    NotInstalledError
        Xvfb or xrandr is not installed.
    SpeckleScopeError
        The server does not start.
    """

    def __init__(self, operator: tuple[int, int] = (1080, 1280), panel: tuple[int, int] = (1080, 1920)) -> None:
        for program, package in (("Xvfb", "xvfb"), ("xrandr", "x11-xserver-utils")):
            if shutil.which(program) is None:
                raise NotInstalledError(f"{program} is not installed; apt-get install {package}")
        self._operator = operator
        self._panel = panel
        self._folder = tempfile.TemporaryDirectory(prefix="specklescope-x-")
        height, width = max(operator[0], panel[0]), operator[1] + panel[1]
        self._server, number = start_xvfb(width, height, "+extension", "RANDR", "-fbdir", self._folder.name)
        if not number:
            self.close()
            raise SpeckleScopeError("Xvfb ended immediately; run it by hand to see why: Xvfb :99")
        self.display = f":{number}"
        self._xrandr("--setmonitor", "CTRL", f"{operator[1]}/340x{operator[0]}/270+0+0", "screen")
        self.plug()
        self._framebuffer = _mapped_framebuffer(Path(self._folder.name) / "Xvfb_screen0")

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables that make a program open its windows on these monitors."""
        return {"DISPLAY": self.display, "QT_QPA_PLATFORM": "xcb"}

    def plug(self) -> None:
        """Connect the SLM's monitor."""
        height, width = self._panel
        self._xrandr("--setmonitor", "SLM", f"{width}/510x{height}/290+{self._operator[1]}+0", "none")

    def unplug(self) -> None:
        """Disconnect the SLM's monitor."""
        self._xrandr("--delmonitor", "SLM")

    def shows(self, grey: NDArray[np.uint8]) -> bool:
        """Return whether every pixel of the SLM's monitor has its grey level in all three colours.

        Parameters
        ----------
        grey : ndarray of uint8, shape (H, W)
            Of the monitor's shape.
        """
        # One comparison of 32-bit words is faster than three of bytes. The fourth byte is unused.
        return bool(np.array_equal(self._pixels() & _RGB_MASK, grey.astype(np.uint32) * _GREY_TO_RGB))

    def grey(self) -> NDArray[np.uint8]:
        """Return the green channel of what the SLM's monitor shows now, (H, W)."""
        return (self._pixels() >> np.uint32(8)).astype(np.uint8)

    def close(self) -> None:
        """End the server."""
        end_process(self._server)
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _pixels(self) -> NDArray[np.uint32]:
        height, width = self._panel
        return self._framebuffer[:height, self._operator[1] : self._operator[1] + width]

    def _xrandr(self, *arguments: str) -> None:
        result = subprocess.run(
            ["xrandr", "--display", self.display, *arguments], capture_output=True, text=True, timeout=_START_S, check=False
        )
        if result.returncode:
            reason = " ".join(result.stderr.split())
            raise SpeckleScopeError(
                f"xrandr {' '.join(arguments)} failed: {reason}; check that this Xvfb has the RANDR extension"
            )


def start_xvfb(width: int, height: int, *options: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start Xvfb; return its process and the number of its display, empty when it ended immediately.

    The server ends at the latest with the thread that started it, also when this process is killed (on Linux).
    """
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24", "-noreset", "-nolisten", "tcp"]
    if shutil.which("setpriv"):
        command = ["setpriv", "--pdeathsig", "TERM", *command]
    server = subprocess.Popen([*command, *options], pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as answer:
        return server, answer.readline().strip()  # also returns when the server ends


def end_process(process: subprocess.Popen[bytes]) -> None:
    """End a process; one that does not end by itself is killed."""
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _mapped_framebuffer(path: Path) -> NDArray[np.uint32]:
    """Map the server's framebuffer, an X window dump: header, colour table, pixels (XWDFile.h, version 7)."""
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    header = struct.unpack(">25I", memory[:100])
    header_size, width, height, bytes_per_line, colours = header[0], header[4], header[5], header[12], header[19]
    pixels = np.frombuffer(memory, np.uint32, height * bytes_per_line // 4, header_size + 12 * colours)
    return pixels.reshape(height, bytes_per_line // 4)[:, :width]


class MonitorView:
    """The SLM's monitor as the panel in front of a simulated camera: its pixels at this moment, as phase.

    Parameters
    ----------
    screens : VirtualScreens
        The monitors.
    panel : Panel
        Turns grey levels back into phase, in the pattern's area.
    """

    def __init__(self, screens: VirtualScreens, panel: Panel) -> None:
        self._screens = screens
        self._panel = panel

    def phase_at(self, t_ns: int) -> tuple[NDArray[np.float32], bool]:
        """Return the phase in radians that is on the monitor now, whatever ``t_ns`` is; it is always settled."""
        return self._panel.phase_of(self._screens.grey()), True

    def lit_between(self, start_ns: int, stop_ns: int) -> tuple[str, ...]:
        """Return one name for everything: pixels do not tell which pattern they belong to."""
        return ("monitor",)

    def edges_between(self, after_ns: int, until_ns: int) -> tuple[int, ...]:
        """Return nothing: a monitor has no sync output."""
        return ()


def wait_until_lost(slm: Slm, timeout_s: float) -> str:
    """Return the message of an SLM as soon as it reports that its display has gone.

    Raises
    ------
    SpeckleScopeError
        It reports nothing within ``timeout_s``.
    """
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        try:
            slm.check()
        except DeviceLostError as error:
            return str(error)
        time.sleep(_CHECK_S)
    raise SpeckleScopeError(f"the SLM did not report within {timeout_s:g} s that its display has gone")
