"""Configuration: what is written is read back, and every mistake is named with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.instrument.config import ConfigError, InstrumentConfig, load_config, to_yaml


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
        ("basler: {bit_depth: 9}", "bit_depth of a Basler camera must be 8, 10, 12 or 16, got 9"),
        ("basler: {serail: '1'}", "unknown key 'basler.serail'; did you mean 'serial'?"),
        ("panel: {pattern_shape: [2000, 20]}", "the pattern must lie on the panel"),
        ("slmpy: {host: lab-pc}", "host must be an IPv4 address"),
        ("slmsuite_slm: {class_path: os.system}", "slmsuite.hardware"),
        ("live: {record_queue: 0}", "'live.record_queue' = 0"),
        ("- a\n- b", "must hold 'key: value' lines, got list"),
        ("a: [1,", "not valid YAML"),
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
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match=r"cannot read|not valid YAML"):
        load_config(tmp_path / "binary.yaml")
