"""``specklescope calibrate``: every kind measures the small instrument, is stored with a report, and refused elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from acquisition.capture.pair_capture import Rig
from app.calibrations.measure import MEASURE, Task, stored_registration
from app.cli.main import main
from app.instrument.config import checked, load_config, to_yaml
from app.instrument.opening import open_rig
from calibration.stored import CalibrationError, Stored, devices_of, save
from drivers.clock import VirtualClock
from tests.helpers.small_instrument import OPTICS, small_instrument


@pytest.fixture
def instrument(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(to_yaml(small_instrument(tmp_path)), "utf-8")
    return path


def calibrated(tmp_path: Path, instrument: Path, *arguments: str) -> dict[str, object]:
    """Run the command; return its numbers, after a look at what it stored."""
    what, out, numbers = arguments[0], tmp_path / arguments[0], tmp_path / "numbers.json"
    words = ["calibrate", what, str(out), *arguments[1:], "--config", str(instrument), "--json", str(numbers)]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code
    stored = yaml.safe_load((out / "calibration.yaml").read_text("utf-8"))
    assert stored["devices"].keys() == {"camera", "slm"}
    assert "<svg" in (page := (out / "report.html").read_text("utf-8")) or "data:image/png" in page
    return json.loads(numbers.read_text("utf-8"))  # type: ignore[no-any-return]


def test_the_camera_is_measured(tmp_path: Path, instrument: Path) -> None:
    found = calibrated(tmp_path, instrument, "camera")
    assert found["e_per_count"] == pytest.approx(10_500 / 255, rel=0.4)
    assert found["hot_pixels"] == found["stuck_pixels"] == 0


def test_the_pattern_is_registered_and_the_fibre_measured_with_it(tmp_path: Path, instrument: Path) -> None:
    found = calibrated(tmp_path, instrument, "registration")
    assert found["scale"] == pytest.approx(1, abs=0.03)
    assert not found["flipped"]
    fibre = calibrated(tmp_path, instrument, "fibre", "--registration", str(tmp_path / "registration"))
    assert fibre["defocus_px"] == pytest.approx(OPTICS.defocus_px, rel=0.1)
    assert fibre["phase_scale"] == pytest.approx(1, abs=0.02)


def test_a_one_mode_fibre_calibrates_itself(tmp_path: Path) -> None:
    optics = {"image_px": 96, "field_radius_um": 29.0, "mode_weights": [1.0], "coupling_sigma_um": 0.0}
    instrument = tmp_path / "one.yaml"
    instrument.write_text(yaml.safe_dump({"twin": {"optics": optics}}), "utf-8")
    found = calibrated(tmp_path, instrument, "response", "--probe-patterns", "6")
    assert float(str(found["correlation"])) > 0.9
    assert (tmp_path / "response" / "core_phase_rad.npy").exists()


def small_rig(instrument: Path) -> tuple[Rig, str]:
    return open_rig(load_config(instrument), VirtualClock())


def test_a_registration_of_others_is_refused(tmp_path: Path, instrument: Path) -> None:
    rig, fibre = small_rig(instrument)
    found = MEASURE["registration"](Task(rig=rig, settings=load_config(instrument), report=lambda *_: None))
    values = {**found.more, **found.numbers}
    mine = save(Stored(found.kind, devices_of(rig), {**values, "fibre": fibre}, found.arrays), tmp_path / "mine")
    assert np.allclose(stored_registration(mine, rig, fibre).matrix, found.arrays["matrix"])
    with pytest.raises(CalibrationError, match="holds for fibre"):
        stored_registration(mine, rig, "another fibre")
    other = open_rig(checked({"twin": {"optics": {"image_px": 96, "field_radius_um": 29.0}}}, "test"), VirtualClock())[0]
    with pytest.raises(CalibrationError, match=r"128 x 128 px.*96 x 96 px"):
        stored_registration(mine, other, fibre)
    old = Stored(found.kind, devices_of(rig), {**values, "fibre": fibre}, found.arrays, "2020-01-01T00:00:00+00:00")
    with pytest.raises(CalibrationError, match="days old"):
        stored_registration(save(old, tmp_path / "old"), rig, fibre)


def test_options_for_another_calibration_are_refused(
    tmp_path: Path, instrument: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", "timing", str(tmp_path / "t"), "--probe-patterns", "6", "--config", str(instrument)])
    assert ended.value.code == 1
    assert "--probe-patterns is for 'calibrate response'" in capsys.readouterr().err
    assert not (tmp_path / "t").exists()
