"""The SLM that is a monitor of this computer, on a virtual monitor (Xvfb)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.benchmarks.virtual_screens import NotInstalledError, VirtualScreens, wait_until_lost
from app.instrument.devices import SCREEN_COMMAND
from drivers.clock import RealClock
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.screen import ScreenConfig, ScreenSlm
from drivers.testing.slm_contract import SlmContract, Subject

SHAPE = (240, 480)
#: Longest time that a busy computer may need to show an image or to notice that the monitor has gone, in seconds.
GRACE_S = 10.0


@pytest.fixture(scope="module")
def monitors() -> Iterator[VirtualScreens]:
    """Return two virtual monitors."""
    try:
        screens = VirtualScreens((300, 300), SHAPE)
    except NotInstalledError as error:
        pytest.skip(str(error))
    with screens:
        yield screens


@pytest.fixture
def screens(monitors: VirtualScreens, monkeypatch: pytest.MonkeyPatch) -> VirtualScreens:
    """Return the monitors; programs that are started now open their windows there."""
    for key, value in monitors.environment.items():
        monkeypatch.setenv(key, value)
    return monitors


class TestScreen(SlmContract):
    """Patterns, time and loss."""

    @pytest.fixture
    def subject(self, screens: VirtualScreens) -> Iterator[Subject]:
        """Return the SLM; its monitor is unplugged and plugged in again."""
        with ScreenSlm(SCREEN_COMMAND, ScreenConfig("SLM", timeout_s=GRACE_S), Panel(PanelConfig(SHAPE))) as slm:

            def unplug() -> None:
                screens.unplug()
                wait_until_lost(slm, GRACE_S)
                screens.plug()

            yield Subject(slm, RealClock(), unplug)
