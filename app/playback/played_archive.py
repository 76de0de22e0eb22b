"""A recording or a dataset that is opened to be played, with the results that lie beside the recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.folder import LockState, lock_state
from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorded_frames import bit_depth_of
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED, ROW_NOT_SEGMENTED
from acquisition.archive.recording_faults import ROW_MARKS, markers
from acquisition.archive.results.disc import Disc
from acquisition.archive.results.stored_result import ResultKind, StoredResult
from acquisition.archive.rows import StorageError, StoredRow
from acquisition.exchange.export_base import RECORDING, known_discs
from acquisition.patterns.sources import DEFAULT_PHASE_RANGE_RAD
from app.playback.played_frame import Layer, PlayedFrame
from app.playback.timeline import Timeline
from app.status import LiveView, Overlay
from drivers.base import Frame, FrameMark
from drivers.visible_text import visible
from reconstruction.base import Reconstruction
from reconstruction.cells.table import CellScale
from reconstruction.sampling import Sampling

#: Engine of a phase that was not computed now.
_RECORDED = "recorded"
#: What is said of a frame that has no phase, or no labels.
NOT_RECONSTRUCTED: Final = "Not reconstructed"
NOT_SEGMENTED: Final = "Not segmented"
_NO_FRAME: Final = np.zeros((1, 1), np.uint8)
_ARRAYS: Mapping[Layer, str] = {
    Layer.SPECKLE: "speckle",
    Layer.PHASE: "phase",
    Layer.UNCERTAINTY: "uncertainty",
    Layer.LABELS: "labels",
    Layer.PATTERN: "phase",
}
_TYPES: Mapping[Layer, type[np.generic]] = {
    Layer.PHASE: np.float32,
    Layer.UNCERTAINTY: np.float32,
    Layer.LABELS: np.uint16,
    Layer.PATTERN: np.float32,
}

#: What is said where every value of a layer is NaN.
_UNKNOWN: Mapping[Layer, str] = {
    Layer.PHASE: NOT_RECONSTRUCTED,
    Layer.UNCERTAINTY: "The uncertainty of this frame is not known",
}

_T = TypeVar("_T")


class _MissingError(Exception):
    """A frame was never given this layer; the text says so."""


@dataclass(frozen=True, kw_only=True)
class PlayedFacts:
    """What is known of a whole archive.

    Parameters
    ----------
    name : str
        Its name, for people.
    is_recording : bool
        Whether its phases are results. Those of a dataset are the patterns on the SLM.
    field_um : float
        Width of the camera's field, in micrometres.
    full_scale : int
        The count at which the camera saturates.
    phase_range_rad : float
        The phase of white, in radians.
    is_being_written : bool
        Whether further frames may come.
    problems : tuple of str
        What is wrong with it, each as a sentence for the operator.
    """

    name: str
    is_recording: bool
    field_um: float
    full_scale: int
    phase_range_rad: float
    is_being_written: bool
    problems: tuple[str, ...] = ()


class PlayedArchive:
    """The frames of an archive as they were when it was opened; frames that come later are there when it is opened again.

    An archive with damaged parts is played without them. Only one thread reads frames at a time.

    Parameters
    ----------
    path : Path
        Its folder.

    Raises
    ------
    StorageError
        It is no archive, or its journal or the description of its frames cannot be read.

    Attributes
    ----------
    rows : tuple of StoredRow
        The frames, which are numbered from 0.
    timeline : Timeline
        When they were exposed.
    results : tuple of StoredResult
        The results that were computed later, the oldest first.
    facts : PlayedFacts
        What is known of the whole archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Before the rows: what ends meanwhile is looked at once more, and nothing is missed.
        is_being_written = lock_state(path) is LockState.HELD
        self._archive = archive = Archive.open(path)
        self._problems: list[str] = []
        self._metadata: Mapping[str, object] = self._known(lambda: archive.metadata, {})
        self.rows = archive.intact_rows()
        damaged = len(archive) - len(self.rows)
        if damaged:
            self._problems.append(f"{damaged} of {len(archive)} frames are damaged in its journal, and left out")
        self.timeline = Timeline.of(self.rows, self._known(lambda: markers(archive), ()))
        nowhere: Mapping[str, Disc] = {}
        self._discs = self._known(lambda: known_discs(archive), nowhere)
        results, unreadable = archive.results()
        self.results = tuple(results)
        self._problems += unreadable
        bits = 8 * np.dtype(archive.spec(_ARRAYS[Layer.SPECKLE]).dtype).itemsize
        self._bit_depth = self._known(lambda: bit_depth_of(archive), bits)
        if len(self.rows) > 1 and not self.timeline.are_true:
            self._problems.append("Its recorded times do not rise, so that its frames are played evenly")
        self.facts = self._facts(is_being_written=is_being_written)

    def _known(self, ask: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return ask()
        except StorageError as error:
            self._problems.append(str(error))
            return otherwise

    def _facts(self, *, is_being_written: bool) -> PlayedFacts:
        archive = self._archive
        kind = self._known(lambda: archive.kind, ArchiveKind.RECORDING)
        nothing: Mapping[str, str] = {}
        status = self._known(lambda: archive.status, nothing)
        width_px = archive.spec(_ARRAYS[Layer.SPECKLE]).shape[-1]
        pixel_um = self._number("pixel_um")
        if pixel_um is None:
            self._problems.append("Its pixel size is unknown: a camera pixel counts as 1 \N{MICRO SIGN}m")
        return PlayedFacts(
            name=visible(status.get("name") or self.path.name),
            is_recording=kind is ArchiveKind.RECORDING or RECORDING in self._metadata,
            field_um=width_px * (pixel_um or 1.0),
            full_scale=2**self._bit_depth - 1,
            phase_range_rad=self._number("phase_range_rad") or DEFAULT_PHASE_RANGE_RAD,
            is_being_written=is_being_written,
            problems=tuple(dict.fromkeys(self._problems)),
        )

    def _number(self, key: str) -> float | None:
        value = self._metadata.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < np.inf
        return float(value) if is_number else None  # type: ignore[arg-type]  # it is a number

    def cell_scale(self, columns: int) -> CellScale:
        """Return what is known of pixel, light and dry matter where a picture has so many columns over the whole field."""
        known_um = self._number("pixel_um")
        return CellScale(
            pixel_um=None if known_um is None else self.facts.field_um / columns,
            wavelength_um=self._number("wavelength_um"),
            refractive_increment_um3_per_pg=self._number("refractive_increment_um3_per_pg"),
        )

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What is stored of the frames."""
        layers = (Layer.PHASE, Layer.UNCERTAINTY, Layer.LABELS) if self.facts.is_recording else (Layer.PATTERN,)
        return (Layer.SPECKLE, *(layer for layer in layers if _ARRAYS[layer] in self._archive.arrays))

    @cached_property
    def reconstructed(self) -> NDArray[np.bool_]:
        """Which frames have a recorded phase, shape (N,); in a dataset all of them."""
        return np.array([ROW_NOT_RECONSTRUCTED not in row.extra for row in self.rows], np.bool_)

    def has_phase(self, result: StoredResult | None) -> NDArray[np.bool_]:
        """Return which frames have a phase if a result is played, shape (N,)."""
        if result is None or result.card.kind is ResultKind.SEGMENTATION:
            return self.reconstructed
        computed = np.array([row.index in result for row in self.rows], np.bool_)
        return computed | self.reconstructed if result.card.kind is ResultKind.SKIPPED_FRAMES else computed

    def load(self, position: int, result: StoredResult | None = None) -> PlayedFrame:
        """Read a frame.

        Parameters
        ----------
        position : int
            Its number, from 0.
        result : StoredResult, optional
            Take phase, labels and uncertainty from this result, where it has them for this frame. A result of skipped frames
            is completed by what was recorded.
        """
        row = self.rows[position]
        images: dict[Layer, NDArray[Any]] = {}
        missing: dict[Layer, str] = {}
        broken: set[Layer] = set()
        for layer in Layer:
            try:
                images[layer] = self._image(layer, row, result)
            except _MissingError as error:
                missing[layer] = str(error)
            except (StorageError, OSError, ValueError) as error:
                missing[layer] = self._damage(error)
                broken.add(layer)
        return PlayedFrame(
            position=position,
            row=row,
            overlay=self._overlay(row, images, self._disc(row, result), _sampling(row, result)),
            pattern_rad=images.get(Layer.PATTERN),
            missing=missing,
            broken=frozenset(broken),
            nbytes=sum(image.nbytes for image in images.values()),
        )

    def _image(self, layer: Layer, row: StoredRow, result: StoredResult | None) -> NDArray[Any]:
        image: NDArray[Any]
        if result is not None and layer in result.layers and row.index in result:
            image = result.read(layer, row.index)
        else:
            self._check_recorded(layer, row, result)
            image = self._archive.read(_ARRAYS[layer], row.index)
        # So version 0.1.0 recorded a frame without a phase, and so a result says that it does not know the uncertainty.
        if layer in _UNKNOWN and np.isnan(image).all():
            raise _MissingError(_UNKNOWN[layer])
        return image.astype(_TYPES[layer], copy=False) if layer in _TYPES else image

    def _check_recorded(self, layer: Layer, row: StoredRow, result: StoredResult | None) -> None:
        """Raise _MissingError where this layer was not recorded for a frame, or is not played with a result."""
        if layer is Layer.SPECKLE:
            return
        is_pattern = layer is Layer.PATTERN
        if is_pattern is self.facts.is_recording:
            raise _MissingError("A recording holds no pattern" if is_pattern else "A dataset holds patterns and no results")
        if result is not None and not is_pattern and not _is_completed_by_recorded(result, layer, row):
            raise _MissingError(f"The result '{result.card.name}' has no {layer.value} of this frame")
        if not is_pattern and ROW_NOT_RECONSTRUCTED in row.extra:
            raise _MissingError(NOT_RECONSTRUCTED)
        if _ARRAYS[layer] not in self._archive.arrays:
            raise _MissingError(f"There is no {layer.value} in {self.facts.name}")
        if layer is Layer.LABELS and ROW_NOT_SEGMENTED in row.extra:
            raise _MissingError(NOT_SEGMENTED)

    def _damage(self, error: Exception) -> str:
        if not self.path.is_dir():
            return f"{self.path} is not there any more: connect its disk again, or check whether it was moved"
        reason = " ".join(str(error).split())
        return f"{reason[:1].upper()}{reason[1:]}"

    def _disc(self, row: StoredRow, result: StoredResult | None) -> Disc | None:
        """Return where the phase of a frame means something; None where nobody has stored it."""
        if result is None or Layer.PHASE not in result.layers or row.index not in result:
            return self._discs.get(row.model_id)
        return result.disc

    def _overlay(
        self, row: StoredRow, images: Mapping[Layer, NDArray[Any]], disc: Disc | None, sampling: Sampling | None
    ) -> Overlay:
        phase_rad, labels = images.get(Layer.PHASE), images.get(Layer.LABELS)
        frame = Frame(
            images.get(Layer.SPECKLE, _NO_FRAME),
            row.frame_index,
            row.t_ns,
            row.exposure_s,
            self._bit_depth,
            row.pattern_id or None,
            marks=_marks(row),
        )
        reconstruction = None
        if phase_rad is not None:
            reconstruction = Reconstruction(
                phase_rad,
                row.frame_index,
                row.latency_s or 0.0,
                0.0,
                row.model_id,
                _RECORDED,
                disc,
                uncertainty_rad=images.get(Layer.UNCERTAINTY),
                recorded_labels=labels,
                is_recorded=True,
                sampling=sampling,
            )
            labels = reconstruction.recorded_labels
        return Overlay(LiveView(frame, reconstruction), labels, 0.0)


def _is_completed_by_recorded(result: StoredResult, layer: Layer, row: StoredRow) -> bool:
    """Whether a layer of a frame that a result does not have is taken from what was recorded."""
    kind = result.card.kind
    return (kind is ResultKind.SKIPPED_FRAMES and row.index not in result) or (
        kind is ResultKind.SEGMENTATION and layer is not Layer.LABELS
    )


def _sampling(row: StoredRow, result: StoredResult | None) -> Sampling | None:
    """Return how the phase of a frame was drawn; a result of the same model was drawn in the same way."""
    same = result is None or result.card.method_id in ("", row.model_id)
    return Sampling.of_facts(row.extra) if same else None


def _marks(row: StoredRow) -> tuple[FrameMark, ...]:
    known = {mark.value: mark for mark in FrameMark}
    return tuple(known[text] for text in str(row.extra.get(ROW_MARKS, "")).split(",") if text in known)
