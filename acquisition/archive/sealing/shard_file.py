"""The file of one shard of a Zarr v3 array, written directly: the images as they lie in memory, and the index behind them.

This is several times faster than TensorStore, which copies every image before it writes it. Every reader of Zarr v3 reads the
result. An array whose codec is Blosc gets its images as Blosc stores what does not shrink: a header, and the bytes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from enum import Enum
from io import BufferedWriter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.atomic_files import moved_when_complete

#: More images in a shard would make its index, whose check sum is computed here byte by byte, too long.
MOST_IMAGES = 1024
#: The index's entry of a slot without an image.
_MISSING = 2**64 - 1
#: Version of Blosc's format and of Zstandard's in it; flags: the bytes are not compressed, and the codec is Zstandard.
_BLOSC_VERSION, _ZSTD_VERSION, _NOT_COMPRESSED, _ZSTD = 2, 1, 0x02, 4 << 5
_BLOSC_HEADER = struct.Struct("<BBBBIII")
#: Castagnoli's polynomial, reversed.
_CRC32C = 0x82F63B78
_BYTES: Mapping[str, object] = {"name": "bytes", "configuration": {"endian": "little"}}


class ImageCodec(Enum):
    """How an image lies in a shard file."""

    #: Its bytes, little-endian.
    PLAIN = "plain"
    #: In Blosc's format, which may hold it compressed or not.
    BLOSC = "blosc"


def image_codec(metadata: Mapping[str, Any]) -> ImageCodec | None:
    """Return how images lie in the shard files of an array; None for a layout that this program does not write.

    Parameters
    ----------
    metadata : mapping
        The content of the array's ``zarr.json``.

    Raises
    ------
    KeyError, TypeError, AttributeError, ValueError
        It describes no sharded array.
    """
    [sharding] = metadata["codecs"]
    configuration = sharding["configuration"]
    is_ours = (
        sharding["name"] == "sharding_indexed"
        and configuration["index_codecs"] == [_BYTES, {"name": "crc32c"}]
        and configuration.get("index_location", "end") == "end"
        and metadata["chunk_key_encoding"] == {"name": "default", "configuration": {"separator": "."}}
    )
    to_bytes, *more = configuration["codecs"]
    if not is_ours or to_bytes not in (_BYTES, {"name": "bytes"}):
        return None
    names = [codec["name"] for codec in more]
    return ImageCodec.PLAIN if not names else ImageCodec.BLOSC if names == ["blosc"] else None


def write_shard_file(path: Path, images: Sequence[NDArray[Any]], slots: int, codec: ImageCodec) -> None:
    """Write a shard whose first slots hold images; the file is complete, synced and named when this returns.

    Parameters
    ----------
    path : Path
        The file; its folder exists.
    images : sequence of ndarray, all of one shape and dtype
        The images of the first slots.
    slots : int
        Slots of the shard, at most ``MOST_IMAGES``.
    codec : ImageCodec
        How the images lie in the file; they are not compressed.

    Raises
    ------
    OSError
        The file cannot be written; nothing is left of it.
    """
    header = blosc_header(images[0].nbytes, images[0].dtype.itemsize) if codec is ImageCodec.BLOSC else b""
    size = len(header) + images[0].nbytes
    index = np.full((slots, 2), _MISSING, "<u8")
    index[: len(images), 0] = np.arange(len(images)) * size
    index[: len(images), 1] = size
    with moved_when_complete(path) as part, part.open("xb") as file:
        for image in images:
            file.write(header)
            file.write(np.ascontiguousarray(image, image.dtype.newbyteorder("<")).data)
        file.write(index.data)
        file.write(crc32c(index.tobytes()).to_bytes(4, "little"))
        _sync_uncached(file)


def _sync_uncached(file: BufferedWriter) -> None:
    """Sync a file, and let the system forget its content: a long recording would push everything else out of the memory."""
    file.flush()
    os.fsync(file.fileno())
    if hasattr(os, "posix_fadvise"):  # not on Windows and macOS
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def blosc_header(nbytes: int, itemsize: int) -> bytes:
    """Return what Blosc writes before ``nbytes`` bytes that it has not compressed."""
    flags = _NOT_COMPRESSED | _ZSTD
    size = _BLOSC_HEADER.size + nbytes
    return _BLOSC_HEADER.pack(_BLOSC_VERSION, _ZSTD_VERSION, flags, itemsize, nbytes, nbytes, size)


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of a short text of bytes."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def _entry(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (_CRC32C if value & 1 else 0)
    return value


_TABLE = tuple(_entry(value) for value in range(256))
