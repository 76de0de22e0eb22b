"""A captured dataset as a ``torch.utils.data.Dataset``: raw pairs, split by pattern, read at the speed of the disk."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import Dataset

from acquisition.archive.rows import StoredRow
from acquisition.archive.shard_reader import ShardReader
from acquisition.archive.shards import Image
from acquisition.archive.writer import Archive, StorageError
from acquisition.patterns.sources import BLANK
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import Part, part_of

Split = Literal["train", "validation", "test", "all"]
#: The part of the patterns in every split; None is all rows.
_PARTS: dict[str, Part | None] = {"train": "training", "validation": "validation", "test": "test", "all": None}


class SpecklePairs(Dataset[Any]):
    """Pairs of an archive as tensors; item ``k`` is a tuple with one tensor of shape (1, H, W) for each array.

    Values are raw, in the stored dtype: counts for ``speckle``, radians for ``phase``, grey levels for an imported ``label``.
    The dataset holds the rows that were in the journal when it was opened. A writer may add more rows at the same time.

    The workers of a DataLoader may be spawned or forked. Forked workers can read a compressed array only if this process has
    not read one before; otherwise an error says so. Start your script with ``python -P``: then spawned workers import nothing
    from the working folder.

    Parameters
    ----------
    path : Path
        The archive's folder.
    split : {"train", "validation", "test", "all"}
        ``all`` is every row. The other splits divide the patterns (never the frames of one pattern) by
        :func:`reconstruction.data.pairs.part_of`; they skip the blank references, which belong to no part.
    arrays : sequence of str
        Names of the arrays to read.
    transform : callable, optional
        Called with the tuple of tensors; its result is the item. For spawned workers it must be picklable.
    verify : bool
        Compare every image with its CRC-32 in the journal, which takes about 1 ms per megabyte.

    Raises
    ------
    StorageError
        The folder is no archive, or one of the arrays is missing. Reading an item: the image is damaged.
    ReconstructionError
        The split is unknown or empty, or a row has no pattern to split by.

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
        *,
        verify: bool = False,
    ) -> None:
        if split not in _PARTS:
            raise ReconstructionError(f"no split {split!r}; choose from {', '.join(_PARTS)}")
        archive = Archive.open(path)
        unknown = [name for name in arrays if name not in archive.arrays]
        if unknown or not arrays:
            raise StorageError(f"{archive.path.name} has arrays {', '.join(archive.arrays)}, not {unknown or 'none'}")
        for name in arrays:
            archive.check_array(name)
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
        """Whether all arrays are read directly from their shard files, without TensorStore."""
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
    part = _PARTS[split]
    if part is None:
        return list(archive.rows())
    rows = [row for row in archive.rows() if row.pattern_name != BLANK]
    without_pattern = next((row.index for row in rows if not row.pattern_id), None)
    if without_pattern is not None:
        raise ReconstructionError(f"row {without_pattern} of {archive.path.name} has no pattern to split by; use split 'all'")
    return [row for row in rows if part_of(row.pattern_id) == part]
