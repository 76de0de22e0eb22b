"""A recording or dataset as a sequence of camera frames that are read one by one, for instance to replay it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from acquisition.archive.reader import Archive
from acquisition.archive.rows import StorageError
from drivers.base import Frame
from drivers.recorded.replay import LazyFrames

SPECKLE = "speckle"


class RecordedFrames(LazyFrames):
    """The unchanged camera frames of an archive. Each is read from the disk and checked when it is used.

    Only the journal is held in memory. Frames that a running writer acknowledges later are not included. The bit depth is
    ``bit_depth`` in the metadata; without it, 8 or 16 as the array has.

    Parameters
    ----------
    archive : Archive
        A recording or a dataset. Reading a frame raises StorageError where it is damaged.

    Raises
    ------
    StorageError
        It holds no camera frames, or its metadata names an impossible bit depth.

    Examples
    --------
    >>> camera = ReplayCamera(RecordedFrames.open(path))  # doctest: +SKIP
    """

    def __init__(self, archive: Archive) -> None:
        self._bit_depth = bit_depth_of(archive)
        super().__init__(np.array([row.t_ns for row in archive.rows()], np.int64), _channels_of(archive))
        self.archive = archive

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the archive in folder ``path``; raises StorageError as :meth:`Archive.open` and the constructor do."""
        return cls(Archive.open(path))

    def load(self, index: int) -> Frame:
        """Read frame ``index``; raises StorageError when it is damaged."""
        row = self.archive.row(index)
        pixels = self.archive.read(SPECKLE, index)
        device_ns = row.extra.get("device_ns")
        return Frame(
            pixels,
            row.frame_index,
            row.t_ns,
            row.exposure_s,
            self._bit_depth,
            row.pattern_id or None,
            device_ns if isinstance(device_ns, int) else None,
        )


def bit_depth_of(archive: Archive) -> int:
    """Return the significant bits of the camera frames of an archive.

    Raises
    ------
    StorageError
        It holds no camera frames, or its metadata names an impossible bit depth.
    """
    dtype = archive.spec(SPECKLE).dtype
    if dtype not in ("uint8", "uint16"):
        raise StorageError(f"{archive.path.name}: {SPECKLE!r} is {dtype}; camera frames are uint8 or uint16")
    bits = 8 * np.dtype(dtype).itemsize
    bit_depth = archive.metadata.get("bit_depth", bits)
    if not isinstance(bit_depth, int) or not (bit_depth == 8 if bits == 8 else 8 < bit_depth <= 16):
        raise StorageError(
            f"{archive.path.name}: bit_depth {bit_depth!r} in its metadata does not fit {dtype}; correct the metadata"
        )
    return bit_depth


def _channels_of(archive: Archive) -> tuple[str, ...]:
    """Return the names of the channels that the metadata state."""
    stated = archive.metadata.get("channels", ())
    return tuple(map(str, stated)) if isinstance(stated, list) else ()
