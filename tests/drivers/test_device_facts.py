"""What a device says about itself: what every device states, and what its driver knows beside that."""

from __future__ import annotations

from drivers.base import Camera
from drivers.device_facts import DeviceFact, facts_of_camera, facts_of_slm, library_fact
from drivers.twin.camera import SimulatedCamera
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlm


class DescribedCamera(SimulatedCamera):
    """A camera whose driver knows its firmware."""

    def device_facts(self) -> tuple[DeviceFact, ...]:
        return (DeviceFact("Firmware", "1.2"), library_fact("numpy", "no-such-library"))


def _camera(kind: type[SimulatedCamera]) -> Camera:
    slm = SimulatedSlm((64, 64))
    return kind(slm, FibreOptics(OpticsConfig(image_px=64, field_radius_um=15.0)))


def test_every_device_has_model_serial_number_and_sizes() -> None:
    camera = {fact.name: fact.value for fact in facts_of_camera(_camera(SimulatedCamera))}
    assert camera["Model"] == "simulated camera"
    assert camera["Serial number"] == "twin-1"
    assert camera["Frame"] == "64 x 64 px"
    assert camera["Exposure range"] == "0.02 to 1000 ms"
    slm = {fact.name: fact.value for fact in facts_of_slm(SimulatedSlm((64, 32)))}
    assert slm["Pattern"] == "32 x 64 px"
    assert slm["Refresh"] == "60 Hz, 16.67 ms per picture"


def test_a_driver_adds_what_it_knows() -> None:
    facts = {fact.name: fact.value for fact in facts_of_camera(_camera(DescribedCamera))}
    assert facts["Firmware"] == "1.2"
    assert facts["Driver"].startswith("numpy ")
    assert facts["Driver"].endswith("no-such-library of unknown version")
