"""An array's ``zarr.json`` is checked before TensorStore believes it: a false size would end the process."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore as ts

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import DATA, Archive
from acquisition.archive.rows import PairRow, StorageError
from acquisition.archive.shard_reader import ShardReader
from acquisition.archive.shards import ArraySpec, Shards
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="small", arrays=[ArraySpec("speckle", (4, 6), "uint8")], metadata={})
    with ArchiveWriter.create(tmp_path, spec, 1) as writer:
        writer.append({"speckle": np.ones((4, 6), np.uint8)}, PairRow(frame_index=0, t_ns=1, exposure_s=0.1))
        writer.complete()
    return writer.path


def huge(metadata: dict[str, Any]) -> None:
    """Images of 2**62 pixels, with chunks that agree."""
    shape = [2**31, 2**31]
    metadata["shape"][1:] = shape
    metadata["chunk_grid"]["configuration"]["chunk_shape"][1:] = shape
    metadata["codecs"][0]["configuration"]["chunk_shape"][1:] = shape


CHANGES: list[Change] = [
    huge,
    lambda metadata: metadata["shape"].reverse(),
    lambda metadata: metadata.update(shape=[]),
    lambda metadata: metadata.update(shape=[2**31, "4", 6]),
    lambda metadata: metadata.update(shape=5),
    lambda metadata: metadata.update(data_type="complex128"),
    lambda metadata: metadata.update(data_type=["uint8"]),
    lambda metadata: metadata.update(codecs=[]),
    lambda metadata: metadata.update(codecs=["bytes"]),
    lambda metadata: metadata.pop("chunk_grid"),
    lambda metadata: metadata["chunk_grid"]["configuration"]["chunk_shape"].__setitem__(0, 2**40),
    lambda metadata: metadata["chunk_grid"]["configuration"]["chunk_shape"].__setitem__(0, float("inf")),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_layout_that_no_archive_has_is_refused_by_both_readers(change: Change, archive: Path) -> None:
    file = archive / DATA / "speckle" / "zarr.json"
    metadata = json.loads(file.read_text())
    change(metadata)
    file.write_text(json.dumps(metadata))
    with pytest.raises(StorageError, match=r"cannot read .*speckle/zarr\.json .*restore it from a copy"):
        Shards(archive / DATA).spec("speckle")
    with pytest.raises(StorageError, match=r"speckle/zarr\.json .*restore it from a copy"):
        ShardReader(archive, "speckle")


def test_an_unchanged_layout_is_read(archive: Path) -> None:
    assert Archive.open(archive).read("speckle", 0).shape == ShardReader(archive, "speckle").shape == (4, 6)


def test_a_zarr_reader_finds_every_image_with_the_slots_that_the_documentation_names(tmp_path: Path) -> None:
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="gaps", arrays=[ArraySpec("speckle", (4, 6), "uint8")], metadata={})
    with ArchiveWriter.create(tmp_path, spec, 20, shard_bytes=5 * 24) as writer:
        for k in range(13):
            writer.append({"speckle": np.full((4, 6), 1 + k, np.uint8)}, PairRow(frame_index=k, t_ns=k, exposure_s=0.1))
            if k in (2, 6):
                writer.flush()  # closes a shard that is not full
        writer.quarantine(11, "test")
    page = (Path(__file__).parents[3] / "docs" / "formats.md").read_text("utf-8")
    query = re.search(r"`(SELECT slot FROM rows [^`]*)`", page)
    assert query
    with closing(sqlite3.connect(writer.path / "journal.sqlite")) as journal:
        slots = [slot for (slot,) in journal.execute(query[1])]
    assert np.diff(slots).max() > 1, "without a gap this test shows nothing"
    kvstore = {"driver": "file", "path": f"{writer.path / DATA / 'speckle'}/"}
    array = ts.open({"driver": "zarr3", "kvstore": kvstore}).result()
    assert array.shape[0] == 2**31
    assert [int(array[slot].read().result().max()) for slot in slots] == [1 + k for k in range(11)]
