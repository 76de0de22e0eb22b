"""Presets are stored as a whole, and damaged ones cannot prevent the start."""

from __future__ import annotations

import json

import pytest

from app.presets import PresetError, PresetStore

STATE = {"panes": {"number": 2}, "camera": {"gain": "6.0"}}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "folder" / "presets.json"


def test_presets_are_there_at_the_next_start(file) -> None:
    store = PresetStore(file)
    store.save("tissue", STATE)
    store.save("Alignment", {})
    store.rename("tissue", "liver")
    again = PresetStore(file)
    assert again.names == ("Alignment", "liver")
    assert again.state("liver") == STATE
    again.delete("Alignment")
    assert PresetStore(file).names == ("liver",)
    assert again.warnings == []


@pytest.mark.parametrize("name", ["", " x", "a\nb", "x" * 65])
def test_a_name_can_be_shown_in_one_line(name) -> None:
    with pytest.raises(PresetError, match="no name for a preset"):
        PresetStore().save(name, STATE)


def test_no_preset_is_replaced_or_lost_by_a_rename() -> None:
    store = PresetStore()
    store.save("a", STATE)
    store.save("b", {})
    with pytest.raises(PresetError, match="there is a preset 'b' already"):
        store.rename("a", "b")
    with pytest.raises(PresetError, match="there is no preset 'c'"):
        store.rename("c", "d")
    with pytest.raises(PresetError, match="there is no preset 'c'"):
        store.delete("c")
    assert store.state("a") == STATE


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1, "presets": 3}', "[" * 100_000])
def test_an_unreadable_file_gives_a_warning_and_is_kept(file, text) -> None:
    file.parent.mkdir()
    file.write_text(text)
    store = PresetStore(file)
    assert store.names == ()
    assert len(store.warnings) == 1
    store.save("new", STATE)
    assert file.with_name("presets.json.unreadable").read_text() == text
    assert PresetStore(file).names == ("new",)


def test_a_bad_entry_is_skipped(file) -> None:
    file.parent.mkdir()
    file.write_text(json.dumps({"version": 1, "presets": {"good": STATE, "bad": 3, "": {}}}))
    store = PresetStore(file)
    assert store.names == ("good",)
    assert len(store.warnings) == 2


def test_a_file_that_cannot_be_written_changes_nothing(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    store = PresetStore(tmp_path / "file" / "presets.json")
    with pytest.raises(PresetError):
        store.save("a", STATE)
    assert store.names == ()
