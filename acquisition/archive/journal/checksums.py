"""Check sums of a journal's entries, and the seal of a table.

Every entry holds the SHA-256 of its own values, so that a changed entry is found and its neighbours stay usable. The seal of a
table counts its entries and chains their check sums, so that a lost or outdated entry is noticed too. They find accidents, not
forgery: whoever may write to the file can also compute them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from acquisition.archive.journal.schema import FIELDS
from acquisition.archive.rows import StoredRow

_to_json = json.JSONEncoder(separators=(",", ":")).encode
_columns_of = attrgetter(*FIELDS)
_REALS = [FIELDS.index("exposure_s"), FIELDS.index("latency_s")]


def row_sum(row: StoredRow) -> bytes:
    """Return the check sum of a row: its columns, the check sums of its images, and its further facts."""
    columns: list[object] = list(_columns_of(row))
    for place in _REALS:
        columns[place] = _real(columns[place])
    extra = [[key, _stored(value)] for key, value in sorted(row.extra.items())]
    return _sum([columns, sorted(row.crc32.items()), extra])


def event_sum(number: int, utc: str, kind: str, text: str) -> bytes:
    """Return the check sum of an event; ``number`` is its ``id``."""
    return _sum([number, utc, kind, text])


def status_sum(key: str, value: str) -> bytes:
    """Return the check sum of a fact about the whole archive."""
    return _sum([key, value])


@dataclass(frozen=True)
class Seal:
    """What a table has to hold: the number of its entries, and the chain of their check sums."""

    entries: int = 0
    sha256: bytes = b""

    def extended(self, sums: Iterable[bytes]) -> Seal:
        """Return the seal of the table with further entries, given by their check sums in order."""
        entries, chain = self.entries, self.sha256
        for added in sums:
            entries, chain = entries + 1, hashlib.sha256(chain + added).digest()
        return Seal(entries, chain)


def _sum(values: list[object]) -> bytes:
    return hashlib.sha256(_to_json(values).encode("ascii")).digest()


def _real(value: Any) -> float | None:
    """Return a number of a REAL column as SQLite gives it back: without NaN and negative zero."""
    return None if value is None or math.isnan(value) else float(value) + 0.0


def _stored(value: object) -> object:
    """Return a further fact as SQLite gives it back: True as 1, NaN as nothing."""
    if isinstance(value, float):
        return _real(value)
    return int(value) if isinstance(value, bool) else value
