"""What can be done with the entries that are selected: words, keys, and why something cannot be done now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from app.library.entry import Entry, EntryEnd, EntryKind

#: At most so many recordings are played side by side.
_SIDE_BY_SIDE = 2


@dataclass(frozen=True, kw_only=True)
class ActionText:
    """How an action appears.

    Parameters
    ----------
    text : str
        Its words on a button and in a menu.
    tip : str
        What it does, in one sentence without a full stop.
    icon : str
        Name of its icon; empty for none.
    key : str
        Its key while the list has the focus, as Qt writes it; empty for none.
    """

    text: str
    tip: str
    icon: str = ""
    key: str = ""


class EntryAction(Enum):
    """Everything that can be done with entries of the list."""

    PLAY = ActionText(text="Play", tip="Play what was recorded; with two selected, side by side", icon="play", key="Return")
    LIVE = ActionText(
        text="Open in live view",
        tip="Play it in the live view, as if it came from the camera, with the present model",
        icon="live",
        key="Ctrl+Return",
    )
    EXPORT = ActionText(text="Export…", tip="Write it for other programs", icon="export", key="Ctrl+E")
    RENAME = ActionText(text="Rename", tip="Give it another name", icon="pencil", key="F2")
    STAR = ActionText(text="Star", tip="Give it a star, or take the star away", icon="star", key="Ctrl+D")
    COPY = ActionText(text="Copy to…", tip="Copy it to another folder or disk; the copy is verified", icon="copy")
    MOVE = ActionText(
        text="Move to…", tip="Move it to another folder or disk; the source goes to the trash when the copy is verified"
    )
    FOLDER = ActionText(text="Open folder", tip="Show its files", icon="folder")
    REPAIR = ActionText(text="Repair", tip="Give what was cut off an ending; what is whole stays as it is")
    TRASH = ActionText(
        text="Move to trash", tip="Move it to the trash of its archive; it can be restored", icon="trash", key="Delete"
    )

    @property
    def changes_folder(self) -> bool:
        """Whether the folder of the entry gets another place or name."""
        return self in (EntryAction.RENAME, EntryAction.MOVE, EntryAction.TRASH)


#: Actions that need exactly one entry.
_ONE = (EntryAction.LIVE, EntryAction.RENAME, EntryAction.FOLDER)
#: Actions that need recordings or datasets.
_ARCHIVES = (EntryAction.PLAY, EntryAction.LIVE, EntryAction.EXPORT)
#: Actions that an entry refuses while it is being written.
_NOT_WHILE_WRITTEN = (EntryAction.RENAME, EntryAction.COPY, EntryAction.MOVE, EntryAction.TRASH, EntryAction.EXPORT)


def refusal(action: EntryAction, entries: Sequence[Entry], conflict: str = "") -> str:
    """Return why an action cannot be done with these entries now, as a sentence; empty when it can.

    Parameters
    ----------
    action : EntryAction
        The action.
    entries : sequence of Entry
        The entries that are selected.
    conflict : str
        Why a job uses one of their folders; empty when none does.
    """
    if not entries:
        return "Select something in the list first"
    if action in _ONE and len(entries) > 1:
        return "Select one entry only"
    if action is EntryAction.PLAY and len(entries) > _SIDE_BY_SIDE:
        return f"At most {_SIDE_BY_SIDE} can be played side by side"
    problem = next((text for entry in entries if (text := _refused_by(action, entry))), "")
    return problem or (conflict if action.changes_folder or action is EntryAction.REPAIR else "")


def _refused_by(action: EntryAction, entry: Entry) -> str:
    name = entry.shown_name
    if action is EntryAction.REPAIR and entry.end is not EntryEnd.CUT_OFF:
        return f"{name} was not cut off; it needs no repair"
    if action in _ARCHIVES and entry.kind is EntryKind.SNAPSHOT:
        return f"{name} is a snapshot: its files are pictures; open its folder"
    if action in _ARCHIVES and entry.kind is EntryKind.UNREADABLE:
        return f"{name} cannot be read: {entry.problem}"
    if action in _ARCHIVES and not entry.frames + entry.pairs:
        return f"{name} is empty: nothing was stored in it"
    if action in _NOT_WHILE_WRITTEN and entry.end is EntryEnd.WRITING:
        return f"{name} is being written; wait for its end"
    return ""
