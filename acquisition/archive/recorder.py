"""Recording the live view: camera frames and their reconstructions, without loss, or stopped with the reason."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.kinds import ArchiveKind, EventKind, FinishReason, RecordingEnd
from acquisition.archive.recording_faults import (
    ENDED_BY,
    FRAMES_MISSING,
    NOT_COMPRESSED,
    NOT_RECONSTRUCTED,
    NOT_SEGMENTED,
    ROW_MARKS,
    FaultLog,
    RecordingFault,
    complete_verdict,
)
from acquisition.archive.references import StoredReference
from acquisition.archive.rows import ExtraValue, exposure_utc
from acquisition.archive.shards import Image
from acquisition.archive.writer import (
    ArchiveSpec,
    ArchiveWriter,
    ArraySpec,
    NotOnDiskError,
    PairRow,
    StorageError,
    WrongImageError,
)
from acquisition.streams.channel import Channel, ChannelClosedError, ChannelOverflowError
from drivers.base import Frame, FrameMark

#: Keys of a row's further facts: this frame has no phase (its image is NaN), no labels (its image is 0).
ROW_NOT_RECONSTRUCTED, ROW_NOT_SEGMENTED = "not_reconstructed", "not_segmented"
#: What the labels of a frame depend on, as JSON, where it is not what the metadata say.
ROW_SEGMENTER = "segmenter"
#: Shards that are written at a time, while the next one fills: most disks are faster with several.
_SHARDS_BESIDE = 3
#: How the journal names the frames with a mark, and what its event says.
_MARKS: Mapping[FrameMark, tuple[EventKind, str]] = {
    FrameMark.NAN: (
        EventKind.FRAME_NAN,
        "the reconstruction has values that are not numbers; compile the model again",
    ),
    FrameMark.DARK: (EventKind.FRAME_DARK, "next to no light; check laser, shutter and fibre"),
    FrameMark.SATURATED: (EventKind.FRAME_SATURATED, "too many pixels are saturated; shorten the exposure"),
    FrameMark.FROZEN: (EventKind.FRAME_FROZEN, "the camera delivered the same picture again; restart it"),
    FrameMark.DECORRELATED: (
        EventKind.FRAME_DECORRELATED,
        "the picture has nothing in common with the reference: the fibre has moved; re-tune",
    ),
}


@dataclass(frozen=True, eq=False)
class RecordItem:
    """One frame and its reconstruction.

    Parameters
    ----------
    frame : Frame
        The raw camera frame.
    phase_rad : ndarray of float32, shape (h, w)
        Its reconstructed phase in radians, on the model's grid.
    model_id : str
        Content hash of the model's weights.
    engine : str
        Name (and hash, where it has one) of the engine that ran.
    latency_s : float
        Time from the end of exposure to the finished reconstruction, in seconds.
    labels : ndarray of uint16, shape (h, w), optional
        Segmentation: the number of the object at each pixel; 0 is background.
    uncertainty_rad : ndarray of float32, shape (h, w), optional
        Standard deviation of the phase in radians.
    disc : ndarray of bool, shape (h, w), optional
        Where the phase means something: the disc of the fibre. Every item of a method has the same one.
    reconstructed, segmented : bool
        Whether the phase and the labels are a result. If not, every pixel of the phase is NaN, or every label is 0, and the
        row says so: a label 0 alone means that there is no object.
    method_facts : mapping of str to str, int or float
        What the row says of how the phase was computed, beside model and engine.
    """

    frame: Frame
    phase_rad: NDArray[np.float32]
    model_id: str
    engine: str
    latency_s: float
    labels: NDArray[np.uint16] | None = None
    uncertainty_rad: NDArray[np.float32] | None = None
    disc: NDArray[np.bool_] | None = None
    reconstructed: bool = True
    segmented: bool = True
    method_facts: Mapping[str, ExtraValue] = field(default_factory=dict)

    def facts(self) -> dict[str, ExtraValue]:
        """Return what the row says beside the fields that every row has."""
        facts: dict[str, ExtraValue] = dict(self.method_facts)
        if self.frame.device_ns is not None:
            facts["device_ns"] = self.frame.device_ns
        if not self.reconstructed:
            facts[ROW_NOT_RECONSTRUCTED] = 1
        if not self.segmented:
            facts[ROW_NOT_SEGMENTED] = 1
        if self.frame.marks:
            facts[ROW_MARKS] = ",".join(self.frame.marks)
        return facts

    def images(self) -> dict[str, Image]:
        """Return the item's images by array name."""
        known: dict[str, Image | None] = {
            "speckle": self.frame.pixels,
            "phase": self.phase_rad,
            "labels": self.labels,
            "uncertainty": self.uncertainty_rad,
        }
        return {name: image for name, image in known.items() if image is not None}


class Recorder:
    """Writes every item of a channel to one recording; :meth:`run` is the work of a stage.

    The archive is created when the first item comes, because that item decides the arrays and their shapes.

    Parameters
    ----------
    root : Path
        Folder for archives.
    name : str
        Name for people; part of the archive's name.
    metadata : mapping
        Facts about the session, plain YAML values; exports use ``pixel_um`` as the physical pixel size.
    channel : Channel of RecordItem
        With ``Overflow.FAIL``; a producer whose item no longer fits closes the channel with that error.
    seal_after_s : float
        A frame is written at most this long after it came, in seconds, also when no further frame comes.

    Attributes
    ----------
    finish_reason : FinishReason or None
        Why recording finished; None while it runs.
    verdict : str
        The same for people: ``complete``, ``complete, with N faults: ...``, or ``stopped at frame N: reason``. Empty while
        recording runs.
    frames_skipped : int
        Frames that the camera captured but that never came to the recorder, because inference dropped them.
    frames_not_reconstructed, frames_not_segmented : int
        Frames that came without a phase, and without labels.
    log : FaultLog
        Faults; any thread may add one.

    Examples
    --------
    >>> recorder = Recorder(root, "cells", metadata, channel)  # doctest: +SKIP
    >>> stage = Stage("recorder", recorder.run)  # doctest: +SKIP
    """

    def __init__(
        self,
        root: Path,
        name: str,
        metadata: Mapping[str, object],
        channel: Channel[RecordItem],
        seal_after_s: float = 1.0,
    ) -> None:
        self._root = root
        self._name = name
        self._metadata = metadata
        self._channel = channel
        self._seal_after_s = seal_after_s
        self._writer: ArchiveWriter | None = None
        self._ended_by = RecordingEnd.OPERATOR
        #: Whether a gap in the numbers of the frames means that frames were skipped; not where they are left out on purpose.
        self.expects_every_frame = True
        #: Called before each shard is written; see :class:`acquisition.archive.writer.ArchiveWriter`.
        self.check_disk: Callable[[], None] = lambda: None
        self.finish_reason: FinishReason | None = None
        self.verdict = ""
        self.frames_skipped = 0
        self.frames_not_reconstructed = 0
        self.frames_not_segmented = 0
        self.log = FaultLog()
        self._faults_stored_s = time.monotonic()
        self._references: deque[StoredReference] = deque()
        self._methods: set[str] = set()  # whose disc is stored
        self._next_index: int | None = None
        #: The marks of the last frame, with the frames in a row that have them; replaced as a whole.
        self._runs: Mapping[FrameMark, range] = {}

    @property
    def path(self) -> Path | None:
        """The recording's folder; None before the first item."""
        return self._writer.path if self._writer else None

    @property
    def frames_recorded(self) -> int:
        """Frames that are safe on disk."""
        return self._writer.acknowledged if self._writer else 0

    @property
    def frames_not_compressed(self) -> int:
        """Frames on disk that were not compressed, because the disk had to catch up."""
        return self._writer.uncompressed if self._writer else 0

    @property
    def faults(self) -> dict[str, int]:
        """The number of faults by kind, with those of frames whose run of marks goes on."""
        counts = self.log.faults
        for mark, frames in self._runs.items():
            kind = _MARKS[mark][0].value
            counts[kind] = counts.get(kind, 0) + len(frames)
        return counts

    def put_reference(self, reference: StoredReference) -> None:
        """Store what the frames are reconstructed against; any thread may call it.

        It is written before the next frame. Until the first frame came, the newest reference for it replaces older ones.
        """
        self._references.append(reference)

    def end(self, ended_by: RecordingEnd) -> None:
        """Say what ends the recording, before the channel is closed; it is stored when the recorder finishes."""
        self._ended_by = ended_by

    def run(self, stop: threading.Event) -> None:
        """Record until the channel closes or ``stop`` is set; items that the channel still holds are recorded too.

        At the end ``finish_reason`` and ``verdict`` are set and stored in the archive. In ``stopped at frame N: reason``,
        N is the first frame that is not on disk.

        Raises
        ------
        StorageError
            The disk failed, something that was acknowledged is not on the disk any more, or an item does not fit the
            recording, for instance because the shape of the model's output changed. The channel is closed.
        BaseException
            The error with which the producer closed the channel.
        """
        try:
            for item in self._items(stop):
                self._append(item)
            if self._writer:
                self._complete(self._writer)
            else:
                self._conclude(FinishReason.NO_FRAMES, "stopped at frame 0: no frame came")
        except BaseException as error:
            self._channel.close(error)
            self._ended_by = RecordingEnd.ERROR
            # Frames that came before the error are stored. A failed disk refuses these and the verdict; the error itself still
            # reaches the caller.
            with contextlib.suppress(StorageError):
                if self._writer:
                    self._writer.flush()
                    self._end_runs()
                    self._store_faults()
            reason = " ".join(str(error).split()) or type(error).__name__
            is_lost = isinstance(error, NotOnDiskError)
            verdict = f"not on the disk: {reason}" if is_lost else f"stopped at frame {self.frames_recorded}: {reason}"
            with contextlib.suppress(StorageError):
                self._conclude(_finish_reason(error), verdict)
            raise
        finally:
            if self._writer:
                self._writer.close()

    def _items(self, stop: threading.Event) -> Iterator[RecordItem]:
        while True:
            if stop.is_set():
                self._channel.close()  # it takes no more items, but still gives the ones it holds
            if time.monotonic() - self._faults_stored_s >= self._seal_after_s:
                self._store_faults()
            was_closed = self._channel.closed
            try:
                item = self._channel.get(timeout_s=0.1)
            except ChannelClosedError:
                return
            except TimeoutError:
                if was_closed:  # a closed channel does not time out: this is the producer's own error
                    raise
                if self._writer:
                    self._writer.flush_old()
                continue
            yield item

    def _append(self, item: RecordItem) -> None:
        images = item.images()
        if self._writer is None:
            # 8-bit speckle does not shrink; everything else does.
            arrays = [ArraySpec(k, v.shape, v.dtype.name, compress=v.dtype != np.uint8) for k, v in images.items()]
            spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name=self._name, arrays=arrays, metadata=self._metadata)
            self._writer = ArchiveWriter.create(self._root, spec, None, seal_after_s=self._seal_after_s)
            self._writer.check_disk = self.check_disk
            self._writer.write_beside(_SHARDS_BESIDE)
        frame = item.frame
        self._store_references(self._writer, frame.index)
        if item.disc is not None and item.model_id not in self._methods:
            self._methods.add(item.model_id)
            self._writer.add_disc(item.model_id, item.disc)
        row = PairRow(
            frame_index=frame.index,
            t_ns=frame.t_ns,
            exposure_s=frame.exposure_s,
            pattern_id=frame.pattern_id or "",
            host_utc=exposure_utc(frame.t_ns),
            model_id=item.model_id,
            engine=item.engine,
            latency_s=item.latency_s,
            extra=item.facts(),
        )
        self._writer.append(images, row)
        self.frames_not_reconstructed += not item.reconstructed
        self.frames_not_segmented += not item.segmented
        self._check(frame)

    def _store_references(self, writer: ArchiveWriter, frame_index: int) -> None:
        """Write the references that came since the last frame; one that names no frame holds from this one on."""
        newest: dict[int, StoredReference] = {}
        while self._references:
            reference = self._references.popleft()
            first = frame_index if reference.first_frame is None else reference.first_frame
            newest[first] = replace(reference, first_frame=first)
        for reference in newest.values():
            writer.add_reference(reference)

    def _check(self, frame: Frame) -> None:
        """Count the frames that never came, and join the frames with a mark to runs, each of which becomes one fault."""
        skipped = 0 if self._next_index is None else max(0, frame.index - self._next_index)
        self._next_index = frame.index + 1
        if skipped:
            self.frames_skipped += skipped if self.expects_every_frame else 0
            self._end_runs()
        runs = dict(self._runs)
        for mark in frame.marks:
            first = runs[mark].start if mark in runs else frame.index
            runs[mark] = range(first, frame.index + 1)
        ended = {mark: runs.pop(mark) for mark in self._runs if mark not in frame.marks}
        self._runs = runs
        self._report_runs(ended)

    def _report_runs(self, runs: Mapping[FrameMark, range]) -> None:
        for mark, frames in runs.items():
            kind, text = _MARKS[mark]
            self.log.add(RecordingFault(kind=kind, text=text, count=len(frames), frames=(frames,)))

    def _end_runs(self) -> None:
        runs, self._runs = self._runs, {}
        self._report_runs(runs)

    def _store_faults(self) -> None:
        if self._writer:
            self._faults_stored_s = time.monotonic()
            for fault in self.log.pop_all():
                self._writer.event(fault.kind, fault.event_text())

    def _complete(self, writer: ArchiveWriter) -> None:
        writer.flush()
        self._end_runs()
        self._store_faults()
        self._store_counts(writer)
        verdict = complete_verdict(self.log.faults, self.log.frames_missing)
        writer.complete(verdict)
        writer.event(EventKind.VERDICT, verdict)
        self.finish_reason = FinishReason.COMPLETED
        self.verdict = verdict

    def _conclude(self, reason: FinishReason, verdict: str) -> None:
        self.finish_reason = reason
        self.verdict = verdict
        if self._writer:
            self._store_counts(self._writer)
            self._writer.conclude(reason, verdict)
            self._writer.event(EventKind.VERDICT, verdict)

    def _store_counts(self, writer: ArchiveWriter) -> None:
        counts = {
            "frames_skipped": self.frames_skipped,
            FRAMES_MISSING: self.log.frames_missing,
            NOT_RECONSTRUCTED: self.frames_not_reconstructed,
            NOT_SEGMENTED: self.frames_not_segmented,
            NOT_COMPRESSED: self.frames_not_compressed,
        }
        for key, count in counts.items():
            writer.set_status(key, str(count))
        writer.set_status(ENDED_BY, self._ended_by.value)


def _finish_reason(error: BaseException) -> FinishReason:
    if isinstance(error, ChannelOverflowError):
        return FinishReason.OVERFLOW
    if isinstance(error, StorageError) and not isinstance(error, WrongImageError):
        return FinishReason.DISK_FAILED
    return FinishReason.FAILED
