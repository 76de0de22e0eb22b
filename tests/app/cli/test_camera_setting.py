"""``--camera-setting name=value``: it replaces that of the instrument file, and is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.options import RecordingOptions
from drivers.base import SpeckleScopeError
from drivers.camera_settings import Roi, SettingName


def test_options_replace_the_settings_of_the_file_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "instrument.yaml"
    file.write_text("camera_settings: {exposure_s: 0.002, gain: 6}\n", "utf-8")
    options = RecordingOptions(config=file, camera_setting=["gain=3", "roi=0,4,64,32", "binning=2"])
    assert options.settings().camera_settings.values == {
        SettingName.EXPOSURE_S: 0.002,
        SettingName.GAIN: 3.0,
        SettingName.ROI: Roi(x=0, y=4, width=64, height=32),
        SettingName.BINNING: 2,
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gain", "give name=value"),
        ("gian=3", "where name is one of exposure_s, gain, frame_rate_hz, roi, binning"),
        ("gain=much", "give a number"),
        ("exposure_s=-1", "it cannot be negative"),
        ("roi=1,2,3", "give x,y,width,height in pixels"),
        ("binning=0", "greater than or equal to 1"),
    ],
)
def test_what_is_no_setting_is_refused_in_words(text: str, reason: str) -> None:
    with pytest.raises(SpeckleScopeError) as caught:
        RecordingOptions(camera_setting=[text]).settings()
    assert reason in str(caught.value)
