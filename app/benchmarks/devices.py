"""Cameras and SLMs put to the test: contract suites, pixels read back from the screen, and acquisitions full of faults.

Everything real that needs no instrument takes part: pylon and its emulator, a window on virtual monitors, files.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from acquisition.archive.writer import Archive
from acquisition.capture.pair_capture import Rig
from acquisition.capture.plan import CapturePlan
from acquisition.capture.runner import AcquisitionReport, acquire, faults_of, open_dataset
from app.benchmarks.virtual_screens import SeenPanel, VirtualScreens
from app.datasets.audit import audit_pairs
from app.instrument.devices import SCREEN_COMMAND
from drivers.base import DeviceLostError, Pattern, SpeckleScopeError
from drivers.clock import RealClock, VirtualClock
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.screen import ScreenConfig, ScreenSlm
from drivers.twin.camera import FaultConfig, SimulatedCamera, SimulatedCameraConfig
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlm, SimulatedSlmConfig

Report = Callable[[str, int, int], None]

CONTRACTS = Path(__file__).parents[2] / "tests" / "drivers"
#: Device, and which tests are its suite: the file, and what is found in the test's class or name.
SUITES: Mapping[str, tuple[str, str]] = {
    "simulated camera": ("test_cameras", "simulated"),
    "replay camera": ("test_cameras", "replay"),
    "Basler camera (pylon's emulator)": ("test_basler", "TestBasler"),
    "OpenCV camera and video file": ("test_opencv", r"\.Test"),
    "slmsuite camera (simulated)": ("test_slmsuite", r"\.Test(Triggered|FreeRun)"),
    "simulated SLM": ("test_slms", r"\.Test"),
    "screen SLM": ("test_screen", "TestScreen"),
    "slmPy SLM": ("test_slmpy", "TestSlmPy"),
    "local slmPy SLM": ("test_slmpy_local", r"\.Test"),
    "slmsuite SLM (simulated)": ("test_slmsuite", r"\.TestSlm"),
}
SCALINGS = ("100", "125", "150", "200")
FAULTS: Mapping[str, int] = {"failed": 200, "hung": 50, "disconnected": 20, "unplugged": 3}
_SMALL = OpticsConfig(image_px=64, field_radius_um=14.0)
#: So that every grey level is a phase of its own: level 255 of a full circle would be level 0 again.
_ALL_LEVELS_RAD = 2 * np.pi * 255 / 256


@dataclass
class Faults:
    """What acquisitions under faults came to."""

    pairs: int = 0
    wrong_pairs: int = 0
    undecided: int = 0
    retaken: int = 0
    injected: dict[str, int] = field(default_factory=dict)
    reported: dict[str, int] = field(default_factory=dict)


def bench_devices(report: Report, patterns: int = 1000, pairs: int = 2000) -> dict[str, object]:
    """Run all of it; several minutes.

    Parameters
    ----------
    report : callable
        Called with what is done, how far, and of how much.
    patterns : int
        Random patterns on the virtual panel at each scaling.
    pairs : int
        Object pairs of each acquisition; faults are scaled with it.

    Raises
    ------
    SpeckleScopeError
        Xvfb or the source tree's tests are missing, or an acquisition failed.
    """
    suites = contract_suites(report)
    fractions, rates = {}, {}
    for scaling in SCALINGS:
        show = partial(report, f"patterns at {scaling} %")
        fractions[scaling], rates[scaling] = screen_pixels(scaling, patterns, show)
    faults = acquisitions(report, pairs)
    return {
        "contract_suites_passed": sum(not failed for _, failed in suites.values()),
        "contract_suites": {name: f"{passed} passed, {failed} failed" for name, (passed, failed) in suites.items()},
        "slm_exact_fraction": fractions,
        "slm_patterns_per_s": rates,
        "pairs": faults.pairs,
        "wrong_pairs": faults.wrong_pairs,
        "audit_undecided": faults.undecided,
        "pairs_retaken": faults.retaken,
        "faults_injected": faults.injected,
        "faults_reported": faults.reported,
    }


def contract_suites(report: Report) -> dict[str, tuple[int, int]]:
    """Run the contract tests; return how many passed and failed, for every device."""
    if not CONTRACTS.is_dir():
        raise SpeckleScopeError(f"the contract suites are not at {CONTRACTS}; run this from a checkout of the source")
    report("contract suites", 0, 1)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={results}", str(CONTRACTS)]
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        done = subprocess.run(
            command, cwd=CONTRACTS.parents[1], env=environment, capture_output=True, text=True, timeout=1800, check=False
        )
        if not results.is_file():
            raise SpeckleScopeError(
                f"pytest did not run ({done.stderr.strip() or done.stdout.strip()}); make setup installs it"
            )
        # Written by the pytest just run, not from outside.
        cases = list(ET.parse(results).iter("testcase"))
    suites = {}
    for device, (file, part) in SUITES.items():
        own = [case for case in cases if case.get("classname", "").split(".")[2:3] == [file]]
        own = [case for case in own if re.search(part, f"{case.get('classname')}::{case.get('name')}")]
        failed = sum(any(child.tag in ("failure", "error", "skipped") for child in case) for case in own)
        suites[device] = (len(own) - failed, failed if own else 1)
    report("contract suites", 1, 1)
    return suites


def screen_pixels(scaling: str, count: int, progress: Callable[[int, int], None]) -> tuple[float, float]:
    """Show random 1920 x 1080 patterns on a virtual monitor; return the fraction that is exact, and patterns a second.

    The time is that of showing each and reading the whole monitor back; making the patterns is not part of it.
    """
    rng = np.random.default_rng(0)
    panel = Panel(PanelConfig(slm_range_rad=_ALL_LEVELS_RAD))
    phases_rad = panel.encoder.lut.phases_rad.astype(np.float32)
    exact, seconds = 0, 0.0
    scale = {"QT_SCALE_FACTOR": str(int(scaling) / 100)}
    with _virtual_slm(panel, scale) as (screens, slm):
        for number in range(count):
            grey = np.frombuffer(rng.bytes(panel.shape[0] * panel.shape[1]), np.uint8).reshape(panel.shape)
            pattern = Pattern(phases_rad[grey])
            start = time.perf_counter()
            slm.show(pattern)
            exact += screens.shows(grey)
            seconds += time.perf_counter() - start
            progress(number + 1, count)
    return exact / count, count / seconds


def acquisitions(report: Report, pairs: int) -> Faults:
    """Acquire under faults, one kind after another, and audit every pair by its speckle."""
    faults = Faults()
    with tempfile.TemporaryDirectory(prefix="specklescope-bench-") as folder:
        for kind in FAULTS:
            count = max(1, FAULTS[kind] * pairs // 2000)
            report(f"pairs under faults: {count} {kind}", 0, pairs)
            _acquire(faults, kind, count, pairs, Path(folder), report)
    return faults


def _acquire(faults: Faults, kind: str, count: int, pairs: int, root: Path, report: Report) -> None:
    plan = CapturePlan(source="leaves", pairs=pairs, exposure_s=0.003)
    # Exposures are counted from the camera's opening; the last few may never be taken.
    at = tuple(int(n) for n in np.random.default_rng(1).choice(len(plan) - 10, count, replace=False))
    injected = count
    optics = FibreOptics(_SMALL)
    name = f"pairs under faults: {count} {kind}"
    fast = SimulatedSlmConfig(refresh_hz=240, latency_frames=(0, 1), time_constant_s=0.001, settle_s=0.004)
    shape = (_SMALL.image_px, _SMALL.image_px)
    sensor = SimulatedCameraConfig(exposure_s=plan.exposure_s, readout_s=0.001)
    if kind == "failed":
        from drivers.basler.emulator import TwinFedBasler

        slm = SimulatedSlm(shape, fast)
        camera = TwinFedBasler(SimulatedCamera(slm, optics, sensor, FaultConfig(failed_at=at)))
        rig = Rig(camera, slm, RealClock())
        done = _run(rig, plan, root, lambda number: report(name, number, len(plan)))
        injected = camera.sensor.injected.get(kind, 0)
    elif kind == "unplugged":
        plan = plan.model_copy(update={"pairs": max(60, pairs // 10)})
        done = _unplugging(plan, count, optics, sensor, root, lambda number: report(name, number, len(plan)))
    else:
        clock = VirtualClock()
        slm = SimulatedSlm(shape, fast, clock)
        schedule = FaultConfig(hang_at=at) if kind == "hung" else FaultConfig(disconnect_at=at)
        twin = SimulatedCamera(slm, optics, sensor, schedule, clock)
        done = _run(Rig(twin, slm, clock), plan, root, lambda number: report(name, number, len(plan)))
        injected = twin.injected.get(kind, 0)
    archive = Archive.open(done.path)
    audit = audit_pairs(archive, optics)
    if not done.complete or audit.pairs != len(plan) or not archive.verify().ok:
        raise SpeckleScopeError(f"{name}: {audit.pairs} of {len(plan)} pairs are there and good; look at {done.faults}")
    faults.pairs += audit.pairs
    faults.wrong_pairs += audit.wrong
    faults.undecided += audit.undecided
    faults.retaken += done.retaken
    faults.injected[kind] = injected
    faults.reported[kind] = sum(faults_of(archive).values())


def _unplugging(
    plan: CapturePlan,
    count: int,
    optics: FibreOptics,
    sensor: SimulatedCameraConfig,
    root: Path,
    progress: Callable[[int], None],
) -> AcquisitionReport:
    """Acquire through a window on a virtual monitor, seen by the twin's camera, and pull its cable ``count`` times."""
    px = optics.config.image_px
    panel = Panel(PanelConfig((1080, 1920), (px, px), 16, slm_range_rad=_ALL_LEVELS_RAD))
    moments = {len(plan) * (k + 1) // (count + 1) for k in range(count)}
    with _virtual_slm(panel) as (screens, slm):

        def pull(number: int) -> None:
            progress(number)
            if number in moments:
                moments.discard(number)
                screens.unplug()
                threading.Thread(target=_plug_when_noticed, args=(screens, slm), daemon=True).start()

        camera = SimulatedCamera(SeenPanel(screens, panel), optics, sensor)
        return _run(Rig(camera, slm, RealClock()), plan, root, pull)


def _plug_when_noticed(screens: VirtualScreens, slm: ScreenSlm) -> None:
    for _ in range(1000):
        try:
            slm.check()
        except DeviceLostError:
            break
        time.sleep(0.01)
    screens.plug()


def _run(rig: Rig, plan: CapturePlan, root: Path, progress: Callable[[int], None]) -> AcquisitionReport:
    with rig.camera, open_dataset(root, "faults", plan, rig, {"fibre": "bench"}) as writer:
        return acquire(rig, plan, writer, threading.Event(), on_pair=lambda shot, frame: progress(shot.number + 1))


@contextmanager
def _virtual_slm(panel: Panel, more: Mapping[str, str] = MappingProxyType({})) -> Iterator[tuple[VirtualScreens, ScreenSlm]]:
    """Two virtual monitors and the screen SLM on one of them; ``more`` is added to the environment."""
    with (
        VirtualScreens() as screens,
        _environment({**screens.environment, **more}),
        ScreenSlm(SCREEN_COMMAND, ScreenConfig("SLM"), panel) as slm,
    ):
        yield screens, slm


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the programs started inside."""
    before = {key: os.environ.get(key) for key in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
