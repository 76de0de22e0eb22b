"""``specklescope train --kind segmentation`` hands its options on, and refuses those that a segmenter cannot have."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.commands.train import DataOptions, NetworkOptions, TrainingOptions, train
from app.instrument.config import InstrumentConfig
from app.training import train_segmenter
from app.training.train import Progress
from app.training.train_segmenter import SegmenterJob
from drivers.base import SpeckleScopeError
from reconstruction.segmentation.learned.network import SegmenterShape

SEGMENTATION = NetworkOptions(kind="segmentation", set_=["base_channels=8"], through=["a", "b"])


def test_options_reach_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[SegmenterJob] = []

    def trained(config: InstrumentConfig, job: SegmenterJob, on_progress: Progress) -> dict[str, object]:
        jobs.append(job)
        return {"ap50": 1.0}

    monkeypatch.setattr(train_segmenter, "train_segmenter", trained)
    train(tmp_path / "mine", network=SEGMENTATION, data=DataOptions(pairs=7), training=TrainingOptions(minutes=2, seed=4))
    (job,) = jobs
    assert (job.folder, job.scenes, job.shape) == (tmp_path / "mine", 7, SegmenterShape(base_channels=8))
    assert job.models == ("a", "b")
    assert (job.training.minutes, job.training.seed, job.resume) == (2, 4, False)


@pytest.mark.parametrize(
    "other",
    [{"data": DataOptions(dataset=Path("pairs"))}, {"network": NetworkOptions(kind="segmentation", from_="default-twin")}],
)
def test_a_segmenter_learns_from_synthetic_cells_only(tmp_path: Path, other: dict[str, object]) -> None:
    with pytest.raises(SpeckleScopeError, match="neither --dataset nor --from"):
        train(tmp_path / "mine", **{"network": SEGMENTATION, **other})  # type: ignore[arg-type]
    assert not (tmp_path / "mine").exists()


def test_other_kinds_learn_from_no_model(tmp_path: Path) -> None:
    with pytest.raises(SpeckleScopeError, match="--through is for a segmenter"):
        train(tmp_path / "mine", network=NetworkOptions(kind="referenced", through=["a"]))
    assert not (tmp_path / "mine").exists()
