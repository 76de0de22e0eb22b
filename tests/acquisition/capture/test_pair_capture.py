"""One pair: what is shown is what was lit, and every fault is met, told and retaken, never shifted into place."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition.capture.pair_capture import CaptureError, FrameLimits, PairCapture, Rig
from acquisition.patterns.sources import open_source
from drivers.base import DeviceError, DeviceLostError, DeviceTimeoutError, Frame, Pattern, TriggerMode
from drivers.clock import VirtualClock
from drivers.twin.camera import FaultConfig, SimulatedCamera, SimulatedCameraConfig
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlm, SimulatedSlmConfig

PX = 64


@cache
def fibre() -> FibreOptics:
    return FibreOptics(OpticsConfig(image_px=PX, field_radius_um=14.0))


def patterns(count: int) -> list[Pattern]:
    return list(open_source("leaves", (PX, PX), count=count))


class Table:
    """A rig in virtual time and what its capture reported."""

    def __init__(self, faults: FaultConfig | None = None, **options: Any) -> None:
        self.clock = VirtualClock()
        self.slm = SimulatedSlm((PX, PX), SimulatedSlmConfig(latency_frames=(1, 3)), self.clock)
        delay_s = options.pop("camera_trigger_delay_s", 0.0)
        config = SimulatedCameraConfig(exposure_s=options.pop("camera_exposure_s", 0.01), trigger_delay_s=delay_s)
        self.camera = SimulatedCamera(self.slm, fibre(), config, faults, self.clock)
        trigger = TriggerMode.HARDWARE if delay_s else TriggerMode.SOFTWARE
        self.faults: list[str] = []
        self.capture = PairCapture(
            Rig(self.camera, self.slm, self.clock, trigger), on_fault=lambda kind, text: self.faults.append(kind), **options
        )

    def take(self, pattern: Pattern) -> Frame:
        frame = self.capture.capture(pattern)
        assert frame.pattern_id == pattern.id
        assert self.camera.lit[frame.index] == (pattern.id,), "another pattern lit this frame"
        return frame


def test_a_pair_is_exposed_after_its_pattern_settled() -> None:
    table = Table()
    for pattern in patterns(4):
        before_ns = table.clock.now_ns()
        frame = table.take(pattern)
        latency_s = (frame.t_ns - before_ns) * 1e-9
        assert latency_s >= table.slm.capabilities.settle_s + frame.exposure_s
    assert table.faults == []
    assert table.capture.retaken == 0


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000))
def test_no_mixture_of_faults_gives_a_wrong_pair(seed: int) -> None:
    faults = FaultConfig(dropped_rate=0.08, duplicated_rate=0.08, late_rate=0.08, failed_rate=0.08, seed=seed)
    table = Table(faults, retakes=50)
    for pattern in patterns(12):
        table.take(pattern)
    injected = sum(table.camera.injected.values())
    assert len(table.faults) >= injected, "a fault went unnoticed"
    assert table.capture.retaken == len(table.faults)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"dropped_rate": 1.0}, "DeviceTimeoutError"),
        ({"late_rate": 1.0}, "DeviceTimeoutError"),
        ({"failed_rate": 1.0}, "FrameFailedError"),
        ({"saturate_at": tuple(range(9))}, "BadPairError"),
    ],
)
def test_a_fault_that_stays_ends_the_run_with_its_reason(fault: dict[str, Any], kind: str) -> None:
    table = Table(FaultConfig(**fault), retakes=3)
    with pytest.raises(CaptureError, match=r"failed 4 times in a row; the last time: \w+"):
        table.capture.capture(patterns(1)[0])
    assert table.faults == [kind] * 4


def test_a_stale_buffer_is_noticed_though_counters_agree() -> None:
    table = Table(FaultConfig(duplicated_rate=0.4, seed=3), retakes=30)
    for pattern in patterns(8):
        table.take(pattern)
    assert table.camera.injected["duplicated"] > 1
    assert set(table.faults) == {"BadPairError"}


def test_a_camera_that_was_unplugged_is_waited_for() -> None:
    table = Table(FaultConfig(disconnect_at=(2,)))
    for pattern in patterns(5):
        table.take(pattern)
    assert table.faults == ["DeviceLostError"]


def test_a_display_that_goes_during_the_exposure_costs_the_pair_and_is_counted() -> None:
    table = Table()

    class Pulls(type(table.camera)):  # type: ignore[misc]
        pulled = False

        def trigger(self) -> None:
            super().trigger()
            if not self.pulled:
                self.pulled = True
                table.slm.unplug()

    table.camera.__class__ = Pulls
    (pattern,) = patterns(1)
    frame = table.take(pattern)
    assert frame.pattern_id == pattern.id
    assert table.capture.displays_lost == 1
    assert table.faults == ["DeviceLostError"]


def test_a_camera_that_stays_away_ends_the_run_in_time() -> None:
    class Gone(SimulatedCamera):
        def reconnect(self) -> None:
            raise DeviceLostError("no camera with serial twin-1")

    table = Table(FaultConfig(disconnect_at=(1,)), reconnect_s=7.0)
    table.camera.__class__ = Gone
    first, second = patterns(2)
    table.take(first)
    started_ns = table.clock.now_ns()
    with pytest.raises(CaptureError, match="did not come back within 7 s: no camera with serial"):
        table.capture.capture(second)
    assert 7 <= (table.clock.now_ns() - started_ns) * 1e-9 < 9


def test_a_hanging_camera_is_armed_again() -> None:
    table = Table(FaultConfig(hang_at=(1,)))
    for pattern in patterns(3):
        table.take(pattern)
    assert table.faults == ["DeviceTimeoutError"]


def test_a_dark_frame_is_refused() -> None:
    table = Table(camera_exposure_s=20e-6, limits=FrameLimits(min_mean_fraction=0.005), retakes=1)
    with pytest.raises(CaptureError, match="is the light on"):
        table.capture.capture(patterns(1)[0])


def test_a_camera_that_runs_freely_is_refused_before_the_first_pair() -> None:
    class Free(SimulatedCamera):
        def arm(self, trigger: TriggerMode) -> None:
            super().arm(TriggerMode.FREE_RUN)

        def read(self, timeout_s: float) -> Frame:
            return super().read(max(timeout_s, 0.1))

    table = Table()
    table.camera.__class__ = Free
    with pytest.raises(DeviceError, match="delivers frames without a trigger"):
        table.capture.capture(patterns(1)[0])


def test_release_leaves_nothing_armed() -> None:
    table = Table()
    table.take(patterns(1)[0])
    table.capture.release()
    with pytest.raises((DeviceError, DeviceTimeoutError)):
        table.camera.trigger()
    table.take(patterns(2)[1])  # and it arms again on its own


def test_frames_are_the_light_of_their_own_pattern() -> None:
    table, shown = Table(), patterns(3)
    frames = [table.take(pattern).pixels.astype(float).ravel() for pattern in shown]
    clear = Table()
    again = [clear.take(pattern).pixels.astype(float).ravel() for pattern in reversed(shown)][::-1]
    correlation = np.corrcoef([*frames, *again])[:3, 3:]
    assert (correlation.argmax(1) == np.arange(3)).all()


def on_a_line(delay_s: float = 0.02, **faults: Any) -> Table:
    """A table whose SLM triggers the camera."""
    return Table(FaultConfig(**faults), camera_trigger_delay_s=delay_s, retakes=20)


@pytest.mark.parametrize("seed", range(3))
def test_pairs_triggered_by_the_slm_are_right_under_every_fault(seed: int) -> None:
    rates = {"dropped_rate": 0.08, "duplicated_rate": 0.05, "late_rate": 0.05, "failed_rate": 0.08}
    table = on_a_line(**rates, hang_at=(5,), disconnect_at=(20,), saturate_at=(12,), seed=seed)
    for pattern in patterns(60):
        table.take(pattern)  # it checks what lit the frame
    assert len(table.faults) >= sum(table.camera.injected.values()) > 5


def test_a_pair_triggered_by_the_slm_begins_after_the_crystal_settled() -> None:
    table = on_a_line()
    for pattern in patterns(10):
        frame = table.take(pattern)
        start_ns = frame.t_ns - round(frame.exposure_s * 1e9)
        assert table.slm.phase_at(start_ns)[1], "the crystal had not settled"
    assert table.faults == []


def test_a_delay_shorter_than_the_settling_is_refused() -> None:
    table = on_a_line(delay_s=0.001)
    with pytest.raises(DeviceError, match="raise trigger_delay_s"):
        table.take(patterns(1)[0])
