"""Every camera keeps the camera contract. A new one needs one more entry in ``TRIGGERED`` or ``FREE_RUN_ONLY``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from drivers.base import Frame, Pattern, TriggerMode
from drivers.clock import RealClock, VirtualClock
from drivers.recorded.replay import ReplayCamera
from drivers.testing.camera_contract import (
    CameraContract,
    FreeRunOnlyContract,
    LineContract,
    LostContract,
    Subject,
    TriggerContract,
)
from drivers.twin.camera import SimulatedCamera, SimulatedCameraConfig
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlm

PX = 64


@cache
def small_fibre() -> FibreOptics:
    return FibreOptics(OpticsConfig(image_px=PX, field_radius_um=14.0))


def simulated(bit_depth: int) -> Subject:
    clock = VirtualClock()
    slm = SimulatedSlm((PX, PX), clock=clock)
    config = SimulatedCameraConfig(bit_depth=bit_depth, trigger_delay_s=0.02)
    camera = SimulatedCamera(slm, small_fibre(), config, clock=clock)
    flat = Pattern(np.zeros((PX, PX), np.float32))
    return Subject(camera, clock, TriggerMode.SOFTWARE, unplug=camera.unplug, edge=lambda: clock.wait_until(slm.show(flat)))


def simulated_in_real_time() -> Subject:
    slm = SimulatedSlm((PX, PX))
    camera = SimulatedCamera(slm, small_fibre(), SimulatedCameraConfig(exposure_s=0.002, readout_s=0.001))
    return Subject(camera, RealClock(), TriggerMode.SOFTWARE, grace_s=0.5, unplug=camera.unplug)


def recorded(bit_depth: int) -> list[Frame]:
    rng = np.random.default_rng(bit_depth)
    shape, dtype = (3, 12, 16), np.uint8 if bit_depth == 8 else np.uint16
    images = rng.integers(1, 2**bit_depth, shape).astype(dtype)
    return [Frame(image, 7 + i, 10**12 + i * 20_000_000, 0.004, bit_depth) for i, image in enumerate(images)]


def replayed(bit_depth: int) -> Subject:
    clock = VirtualClock()
    return Subject(ReplayCamera(recorded(bit_depth), clock=clock), clock, TriggerMode.FREE_RUN)


Cameras = Mapping[str, Callable[[], Subject]]
#: With a software trigger; these can also be unplugged.
TRIGGERED: Cameras = {
    "simulated 8 bit": partial(simulated, 8),
    "simulated 10 bit": partial(simulated, 10),
    "simulated 12 bit": partial(simulated, 12),
    "simulated in real time": simulated_in_real_time,
}
FREE_RUN_ONLY: Cameras = {"replay 8 bit": partial(replayed, 8), "replay 12 bit": partial(replayed, 12)}


def subjects(cameras: Cameras) -> Any:
    """Make the fixture that runs a contract on each of ``cameras``."""

    @pytest.fixture(name="subject", params=cameras)
    def opened(self: object, request: pytest.FixtureRequest) -> Iterator[Subject]:
        subject = cameras[request.param]()
        yield subject
        subject.camera.close()

    return opened


class TestEveryCamera(CameraContract):
    subject = subjects({**TRIGGERED, **FREE_RUN_ONLY})


class TestTriggeredCameras(TriggerContract):
    subject = subjects(TRIGGERED)


class TestCamerasOnALine(LineContract):
    subject = subjects({"simulated": partial(simulated, 8)})


class TestFreeRunOnlyCameras(FreeRunOnlyContract):
    subject = subjects(FREE_RUN_ONLY)


class TestLosingACamera(LostContract):
    subject = subjects(TRIGGERED)


def test_every_bit_depth_of_the_simulated_camera_is_tested() -> None:
    depths = simulated(8).camera.capabilities.bit_depths
    assert {f"simulated {depth} bit" for depth in depths} <= set(TRIGGERED)
