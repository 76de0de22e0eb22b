"""Results that are computed later from a recording: reconstructed again, skipped frames reconstructed, segmented again.

Each lies beside what was recorded, in the recording's folder ``results``, and never in its place. The same model, engine and
pictures give exactly the recorded phase again, and the result says so.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.folder import LockState, lock_state
from acquisition.archive.journal.writer import utc_now
from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED, ROW_SEGMENTER
from acquisition.archive.recording_faults import ROW_MARKS
from acquisition.archive.results.disc import DISC, Disc, described_disc
from acquisition.archive.results.result_writer import new_result
from acquisition.archive.results.stored_result import ResultCard, ResultKind, StoredResult
from acquisition.archive.rows import StorageError, StoredRow
from acquisition.exchange.export_base import RECORDING
from app.datasets.recorded_methods import RecordedMethods, RecordingOptions
from app.library.in_use import kept_in_place
from drivers.base import FrameMark
from drivers.safe_text import parse_json
from reconstruction.engines.base import Estimate
from reconstruction.live.live_reconstructor import LiveMethod, UncertainMethod
from reconstruction.segmentation.base import SegmentationError, Segmenter
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.registry import open_segmenter, reopen_segmenter

_LOG = logging.getLogger(__name__)

#: Called with how many frames are done, and how many there are.
Progress = Callable[[int, int], None]
#: A frame with one of these shows no object any more: its labels would be noise.
_UNREADABLE = {FrameMark.DARK.value, FrameMark.DECORRELATED.value, FrameMark.NAN.value}
#: Frames from which the fibre's disc is taken that recorded phases show.
_DISC_FRAMES = 64

#: How results are named, for people.
_NAMES: Mapping[ResultKind, str] = {
    ResultKind.RECONSTRUCTION: "reconstructed again",
    ResultKind.SKIPPED_FRAMES: "skipped frames",
}


class _StoppedError(Exception):
    """The operator has stopped the work; nothing is kept."""


def reconstruct_again(
    path: Path,
    options: RecordingOptions,
    progress: Progress = lambda done, total: None,
    stop: threading.Event | None = None,
) -> StoredResult | None:
    """Compute phase and labels of every frame of a recording again.

    Parameters
    ----------
    path : Path
        The recording.
    options : RecordingOptions
        The model; with ``as_recorded``, what reconstructed each frame.
    progress : callable
        Called with how many frames are done, and how many there are.
    stop : threading.Event, optional
        Ends the work when it is set; then nothing is kept.

    Returns
    -------
    StoredResult or None
        The result; None when it was stopped. In the facts of its card, ``frames_compared`` counts the frames that the same
        method had reconstructed with the same engine, ``frames_equal`` those of them whose phase is exactly the recorded one,
        and ``largest_difference_rad`` is the largest difference of one pixel.

    Raises
    ------
    SpeckleScopeError
        The model is gone or is one of another fibre, the recording holds no reference or is being written, a file is damaged,
        or the result cannot be stored. Nothing is kept.
    """
    with _opened(path) as archive:
        return _reconstructed(archive, ResultKind.RECONSTRUCTION, archive.rows(), options, _Watch(progress, stop))


def reconstruct_skipped(
    path: Path,
    options: RecordingOptions,
    progress: Progress = lambda done, total: None,
    stop: threading.Event | None = None,
) -> StoredResult | None:
    """Compute phase and labels of the frames of a recording that have none; otherwise as :func:`reconstruct_again`.

    With ``as_recorded``, a frame gets the model or the pairs of the frame before it.
    """
    with _opened(path) as archive:
        rows = tuple(row for row in archive.rows() if ROW_NOT_RECONSTRUCTED in row.extra)
        if not rows:
            raise StorageError(f"every frame of {path.name} has a phase; there is nothing to reconstruct")
        return _reconstructed(archive, ResultKind.SKIPPED_FRAMES, rows, options, _Watch(progress, stop))


def segment_again(
    path: Path,
    config: SegmentationConfig | None = None,
    progress: Progress = lambda done, total: None,
    stop: threading.Event | None = None,
) -> StoredResult | None:
    """Compute the labels of every frame that has a phase again, from the recorded phase; otherwise as for reconstructions.

    No model is needed. The fibre's disc is the recorded one; in a recording of before version 0.2.0 it is where the phase is
    not 0. ``config`` is the segmenter, by default threshold and watershed; the result keeps what its labels depend on.
    """
    with _opened(path) as archive, open_segmenter(config or SegmentationConfig()) as segmenter:
        rows = tuple(row for row in archive.rows() if ROW_NOT_RECONSTRUCTED not in row.extra)
        if not rows or "phase" not in archive.arrays:
            raise StorageError(f"no frame of {path.name} has a phase; reconstruct the skipped frames first")
        discs = archive.discs()
        others = {row.model_id for row in rows} - discs.keys()
        if others:
            discs |= dict.fromkeys(others, _shown_disc(archive, rows))
        height, width = archive.spec("phase").shape
        facts = dict(segmenter.settings())
        card = ResultCard(kind=ResultKind.SEGMENTATION, name="segmented again", created_utc=utc_now(), facts=facts)
        try:
            with new_result(path, card, [row.index for row in rows], {"labels": (height, width)}) as writer:
                for row in _Watch(progress, stop).each(rows):
                    phase, std = archive.read("phase", row.index), _recorded_std(archive, row)
                    writer.add({"labels": _labels(segmenter, row, phase, discs[row.model_id], std)})
        except _StoppedError:
            return None
        return StoredResult(writer.path)


@dataclass(frozen=True)
class _Watch:
    """Reports the progress, and ends the work when it is asked to."""

    progress: Progress
    stop: threading.Event | None

    def each(self, rows: Sequence[StoredRow]) -> Iterator[StoredRow]:
        for done, row in enumerate(rows):
            if self.stop is not None and self.stop.is_set():
                raise _StoppedError
            self.progress(done, len(rows))
            yield row
        self.progress(len(rows), len(rows))


@contextmanager
def _opened(path: Path) -> Iterator[Archive]:
    """Open a recording that nobody writes, and keep it in its place."""
    if lock_state(path) is LockState.HELD:
        raise StorageError(f"{path.name} is being recorded; wait for its end")
    with kept_in_place(path):
        archive = Archive.open(path)
        if archive.kind is not ArchiveKind.RECORDING and RECORDING not in archive.metadata:
            raise StorageError(f"{path.name} is a dataset, whose phases are patterns and no results; choose a recording")
        if not len(archive):
            raise StorageError(f"{path.name} holds no frames; there is nothing to compute")
        yield archive


@dataclass(frozen=True, eq=False)
class _Computed:
    """The images of a frame, and how far its phase is from the recorded one; None where they cannot be compared."""

    method: LiveMethod
    images: dict[str, NDArray[Any]]
    difference_rad: float | None


class _RecordedSegmenters:
    """The segmenters that gave the labels of a recording; the default one where one of them cannot be opened any more."""

    def __init__(self, archive: Archive) -> None:
        said = archive.metadata.get("segmentation")
        self._usual = json.dumps(said, sort_keys=True) if isinstance(said, dict) else ""
        self._opened: dict[str, Segmenter] = {}

    def of(self, row: StoredRow) -> Segmenter:
        """Return the segmenter of a frame."""
        settings = str(row.extra.get(ROW_SEGMENTER, self._usual))
        if settings not in self._opened:
            self._opened[settings] = self._open(settings)
        return self._opened[settings]

    @property
    def used(self) -> list[dict[str, object]]:
        """What the labels depend on."""
        return [dict(segmenter.settings()) for segmenter in self._opened.values()]

    @staticmethod
    def _open(settings: str) -> Segmenter:
        if settings:
            try:
                said = parse_json(settings)
                return reopen_segmenter(said if isinstance(said, dict) else {})
            except (SegmentationError, ValueError) as error:
                _LOG.warning("labels are made by the default segmenter, and not as recorded: %s", error)
        return open_segmenter(SegmentationConfig())


class _Reconstruction:
    """Computes the images of one frame after another, and compares them with what was recorded."""

    def __init__(self, archive: Archive, methods: RecordedMethods, *, has_sigma: bool) -> None:
        self._archive = archive
        self._methods = methods
        self._has_sigma = has_sigma
        self._method_ids = _method_ids(archive.rows())
        self._segmenters = _RecordedSegmenters(archive)
        self._differences_rad: list[float] = []
        self.method: LiveMethod | None = None
        self._discs: dict[str, Disc] = {}

    def images(self, row: StoredRow) -> dict[str, NDArray[Any]]:
        """Return the images of a frame: the recorded ones, where something that may have made them gives them again."""
        tries = self._methods.tried(row, self._method_ids[row.index])
        first = self._computed(row, *next(tries))
        best = first
        while best.difference_rad and (against := next(tries, None)) is not None:
            other = self._computed(row, *against)
            best = other if other.difference_rad == 0.0 else first
        self._differences_rad += [] if best.difference_rad is None else [best.difference_rad]
        self.method = best.method
        self._discs[best.method.id] = best.method.mask
        return best.images

    def _computed(self, row: StoredRow, method: LiveMethod, reference: NDArray[np.float32]) -> _Computed:
        phase, sigma = _estimate(method, self._archive.read("speckle", row.index), reference)
        phase = np.where(method.mask, phase, np.float32(0))
        sigma = None if sigma is None else np.where(method.mask, sigma, np.float32(0))
        labels = _labels(self._segmenters.of(row), row, phase, method.mask, sigma)
        images: dict[str, NDArray[Any]] = {"phase": phase, "labels": labels}
        if self._has_sigma:
            images["uncertainty"] = np.full_like(phase, np.nan) if sigma is None else sigma
        difference_rad = None
        if (row.model_id, row.engine) == (method.id, method.engine) and ROW_NOT_RECONSTRUCTED not in row.extra:
            recorded = self._archive.read("phase", row.index)
            is_equal = np.array_equal(phase, recorded, equal_nan=True)
            difference_rad = 0.0 if is_equal else float(np.nanmax(np.abs(phase - recorded)))
        return _Computed(method, images, difference_rad)

    def facts(self) -> dict[str, object]:
        differences = self._differences_rad
        disc: Disc = np.logical_or.reduce(list(self._discs.values()))
        return {
            DISC: described_disc(disc),
            "segmentation": self._segmenters.used,
            "frames_compared": len(differences),
            "frames_equal": differences.count(0.0),
            "largest_difference_rad": max(differences, default=None),
        }


def _reconstructed(
    archive: Archive, kind: ResultKind, rows: Sequence[StoredRow], options: RecordingOptions, watch: _Watch
) -> StoredResult | None:
    methods = RecordedMethods(archive, options)
    first, _ = methods.at(rows[0], _method_ids(archive.rows())[rows[0].index])
    has_sigma = isinstance(first, UncertainMethod) and first.has_sigma
    work = _Reconstruction(archive, methods, has_sigma=has_sigma)
    layers = ("phase", "uncertainty", "labels") if has_sigma else ("phase", "labels")
    card = ResultCard(
        kind=kind,
        name=f"{_NAMES[kind]} with {first.name}",
        created_utc=utc_now(),
        method=first.name,
        method_id=first.id,
        engine=first.engine,
        reference=methods.source,
    )
    try:
        with new_result(archive.path, card, [row.index for row in rows], dict.fromkeys(layers, first.mask.shape)) as writer:
            for row in watch.each(rows):
                writer.add(work.images(row))
            engine = first.engine if work.method is None else work.method.engine  # a failing engine is replaced
            writer.card = replace(card, engine=engine, facts=work.facts())
    except _StoppedError:
        return None
    return StoredResult(writer.path)


def _estimate(method: LiveMethod, pixels: NDArray[Any], reference: NDArray[np.float32]) -> Estimate:
    """Compute phase and standard deviation as the live view does."""
    if isinstance(method, UncertainMethod):
        return method.run_with_sigma(pixels, reference)
    return method.run(pixels, reference), None


def _labels(
    segmenter: Segmenter,
    row: StoredRow,
    phase_rad: NDArray[np.float32],
    mask: NDArray[np.bool_],
    std_rad: NDArray[np.float32] | None,
) -> NDArray[np.uint16]:
    """Return the labels of a phase as the live view does: none where the frame is not readable."""
    marks = set(str(row.extra.get(ROW_MARKS, "")).split(","))
    if marks & _UNREADABLE or not np.isfinite(phase_rad).all():
        return np.zeros(phase_rad.shape, np.uint16)
    return segmenter.segment(phase_rad, mask, std_rad).labels


def _recorded_std(archive: Archive, row: StoredRow) -> NDArray[np.float32] | None:
    """Return the recorded standard deviation of a phase; None where it is not known."""
    if "uncertainty" not in archive.arrays:
        return None
    std = archive.read("uncertainty", row.index)
    return None if np.isnan(std).all() else np.asarray(std, np.float32)


def _shown_disc(archive: Archive, rows: Sequence[StoredRow]) -> Disc:
    """Return the disc of the fibre that recorded phases show: where one of them is not 0."""
    mask: Disc = np.zeros(archive.spec("phase").shape, np.bool_)
    for row in rows[:: max(1, len(rows) // _DISC_FRAMES)]:
        phase = archive.read("phase", row.index)
        mask |= np.isfinite(phase) & (phase != 0)
    return mask


def _method_ids(rows: Sequence[StoredRow]) -> dict[int, str]:
    """Return for each row the hash of what reconstructed it; for one without a phase, that of the row before or after it."""
    known = [row.model_id for row in rows if row.model_id]
    last, ids = known[0] if known else "", {}
    for row in rows:
        last = row.model_id or last
        ids[row.index] = last
    return ids
