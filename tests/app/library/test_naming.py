"""An entry gets another name as a whole, or a sentence says why not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.archive.journal.writer import Journal
from acquisition.archive.reader import Archive
from acquisition.archive.rows import StorageError
from app.library.entry import Entry, EntryKind, LibraryError
from app.library.folder_reader import read_entry
from app.library.in_use import kept_in_place
from app.library.naming import check_name, rename
from drivers.base import SpeckleScopeError
from tests.helpers.archives.library_archive import dataset, end, recording, snapshot, writing_process


def test_folder_and_journal_get_the_name_and_the_data_stay_intact(tmp_path: Path) -> None:
    path = recording(tmp_path, "cells")
    new = rename(read_entry(path), "Leber links 2")
    assert new.name == path.name.replace("cells", "Leber-links-2")
    assert (read_entry(new).name, path.exists()) == ("Leber links 2", False)
    assert Archive.open(new).verify().ok


def test_a_snapshot_is_renamed_by_its_folder(tmp_path: Path) -> None:
    new = rename(read_entry(snapshot(tmp_path)), "edge of the film")
    entry = read_entry(new)
    assert (entry.kind, entry.name) == (EntryKind.SNAPSHOT, "edge-of-the-film")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("a/b", "no file may have / in its name on Windows"),
        ("what?", "no file may have"),
        ("a\nb", "no file may have"),
        ("../up", "no file may have"),
        ("con", "Windows uses this name for a device"),
        ("Lpt1.old", "Windows uses this name for a device"),
        ("end.", "does not end with a dot"),
        (" blank", "neither begins nor ends with a blank"),
        ("---", "no letter or digit"),
        ("a" * 81, "it has 81 letters, at most 80"),
    ],
)
def test_a_name_that_is_none_is_refused_and_nothing_changes(tmp_path: Path, name: str, reason: str) -> None:
    path = recording(tmp_path, "cells")
    with pytest.raises(LibraryError, match=reason):
        rename(read_entry(path), name)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert read_entry(path).name == "cells"


@given(st.text(max_size=90))
def test_every_text_is_a_name_or_is_refused_in_one_line(name: str) -> None:
    message = ""
    try:
        check_name(name)
    except LibraryError as error:
        message = str(error)
    assert "\n" not in message
    assert message.endswith("choose another name") or (name == name.strip() and not set(name) & set('<>:"/\\|?*\0'))


@pytest.mark.parametrize("name", ["other", "OTHER", "other."])
def test_a_name_that_exists_is_refused(tmp_path: Path, name: str) -> None:
    path, other = recording(tmp_path, "cells"), dataset(tmp_path, "other")
    with pytest.raises(LibraryError, match=r"already an entry with the name|does not end with a dot"):
        rename(read_entry(path), name)
    assert {path, other} == set(tmp_path.iterdir())


def test_its_own_name_in_other_letters_is_no_other_entry(tmp_path: Path) -> None:
    path = recording(tmp_path, "cells")
    assert read_entry(rename(read_entry(path), "Cells")).name == "Cells"


def test_what_is_being_written_or_read_keeps_its_name(tmp_path: Path) -> None:
    process, path = writing_process(tmp_path)
    try:
        with pytest.raises(StorageError, match="is being written by process"):
            rename(read_entry(path), "new")
    finally:
        end(process)
    with kept_in_place(path), kept_in_place(path), pytest.raises(StorageError, match="in use, for instance by an export"):
        rename(read_entry(path), "new")
    assert read_entry(rename(read_entry(path), "new")).name == "new"


def test_when_the_journal_cannot_be_written_the_folder_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recording(tmp_path, "cells")

    def full(*_: object) -> None:
        raise StorageError("disk is full")

    monkeypatch.setattr(Journal, "set_status", full)
    with pytest.raises(LibraryError, match="cannot be renamed: disk is full"):
        rename(read_entry(path), "new")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_rename_that_was_interrupted_between_folder_and_journal_is_completed(tmp_path: Path) -> None:
    path = recording(tmp_path, "cells")
    new = path.rename(tmp_path / path.name.replace("cells", "new"))  # as far as the killed one came
    assert read_entry(new).name == "cells"
    assert read_entry(rename(read_entry(new), "new")).name == "new"


def test_a_damaged_recording_keeps_its_name_and_the_sentence_says_why(tmp_path: Path) -> None:
    path = recording(tmp_path, "cells")
    with sqlite3.connect(path / "journal.sqlite") as sql:
        sql.execute("UPDATE status SET value = 'x' WHERE key = 'created_utc'")
    sql.close()
    with pytest.raises(SpeckleScopeError, match=r"cannot be renamed: .* is damaged"):
        rename(read_entry(path), "new")
    assert path.exists()


def test_an_entry_that_is_gone_is_refused(tmp_path: Path) -> None:
    path = recording(tmp_path, "cells")
    entry: Entry = read_entry(path)
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="check whether it is still there"):
        rename(entry, "new")
