"""What an earlier look at an archive has found, so that folders that did not change are not read again.

One file for each archive, in the person's cache folder and never in the archive. It is replaced as a whole, so two processes on
one archive do not disturb each other: the last one wins. A file that is missing, damaged or of another version is as none. What
is on the disk of the archive always counts.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from acquisition.archive.atomic_files import write_bytes
from app.library.entry import Entry, EntryEnd, EntryKind
from app.library.folder_reader import Signature
from app.library.notes import Notes
from drivers.base import SpeckleScopeError
from drivers.safe_text import parse_json

#: To be raised when an entry, or how it is read, changes.
_VERSION = 1
_FIELDS = tuple(field.name for field in fields(Entry))

#: For each folder, relative to the archive: its signature when it was read, and what it was. None is a folder that is no entry.
Known = Mapping[str, tuple[Signature, Entry]]


def cache_file(root: Path) -> Path:
    """Return the cache of an archive."""
    digest = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return user_cache_path("specklescope", appauthor=False) / "library" / f"{digest}.json"


def load(file: Path, root: Path) -> dict[str, tuple[Signature, Entry]]:
    """Return what a cache knows of an archive; nothing when it cannot be used."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        head, _, body = file.read_bytes().partition(b"\n")
        if head == _head(root, body):
            return {name: (_signature(mark), _entry(root, name, values)) for name, (mark, values) in parse_json(body).items()}
    return {}


def save(file: Path, root: Path, known: Known) -> None:
    """Store what is known of an archive; where it cannot be stored, the next look reads everything again."""
    content = {name: (mark, _values(entry)) for name, (mark, entry) in known.items()}
    body = json.dumps(content, separators=(",", ":")).encode("ascii")
    with suppress(SpeckleScopeError, OSError):
        write_bytes(file, _head(root, body) + b"\n" + body, "the cache is not needed")


def _head(root: Path, body: bytes) -> bytes:
    place = str(root.resolve()).encode("utf-8", "surrogateescape")
    return f"{_VERSION} {zlib.crc32(body):08x} {hashlib.sha256(place).hexdigest()}".encode("ascii")


def _signature(content: Any) -> Signature:
    return tuple((str(name), int(size), int(mtime_ns)) for name, size, mtime_ns in content)


def _values(entry: Entry) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(entry, name) for name in _FIELDS if name not in ("path", "notes", "date", "end")}
    notes = entry.notes
    date = None if entry.date is None else entry.date.isoformat()
    return values | {"notes": [notes.text, list(notes.tags), notes.star], "date": date, "end": entry.end.name}


def _entry(root: Path, name: str, values: dict[str, Any]) -> Entry:
    text, tags, star = values.pop("notes")
    date, end, kind = values.pop("date"), values.pop("end"), values.pop("kind")
    return Entry(
        **values,
        path=root / name,
        kind=EntryKind(kind),
        end=EntryEnd[end],
        date=None if date is None else datetime.fromisoformat(date).astimezone(),
        notes=Notes(text=text, tags=tuple(tags), star=star),
    )
