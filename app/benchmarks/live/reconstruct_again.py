"""Whether a recording that is reconstructed again gives exactly the recorded phase, with the engine of this computer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from acquisition.archive.kinds import FinishReason
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED, ROW_NOT_SEGMENTED
from acquisition.archive.results.stored_result import StoredResult
from app.datasets.recorded_methods import RecordingOptions
from app.datasets.recording_results import reconstruct_again, segment_again
from app.instrument.config import InstrumentConfig
from app.live.session import Session
from app.progress import Report
from drivers.base import SpeckleScopeError

FRAMES, QUICK_FRAMES = 60, 8
_LONGEST_S = 300.0
_POLL_S = 0.02


def measure_reconstruct_again(report: Report, config: InstrumentConfig, *, quick: bool = False) -> Mapping[str, object]:
    """Record the live view of a simulated instrument, and compute everything of the recording again.

    Parameters
    ----------
    report : callable
        Called with what is done.
    config : InstrumentConfig
        The instrument; the recording goes to its archive.
    quick : bool
        Fewer frames.

    Returns
    -------
    mapping
        ``reconstruct_again_equal`` is 1 if every recorded phase came again bit by bit, ``segment_again_equal`` if all labels
        did; else 0. ``reconstruct_again_frames`` counts the compared frames, ``reconstruct_again_skipped`` those that were
        skipped live and have a phase now, and ``reconstruct_again_max_diff_rad`` is the largest difference of a pixel.
        ``reconstruct_again_fps`` are the frames per second, and ``reconstruct_again_engine`` is the engine.

    Raises
    ------
    SpeckleScopeError
        The live view reconstructs nothing, or the recording fails.
    """
    path = _recorded(report, config, QUICK_FRAMES if quick else FRAMES)
    options = RecordingOptions(as_recorded=True, models=(Path(config.model),))
    start = time.perf_counter()
    again = reconstruct_again(path, options, lambda done, total: report("reconstruct again", done, total))
    seconds = time.perf_counter() - start
    labels = segment_again(path)
    if again is None or labels is None:
        raise SpeckleScopeError("the reconstruction was stopped; measure again")
    compared, facts = again.card.facts["frames_compared"], again.card.facts
    archive = Archive.open(path)
    reconstructed = sum(ROW_NOT_RECONSTRUCTED not in row.extra for row in archive.rows())
    return {
        "reconstruct_again_equal": int(compared == facts["frames_equal"] == reconstructed > 0),
        "reconstruct_again_frames": compared,
        "reconstruct_again_skipped": len(archive) - reconstructed,
        "reconstruct_again_max_diff_rad": facts["largest_difference_rad"],
        "reconstruct_again_fps": len(archive) / seconds,
        "reconstruct_again_engine": again.card.engine,
        "segment_again_equal": int(_labels_are_equal(archive, labels)),
    }


def _labels_are_equal(archive: Archive, labels: StoredResult) -> bool:
    """Whether the labels of every frame that was segmented live came again."""
    segmented = [row.index for row in archive.rows() if ROW_NOT_SEGMENTED not in row.extra]
    same = [np.array_equal(archive.read("labels", row), labels.read("labels", row)) for row in segmented]
    return bool(same) and all(same)


def _recorded(report: Report, config: InstrumentConfig, frames: int) -> Path:
    """Record the live view until so many frames have a phase, and return the recording."""
    with Session.open(config) as session:
        session.start_live()
        _until(lambda: session.poll_view() is not None, "the live view shows nothing")
        session.start_recording("again")

        def is_long_enough() -> bool:
            status = session.recording_status()
            done = status.frames_recorded - status.frames_not_reconstructed
            report("reconstruct again: record", done, frames)
            return done >= frames or not status.active

        _until(is_long_enough, "too few frames are reconstructed")
        session.stop_recording()
        _until(lambda: not session.recording_status().active, "the recording does not end")
        status = session.recording_status()
    if status.finish_reason is not FinishReason.COMPLETED or status.path is None:
        raise SpeckleScopeError(f"the recording ended as '{status.verdict}'; measure again")
    return status.path


def _until(condition: Callable[[], bool], problem: str) -> None:
    deadline_s = time.monotonic() + _LONGEST_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise SpeckleScopeError(f"{problem} within {_LONGEST_S:.0f} s; close other programs, then measure again")
        time.sleep(_POLL_S)
