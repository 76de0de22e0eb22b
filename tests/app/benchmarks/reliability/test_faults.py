"""The benchmark of injected faults finds them all, and notices one that a recording does not tell and one that it invents."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from acquisition.archive.kinds import EventKind
from acquisition.archive.recording_faults import FaultLog, RecordingFault
from app.benchmarks.reliability import faults
from app.benchmarks.reliability.budget import Budget
from drivers.twin.camera import Fault, InjectedFault

#: Frames 0 to 9 without 3 and 4, in nanoseconds.
FRAMES = [(number, number * 100) for number in (0, 1, 2, 5, 6, 7, 8, 9)]


def injected(*pairs: tuple[Fault, int]) -> list[InjectedFault]:
    return [InjectedFault(fault=fault, exposure=0, start_ns=stop_ns - 50, stop_ns=stop_ns) for fault, stop_ns in pairs]


ALL = injected(
    (Fault.SATURATED, 100),
    (Fault.DROPPED, 300),
    (Fault.DROPPED, 400),
    (Fault.FAILED, 450),
    (Fault.DUPLICATED, 600),
    (Fault.LATE, 700),
    (Fault.HUNG, 750),
    (Fault.DISCONNECTED, 850),
    (Fault.FAILED, 950),
)
RECORDED = [
    (EventKind.FRAME_SATURATED, 1),
    (EventKind.FRAMES_SKIPPED, 3),
    (EventKind.FRAMES_SKIPPED, 4),
    (EventKind.FRAME_FAILED, 3),
    (EventKind.FRAME_FROZEN, 6),
    (EventKind.DEVICE_TIMEOUT, 7),
    (EventKind.DEVICE_TIMEOUT, 8),
    (EventKind.DEVICE_LOST, 9),
]


def compared(faults_at: Sequence[tuple[str, int]]) -> tuple[object, ...]:
    numbers = faults.compare(ALL, faults.Journal(FRAMES, faults.Counter((str(kind), frame) for kind, frame in faults_at)), 0)
    return numbers["faults_injected"], numbers["faults_matched"], numbers["faults_invented"]


def test_each_fault_is_expected_at_its_frame_and_only_up_to_the_last_frame() -> None:
    assert compared(RECORDED) == (8, 8, 0)
    for without in range(len(RECORDED)):
        assert compared(RECORDED[:without] + RECORDED[without + 1 :]) == (8, 7, 0)
    assert compared([*RECORDED, (EventKind.FRAME_DARK, 5)]) == (8, 8, 1)
    assert compared([*RECORDED[1:], (EventKind.FRAME_SATURATED, 2)]) == (8, 7, 1)


def test_a_plan_has_every_kind_of_fault() -> None:
    plan = faults.fault_plan(0, 200, 5)
    at = (plan.dropped_at, plan.duplicated_at, plan.late_at, plan.failed_at, plan.saturate_at, plan.hang_at, plan.disconnect_at)
    assert all(at)
    numbers = sorted(number for numbers in at for number in numbers)
    assert len(set(numbers)) == len(numbers)


@pytest.mark.slow
def test_a_recording_tells_every_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure() -> faults.Numbers:
        return faults.measure(Budget(quick=True, quick_s=12.0), lambda *args: None)

    numbers = measure()
    assert numbers["faults_injected"] == numbers["faults_matched"] > 7, numbers.get("faults_findings")
    assert numbers["faults_invented"] == 0
    add = FaultLog.add

    def hide_one_kind(log: FaultLog, fault: RecordingFault) -> None:
        if fault.kind is not EventKind.FRAME_FAILED:
            add(log, fault)

    monkeypatch.setattr(FaultLog, "add", hide_one_kind)
    numbers = measure()
    assert 0 < numbers["faults_matched"] < numbers["faults_injected"]
    assert numbers["faults_findings"]
