"""A segmenter is trained by one command, and a run that was stopped ends with the same weights as one that was not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acquisition.patterns.tissue.scene import tissue_scene
from app.instrument.config import InstrumentConfig
from app.training import train_segmenter
from app.training.train_segmenter import Reconstructions, SegmenterJob, segmenter_shape
from drivers.base import SpeckleScopeError
from reconstruction.base import ReconstructionError
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.learned.network import SegmenterShape
from reconstruction.segmentation.registry import open_segmenter
from reconstruction.training.config import TrainConfig
from reconstruction.training.loop import TrainingStoppedError

STEPS = 6


@pytest.fixture(autouse=True)
def scenes_without_a_fibre(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train on true phases of few small scenes: the twin and the model have tests of their own."""

    def few(config: object, names: object, path: object, scenes: tuple[int, int], on_progress: object) -> Reconstructions:
        drawn = [tissue_scene(64, scenes[1], index) for index in range(2)]
        phase = np.stack([scene.grey * np.float32(2.85) for scene in drawn]).astype(np.float16)
        labels = np.stack([scene.labels for scene in drawn])
        return Reconstructions(phase_rad=phase, truth_rad=phase, labels=labels, mask=np.ones((64, 64), np.bool_))

    monkeypatch.setattr(train_segmenter, "reconstructions", few)


def train(
    folder: Path, stop: Callable[[], bool] = lambda: False, *, resume: bool = False, steps: int = STEPS
) -> dict[str, object]:
    job = SegmenterJob(
        folder=folder,
        scenes=2,
        training=TrainConfig(steps=steps, batch=2, warm_up=2, checkpoint_every=100),
        command="specklescope train",
        shape=SegmenterShape(base_channels=4, multipliers=(1, 2)),
        resume=resume,
        stop=stop,
    )
    return train_segmenter.train_segmenter(InstrumentConfig(), job, lambda *_: None)


def test_the_trained_segmenter_opens_and_says_how_it_was_trained(tmp_path: Path) -> None:
    numbers = train(tmp_path)
    assert numbers["steps"] == STEPS
    weights = tmp_path / train_segmenter.WEIGHTS
    assert numbers["bytes"] == weights.stat().st_size
    with open_segmenter(SegmentationConfig(kind="learned", weights=weights)) as segmenter:
        assert segmenter.segment(np.zeros((64, 64), np.float32), np.ones((64, 64), np.bool_)).labels.shape == (64, 64)


def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path: Path) -> None:
    train(tmp_path / "whole")
    calls = iter(range(100))
    with pytest.raises(TrainingStoppedError):
        train(tmp_path / "stopped", lambda: next(calls) == 2)
    train(tmp_path / "stopped", resume=True)
    whole, stopped = ((tmp_path / name / train_segmenter.WEIGHTS).read_bytes() for name in ("whole", "stopped"))
    assert whole[-4000:] == stopped[-4000:], "only the minutes in the header may differ"


def test_a_run_that_was_stopped_before_its_first_step_begins_again(tmp_path: Path) -> None:
    assert train(tmp_path, resume=True)["steps"] == STEPS


def test_other_settings_are_refused_when_a_run_goes_on(tmp_path: Path) -> None:
    calls = iter(range(100))
    with pytest.raises(TrainingStoppedError):
        train(tmp_path, lambda: next(calls) == 0)
    with pytest.raises(ReconstructionError, match="started with other settings"):
        train(tmp_path, resume=True, steps=STEPS + 1)


@pytest.mark.slow
def test_training_lowers_the_loss(tmp_path: Path) -> None:
    notes: list[str] = []
    job = SegmenterJob(
        folder=tmp_path,
        scenes=2,
        training=TrainConfig(steps=40, batch=4, warm_up=2, learning_rate=5e-3),
        command="",
        shape=SegmenterShape(base_channels=6, multipliers=(1, 2)),
    )
    train_segmenter.train_segmenter(InstrumentConfig(), job, lambda stage, done, total, note: notes.append(note))
    losses = [float(note.split()[1]) for note in notes]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


def test_the_shape_comes_from_options() -> None:
    assert segmenter_shape(["base_channels=8", "multipliers=1,2,3"]) == SegmenterShape(base_channels=8, multipliers=(1, 2, 3))
    for option in ("front_end=ridge", "base_channels=many", "base_channels=0"):
        with pytest.raises(SpeckleScopeError):
            segmenter_shape([option])
