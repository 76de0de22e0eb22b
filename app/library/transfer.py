"""Copies and moves an entry to another disk: verified by check sums, and continued where it was interrupted.

The copy grows in a hidden folder beside its future place. Every file is copied with the SHA-256 of what was read, then all are
read back from the other disk and compared, and only then the folder gets its name. So nothing ever looks like an entry that is
not whole. Beside the hidden folder lies a record of the files that are copied; the next copy of the same entry uses it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from acquisition.archive.atomic_files import sync_folder, write_bytes
from acquisition.archive.folder import LOCK, LockState, check_space, lock_state, one_line, sole_writer
from app.library.entry import LibraryError
from app.library.in_use import kept_in_place, sole_user
from app.library.trash import move_to_trash
from drivers.safe_text import parse_json

#: Called with how many bytes are done, and how many there are: each is copied and then read back.
Progress = Callable[[int, int], None]
_CHUNK_BYTES = 4 * 2**20
_COPYING, _RECORD = ".copying", ".copying.json"
#: Files that mean something only to a running writer, or that a killed one has left.
_SKIPPED = re.compile(r".*-shm|.*\.lock|\..*\.(part|old)")
#: How often the files that have changed meanwhile, such as notes, are copied again.
_MOST_ROUNDS = 5


class _StoppedError(Exception):
    """The operator has stopped the copy; what is copied stays for the next one."""


@dataclass(frozen=True)
class _File:
    """A file of the source: its size, and when it was changed."""

    size: int
    mtime_ns: int


#: The files that are copied, with their SHA-256.
_Done = dict[str, tuple[_File, str]]


@dataclass(frozen=True, kw_only=True)
class UnfinishedCopy:
    """A copy or a move that was interrupted.

    Parameters
    ----------
    source : Path
        What was copied.
    target : Path
        Where it would be.
    is_move : bool
        Whether the source goes to the trash when the copy is verified.
    is_verified : bool
        Whether the copy of a move is whole and lies at its place, and only the source is still there.
    """

    source: Path
    target: Path
    is_move: bool = False
    is_verified: bool = False


@dataclass(frozen=True, kw_only=True)
class _Ends:
    """Where a copy comes from, where it grows, what says how far it is, where it will be, and whether the source goes then."""

    source: Path
    part: Path
    record: Path
    target: Path
    is_move: bool

    @classmethod
    def of(cls, source: Path, folder: Path, *, is_move: bool = False) -> _Ends:
        name = source.name
        part, record = folder / f".{name}{_COPYING}", folder / f".{name}{_RECORD}"
        return cls(source=source, part=part, record=record, target=folder / name, is_move=is_move)


@dataclass(frozen=True, kw_only=True)
class _Record:
    """How far a copy is: its source, whether the source goes to the trash at the end, and the files that are copied."""

    source: Path
    is_move: bool
    files: _Done


@dataclass(frozen=True, kw_only=True)
class _Watch:
    """Reports the progress, and ends the work when it is asked to."""

    progress: Progress
    stop: threading.Event | None
    total: int

    def step(self, done: int) -> None:
        if self.stop is not None and self.stop.is_set():
            raise _StoppedError
        self.progress(min(done, self.total), self.total)


def copy_entry(
    source: Path, folder: Path, progress: Progress = lambda done, total: None, stop: threading.Event | None = None
) -> Path | None:
    """Copy an entry into another folder, or continue a copy that was interrupted.

    Parameters
    ----------
    source : Path
        The folder of a recording, a dataset or a snapshot.
    folder : Path
        Where the copy shall lie, under the same name; it exists.
    progress : callable
        Called with how many bytes are done, and how many there are.
    stop : threading.Event, optional
        Ends the copy when it is set.

    Returns
    -------
    Path or None
        The copy; None when it was stopped.

    Raises
    ------
    SpeckleScopeError
        The place is taken, the disk is too small or was removed, the source is being written or cannot be read, or what was
        written reads back differently. What is copied stays hidden, and the same copy goes on from there.
    """
    ends = _Ends.of(source, folder)
    with _continued(source, folder):
        is_copied = _is_copied(ends, progress, stop)
        if is_copied:
            ends.record.unlink(missing_ok=True)
    return ends.target if is_copied else None


def move_entry(
    root: Path, source: Path, folder: Path, progress: Progress = lambda done, total: None, stop: threading.Event | None = None
) -> Path | None:
    """Move an entry of the archive ``root`` into another folder.

    On the same disk it is renamed. On another disk it is copied; when the copy is verified, the source goes to the trash of its
    archive. Other parameters, results and errors as for :func:`copy_entry`.
    """
    if _is_same_disk(source, folder):
        return _renamed(source, folder)
    ends = _Ends.of(source, folder, is_move=True)
    with _continued(source, folder):
        is_copied = _is_copied(ends, progress, stop)
    if not is_copied:
        return None
    move_to_trash(root, source)
    ends.record.unlink(missing_ok=True)
    return ends.target


def unfinished_copies(folder: Path) -> tuple[UnfinishedCopy, ...]:
    """Return the copies and moves into a folder that were interrupted."""
    copies = []
    with suppress(OSError):
        for file in sorted(folder.glob(f".*{_RECORD}")):
            name, record = file.name.removeprefix(".").removesuffix(_RECORD), _recorded(file)
            if record is None:
                continue
            is_verified = record.is_move and (folder / name).is_dir() and record.source.is_dir()
            if is_verified or (folder / f".{name}{_COPYING}").is_dir():
                target = folder / name
                copies.append(
                    UnfinishedCopy(source=record.source, target=target, is_move=record.is_move, is_verified=is_verified)
                )
    return tuple(copies)


def discard_copy(copy: UnfinishedCopy) -> None:
    """Delete what an interrupted copy has written; the source is not touched.

    Raises
    ------
    SpeckleScopeError
        The copy is running, or it cannot be deleted.
    """
    folder, name = copy.target.parent, copy.target.name
    with sole_writer(folder / f".{name}{_COPYING}"):
        (folder / f".{name}{_RECORD}").unlink(missing_ok=True)
        try:
            shutil.rmtree(folder / f".{name}{_COPYING}")
        except OSError as error:
            raise LibraryError(f"the copy of {name} cannot be deleted: {one_line(error)}; check its disk") from error


@contextmanager
def _continued(source: Path, folder: Path) -> Iterator[None]:
    """Check both ends, keep others away from them, and turn every failure of a disk into a sentence."""
    for path, what in ((source, "the entry"), (folder, "the folder")):
        if not path.is_dir():
            raise LibraryError(f"{what} {path} is not there; check whether its disk is connected, then try again")
    if folder.resolve().is_relative_to(source.resolve()):
        raise LibraryError(f"{source.name} cannot be copied into itself; choose another folder")
    try:
        with ExitStack() as stack:
            stack.enter_context(kept_in_place(source))
            stack.enter_context(sole_writer(folder / f".{source.name}{_COPYING}"))
            yield
    except OSError as error:
        raise LibraryError(
            f"the copy of {source.name} to {folder} stopped: {one_line(error)}; check both disks, then copy again: it goes on "
            "where it stopped"
        ) from error


def _is_same_disk(source: Path, folder: Path) -> bool:
    return folder.is_dir() and source.is_dir() and folder.stat().st_dev == source.stat().st_dev


def _renamed(source: Path, folder: Path) -> Path:
    target = folder / source.name
    _check_free(target)
    try:
        with sole_user(source):
            source.rename(target)
            sync_folder(folder)
            sync_folder(source.parent)
    except OSError as error:
        raise LibraryError(f"{source.name} cannot be moved to {folder}: {one_line(error)}; check its permissions") from error
    return target


def _is_copied(ends: _Ends, progress: Progress, stop: threading.Event | None) -> bool:
    """Copy, verify and name; the record stays. Return whether it is done, and not stopped."""
    if lock_state(ends.source) is LockState.HELD:
        raise LibraryError(f"{ends.source.name} is being written; copy it when that has ended")
    record = _recorded(ends.record)
    done = record.files if record is not None and record.source == ends.source else {}
    files = _files(ends.source)
    if ends.target.exists() and done and {name: file for name, (file, _) in done.items()} == files:
        return True  # it was verified and got its name; what came after it was interrupted
    _check_free(ends.target)
    if not ends.part.is_dir():
        done = {}
    there = sum(file.size for name, (file, _) in done.items() if files.get(name) == file)
    check_space(ends.target.parent, sum(file.size for file in files.values()) - there)
    ends.part.mkdir(exist_ok=True)
    _write_record(ends, done)  # also what it is: a copy, or a move that goes on with the source
    with suppress(_StoppedError):
        for _ in range(_MOST_ROUNDS):
            total = sum(file.size for file in files.values())
            watch = _Watch(progress=progress, stop=stop, total=2 * total)
            done = _copy_all(ends, files, done, watch)
            _verify(ends.part, {name: sha256 for name, (_, sha256) in done.items()}, watch, total)
            now = _files(ends.source)
            if now == files:
                _name(ends.part, ends.target)
                return True
            files = now
        raise LibraryError(f"{ends.source.name} changes while it is copied; copy it again when nothing writes to it")
    return False


def _check_free(target: Path) -> None:
    if target.exists():
        raise LibraryError(f"{target} exists already; rename one of the two, or choose another folder")


def _files(source: Path) -> dict[str, _File]:
    """Return the files of an entry by their names in it, smallest first: notes and facts are there early."""
    files = {}
    pending = [source]
    while pending:
        with os.scandir(pending.pop()) as children:
            for one in children:
                status = one.stat(follow_symlinks=False)
                if _SKIPPED.fullmatch(one.name):
                    continue
                if stat.S_ISDIR(status.st_mode):
                    pending.append(Path(one.path))
                elif stat.S_ISREG(status.st_mode):
                    files[Path(one.path).relative_to(source).as_posix()] = _File(status.st_size, status.st_mtime_ns)
                else:
                    raise LibraryError(f"{one.path} is a link, a pipe or a device; replace it by a copy of what it stands for")
    return dict(sorted(files.items(), key=lambda item: (item[1].size, item[0])))


def _copy_all(ends: _Ends, files: Mapping[str, _File], done: _Done, watch: _Watch) -> _Done:
    """Copy the files that are not copied yet; return all files with their SHA-256."""
    part = ends.part
    kept: _Done = {name: known for name, known in done.items() if files.get(name) == known[0] and (part / name).is_file()}
    _remove_others(part, kept)
    finished = sum(file.size for file, _ in kept.values())
    for name, file in files.items():
        if name not in kept:
            kept[name] = file, _copy_file(ends.source / name, part, name, watch, finished)
            _write_record(ends, kept)
            finished += file.size
        watch.step(finished)
    return kept


def _remove_others(part: Path, kept: Mapping[str, object]) -> None:
    for path in sorted(part.rglob("*"), reverse=True):  # what is in a folder comes before the folder
        if path.is_dir():
            with suppress(OSError):
                path.rmdir()  # only where it is empty
        elif path.relative_to(part).as_posix() not in kept:
            path.unlink()


def _copy_file(source: Path, part: Path, name: str, watch: _Watch, finished: int) -> str:
    """Copy a file, wait until it is on the disk, and return the SHA-256 of what was read."""
    path, digest = part / name, hashlib.sha256()
    for parent in reversed(Path(name).parents[:-1]):
        (part / parent).mkdir(exist_ok=True)  # never the folder of the copy itself: its disk may have been removed
    with source.open("rb") as reader, path.open("xb") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            digest.update(chunk)
            writer.write(chunk)
            finished += len(chunk)
            watch.step(finished)
        writer.flush()
        os.fsync(writer.fileno())
        status = os.fstat(reader.fileno())
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return digest.hexdigest()


def _verify(part: Path, sums: Mapping[str, str], watch: _Watch, finished: int) -> None:
    """Read every file back from the disk; one that differs is deleted, so that the next copy writes it again."""
    for name, sha256 in sums.items():
        digest = hashlib.sha256()
        with (part / name).open("rb") as reader:
            if hasattr(os, "posix_fadvise"):  # from the disk, not from memory
                os.posix_fadvise(reader.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while chunk := reader.read(_CHUNK_BYTES):
                digest.update(chunk)
                finished += len(chunk)
                watch.step(finished)
        if digest.hexdigest() != sha256:
            (part / name).unlink()
            raise LibraryError(f"{part.parent / name} does not read back as it was written; check that disk, then copy again")


def _name(part: Path, target: Path) -> None:
    for folder in (part, *(path for path in part.rglob("*") if path.is_dir())):
        sync_folder(folder)
    _check_free(target)
    part.rename(target)
    sync_folder(target.parent)


def _write_record(ends: _Ends, done: _Done) -> None:
    if not ends.part.is_dir():  # the disk was removed: its folder must not be made anew on another one
        raise FileNotFoundError(2, "the folder of the copy is not there any more")
    files = {name: [file.size, file.mtime_ns, sha256] for name, (file, sha256) in done.items()}
    content = {"source": str(ends.source), "move": ends.is_move, "files": files}
    write_bytes(ends.record, json.dumps(content).encode("ascii"), "check that disk, then copy again", LibraryError)


def _recorded(record: Path) -> _Record | None:
    """Return what a record says; None where it cannot be read."""
    try:
        content = parse_json(record.read_bytes())
        files = {name: (_File(size, mtime_ns), sha256) for name, (size, mtime_ns, sha256) in content["files"].items()}
        return _Record(source=Path(content["source"]), is_move=content.get("move") is True, files=files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


assert _SKIPPED.fullmatch(LOCK)  # an entry without its lock file is one that nobody writes
