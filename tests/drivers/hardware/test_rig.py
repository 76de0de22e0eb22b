"""The contracts of camera and SLM on the connected devices: pytest tests/drivers/hardware --rig instrument.yaml."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from acquisition.capture.pair_capture import Rig
from app.instrument.config import load_config
from app.instrument.opening import open_rig
from drivers.base import DeviceError, TriggerMode
from drivers.testing import camera_contract, slm_contract

pytestmark = pytest.mark.hardware


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    path = request.config.getoption("--rig")
    if path is None:
        pytest.skip("no instrument given; add --rig instrument.yaml")
    rig, _ = open_rig(load_config(path))
    yield rig
    rig.close()


@pytest.fixture
def camera(rig: Rig) -> camera_contract.Subject:
    """The camera, with software triggers if it supports them."""
    try:
        rig.camera.arm(TriggerMode.SOFTWARE)
        mode = TriggerMode.SOFTWARE
    except DeviceError as error:
        if "cannot be triggered" not in str(error):
            raise
        mode = TriggerMode.FREE_RUN
    rig.camera.disarm()
    return camera_contract.Subject(rig.camera, rig.clock, mode, grace_s=0.5)


class TestCamera(camera_contract.CameraContract):
    @pytest.fixture
    def subject(self, camera: camera_contract.Subject) -> camera_contract.Subject:
        return camera


class TestTriggeredCamera(camera_contract.TriggerContract):
    @pytest.fixture
    def subject(self, camera: camera_contract.Subject) -> camera_contract.Subject:
        if camera.mode is not TriggerMode.SOFTWARE:
            pytest.skip("this camera has no trigger")
        return camera


class TestFreeRunOnlyCamera(camera_contract.FreeRunOnlyContract):
    @pytest.fixture
    def subject(self, camera: camera_contract.Subject) -> camera_contract.Subject:
        if camera.mode is TriggerMode.SOFTWARE:
            pytest.skip("this camera has a trigger")
        return camera


class TestSlm(slm_contract.SlmContract):
    @pytest.fixture
    def subject(self, rig: Rig) -> slm_contract.Subject:
        if rig.slm is None:
            pytest.skip("this instrument has no SLM")
        return slm_contract.Subject(rig.slm, rig.clock, lambda: pytest.skip("its cable must be unplugged by hand"))
