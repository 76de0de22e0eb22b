"""Reads one folder of an archive as an entry, and tells by its files whether it has changed since."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TypedDict

import yaml

from acquisition.archive.folder import LOCK, LockState, lock_state
from acquisition.archive.kinds import ArchiveKind, FinishReason
from acquisition.archive.old_names import METADATA, OLD_METADATA
from acquisition.archive.reader import DATA, JOURNAL, Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED
from acquisition.archive.recording_faults import NOT_RECONSTRUCTED
from acquisition.archive.results.stored_result import RESULTS
from acquisition.archive.rows import StorageError
from app.library.entry import Entry, EntryEnd, EntryKind
from app.library.notes import NOTES, Notes, NotesError, recorded_notes, stored_notes
from drivers.safe_text import read_yaml

#: What a signature is made of: these files, and the folder itself.
_FILES = (JOURNAL, f"{JOURNAL}-wal", METADATA, OLD_METADATA, LOCK, NOTES, RESULTS, "export")
#: A file that was changed this short a time ago could change again within the same tick of the disk's clock, in seconds.
_FRESH_S = 3.0
#: How a snapshot's folder is named, and the picture that it always has.
SNAPSHOT_NAME = re.compile(r"(\d{8}-\d{6})_snapshot_(.+)")
SNAPSHOT_PICTURE = "speckle.png"
#: How the folder of a recording or a dataset is named: date and time, kind, name, and an id.
ENTRY_NAME = re.compile(r"(\d{8}-\d{6})_([a-z]+)_(.+)_([0-9a-f]{8})")
#: How the name of the fibre of a twin begins.
_TWIN = "twin "

#: Name, size and time of the last change of each file that tells whether a folder has changed.
Signature = tuple[tuple[str, int, int], ...]


def is_entry(folder: Path) -> bool:
    """Whether a folder is an entry; raises OSError when it cannot be read."""
    names = {path.name for path in folder.iterdir()}
    return JOURNAL in names or (DATA in names and bool({METADATA, OLD_METADATA} & names)) or _is_snapshot(folder, names)


def _is_snapshot(folder: Path, names: set[str]) -> bool:
    return SNAPSHOT_PICTURE in names and SNAPSHOT_NAME.fullmatch(folder.name) is not None


def signature(folder: Path) -> Signature:
    """Return what changes whenever the entry in a folder does; raises OSError when the folder is not there."""
    files = [(".", 0, folder.stat().st_mtime_ns)]
    for name in _FILES:
        with suppress(FileNotFoundError):
            stat = (folder / name).stat()
            files.append((name, stat.st_size, stat.st_mtime_ns))
    return tuple(files)


def is_settled(known: Signature) -> bool:
    """Whether the newest change of a signature is old enough that a later one gives another signature."""
    return time.time() - max(mtime_ns for _, _, mtime_ns in known) * 1e-9 > _FRESH_S


def read_entry(folder: Path) -> Entry:
    """Read a folder as an entry. One that cannot be read is an entry too, with its problem.

    Raises
    ------
    OSError
        The folder is not there.
    """
    size_bytes = folder_bytes(folder)
    notes, problem = None, ""
    try:
        notes = stored_notes(folder)
    except NotesError as error:
        problem = str(error)
    if (folder / JOURNAL).exists() or (folder / DATA).exists():
        try:
            return _archive_entry(folder, size_bytes, notes, problem)
        except StorageError as error:
            name = ENTRY_NAME.fullmatch(folder.name)
            return Entry(
                path=folder,
                kind=EntryKind.UNREADABLE,
                name=name[3] if name else folder.name,
                date=_date("", folder),
                end=EntryEnd.UNKNOWN,
                ended="it cannot be read",
                size_bytes=size_bytes,
                notes=notes or Notes(),
                problem=str(error),
            )
    return _snapshot_entry(folder, size_bytes, notes, problem)


def folder_bytes(folder: Path) -> int:
    """Return the size of all files in a folder; links are not followed."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # deleted meanwhile
                total += (Path(parent) / name).lstat().st_size
    return total


def _archive_entry(folder: Path, size_bytes: int, notes: Notes | None, problem: str) -> Entry:
    state = lock_state(folder)
    archive = Archive.open(folder)
    rows, kind = archive.intact_rows(), archive.kind
    status, metadata = archive.status, archive.metadata
    end, ended = _end(archive, state)
    is_recording = kind is ArchiveKind.RECORDING
    damaged = len(archive) - len(rows)
    if damaged and not problem:
        problem = f"{damaged} of {len(archive)} rows are damaged; specklescope certify names them"
    return Entry(
        path=folder,
        kind=EntryKind.RECORDING if is_recording else EntryKind.DATASET,
        name=status.get("name") or folder.name,
        date=_date(status.get("created_utc", ""), folder),
        end=end,
        ended=ended,
        seconds=max(0, rows[-1].t_ns - rows[0].t_ns) * 1e-9 if rows else 0.0,  # the clock starts again with the computer
        frames=len(archive) if is_recording else 0,
        frames_without_phase=_without_phase(archive) if is_recording else None,
        pairs=0 if is_recording else len(archive),
        size_bytes=size_bytes,
        **_facts(metadata),
        notes=recorded_notes(metadata) if notes is None else notes,
        problem=problem,
    )


def _snapshot_entry(folder: Path, size_bytes: int, notes: Notes | None, problem: str) -> Entry:
    match = SNAPSHOT_NAME.fullmatch(folder.name)
    metadata: object = {}
    with suppress(OSError, ValueError, yaml.YAMLError):  # those of version 0.1.0 have none
        metadata = read_yaml(folder / METADATA)
    facts = metadata if isinstance(metadata, dict) else {}
    has_phase = (folder / "phase_rad.tif").exists()
    return Entry(
        path=folder,
        kind=EntryKind.SNAPSHOT,
        name=match[2] if match else folder.name,
        date=_date("", folder),
        end=EntryEnd.COMPLETE,
        ended="complete",
        frames=1,
        frames_without_phase=0 if has_phase else 1,
        size_bytes=size_bytes,
        **_facts(facts),
        notes=recorded_notes(facts) if notes is None else notes,
        problem=problem,
    )


def _end(archive: Archive, state: LockState) -> tuple[EntryEnd, str]:
    """Return how an archive ended, as a state and as a text."""
    if state is LockState.HELD:
        return EntryEnd.WRITING, "being written now"
    reason, verdict = archive.finish_reason, archive.status.get("verdict", "")
    if reason is None or state is LockState.LEFT:
        return EntryEnd.CUT_OFF, "cut off: the program or the computer stopped while it was written"
    if reason is FinishReason.COMPLETED:
        return EntryEnd.COMPLETE, verdict or "complete"
    if reason is FinishReason.STOPPED:
        return EntryEnd.STOPPED, verdict or "stopped by the operator"
    return EntryEnd.FAILED, verdict or f"ended with an error ({reason.value})"


def _without_phase(archive: Archive) -> int | None:
    if "phase" not in archive.arrays:
        return len(archive)
    stated = archive.status.get(NOT_RECONSTRUCTED, "")
    if stated.isdecimal():
        return int(stated)
    if "model_id" not in archive.metadata:
        return None  # imported, or of another program
    return sum(ROW_NOT_RECONSTRUCTED in row.extra for row in archive.intact_rows())


class _Facts(TypedDict):
    """The fields of an entry that its metadata state."""

    instrument: str
    fibre: str
    simulated: bool | None
    model: str
    model_id: str


def _facts(metadata: Mapping[str, object]) -> _Facts:
    fibre, simulated = str(metadata.get("fibre") or ""), metadata.get("simulated")
    if not isinstance(simulated, bool):
        simulated = fibre.startswith(_TWIN) if fibre else None
    return _Facts(
        instrument=str(metadata.get("instrument") or ""),
        fibre=fibre,
        simulated=simulated,
        model=str(metadata.get("model") or ""),
        model_id=str(metadata.get("model_id") or ""),
    )


def _date(created_utc: str, folder: Path) -> datetime | None:
    """Return when an entry began: as its journal says, as the folder's name says, or when the folder was last changed."""
    with suppress(ValueError):
        return datetime.fromisoformat(created_utc).astimezone()
    stamp = re.match(r"\d{8}-\d{6}", folder.name)
    if stamp:
        with suppress(ValueError):
            return datetime.strptime(stamp[0], "%Y%m%d-%H%M%S").astimezone()
    return datetime.fromtimestamp(folder.stat().st_mtime).astimezone()
