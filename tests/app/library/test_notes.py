"""Notes, tags and stars lie beside the data, move with it, and are stored completely or not at all."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition.archive.reader import Archive
from app.library.folder_reader import read_entry
from app.library.notes import MOST_TAGS, NOTES, Notes, NotesError, change_notes, read_notes
from drivers.base import SpeckleScopeError
from tests.helpers.archives.library_archive import METADATA, recording
from tests.helpers.small_disk import small_disk

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=80)
TAGS = st.lists(st.text(st.characters(whitelist_categories=["L", "N", "P"]), min_size=1, max_size=40), max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(text=TEXT, tags=TAGS, star=st.booleans())
def test_what_is_stored_comes_back(tmp_path: Path, text: str, tags: list[str], star: bool) -> None:  # noqa: FBT001
    stored = change_notes(tmp_path, text=text, tags=tags, star=star)
    assert read_notes(tmp_path) == stored
    assert (stored.text, stored.star) == (text, star)
    assert {tag.casefold() for tag in stored.tags} == {tag.casefold() for tag in tags}


def test_what_is_not_named_stays(tmp_path: Path) -> None:
    change_notes(tmp_path, text="two\nlines", tags=[" liver  left ", "LIVER left", ""])
    change_notes(tmp_path, star=True)
    assert read_notes(tmp_path) == Notes(text="two\nlines", tags=("liver left",), star=True)
    assert [path.name for path in tmp_path.iterdir()] == [NOTES]


def test_without_notes_there_is_nothing(tmp_path: Path) -> None:
    assert read_notes(tmp_path) == Notes()


def test_they_move_with_the_recording_and_leave_it_intact(tmp_path: Path) -> None:
    path = recording(tmp_path)
    change_notes(path, text="good")
    moved = Path(shutil.move(path, tmp_path / "elsewhere"))
    assert read_notes(moved).text == "good"
    assert Archive.open(moved).verify().ok


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": "a" * 10_001}, "up to 10000 letters"),
        ({"tags": [str(number) for number in range(MOST_TAGS + 1)]}, "31 tags"),
        ({"tags": ["a" * 41]}, "a tag has 1 to 40 letters"),
        ({"tags": ["a\0b"]}, "a tag has 1 to 40 letters in one line"),
        ({"text": "\udcff"}, "no text"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_the_notes_stay(tmp_path: Path, change: dict[str, object], message: str) -> None:
    change_notes(tmp_path, text="before")
    with pytest.raises(NotesError, match=message):
        change_notes(tmp_path, **change)  # type: ignore[arg-type]
    assert read_notes(tmp_path) == Notes(text="before")


@pytest.mark.parametrize("content", ["text: [", "text: 1\ntags: []\nstar: true\n", "[]", "text: a\n", "\xff" * 9])
def test_a_damaged_file_is_named_and_never_overwritten(tmp_path: Path, content: str) -> None:
    (tmp_path / NOTES).write_text(content, "latin-1")
    with pytest.raises(NotesError, match=r"notes\.yaml cannot be read"):
        read_notes(tmp_path)
    with pytest.raises(NotesError, match="delete it to write new notes"):
        change_notes(tmp_path, star=True)
    assert (tmp_path / NOTES).read_text("latin-1") == content


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("text: a\ntags: []\nstar: false\n")
    (tmp_path / "entry").mkdir()
    (tmp_path / "entry" / NOTES).symlink_to(tmp_path / "secret")
    with pytest.raises(NotesError, match="outside its folder"):
        read_notes(tmp_path / "entry")


def test_a_full_disk_leaves_the_older_notes(tmp_path: Path) -> None:
    change_notes(tmp_path, text="before")
    with small_disk(10), pytest.raises(NotesError, match="File too large"):
        change_notes(tmp_path, text="after" * 100)
    assert read_notes(tmp_path).text == "before"


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_without_rights_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SpeckleScopeError, match="Permission denied"):
        change_notes(tmp_path, star=True)


def test_a_folder_that_is_gone_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotesError, match="not there any more"):
        change_notes(tmp_path / "gone", star=True)
    assert not (tmp_path / "gone").exists()


def test_changes_of_several_windows_at_once_are_all_kept(tmp_path: Path) -> None:
    def changed(**change: object) -> threading.Thread:
        thread = threading.Thread(target=change_notes, args=(tmp_path,), kwargs=change)
        thread.start()
        return thread

    for thread in [changed(text="note"), changed(tags=["a"]), changed(star=True)]:
        thread.join()
    assert read_notes(tmp_path) == Notes(text="note", tags=("a",), star=True)


def test_what_was_typed_before_the_recording_is_the_first_note_and_stays_in_the_metadata(tmp_path: Path) -> None:
    path = recording(tmp_path, metadata={**METADATA, "notes": "warm saline", "tags": ["liver", "liver", 7]})
    assert read_notes(path) == read_entry(path).notes == Notes(text="warm saline", tags=("liver",))
    change_notes(path, star=True)
    assert read_notes(path) == read_entry(path).notes == Notes(text="warm saline", tags=("liver",), star=True)
    change_notes(path, text="", tags=[])
    assert read_entry(path).notes == Notes(star=True)
    assert Archive.open(path).metadata["notes"] == "warm saline"
