"""A phase SLM that is a monitor of this computer. A separate process shows the window.

Pixels pass through a shared file, commands and answers as lines of JSON through pipes. Only one image is under way at a time.
The process ends when its standard input closes, so it never outlives the program.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError, DeviceLostError, SlmCapabilities
from drivers.device_facts import DeviceFact, library_fact
from drivers.displays.panel import Panel
from drivers.displays.panel_slm import PanelSlm
from drivers.displays.screen_protocol import Answer, Command

#: Longest time for loading Qt on a slow computer, in seconds.
_START_S = 30.0


@dataclass(frozen=True)
class ScreenConfig:
    """Which monitor, and how long an image takes from the window system to the light.

    Parameters
    ----------
    screen : str
        Name or serial number of the monitor; empty selects the only one besides the operator's monitor.
    latency_frames : int
        Largest number of refresh periods until the first light of a new image: scan-out and delay of the SLM's electronics.
    settle_s : float
        Settling time of the liquid crystal in seconds.
    timeout_s : float
        Longest time for one image, in seconds.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    screen: str = ""
    latency_frames: int = 3
    settle_s: float = 0.015
    timeout_s: float = 2.0

    def __post_init__(self) -> None:
        if self.latency_frames < 1 or self.settle_s < 0 or not self.timeout_s > 0:
            raise ValueError(f"latency_frames and timeout_s must be positive, settle_s 0 or more, got {self}")


class ScreenSlm(PanelSlm):
    """A :class:`drivers.base.GreySlm` on a monitor of this computer.

    Parameters
    ----------
    command : sequence of str
        Starts the window's process (``app.gui.slm_screen``); monitor, height, width and shared file are appended.
    config : ScreenConfig, optional
        The monitor.
    panel : Panel, optional
        Its native shape, its response and the position of the pattern.

    Raises
    ------
    DeviceError
        The monitor is missing, or its number of pixels is not the panel's.
    """

    def __init__(self, command: Sequence[str], config: ScreenConfig | None = None, panel: Panel | None = None) -> None:
        self.config = config or ScreenConfig()
        self.panel = panel or Panel()
        self._command = list(command)
        self._child: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._shared: NDArray[np.uint8] | None = None
        self._file = Path()
        self._number = 0
        self._gone = ""
        ready = self._start()
        screen = ready["screen"]
        period_s = 1 / screen["refresh_hz"] if screen["refresh_hz"] > 0 else 1 / 60
        self.capabilities = SlmCapabilities(
            model=f"screen {screen['name']} {screen['model']}".strip(),
            serial=screen["serial"] or screen["name"],
            shape=self.panel.pattern_shape,
            refresh_s=period_s,
            latency_s=self.config.latency_frames * period_s,
            settle_s=self.config.settle_s,
        )

    def _send(self, grey: NDArray[np.uint8]) -> int:
        self.check()
        assert self._shared is not None
        self._shared[:] = grey
        return int(self._ask(Command.SHOW)["t_ns"])

    def device_facts(self) -> tuple[DeviceFact, ...]:
        """Return the driver; see :class:`drivers.device_facts.DescribedDevice`."""
        return (library_fact("PyQt6"),)

    def check(self) -> None:
        """Raise DeviceLostError when the monitor or the window's process has disappeared since the last image."""
        while not self._answers.empty():
            self._notice(self._answers.get_nowait())
        if self._gone:
            raise DeviceLostError(self._gone)

    def reconnect(self) -> None:
        """Place the window on its monitor again, in a new process if the old one has ended.

        Raises
        ------
        DeviceLostError
            The monitor is still disconnected.
        """
        with suppress(DeviceLostError):
            self.check()
            return
        self._gone = ""
        try:
            if self._child is None or self._child.poll() is not None:
                self._start()
            else:
                self._ask(Command.PLACE)
        except DeviceError as error:
            self._gone = str(error)
            raise DeviceLostError(f"{error}") from error

    def close(self) -> None:
        """Close the window."""
        self._end()
        self._gone = "the SLM's window is closed; reconnect it"

    def _start(self) -> dict[str, Any]:
        self._end()
        height, width = self.panel.shape
        handle, name = tempfile.mkstemp(prefix="specklescope-grey-")
        os.close(handle)
        self._file = Path(name)
        self._shared = np.memmap(self._file, np.uint8, "w+", shape=(height, width))
        self._answers = queue.Queue()
        self._child = subprocess.Popen(
            [*self._command, self.config.screen, str(height), str(width), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            env=_environment(),
            # Ctrl+C in the terminal must reach only this program, which then closes its devices in order.
            start_new_session=True,
        )
        threading.Thread(target=_listen, args=(self._child, self._answers), name="slm-screen", daemon=True).start()
        self._number = 0
        try:
            return self._await(_START_S)
        except DeviceError:
            self._end()
            raise
        finally:
            # Both processes have the file open. Deleted now, it never remains when the program crashes.
            with suppress(OSError):
                self._file.unlink()

    def _ask(self, command: Command) -> dict[str, Any]:
        if self._child is None or self._child.stdin is None:
            raise self._lost("the SLM's window has ended; reconnect it")
        self._number += 1
        try:
            # A line is far smaller than a pipe's buffer, so this does not block while the window hangs.
            self._child.stdin.write(json.dumps({"do": command, "number": self._number}) + "\n")
        except OSError as error:
            raise self._lost("the SLM's window has ended; reconnect it") from error
        return self._await(self.config.timeout_s)

    def _await(self, timeout_s: float) -> dict[str, Any]:
        """Return the answer to the last request; late answers to earlier requests are discarded."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                answer = self._answers.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                self._end()
                raise self._lost(f"the SLM's window did not answer within {timeout_s:g} s; reconnect it") from None
            self._notice(answer)
            if self._gone:
                raise DeviceLostError(self._gone)
            if answer["number"] == self._number:
                if Answer(answer["event"]) is Answer.REFUSED:
                    raise DeviceError(answer["text"])
                return answer

    def _notice(self, answer: dict[str, Any]) -> None:
        if Answer(answer["event"]) is Answer.LOST and answer["number"] in (0, self._number):
            self._gone = answer["text"]

    def _lost(self, text: str) -> DeviceLostError:
        self._gone = text
        return DeviceLostError(text)

    def _end(self) -> None:
        child, self._child = self._child, None
        self._shared = None
        if child is None or child.stdin is None:
            return
        with suppress(OSError):
            child.stdin.close()
        try:
            child.wait(2.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(2.0)
        with suppress(OSError):
            self._file.unlink()


def list_screens(command: Sequence[str]) -> list[dict[str, Any]]:
    """Return name, serial, model, shape, refresh_hz and primary of every monitor."""
    screens = _query(command).get("screens", [])
    return screens if isinstance(screens, list) else []


def measured_period_s(command: Sequence[str], screen: str) -> float:
    """Return the measured refresh period of a monitor in seconds, or 0 if it cannot be measured."""
    return float(_query([*command, "--period", screen]).get("period_s", 0.0))


def _query(command: Sequence[str]) -> dict[str, Any]:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_START_S, env=_environment(), check=False)
        return json.loads(result.stdout.splitlines()[-1]) if result.returncode == 0 else {}
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return {}


def _environment() -> dict[str, str]:
    """Return the environment without a Qt platform that only draws into memory: an SLM needs a real display."""
    in_memory = os.environ.get("QT_QPA_PLATFORM", "") in ("offscreen", "minimal")
    return {key: value for key, value in os.environ.items() if not (in_memory and key == "QT_QPA_PLATFORM")}


def _listen(child: subprocess.Popen[str], answers: queue.Queue[dict[str, Any]]) -> None:
    """Queue the process's answers, then its end together with the first line that is no answer, such as an error of Qt."""
    assert child.stdout is not None
    first_other_line = ""
    with child.stdout as lines:
        for line in lines:
            try:
                answers.put(json.loads(line))
            except ValueError:
                first_other_line = first_other_line or f": {line.strip()}"
    text = f"the SLM's window has ended{first_other_line}; check that there is a display, then reconnect the SLM"
    answers.put({"event": Answer.LOST, "number": 0, "text": text})
