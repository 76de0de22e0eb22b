"""Check cameras and SLMs: contract tests, pixels read back from the screen, and acquisitions under injected faults.

Everything that needs no instrument takes part: pylon's emulator, a window on virtual monitors, video files.
"""

from __future__ import annotations

import enum
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np

from acquisition.archive.writer import Archive
from acquisition.capture.dataset_archive import faults_of, open_dataset
from acquisition.capture.pair_capture import Rig
from acquisition.capture.plan import CapturePlan
from acquisition.capture.progress import AcquisitionReport, RunCallbacks
from acquisition.capture.runner import acquire
from app.benchmarks.contract_suites import Report, SuiteResult, contract_suites
from app.benchmarks.virtual_screens import MonitorView, NotInstalledError, VirtualScreens, wait_until_lost
from app.datasets.audit import audit_pairs
from app.instrument.devices import SCREEN_COMMAND
from drivers.base import Pattern, SpeckleScopeError
from drivers.clock import RealClock, VirtualClock
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.screen import ScreenConfig, ScreenSlm
from drivers.twin.camera import Fault, FaultConfig, SimulatedCamera, SimulatedCameraConfig
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlm, SimulatedSlmConfig

#: Scalings of the window system in percent.
SCALINGS = ("100", "125", "150", "200")
QUICK_SCALINGS = ("100", "150")
_OPTICS = OpticsConfig(image_px=64, field_radius_um=14.0)
_SENSOR = SimulatedCameraConfig(exposure_s=0.003, readout_s=0.001)
_FAST_SLM = SimulatedSlmConfig(refresh_hz=240, latency_frames=(0, 1), time_constant_s=0.001, settle_s=0.004)
#: With this range every grey level has a phase of its own. With 2 pi, level 255 would be the phase of level 0 again.
_ALL_LEVELS_RAD = 2 * np.pi * 255 / 256
_UNPLUG_S = 10.0


class FaultKind(enum.StrEnum):
    """What goes wrong during an acquisition."""

    FAILED = Fault.FAILED
    HUNG = Fault.HUNG
    DISCONNECTED = Fault.DISCONNECTED
    #: The cable of the SLM's monitor is pulled.
    UNPLUGGED = "unplugged"


#: Number of faults of each kind in an acquisition of 2000 pairs.
FAULTS: Mapping[FaultKind, int] = {
    FaultKind.FAILED: 200,
    FaultKind.HUNG: 50,
    FaultKind.DISCONNECTED: 20,
    FaultKind.UNPLUGGED: 3,
}


@dataclass(kw_only=True)
class Faults:
    """Totals of the acquisitions under faults.

    ``undecided`` counts pairs whose speckle fits two patterns equally well. ``skipped`` names the kinds of fault that this
    computer cannot inject, each with the reason.
    """

    pairs: int = 0
    wrong_pairs: int = 0
    undecided: int = 0
    retaken: int = 0
    injected: dict[str, int] = field(default_factory=dict)
    reported: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def bench_devices(
    report: Report, *, quick: bool = False, patterns: int | None = None, pairs: int | None = None
) -> dict[str, object]:
    """Run the contract tests, read the screen back, and acquire under faults.

    Parameters
    ----------
    report : callable
        Called with what runs, the number of finished steps and the number of all steps.
    quick : bool
        Finish in less than three minutes on two processor cores: 20 patterns on the screen, the scalings 100 % and 150 %,
        and acquisitions of 100 pairs. The contract tests are the same. Otherwise several minutes: 1000 patterns, four
        scalings and 2000 pairs.
    patterns : int, optional
        Random patterns on the virtual monitor at each scaling.
    pairs : int, optional
        Object pairs of each acquisition. The number of faults rises in proportion.

    Returns
    -------
    dict
        Counts, fractions and rates. Whatever cannot run on this computer is "skipped", with the reason.

    Raises
    ------
    SpeckleScopeError
        pytest is not installed, or an acquisition failed.
    """
    patterns = patterns or (20 if quick else 1000)
    pairs = pairs or (100 if quick else 2000)
    return {
        **_contract_results(contract_suites(report)),
        **_screen_results(report, QUICK_SCALINGS if quick else SCALINGS, patterns),
        **_fault_results(acquisitions(report, pairs)),
    }


def _contract_results(suites: Mapping[str, SuiteResult]) -> dict[str, object]:
    failed = {device: result.failures for device, result in suites.items() if result.failures}
    return {
        "contract_suites_passed": sum(not result.failures and result.passed > 0 for result in suites.values()),
        "contract_suites_failed": len(failed),
        "contract_suites_skipped": sum(not result.failures and not result.passed for result in suites.values()),
        "contract_suites": {device: str(result) for device, result in suites.items()},
        "contract_failures": [f"{device}: {failure}" for device, failures in failed.items() for failure in failures],
    }


def _screen_results(report: Report, scalings: tuple[str, ...], patterns: int) -> dict[str, object]:
    fractions: dict[str, object] = {}
    rates: dict[str, object] = {}
    for scaling in scalings:
        try:
            fractions[scaling], rates[scaling] = screen_pixels(scaling, patterns, partial(report, f"patterns at {scaling} %"))
        except NotInstalledError as error:
            fractions[scaling] = rates[scaling] = f"skipped: {error}"
    return {"slm_exact_fraction": fractions, "slm_patterns_per_s": rates}


def _fault_results(faults: Faults) -> dict[str, object]:
    return {
        "pairs": faults.pairs,
        "wrong_pairs": faults.wrong_pairs,
        "audit_undecided": faults.undecided,
        "pairs_retaken": faults.retaken,
        "faults_injected": faults.injected,
        "faults_reported": faults.reported,
        "faults_skipped": faults.skipped,
    }


def screen_pixels(scaling: str, count: int, progress: Callable[[int, int], None]) -> tuple[float, float]:
    """Show random 1920 x 1080 patterns on a virtual monitor; return the fraction that is exact, and patterns per second.

    The time includes showing each pattern and reading the whole monitor back, but not making the patterns.

    Raises
    ------
    NotInstalledError
        Xvfb or xrandr is not installed.
    """
    rng = np.random.default_rng(0)
    panel = Panel(PanelConfig(slm_range_rad=_ALL_LEVELS_RAD))
    phases_rad = panel.encoder.lut.phases_rad.astype(np.float32)
    exact, seconds, clock = 0, 0.0, RealClock()
    with _virtual_slm(panel, {"QT_SCALE_FACTOR": str(int(scaling) / 100)}) as (screens, slm):
        for number in range(count):
            grey = np.frombuffer(rng.bytes(panel.shape[0] * panel.shape[1]), np.uint8).reshape(panel.shape)
            pattern = Pattern(phases_rad[grey])
            start_ns = clock.now_ns()
            slm.show(pattern)
            exact += screens.shows(grey)
            seconds += (clock.now_ns() - start_ns) * 1e-9
            progress(number + 1, count)
    return exact / count, count / seconds


# ---- acquisitions under faults


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """One acquisition under ``count`` faults of one kind."""

    kind: FaultKind
    count: int
    plan: CapturePlan
    root: Path
    report: Report

    @property
    def name(self) -> str:
        return f"pairs under faults: {self.count} {self.kind}"

    def fault_frames(self) -> tuple[int, ...]:
        """Return the numbers of the exposures that fail, counted from the camera's opening."""
        # The last few exposures may never be made.
        frames = np.random.default_rng(1).choice(len(self.plan) - 10, self.count, replace=False)
        return tuple(int(frame) for frame in frames)

    def progress(self, number: int) -> None:
        self.report(self.name, number, len(self.plan))

    def acquire(self, rig: Rig, progress: Callable[[int], None] | None = None) -> AcquisitionReport:
        show = progress or self.progress
        with rig.camera, open_dataset(self.root, "faults", self.plan, rig, {"fibre": "bench"}) as writer:
            return acquire(rig, self.plan, writer, callbacks=RunCallbacks(on_pair=lambda shot, frame: show(shot.number + 1)))


def acquisitions(report: Report, pairs: int) -> Faults:
    """Acquire under faults, one kind after another, and audit every pair by its speckle.

    A kind that needs a program or library which is not installed is skipped.

    Raises
    ------
    SpeckleScopeError
        An acquisition is incomplete or damaged.
    """
    faults, optics = Faults(), FibreOptics(_OPTICS)
    with tempfile.TemporaryDirectory(prefix="specklescope-bench-") as folder:
        for kind, per_2000_pairs in FAULTS.items():
            plan_pairs = max(60, pairs // 10) if kind is FaultKind.UNPLUGGED else pairs
            plan = CapturePlan(source="leaves", pairs=plan_pairs, exposure_s=_SENSOR.exposure_s)
            count = max(1, per_2000_pairs * pairs // 2000)
            trial = _Trial(kind=kind, count=count, plan=plan, root=Path(folder), report=report)
            report(trial.name, 0, plan_pairs)
            try:
                _run_trial(faults, trial, optics)
            except NotInstalledError as error:
                faults.skipped[kind] = str(error)
    return faults


def _run_trial(faults: Faults, trial: _Trial, optics: FibreOptics) -> None:
    """Acquire, audit, and add to the totals."""
    if trial.kind is FaultKind.UNPLUGGED:
        result, injected = _with_unplugged_slm(trial, optics)
    elif trial.kind is FaultKind.FAILED:
        result, injected = _with_failed_buffers(trial, optics)
    else:
        result, injected = _with_lost_camera(trial, optics)
    archive = Archive.open(result.path)
    audit = audit_pairs(archive, optics)
    if not result.complete or audit.pairs != len(trial.plan) or not archive.verify().ok:
        raise SpeckleScopeError(
            f"{trial.name}: only {audit.pairs} of {len(trial.plan)} pairs are complete and undamaged; see {result.faults}"
        )
    faults.pairs += audit.pairs
    faults.wrong_pairs += audit.wrong
    faults.undecided += audit.undecided
    faults.retaken += result.retaken
    faults.injected[trial.kind] = injected
    faults.reported[trial.kind] = sum(faults_of(archive).values())


def _with_failed_buffers(trial: _Trial, optics: FibreOptics) -> tuple[AcquisitionReport, int]:
    """Acquire through pylon, whose emulator declares buffers incomplete."""
    if find_spec("pypylon") is None:
        raise NotInstalledError("pypylon is not installed; pip install pypylon")
    from drivers.basler.emulator import TwinFedBasler

    slm = SimulatedSlm((_OPTICS.image_px, _OPTICS.image_px), _FAST_SLM)
    sensor = SimulatedCamera(slm, optics, _SENSOR, FaultConfig(failed_at=trial.fault_frames()))
    result = trial.acquire(Rig(TwinFedBasler(sensor), slm, RealClock()))
    return result, sensor.injected.get(Fault.FAILED, 0)


def _with_lost_camera(trial: _Trial, optics: FibreOptics) -> tuple[AcquisitionReport, int]:
    """Acquire with a simulated camera that hangs or disappears."""
    frames, clock = trial.fault_frames(), VirtualClock()
    schedule = FaultConfig(hang_at=frames) if trial.kind is FaultKind.HUNG else FaultConfig(disconnect_at=frames)
    slm = SimulatedSlm((_OPTICS.image_px, _OPTICS.image_px), _FAST_SLM, clock)
    camera = SimulatedCamera(slm, optics, _SENSOR, schedule, clock)
    result = trial.acquire(Rig(camera, slm, clock))
    return result, camera.injected.get(Fault(trial.kind), 0)


def _with_unplugged_slm(trial: _Trial, optics: FibreOptics) -> tuple[AcquisitionReport, int]:
    """Acquire through a window on a virtual monitor, seen by a simulated camera, and pull the monitor's cable."""
    px = _OPTICS.image_px
    panel = Panel(PanelConfig((1080, 1920), (px, px), 16, slm_range_rad=_ALL_LEVELS_RAD))
    moments = {len(trial.plan) * (k + 1) // (trial.count + 1) for k in range(trial.count)}
    with _virtual_slm(panel) as (screens, slm):

        def progress(number: int) -> None:
            trial.progress(number)
            if number in moments:
                moments.discard(number)
                screens.unplug()
                threading.Thread(target=_plug_in_when_lost, args=(screens, slm), daemon=True).start()

        camera = SimulatedCamera(MonitorView(screens, panel), optics, _SENSOR)
        return trial.acquire(Rig(camera, slm, RealClock()), progress), trial.count


def _plug_in_when_lost(screens: VirtualScreens, slm: ScreenSlm) -> None:
    try:
        wait_until_lost(slm, _UNPLUG_S)
    finally:
        screens.plug()


@contextmanager
def _virtual_slm(
    panel: Panel, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[VirtualScreens, ScreenSlm]]:
    """Open two virtual monitors and the screen SLM on one of them; ``environment`` is added to its variables."""
    with (
        VirtualScreens() as screens,
        _environment({**screens.environment, **environment}),
        ScreenSlm(SCREEN_COMMAND, ScreenConfig("SLM"), panel) as slm,
    ):
        yield screens, slm


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the programs that are started inside."""
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
