"""The cells of a recording: measured and followed again from its phases and labels, which need no array of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from acquisition.archive.results.stored_result import StoredResult
from app.measuring.cell_history import CellHistory, CellMoment
from app.playback.played_archive import PlayedArchive
from reconstruction.cells.measurement import measure_cells
from reconstruction.cells.tracking import CellTracker


def recorded_cells(
    archive: PlayedArchive,
    result: StoredResult | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: threading.Event | None = None,
) -> CellHistory:
    """Measure and follow the cells of every frame that has labels.

    Parameters
    ----------
    archive : PlayedArchive
        The recording.
    result : StoredResult, optional
        Take phase and labels from this result, such as one that was segmented again.
    progress : callable
        Called with how many frames are done, and how many there are.
    stop : threading.Event, optional
        Ends the work when it is set; what was measured until then is returned.

    Returns
    -------
    CellHistory
        A frame without labels is left out. The same labels give the same identities.
    """
    history, tracker = CellHistory(longest=max(1, len(archive.rows))), CellTracker()
    for position in range(len(archive.rows)):
        if stop is not None and stop.is_set():
            break
        progress(position, len(archive.rows))
        overlay = archive.load(position, result).overlay
        reconstruction, labels = overlay.view.reconstruction, overlay.labels
        if reconstruction is None or labels is None or not reconstruction.is_finite:
            continue
        mask = np.ones(labels.shape, np.bool_) if reconstruction.mask is None else reconstruction.mask
        scale = archive.cell_scale(labels.shape[1])
        cells = measure_cells(reconstruction.phase_rad, labels, mask, scale, reconstruction.uncertainty_rad)
        frame = overlay.view.frame
        history.add(
            CellMoment(
                frame_index=frame.index,
                time_s=frame.t_ns * 1e-9,
                pixel_um=scale.pixel_um or float("nan"),
                cells=tracker.follow(frame.index, cells),
            )
        )
    progress(len(archive.rows), len(archive.rows))
    return history
