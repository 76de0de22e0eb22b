"""``train`` and the folder of its model: one training at a time, and nothing left of one that wrote nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.instrument.config import to_yaml
from reconstruction.base import ReconstructionError
from reconstruction.training.run import RUN, sole_trainer
from tests.helpers.command import refused
from tests.helpers.locks import lock_holder
from tests.helpers.small_instrument import small_instrument


@pytest.fixture
def instrument(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(to_yaml(small_instrument(tmp_path)), "utf-8")
    return path


def test_the_second_trainer_is_told_who_trains(instrument: Path, tmp_path: Path) -> None:
    (tmp_path / "m" / RUN).mkdir(parents=True)
    with lock_holder(tmp_path / "m" / RUN) as holder:
        for resume in ([], ["--resume"]):
            message = refused("train", "m", "--set", "grid_px=32", "--config", instrument, *resume, cwd=tmp_path)
            assert f"m/run is being written by process {holder.pid} on computer " in message


def test_a_training_that_wrote_nothing_leaves_no_folder(instrument: Path, tmp_path: Path) -> None:
    assert "checkpoint" in refused("train", "m", "--set", "grid_px=32", "--config", instrument, "--resume", cwd=tmp_path)
    assert not (tmp_path / "m").exists()
    with sole_trainer(tmp_path / "m", resume=False):
        (tmp_path / "m" / RUN / "curve.jsonl").touch()
    with pytest.raises(ReconstructionError, match="m is not empty"), sole_trainer(tmp_path / "m", resume=False):
        pytest.fail("it was not empty")
    with sole_trainer(tmp_path / "m", resume=True):
        pass
    assert (tmp_path / "m" / RUN / "curve.jsonl").exists()


def test_a_calibrated_model_is_trained_with_the_response_of_the_instrument_file(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(to_yaml(small_instrument(tmp_path).model_copy(update={"response": tmp_path / "gone"})), "utf-8")
    message = refused("train", "m", "--kind", "calibrated", "--set", "grid_px=32", "--config", file, cwd=tmp_path)
    assert f"no readable calibration in {tmp_path / 'gone'}" in message
    assert not (tmp_path / "m").exists()
