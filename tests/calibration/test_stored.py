"""Calibrations on disk: written and read, bound to their devices, readable from version 0.1.0; damage is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from app.instrument.config import checked
from app.instrument.opening import open_rig
from calibration.devices import phase_lut
from calibration.stored import FILE, CalibrationError, Stored, devices_of, load, save
from drivers.clock import VirtualClock
from drivers.displays.phase_lut import GreyLut
from tests.helpers.small_disk import small_disk

LINEAR = GreyLut.linear().phases_rad
OLD_VALUES = """
depth_scale: 1.02
depth_scale_sd: 0.01
floor: 0.9
floor_sd: 0.02
spread: 0.122
defocus_px: 57.0
unexplained: 0.03
judged: 0.8
"""
VERSION_0_1_0 = Path(__file__).parents[1] / "fixtures" / "version-0.1.0"


def test_a_calibration_is_stored_and_bound_to_its_devices(tmp_path: Path) -> None:
    settings = {"twin": {"optics": {"image_px": 128, "field_radius_um": 41.0}}}
    rig = open_rig(checked(settings, "test"), VirtualClock())[0]
    save(Stored(phase_lut.KIND, devices_of(rig), {"residual_rad": 0.01}, {"phases_rad": LINEAR}), tmp_path / "lut")
    again = load(tmp_path / "lut", phase_lut.KIND, rig, max_age_days=1)
    assert again.values == {"residual_rad": 0.01}
    assert np.array_equal(again.arrays["phases_rad"], LINEAR)
    other = open_rig(checked({"twin": {"optics": {"image_px": 64, "field_radius_um": 14.0}}}, "test"), VirtualClock())[0]
    with pytest.raises(CalibrationError, match=r"was measured with camera .*128 x 128 px.*the instrument has .*64 x 64 px"):
        load(tmp_path / "lut", phase_lut.KIND, other)
    with pytest.raises(CalibrationError, match="not 'timing'"):
        load(tmp_path / "lut", "timing")
    old = Stored(phase_lut.KIND, devices_of(rig), {}, {}, "2020-01-01T00:00:00+00:00")
    save(old, tmp_path / "old")
    with pytest.raises(CalibrationError, match="days old, at most 30 are allowed"):
        load(tmp_path / "old", phase_lut.KIND, max_age_days=30)


def test_a_calibration_of_version_0_1_0_is_read_with_the_present_names(tmp_path: Path) -> None:
    lut = load(VERSION_0_1_0 / "phase-lut", phase_lut.KIND)
    assert "slm_range_rad" in lut.values
    assert "range_rad" not in lut.values
    content = yaml.safe_load((VERSION_0_1_0 / "phase-lut" / FILE).read_text("utf-8"))
    content |= {"values": yaml.safe_load(OLD_VALUES), "arrays": []}
    (tmp_path / FILE).write_text(yaml.safe_dump(content), "utf-8")
    assert load(tmp_path, phase_lut.KIND).values == {
        "phase_scale": 1.02,
        "phase_scale_sd": 0.01,
        "repeatability": 0.9,
        "repeatability_sd": 0.02,
        "bandwidth": 0.122,
        "defocus_px": 57.0,
        "residual_fraction": 0.03,
        "evaluated_pixels": 0.8,
    }


def without_description(folder: Path) -> None:
    (folder / FILE).unlink()


def with_broken_yaml(folder: Path) -> None:
    (folder / FILE).write_text("kind: [")


def with_a_cut_array(folder: Path) -> None:
    (folder / "phases_rad.npy").write_bytes(b"\x93NUMPY")


def with_a_pickle(folder: Path) -> None:
    np.save(folder / "phases_rad.npy", np.array([{"a": 1}]), allow_pickle=True)


@pytest.mark.parametrize("damage", [without_description, with_broken_yaml, with_a_cut_array, with_a_pickle])
def test_a_damaged_calibration_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    save(Stored(phase_lut.KIND, {}, {}, {"phases_rad": LINEAR}), tmp_path)
    damage(tmp_path)
    with pytest.raises(CalibrationError, match="calibrate again"):
        load(tmp_path, phase_lut.KIND)


def test_a_full_disk_leaves_the_older_calibration(tmp_path: Path) -> None:
    save(Stored(phase_lut.KIND, {}, {"fit": 1.0}, {"gain": np.ones(3), "map": np.ones(3)}), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    newer = Stored(phase_lut.KIND, {}, {"fit": 2.0}, {"gain": np.zeros(3), "map": np.zeros(30_000)})
    with small_disk(10_000), pytest.raises(CalibrationError, match=r"cannot write .*map.npy: File too large; check the folder"):
        save(newer, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("key", "value"), [("values", [1, 2]), ("devices", "camera"), ("values", None), ("arrays", {"a": 1})])
def test_a_description_of_another_form_is_refused(key: str, value: object, tmp_path: Path) -> None:
    save(Stored(phase_lut.KIND, {}, {"fit": 1.0}, {}), tmp_path)
    content = {**yaml.safe_load((tmp_path / FILE).read_text()), key: value}
    older = {name: content[name] for name in ("kind", "made_utc", "devices", "values", "arrays")}  # without check sums
    (tmp_path / FILE).write_text(yaml.safe_dump(older))
    with pytest.raises(CalibrationError, match="calibrate again"):
        load(tmp_path, phase_lut.KIND)


def test_a_changed_value_or_array_is_refused(tmp_path: Path) -> None:
    stored = Stored(phase_lut.KIND, {"slm": "s"}, {"fit": 1.0, "small": 1e-7, "shape": (3, 4)}, {"gain": np.ones(3)})
    save(stored, tmp_path)
    assert load(tmp_path, phase_lut.KIND).values["small"] == 1e-7
    text = (tmp_path / FILE).read_text("utf-8")
    for old, new in (
        ("fit: 1.0", "fit: 1.5"),
        ("slm: s", "slm: t"),
        ("small:", "smell:"),
        ("arrays_sha256:", "arrays_sha257:"),
    ):
        assert old in text
        (tmp_path / FILE).write_text(text.replace(old, new), "utf-8")
        with pytest.raises(CalibrationError, match="differs from its sha256"):
            load(tmp_path, phase_lut.KIND)
    (tmp_path / FILE).write_text(text, "utf-8")
    content = (tmp_path / "gain.npy").read_bytes()
    (tmp_path / "gain.npy").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CalibrationError, match=r"gain\.npy differs from its SHA-256"):
        load(tmp_path, phase_lut.KIND)


def test_a_calibration_that_somebody_changed_is_read_without_its_check_sums(tmp_path: Path) -> None:
    save(Stored(phase_lut.KIND, {}, {"fit": 1.0}, {"gain": np.ones(3)}), tmp_path)
    text = (tmp_path / FILE).read_text("utf-8").partition("arrays_sha256:")[0].replace("fit: 1.0", "fit: 2.0")
    (tmp_path / FILE).write_text(text, "utf-8")
    assert load(tmp_path, phase_lut.KIND).values["fit"] == 2.0
