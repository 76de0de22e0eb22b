"""Fast reading of many images: uncompressed ones come directly from the shard files, others through TensorStore.

A sealed shard never changes, so its file can be mapped into memory. The index at its end gives the offset and the size of
every image. Memory maps survive a fork, and a copy from a map is faster than one system call per image.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.archive.reader import DATA
from acquisition.archive.rows import StorageError, StoredRow
from acquisition.archive.sealing.shard_file import ImageCodec, image_codec
from acquisition.archive.shards import Image, Shards, read_layout

_MISSING = 2**64 - 1  # offset of an image that was never written
_OPEN_SHARDS = 256  # each keeps its file open, and a process may have about a thousand


class ShardReader:
    """Reads images of one array by their slot.

    Each process may have its own; a forked process may also use the one it inherited. Pickling does not keep the open maps.

    Parameters
    ----------
    path : Path
        The archive's folder.
    name : str
        Name of the array.

    Raises
    ------
    StorageError
        The array's ``zarr.json`` is missing, or is not one that this program writes.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._data = Path(path) / DATA
        self._folder = self._data / name
        metadata = read_layout(self._folder)
        self.shape: tuple[int, ...] = tuple(metadata["shape"][1:])
        self.dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        self._slots_per_shard = int(metadata["chunk_grid"]["configuration"]["chunk_shape"][0])
        try:
            self.direct = image_codec(metadata) is ImageCodec.PLAIN
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise StorageError(f"cannot read {self._folder}/zarr.json ({error}); restore it from a copy") from error
        self._nbytes = self.dtype.itemsize * int(np.prod(self.shape))
        self._suffix = ".0" * len(self.shape)
        self._maps: dict[int, tuple[Image, list[int]]] = {}
        self._shards: Shards | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}, "_shards": None}

    def read(self, slot: int, row: int) -> Image:
        """Return a new array with the image in ``slot``, shape ``(1, H, W)``.

        Parameters
        ----------
        slot : int
            A slot that the journal names; other slots hold no data.
        row : int
            Number of the row, for error messages.

        Raises
        ------
        StorageError
            The image is missing or its shard is damaged. Changed pixels are not detected here: only the CRC-32 in the journal
            shows them.
        """
        if not self.direct:
            return self._through_tensorstore(slot, row)
        shard, slot = divmod(slot, self._slots_per_shard)
        try:
            images, places = self._maps.get(shard) or self._mapped(shard)
            place = places[slot]
            if place < 0:
                raise OSError("there is no image")
            return images[place].copy()
        except (OSError, ValueError) as error:  # mmap raises ValueError for an empty file
            raise StorageError(f"row {row} of {self.name!r} in {self._data}: {error}; verify the archive") from error

    def _mapped(self, shard: int) -> tuple[Image, list[int]]:
        """Return the images of a shard in the order of its file, and for each slot the number of its image there, or -1."""
        path = self._folder / f"c.{shard}{self._suffix}"
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        end = len(data) - 16 * self._slots_per_shard - 4  # the last four bytes are the index's own CRC
        if end < 0:
            raise OSError(f"{path.name} is cut short")
        entries = np.ndarray((self._slots_per_shard, 2), "<u8", data, end)
        missing = entries[:, 0] == _MISSING
        places, misaligned = np.divmod(np.where(missing, 0, entries[:, 0]), self._nbytes)
        count = end // self._nbytes
        # The index's CRC is not checked: a wrong entry that looks valid gives a wrong image, which its own CRC-32 reveals.
        if ((entries[:, 1] != self._nbytes) | (misaligned != 0) | (places >= count))[~missing].any():
            raise OSError(f"{path.name} is cut short or its index is damaged")
        while len(self._maps) >= _OPEN_SHARDS:
            self._maps.pop(next(iter(self._maps)))
        images = np.ndarray((count, 1, *self.shape), self.dtype, data)
        self._maps[shard] = images, np.where(missing, -1, places.astype(np.int64)).tolist()
        return self._maps[shard]

    def _through_tensorstore(self, slot: int, row: int) -> Image:
        if self._shards is None:
            self._shards = Shards(self._data)
        shard = slot // self._slots_per_shard
        place = StoredRow(frame_index=0, t_ns=0, exposure_s=0.0, index=row, slot=slot, shard=shard)
        return self._shards.read(self.name, place, check=False)[None]
