"""Injected faults have their own effect only, and the simulated camera reports which pattern lit every frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.benchmarks.contracts.test_simulated_camera import CAMERAS
from drivers.base import DeviceError, DeviceLostError, DeviceTimeoutError, Frame, FrameFailedError, Pattern, TriggerMode
from drivers.clock import VirtualClock
from drivers.twin import camera
from drivers.twin.camera import FaultConfig, SimulatedCamera, SimulatedCameraConfig
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig
from drivers.twin.slm import SimulatedSlm

PX = 64
QUIET = SensorConfig(read_noise_e=0.0, full_well_e=1.05e10)  # shot noise below one count
QUIET_E = 1.47e9  # electrons per frame at intensity 1, whatever the exposure


@cache
def fibre(phase_noise_rad: float) -> FibreOptics:
    return FibreOptics(OpticsConfig(image_px=PX, field_radius_um=14.0, phase_noise_rad=phase_noise_rad))


class Table:
    """Camera, SLM and clock, armed for software triggers."""

    def __init__(
        self, faults: FaultConfig | None = None, *, noisy: bool = True, exposure_s: float = 0.01, noise_seed: int = 0
    ) -> None:
        self.clock = VirtualClock()
        self.slm = SimulatedSlm((PX, PX), clock=self.clock)
        settings, optics = SimulatedCameraConfig(exposure_s=exposure_s, noise_seed=noise_seed), fibre(0.22)
        if not noisy:
            sensor = replace(QUIET, electrons_per_s=QUIET_E / exposure_s)
            settings, optics = replace(settings, bit_depth=12, sensor=sensor), fibre(0.0)
        self.camera = SimulatedCamera(self.slm, optics, settings, faults, self.clock)
        self.camera.arm(TriggerMode.SOFTWARE)

    def shoot(self, timeout_s: float = 0.3) -> Frame:
        self.camera.trigger()
        return self.camera.read(timeout_s)

    def settle(self, pattern: Pattern) -> None:
        self.clock.wait_until(self.slm.show(pattern))

    def attempts(self, count: int) -> list[str]:
        """Capture ``count`` frames; return what happened to each."""
        outcomes, last = [], b""
        for _ in range(count):
            try:
                pixels = self.shoot(1.0).pixels.tobytes()
                outcomes.append("duplicated" if pixels == last else "fine")
                last = pixels
            except DeviceTimeoutError:
                outcomes.append("dropped")
            except FrameFailedError:
                outcomes.append("failed")
        return outcomes


def checkers(cell_px: int, phase_range_rad: float) -> Pattern:
    y, x = np.indices((PX, PX)) // cell_px
    return Pattern(((y + x) % 2 * phase_range_rad).astype(np.float32), f"checkers of {cell_px} px")


# ---- without faults


def test_a_healthy_camera_injects_nothing() -> None:
    table = Table()
    assert table.attempts(10) == ["fine"] * 10
    assert table.camera.injected == {}


def test_the_same_seed_gives_the_same_frames() -> None:
    first, again, other = (Table(noise_seed=seed) for seed in (1, 1, 2))
    frames = [np.stack([table.shoot().pixels for _ in range(3)]) for table in (first, again, other)]
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])


def test_a_frame_is_the_light_behind_the_fibre() -> None:
    table, pattern = Table(noisy=False), checkers(7, 2.0)
    table.settle(pattern)
    frame = table.shoot()
    phase = torch.from_numpy(table.slm.displayed_phase(pattern.phase_rad)[None])
    light = table.camera.optics.intensity(phase)[0].numpy() + table.camera.optics.config.background
    counts = light * QUIET_E / QUIET.full_well_e * 4095
    assert np.abs(frame.pixels - np.minimum(counts, 4095)).max() <= 1.5


def test_every_bit_depth_is_under_the_contract() -> None:
    depths = Table().camera.capabilities.bit_depths
    assert {f"{depth} bit" for depth in depths} <= set(CAMERAS)


@pytest.mark.parametrize("bit_depth", [9, 16, 0])
def test_other_bit_depths_are_refused(bit_depth: int) -> None:
    with pytest.raises(ValueError, match="8, 10 or 12 bit"):
        SimulatedCameraConfig(bit_depth=bit_depth)


# ---- which pattern


def test_lit_names_the_settled_pattern_of_every_frame() -> None:
    table, patterns = Table(), [checkers(cell, 2.0) for cell in (3, 5, 9)]
    for pattern in patterns:
        table.settle(pattern)
        table.shoot()
    assert table.camera.lit == {index: (pattern.id,) for index, pattern in enumerate(patterns)}


def test_arming_forgets_what_lit_the_frames_before() -> None:
    table = Table()
    table.shoot()
    table.camera.arm(TriggerMode.SOFTWARE)
    assert table.camera.lit == {}


def test_a_frame_without_waiting_is_lit_by_the_pattern_before() -> None:
    table, old, new = Table(noisy=False), checkers(5, 2.0), checkers(9, 2.0)
    table.settle(old)
    before = table.shoot().pixels
    table.clock.wait_until((table.clock.now_ns() // 16_666_667 + 1) * 16_666_667 + 1)  # a whole refresh ahead
    table.slm.show(new)
    early = table.shoot()
    assert table.camera.lit[early.index] == (old.id,)
    assert np.abs(early.pixels.astype(int) - before).max() <= 2


def test_a_frame_across_a_switch_is_a_mixture_and_says_so() -> None:
    table, old, new = Table(noisy=False, exposure_s=0.2), checkers(5, 0.6), checkers(9, 0.6)
    table.settle(old)
    pure_old = table.shoot().pixels.astype(float)
    # The switch comes 47 to 80 ms after the exposure began, long before its middle.
    table.camera.trigger()
    table.clock.wait_until(table.clock.now_ns() + 30_000_000)
    table.slm.show(new)
    mixed = table.camera.read(0.3)
    table.settle(new)
    pure_new = table.shoot().pixels.astype(float)
    assert table.camera.lit[mixed.index] == (old.id, new.id)
    # Light adds up over the exposure: the mixture lies on the line between both pure frames, well inside it.
    line = pure_new - pure_old
    share = float(((mixed.pixels - pure_old) * line).sum() / (line**2).sum())
    residual = mixed.pixels - pure_old - share * line
    assert 0.45 < share < 0.85
    assert np.sqrt((residual**2).mean()) < 0.15 * np.sqrt((line**2).mean())


def test_a_frame_while_the_crystal_settles_is_neither_pattern() -> None:
    table, old, new = Table(noisy=False, exposure_s=0.001), checkers(5, 2.0), checkers(9, 2.0)
    table.settle(old)
    pure_old = table.shoot().pixels.astype(int)
    table.slm.show(new)
    while table.slm.lit_between(table.clock.now_ns(), table.clock.now_ns()) != (new.id,):
        table.clock.wait_until(table.clock.now_ns() + 100_000)
    settling = table.shoot()
    table.settle(new)
    pure_new = table.shoot().pixels.astype(int)
    assert table.camera.lit[settling.index] == (new.id,)
    assert np.abs(settling.pixels - pure_old).mean() > 10
    assert np.abs(settling.pixels - pure_new).mean() > 10


# ---- faults by rate


@pytest.mark.parametrize("fault", ["dropped", "duplicated", "failed"])
@examples(max_examples=4)
@given(seed=st.integers(0, 1000))
def test_faults_by_rate_occur_and_are_listed(fault: str, seed: int) -> None:
    table = Table(FaultConfig(seed=seed, **{f"{fault}_rate": 0.3}))  # type: ignore[arg-type]
    outcomes = table.attempts(40)
    assert set(outcomes) <= {"fine", fault}
    assert table.camera.injected.get(fault, 0) == outcomes.count(fault)
    assert 2 <= outcomes.count(fault) <= 25  # binomial(40, 0.3): outside once in a hundred thousand


def test_faults_of_several_kinds_occur_once_per_frame() -> None:
    faults = FaultConfig(dropped_rate=0.2, duplicated_rate=0.2, failed_rate=0.2, seed=3)
    table = Table(faults)
    outcomes = table.attempts(60)
    assert table.camera.injected == {kind: outcomes.count(kind) for kind in ("dropped", "duplicated", "failed")}
    assert min(table.camera.injected.values()) > 3


def test_a_dropped_frame_leaves_a_gap_between_triggers_and_frames_only() -> None:
    table = Table(FaultConfig(dropped_rate=1.0))
    assert table.attempts(3) == ["dropped"] * 3
    assert (table.camera.counters.triggers, table.camera.counters.frames, table.camera.counters.failed) == (3, 0, 0)


def test_a_failed_buffer_is_counted_and_takes_no_index() -> None:
    table = Table(FaultConfig(failed_rate=0.5, seed=1))
    outcomes = table.attempts(12)
    counters = table.camera.counters
    assert (counters.triggers, counters.frames, counters.failed) == (12, outcomes.count("fine"), outcomes.count("failed"))
    assert sorted(table.camera.lit) == list(range(counters.frames))


def test_a_camera_that_runs_for_hours_remembers_only_the_latest_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "_LIT_FRAMES", 3)
    table = Table()
    assert [table.shoot().index for _ in range(8)] == list(range(8))
    assert sorted(table.camera.lit) == [5, 6, 7]


def test_a_duplicate_has_its_own_index_and_time_but_nothing_lit_it() -> None:
    table = Table(FaultConfig(duplicated_rate=1.0))
    first, second = table.shoot(), table.shoot()
    assert np.array_equal(first.pixels, second.pixels)
    assert (second.index, second.t_ns > first.t_ns) == (1, True)
    assert len(table.camera.lit[0]) == 1
    assert table.camera.lit[1] == ()
    assert table.camera.injected == {"duplicated": 1}, "the first frame had nothing to repeat"


def test_a_late_frame_comes_late_and_intact() -> None:
    table, healthy = Table(FaultConfig(late_rate=1.0, late_s=0.5)), Table()
    start_ns = table.clock.now_ns()
    with pytest.raises(DeviceTimeoutError):
        table.shoot(0.4)
    frame = table.camera.read(0.2)
    assert (table.clock.now_ns() - start_ns) * 1e-9 == pytest.approx(0.514, abs=1e-6)
    assert np.array_equal(frame.pixels, healthy.shoot().pixels)
    assert frame.t_ns == start_ns + 10_000_000, "the delivery is late, not the exposure"
    assert table.camera.injected == {"late": 1}


# ---- faults by number


def test_a_hanging_camera_answers_again_after_arming() -> None:
    table = Table(FaultConfig(hang_at=(1,)))
    table.shoot()
    for _ in range(2):
        with pytest.raises(DeviceTimeoutError):
            table.shoot()
    assert table.camera.injected == {"hung": 1}
    table.camera.arm(TriggerMode.SOFTWARE)
    assert table.shoot().index == 0


@pytest.mark.parametrize("mode", [TriggerMode.SOFTWARE, TriggerMode.FREE_RUN])
def test_a_disconnection_is_reported_immediately_and_only_reconnecting_helps(mode: TriggerMode) -> None:
    table = Table(FaultConfig(disconnect_at=(1,)))
    table.camera.arm(mode)
    capture: Callable[[], Frame] = table.shoot if mode is TriggerMode.SOFTWARE else (lambda: table.camera.read(0.1))
    capture()
    with pytest.raises(DeviceLostError):
        capture()
    with pytest.raises(DeviceLostError):
        table.camera.arm(mode)
    table.camera.reconnect()
    table.camera.arm(mode)
    assert [capture().index for _ in range(3)] == [0, 1, 2]
    assert table.camera.injected == {"disconnected": 1}


def test_one_frame_saturates_and_no_other() -> None:
    table = Table(FaultConfig(saturate_at=(1,)))
    shares = [table.shoot().saturated_fraction() for _ in range(3)]
    assert shares[1] > 0.25
    assert max(shares[0], shares[2]) < 0.01
    assert table.camera.injected == {"saturated": 1}


def test_scheduled_faults_replace_random_ones_and_count_since_opening() -> None:
    table = Table(FaultConfig(dropped_rate=1.0, saturate_at=(2,)))
    assert table.attempts(2) == ["dropped", "dropped"]
    table.camera.arm(TriggerMode.SOFTWARE)
    assert table.shoot().saturated_fraction() > 0.25
    assert table.camera.injected == {"dropped": 2, "saturated": 1}


def test_a_dropped_frame_in_free_run_costs_one_deadline() -> None:
    table = Table(FaultConfig(dropped_rate=1.0))
    table.camera.set_exposure(0.5)
    table.camera.arm(TriggerMode.FREE_RUN)
    start_ns = table.clock.now_ns()
    for _ in range(3):
        with pytest.raises(DeviceTimeoutError):
            table.camera.read(0.05)
    assert (table.clock.now_ns() - start_ns) * 1e-9 == pytest.approx(0.15, abs=1e-6)
    assert table.camera.injected == {"dropped": 1}


@pytest.mark.parametrize("rates", [{"dropped_rate": -0.1}, {"dropped_rate": 0.6, "late_rate": 0.6}], ids=str)
def test_impossible_rates_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="fault rates"):
        FaultConfig(**rates)  # type: ignore[arg-type]


def test_reading_unarmed_is_an_error_but_no_timeout() -> None:
    table = Table()
    table.camera.disarm()
    with pytest.raises(DeviceError, match="not armed") as caught:
        table.camera.read(0.1)
    assert not isinstance(caught.value, DeviceTimeoutError)


def test_a_removed_camera_cannot_be_reconnected_before_it_is_put_back() -> None:
    camera = SimulatedCamera(SimulatedSlm((PX, PX)), fibre(0.0), clock=VirtualClock())
    camera.arm(TriggerMode.FREE_RUN)
    camera.read(1.0)
    camera.remove()
    with pytest.raises(DeviceLostError):
        camera.read(1.0)
    with pytest.raises(DeviceLostError, match="still unplugged"):
        camera.reconnect()
    camera.put_back()
    with pytest.raises(DeviceLostError):
        camera.read(1.0)
    camera.reconnect()
    camera.arm(TriggerMode.FREE_RUN)
    assert camera.read(1.0).index == 0
