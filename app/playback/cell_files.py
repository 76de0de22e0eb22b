"""Files with the cells of a recording: numbers as CSV, outlines as regions of ImageJ, labels that napari and Fiji open."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.atomic_files import write_bytes
from acquisition.archive.results.stored_result import StoredResult
from app.playback.played_archive import PlayedArchive
from app.playback.recorded_cells import FollowedFrame, Progress, followed_frames, recorded_cells
from drivers.base import SpeckleScopeError

_REMEDY: Final = "choose another folder"


class CellFile(Enum):
    """What is saved; the value is the end of the file's name."""

    NUMBERS = ".csv"
    REGIONS = ".zip"
    LABELS = ".tif"

    @property
    def label(self) -> str:
        """What it is, for the operator."""
        return _LABELS_OF_FILES[self]


_LABELS_OF_FILES: Final = {
    CellFile.NUMBERS: "Numbers of the cells",
    CellFile.REGIONS: "Regions for ImageJ and Fiji",
    CellFile.LABELS: "Labels for napari and Fiji",
}


class _StoppedError(Exception):
    """The operator has stopped the work; nothing is kept."""


def save_cells(
    archive: PlayedArchive,
    file: Path,
    result: StoredResult | None = None,
    progress: Progress = lambda done, total: None,
    stop: threading.Event | None = None,
) -> bool:
    """Write the cells of a recording into a file, completely or not at all.

    Parameters
    ----------
    archive : PlayedArchive
        The recording.
    file : Path
        Its end says what is written: ``.csv`` has a row for each cell and frame; ``.zip`` has an outline for each, in pixels of
        the phase, named by identity and frame; ``.tif`` has a picture for each frame, whose pixels are the identities.
    result : StoredResult, optional
        Take phase and labels from this result.
    progress : callable
        Called with how many frames are done, and how many there are.
    stop : threading.Event, optional
        Ends the work when it is set; nothing is written then.

    Returns
    -------
    bool
        Whether it was written; not where the work was stopped.

    Raises
    ------
    SpeckleScopeError
        The file has another end, or cannot be written.
    """
    kind = next((kind for kind in CellFile if file.name.lower().endswith(kind.value)), None)
    if kind is None:
        ends = ", ".join(kind.value for kind in CellFile)
        raise SpeckleScopeError(f"cells are saved as {ends}, not as {file.name}; choose another name")
    if kind is CellFile.NUMBERS:
        content = recorded_cells(archive, result, progress, stop).csv().encode()
    else:
        write = _regions if kind is CellFile.REGIONS else _labels
        content = write(archive, followed_frames(archive, result, progress, stop))
    if stop is not None and stop.is_set():
        return False
    write_bytes(file, content, _REMEDY)
    return True


def outlines(labels: NDArray[np.uint16], number: int) -> list[NDArray[np.float64]]:
    """Return the outlines of a label, one for each piece: points (n, 2) of x and y from the corner of the first pixel.

    The centres of exactly the pixels of the label lie inside; holes are left out.
    """
    from skimage.measure import find_contours

    rows, columns = np.nonzero(labels == number)
    if not rows.size:
        return []
    top, left = rows.min(), columns.min()
    part = labels[top : rows.max() + 1, left : columns.max() + 1] == number
    contours = find_contours(np.pad(part, 1).astype(np.float64), 0.5, fully_connected="low")
    # Contours of holes run the other way round.
    outer = [contour for contour in contours if _area(contour) > 0]
    return [contour[:, ::-1] + [left - 0.5, top - 0.5] for contour in outer]


def _area(points: NDArray[np.float64]) -> float:
    """Return the area inside a closed line of rows and columns, below 0 for the other way round."""
    rows, columns = points[:, 0], points[:, 1]
    return float(np.sum(columns[:-1] * rows[1:] - columns[1:] * rows[:-1]) / 2)


def _regions(archive: PlayedArchive, frames: Iterator[FollowedFrame]) -> bytes:
    import roifile

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as regions:
        for followed in frames:
            cells = followed.moment.cells
            for label, identity in zip(cells.label.tolist(), cells.identity.tolist(), strict=True):
                for piece, points in enumerate(outlines(followed.labels, label)):
                    name = f"cell {identity} frame {followed.position + 1}{f' piece {piece + 1}' if piece else ''}"
                    region = roifile.ImagejRoi.frompoints(points.astype(np.float32), name=name, position=followed.position)
                    regions.writestr(f"{name}.roi", region.tobytes())
    return content.getvalue()


def _labels(archive: PlayedArchive, frames: Iterator[FollowedFrame]) -> bytes:
    import tifffile

    stack: NDArray[np.uint16] | None = None
    for followed in frames:
        cells = followed.moment.cells
        identities = np.zeros(int(followed.labels.max()) + 1, np.uint16)
        identities[cells.label] = cells.identity
        if stack is None:
            stack = np.zeros((len(archive.rows), *followed.labels.shape), np.uint16)
        stack[followed.position] = identities[followed.labels]
    if stack is None:
        raise SpeckleScopeError(f"no frame of {archive.facts.name} has labels; segment it again first")
    content = io.BytesIO()
    tifffile.imwrite(content, stack, imagej=True, metadata={"axes": "TYX"})
    return content.getvalue()
