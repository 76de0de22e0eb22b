"""The cells of a recording: measured and followed again from its phases and labels, which need no array of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.results.stored_result import StoredResult
from app.measuring.cell_history import CellHistory, CellMoment
from app.playback.played_archive import PlayedArchive
from reconstruction.cells.measurement import measure_reconstruction
from reconstruction.cells.table import CellScale
from reconstruction.cells.tracking import CellTracker

#: Called with how many frames are done, and how many there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class FollowedFrame:
    """A recorded frame with its cells.

    Parameters
    ----------
    position : int
        Its number in the recording, from 0.
    labels : ndarray of uint16, shape (h, w)
        Its labels.
    moment : CellMoment
        Its cells with their identities.
    """

    position: int
    labels: NDArray[np.uint16]
    moment: CellMoment


def followed_frames(
    archive: PlayedArchive,
    result: StoredResult | None = None,
    progress: Progress = lambda done, total: None,
    stop: threading.Event | None = None,
) -> Iterator[FollowedFrame]:
    """Yield every frame that has labels, measured and followed. The same labels give the same identities.

    Parameters
    ----------
    archive : PlayedArchive
        The recording.
    result : StoredResult, optional
        Take phase and labels from this result, such as one that was segmented again.
    progress : callable
        Called with how many frames are done, and how many there are.
    stop : threading.Event, optional
        Ends the work when it is set.
    """
    tracker, total = CellTracker(), len(archive.rows)
    for position in range(total):
        if stop is not None and stop.is_set():
            return
        progress(position, total)
        overlay = archive.load(position, result).overlay
        reconstruction, labels = overlay.view.reconstruction, overlay.labels
        if reconstruction is None or labels is None or not reconstruction.is_finite:
            continue
        scale: CellScale = archive.cell_scale(labels.shape[1])
        cells = measure_reconstruction(reconstruction, labels, scale)
        frame = overlay.view.frame
        pixel_um = np.nan if scale.pixel_um is None else scale.pixel_um
        moment = CellMoment.of_frame(frame, pixel_um, tracker.follow(frame.index, cells))
        yield FollowedFrame(position=position, labels=labels, moment=moment)
    progress(total, total)


def recorded_cells(
    archive: PlayedArchive,
    result: StoredResult | None = None,
    progress: Progress = lambda done, total: None,
    stop: threading.Event | None = None,
) -> CellHistory:
    """Return the cells of all frames; see :func:`followed_frames`."""
    history = CellHistory(longest=max(1, len(archive.rows)))
    for followed in followed_frames(archive, result, progress, stop):
        history.add(followed.moment)
    return history
