"""What a disk can hold after the power fails at some point of a traced command.

The model is that of POSIX, which promises less than most file systems do: bytes are safe after a sync of their file, names
after a sync of their folder, and nothing else is. What is not safe may be there or not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

from app.benchmarks.reliability.power.file_trace import Change, FileEvent

#: The files of a disk with their content; a folder has None.
Content = Mapping[PurePosixPath, bytes | None]


@dataclass(eq=False)
class _File:
    current: bytes = b""
    safe: bytes = b""
    #: The content before the last write, that write, and its offset; None after a sync.
    last: tuple[bytes, bytes, int] | None = None

    def apply(self, event: FileEvent) -> None:
        """Write, or set the length; a file that is opened without being emptied stays as it is."""
        if event.change is Change.WRITE:
            self.last = (self.current, event.content, event.offset)
            self.current = _overwritten(self.current, event.offset, event.content)
        elif event.change is Change.RESIZE or (event.change is Change.OPEN and event.size == 0):
            self.current = self.current[: event.size].ljust(event.size, b"\0")
            self.last = None

    def sync(self) -> None:
        self.safe, self.last = self.current, None

    @property
    def torn(self) -> bytes:
        """The content with half of the last write."""
        if self.last is None:
            return self.current
        before, content, offset = self.last
        return _overwritten(before, offset, content[: len(content) // 2])

    @property
    def only_last(self) -> bytes:
        """The content with the last write, but without those since the last sync that came before it."""
        return self.current if self.last is None else _overwritten(self.safe, self.last[2], self.last[1])


@dataclass(eq=False)
class _Folder:
    current: dict[str, _File | _Folder] = field(default_factory=dict)
    safe: dict[str, _File | _Folder] = field(default_factory=dict)


#: A change of one name: its folder, the name, and what it stands for then (None: nothing).
_Rename = tuple[_Folder, str, "_File | _Folder | None"]


class DiskStates:
    """A disk that takes the changes of a trace one after the other.

    Parameters
    ----------
    root : str
        The folder that is the disk; it is empty at the start.
    """

    def __init__(self, root: str) -> None:
        self._root = PurePosixPath(root)
        self._top = _Folder()
        #: Changes of names that no sync has made safe, in order.
        self._unsafe: list[tuple[_Rename, ...]] = []

    def apply(self, event: FileEvent) -> None:
        """Do what the command did; what concerns other folders, or files that have no name any more, is ignored."""
        path = PurePosixPath(event.path)
        if path == self._root:
            if event.change is Change.SYNC:
                self._sync(self._top)
            return
        if not path.is_relative_to(self._root):
            return
        parent = self._find(path.parent)
        if isinstance(parent, _Folder):
            self._apply_inside(event, parent, path.name)

    def after_power_cut(self) -> Iterator[tuple[str, Content]]:
        """Yield what the disk may hold if the power fails now, each with a name."""
        yield "nothing that is not synced is there", self._content(_safe_names, _safe_bytes)
        yield "everything is there", self._content(_current_names, _current_bytes)
        yield "names without their bytes", self._content(_current_names, _safe_bytes)
        yield "bytes without their names", self._content(_safe_names, _current_bytes)
        yield "the last write is torn", self._content(_current_names, lambda file: file.torn)
        yield "the last write overtook those before", self._content(_current_names, lambda file: file.only_last)
        for number in range(len(self._unsafe) - 1):  # file systems keep the order of names
            names = partial(_with, self._unsafe[: number + 1])
            yield f"only the first {number + 1} names", self._content(names, _safe_bytes)

    def _apply_inside(self, event: FileEvent, parent: _Folder, name: str) -> None:
        node = parent.current.get(name)
        if node is None:
            if event.change in (Change.OPEN, Change.MKDIR):
                self._change((parent, name, _File() if event.change is Change.OPEN else _Folder()))
        elif event.change is Change.SYNC:
            self._sync(node)
        elif event.change in (Change.RENAME, Change.SWAP):
            self._rename(event, parent, name)
        elif event.change in (Change.UNLINK, Change.RMDIR):
            self._change((parent, name, None))
        elif isinstance(node, _File):
            node.apply(event)

    def _find(self, path: PurePosixPath) -> _File | _Folder | None:
        node: _File | _Folder | None = self._top
        for part in path.relative_to(self._root).parts if path.is_relative_to(self._root) else ("",):
            node = node.current.get(part) if isinstance(node, _Folder) else None
        return node

    def _change(self, *changes: _Rename) -> None:
        for folder, name, node in changes:
            if node is None:
                folder.current.pop(name, None)
            else:
                folder.current[name] = node
        self._unsafe.append(changes)

    def _rename(self, event: FileEvent, parent: _Folder, name: str) -> None:
        node, to = parent.current[name], PurePosixPath(event.to)
        other = self._find(to.parent)
        if not isinstance(other, _Folder):  # it leaves the disk
            self._change((parent, name, None))
        elif event.change is Change.SWAP:
            self._change((parent, name, other.current.get(to.name)), (other, to.name, node))
        else:
            self._change((parent, name, None), (other, to.name, node))

    def _sync(self, node: _File | _Folder) -> None:
        if isinstance(node, _File):
            node.sync()
            return
        node.safe = dict(node.current)
        remaining = (tuple(change for change in changes if change[0] is not node) for changes in self._unsafe)
        self._unsafe = [changes for changes in remaining if changes]

    def _content(self, names: Callable[[_Folder], Mapping[str, _File | _Folder]], content: Callable[[_File], bytes]) -> Content:
        files: dict[PurePosixPath, bytes | None] = {}

        def walk(folder: _Folder, place: PurePosixPath) -> None:
            for name, node in names(folder).items():
                if isinstance(node, _File):
                    files[place / name] = content(node)
                else:
                    files[place / name] = None
                    walk(node, place / name)

        walk(self._top, PurePosixPath())
        return files


def digest_of(content: Content) -> bytes:
    """Return what identifies the content of a disk."""
    digest = hashlib.blake2b(digest_size=16)
    for path, data in sorted(content.items()):
        digest.update(f"{path} {-1 if data is None else len(data)} ".encode())
        digest.update(data or b"")
    return digest.digest()


def write_content(content: Content, folder: Path) -> None:
    """Write the content of a disk into a new folder."""
    folder.mkdir(parents=True)
    for path, data in content.items():
        target = folder / path
        (target if data is None else target.parent).mkdir(parents=True, exist_ok=True)
        if data is not None:
            target.write_bytes(data)


def _overwritten(before: bytes, offset: int, content: bytes) -> bytes:
    return before[:offset].ljust(offset, b"\0") + content + before[offset + len(content) :]


def _safe_names(folder: _Folder) -> Mapping[str, _File | _Folder]:
    return folder.safe


def _current_names(folder: _Folder) -> Mapping[str, _File | _Folder]:
    return folder.current


def _with(changes: Iterable[tuple[_Rename, ...]], folder: _Folder) -> Mapping[str, _File | _Folder]:
    names = dict(folder.safe)
    for place, name, node in (change for together in changes for change in together):
        if place is folder:
            if node is None:
                names.pop(name, None)
            else:
                names[name] = node
    return names


def _safe_bytes(file: _File) -> bytes:
    return file.safe


def _current_bytes(file: _File) -> bytes:
    return file.current
