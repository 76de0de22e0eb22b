"""The samples: there is one of everything, each reads completely, and damage to a copy shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.benchmarks.reliability.samples import Sample, SampleKind, write_samples
from drivers.base import SpeckleScopeError


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return write_samples(tmp_path_factory.mktemp("samples"))


def test_there_is_one_of_everything_and_it_reads_the_same_twice(samples: list[Sample]) -> None:
    assert {sample.kind for sample in samples} == set(SampleKind)
    assert len({sample.title for sample in samples}) == len(samples)
    for sample in samples:
        content = sample.read()
        assert content, sample.title
        assert content == sample.read(), sample.title


def test_a_copy_reads_the_same_and_its_damage_shows(samples: list[Sample], tmp_path: Path) -> None:
    for number, sample in enumerate(samples):
        copy = sample.copy_to(tmp_path / str(number))
        assert copy.read() == sample.read(), sample.title
        for file in copy.files:
            file.write_bytes(b"")
        try:
            content = copy.read()
        except SpeckleScopeError:
            continue
        assert content != sample.read(), sample.title
