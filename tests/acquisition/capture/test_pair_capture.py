"""One pair: its own pattern lit the frame, and every fault is detected, reported and retaken, never shifted into place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition.archive.kinds import EventKind
from acquisition.capture.pair_capture import CaptureError, FrameLimits, PairCapture
from acquisition.patterns.sources import open_source
from drivers.base import DeviceError, DeviceLostError, DeviceTimeoutError, Frame, Pattern, TriggerMode
from drivers.twin.camera import FaultConfig, SimulatedCamera, SimulatedCameraConfig
from tests.helpers.virtual_bench import PX, VirtualBench


def patterns(count: int) -> list[Pattern]:
    return list(open_source("leaves", (PX, PX), count=count))


class Bench(VirtualBench):
    """A bench with a pair capture, and the faults that it reported; options go to the pair capture."""

    def __init__(self, faults: FaultConfig | None = None, config: SimulatedCameraConfig | None = None, **options: Any) -> None:
        super().__init__(config, faults)
        self.faults: list[EventKind] = []
        self.pair_capture = PairCapture(self.rig, on_fault=lambda kind, text: self.faults.append(kind), **options)

    def capture(self, pattern: Pattern) -> Frame:
        """Capture a frame and check which pattern lit it."""
        frame = self.pair_capture.capture(pattern)
        assert frame.pattern_id == pattern.id
        assert self.camera.lit[frame.index] == (pattern.id,), "another pattern lit this frame"
        return frame


def test_a_pair_is_exposed_after_its_pattern_settled() -> None:
    bench = Bench()
    for pattern in patterns(4):
        before_ns = bench.clock.now_ns()
        frame = bench.capture(pattern)
        latency_s = (frame.t_ns - before_ns) * 1e-9
        assert latency_s >= bench.slm.capabilities.settle_s + frame.exposure_s
    assert bench.faults == []
    assert bench.pair_capture.retaken == 0


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000))
def test_no_mixture_of_faults_gives_a_wrong_pair(seed: int) -> None:
    faults = FaultConfig(dropped_rate=0.08, duplicated_rate=0.08, late_rate=0.08, failed_rate=0.08, seed=seed)
    bench = Bench(faults, retakes=50)
    for pattern in patterns(12):
        bench.capture(pattern)
    injected = sum(bench.camera.injected.values())
    assert len(bench.faults) >= injected, "a fault was not detected"
    assert bench.pair_capture.retaken == len(bench.faults)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"dropped_rate": 1.0}, EventKind.DEVICE_TIMEOUT),
        ({"late_rate": 1.0}, EventKind.DEVICE_TIMEOUT),
        ({"failed_rate": 1.0}, EventKind.FRAME_FAILED),
        ({"saturate_at": tuple(range(9))}, EventKind.BAD_PAIR),
    ],
)
def test_a_permanent_fault_ends_the_run_with_its_reason(fault: dict[str, Any], kind: EventKind) -> None:
    bench = Bench(FaultConfig(**fault), retakes=3)
    with pytest.raises(CaptureError, match=r"failed 4 times in a row; the last time: \w+"):
        bench.pair_capture.capture(patterns(1)[0])
    assert bench.faults == [kind] * 4


def test_a_stale_buffer_is_detected_although_the_counters_agree() -> None:
    bench = Bench(FaultConfig(duplicated_rate=0.4, seed=3), retakes=30)
    for pattern in patterns(8):
        bench.capture(pattern)
    assert bench.camera.injected["duplicated"] > 1
    assert set(bench.faults) == {EventKind.BAD_PAIR}


def test_a_run_waits_for_an_unplugged_camera() -> None:
    bench = Bench(FaultConfig(disconnect_at=(2,)))
    for pattern in patterns(5):
        bench.capture(pattern)
    assert bench.faults == [EventKind.DEVICE_LOST]


def test_a_display_lost_during_the_exposure_costs_the_pair_and_is_counted() -> None:
    bench = Bench()

    class Pulls(type(bench.camera)):  # type: ignore[misc]
        pulled = False

        def trigger(self) -> None:
            super().trigger()
            if not self.pulled:
                self.pulled = True
                bench.slm.unplug()

    bench.camera.__class__ = Pulls
    (pattern,) = patterns(1)
    frame = bench.capture(pattern)
    assert frame.pattern_id == pattern.id
    assert bench.pair_capture.displays_lost == 1
    assert bench.faults == [EventKind.DEVICE_LOST]


def test_a_camera_that_does_not_come_back_ends_the_run_in_time() -> None:
    class Gone(SimulatedCamera):
        def reconnect(self) -> None:
            raise DeviceLostError("no camera with serial twin-1")

    bench = Bench(FaultConfig(disconnect_at=(1,)), reconnect_s=7.0)
    bench.camera.__class__ = Gone
    first, second = patterns(2)
    bench.capture(first)
    started_ns = bench.clock.now_ns()
    with pytest.raises(CaptureError, match="did not come back within 7 s: no camera with serial"):
        bench.pair_capture.capture(second)
    assert 7 <= (bench.clock.now_ns() - started_ns) * 1e-9 < 9


def test_a_hanging_camera_is_armed_again() -> None:
    bench = Bench(FaultConfig(hang_at=(1,)))
    for pattern in patterns(3):
        bench.capture(pattern)
    assert bench.faults == [EventKind.DEVICE_TIMEOUT]


def test_a_dark_frame_is_refused() -> None:
    bench = Bench(config=SimulatedCameraConfig(exposure_s=20e-6), limits=FrameLimits(min_mean_fraction=0.005), retakes=1)
    with pytest.raises(CaptureError, match="is the light on"):
        bench.pair_capture.capture(patterns(1)[0])


def test_a_camera_that_runs_freely_is_refused_before_the_first_pair() -> None:
    class Free(SimulatedCamera):
        def arm(self, trigger: TriggerMode) -> None:
            super().arm(TriggerMode.FREE_RUN)

        def read(self, timeout_s: float) -> Frame:
            return super().read(max(timeout_s, 0.1))

    bench = Bench()
    bench.camera.__class__ = Free
    with pytest.raises(DeviceError, match="delivers frames without a trigger"):
        bench.pair_capture.capture(patterns(1)[0])


def test_release_leaves_nothing_armed() -> None:
    bench = Bench()
    bench.capture(patterns(1)[0])
    bench.pair_capture.release()
    with pytest.raises((DeviceError, DeviceTimeoutError)):
        bench.camera.trigger()
    bench.capture(patterns(2)[1])  # it arms the camera again


def test_frames_correlate_with_frames_of_the_same_pattern() -> None:
    bench, shown = Bench(), patterns(3)
    frames = [bench.capture(pattern).pixels.astype(float).ravel() for pattern in shown]
    other = Bench()
    again = [other.capture(pattern).pixels.astype(float).ravel() for pattern in reversed(shown)][::-1]
    correlation = np.corrcoef([*frames, *again])[:3, 3:]
    assert (correlation.argmax(1) == np.arange(3)).all()


def on_a_line(delay_s: float = 0.02, **faults: Any) -> Bench:
    """A bench whose SLM triggers the camera."""
    return Bench(FaultConfig(**faults), SimulatedCameraConfig(trigger_delay_s=delay_s), retakes=20)


@pytest.mark.parametrize("seed", range(3))
def test_pairs_triggered_by_the_slm_are_right_under_every_fault(seed: int) -> None:
    rates = {"dropped_rate": 0.08, "duplicated_rate": 0.05, "late_rate": 0.05, "failed_rate": 0.08}
    bench = on_a_line(**rates, hang_at=(5,), disconnect_at=(20,), saturate_at=(12,), seed=seed)
    for pattern in patterns(60):
        bench.capture(pattern)  # checks which pattern lit the frame
    assert len(bench.faults) >= sum(bench.camera.injected.values()) > 5


def test_an_exposure_triggered_by_the_slm_begins_after_the_crystal_settled() -> None:
    bench = on_a_line()
    for pattern in patterns(10):
        frame = bench.capture(pattern)
        start_ns = frame.t_ns - round(frame.exposure_s * 1e9)
        assert bench.slm.phase_at(start_ns)[1], "the liquid crystal had not settled"
    assert bench.faults == []


def test_a_delay_shorter_than_the_settling_is_refused() -> None:
    bench = on_a_line(delay_s=0.001)
    with pytest.raises(DeviceError, match="raise trigger_delay_s"):
        bench.capture(patterns(1)[0])
