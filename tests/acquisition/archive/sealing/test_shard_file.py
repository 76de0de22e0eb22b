"""A shard file that is written directly is what TensorStore reads, and damage to it is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorstore as ts

from acquisition.archive.rows import StorageError, StoredRow
from acquisition.archive.sealing.shard_file import MOST_IMAGES, ImageCodec, crc32c, image_codec, write_shard_file
from acquisition.archive.shards import ArraySpec, Shards, read_layout

SLOTS = 6
SPECS = (
    ArraySpec("speckle", (12, 10), "uint8"),
    ArraySpec("counts", (12, 10), "uint16", compress=True),
    ArraySpec("phase", (5, 7), "float32", compress=True),
    ArraySpec("grey", (5, 7), "uint8", compress=True),
)


def images(spec: ArraySpec, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.integers(0, 200, spec.shape).astype(spec.dtype) for _ in range(count)]


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    shards = Shards(tmp_path / "data.zarr")
    for spec in SPECS:
        shards.create(spec, SLOTS)
    return shards


def test_the_check_sum_of_the_index_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("count", [1, SLOTS])
def test_what_is_written_is_read_by_tensorstore(shards: Shards, count: int, *, compress: bool) -> None:
    written = {spec.name: images(spec, count) for spec in SPECS}
    shards.write(2, written, compress=compress)
    for name, stack in written.items():
        store = ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{shards.folder / name}/"}}).result()
        read = store[2 * SLOTS : 2 * SLOTS + count].read().result()
        assert read.dtype == stack[0].dtype
        np.testing.assert_array_equal(read, stack)
    assert sorted(path.name for path in shards.folder.glob("*/c.*")) == ["c.2.0.0"] * len(SPECS)


def test_images_that_are_not_compressed_are_as_long_as_their_bytes(shards: Shards) -> None:
    written = {"phase": images(SPECS[2], SLOTS)}
    index_bytes, header_bytes = 16 * SLOTS + 4, 16
    shards.write(0, written, compress=False)
    assert (shards.folder / "phase" / "c.0.0.0").stat().st_size == SLOTS * (SPECS[2].nbytes + header_bytes) + index_bytes


def test_images_of_any_memory_layout_are_written(shards: Shards) -> None:
    turned = images(ArraySpec("speckle", (10, 12), "uint8"), 1)[0].T
    assert not turned.flags.c_contiguous
    shards.write(0, {"speckle": [turned]})
    row = StoredRow(frame_index=0, t_ns=0, exposure_s=0.1, index=0, slot=0, shard=0)
    np.testing.assert_array_equal(shards.read("speckle", row, check=False), turned)


def test_a_slot_without_an_image_is_missing(shards: Shards) -> None:
    shards.write(0, {"speckle": images(SPECS[0], 2)})
    row = StoredRow(frame_index=0, t_ns=0, exposure_s=0.1, index=2, slot=2, shard=0)
    with pytest.raises(StorageError, match="row 2"):
        shards.read("speckle", row, check=False)


def test_a_damaged_index_is_found(shards: Shards) -> None:
    shards.write(0, {"speckle": images(SPECS[0], 2)})
    file = shards.folder / "speckle" / "c.0.0.0"
    content = bytearray(file.read_bytes())
    content[-6] ^= 1
    file.write_bytes(content)
    row = StoredRow(frame_index=0, t_ns=0, exposure_s=0.1, index=0, slot=0, shard=0)
    with pytest.raises(StorageError, match="row 0"):
        shards.read("speckle", row, check=False)


def test_an_array_of_another_layout_is_left_to_tensorstore(shards: Shards) -> None:
    metadata = read_layout(shards.folder / "speckle")
    assert image_codec(metadata) is ImageCodec.PLAIN
    assert image_codec(read_layout(shards.folder / "phase")) is ImageCodec.BLOSC
    sharding = metadata["codecs"][0]["configuration"]
    for other in (
        {**sharding, "index_location": "start"},
        {**sharding, "codecs": [{"name": "bytes", "configuration": {"endian": "big"}}]},
        {**sharding, "codecs": [*sharding["codecs"], {"name": "gzip", "configuration": {"level": 1}}]},
    ):
        assert image_codec({**metadata, "codecs": [{"name": "sharding_indexed", "configuration": other}]}) is None


def test_many_small_images_are_left_to_tensorstore(tmp_path: Path) -> None:
    shards = Shards(tmp_path / "data.zarr")
    spec = ArraySpec("speckle", (2, 2), "uint8")
    shards.create(spec, MOST_IMAGES + 1)
    shards.write(0, {"speckle": images(spec, 3)})
    row = StoredRow(frame_index=0, t_ns=0, exposure_s=0.1, index=2, slot=2, shard=0)
    np.testing.assert_array_equal(shards.read("speckle", row, check=False), images(spec, 3)[2])


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_shard_file(tmp_path / "absent" / "c.0.0.0", images(SPECS[0], 1), SLOTS, ImageCodec.PLAIN)
    assert list(tmp_path.iterdir()) == []
