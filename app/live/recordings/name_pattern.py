"""The name of a recording from a pattern such as ``{name}-{counter:03}``."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from acquisition.archive.folder import clean_name
from acquisition.archive.rows import StorageError
from app.live.recordings.options import RecordingOptionsError

_KNOWN = "{name}, {date}, {time} and {counter} or {counter:03}"
_FIELD = re.compile(r"\{(\w*)(?::(\d{1,2}))?\}")
_MOST_TRIES = 1_000_000


def used_in(folder: Path) -> Callable[[str], bool]:
    """Return a function that says whether a folder holds an archive of a name; a folder that is not there holds none."""

    def is_used(name: str) -> bool:
        try:
            marked = f"_{clean_name(name)}_"
            return any(marked in path.name for path in folder.iterdir())
        except (OSError, StorageError):
            return False

    return is_used


def recording_name(pattern: str, name: str, now: datetime, is_used: Callable[[str], bool]) -> str:
    """Return the name that a pattern stands for.

    Parameters
    ----------
    pattern : str
        Text with ``{name}``, ``{date}`` (2026-11-29), ``{time}`` (14-05-09) and ``{counter}``; ``{counter:03}`` has at least
        three digits.
    name : str
        What ``{name}`` stands for.
    now : datetime
        The local time.
    is_used : callable
        Whether there is a recording of this name; the counter is the first number, from 1 on, whose name is not used.

    Raises
    ------
    RecordingOptionsError
        The pattern has something else in braces, or stands for no name.
    """
    rest = _FIELD.sub("", pattern)
    unknown = [match[0] for match in _FIELD.finditer(pattern) if match[1] not in ("name", "date", "time", "counter")]
    unknown += [match[0] for match in _FIELD.finditer(pattern) if match[2] and match[1] != "counter"]
    if unknown or "{" in rest or "}" in rest:
        raise RecordingOptionsError(f"the name pattern {pattern!r} has {(unknown or [rest])[0]!r}; use {_KNOWN}")
    values = {"name": name, "date": f"{now:%Y-%m-%d}", "time": f"{now:%H-%M-%S}"}

    def of(counter: int) -> str:
        return _FIELD.sub(lambda match: f"{counter:0{match[2] or 1}d}" if match[1] == "counter" else values[match[1]], pattern)

    if not of(1).strip():
        raise RecordingOptionsError(f"the name pattern {pattern!r} stands for an empty name; use {_KNOWN}")
    if "{counter" not in pattern:
        return of(1)
    return next(candidate for counter in range(1, _MOST_TRIES) if not is_used(candidate := of(counter)))
