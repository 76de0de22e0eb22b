"""What cannot be done with the selected entries is said before it is tried."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtGui import QKeySequence

from app.gui.command import Command
from app.gui.data_page.entry_list.actions import EntryAction, refusal
from app.library.entry import Entry, EntryEnd, EntryKind

ENTRY = Entry(path=Path("a"), kind=EntryKind.RECORDING, name="liver", end=EntryEnd.COMPLETE, frames=3)
WRITING = replace(ENTRY, end=EntryEnd.WRITING)
SNAPSHOT = replace(ENTRY, kind=EntryKind.SNAPSHOT)
UNREADABLE = replace(ENTRY, kind=EntryKind.UNREADABLE, frames=0, problem="no journal")


def test_a_whole_recording_can_do_everything_but_be_repaired() -> None:
    assert [action for action in EntryAction if refusal(action, [ENTRY])] == [EntryAction.REPAIR]
    assert refusal(EntryAction.REPAIR, [replace(ENTRY, end=EntryEnd.CUT_OFF)]) == ""


def test_nothing_can_be_done_with_nothing() -> None:
    assert all(refusal(action, []) == "Select something in the list first" for action in EntryAction)


@pytest.mark.parametrize(
    ("action", "entries", "reason"),
    [
        (EntryAction.RENAME, [ENTRY, ENTRY], "one entry only"),
        (EntryAction.LIVE, [ENTRY, ENTRY], "one entry only"),
        (EntryAction.PLAY, [ENTRY] * 3, "At most 2"),
        (EntryAction.TRASH, [ENTRY, WRITING], "liver is being written"),
        (EntryAction.RENAME, [WRITING], "being written"),
        (EntryAction.COPY, [WRITING], "being written"),
        (EntryAction.PLAY, [SNAPSHOT], "is a snapshot"),
        (EntryAction.EXPORT, [UNREADABLE], "no journal"),
        (EntryAction.PLAY, [replace(ENTRY, frames=0)], "is empty"),
    ],
)
def test_the_reason_names_the_entry(action: EntryAction, entries: list[Entry], reason: str) -> None:
    assert reason in refusal(action, entries)


def test_a_recording_that_is_being_written_can_be_played_and_starred() -> None:
    assert not refusal(EntryAction.PLAY, [WRITING])
    assert not refusal(EntryAction.STAR, [WRITING])


def test_what_a_job_uses_keeps_its_place_and_name() -> None:
    refused = {action for action in EntryAction if refusal(action, [ENTRY], "Export liver is running")}
    assert refused == {EntryAction.RENAME, EntryAction.MOVE, EntryAction.TRASH, EntryAction.REPAIR}


def test_no_key_of_the_list_is_one_of_the_window_except_those_that_only_mean_something_elsewhere() -> None:
    window = {QKeySequence(command.value.keys).toString() for command in Command if command.value.keys}
    keys = [QKeySequence(action.value.key).toString() for action in EntryAction if action.value.key]
    assert len(set(keys)) == len(keys)
    assert set(keys) & window == {"F2"}  # the record panel is on the live page
