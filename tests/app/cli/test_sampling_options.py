"""Options of live and record choose how samples are drawn; what the instrument file says beside them stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.options import LiveOptions, RecordingOptions
from app.instrument.config import ConfigError
from reconstruction.sampling import Shown


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "instrument.yaml"
    path.write_text("live: {engine: torch, steps: 8, drift_threshold: 0.4}\n", "utf-8")
    return path


@pytest.mark.parametrize("kind", [LiveOptions, RecordingOptions])
def test_options_replace_what_the_file_says(kind: type[LiveOptions], file: Path) -> None:
    live = kind(config=file, steps=4, shown=Shown.MEAN, sample_seed=0, samples_per_frame=8).settings().live
    assert (live.steps, live.shown, live.sample_seed, live.samples_per_frame) == (4, Shown.MEAN, 0, 8)
    assert (live.engine, live.drift_threshold) == ("torch", 0.4)


def test_without_options_the_file_counts(file: Path) -> None:
    live = LiveOptions(config=file).settings().live
    assert (live.steps, live.shown, live.sample_seed) == (8, Shown.SAMPLE, None)
    assert live.chooses_sampling
    assert not LiveOptions(engine="torch").settings().live.chooses_sampling


def test_a_number_out_of_its_range_is_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="sample_seed"):
        LiveOptions(config=file, sample_seed=2**31).settings()
