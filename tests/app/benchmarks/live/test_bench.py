"""The benchmark of the window: its keys, and that it says which program is missing."""

from __future__ import annotations

import pytest

from app.benchmarks.live import bench
from app.benchmarks.live.x_desktop import XDesktop
from app.gui.window_bench.scenarios import SCENARIOS
from drivers.base import SpeckleScopeError


def test_every_scenario_of_the_window_is_run() -> None:
    assert tuple(SCENARIOS) == bench.SCENARIOS


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SpeckleScopeError, match="Xvfb is not installed; apt-get install xvfb"):
        XDesktop()


def test_the_desktop_ignores_the_environment_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with XDesktop(800, 600) as desktop:
        assert desktop.environment["QT_QPA_PLATFORM"] == "xcb"
        assert "WAYLAND_DISPLAY" not in desktop.environment


@pytest.mark.slow
def test_the_window_is_measured_in_every_scenario() -> None:
    numbers = bench.bench_window(lambda *_, **__: None, quick=True)
    assert numbers["raw_unreadable"] == 0
    assert numbers["lossless_frames"]
    assert numbers["camera_loss_recovered"] == numbers["camera_losses"] == 3
    assert numbers["switches_survived"] == numbers["switches"] == 100
