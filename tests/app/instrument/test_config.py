"""Configuration: what is written is read back, and every mistake is named with its key."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import BaseModel

from app.datasets.acquisition_job import dataset_metadata
from app.instrument.config import ConfigError, InstrumentConfig, load_config, to_yaml
from reconstruction.segmentation.config import SegmentationConfig


def load(text: str, tmp_path: Path) -> InstrumentConfig:
    path = tmp_path / "instrument.yaml"
    path.write_text(text, "utf-8")
    return load_config(path)


def test_the_default_is_the_simulated_instrument_and_survives_a_round_trip(tmp_path: Path) -> None:
    assert load_config(None) == load(to_yaml(InstrumentConfig()), tmp_path) == load("", tmp_path)


def test_a_part_can_be_changed_alone(tmp_path: Path) -> None:
    config = load("twin:\n  optics:\n    drift_rad: 0.2\n  faults:\n    hang_at: [3, 9]\n", tmp_path)
    assert config.twin.optics.drift_rad == 0.2
    assert config.twin.faults.hang_at == (3, 9)
    assert config.twin.optics.seed == InstrumentConfig().twin.optics.seed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scen: {}", "unknown key 'scen'; did you mean 'scene'"),
        ("twin: {optics: {image_pix: 3}}", "unknown key 'twin.optics.image_pix'; did you mean 'image_px'"),
        ("zzz: 1", "unknown key 'zzz'; remove it"),
        ("phase_range_rad: deep", "'phase_range_rad' = 'deep'"),
        ("twin: {camera: {bit_depth: 9}}", "8, 10 or 12 bit, got 9"),
        ("twin: {faults: {dropped_rate: 2}}", "fault rates"),
        ("camera: kodak", "'camera' = 'kodak'"),
        ("camera: basler", "camera 'basler' cannot see the simulated SLM; set slm to screen, slmpy, ... or none"),
        ("slm: screen", "camera 'simulated' sees only the simulated SLM, not 'screen'"),
        ("{camera: opencv, slm: none, trigger: hardware}", "camera 'opencv' has no trigger line"),
        ("basler: {bit_depth: 9}", "bit_depth of a Basler camera must be 8, 10, 12, 14 or 16, got 9"),
        ("basler: {serail: '1'}", "unknown key 'basler.serail'; did you mean 'serial'?"),
        ("panel: {pattern_shape: [2000, 20]}", "the pattern must lie on the panel"),
        ("slmpy: {host: lab-pc}", "host must be an IPv4 address"),
        ("slmsuite_slm: {class_path: os.system}", "slmsuite.hardware"),
        ("live: {record_queue_mb: 0}", "'live.record_queue_mb' = 0"),
        ("wavelength_um: 0", "'wavelength_um' = 0"),
        ("wavelength_um: 0.633", "the twin simulates 0.532"),
        ("refractive_increment_um3_per_pg: -0.2", "'refractive_increment_um3_per_pg' = -0.2"),
        ("segmentation: {treshold: 1}", "unknown key 'segmentation.treshold'; did you mean 'threshold'?"),
        ("segmentation: {threshold: -0.1}", "'segmentation.threshold' = -0.1"),
        ("segmentation: {min_area_px: 0}", "the smallest cell has at least 1 pixel"),
        ("segmentation: {kind: ''}", "the kind of a segmenter"),
        ("- a\n- b", "must hold 'key: value' lines, got list"),
        ("a: [1,", "not valid YAML"),
        ("panel: {zoom: 2}\nname: bench\npanel: {gamma: 2.0}", "key 'panel' stands twice, in line 1 and in line 3"),
        ("scene: {count: 007}", "'scene.count' = '007': give a number"),
        ("scene: {period_s: 1:30}", "'scene.period_s' = '1:30': give a number"),
        ("name: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_mistakes_are_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text, tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no instrument file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\x80\x81\x00")
    with pytest.raises(ConfigError, match=r"cannot read|not valid YAML"):
        load_config(tmp_path / "binary.yaml")


def numeric_keys(section: type[Any], prefix: str = "") -> Iterator[str]:
    """Every key of an instrument file that stands for a single number."""
    for name, hint in get_type_hints(section).items():
        if dataclasses.is_dataclass(hint) or (isinstance(hint, type) and issubclass(hint, BaseModel)):
            yield from numeric_keys(hint, f"{prefix}{name}.")
        elif hint in (int, float):
            yield f"{prefix}{name}"


@pytest.mark.parametrize("text", [".inf", "-.inf", ".nan", "true", "no", "'3'"])
def test_no_quantity_is_infinite_or_a_text(text: str, tmp_path: Path) -> None:
    keys = list(numeric_keys(InstrumentConfig))
    assert len(keys) > 80
    for key in keys:
        with pytest.raises(ConfigError, match=f"'{re.escape(key)}' = "):
            load(": {".join(key.split(".")) + f": {text}" + "}" * key.count("."), tmp_path)


def test_only_numbers_with_a_direction_may_be_negative(tmp_path: Path) -> None:
    refusals: dict[str, str] = {}
    for key in numeric_keys(InstrumentConfig):
        try:
            load(": {".join(key.split(".")) + ": -3" + "}" * key.count("."), tmp_path)
            refusals[key] = ""
        except ConfigError as error:
            refusals[key] = str(error)
    assert all(f"'{key}' = -3" in refusal for key, refusal in refusals.items() if refusal)
    assert [key for key, refusal in refusals.items() if not refusal] == [
        "basler.gain_db",
        "hologram.carrier_angle_rad",
        "hologram.lens_focal_length_mm",
        "twin.optics.rotation_deg",
        "twin.camera.sensor.gain_db",
    ]


def test_the_wavelength_of_a_twin_is_the_one_that_it_simulates(tmp_path: Path) -> None:
    assert load("", tmp_path).light_wavelength_um == InstrumentConfig().twin.optics.wavelength_um
    assert load("{wavelength_um: 0.633, twin: {optics: {wavelength_um: 0.633}}}", tmp_path).light_wavelength_um == 0.633
    assert load("{camera: opencv, slm: none}", tmp_path).light_wavelength_um is None
    assert load("{camera: opencv, slm: none, wavelength_um: 0.633}", tmp_path).light_wavelength_um == 0.633


def test_the_segmenter_survives_a_round_trip(tmp_path: Path) -> None:
    config = load("segmentation: {kind: learned, threshold: 0.4, min_area_px: 30, weights: cells.safetensors}", tmp_path)
    chosen = SegmentationConfig(kind="learned", threshold=0.4, min_area_px=30, weights=Path("cells.safetensors"))
    assert config.segmentation == chosen
    assert load(to_yaml(config), tmp_path) == config


def test_scientific_notation_is_a_number(tmp_path: Path) -> None:
    assert load("scene: {period_s: 15e-1}", tmp_path).scene.period_s == 1.5


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    config = load("archive: ~/data\npanel: {lut_file: ~/lut.txt}\n", tmp_path)
    assert (config.archive, config.panel.lut_file) == (tmp_path / "data", str(tmp_path / "lut.txt"))


def test_operator_sample_and_licence_are_part_of_what_is_recorded(tmp_path: Path) -> None:
    config = load("operator: A. Nowak\nsample: mouse 7\nlicence: CC-BY-4.0\n", tmp_path)
    stated = {"operator": "A. Nowak", "sample": "mouse 7", "licence": "CC-BY-4.0"}
    assert stated.items() <= dataset_metadata(config, "fibre").items()
    assert not stated.keys() & dataset_metadata(InstrumentConfig(), "fibre").keys()
