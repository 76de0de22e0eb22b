"""Files written by version 0.1.0 open: dataset, recording, model, phase LUT and instrument file."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.old_names import present_event
from acquisition.archive.reader import Archive
from acquisition.archive.recorded_frames import RecordedFrames
from acquisition.archive.writer import ArchiveWriter
from acquisition.capture.certificate import certify
from acquisition.capture.dataset_archive import plan_of
from acquisition.exchange.import_folder import stated_phase_range_rad
from app.instrument.config import load_config
from calibration.stored import load
from reconstruction.data.pairs import from_archive
from reconstruction.models.model import SHIPPED, load_model

FILES = Path(__file__).parents[1] / "fixtures" / "version-0.1.0"


def test_a_dataset_opens_and_its_pairs_are_verified_again() -> None:
    archive = Archive.open(FILES / "dataset")
    assert archive.metadata["phase_range_rad"] == pytest.approx(2.85)
    assert archive.verify().ok
    plan = plan_of(archive)
    assert (plan.pairs, plan.min_reference_correlation) == (6, 0.6)
    certificate = certify(archive)
    assert certificate.verified
    assert certificate.complete
    assert (certificate.pairs, certificate.sync_checks) == (8, 1)
    assert certificate.smallest_sync_margin == pytest.approx(0.553, abs=0.001)
    assert certificate.sync_margins == [pytest.approx(0.696)]
    assert from_archive(FILES / "dataset", 32).ready == 6


def test_a_dataset_can_be_resumed(tmp_path: Path) -> None:
    shutil.copytree(FILES / "dataset", tmp_path / "dataset")
    with ArchiveWriter.resume(tmp_path / "dataset") as writer:
        assert writer.next_index == 8


def test_a_recording_opens_and_can_be_replayed() -> None:
    archive = Archive.open(FILES / "take")
    assert archive.status["kind"] == "recording"
    assert archive.status["verdict"] == "complete"
    assert archive.verify().ok
    frames = RecordedFrames.open(FILES / "take")
    assert len(frames) == len(archive) == 19
    assert np.array_equal(frames[3].pixels, archive.read("speckle", 3))


def test_a_model_opens() -> None:
    model = load_model(FILES / "small-model")
    assert (model.id, model.card.phase_range_rad) == ("596a2a31076d", 2.85)
    assert model.network.config.phase_range_rad == 2.85


def test_the_shipped_weights_of_version_0_1_0_fill_the_renamed_parts() -> None:
    weights = dict(load_model(SHIPPED / "calibrated-twin").network.state_dict())
    assert any(name.startswith("piston.") for name in weights)
    assert any(name.startswith("sigma_head.") for name in weights)


def test_a_phase_lut_opens() -> None:
    stored = load(FILES / "phase-lut", "phase LUT")
    assert stored.values["slm_range_rad"] == pytest.approx(6.263, abs=0.001)
    assert stored.arrays["phases_rad"].shape == (256,)


def test_an_instrument_file_opens() -> None:
    config = load_config(FILES / "instrument.yaml")
    assert (config.phase_range_rad, config.panel.slm_range_rad) == (2.85, pytest.approx(2 * np.pi))
    assert config.twin.slm.slm_range_rad == pytest.approx(2 * np.pi)


def test_an_exported_folder_with_the_old_description_states_its_phase_range(tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text("depth_rad: 2.6\n", "utf-8")
    assert stated_phase_range_rad(tmp_path) == 2.6


def test_faults_have_todays_names() -> None:
    assert [present_event(kind) for kind in ("DeviceLost", "sync")] == ["DeviceLostError", "sync"]
