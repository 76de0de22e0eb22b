"""``specklescope calibrate``: every calibration is stored with a report, and refused for another instrument."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from acquisition.capture.pair_capture import Rig
from app.calibrations.kinds import Calibration
from app.calibrations.measure import MEASURE, Task, stored_registration
from app.instrument.config import checked, load_config, to_yaml
from app.instrument.opening import open_rig
from calibration.stored import CalibrationError, Stored, devices_of, save
from drivers.clock import VirtualClock
from tests.helpers.command import refused, run_here
from tests.helpers.small_instrument import OPTICS, small_instrument


@pytest.fixture
def instrument(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(to_yaml(small_instrument(tmp_path)), "utf-8")
    return path


def calibrated(tmp_path: Path, instrument: Path, *arguments: str) -> dict[str, object]:
    """Run the command and check what it stored; return its numbers."""
    what, *options = arguments
    out = tmp_path / what
    numbers = tmp_path / "numbers.json"
    run_here("calibrate", what, out, *options, "--config", instrument, "--json", numbers, cwd=tmp_path)
    stored = yaml.safe_load((out / "calibration.yaml").read_text("utf-8"))
    assert stored["devices"].keys() == {"camera", "slm"}
    page = (out / "report.html").read_text("utf-8")
    assert "<svg" in page or "data:image/png" in page
    values = {key for key in stored["values"] if f"<td>{key}</td>" in page}
    assert values, "the report shows no numbers"
    assert not [key for key in values if f">{key}</th>" in page], "numbers without a label"
    return json.loads(numbers.read_text("utf-8"))  # type: ignore[no-any-return]


def test_the_camera_is_measured(tmp_path: Path, instrument: Path) -> None:
    numbers = calibrated(tmp_path, instrument, "camera")
    assert numbers["e_per_count"] == pytest.approx(10_500 / 255, rel=0.4)
    assert numbers["hot_pixels"] == numbers["stuck_pixels"] == 0


def test_the_pattern_is_registered_and_the_fibre_measured_with_it(tmp_path: Path, instrument: Path) -> None:
    numbers = calibrated(tmp_path, instrument, "registration")
    assert numbers["scale"] == pytest.approx(1, abs=0.03)
    assert not numbers["flipped"]
    fibre = calibrated(tmp_path, instrument, "fibre", "--registration", str(tmp_path / "registration"))
    assert fibre["defocus_px"] == pytest.approx(OPTICS.defocus_px, rel=0.1)
    assert fibre["phase_scale"] == pytest.approx(1, abs=0.02)


def test_the_registration_of_the_instrument_file_is_used(tmp_path: Path, instrument: Path) -> None:
    content = yaml.safe_load(instrument.read_text("utf-8"))
    content["calibrations"] = {"registration": str(tmp_path / "gone")}
    instrument.write_text(yaml.safe_dump(content), "utf-8")
    line = refused("calibrate", "fibre", "f", "--config", instrument, cwd=tmp_path)
    assert f"no readable calibration in {tmp_path / 'gone'}" in line


def test_a_one_mode_fibre_calibrates_itself(tmp_path: Path) -> None:
    optics = {"image_px": 96, "field_radius_um": 29.0, "mode_weights": [1.0], "coupling_sigma_um": 0.0}
    instrument = tmp_path / "one.yaml"
    instrument.write_text(yaml.safe_dump({"twin": {"optics": optics}}), "utf-8")
    numbers = calibrated(tmp_path, instrument, "response", "--probe-patterns", "6")
    assert float(str(numbers["correlation"])) > 0.9
    assert (tmp_path / "response" / "core_phase_rad.npy").exists()


def small_rig(instrument: Path) -> tuple[Rig, str]:
    return open_rig(load_config(instrument), VirtualClock())


def test_a_registration_of_others_is_refused(tmp_path: Path, instrument: Path) -> None:
    rig, fibre = small_rig(instrument)
    measured = MEASURE[Calibration.REGISTRATION](Task(rig=rig, settings=load_config(instrument), report=lambda *_: None))
    values = {**measured.more, **measured.numbers}
    mine = save(Stored(measured.kind, devices_of(rig), {**values, "fibre": fibre}, measured.arrays), tmp_path / "mine")
    assert np.allclose(stored_registration(mine, rig, fibre).matrix, measured.arrays["matrix"])
    with pytest.raises(CalibrationError, match="holds for fibre"):
        stored_registration(mine, rig, "another fibre")
    other = open_rig(checked({"twin": {"optics": {"image_px": 96, "field_radius_um": 29.0}}}, "test"), VirtualClock())[0]
    with pytest.raises(CalibrationError, match=r"128 x 128 px.*96 x 96 px"):
        stored_registration(mine, other, fibre)
    old = Stored(measured.kind, devices_of(rig), {**values, "fibre": fibre}, measured.arrays, "2020-01-01T00:00:00+00:00")
    with pytest.raises(CalibrationError, match="days old"):
        stored_registration(save(old, tmp_path / "old"), rig, fibre)


def test_options_for_another_calibration_are_refused(tmp_path: Path, instrument: Path) -> None:
    line = refused("calibrate", "timing", "t", "--probe-patterns", 6, "--config", instrument, cwd=tmp_path)
    assert "--probe-patterns is for 'calibrate response', not 'timing'" in line
    line = refused("calibrate", "lut", "t", "--registration", "r", "--config", instrument, cwd=tmp_path)
    assert "--registration is for 'calibrate fibre and response', not 'lut'" in line
    assert not (tmp_path / "t").exists()
