"""slmPy's window on a monitor of this computer as an SLM: a child process shows the window, the slmPy client sends images.

The child (:mod:`drivers.displays.slmpy_window`) runs under another Python interpreter, because wxPython is rarely installed
beside this program. It ends when its standard input closes, which also happens when this process is killed.
"""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError, DeviceLostError, Pattern, SlmCapabilities, WrongPatternError
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.slmpy import SlmPyConfig, SlmPySlm

log = logging.getLogger(__name__)

_SCRIPT = Path(__file__).with_name("slmpy_window.py")
#: Longest time that the child may need to end by itself, in seconds.
_END_S = 2.0


@dataclass(frozen=True)
class SlmPyWindowConfig:
    """Which monitor slmPy's window covers, which interpreter runs it, and its times.

    Parameters
    ----------
    python : str
        Interpreter that has wxPython and numpy, at least Python 3.9; Debian's, with ``python3-wxgtk4.0``, is
        ``/usr/bin/python3``.
    slmpy_path : str
        Folder of a checkout of wavefrontshaping/slmPy; empty if slmPy is installed for that interpreter.
    monitor : int
        Number of the monitor as wxPython counts them; the first is 0.
    start_s : float
        Longest time for the window to open, in seconds.
    refresh_hz, latency_s, settle_s, timeout_s : float
        As in :class:`drivers.displays.slmpy.SlmPyConfig`.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    python: str = "python3"
    slmpy_path: str = ""
    monitor: int = 1
    start_s: float = 20.0
    refresh_hz: float = SlmPyConfig.refresh_hz
    latency_s: float = SlmPyConfig.latency_s
    settle_s: float = SlmPyConfig.settle_s
    timeout_s: float = SlmPyConfig.timeout_s

    def __post_init__(self) -> None:
        if not self.python or self.monitor < 0 or not self.start_s > 0:
            raise ValueError(f"python must not be empty, monitor must be 0 or more and start_s positive, got {self}")
        self.link(1)

    def link(self, port: int) -> SlmPyConfig:
        """Return the settings of the connection to a window that listens on ``port``."""
        return SlmPyConfig(
            port=port,
            refresh_hz=self.refresh_hz,
            latency_s=self.latency_s,
            settle_s=self.settle_s,
            compression="none",
            timeout_s=self.timeout_s,
        )


class LocalSlmPySlm:
    """A :class:`drivers.base.GreySlm` in an slmPy window. Creating the object opens the window.

    Any error of the window ends its process; :meth:`reconnect` starts another.

    Parameters
    ----------
    config : SlmPyWindowConfig, optional
        The window.
    panel : Panel, optional
        It must have the monitor's shape; by default a linear panel of 2 pi with this shape.

    Raises
    ------
    DeviceLostError
        The window did not open.
    DeviceError
        The panel does not have the monitor's shape.
    """

    def __init__(self, config: SlmPyWindowConfig | None = None, panel: Panel | None = None) -> None:
        self._config = config or SlmPyWindowConfig()
        self._panel = panel
        self._window, self._slm = self._open()
        self.capabilities: SlmCapabilities = replace(
            self._slm.capabilities, model="slmPy window", serial=f"monitor {self._config.monitor}"
        )

    @property
    def panel(self) -> Panel:
        """The panel that makes the grey images."""
        return self._slm.panel

    @property
    def shown(self) -> Pattern | None:
        """The last pattern that this window accepted, or None; a window that was opened again shows none."""
        return self._slm.shown

    @property
    def panel_shape(self) -> tuple[int, int]:
        """Height and width of the display in pixels."""
        return self.panel.shape

    @property
    def grey(self) -> NDArray[np.uint8] | None:
        """The last grey image that this window accepted, or None."""
        return self._slm.grey

    def show(self, pattern: Pattern) -> int:
        """Show a pattern; see :meth:`drivers.displays.slmpy.SlmPySlm.show`.

        Every error except WrongPatternError is a DeviceLostError.
        """
        with self._ending_with_failure():
            return self._slm.show(pattern)

    def show_grey(self, grey: NDArray[np.uint8]) -> int:
        """Show a grey image of the panel's shape; see :meth:`drivers.base.GreySlm.show_grey`."""
        with self._ending_with_failure():
            return self._slm.show_grey(grey)

    def check(self) -> None:
        """Raise DeviceLostError when the window was closed, or when it left its monitor more than 0.1 s ago."""
        with self._ending_with_failure():
            self._slm.check()

    def reconnect(self) -> None:
        """Open the window again; a window that works is kept.

        Raises
        ------
        DeviceLostError
            The window did not open.
        DeviceError
            The monitor now has another shape.
        """
        if self._window.alive:
            with suppress(DeviceError):
                self._slm.reconnect()
                return
        self.close()
        self._window, self._slm = self._open()

    def close(self) -> None:
        """Close the window and end its process; kill the process after 2 s."""
        self._slm.close()
        self._window.end()

    def _open(self) -> tuple[_Window, SlmPySlm]:
        window = _Window(self._config)
        try:
            panel = self._panel or Panel(PanelConfig(shape=window.shape))
            if panel.shape != window.shape:
                raise DeviceError(
                    f"monitor {self._config.monitor} has the shape {window.shape}, the panel {panel.shape}; "
                    "choose another monitor or set its resolution"
                )
            self._panel = panel
            return window, SlmPySlm(self._config.link(window.port), panel)
        except BaseException:
            window.end()
            raise

    @contextmanager
    def _ending_with_failure(self) -> Iterator[None]:
        try:
            yield
        except WrongPatternError:
            raise
        except DeviceError as error:
            self.close()
            cause = self._window.exit_reason or str(error).partition(";")[0]
            raise DeviceLostError(f"{self._window.name} is lost ({cause}); reconnect to open it again") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Window:
    """The child process; open when it exists."""

    def __init__(self, config: SlmPyWindowConfig) -> None:
        self.name = f"slmPy's window on monitor {config.monitor}"
        # -E: this program's PYTHONPATH is not for another interpreter.
        command = [config.python, "-E", str(_SCRIPT), "--port=0", "--compression=none", f"--monitor={config.monitor}"]
        command += [f"--slmpy-path={config.slmpy_path}"] if config.slmpy_path else []
        pipe = subprocess.PIPE
        try:
            # In a new session: Ctrl+C in the terminal must reach only this program, which then closes its devices in order.
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True
            )
        except OSError as error:
            raise DeviceLostError(
                f"the interpreter {config.python!r} of {self.name} does not start ({error}); choose another"
            ) from error
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._last = ""
        self._reader = threading.Thread(target=self._read, name="slmPy window", daemon=True)
        self._reader.start()
        try:
            self.port, self.shape = self._ready(time.monotonic() + config.start_s)
        except BaseException:
            self.end()
            raise

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @property
    def exit_reason(self) -> str:
        """Last line of a process that ended with an error of its own; empty otherwise."""
        return self._last if self._process.poll() == 2 else ""

    def end(self) -> None:
        """Ask the process to end; kill it if it does not."""
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
        self._reader.join(_END_S)

    def _read(self) -> None:
        """Read the child's output, so that it never blocks on a full pipe."""
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                log.info("%s: %s", self.name, line.rstrip())
                self._lines.put(line)
                self._last = line.strip()
        self._lines.put("")

    def _ready(self, deadline_s: float) -> tuple[int, tuple[int, int]]:
        """Return port and shape once the window is open."""
        last = "it printed nothing"
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                line, last = "", f"not ready in time, last line: {last}"
            if not line:
                raise DeviceLostError(f"{self.name} did not open ({last}); check monitor, DISPLAY, interpreter and slmpy_path")
            # Toolkits may print warnings before this line.
            with suppress(ValueError, KeyError, TypeError):
                ready = json.loads(line)
                height, width = ready["shape"]
                return int(ready["port"]), (int(height), int(width))
            last = line.strip() or last
