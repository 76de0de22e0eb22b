"""The description of an array comes from the array itself, and asking for it keeps nothing in memory."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from acquisition.archive.shards import ArraySpec, Shards

SPECS = (
    ArraySpec("speckle", (16, 8), "uint16", compress=False),
    ArraySpec("phase", (4, 4), "float32", compress=True),
    ArraySpec("labels", (4, 4), "uint8", compress=True),
)


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    shards = Shards(tmp_path / "data.zarr")
    for spec in SPECS:
        shards.create(spec, 24)
    return shards


def test_an_array_is_described_as_it_was_created(shards: Shards) -> None:
    again = Shards(shards.folder)
    assert tuple(again.spec(spec.name) for spec in SPECS) == SPECS
    assert {again.slots_per_shard(spec.name) for spec in SPECS} == {24}


@pytest.mark.slow
def test_a_description_is_freed(shards: Shards) -> None:
    def ask() -> int:
        for spec in SPECS:
            shards.spec(spec.name)
            shards.slots_per_shard(spec.name)
        gc.collect()
        return len(gc.get_objects())

    ask()
    before = ask()
    for _ in range(20):
        ask()
    assert ask() - before < 20
