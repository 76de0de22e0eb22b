"""One small picture of each entry, a frame and its phase side by side: made on demand, and kept in a bounded cache."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from platformdirs import user_cache_path

from acquisition.archive.atomic_files import image_bytes, write_bytes
from acquisition.archive.old_names import metadata_file
from acquisition.archive.reader import JOURNAL, Archive
from acquisition.archive.results.disc import DISC, Disc, parsed_disc
from acquisition.archive.rows import StorageError
from app.library.entry import Entry, EntryKind
from drivers.base import SpeckleScopeError, in_grey
from drivers.pictures import PictureError, decode_picture, read_picture
from drivers.safe_text import read_yaml

#: Side of each of the two pictures, and the gap between them, in pixels.
SIDE_PX, GAP_PX = 96, 4
#: The most thumbnails that are kept; 4000 take about 60 MB.
MOST_KEPT = 4000
#: How many are removed at once when there are too many.
_REMOVED = 500
#: To be raised when thumbnails look different.
_VERSION = 2
#: Frames that are tried until one is readable and has a phase.
_TRIES = 8

#: Red, green and blue, shape (SIDE_PX, 2 * SIDE_PX + GAP_PX, 3); 0 where there is nothing.
Thumbnail = NDArray[np.uint8]


class Thumbnails:
    """Makes thumbnails, and keeps them in a folder. Any thread may use it.

    Parameters
    ----------
    folder : Path, optional
        Where they are kept. By default in the person's cache folder.
    most_kept : int
        The most that are kept; the ones that were made first go first.
    """

    def __init__(self, folder: Path | None = None, most_kept: int = MOST_KEPT) -> None:
        self._folder = folder or user_cache_path("specklescope", appauthor=False) / "library" / "thumbnails"
        self._most_kept = most_kept

    def of(self, entry: Entry) -> Thumbnail | None:
        """Return the picture of an entry: its speckle at the left, its phase at the right.

        Of a recording it is a frame in the middle that has a phase, of a dataset the first pair. None where nothing can be
        read.
        """
        file = self._file(entry)
        if file is None:
            return None
        known = _read(file)
        if known is not None:
            return known
        made = picture_of(entry, SIDE_PX)
        if made is not None:
            with suppress(SpeckleScopeError, OSError):
                write_bytes(file, image_bytes(cv2.cvtColor(made, cv2.COLOR_RGB2BGR)), "the cache is not needed")
                self._remove_oldest()
        return made

    def _file(self, entry: Entry) -> Path | None:
        """Return where the thumbnail of an entry is kept; another one when its pictures have changed. None: it is gone."""
        content = entry.path if entry.kind is EntryKind.SNAPSHOT else entry.path / JOURNAL
        try:
            changed_ns = content.stat().st_mtime_ns
        except OSError:
            return None
        key = f"{_VERSION} {entry.path.resolve()} {changed_ns} {entry.frames} {entry.pairs}"
        return self._folder / f"{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:24]}.png"

    def _remove_oldest(self) -> None:
        with os.scandir(self._folder) as children:
            kept = [(one.stat().st_mtime_ns, one.path) for one in children if one.name.endswith(".png")]
        if len(kept) > self._most_kept:
            for _, path in sorted(kept)[: len(kept) - self._most_kept + min(_REMOVED, self._most_kept // 2)]:
                Path(path).unlink(missing_ok=True)  # another process may have removed it


def _read(file: Path) -> Thumbnail | None:
    """Return a thumbnail that is kept; None where it is absent or damaged."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    if not content:
        return None
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None or image.shape != (SIDE_PX, 2 * SIDE_PX + GAP_PX, 3):
        return None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def picture_of(entry: Entry, side_px: int) -> Thumbnail | None:
    """Return a picture of an entry as :meth:`Thumbnails.of` does, with squares of another size; it is not kept.

    Returns
    -------
    ndarray or None
        Red, green and blue, shape (side_px, 2 * side_px + GAP_PX, 3).
    """
    try:
        speckle, phase = _snapshot(entry.path) if entry.kind is EntryKind.SNAPSHOT else _frame(entry)
    except (SpeckleScopeError, OSError):
        return None
    if speckle is None and phase is None:
        return None
    gap = np.zeros((side_px, GAP_PX, 3), np.uint8)
    return np.concatenate([_small(speckle, side_px, None), gap, _small(phase, side_px, cv2.COLORMAP_VIRIDIS)], axis=1)


_Pictures = tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]


def _snapshot(folder: Path) -> _Pictures:
    speckle = read_picture(folder / "speckle.png").pixels.astype(np.float32)
    try:
        return speckle, _inside(_float_picture(folder / "phase_rad.tif"), _disc_of_snapshot(folder))
    except (PictureError, OSError):
        return speckle, None


def _disc_of_snapshot(folder: Path) -> Disc | None:
    try:
        return parsed_disc(read_yaml(metadata_file(folder))[DISC])
    except (SpeckleScopeError, OSError, ValueError, yaml.YAMLError, LookupError, TypeError):
        return None  # as those of before version 0.2.0


def _inside(phase_rad: NDArray[np.float32], disc: Disc | None) -> NDArray[np.float32]:
    """Return a phase that is not a number outside the fibre's disc."""
    if disc is None or disc.shape != phase_rad.shape:
        return phase_rad
    return np.where(disc, phase_rad, np.float32(np.nan))


def _float_picture(file: Path) -> NDArray[np.float32]:
    return decode_picture(file.read_bytes()).pixels.astype(np.float32)


def _frame(entry: Entry) -> _Pictures:
    """Return a frame and its phase: of a recording from the middle on, of a dataset from its beginning on."""
    archive = Archive.open(entry.path)
    rows, discs = archive.intact_rows(), _discs(archive)
    first = len(rows) // 2 if entry.kind is EntryKind.RECORDING else 0
    best: _Pictures = (None, None)
    for row in [*rows[first:], *rows[:first]][:_TRIES]:
        speckle, phase = (_image(archive, name, row.index) for name in ("speckle", "phase"))
        if speckle is not None and phase is not None and np.isfinite(phase).any():
            return speckle, _inside(phase, discs.get(row.model_id))
        if best[0] is None:
            best = speckle, None
    return best


def _discs(archive: Archive) -> dict[str, Disc]:
    try:
        return archive.discs()
    except StorageError:
        return {}


def _image(archive: Archive, name: str, index: int) -> NDArray[np.float32] | None:
    try:
        return in_grey(archive.read(name, index).astype(np.float32)) if name in archive.arrays else None
    except StorageError:
        return None


def _small(image: NDArray[np.float32] | None, side_px: int, colours: int | None) -> NDArray[np.uint8]:
    """Return an image in the middle of a square of so many pixels, in grey or in colours; what is not finite is black."""
    square = np.zeros((side_px, side_px, 3), np.uint8)
    if image is None or image.ndim != 2:
        return square
    factor = side_px / max(image.shape)
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST)
    finite = np.isfinite(small)
    if not finite.any():
        return square
    low, high = (float(value) for value in np.percentile(small[finite], (1, 99.5)))
    grey = np.where(finite, np.clip((small - low) / max(high - low, 1e-9), 0, 1) * 255, 0).astype(np.uint8)
    shown = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    if colours is not None:
        shown = cv2.cvtColor(cv2.applyColorMap(grey, colours), cv2.COLOR_BGR2RGB)
    shown[~finite] = 0
    top, left = (side_px - size[1]) // 2, (side_px - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = shown
    return square
