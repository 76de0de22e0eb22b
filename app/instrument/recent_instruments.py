"""The instruments that were opened last, as the window remembers them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from drivers.safe_text import parse_json

_MOST: Final = 20
_MOST_LETTERS: Final = 4096


class InstrumentSort(StrEnum):
    """What an instrument measures."""

    REAL = "real"
    SIMULATED = "simulated"
    RECORDING = "recording"


@dataclass(frozen=True, kw_only=True)
class RecentInstrument:
    """An instrument that was opened.

    Parameters
    ----------
    path : Path
        Its file; of a recording that was played, its folder.
    name : str
        Its name.
    sort : InstrumentSort
        What it measures.
    used_utc : str
        When it was opened last, in UTC, as ``2026-11-30T02:05:00``.
    """

    path: Path
    name: str
    sort: InstrumentSort
    used_utc: str

    @property
    def is_there(self) -> bool:
        """Whether its file can be found now; on a network drive this may last seconds."""
        try:
            return self.path.exists()
        except OSError:
            return False


def with_newest(recent: Iterable[RecentInstrument], newest: RecentInstrument) -> tuple[RecentInstrument, ...]:
    """Return the list with an instrument that is opened now: it comes first, and only once."""
    return (newest, *without(recent, newest.path))[:_MOST]


def without(recent: Iterable[RecentInstrument], path: Path) -> tuple[RecentInstrument, ...]:
    """Return the list without a file. The file itself stays."""
    return tuple(one for one in recent if one.path != path)


def as_text(recent: Iterable[RecentInstrument]) -> str:
    """Return the list as the text that :func:`from_text` reads."""
    return json.dumps(
        [{"path": str(one.path), "name": one.name, "sort": one.sort.value, "used_utc": one.used_utc} for one in recent]
    )


def from_text(text: str) -> tuple[RecentInstrument, ...]:
    """Read a list; an entry that cannot be right is left out, because the list is only a convenience."""
    try:
        entries = parse_json(text.encode()) if text else []
    except ValueError:
        return ()
    read = (_entry(entry) for entry in (entries if isinstance(entries, list) else []))
    return tuple(entry for entry in read if entry is not None)[:_MOST]


def _entry(entry: object) -> RecentInstrument | None:
    values = entry.values() if isinstance(entry, dict) else (None,)
    if not isinstance(entry, dict) or not all(isinstance(value, str) and len(value) <= _MOST_LETTERS for value in values):
        return None
    try:
        sort = InstrumentSort(entry["sort"])
        path = Path(entry["path"])
    except (KeyError, ValueError):
        return None
    if not entry["path"] or "\0" in entry["path"]:
        return None
    return RecentInstrument(path=path, name=entry.get("name", ""), sort=sort, used_utc=entry.get("used_utc", ""))
