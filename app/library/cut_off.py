"""What a crash has left: entries that were cut off, how much of each is safe, and a repair that gives them an ending."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from acquisition.archive.folder import LockState, lock_state
from acquisition.archive.kinds import ArchiveKind, EventKind, FinishReason, RecordingEnd
from acquisition.archive.reader import DATA, Archive, damage
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED, ROW_NOT_SEGMENTED
from acquisition.archive.recording_faults import ENDED_BY, NOT_RECONSTRUCTED, NOT_SEGMENTED, event_frames
from acquisition.archive.rows import StorageError, StoredRow
from acquisition.archive.shards import Shards
from acquisition.archive.writer import ArchiveWriter
from app.library.entry import Entry, EntryEnd
from drivers.base import SpeckleScopeError


@dataclass(frozen=True, kw_only=True)
class CutOff:
    """An entry whose writing was cut off.

    Parameters
    ----------
    path : Path
        Its folder.
    kind : ArchiveKind
        What it is.
    safe : int
        Frames or pairs that are whole, from the first one on.
    damaged : int
        Acknowledged ones after them that a repair withdraws, because one of them is damaged or missing.
    lost : int
        Frames after the acknowledged ones of which the recording still tells. There may have been more: what came less than
        about a second before the end was not on the disk.
    """

    path: Path
    kind: ArchiveKind
    safe: int
    damaged: int = 0
    lost: int = 0

    @property
    def text(self) -> str:
        """The same for people, as one sentence."""
        noun = "frame" if self.kind is ArchiveKind.RECORDING else "pair"
        safe = f"{_counted(self.safe, noun)} safe" if self.safe else f"no {noun} is safe"
        damaged = f", {_counted(self.damaged, f'damaged {noun}')} withdrawn by a repair" if self.damaged else ""
        lost = f"at least {_counted(self.lost, noun)} lost" if self.lost else f"{noun}s of about the last second are lost"
        return f"{safe}{damaged}; {lost}"


def look(path: Path) -> CutOff:
    """Return how much of an entry is safe; the images that were written last are read.

    Raises
    ------
    StorageError
        The entry cannot be read.
    """
    archive = Archive.open(path)
    rows = archive.intact_rows()
    safe = next((number for number, row in enumerate(rows) if row.index != number), len(rows))
    last = [row for row in rows[:safe] if row.shard == rows[safe - 1].shard] if safe else []
    safe = min([bad.index for bad in damage(Shards(path / DATA), last)], default=safe)
    return CutOff(path=path, kind=archive.kind, safe=safe, damaged=len(archive) - safe, lost=_lost(archive, rows))


def cut_off_entries(entries: Iterable[Entry]) -> tuple[tuple[Entry, CutOff | SpeckleScopeError], ...]:
    """Return the entries that were cut off, each with how much of it is safe, or why this cannot be told."""
    return tuple((entry, _looked(entry.path)) for entry in entries if entry.end is EntryEnd.CUT_OFF)


def _looked(path: Path) -> CutOff | SpeckleScopeError:
    try:
        return look(path)
    except SpeckleScopeError as error:
        return error


def repair(path: Path) -> CutOff:
    """Give an entry that was cut off an ending: damaged rows at its end are withdrawn, and it says how many are safe.

    A dataset can be resumed before and after it. Nothing that is whole is changed.

    Returns
    -------
    CutOff
        What is safe now.

    Raises
    ------
    StorageError
        It is being written, has an ending already, or cannot be repaired: then ``specklescope certify`` names what is damaged.
    """
    archive = Archive.open(path)
    if archive.finish_reason is not None and lock_state(path) is LockState.FREE:
        raise StorageError(
            f"{path.name} was not cut off: it ended with '{archive.status.get('verdict', '')}'; it needs no repair"
        )
    before = look(path)
    with ArchiveWriter.resume(path) as writer:
        safe = writer.acknowledged
        is_recording = before.kind is ArchiveKind.RECORDING
        verdict = f"cut off at {'frame' if is_recording else 'pair'} {safe}: the program or the computer stopped"
        if is_recording:
            rows = Archive.open(path).rows()
            writer.set_status(NOT_RECONSTRUCTED, str(_having(rows, ROW_NOT_RECONSTRUCTED)))
            writer.set_status(NOT_SEGMENTED, str(_having(rows, ROW_NOT_SEGMENTED)))
            writer.set_status(ENDED_BY, RecordingEnd.ERROR.value)
        writer.conclude(FinishReason.FAILED, verdict)
        writer.event(EventKind.VERDICT, verdict)
    return CutOff(path=path, kind=before.kind, safe=safe, lost=before.lost)


def _having(rows: Iterable[StoredRow], fact: str) -> int:
    return sum(fact in row.extra for row in rows)


def _lost(archive: Archive, rows: tuple[StoredRow, ...]) -> int:
    """Return how many frames after the last acknowledged one the recording names: in its events, or by a reference for them."""
    if archive.kind is not ArchiveKind.RECORDING:
        return 0
    last = rows[-1].frame_index if rows else -1
    try:
        named = [frame for event in archive.events() for frame in event_frames(event)]
        named += [entry.first_frame for entry in archive.references()]
    except StorageError:
        return 0
    return max([0, *(frame - last for frame in named)]) if rows else 0


def _counted(count: int, noun: str) -> str:
    return f"1 {noun} is" if count == 1 else f"{count} {noun}s are"
