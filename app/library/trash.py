"""The trash of an archive: entries that were removed lie in the folder ``.trash`` of the same archive until it is emptied.

A move within one disk takes no time and is done as a whole. Only :func:`empty_trash` deletes anything.
"""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import yaml

from acquisition.archive.atomic_files import make_folder, sync_folder, write_whole
from acquisition.archive.folder import one_line
from app.library.entry import LibraryError
from app.library.folder_reader import folder_bytes
from app.library.in_use import sole_user
from drivers.limits import LimitError, check_inside
from drivers.safe_text import dump_yaml, read_yaml

TRASH, _CARD = ".trash", "trashed.yaml"
#: How the name of something begins that is being deleted.
_DELETING = ".deleting-"
#: A folder without an entry is left by a killed process when it is older than this, in seconds.
_ABANDONED_S = 600.0


@dataclass(frozen=True, kw_only=True)
class TrashedEntry:
    """An entry in the trash.

    Parameters
    ----------
    path : Path
        Its folder in the trash.
    former : Path
        Where it was.
    trashed : datetime
        When it was moved here.
    size_bytes : int
        Size of all its files.
    """

    path: Path
    former: Path
    trashed: datetime
    size_bytes: int


def move_to_trash(root: Path, path: Path) -> TrashedEntry:
    """Move the entry in folder ``path`` of the archive ``root`` to its trash.

    Raises
    ------
    SpeckleScopeError
        It is being written or read, it is not there, or it cannot be moved. It stays where it is.
    """
    if not path.is_relative_to(root) or path == root:
        raise LibraryError(f"{path} is not in the archive {root}; open its archive first")
    former = path.relative_to(root).as_posix()
    now = datetime.now(UTC)
    item = root / TRASH / f"{now:%Y%m%d-%H%M%S}_{uuid.uuid4().hex[:8]}"
    try:
        with sole_user(path):
            make_folder(item)
            write_whole(
                item / _CARD, dump_yaml({"former": former, "trashed_utc": now.isoformat()}), "check the disk", LibraryError
            )
            path.rename(item / path.name)
            _sync(item, path.parent)
    except OSError as error:
        _remove_item(item)
        raise LibraryError(
            f"{path.name} cannot be moved to the trash: {one_line(error)}; check the permissions of {root}"
        ) from error
    except BaseException:
        _remove_item(item)
        raise
    return _read(root, item, item / path.name)


def trashed_entries(root: Path) -> tuple[TrashedEntry, ...]:
    """Return what lies in the trash of an archive, the newest first; nothing where the archive cannot be read."""
    items: list[TrashedEntry] = []
    with suppress(OSError):
        for item in sorted((root / TRASH).iterdir(), reverse=True):
            if not item.name.startswith(".") and item.is_dir():
                items += [_read(root, item, path) for path in item.iterdir() if path.is_dir() and not path.is_symlink()]
    return tuple(items)


def restore(trashed: TrashedEntry) -> Path:
    """Move an entry from the trash back to its former place, and return it.

    Raises
    ------
    SpeckleScopeError
        Something else is at this place now, the entry is not in the trash any more, or it cannot be moved. Nothing is changed.
    """
    if trashed.former.exists():
        raise LibraryError(f"{trashed.path.name} cannot be restored: {trashed.former} exists; rename that one first")
    try:
        with sole_user(trashed.path):
            make_folder(trashed.former.parent)
            trashed.path.rename(trashed.former)
            _sync(trashed.former.parent, trashed.path.parent)
    except OSError as error:
        raise LibraryError(
            f"{trashed.path.name} cannot be restored: {one_line(error)}; check the permissions of {trashed.former.parent}"
        ) from error
    _remove_item(trashed.path.parent)
    return trashed.former


def empty_trash(
    root: Path, progress: Callable[[int, int], None] = lambda done, total: None, stop: threading.Event | None = None
) -> int:
    """Delete everything in the trash of an archive for good, and return how many bytes were freed.

    Parameters
    ----------
    root : Path
        The archive.
    progress : callable
        Called with how many entries are deleted, and how many there are.
    stop : threading.Event, optional
        When it is set, the entries that are left stay in the trash, whole.

    Raises
    ------
    LibraryError
        Something cannot be deleted.
    """
    entries = trashed_entries(root)
    freed = 0
    for done, entry in enumerate(entries):
        if stop is not None and stop.is_set():
            break
        _delete(entry)
        freed += entry.size_bytes
        progress(done + 1, len(entries))
    with suppress(OSError):
        for item in (root / TRASH).iterdir():  # what a process left that was killed here
            if item.name.startswith(_DELETING):
                shutil.rmtree(item, ignore_errors=True)
            elif time.time() - item.stat().st_mtime > _ABANDONED_S:
                _remove_item(item)
    return freed


def _delete(entry: TrashedEntry) -> None:
    item = entry.path.parent
    doomed = item.with_name(f"{_DELETING}{item.name}")
    try:
        with sole_user(entry.path):
            item.rename(doomed)  # from here on nobody can restore a part of it
        shutil.rmtree(doomed)
    except OSError as error:
        raise LibraryError(
            f"{entry.path.name} cannot be deleted from the trash: {one_line(error)}; check the permissions of {item.parent}"
        ) from error


def _read(root: Path, item: Path, path: Path) -> TrashedEntry:
    former, trashed = root / path.name, datetime.fromtimestamp(item.stat().st_mtime, UTC)
    with suppress(OSError, ValueError, KeyError, TypeError, yaml.YAMLError, LimitError):
        check_inside(item, [_CARD])
        card = read_yaml(item / _CARD)
        place = PurePosixPath(card["former"])
        trashed = datetime.fromisoformat(card["trashed_utc"])
        if not place.is_absolute() and ".." not in place.parts and place.name == path.name:
            former = root / place
    return TrashedEntry(path=path, former=former, trashed=trashed.astimezone(), size_bytes=folder_bytes(path))


def _remove_item(item: Path) -> None:
    """Remove the folder of an entry that is not in the trash any more, or not yet; nothing where it is."""
    with suppress(OSError):
        if not any(path.is_dir() for path in item.iterdir()):
            (item / _CARD).unlink(missing_ok=True)
            item.rmdir()


def _sync(*folders: Path) -> None:
    for folder in folders:
        sync_folder(folder)
