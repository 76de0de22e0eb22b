"""The simulated camera: all bit depths on a virtual clock, and 8 bit on the real clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import pytest

from drivers.base import TriggerMode
from drivers.clock import RealClock, VirtualClock
from drivers.testing.camera_contract import CameraContract, LineContract, LostContract, Subject, TriggerContract
from drivers.testing.small_twin import IMAGE_PX, flat_pattern, small_fibre
from drivers.twin.camera import SimulatedCamera, SimulatedCameraConfig
from drivers.twin.slm import SimulatedSlm


def simulated(bit_depth: int) -> Subject:
    """Return a camera of this bit depth on a virtual clock."""
    clock = VirtualClock()
    slm = SimulatedSlm((IMAGE_PX, IMAGE_PX), clock=clock)
    config = SimulatedCameraConfig(bit_depth=bit_depth, trigger_delay_s=0.02)
    camera = SimulatedCamera(slm, small_fibre(), config, clock=clock)

    def edge() -> None:
        clock.wait_until(slm.show(flat_pattern()))

    return Subject(camera, clock, TriggerMode.SOFTWARE, unplug=camera.unplug, edge=edge)


def simulated_in_real_time() -> Subject:
    """Return a camera that takes the time of its exposures."""
    slm = SimulatedSlm((IMAGE_PX, IMAGE_PX))
    camera = SimulatedCamera(slm, small_fibre(), SimulatedCameraConfig(exposure_s=0.002, readout_s=0.001))
    return Subject(camera, RealClock(), TriggerMode.SOFTWARE, grace_s=0.5, unplug=camera.unplug)


CAMERAS: Mapping[str, Callable[[], Subject]] = {
    "8 bit": partial(simulated, 8),
    "10 bit": partial(simulated, 10),
    "12 bit": partial(simulated, 12),
    "real time": simulated_in_real_time,
}


class TestSimulatedCamera(CameraContract, TriggerContract, LostContract):
    """Frames, software triggers and loss."""

    @pytest.fixture(params=CAMERAS)
    def subject(self, request: pytest.FixtureRequest) -> Iterator[Subject]:
        """Return one of ``CAMERAS``."""
        subject = CAMERAS[request.param]()
        yield subject
        subject.camera.close()


class TestSimulatedLine(LineContract):
    """Edges from the SLM."""

    @pytest.fixture
    def subject(self) -> Iterator[Subject]:
        """Return the camera of 8 bit."""
        subject = simulated(8)
        yield subject
        subject.camera.close()
