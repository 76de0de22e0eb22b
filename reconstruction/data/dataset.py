"""A captured dataset as a ``torch.utils.data.Dataset``: raw pairs, split by pattern, as fast as the disk."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch.utils.data import Dataset

from acquisition.archive.rows import StoredRow
from acquisition.archive.shard_reader import ShardReader
from acquisition.archive.shards import Image
from acquisition.archive.writer import Archive, StorageError
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import Part, part_of

Split = Literal["train", "validation", "test", "all"]
_PARTS: dict[str, Part] = {"train": "training", "validation": "validation", "test": "test"}


class SpecklePairs(Dataset[Any]):
    """Pairs of an archive as tensors; item ``k`` is a tuple with one tensor (1, H, W) for each array.

    Values are raw, in the stored dtype: counts for ``speckle``, radians for ``phase``, grey for an imported ``label``.
    What the journal acknowledged when the dataset was made is what it holds; a writer may go on meanwhile.

    Workers of a DataLoader may be spawned; they may also be forked, except that a compressed array can then only be read
    if this process has not yet read one itself, and the error says so.

    Parameters
    ----------
    path : Path
        The archive's folder.
    split : {"train", "validation", "test", "all"}
        ``all`` is every row. The others share out the patterns (never the frames) by :func:`reconstruction.data.pairs.part_of`
        and leave out the blank references, which belong to no part.
    arrays : sequence of str
        Names of the arrays to read.
    transform : callable, optional
        Called with the tuple of tensors; what it returns is the item. For spawned workers it must be picklable.
    verify : bool
        Compare every image with its journalled CRC-32, at about 1 ms a megabyte.

    Raises
    ------
    StorageError
        Not an archive, or without one of the arrays. Later, from an item: a damaged image.
    ReconstructionError
        Unknown split, no rows in it, or rows that name no pattern to split by.

    Examples
    --------
    >>> pairs = SpecklePairs(path, "train")  # doctest: +SKIP
    >>> loader = DataLoader(pairs, batch_size=16, shuffle=True, num_workers=2)  # doctest: +SKIP
    """

    def __init__(
        self,
        path: Path,
        split: Split = "all",
        arrays: Sequence[str] = ("speckle", "phase"),
        transform: Callable[[tuple[torch.Tensor, ...]], Any] | None = None,
        verify: bool = False,
    ) -> None:
        if split not in get_args(Split):
            raise ReconstructionError(f"no split {split!r}; choose from {', '.join(get_args(Split))}")
        archive = Archive.open(path)
        unknown = [name for name in arrays if name not in archive.arrays]
        if unknown or not arrays:
            raise StorageError(f"{archive.path.name} has arrays {', '.join(archive.arrays)}, not {unknown or 'none'}")
        rows = _rows_of(archive, split)
        if not rows:
            raise ReconstructionError(f"{archive.path.name} holds no pairs in split {split!r}; acquire or import more")
        self.path = archive.path
        self.split = split
        self.arrays = tuple(arrays)
        self.transform = transform
        self.verify = verify
        #: Number in the archive of every item.
        self.indices = array("q", [row.index for row in rows])
        # Compact and free of Python objects: forked workers share the pages, spawned ones get a small pickle.
        self._slots = array("q", [row.slot for row in rows])
        self._crc32 = {name: array("L", [row.crc32[name] for row in rows]) for name in self.arrays}
        self._readers = [ShardReader(archive.path, name) for name in self.arrays]

    @property
    def direct(self) -> bool:
        """True when every array is read straight from its shard files, none through TensorStore."""
        return all(reader.direct for reader in self._readers)

    def __len__(self) -> int:
        return len(self._slots)

    def __getitem__(self, item: int) -> Any:
        slot, row = self._slots[item], self.indices[item]
        images = [reader.read(slot, row) for reader in self._readers]
        if self.verify:
            self._check(item, images)
        sample = tuple([torch.from_numpy(image) for image in images])
        return sample if self.transform is None else self.transform(sample)

    def _check(self, item: int, images: Sequence[Image]) -> None:
        for name, image in zip(self.arrays, images, strict=True):
            if zlib.crc32(image.data) != self._crc32[name][item]:
                row = self.indices[item]
                raise StorageError(f"row {row} of {name!r} in {self.path} differs from what was written (CRC-32)")


def _rows_of(archive: Archive, split: Split) -> list[StoredRow]:
    if split == "all":
        return list(archive.rows())
    rows = [row for row in archive.rows() if row.pattern_name != "blank"]
    nameless = next((row.index for row in rows if not row.pattern_id), None)
    if nameless is not None:
        raise ReconstructionError(f"row {nameless} of {archive.path.name} names no pattern to split by; use split 'all'")
    return [row for row in rows if part_of(row.pattern_id) == _PARTS[split]]
