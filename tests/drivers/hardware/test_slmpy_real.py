"""The real slmPy: every pixel that our client sends is on the screen. A virtual screen is enough:

    SLMPY_PYTHON=/usr/bin/python3 SLMPY_PATH=/path/to/slmPy \
        xvfb-run -s "-screen 0 1920x1080x24" python -m pytest -s -m hardware tests/drivers/hardware/test_slmpy_real.py

SLMPY_PYTHON is an interpreter with wxPython and numpy (1.x for slmPy's own server), SLMPY_PATH a checkout of
wavefrontshaping/slmPy, and SLMPY_MONITOR, by default 0, the number of a monitor, which shows noise for about two minutes.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.base import DeviceLostError, GreySlm, Pattern
from drivers.clock import RealClock
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.phase_lut import GreyLut
from drivers.displays.slmpy import Compression, SlmPyConfig, SlmPySlm
from drivers.displays.slmpy_local import LocalSlmPySlm, SlmPyWindowConfig

PYTHON = os.environ.get("SLMPY_PYTHON", "")
PATH = os.environ.get("SLMPY_PATH", "")
MONITOR = int(os.environ.get("SLMPY_MONITOR", "0"))
COUNT = 500
START_S = 20.0

pytestmark = [
    pytest.mark.hardware,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not (PYTHON and PATH), reason="set SLMPY_PYTHON and SLMPY_PATH to run slmPy itself"),
]

GEOMETRY = "import json, sys, wx; app = wx.App(); print(json.dumps(tuple(wx.Display(int(sys.argv[1])).GetGeometry())))"
# slmPy's own server, with the options of its rpi_server/server.py.
SERVER = """
import sys
path, monitor, port, compression = sys.argv[1:]
sys.path.insert(0, path)
from slmpy import SLMdisplay
slm = SLMdisplay(monitor=int(monitor), isImageLock=True, alwaysTop=True)
slm.listen_port(port=int(port), compression=None if compression == "none" else compression)
"""


class Screen:
    """The pixels of one monitor."""

    def __init__(self) -> None:
        geometry = subprocess.run(
            [PYTHON, "-c", GEOMETRY, str(MONITOR)], capture_output=True, check=True, timeout=START_S
        ).stdout
        self.x, self.y, width, height = json.loads(geometry)
        self.shape = (height, width)

    def grab(self) -> NDArray[np.uint8]:
        grabber = pytest.importorskip("PIL.ImageGrab")
        (height, width), x, y = self.shape, self.x, self.y
        return np.asarray(grabber.grab(xdisplay=os.environ["DISPLAY"]).convert("RGB"))[y : y + height, x : x + width]

    def shows(self, grey: NDArray[np.uint8]) -> bool:
        return bool((self.grab() == grey[:, :, None]).all())


@pytest.fixture(scope="module")
def screen() -> Screen:
    return Screen()


@contextmanager
def own_server(screen: Screen, compression: Compression) -> Iterator[SlmPySlm]:
    """Return our client of slmPy's own server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PYTHON, "-u", "-W", "ignore", "-c", SERVER, PATH, str(MONITOR), str(port), compression]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                if line.startswith("waiting for a connection"):
                    break
            # It prints lines for every image, and would block on a full pipe.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            config = SlmPyConfig(port=port, compression=compression)
            with SlmPySlm(config, Panel(PanelConfig(shape=screen.shape))) as slm:
                yield slm
        finally:
            # Otherwise it would use a whole CPU for ever after the connection has ended.
            process.kill()


@contextmanager
def own_window(screen: Screen) -> Iterator[LocalSlmPySlm]:
    with LocalSlmPySlm(SlmPyWindowConfig(PYTHON, PATH, MONITOR)) as slm:
        assert slm.panel.shape == screen.shape
        yield slm


SERVERS: Mapping[str, Callable[[Screen], AbstractContextManager[GreySlm]]] = {
    "slmPy's server, zlib": lambda screen: own_server(screen, "zlib"),
    "slmPy's server, none": lambda screen: own_server(screen, "none"),
    "our window": own_window,
}


def patterns(shape: tuple[int, int], rng: np.random.Generator) -> Iterator[tuple[NDArray[np.uint8], Pattern]]:
    """Noise that differs from image to image in almost every pixel, as grey levels and as the phase of a linear panel."""
    # On a linear panel of 2 pi, level 255 has the phase of level 0.
    noise, lut = rng.integers(0, 255, shape, dtype=np.uint8), GreyLut.linear()
    for number in range(COUNT):
        grey = np.roll(noise, (number, 3 * number), (0, 1))
        yield grey, Pattern(lut.phase_of(grey), str(number))


def send_as_fast_as_acknowledged(slm: GreySlm, screen: Screen, rng: np.random.Generator) -> str:
    durations_s = []
    for grey, pattern in patterns(screen.shape, rng):
        start_s = time.perf_counter()
        settled_ns = slm.show(pattern)
        durations_s.append(time.perf_counter() - start_s)
        assert slm.shown is pattern
        assert slm.grey is not None
        assert np.array_equal(slm.grey, grey)
    RealClock().wait_until(settled_ns)
    assert screen.shows(grey), "the last pattern is not on the screen"
    return f"{COUNT} acknowledged at {COUNT / sum(durations_s):.1f}/s, slowest {1e3 * max(durations_s):.0f} ms"


def send_and_check_each(slm: GreySlm, screen: Screen, rng: np.random.Generator) -> str:
    first_look, seen_s = 0, []
    for grey, pattern in patterns(screen.shape, rng):
        slm.show(pattern)
        start_s = time.perf_counter()
        looks = 1
        while not screen.shows(grey):
            assert time.perf_counter() - start_s < slm.capabilities.latency_s, f"pattern {pattern.name} is not on the screen"
            looks += 1
        seen_s.append(time.perf_counter() - start_s)
        first_look += looks == 1
    return (
        f"{len(seen_s)} of {COUNT} seen exactly, {first_look} at the first look; seen after "
        f"{1e3 * float(np.median(seen_s)):.0f} ms (median), {1e3 * max(seen_s):.0f} ms (longest), looking included"
    )


@pytest.mark.parametrize("send", [send_as_fast_as_acknowledged, send_and_check_each])
@pytest.mark.parametrize("server", SERVERS)
def test_patterns_are_on_the_screen(
    server: str, send: Callable[..., str], screen: Screen, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    with SERVERS[server](screen) as slm:
        result = send(slm, screen, rng)
    with capsys.disabled():
        print(f"\n{server}, {screen.shape}: {result}")


def test_a_monitor_that_does_not_exist_is_refused_in_time() -> None:
    with pytest.raises(DeviceLostError, match=r"Invalid monitor \(monitor 99\)"):
        LocalSlmPySlm(SlmPyWindowConfig(PYTHON, PATH, 99))
