"""The benchmark of flipped bits: it yields all its numbers, and notices a reader that does not look at check sums."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from acquisition.exchange.check_sums import CheckSums
from app.benchmarks.reliability.budget import Budget
from app.benchmarks.reliability.flips import Outcome, flip_one, measure, protected_samples
from app.benchmarks.reliability.samples import Content, Sample, SampleKind

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return protected_samples(tmp_path_factory.mktemp("samples"))


def outcomes(sample: Sample, folder: Path, count: int = 12) -> Counter[Outcome]:
    contents: list[Content] = [sample.read()]
    return Counter(flip_one([sample], contents, 0, number, folder / str(number)).outcome for number in range(count))


def sample_of(samples: list[Sample], kind: SampleKind) -> Sample:
    return next(sample for sample in samples if sample.kind is kind)


def test_all_numbers_are_there_and_nothing_is_silent() -> None:
    numbers = measure(Budget(quick=True, quick_s=8.0), lambda *_: None)
    assert numbers["flips_findings"] == []
    assert numbers["bit_flips_silent"] == 0
    assert numbers["bit_flips"] == numbers["bit_flips_reported"] + numbers["bit_flips_harmless"] > 0


def test_flips_in_an_export_are_reported(samples: list[Sample], tmp_path: Path) -> None:
    counts = outcomes(sample_of(samples, SampleKind.HDF5), tmp_path)
    assert counts[Outcome.REPORTED] > 3
    assert counts[Outcome.SILENT] == 0


def test_a_reader_that_ignores_check_sums_is_noticed(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CheckSums, "problem", lambda *_: "")
    assert outcomes(sample_of(samples, SampleKind.HDF5), tmp_path)[Outcome.SILENT] > 0


def test_an_error_that_is_not_ours_counts_as_silent(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = sample_of(samples, SampleKind.NPZ)
    content = sample.read()

    def fail(*_: object) -> str:
        raise AssertionError("surprise")

    monkeypatch.setattr(CheckSums, "problem", fail)
    monkeypatch.setattr("acquisition.exchange.containers.numpy_file.read_check_sums", fail)
    flips = [flip_one([sample], [content], 0, number, tmp_path / str(number)) for number in range(6)]
    assert any(flip.outcome is Outcome.SILENT and "surprise" in flip.message for flip in flips)


def test_a_child_that_crashes_or_hangs_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.benchmarks.reliability.flips.FLIPS", 1)
    monkeypatch.setattr("app.benchmarks.reliability.flips._START_S", 0.0)
    numbers = measure(Budget(), lambda *_: None)
    assert (numbers["bit_flips"], numbers["bit_flips_silent"]) == (1, 1)
    assert "the process hung" in str(numbers["flips_findings"])
