"""A part of an archive that is exported like a whole one: some frames, some layers, or with a later result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from acquisition.archive.kinds import EventKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED, ROW_NOT_SEGMENTED
from acquisition.archive.recording_faults import NOT_RECONSTRUCTED, NOT_SEGMENTED, event_frames
from acquisition.archive.results.stored_result import LAYERS, ResultKind, StoredResult
from acquisition.archive.rows import Event, StorageError, StoredRow
from acquisition.archive.shards import ArraySpec, Image
from acquisition.exchange.export_base import ExportError

#: Key of the metadata of an export that says which part of the archive it holds.
EXCERPT = "excerpt"


@dataclass(frozen=True, kw_only=True)
class FrameRange:
    """Which frames of an archive; they are numbered from 0.

    Parameters
    ----------
    first : int
        The first one.
    last : int, optional
        The last one; None for the end of the archive.
    every_nth : int
        Only every so many frames, beginning with the first one.
    """

    first: int = 0
    last: int | None = None
    every_nth: int = 1

    def numbers(self, count: int) -> range:
        """Return the numbers of the frames in an archive of so many.

        Raises
        ------
        ExportError
            There are no such frames.
        """
        last = count - 1 if self.last is None else self.last
        if self.every_nth < 1:
            raise ExportError(f"every {self.every_nth}th frame cannot be exported; give 1 for all frames, or more")
        if not 0 <= self.first <= last < count:
            raise ExportError(f"there are no frames {self.first} to {last}, but frames 0 to {count - 1}; choose among these")
        return range(self.first, last + 1, self.every_nth)


def frames_between(archive: Archive, start_s: float, end_s: float | None, every_nth: int = 1) -> FrameRange:
    """Return the frames that were exposed between two times in seconds after the first frame; both ends count.

    Raises
    ------
    ExportError
        There is no frame between them, or the recorded times do not rise, so that nobody knows which frames these are.
    """
    times_ns = np.array([row.t_ns for row in archive.rows()], np.int64)
    if not len(times_ns) or (np.diff(times_ns) < 0).any():
        raise ExportError(f"{archive.path.name}: its recorded times do not rise; give numbers of frames instead of seconds")
    times_s = (times_ns - times_ns[0]) * 1e-9
    # Half a microsecond: a time that people read and type has been rounded.
    inside = np.flatnonzero((times_s >= start_s - 5e-7) & (times_s <= (np.inf if end_s is None else end_s) + 5e-7))
    if not len(inside):
        end = "the end" if end_s is None else f"{end_s:g} s"
        raise ExportError(f"there is no frame from {start_s:g} s to {end}: {archive.path.name} is {times_s[-1]:g} s long")
    return FrameRange(first=int(inside[0]), last=int(inside[-1]), every_nth=every_nth)


@dataclass(frozen=True, kw_only=True)
class Part:
    """What of an archive is exported.

    Parameters
    ----------
    frames : FrameRange
        Which frames.
    layers : tuple of str, optional
        Which arrays; None for all.
    result : StoredResult, optional
        Take phase, labels and uncertainty from this result.
    facts : mapping
        Further metadata, such as notes that were written after the recording.
    on_read : callable
        Called before each image that is read; what it raises ends the export.
    """

    frames: FrameRange = field(default_factory=FrameRange)
    layers: tuple[str, ...] | None = None
    result: StoredResult | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    on_read: Callable[[], None] = lambda: None


class Excerpt(Archive):
    """A part of an archive. Its frames are numbered from 0, and keep the camera's own numbers and times.

    Parameters
    ----------
    archive : Archive
        The archive.
    part : Part
        What of it.

    Raises
    ------
    ExportError
        The archive has no such frames or layers, or the result does not fit.
    StorageError
        The journal of one of the frames is damaged.
    """

    def __init__(self, archive: Archive, part: Part) -> None:
        super().__init__(archive.path, dict(archive.metadata))
        self._archive = archive
        self._part = part
        self._layers = super().arrays
        self._numbers = part.frames.numbers(super().__len__())
        self._layers = self._chosen_layers()
        self._chosen = tuple(self._changed_row(super(Excerpt, self).row(number)) for number in self._numbers)
        self._is_whole = self._numbers == range(super().__len__()) and part.result is None and self._layers == super().arrays

    def _chosen_layers(self) -> tuple[str, ...]:
        offered = offered_layers(self, self._part.result)
        if self._part.layers is None:
            return offered
        unknown = [name for name in self._part.layers if name not in offered]
        if unknown or not self._part.layers:
            asked = f"no layer {unknown[0]!r}" if unknown else "no layers chosen"
            raise ExportError(f"{self.path.name} has {asked}; choose from {', '.join(offered)}")
        return tuple(name for name in offered if name in self._part.layers)

    def _changed_row(self, row: StoredRow) -> StoredRow:
        """Return a row with the check sums and facts of the result."""
        result = self._part.result
        if result is None or row.index not in result:
            return row
        sums = {name: result.crc32(name, row.index) for name in self._layers if name in result.layers}
        row = replace(row, crc32={**row.crc32, **sums})
        dropped = {ROW_NOT_SEGMENTED} if "labels" in result.layers else set()
        if result.card.kind is not ResultKind.SEGMENTATION:
            dropped |= {ROW_NOT_RECONSTRUCTED}
            row = replace(row, model_id=result.card.method_id, engine=result.card.engine, latency_s=None)
        return replace(row, extra={key: value for key, value in row.extra.items() if key not in dropped})

    @property
    def numbers(self) -> range:
        """The numbers of the chosen frames in the archive."""
        return self._numbers

    # -- what the formats ask --------------------------------------------------------------------------------------

    @property
    def metadata(self) -> dict[str, object]:
        """Facts about the run, about this part of it, and about the result."""
        metadata = {**super().metadata, **self._part.facts}
        return metadata if self._is_whole else {**metadata, EXCERPT: self._described()}

    def _described(self) -> dict[str, object]:
        numbers, result = self._numbers, self._part.result
        described: dict[str, object] = {
            "first_frame": numbers[0],
            "last_frame": numbers[-1],
            "every_nth_frame": numbers.step,
            "frames_of_archive": super().__len__(),
            "layers": list(self._layers),
        }
        if result is not None:
            card = result.card
            described["result"] = {
                "kind": card.kind.value,
                "name": card.name,
                "created_utc": card.created_utc,
                "method": card.method,
                "method_id": card.method_id,
                "engine": card.engine,
                "reference": card.reference,
            }
        return described

    @property
    def status(self) -> Mapping[str, str]:
        """Facts about the whole archive, with the numbers of frames without phase and labels in this part."""
        status = dict(super().status)
        for key, mark in ((NOT_RECONSTRUCTED, ROW_NOT_RECONSTRUCTED), (NOT_SEGMENTED, ROW_NOT_SEGMENTED)):
            if key in status and not self._is_whole:
                status[key] = str(sum(mark in row.extra for row in self._chosen))
        return status

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the chosen layers."""
        return self._layers

    def check_array(self, name: str) -> None:
        """Raise StorageError when this layer was not chosen, or its description was changed."""
        self._known(name)

    def spec(self, name: str) -> ArraySpec:
        """Return shape and dtype of the images of a layer; of the speckle also where it was not chosen: it is the scale."""
        result = self._part.result
        if result is not None and name in result.layers and name in self.arrays:
            return ArraySpec(name, result.shape(name), LAYERS[name], compress=True)
        return self._archive.spec(name)

    def __len__(self) -> int:
        return len(self._numbers)

    def rows(self) -> tuple[StoredRow, ...]:
        """Return the rows of the chosen frames."""
        return self._chosen

    def intact_rows(self) -> tuple[StoredRow, ...]:
        """Return the rows of the chosen frames: all are intact."""
        return self._chosen

    def row(self, index: int) -> StoredRow:
        """Return the row of a chosen frame; raises StorageError outside 0 to ``len - 1``."""
        if not 0 <= index < len(self._chosen):
            raise StorageError(f"{self.path.name}: no frame {index} among the {len(self._chosen)} chosen ones")
        return self._chosen[index]

    def read(self, name: str, index: int, *, check: bool = True) -> Image:
        """Return the image of a layer of a chosen frame; errors as for an archive."""
        self._part.on_read()
        row, result = self.row(index), self._part.result
        if result is None or name not in result.layers or name not in self.arrays:
            return super().read(name, index, check=check)
        if row.index in result:
            return result.read(name, row.index)
        if name not in super().arrays or self._archive.spec(name).shape != result.shape(name):
            raise ExportError(f"the result '{result.card.name}' has no {name} of frame {row.index}; choose another range")
        return super().read(name, index, check=check)

    def events(self) -> tuple[Event, ...]:
        """Return the events of the archive; of the markers, only those within these frames."""
        events = super().events()
        if self._is_whole:
            return events
        first = self._chosen[0].frame_index if self._numbers[0] else None
        is_open = self._numbers[-1] + self._numbers.step >= super().__len__()
        last = None if is_open else self._chosen[-1].frame_index
        return tuple(event for event in events if event.kind is not EventKind.MARKER or _is_within(event, first, last))


def _is_within(event: Event, first: int | None, last: int | None) -> bool:
    return all((first is None or number >= first) and (last is None or number <= last) for number in event_frames(event))


def offered_layers(archive: Archive, result: StoredResult | None = None) -> tuple[str, ...]:
    """Return the layers that can be exported of an archive, with a result or as it was recorded."""
    if result is None:
        return archive.arrays
    recorded = archive.arrays
    if result.card.kind is ResultKind.RECONSTRUCTION:  # what was recorded beside the phase belongs to the recorded phase
        recorded = tuple(name for name in recorded if name not in LAYERS or name in result.layers)
    return (*recorded, *(name for name in LAYERS if name in result.layers and name not in recorded))


def result_of(archive: Archive, name: str) -> StoredResult:
    """Return the result of an archive by the name of its folder, or by its own name.

    Raises
    ------
    ExportError
        There is none, or several have this name.
    """
    results, problems = archive.results()
    named = [one for one in results if name in (one.path.name, one.card.name)]
    if len(named) == 1:
        return named[0]
    known = ", ".join(one.path.name for one in results) or "none"
    damaged = f" ({'; '.join(problems)})" if problems else ""
    reason = "several results are" if named else "no result is"
    raise ExportError(f"{archive.path.name}: {reason} called {name!r}; there are: {known}{damaged}")


def excerpt_of(path: Path, part: Part) -> Excerpt:
    """Open a part of the archive in a folder; raises ExportError and StorageError as :class:`Excerpt` does."""
    return Excerpt(Archive.open(path), part)
