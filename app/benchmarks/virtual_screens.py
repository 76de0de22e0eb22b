"""Two monitors that exist in memory (Xvfb), and what they show, pixel for pixel: a panel for benchmarks and tests."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from drivers.base import SpeckleScopeError
from drivers.displays.panel import Panel

_START_S = 20.0


class VirtualScreens:
    """An X server with an operator's monitor ``CTRL`` and, right of it, the panel's ``SLM``; ends with the ``with`` block.

    Parameters
    ----------
    operator, panel : (int, int)
        Height and width of the monitors in pixels.

    Raises
    ------
    SpeckleScopeError
        Xvfb or xrandr is not installed, or the server does not start.
    """

    def __init__(self, operator: tuple[int, int] = (1080, 1280), panel: tuple[int, int] = (1080, 1920)) -> None:
        for program, package in (("Xvfb", "xvfb"), ("xrandr", "x11-xserver-utils")):
            if shutil.which(program) is None:
                raise SpeckleScopeError(f"virtual monitors need {program}; install it: apt-get install {package}")
        self._operator, self._panel = operator, panel
        self._folder = tempfile.TemporaryDirectory(prefix="specklescope-x-")
        height, width = max(operator[0], panel[0]), operator[1] + panel[1]
        reading, writing = os.pipe()
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24", "+extension", "RANDR"]
        self._server = subprocess.Popen(
            [*command, "-noreset", "-nolisten", "tcp", "-fbdir", self._folder.name],
            pass_fds=[writing],
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as answer:
            number = answer.readline().strip()  # ends too when the server does
        if not number:
            self.close()
            raise SpeckleScopeError("Xvfb ended at once; run it by hand to see why: Xvfb :99")
        self.display = f":{number}"
        self._xrandr("--setmonitor", "CTRL", f"{operator[1]}/340x{operator[0]}/270+0+0", "screen")
        self.plug()
        self._framebuffer = self._map(Path(self._folder.name) / "Xvfb_screen0")

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables of a program that shall use these monitors."""
        return {"DISPLAY": self.display, "QT_QPA_PLATFORM": "xcb"}

    def plug(self) -> None:
        """Plug the panel's monitor in."""
        height, width = self._panel
        self._xrandr("--setmonitor", "SLM", f"{width}/510x{height}/290+{self._operator[1]}+0", "none")

    def unplug(self) -> None:
        """Pull the panel's monitor out."""
        self._xrandr("--delmonitor", "SLM")

    def shows(self, grey: NDArray[np.uint8]) -> bool:
        """Whether every pixel of the panel's monitor has this grey level in all three colours.

        Parameters
        ----------
        grey : ndarray of uint8, shape (H, W)
            Of the panel's shape.
        """
        pixels = self._pixels()
        # One comparison of whole words is quicker than three of bytes; the fourth byte is nobody's.
        return bool(np.array_equal(pixels & np.uint32(0xFFFFFF), grey.astype(np.uint32) * np.uint32(0x010101)))

    def grey(self) -> NDArray[np.uint8]:
        """Return what the panel's monitor shows now, (H, W), by its green."""
        return (self._pixels() >> np.uint32(8)).astype(np.uint8)

    def _pixels(self) -> NDArray[np.uint32]:
        height, width = self._panel
        return self._framebuffer[:height, self._operator[1] : self._operator[1] + width]

    def close(self) -> None:
        """End the server."""
        self._server.terminate()
        self._server.wait(10)
        self._folder.cleanup()

    def _xrandr(self, *arguments: str) -> None:
        done = subprocess.run(
            ["xrandr", "--display", self.display, *arguments], capture_output=True, text=True, timeout=_START_S, check=False
        )
        if done.returncode:
            reason = " ".join(done.stderr.split())
            raise SpeckleScopeError(f"xrandr {' '.join(arguments)} failed: {reason}; is the RANDR extension there?")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @staticmethod
    def _map(path: Path) -> NDArray[np.uint32]:
        """Map the server's framebuffer, an X window dump: header, colour table, pixels (XWDFile.h, version 7)."""
        with path.open("rb") as file:
            memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        header = struct.unpack(">25I", memory[:100])
        header_size, width, height, bytes_per_line, colours = header[0], header[4], header[5], header[12], header[19]
        words = np.frombuffer(memory, np.uint32, height * bytes_per_line // 4, header_size + 12 * colours)
        return words.reshape(height, bytes_per_line // 4)[:, :width]


class SeenPanel:
    """What a simulated camera sees of the panel's monitor: its pixels at that moment, as phase; for time it knows only now.

    Parameters
    ----------
    screens : VirtualScreens
        Where the monitor is.
    panel : Panel
        How phase became grey, and where a pattern lies.
    """

    def __init__(self, screens: VirtualScreens, panel: Panel) -> None:
        self._screens, self._panel = screens, panel

    def phase_at(self, t_ns: int) -> tuple[NDArray[np.float32], bool]:
        """Phase of a pattern's pixels as they are on the monitor now."""
        return self._panel.phase_of(self._screens.grey()), True

    def lit_between(self, start_ns: int, stop_ns: int) -> tuple[str, ...]:
        """One name: what was on the monitor is known by its pixels only."""
        return ("monitor",)

    def edges_between(self, after_ns: int, until_ns: int) -> tuple[int, ...]:
        """None: a monitor has no sync output."""
        return ()
