"""The small pictures of the list: made in a thread when a row is first seen, the rows that were seen last first."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PyQt6.QtGui import QImage, QPixmap

from app.library.entry import Entry
from app.library.thumbnails import Thumbnail, Thumbnails

#: Thumbnails in memory, about 60 kB each.
_MOST_KEPT = 600
#: Rows that wait for their picture: about twice what a 4K screen shows. Others have scrolled away.
_MOST_WAITING = 80
#: Pictures that are made before newer wishes count.
_BATCH = 4

#: What a thumbnail shows: an entry with its number of frames or pairs, which grow while it is written.
_Key = tuple[Path, int, int]
_Batch = list[tuple[_Key, Thumbnail | None]]


class ThumbnailLoader:
    """Pictures of entries for the list.

    Parameters
    ----------
    thumbnails : Thumbnails, optional
        Makes and stores them; by default in the person's cache folder.
    """

    def __init__(self, thumbnails: Thumbnails | None = None) -> None:
        self._thumbnails = thumbnails or Thumbnails()
        self._pool = ThreadPoolExecutor(1, "thumbnails")
        self._known: OrderedDict[_Key, QPixmap | None] = OrderedDict()
        self._wanted: OrderedDict[_Key, Entry] = OrderedDict()
        self._running: Future[_Batch] | None = None

    @property
    def busy(self) -> bool:
        """Whether pictures are still to come."""
        return self._running is not None or bool(self._wanted)

    def pixmap(self, entry: Entry) -> QPixmap | None:
        """Return the picture of an entry if it is there; otherwise it is made, unless the entry has none."""
        key = entry.path, entry.frames, entry.pairs
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        self._wanted[key] = entry
        self._wanted.move_to_end(key)
        if len(self._wanted) > _MOST_WAITING:
            self._wanted.popitem(last=False)
        return None

    def poll(self) -> frozenset[Path]:
        """Begin to make what is wanted; return the entries whose pictures have come since the last call."""
        arrived: frozenset[Path] = frozenset()
        if self._running is not None and self._running.done():
            arrived = self._keep(self._running.result())
            self._running = None
        if self._running is None and self._wanted:
            batch = [self._wanted.popitem() for _ in range(min(_BATCH, len(self._wanted)))]
            self._running = self._pool.submit(_made, self._thumbnails, batch)
        return arrived

    def _keep(self, batch: _Batch) -> frozenset[Path]:
        for key, picture in batch:
            self._known[key] = None if picture is None else pixmap_of(picture)
            self._wanted.pop(key, None)
        while len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)
        return frozenset(key[0] for key, _ in batch)


def _made(thumbnails: Thumbnails, batch: list[tuple[_Key, Entry]]) -> _Batch:
    made = [(key, thumbnails.of(entry)) for key, entry in batch]
    # An entry that is not there any more may come back, with its disk.
    return [(key, picture) for key, picture in made if picture is not None or key[0].exists()]


def pixmap_of(picture: Thumbnail) -> QPixmap:
    """Return red, green and blue (H, W, 3) as a picture of Qt."""
    pixels = np.ascontiguousarray(picture).tobytes()
    height, width, _ = picture.shape
    return QPixmap.fromImage(QImage(pixels, width, height, 3 * width, QImage.Format.Format_RGB888))
