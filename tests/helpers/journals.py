"""Archives that somebody changed on purpose: the check sums fit again, so that only the content tells."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from acquisition.archive.journal.checksums import Seal, event_sum, row_sum, status_sum
from acquisition.archive.journal.reader import load_snapshot
from acquisition.archive.old_names import METADATA
from acquisition.archive.reader import JOURNAL, Archive, file_sums


def execute(archive: Path, *statements: str) -> None:
    """Change the journal of an archive by SQL, as damage or an editor does: the check sums stay as they are."""
    with closing(sqlite3.connect(archive / JOURNAL)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def forge(archive: Path, *statements: str) -> None:
    """Change the journal of an archive by SQL, and compute all its check sums again."""
    with closing(sqlite3.connect(archive / JOURNAL)) as connection, connection:
        connection.execute("PRAGMA user_version = 1")  # read without check sums
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        content = load_snapshot(archive / JOURNAL, connection)
        rows = [(row_sum(row), row.index) for row in content.rows]
        connection.executemany("UPDATE rows SET sha256 = ? WHERE idx = ?", rows)
        events = [
            (event_sum(*entry), entry[0]) for entry in connection.execute("SELECT id, utc, kind, text FROM events ORDER BY id")
        ]
        connection.executemany("UPDATE events SET sha256 = ? WHERE id = ?", events)
        status = [(status_sum(key, value), key) for key, value in sorted(content.status.items())]
        connection.executemany("UPDATE status SET sha256 = ? WHERE key = ?", status)
        for name, sums in (("rows", rows), ("events", events), ("status", status)):
            seal = Seal().extended(sha256 for sha256, _ in sums)
            connection.execute("INSERT OR REPLACE INTO seals VALUES (?, ?, ?)", (name, seal.entries, seal.sha256))
        connection.execute("PRAGMA user_version = 2")


def forge_metadata(archive: Path, text: str) -> None:
    """Write other metadata, and their check sum into the journal."""
    arrays = Archive.open(archive).arrays
    (archive / METADATA).write_text(text, encoding="utf-8")
    facts = file_sums(archive, arrays)
    forge(archive, *(f"UPDATE status SET value = '{value}' WHERE key = '{key}'" for key, value in facts.items()))
