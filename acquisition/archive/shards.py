"""The image arrays of an archive: Zarr v3, sharded, written with fsync.

The first axis gets a huge fixed length when an array is created. Its metadata is therefore never written again, so a crash
cannot damage it, and nobody can mistake the length for the number of images. One shard is one flat file (``c.7.0.0``): it is
synced and renamed into place, and its folder is synced. TensorStore writes what is compressed; the rest is written directly.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts
from numpy.typing import NDArray

from acquisition.archive.journal.schema import check_array_name
from acquisition.archive.rows import StorageError, StoredRow
from acquisition.archive.sealing.shard_file import MOST_IMAGES, ImageCodec, image_codec, write_shard_file
from drivers.limits import MAX_PIXELS, LimitError
from drivers.safe_text import parse_json

Image = NDArray[Any]

#: Fixed length of every array's first axis, and the most images that one shard holds.
_SLOTS, _MOST_IN_SHARD = 2**31, 2**26
#: Whether this process has started TensorStore's threads.
_used = False
#: Whether the parent process had started them before a fork. They are dead here, and TensorStore would abort the process.
_lost_to_fork = False


def _note_fork() -> None:
    global _lost_to_fork
    _lost_to_fork = _lost_to_fork or _used


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_note_fork)

_DTYPES = ("uint8", "uint16", "uint32", "int16", "int32", "float32", "float64")


@dataclass(frozen=True)
class ArraySpec:
    """One named array of an archive.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and ``_``.
    shape : tuple of int
        Shape of one image, ``(H, W)``.
    dtype : str
        NumPy name, such as ``uint8``, ``uint16`` or ``float32``.
    compress : bool
        Lossless Blosc zstd with bit shuffling. Phase patterns from 8-bit images become 3 times smaller, and 12-bit counts
        shrink too; 8-bit speckle shrinks only 1.03 times.

    Raises
    ------
    StorageError
        The name, shape or dtype cannot be stored.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    compress: bool = False

    def __post_init__(self) -> None:
        check_array_name(self.name)
        if self.dtype not in _DTYPES or not self.shape or min(self.shape) < 1:
            raise StorageError(f"array {self.name!r} is {self.shape} {self.dtype}; use (H, W) of {', '.join(_DTYPES)}")

    @property
    def nbytes(self) -> int:
        """Bytes of one image, uncompressed."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


def read_layout(array: Path) -> dict[str, Any]:
    """Return the content of an array's ``zarr.json``, if the array is one that an archive has.

    TensorStore believes every size in it, and ends the process when the memory does not suffice.

    Parameters
    ----------
    array : Path
        The array's folder.

    Raises
    ------
    StorageError
        The file is missing or damaged, or describes no images of a possible size and type.
    """
    file = array / "zarr.json"
    try:
        metadata: dict[str, Any] = parse_json(file.read_bytes())
        (slots, *shape), [sharding] = metadata["shape"], metadata["codecs"]
        in_shard, *whole = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        if not all(type(size) is int and size > 0 for size in (slots, in_shard, *shape)) or in_shard > _MOST_IN_SHARD:
            raise LimitError(f"its shape {metadata['shape']} in shards of {in_shard} images is none that an archive has")
        if slots > _SLOTS or not shape or prod(shape) > MAX_PIXELS:
            raise LimitError(f"its images of shape {shape} have more than {MAX_PIXELS} pixels")
        if whole != shape or sharding["configuration"]["chunk_shape"] != [1, *shape]:
            raise LimitError(f"its images are {shape}, but its chunks are {sharding['configuration']['chunk_shape']}")
        if metadata["data_type"] not in _DTYPES:
            raise LimitError(f"its data type is {metadata['data_type']!r}, an archive has {', '.join(_DTYPES)}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"cannot read {file} ({reason}); restore it from a copy") from error
    return metadata


class Shards:
    """The arrays in one ``data.zarr`` folder; each is opened when it is first used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, ts.TensorStore] = {}
        self._specs: dict[str, ArraySpec] = {}
        self._codecs: dict[str, ImageCodec | None] = {}

    def create(self, spec: ArraySpec, slots_per_shard: int) -> None:
        """Create one empty array whose full shards hold ``slots_per_shard`` images; raises StorageError."""
        little: dict[str, object] = {"name": "bytes", "configuration": {"endian": "little"}}
        codecs: list[dict[str, object]] = [little]
        if spec.compress:
            blosc = {"cname": "zstd", "clevel": 1, "shuffle": "bitshuffle", "typesize": np.dtype(spec.dtype).itemsize}
            codecs.append({"name": "blosc", "configuration": {**blosc, "blocksize": 0}})
        sharding = {
            "chunk_shape": [1, *spec.shape],
            "codecs": codecs,
            "index_codecs": [little, {"name": "crc32c"}],
            "index_location": "end",
        }
        metadata = {
            "shape": [_SLOTS, *spec.shape],
            "data_type": spec.dtype,
            "fill_value": 0,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [slots_per_shard, *spec.shape]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        }
        self._open[spec.name] = self._ts_open(spec.name, {"metadata": metadata, "create": True})

    def spec(self, name: str) -> ArraySpec:
        """Return the description of an existing array."""
        if name not in self._specs:
            # Not through the specification as JSON: TensorStore 0.1.86 never frees what its `to_json` returns.
            store = self._store(name)
            compress = "'blosc'" in str(store.codec)
            self._specs[name] = ArraySpec(name, tuple(store.shape[1:]), store.dtype.name, compress)
        return self._specs[name]

    def slots_per_shard(self, name: str) -> int:
        """Return the number of images in one full shard."""
        shape = self._store(name).chunk_layout.write_chunk.shape
        assert shape is not None
        images = shape[0]
        assert images is not None
        return images

    def numbers_on_disk(self) -> set[int]:
        """Return the numbers of all shards on disk, of any array, acknowledged or not."""
        numbers = (file.name.split(".")[1] for file in self.folder.glob("*/c.*.*"))
        return {int(number) for number in numbers if number.isdigit()}

    def sizes(self, number: int, names: Iterable[str]) -> dict[Path, int]:
        """Return the size in bytes of the files of one shard, of every array that has one.

        Raises
        ------
        StorageError
            A file cannot be read.
        """
        files = [self._file(name, number) for name in names]
        try:
            return {file: file.stat().st_size for file in files if file.exists()}
        except OSError as error:
            raise StorageError(f"shard {number} in {self.folder} cannot be read: {error}; check the disk") from error

    def remove_leftovers(self) -> None:
        """Delete the unfinished shards of a killed writer; the caller must hold the archive's lock."""
        for pattern in ("*/*.__lock", "*/.c.*.part"):
            for file in self.folder.glob(pattern):
                file.unlink(missing_ok=True)

    def write(self, number: int, images: Mapping[str, Sequence[Image]], *, compress: bool = True) -> None:
        """Write one shard of several arrays, and wait until all are on disk. Several threads may write different shards.

        Parameters
        ----------
        number : int
            Number of the shard.
        images : mapping of str to sequence of ndarray
            The images of its first slots, for each array.
        compress : bool
            Whether arrays that compress are compressed; not compressed they are written faster, and read in the same way.

        Raises
        ------
        StorageError
            One of the writes failed. Files that they left behind do not count: no row names them.
        """
        slots = self.slots_per_shard(next(iter(images)))
        direct = {name: codec for name in images if (codec := self._direct_codec(name, slots, compress=compress))}
        try:
            futures = [
                self._store(name)[number * slots : number * slots + len(stack)].write(np.stack(stack))
                for name, stack in images.items()
                if name not in direct
            ]
            for name, codec in direct.items():
                write_shard_file(self._file(name, number), images[name], slots, codec)
            for future in futures:
                future.result()
        except OSError as error:
            raise StorageError(f"cannot write to {self.folder}: {error.strerror or error}; check the disk") from error
        except (ValueError, RuntimeError) as error:  # TensorStore reports I/O errors as ValueError
            raise StorageError(f"cannot write to {self.folder}: {tensorstore_reason(error)}; check the disk") from error

    def read(self, name: str, row: StoredRow, *, check: bool = True) -> Image:
        """Return one image; ``check`` compares it with the CRC-32 in the journal. Raises StorageError when it is damaged."""
        try:
            image: Image = np.ascontiguousarray(self._store(name)[row.slot].read().result())
        except (ValueError, OSError, RuntimeError) as error:
            raise StorageError(f"row {row.index} of {name!r} in {self.folder}: {tensorstore_reason(error)}") from error
        if check and zlib.crc32(image.data) != row.crc32[name]:
            raise StorageError(f"row {row.index} of {name!r} in {self.folder} differs from what was written (CRC-32)")
        return image

    def _direct_codec(self, name: str, slots: int, *, compress: bool) -> ImageCodec | None:
        """Return how this program itself writes images of an array; None where TensorStore writes them."""
        if slots > MOST_IMAGES or (compress and self.spec(name).compress):
            return None
        if name not in self._codecs:
            self._codecs[name] = image_codec(read_layout(self.folder / name))
        return self._codecs[name]

    def _file(self, name: str, number: int) -> Path:
        return self.folder / name / f"c.{number}{'.0' * len(self.spec(name).shape)}"

    def _store(self, name: str) -> ts.TensorStore:
        if _lost_to_fork:
            raise StorageError(f"cannot read {name!r} in a forked process; start workers with multiprocessing 'spawn'")
        if name not in self._open:
            self._open[name] = self._ts_open(name, {})
        return self._open[name]

    def _ts_open(self, name: str, more: Mapping[str, object]) -> ts.TensorStore:
        if not more:
            read_layout(self.folder / name)
        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": f"{(self.folder / name).resolve().as_posix()}/"},
            "context": {"file_io_sync": True},
            # A black image is stored like any other, so that a missing image is an error and not read as zeros.
            "store_data_equal_to_fill_value": True,
            "fill_missing_data_reads": False,
            **more,
        }
        global _used
        _used = True
        try:
            return ts.open(spec).result()
        except (ValueError, OSError, RuntimeError) as error:
            raise StorageError(f"cannot open array {name!r} in {self.folder}: {tensorstore_reason(error)}") from error


def tensorstore_reason(error: Exception) -> str:
    """Return why TensorStore failed, in one line and without the specification that it repeats."""
    return " ".join(str(error).split()).partition(" [tensorstore_spec=")[0]
