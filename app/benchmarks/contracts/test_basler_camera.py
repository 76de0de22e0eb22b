"""Basler cameras through pylon's real API: Basler's emulator with its test images, and fed with simulated frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec

import pytest

from drivers.base import TriggerMode
from drivers.basler.config import BaslerConfig
from drivers.clock import RealClock
from drivers.testing.camera_contract import CameraContract, LineContract, LostContract, Subject, TriggerContract
from drivers.testing.small_twin import IMAGE_PX, flat_pattern, small_fibre
from drivers.twin.camera import SimulatedCamera, SimulatedCameraConfig
from drivers.twin.slm import SimulatedSlm

pytestmark = pytest.mark.skipif(find_spec("pypylon") is None, reason="pypylon is not installed; pip install pypylon")


def emulated(bit_depth: int) -> Subject:
    """Return Basler's emulator with its test images."""
    # Imported here: without pypylon this module must still load, so that its tests are skipped with a reason.
    from drivers.basler.emulator import EmulatedBasler

    camera = EmulatedBasler(BaslerConfig(width=48, height=32, bit_depth=bit_depth, exposure_s=0.005))
    return Subject(camera, RealClock(), TriggerMode.SOFTWARE, grace_s=0.5, unplug=camera.unplug, edge=camera.edge)


def twin_fed() -> Subject:
    """Return Basler's emulator that carries the frames of a simulated camera."""
    from drivers.basler.emulator import TwinFedBasler

    slm = SimulatedSlm((IMAGE_PX, IMAGE_PX))
    sensor = SimulatedCamera(slm, small_fibre(), SimulatedCameraConfig(exposure_s=0.003, readout_s=0.001))
    camera, clock = TwinFedBasler(sensor), RealClock()

    def edge() -> None:
        clock.wait_until(slm.show(flat_pattern()))

    return Subject(camera, clock, TriggerMode.SOFTWARE, grace_s=0.5, unplug=camera.unplug, edge=edge)


CAMERAS: Mapping[str, Callable[[], Subject]] = {
    "emulated 8 bit": partial(emulated, 8),
    "emulated 12 bit": partial(emulated, 12),
    "fed by the twin": twin_fed,
}


class TestBasler(CameraContract, TriggerContract, LineContract, LostContract):
    """Frames, software triggers, edges and loss."""

    @pytest.fixture(
        params=[pytest.param(name, marks=pytest.mark.slow) if name == "emulated 12 bit" else name for name in CAMERAS]
    )
    def subject(self, request: pytest.FixtureRequest) -> Iterator[Subject]:
        """Return one of ``CAMERAS``."""
        subject = CAMERAS[request.param]()
        yield subject
        subject.camera.close()
