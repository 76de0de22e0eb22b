"""Camera settings of the instrument file: they are written when the camera is opened, or refused with the range."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.instrument.config import ConfigError, InstrumentConfig, checked, load_config, to_yaml
from app.instrument.opening import open_instrument, open_rig
from drivers.base import DeviceError
from drivers.camera_settings import Roi, SettingName, facts, settings_of
from tests.helpers.small_instrument import small_instrument

REGION = {"x": 8, "y": 4, "width": 32, "height": 16}


def with_settings(root: Path, **settings: object) -> InstrumentConfig:
    config = small_instrument(root)
    return checked(dict(config) | {"camera_settings": settings}, "test")


def test_a_file_with_settings_is_read_and_written_again(tmp_path: Path) -> None:
    file = tmp_path / "instrument.yaml"
    file.write_text(f"camera_settings: {{exposure_s: 2e-3, gain: 6, binning: 2, roi: {REGION}}}\n", "utf-8")
    config = load_config(file)
    assert config.camera_settings.values == {
        SettingName.EXPOSURE_S: 0.002,
        SettingName.GAIN: 6.0,
        SettingName.BINNING: 2,
        SettingName.ROI: Roi(**REGION),
    }
    file.write_text(to_yaml(config), "utf-8")
    assert load_config(file) == config


def test_settings_are_written_when_the_camera_is_opened(tmp_path: Path) -> None:
    rig, _ = open_rig(with_settings(tmp_path, exposure_s=0.002, gain=6.0, binning=2, roi=REGION))
    with rig.camera as camera:
        assert camera.capabilities.shape == (16, 32)
        stored = facts(settings_of(camera))
    assert (stored["exposure_s"], stored["gain"], stored["binning"], stored["roi"]) == (0.002, 6.0, 2, REGION)


def test_a_setting_out_of_range_is_refused_with_the_range(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"^camera_settings: gain = 60 dB is not possible: this camera takes 0 to 24 dB"):
        open_rig(with_settings(tmp_path, gain=60.0))


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"exposure_s": 0}, "camera_settings.exposure_s"),
        ({"exposure_s": "long"}, "camera_settings.exposure_s"),
        ({"gian": 1}, "did you mean 'gain'"),
        ({"roi": {"x": 0, "y": 0, "width": 0, "height": 1}}, "width and height 1 or more"),
        ({"roi": {**REGION, "heigth": 1}}, "heigth"),
        ({"binning": 1.5}, "camera_settings.binning"),
    ],
)
def test_impossible_values_are_refused_by_their_key(tmp_path: Path, settings: dict[str, object], part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(tmp_path, **settings)
    assert part in str(caught.value)


def test_a_region_that_no_model_fits_opens_the_twin_without_one(tmp_path: Path) -> None:
    rig, _, model, reason = open_instrument(with_settings(tmp_path, roi=REGION))
    rig.close()
    assert model is None
    assert "takes frames of 128 x 128 px, the camera gives 16 x 32" in reason
