"""The benchmark of the window: its keys, and that it says which program is missing."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from contextlib import nullcontext, suppress

import pytest

from app.benchmarks.live import bench
from app.benchmarks.live.x_desktop import XDesktop
from app.gui.window_bench.scenarios import SCENARIOS
from drivers.base import SpeckleScopeError
from tests.conftest import ROOT

_HELD = """
from app.benchmarks.live.x_desktop import XDesktop
with XDesktop(640, 480) as desktop:
    print(desktop.display, flush=True)
    input()
"""


def test_every_scenario_of_the_window_is_run() -> None:
    assert tuple(SCENARIOS) == (*bench.SCENARIOS, bench.SEGMENTED, *bench.QUICK_SCENARIOS)


@pytest.mark.parametrize("quick", [False, True])
def test_a_quick_run_measures_the_same_in_fewer_windows(monkeypatch: pytest.MonkeyPatch, *, quick: bool) -> None:
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(bench, "_measured", lambda scenarios, folder, quick: started.append(scenarios) or {})
    monkeypatch.setattr(bench, "_paint_times", lambda desktop, repeats: {})
    monkeypatch.setattr(bench, "XDesktop", nullcontext)
    bench.bench_window(lambda *_, **__: None, quick=quick)
    if quick:
        assert {name for scenarios in started for name in scenarios} == {*bench.QUICK_SCENARIOS, "disk_stalls", "data_page"}
    else:
        assert started == [(scenario,) for scenario in bench.SCENARIOS], "each has a process of its own"


def test_what_was_promised_and_is_not_so_is_named() -> None:
    right = {"lossless_missing": 0, "switches": 100, "switches_survived": 100, "robust_failed": 0, "reconstruct_again_equal": 1}
    assert bench.broken_promises(right) == []
    wrong = {**right, "switches_survived": 99, "reconstruct_again_equal": 0, "lossless_missing": 2}
    assert bench.broken_promises(wrong) == [
        "a recorded frame is missing",
        "a command was not carried out",
        "a recording that was reconstructed again is another one",
    ]


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert bench.bench_segmented(lambda *_, **__: None) == {"window_skipped": "Xvfb is not installed; apt-get install xvfb"}
    with pytest.raises(SpeckleScopeError, match="Xvfb is not installed; apt-get install xvfb"):
        XDesktop()


def test_the_desktop_ignores_the_environment_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with XDesktop(800, 600) as desktop:
        assert desktop.environment["QT_QPA_PLATFORM"] == "xcb"
        assert "WAYLAND_DISPLAY" not in desktop.environment


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed; apt-get install util-linux")
def test_the_server_ends_with_a_process_that_is_killed() -> None:
    owner = subprocess.Popen([sys.executable, "-c", _HELD], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert owner.stdin is not None
    assert owner.stdout is not None
    with owner, owner.stdin, owner.stdout, socket.socket(socket.AF_UNIX) as client:
        display = owner.stdout.readline().decode().strip().removeprefix(":")
        client.settimeout(20)
        client.connect(f"/tmp/.X11-unix/X{display}")
        owner.kill()
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""  # the server has gone


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_window_is_measured_in_every_scenario() -> None:
    numbers = bench.bench_window(lambda *_, **__: None, quick=True)
    assert numbers["raw_unreadable"] == 0
    assert numbers["lossless_frames"]
    assert numbers["camera_loss_recovered"] == numbers["camera_losses"] == 3
    assert numbers["pretrigger_exact"] == numbers["pretriggers"] == 10
    assert numbers["overlays_compared"]
    assert numbers["overlay_mismatches"] == 0
    assert numbers["disk_stall_right"] == numbers["disk_stalls"] == 2
    assert numbers["switches_survived"] == numbers["switches"] == 100
    assert numbers["robust_count"] == 11
    assert numbers["playback_max_diff_rad"] == 0
    assert numbers["data_page_entries"]
    cases = numbers["robust_cases"]
    assert isinstance(cases, list)
    # How fast the window answers depends on what else the computer does; what it says and does must not.
    wrong = {case["case"]: case["verdict"] for case in cases if not case["verdict"].startswith(("ok", "it answered after"))}
    assert not wrong
    assert numbers["paint_ms_software_2048_uint16"]
