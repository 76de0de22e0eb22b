"""In a folder without rights everything can be looked at, and every change is refused with a sentence and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.datasets.recording_results import segment_again
from app.library.cut_off import look, repair
from app.library.folder_reader import read_entry
from app.library.library import Library
from app.library.naming import rename
from app.library.notes import change_notes
from app.library.thumbnails import Thumbnails
from app.library.transfer import copy_entry, move_entry
from app.library.trash import empty_trash, move_to_trash, restore, trashed_entries
from drivers.base import SpeckleScopeError
from tests.helpers.archives.library_archive import cut_off, recording
from tests.helpers.rights import read_only


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """An archive with a recording, one that was cut off, and one in the trash; nothing in it can be written."""
    root = tmp_path / "archive"
    recording(root, "cells")
    cut_off(root)
    move_to_trash(root, recording(root, "old"))
    before = files(root)
    with read_only(root):
        yield root
    assert files(root) == before


def files(root: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in root.rglob("*") if file.is_file() and not file.name.endswith("-shm")}


def named(root: Path, name: str) -> Path:
    return next(path for path in root.iterdir() if f"_{name}_" in path.name)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: change_notes(named(root, "cells"), star=True),
        lambda root: rename(read_entry(named(root, "cells")), "new"),
        lambda root: move_to_trash(root, named(root, "cells")),
        lambda root: restore(trashed_entries(root)[0]),
        lambda root: empty_trash(root),
        lambda root: repair(named(root, "lost")),
        lambda root: segment_again(named(root, "cells")),
        lambda root: copy_entry(named(root, "cells"), root / ".trash"),
        lambda root: move_entry(root, named(root, "cells"), root / ".trash"),
    ],
    ids=["notes", "rename", "trash", "restore", "empty", "repair", "result", "copy", "move"],
)
def test_a_change_is_refused_with_a_sentence(root: Path, change: Callable[[Path], object]) -> None:
    with pytest.raises(SpeckleScopeError, match=r"ermission|cannot (be )?writ|readonly|read-only") as refused:
        change(root)
    assert "\n" not in str(refused.value)


def test_everything_can_be_looked_at(root: Path, tmp_path: Path) -> None:
    entries = Library(root, tmp_path / "no rights" / "cache.json").scan()
    assert {entry.name for entry in entries} == {"cells", "lost"}
    assert not any(entry.problem for entry in entries)
    assert look(named(root, "lost")).safe == 4
    assert len(trashed_entries(root)) == 1
    picture = Thumbnails(tmp_path / "no rights").of(read_entry(named(root, "cells")))
    assert picture is not None
