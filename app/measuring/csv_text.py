"""Tables as CSV text."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

Cell = str | int | float | None


def _plain(value: Cell) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(float(value))
    text = str(value)
    # A spreadsheet would take such a text for a formula.
    return f"'{text}" if isinstance(value, str) and text[:1] in ("=", "+", "-", "@", "\t") else text


def csv_text(names: Sequence[str], rows: Iterable[Sequence[Cell]], notes: Sequence[str] = ()) -> str:
    """Return a table as CSV (RFC 4180): notes as lines that begin with "# ", the names, then one line for each row.

    Parameters
    ----------
    names : sequence of str
        Names of the columns, with their units.
    rows : iterable of sequences
        As many cells as names. Numbers keep all their digits; None and NaN are empty.
    notes : sequence of str
        What a reader has to know: where the values come from, and by which formula.

    Raises
    ------
    ValueError
        A row has another length than ``names``.
    """
    text = io.StringIO()
    for note in notes:
        text.write(f"# {' '.join(note.split())}\r\n")
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        if len(row) != len(names):
            raise ValueError(f"a row of {len(row)} cells does not fit {len(names)} columns")
        writer.writerow([_plain(value) for value in row])
    return text.getvalue()
