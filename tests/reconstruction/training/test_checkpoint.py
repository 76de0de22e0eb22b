"""A resumed run gives the same result as an uninterrupted one; damaged, foreign and wrong checkpoints are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
import yaml
from tensorboardX.proto.event_pb2 import Event
from torch import nn

from reconstruction.base import ReconstructionError
from reconstruction.data.batch import Batch
from reconstruction.data.pairs import PairPool
from reconstruction.models.base import NetworkConfig, Reconstructor
from reconstruction.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint
from reconstruction.training.config import FinishReason, Schedule, TrainConfig, TrainReport
from reconstruction.training.loop import Callbacks, Trainer, TrainingStoppedError
from reconstruction.training.run import CURVE, PICTURE, RESOLVED, RUN, Run, first_difference, read_finish_reason, sole_trainer
from tests.helpers.small_disk import small_disk

GRID = 16
CONFIG = TrainConfig(steps=14, batch=4, warm_up=3, validate_every=5, checkpoint_every=3, log_every=1, early_stop=9, bf16=False)
WHOLE = {"network": {"widths": (1, 2)}, "training": CONFIG.to_dict()}


class Restless(Reconstructor):
    """Everything that has to survive: batch norm, dropout, a noisy loss, and a weight that no step uses."""

    kind: ClassVar[str] = "restless"

    def __init__(self, width: int = 4) -> None:
        super().__init__(NetworkConfig(frame_px=2 * GRID, grid_px=GRID))
        torch.manual_seed(1)
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(width, 1, 1)
        )
        self.unused = nn.Parameter(torch.zeros(3))

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.layers(F.avg_pool2d(frame / reference, 2)))

    def loss(self, batch: Batch) -> torch.Tensor:
        phase = self(batch.frames, batch.reference)
        return F.l1_loss(phase + 0.1 * torch.randn(phase.shape), batch.phase_rad)


def pool(pairs: int = 18) -> PairPool:
    """Random pairs; their number is no multiple of the batch."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 200, (pairs, 2 * GRID, 2 * GRID)).astype(np.uint8)
    phase = rng.uniform(0, 2, (pairs, GRID, GRID)).astype(np.float32)
    reference = np.full((2 * GRID, 2 * GRID), 50, np.float32)
    return PairPool(speckle=counts, phase_rad=phase, reference=reference, ready=pairs)


def learn(folder: Path, config: TrainConfig = CONFIG, *, resume: bool = False, **callbacks: object) -> Reconstructor:
    run = (Run.resume if resume else Run)(folder, WHOLE, {"torch": "some"})
    with run.open():
        trainer = Trainer(Restless(), config, run=run, callbacks=Callbacks(**callbacks))  # type: ignore[arg-type]
        return trainer.train(pool(), pool(5))[0]


def curve(folder: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / RUN / CURVE).read_text("utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def weights(model: Reconstructor) -> bytes:
    return safetensors.torch.save({key: value.contiguous() for key, value in model.state_dict().items()})


def test_the_first_steps_are_in_the_curve_each(tmp_path: Path) -> None:
    learn(tmp_path, replace(CONFIG, steps=9, log_every=4, validate_every=100))
    assert [line["step"] for line in curve(tmp_path) if "loss" in line] == [1, 2, 3, 4, 8]


@pytest.mark.parametrize("schedule", Schedule)
def test_a_stopped_run_ends_with_the_same_weights_to_the_last_bit(tmp_path: Path, schedule: Schedule) -> None:
    config = replace(CONFIG, schedule=schedule, plateau_validations=1)
    whole = learn(tmp_path / "whole", config)
    steps = 0

    def stop() -> bool:
        nonlocal steps
        steps += 1
        return steps in (4, 5, 11)

    with pytest.raises(TrainingStoppedError, match="stopped at step 4; go on with --resume"):
        learn(tmp_path / "parts", config, stop=stop)
    assert read_finish_reason(tmp_path / "parts") is FinishReason.STOPPED
    for step in (5, 11):
        with pytest.raises(TrainingStoppedError, match=f"step {step};"):
            learn(tmp_path / "parts", config, resume=True, stop=stop)
    parts = learn(tmp_path / "parts", config, resume=True)
    assert read_finish_reason(tmp_path / "parts") is FinishReason.STEPS_DONE
    assert weights(parts) == weights(whole)
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")
    assert weights(learn(tmp_path / "parts", config, resume=True)) == weights(whole), "a finished run changes no more"


class PowerCutError(Exception):
    """The process ends in the middle of a step."""


@pytest.mark.parametrize("step", [1, 3, 5, 7, 14])
def test_a_run_that_died_goes_on_from_its_last_checkpoint(tmp_path: Path, step: int) -> None:
    whole = learn(tmp_path / "whole")

    def progress(report: TrainReport, loss: float) -> None:
        if report.steps == step:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        learn(tmp_path / "parts", progress=progress)
    assert read_finish_reason(tmp_path / "parts") is None
    with (tmp_path / "parts" / RUN / CURVE).open("a") as file:  # steps after the checkpoint, and half a line
        file.write('{"step": 99, "loss": 1.0}\n{"st')
    again = learn(tmp_path / "parts", resume=True)
    assert weights(again) == weights(whole)
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")
    steps = [line["step"] for line in curve(tmp_path / "parts") if "loss" in line]
    assert steps == list(range(1, 15))


@pytest.mark.parametrize("line", [b"\xff\xfe\n", b'{"step": Infinity}\n', b"[" * 100_000 + b"\n", b"5\n"])
def test_a_damaged_curve_ends_at_the_damage_when_the_run_is_resumed(line: bytes, tmp_path: Path) -> None:
    steps = iter(range(1, 99))
    with pytest.raises(TrainingStoppedError):
        learn(tmp_path, stop=lambda: next(steps) == 7)
    before = (tmp_path / RUN / CURVE).read_bytes().splitlines(keepends=True)
    (tmp_path / RUN / CURVE).write_bytes(b"".join([before[0], line, *before[1:]]))
    learn(tmp_path, resume=True)
    assert curve(tmp_path)[0]["step"] == 1
    assert curve(tmp_path)[-1]["step"] == CONFIG.steps
    assert line not in (tmp_path / RUN / CURVE).read_bytes().splitlines(keepends=True)


def events(folder: Path) -> Iterator[Event]:
    """Read event files back: length, its checksum, the event, its checksum."""
    for path in sorted((folder / RUN).glob("*.tfevents.*")):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            yield Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


def test_the_run_folder_holds_configuration_curves_and_picture(tmp_path: Path) -> None:
    learn(tmp_path)
    assert yaml.safe_load((tmp_path / RUN / RESOLVED).read_text("utf-8"))["environment"] == {"torch": "some"}
    validations = [line for line in curve(tmp_path) if "validation" in line]
    assert [line["step"] for line in validations] == [5, 10, 14]
    assert "ssim" in validations[0]["validation"]  # type: ignore[operator]
    picture = cv2.imread(str(tmp_path / RUN / PICTURE), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (4 * GRID, 3 * GRID)
    points = {(value.tag, event.step) for event in events(tmp_path) for value in event.summary.value}
    assert {("loss", 1), ("learning rate", 14), ("validation/ssim", 5), ("validation", 14)} <= points
    assert not [path for path in (tmp_path / RUN).iterdir() if path.name.startswith(".")]


def test_tensorboard_drops_the_steps_that_a_resumed_run_repeats(tmp_path: Path) -> None:
    with pytest.raises(TrainingStoppedError):
        learn(tmp_path, stop=lambda: True)
    learn(tmp_path, resume=True)
    assert [event.step for event in events(tmp_path) if event.HasField("session_log")] == [2]


@pytest.mark.parametrize("keep", [0, 7, 300, -1])
def test_a_cut_checkpoint_is_refused(tmp_path: Path, keep: int) -> None:
    learn(tmp_path)
    path = tmp_path / RUN / CHECKPOINT
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ReconstructionError, match=r"is no checkpoint of this run .*start in a new folder"):
        Run.resume(tmp_path, WHOLE, {})


def test_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    learn(tmp_path)
    path = tmp_path / RUN / CHECKPOINT
    tensors, values = read_checkpoint(path)
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(ReconstructionError, match="it is incomplete, or comes from another program"):
        read_checkpoint(path)
    write_checkpoint(path, tensors, {**values, "version": 0})
    with pytest.raises(ReconstructionError, match="another version"):
        read_checkpoint(path)
    write_checkpoint(path, tensors, {})
    with pytest.raises(ReconstructionError, match=r"no checkpoint of this run \('epoch'\)"):
        learn(tmp_path, resume=True)
    write_checkpoint(path, {key: value for key, value in tensors.items() if "conv" not in key and "layers" not in key}, values)
    with pytest.raises(ReconstructionError, match="no checkpoint of this run"):
        learn(tmp_path, resume=True)


def test_nothing_to_resume_and_another_configuration_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReconstructionError, match="the run cannot be resumed: there is no checkpoint"):
        Run.resume(tmp_path, WHOLE, {})
    learn(tmp_path)
    changed = {**WHOLE, "training": {**CONFIG.to_dict(), "seed": 5}}
    with pytest.raises(ReconstructionError, match=r"was started with training.seed = 0, not 5; resume with the same"):
        Run.resume(tmp_path, changed, {})
    (tmp_path / RUN / RESOLVED).write_text("configuration: [", "utf-8")
    with pytest.raises(ReconstructionError, match=r"cannot read .*resolved.yaml"):
        Run.resume(tmp_path, WHOLE, {})
    assert first_difference({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}) == "a.c = None, not 2"
    assert first_difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}) == ""


def test_a_training_that_was_killed_before_its_first_checkpoint_can_start_again(tmp_path: Path) -> None:
    run = tmp_path / "m" / RUN
    run.mkdir(parents=True)
    (run / RESOLVED).write_text("configuration: {}\n")
    (run / ".checkpoint.safetensors.1a2b3c4d.part").write_bytes(b"half")
    with sole_trainer(tmp_path / "m", resume=False):
        assert (run / RESOLVED).is_file()
    (run / CHECKPOINT).write_bytes(b"")
    with pytest.raises(ReconstructionError, match="m is not empty"), sole_trainer(tmp_path / "m", resume=False):
        pytest.fail("it was not empty")


def test_the_last_checkpoint_stays_until_the_next_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, {"a": torch.ones(3)}, {"n": 1})
    with small_disk(500), pytest.raises(ReconstructionError, match="the last checkpoint is complete"):
        write_checkpoint(path, {"a": torch.zeros(3000)}, {"n": 2})
    assert list(tmp_path.iterdir()) == [path]
    tensors, values = read_checkpoint(path)
    assert values == {"n": 1}
    assert torch.equal(tensors["a"], torch.ones(3))


def test_a_run_on_a_full_disk_says_so_and_resumes_when_there_is_space(tmp_path: Path) -> None:
    whole = learn(tmp_path / "whole")
    with ExitStack() as disk, pytest.raises(ReconstructionError, match=r"cannot write .*; free disk space, then resume"):
        learn(tmp_path / "parts", progress=lambda report, _: report.steps == 5 and disk.enter_context(small_disk(300)))
    assert not [path for path in (tmp_path / "parts" / RUN).iterdir() if path.name.startswith(".")]
    assert weights(learn(tmp_path / "parts", resume=True)) == weights(whole)


def test_a_report_of_version_0_1_0_is_read() -> None:
    values = {"validation": [], "seconds": 1.5, "steps": 7}
    assert TrainReport.from_dict({**values, "ended": "early stop"}).finish_reason is FinishReason.NO_PROGRESS
    assert TrainReport.from_dict({**values, "ended": ""}) == TrainReport(seconds=1.5, steps=7)


def test_an_unknown_schedule_is_refused() -> None:
    assert TrainConfig(schedule="plateau").schedule is Schedule.PLATEAU  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="schedule is one of cosine, plateau, got 'linear'"):
        TrainConfig(schedule="linear")  # type: ignore[arg-type]
