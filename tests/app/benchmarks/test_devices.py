"""The benchmark of cameras and SLMs finds every fault, reads the screen back, and skips what this computer lacks."""

from __future__ import annotations

import pytest

from app.benchmarks import devices, virtual_screens
from app.benchmarks.contract_suites import SuiteResult
from app.benchmarks.devices import FAULTS, FaultKind, acquisitions, bench_devices, screen_pixels


@pytest.mark.slow
def test_every_fault_of_an_acquisition_is_reported_and_no_pair_is_wrong() -> None:
    faults = acquisitions(lambda *_: None, 40)
    assert faults.wrong_pairs == faults.undecided == 0
    assert faults.injected == faults.reported
    assert set(faults.injected) == set(FAULTS)
    assert faults.injected["failed"] == 4
    assert faults.retaken >= sum(faults.injected.values())
    assert not faults.skipped


def test_the_benchmark_reads_the_screen_back() -> None:
    steps = []
    fraction, rate = screen_pixels("150", 5, lambda number, of: steps.append((number, of)))
    assert fraction == 1
    assert rate > 0
    assert steps[-1] == (5, 5)


def test_without_pypylon_the_failed_buffers_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    monkeypatch.setattr(devices, "FAULTS", {FaultKind.FAILED: 200})
    faults = acquisitions(lambda *_: None, 20)
    assert faults.skipped == {"failed": "pypylon is not installed; pip install pypylon"}
    assert faults.pairs == 0


def test_without_xvfb_only_what_needs_it_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    which = virtual_screens.shutil.which
    monkeypatch.setattr(virtual_screens.shutil, "which", lambda name: None if name == "Xvfb" else which(name))
    monkeypatch.setattr(devices, "contract_suites", lambda report: {"replay camera": SuiteResult(passed=34)})
    numbers = bench_devices(lambda *_: None, quick=True, pairs=20)
    skipped = "Xvfb is not installed; apt-get install xvfb"
    assert numbers["slm_exact_fraction"] == {"100": f"skipped: {skipped}", "150": f"skipped: {skipped}"}
    assert numbers["faults_skipped"] == {"unplugged": skipped}
    assert set(numbers["faults_injected"]) == {"failed", "hung", "disconnected"}  # type: ignore[call-overload]
    assert numbers["contract_suites"] == {"replay camera": "34 passed"}
    assert numbers["contract_suites_passed"] == 1
