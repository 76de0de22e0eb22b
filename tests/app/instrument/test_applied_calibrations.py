"""An instrument file names the calibrations that were applied, and so do the metadata of what is captured with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.datasets.acquisition_job import dataset_metadata
from app.instrument.applied_calibrations import AppliedSettings, applied_facts, applied_folders, changed_since
from app.instrument.config import InstrumentConfig, checked, load_config, save_config
from calibration.stored import Stored, facts_of, save


def stored(folder: Path) -> Path:
    values = {"latency_s": 0.05, "settle_s": 0.015}
    return save(Stored("timing", {"slm": "panel"}, values, {"delays_s": np.zeros(3)}, "2026-11-30T02:00:00+00:00"), folder)


def test_an_instrument_file_keeps_the_calibrations_that_were_applied(tmp_path: Path) -> None:
    config = checked({"calibrations": {"timing": str(tmp_path / "t")}, "response": str(tmp_path / "r")}, "test")
    save_config(config, tmp_path / "instrument.yaml")
    read = load_config(tmp_path / "instrument.yaml")
    assert applied_folders(read) == {"timing": tmp_path / "t", "response": tmp_path / "r"}


def test_the_metadata_of_a_dataset_name_the_calibrations_with_date_and_check_sum(tmp_path: Path) -> None:
    folder = stored(tmp_path / "timing")
    config = checked({"calibrations": {"timing": str(folder)}}, "test")
    facts = dataset_metadata(config, "fibre")["calibrations"]
    sha256 = facts_of(folder).sha256
    assert len(sha256) == 64
    assert facts == {"timing": {"folder": str(folder), "measured_utc": "2026-11-30T02:00:00+00:00", "sha256": sha256}}
    assert "calibrations" not in dataset_metadata(InstrumentConfig(), "fibre")


def test_a_calibration_that_has_gone_is_named_with_its_problem(tmp_path: Path) -> None:
    config = checked({"calibrations": {"lut": str(tmp_path / "gone")}}, "test")
    facts = applied_facts(config)["lut"]
    assert facts["folder"] == str(tmp_path / "gone")
    assert "no readable calibration" in str(facts["problem"])


def test_settings_that_were_changed_since_are_named(tmp_path: Path) -> None:
    folder = stored(tmp_path / "timing")
    settings = AppliedSettings(before={"twin.slm.settle_s": 0.015}, after={"twin.slm.settle_s": 0.07})
    (folder / "applied.yaml").write_text(settings.text(), "utf-8")
    applied = {"calibrations": {"timing": str(folder)}}
    same = checked({**applied, "twin": {"slm": {"settle_s": 0.07}}}, "test")
    assert "changed_since" not in applied_facts(same)["timing"]
    other = checked({**applied, "twin": {"slm": {"settle_s": 0.02}}}, "test")
    assert applied_facts(other)["timing"]["changed_since"] == ["twin.slm.settle_s"]
    (folder / "applied.yaml").write_text("after: [", "utf-8")
    assert changed_since(folder, other) == ()


def test_a_table_that_was_named_by_hand_counts_as_its_calibration(tmp_path: Path) -> None:
    folder = stored(tmp_path / "lut")
    devices = {"camera": "basler", "slm": "screen"}
    config = checked({**devices, "panel": {"lut_file": str(folder / "lut.txt")}}, "test")
    assert applied_folders(config) == {"lut": folder}
    other = checked(
        {**devices, "panel": {"lut_file": str(tmp_path / "maker.csv")}, "calibrations": {"lut": str(folder)}}, "test"
    )
    assert applied_folders(other) == {}
