"""The list of a camera's settings: values as text, refusals, the order of writing, and cameras of drivers without the list."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import CameraCapabilities, DeviceError
from drivers.camera_settings import (
    CameraSetting,
    Choices,
    NumberRange,
    Roi,
    RoiRange,
    SettingName,
    SettingValue,
    accepted,
    change_setting,
    facts,
    settings_of,
    value_from_text,
    write_settings,
)
from drivers.testing.small_twin import IMAGE_PX, small_fibre
from drivers.twin.camera import SimulatedCamera
from drivers.twin.slm import SimulatedSlm

GAIN = CameraSetting(name=SettingName.GAIN, value=6.0, limits=NumberRange(0.0, 24.0, 0.5), unit="dB")
SIDES = NumberRange(16, 64, 4)
REGION = CameraSetting(
    name=SettingName.ROI,
    value=Roi(width=64, height=64),
    limits=RoiRange(width=SIDES, height=SIDES, x_step=2, y_step=2),
    unit="px",
    live=False,
)
BINNING = CameraSetting(name=SettingName.BINNING, value=1, limits=Choices((1, 2)), live=False)


@pytest.fixture
def twin() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(SimulatedSlm((IMAGE_PX, IMAGE_PX)), small_fibre()) as camera:
        yield camera


class ExposureOnly:
    """A camera of another maker whose driver knows nothing of settings: it has what the protocol of a camera asks for."""

    def __init__(self, range_s: tuple[float, float]) -> None:
        self.exposure_s = range_s[0]
        self.capabilities = CameraCapabilities(
            model="other", serial="1", shape=(4, 4), bit_depths=(8,), exposure_range_s=range_s, readout_s=0.0
        )

    def set_exposure(self, exposure_s: float) -> None:
        self.exposure_s = exposure_s


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (GAIN, "gain: 6 dB (0 to 24 in steps of 0.5 dB)"),
        (BINNING, "binning: 1 x 1 (1, 2; stops the camera for a moment)"),
        (
            REGION,
            "roi: 64 x 64 px at (0, 0) (width 16 to 64 in steps of 4, height 16 to 64 in steps of 4, x in steps of 2, "
            "y in steps of 2, within 64 x 64 px; stops the camera for a moment)",
        ),
    ],
)
def test_a_setting_says_what_it_is_and_what_the_camera_takes(setting: CameraSetting, text: str) -> None:
    assert str(setting) == text


@pytest.mark.parametrize("value", [0, 0.5, 23.5, 24])
def test_values_on_a_step_are_accepted(value: float) -> None:
    assert accepted([GAIN], SettingName.GAIN, value) == value


@pytest.mark.parametrize(
    ("value", "shown"), [(24.5, "24.5 dB"), (-0.5, "-0.5 dB"), (0.3, "0.3 dB"), (float("nan"), "nan dB"), (True, "True")]
)
def test_a_refusal_names_setting_value_and_range(value: float, shown: str) -> None:
    with pytest.raises(DeviceError) as caught:
        accepted([GAIN], SettingName.GAIN, value)
    expected = f"gain = {shown} is not possible: this camera takes 0 to 24 in steps of 0.5 dB; change gain"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    "region",
    [
        Roi(width=68, height=64),
        Roi(width=18, height=64),
        Roi(x=4, width=64, height=64),
        Roi(x=1, width=16, height=16),
        Roi(y=3, width=16, height=16),
        Roi(width=12, height=16),
    ],
)
def test_regions_outside_the_sensor_or_its_steps_are_refused(region: Roi) -> None:
    with pytest.raises(DeviceError, match=f"roi = {region.width} x {region.height} px at"):
        accepted([REGION], SettingName.ROI, region)


def test_what_cannot_change_while_armed_is_refused_then() -> None:
    assert accepted([BINNING], SettingName.BINNING, 2) == 2
    with pytest.raises(DeviceError, match="binning cannot change while the camera is armed; disarm it first"):
        accepted([BINNING], SettingName.BINNING, 2, armed=True)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        (SettingName.EXPOSURE_S, "1e-3", 0.001),
        (SettingName.GAIN, "6", 6.0),
        (SettingName.BINNING, "2", 2),
        (SettingName.ROI, "8,4,32,16", Roi(x=8, y=4, width=32, height=16)),
    ],
)
def test_values_are_read_from_text(name: SettingName, text: str, value: SettingValue) -> None:
    assert value_from_text(name, text) == value
    assert value_from_text(name, str(value)) == value


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        (SettingName.GAIN, "high", "give a number"),
        (SettingName.BINNING, "1.5", "give a whole number"),
        (SettingName.ROI, "1,2,3", "give x,y,width,height in pixels"),
        (SettingName.ROI, "0,0,0,16", "give x,y,width,height in pixels"),
    ],
)
def test_text_that_is_no_value_is_refused_with_what_to_give(name: SettingName, text: str, remedy: str) -> None:
    with pytest.raises(DeviceError, match=f"^{name} = '{text}' is not possible: {remedy}$"):
        value_from_text(name, text)


def test_metadata_hold_plain_values_and_the_unit_of_the_gain() -> None:
    assert facts([GAIN, REGION, BINNING]) == {
        "gain": 6.0,
        "gain_unit": "dB",
        "roi": {"x": 0, "y": 0, "width": 64, "height": 64},
        "binning": 1,
    }


def test_several_settings_do_not_undo_each_other(twin: SimulatedCamera) -> None:
    region = Roi(x=4, y=8, width=16, height=20)
    write_settings(twin, {SettingName.FRAME_RATE_HZ: 2.0, SettingName.ROI: region, SettingName.BINNING: 2})
    now = facts(settings_of(twin))
    assert (now["frame_rate_hz"], now["binning"], twin.capabilities.shape) == (2.0, 2, (20, 16))


def test_a_camera_without_the_list_has_its_exposure() -> None:
    camera = ExposureOnly((0.001, 0.1))
    setting = change_setting(camera, SettingName.EXPOSURE_S, 0.02)
    assert (setting.value, camera.exposure_s) == (0.02, 0.02)
    assert [setting.name for setting in settings_of(camera)] == [SettingName.EXPOSURE_S]
    with pytest.raises(DeviceError, match="no setting gain; its settings: exposure_s"):
        change_setting(camera, SettingName.GAIN, 1.0)


def test_a_camera_whose_exposure_is_fixed_has_no_settings() -> None:
    camera = ExposureOnly((0.01, 0.01))
    assert settings_of(camera) == ()
    with pytest.raises(DeviceError, match="no setting exposure_s; its settings: none"):
        change_setting(camera, SettingName.EXPOSURE_S, 0.01)


_SIDES = st.integers(1, 1200)


@given(
    st.builds(Roi, x=st.integers(0, 1100), y=st.integers(0, 800), width=_SIDES, height=_SIDES),
    st.sampled_from([1, 2, 8, 16]),
    st.sampled_from([1, 2, 4, 32]),
)
def test_the_nearest_region_is_possible_and_holds_what_was_drawn(drawn: Roi, size_step: int, corner_step: int) -> None:
    limits = RoiRange(
        width=NumberRange(64, 1024, size_step), height=NumberRange(32, 768, size_step), x_step=corner_step, y_step=corner_step
    )
    region = limits.nearest(drawn)
    assert region in limits
    assert region.x <= min(drawn.x, 1023)
    assert region.y <= min(drawn.y, 767)
    if size_step <= corner_step:  # otherwise the last pixels of the sensor may be out of reach
        assert region.x + region.width >= min(drawn.x + drawn.width, 1024)
        assert region.y + region.height >= min(drawn.y + drawn.height, 768)
