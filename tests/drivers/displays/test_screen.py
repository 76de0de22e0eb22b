"""The screen SLM on virtual monitors: every pixel at every scaling, and the loss of the monitor or of the window."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.benchmarks.virtual_screens import VirtualScreens, wait_until_lost
from app.instrument.devices import SCREEN_COMMAND
from drivers.base import DeviceError, DeviceLostError, GreySlm, Pattern
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.phase_lut import GreyEncoder, GreyLut
from drivers.displays.screen import ScreenConfig, ScreenSlm, list_screens, measured_period_s
from drivers.testing.slm_contract import flat
from drivers.testing.slmpy_checkout import kill

SHAPE = (240, 480)
GRACE_S = 10.0


@pytest.fixture(scope="module")
def monitors() -> Iterator[VirtualScreens]:
    with VirtualScreens((300, 300), SHAPE) as screens:
        yield screens


@pytest.fixture
def screens(monitors: VirtualScreens, monkeypatch: pytest.MonkeyPatch) -> VirtualScreens:
    for key, value in monitors.environment.items():
        monkeypatch.setenv(key, value)
    return monitors


def opened(name: str = "SLM", shape: tuple[int, int] = SHAPE, **settings: float) -> ScreenSlm:
    config = ScreenConfig(name, timeout_s=GRACE_S, **settings)  # type: ignore[arg-type]
    return ScreenSlm(SCREEN_COMMAND, config, Panel(PanelConfig(shape)))


def recorded_command(folder: Path) -> tuple[list[str], Path]:
    """Return a command for the SLM's window that writes its process number to a file, and that file."""
    file = folder / "process"
    return ["sh", "-c", f'echo $$ > "{file}"; exec "$@"', "sh", *SCREEN_COMMAND], file


def until_back(slm: ScreenSlm) -> None:
    deadline_s = time.monotonic() + GRACE_S
    while True:
        try:
            return slm.reconnect()
        except DeviceLostError:
            assert time.monotonic() < deadline_s, "the SLM did not come back"


SCALED_DESKTOPS = (
    {},
    {"QT_SCALE_FACTOR": "1.25"},
    {"QT_SCALE_FACTOR": "3"},
    {"QT_SCREEN_SCALE_FACTORS": "CTRL=1.5;SLM=1.75"},
    {"QT_FONT_DPI": "144"},
    {"QT_USE_PHYSICAL_DPI": "1", "QT_ENABLE_HIGHDPI_SCALING": "1"},
)


@pytest.mark.parametrize("desktop", SCALED_DESKTOPS, ids=str)
def test_every_pixel_is_exact_on_every_scaled_desktop(
    screens: VirtualScreens, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, desktop: dict[str, str]
) -> None:
    for name, value in desktop.items():
        monkeypatch.setenv(name, value)
    with opened() as slm:
        for _ in range(10):
            grey = rng.integers(0, 256, SHAPE, dtype=np.uint8)
            slm.show_grey(grey)
            assert screens.shows(grey)
            assert slm.grey is not None
            assert np.array_equal(slm.grey, grey)
    assert not screens.shows(grey), "the window stayed after closing"


@pytest.mark.parametrize("shape", [(241, 483), (768, 1366), (1024, 1272), (317, 317)])
def test_panels_whose_size_no_scaling_divides_are_exact(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    with VirtualScreens((300, 300), shape) as screens:
        for key, value in {**screens.environment, "QT_SCALE_FACTOR": "1.25"}.items():
            monkeypatch.setenv(key, value)
        with opened(shape=shape) as slm:
            grey = rng.integers(0, 256, shape, dtype=np.uint8)
            slm.show_grey(grey)
            assert screens.shows(grey)


def test_phase_goes_through_the_panels_table(screens: VirtualScreens, rng: np.random.Generator) -> None:
    config = PanelConfig(SHAPE, pattern_shape=(100, 120), zoom=2, offset_px=(10, -20))
    panel = Panel(config, GreyEncoder(GreyLut.gamma(1.7, 5.0), rng.uniform(-3, 3, SHAPE).astype(np.float32)))
    with ScreenSlm(SCREEN_COMMAND, ScreenConfig("SLM"), panel) as slm:
        assert isinstance(slm, GreySlm)
        assert slm.capabilities.shape == (100, 120)
        pattern = Pattern(rng.uniform(-9, 9, (100, 120)).astype(np.float32))
        slm.show(pattern)
        assert screens.shows(panel.grey(pattern))
        assert slm.shown is pattern
        slm.show_grey(np.zeros(SHAPE, np.uint8))
        assert slm.shown is None


def test_the_only_other_monitor_is_found_without_a_name(screens: VirtualScreens) -> None:
    with opened("") as slm:
        assert slm.capabilities.serial == "SLM"
        assert slm.capabilities.refresh_s == pytest.approx(1 / 60, rel=0.1)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("HDMI-7", SHAPE, r"no monitor is called 'HDMI-7', there are CTRL \(300x300, primary\), SLM \(480x240\)"),
        ("SLM", (240, 481), "has 480x240 pixels, the panel 481x240; set the native resolution"),
    ],
)
@pytest.mark.usefixtures("screens")
def test_a_monitor_that_does_not_fit_is_refused_with_a_remedy(name: str, shape: tuple[int, int], message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        opened(name, shape)


def test_an_unplugged_monitor_is_noticed_and_comes_back(screens: VirtualScreens, rng: np.random.Generator) -> None:
    grey = rng.integers(0, 256, SHAPE, dtype=np.uint8)
    with opened() as slm:
        slm.show_grey(grey)
        screens.unplug()
        assert "'SLM' was unplugged; plug it in, then reconnect" in wait_until_lost(slm, GRACE_S)
        with pytest.raises(DeviceLostError, match="no monitor is called 'SLM'"):
            slm.reconnect()
        screens.plug()
        until_back(slm)
        slm.show_grey(grey)
        assert screens.shows(grey)


def test_a_window_that_is_killed_or_hangs_is_lost_in_time_and_comes_back(screens: VirtualScreens, tmp_path: Path) -> None:
    command, process_file = recorded_command(tmp_path)
    black, white = np.zeros(SHAPE, np.uint8), np.full(SHAPE, 255, np.uint8)
    with ScreenSlm(command, ScreenConfig("SLM", timeout_s=1.0), Panel(PanelConfig(SHAPE))) as slm:
        slm.show_grey(black)
        kill(int(process_file.read_text()))
        with pytest.raises(DeviceLostError, match="reconnect"):
            slm.show_grey(white)
        slm.reconnect()
        slm.show_grey(white)
        assert screens.shows(white)
        os.kill(int(process_file.read_text()), signal.SIGSTOP)
        start_s = time.monotonic()
        with pytest.raises(DeviceLostError, match="did not answer within 1 s"):
            slm.show_grey(black)
        assert time.monotonic() - start_s < 1 + GRACE_S
        slm.reconnect()
        slm.show_grey(black)
        assert screens.shows(black)


def test_the_window_ends_with_its_program_even_if_that_is_killed(screens: VirtualScreens, tmp_path: Path) -> None:
    command, process_file = recorded_command(tmp_path)
    program = (
        "import os, signal, numpy as np\n"
        "from drivers.displays.panel import Panel, PanelConfig\n"
        "from drivers.displays.screen import ScreenSlm\n"
        f"slm = ScreenSlm({command!r}, panel=Panel(PanelConfig({SHAPE})))\n"
        f"slm.show_grey(np.full({SHAPE}, 77, np.uint8))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[3]
    result = subprocess.run([sys.executable, "-c", program], cwd=root, timeout=60, env=os.environ, check=False)
    assert result.returncode == -signal.SIGKILL
    child = int(process_file.read_text())
    deadline_s = time.monotonic() + GRACE_S
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline_s, "the window outlived its program"
    assert not screens.shows(np.full(SHAPE, 77, np.uint8))


def test_monitors_are_listed_and_a_virtual_one_has_no_measurable_period(screens: VirtualScreens) -> None:
    monitors = list_screens(SCREEN_COMMAND)
    assert [(screen["name"], tuple(screen["shape"]), screen["primary"]) for screen in monitors] == [
        ("CTRL", (300, 300), True),
        ("SLM", SHAPE, False),
    ]
    assert measured_period_s(SCREEN_COMMAND, "SLM") == 0


def test_without_a_display_there_is_an_error_and_no_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    with pytest.raises(DeviceError, match="check that there is a display"):
        opened()
    assert list_screens(SCREEN_COMMAND) == []


@pytest.mark.parametrize("settings", [{"latency_frames": 0}, {"settle_s": -1.0}, {"timeout_s": 0.0}], ids=str)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        ScreenConfig(**settings)  # type: ignore[arg-type]


def test_settling_counts_from_when_the_image_was_accepted(screens: VirtualScreens) -> None:
    with opened(latency_frames=2, settle_s=0.03) as slm:
        before_ns = time.monotonic_ns()
        settled_ns = slm.show(flat(1.0, SHAPE))
        assert settled_ns - before_ns >= 0.03e9 + 2 * slm.capabilities.refresh_s * 1e9
