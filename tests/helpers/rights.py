"""A folder that this process may read and not write, also where the tests run as the administrator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_NOBODY = 65534


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nothing in a folder be written until the end of this block."""
    with ExitStack() as undo:
        for parent in [parent for parent in folder.parents if parent.stat().st_uid == os.geteuid() and parent != Path("/")]:
            _change(parent, parent.stat().st_mode | 0o055, undo)
        for path in [folder, *folder.rglob("*")]:
            _change(path, 0o555 if path.is_dir() else 0o444, undo)
        if os.geteuid() == 0:
            undo.callback(os.seteuid, 0)  # the first that is undone
            os.seteuid(_NOBODY)
        yield


def _change(path: Path, mode: int, undo: ExitStack) -> None:
    undo.callback(path.chmod, path.stat().st_mode)
    path.chmod(mode)
