"""Applying a calibration changes the settings that it says, in the instrument file, and there is a way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.calibrations.changes import apply, changes_back, changes_of, in_use, revert
from app.calibrations.kinds import Calibration
from app.calibrations.storing import date_text
from app.calibrations.target import CalibrationTarget, present_response
from app.instrument.config import InstrumentConfig, checked, load_config, save_config
from app.instrument.devices import panel_of
from calibration.stored import CalibrationError, Stored
from drivers.base import SpeckleScopeError
from tests.helpers.calibrations.stored import save_calibration, small_config, small_target, stored_as


@pytest.fixture
def target(tmp_path: Path) -> CalibrationTarget:
    return small_target(small_config(tmp_path))[0]


def real(**values: Any) -> InstrumentConfig:
    return checked({"camera": "basler", "slm": "screen", "fibre": "mine", **values}, "test")


def wanted(what: Calibration, stored: Stored, config: InstrumentConfig) -> dict[str, object]:
    return {change.key: change.after for change in changes_of(what, Path("/c/timing/1"), stored, config)}


def test_a_settling_time_is_applied_with_a_reserve_and_comes_back(tmp_path: Path, target: CalibrationTarget) -> None:
    file = tmp_path / "instrument.yaml"
    save_config(target.config, file)
    file.write_text("# my own comment\n" + file.read_text("utf-8"), "utf-8")
    before = load_config(file)
    folder = save_calibration(Calibration.TIMING, target, settle_s=0.058)
    changes = changes_of(Calibration.TIMING, folder, stored_as(Calibration.TIMING, target, settle_s=0.058), before)
    texts = {change.label: change.texts for change in changes}
    assert texts["SLM settling time"] == ("15 ms", "69.6 ms")
    assert texts["In use"] == ("not set", date_text(folder))
    assert date_text(folder).startswith(("29 ", "30 "))
    apply(changes, folder, before, file)
    after = load_config(file)
    assert after.twin.slm.settle_s == pytest.approx(0.0696)
    assert in_use(Calibration.TIMING, after) == folder
    assert "# my own comment" in (tmp_path / "instrument.yaml.before").read_text("utf-8")
    assert changes_of(Calibration.TIMING, folder, stored_as(Calibration.TIMING, target, settle_s=0.058), after) == ()
    revert(changes_back(Calibration.TIMING, after), after, file)
    assert load_config(file) == before


def test_the_one_before_is_in_use_again_after_a_revert(tmp_path: Path, target: CalibrationTarget) -> None:
    file = tmp_path / "instrument.yaml"
    config = target.config
    folders = [save_calibration(Calibration.REGISTRATION, target, name) for name in ("20261101-000000", "20261102-000000")]
    for folder in folders:
        changes = changes_of(Calibration.REGISTRATION, folder, stored_as(Calibration.REGISTRATION, target), config)
        config = apply(changes, folder, config, file)
    assert in_use(Calibration.REGISTRATION, load_config(file)) == folders[1]
    config = revert(changes_back(Calibration.REGISTRATION, config), config, file)
    assert in_use(Calibration.REGISTRATION, load_config(file)) == folders[0]
    config = revert(changes_back(Calibration.REGISTRATION, config), config, file)
    assert in_use(Calibration.REGISTRATION, config) is None
    with pytest.raises(CalibrationError, match="nothing to go back to"):
        changes_back(Calibration.REGISTRATION, config)


def test_a_twin_gets_the_gamma_that_is_nearest_and_a_panel_the_table(tmp_path: Path, target: CalibrationTarget) -> None:
    phases_rad = (np.arange(256) / 255) ** 1.27 * 2 * np.pi
    stored = Stored("phase LUT", {}, {}, {"phases_rad": phases_rad})
    change = wanted(Calibration.LUT, stored, target.config)
    assert change["twin.slm.assumed_lut_gamma"] == pytest.approx(1.27, abs=0.002)
    folder = tmp_path / "lut"
    folder.mkdir()
    (folder / "lut.txt").write_text("\n".join(f"{phase:.6f}" for phase in phases_rad) + "\n", "utf-8")
    config, file = real(), tmp_path / "instrument.yaml"
    config = apply(changes_of(Calibration.LUT, folder, stored, config), folder, config, file)
    assert np.allclose(present_response(load_config(file)), phases_rad, atol=1e-5)
    assert panel_of(config).encoder.lut.phases_rad[-1] == pytest.approx(2 * np.pi, abs=1e-4)


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        (real(), {"screen.settle_s": 0.03}),
        (real(slm="slmpy"), {"slmpy.latency_s": 0.05, "slmpy.settle_s": 0.03}),
        (real(slm="slmpy-window"), {"slmpy_window.latency_s": 0.05, "slmpy_window.settle_s": 0.03}),
        (real(slm="slmsuite"), {"slmsuite_slm.latency_s": 0.05, "slmsuite_slm.settle_s": 0.03}),
        (real(trigger="hardware"), {"screen.settle_s": 0.03, "basler.trigger_delay_s": 0.03}),
    ],
)
def test_every_slm_gets_its_timing_where_its_driver_reads_it(
    config: InstrumentConfig, keys: dict[str, float], target: CalibrationTarget
) -> None:
    changed = wanted(Calibration.TIMING, stored_as(Calibration.TIMING, target, settle_s=0.025), config)
    assert changed.pop("calibrations.timing") == "/c/timing/1"
    assert changed == pytest.approx(keys)


def test_exposure_and_response_are_applied_where_they_are_read(target: CalibrationTarget) -> None:
    changed = wanted(Calibration.CAMERA, stored_as(Calibration.CAMERA, target, exposure_s=0.00123456), target.config)
    assert changed["camera_settings.exposure_s"] == 0.00123
    assert wanted(Calibration.RESPONSE, stored_as(Calibration.RESPONSE, target), target.config) == {"response": "/c/timing/1"}


def test_a_value_out_of_range_and_a_folder_without_rights_change_nothing(tmp_path: Path, target: CalibrationTarget) -> None:
    file = tmp_path / "instrument.yaml"
    save_config(target.config, file)
    before = file.read_bytes()
    folder = save_calibration(Calibration.CAMERA, target)
    changes = changes_of(Calibration.CAMERA, folder, stored_as(Calibration.CAMERA, target, exposure_s=-1.0), target.config)
    with pytest.raises(SpeckleScopeError, match="exposure_s"):
        apply(changes, folder, target.config, file)
    with pytest.raises(CalibrationError, match="lacks a number"):
        changes_of(Calibration.CAMERA, folder, Stored("camera", {}, {}, {}), target.config)
    assert file.read_bytes() == before
    changes = changes_of(Calibration.CAMERA, folder, stored_as(Calibration.CAMERA, target), target.config)
    (tmp_path / "plain").write_text("a file", "utf-8")
    with pytest.raises(SpeckleScopeError):
        apply(changes, folder, target.config, tmp_path / "plain" / "instrument.yaml")
    assert file.read_bytes() == before


def test_without_a_record_of_the_former_settings_there_is_no_way_back(tmp_path: Path, target: CalibrationTarget) -> None:
    folder = save_calibration(Calibration.TIMING, target)
    config = checked({"calibrations": {"timing": str(folder)}}, "test")
    with pytest.raises(CalibrationError, match="applied by hand"):
        changes_back(Calibration.TIMING, config)
    (folder / "applied.yaml").write_text("before: [1, 2]\n", "utf-8")
    with pytest.raises(CalibrationError, match="cannot be read"):
        changes_back(Calibration.TIMING, config)
    (folder / "applied.yaml").write_text("before: {no.such.key: 1}\nafter: {}\n", "utf-8")
    with pytest.raises(CalibrationError, match="names no setting of this program"):
        changes_back(Calibration.TIMING, config)
