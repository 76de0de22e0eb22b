"""Writing the journal of an archive.

WAL with ``synchronous=FULL``: when a COMMIT returned, its entries survive a crash or a power cut.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from acquisition.archive.journal.checksums import Seal, event_sum, row_sum, status_sum
from acquisition.archive.journal.reader import JournalSnapshot, load_snapshot, load_status, read_journal
from acquisition.archive.journal.schema import FIELDS, Table, check_array_name, column_names, create_statements
from acquisition.archive.kinds import EventKind
from acquisition.archive.rows import StorageError, StoredRow


def utc_now() -> str:
    """Return the wall-clock time as ISO 8601 in UTC, with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Journal:
    """The writer's connection. Use :func:`read_journal` to read.

    Only one thread at a time may call it; the archive writer that owns it takes care of that. A journal of version 0.1.0 is
    continued in its own layout, without check sums.

    Attributes
    ----------
    path : Path
        The file.
    arrays : tuple of str
        Names of the arrays.
    rows_seal : Seal
        What was acknowledged, kept apart from the file: number of the rows, and the chain of their check sums.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, arrays: tuple[str, ...], *, protected: bool = True) -> None:
        self.path = path
        self.arrays = arrays
        self.rows_seal = Seal()
        self._sql = connection
        self._protected = protected

    @classmethod
    def create(cls, path: Path, arrays: Sequence[str]) -> Journal:
        """Create an empty journal with one CRC-32 column for each array.

        Raises
        ------
        StorageError
            The file exists, cannot be written, or an array's name is not lower-case letters, digits and ``_``.
        """
        for name in arrays:
            check_array_name(name)
        if path.exists():
            raise StorageError(f"cannot create {path}: it exists; resume it instead")
        journal = cls(path, _connect(path), tuple(arrays))
        with ExitStack() as undo, journal._transaction("create the journal") as sql:
            undo.callback(journal.close)
            for statement in create_statements(arrays):
                sql.execute(statement)
            undo.pop_all()
        return journal

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open an existing journal for writing. SQLite recovers here what a killed process left behind.

        Raises
        ------
        StorageError
            The file is missing, is not a SpeckleScope journal, cannot be written, or has damaged events or facts. Damaged rows
            are accepted, so that they can be withdrawn.
        """
        content = read_journal(path)  # before connecting: a foreign database must not be switched to WAL
        if content.mixed:
            raise StorageError(f"cannot write to {path}: {content.mixed}")
        content.check_facts()  # new entries would hide that others are lost
        journal = cls(path, _connect(path), content.arrays, protected=content.protected)
        journal.rows_seal = content.rows_seal
        return journal

    def commit(self, rows: Sequence[StoredRow]) -> None:
        """Add rows in one transaction; when this returns they are acknowledged."""
        names = column_names(self.arrays)
        values = [[getattr(row, name) for name in FIELDS] + [row.crc32[name] for name in self.arrays] for row in rows]
        sums = [row_sum(row) for row in rows]
        if self._protected:
            names = [*names, "sha256"]
            values = [[*columns, sha256] for columns, sha256 in zip(values, sums, strict=True)]
        insert = f"INSERT INTO rows ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        extra = [(row.index, key, value) for row in rows for key, value in row.extra.items()]
        with self._transaction(f"commit {len(rows)} rows") as sql:
            sql.executemany(insert, values)
            sql.executemany("INSERT INTO extra VALUES (?, ?, ?)", extra)
            self._extend_seal(Table.ROWS, sums)
        self.rows_seal = self.rows_seal.extended(sums)

    def quarantine(self, index: int, text: str) -> None:
        """Withdraw all rows from ``index`` on and store the reason as an event, in one transaction."""
        with self._transaction(f"quarantine from row {index}") as sql:
            sql.execute("DELETE FROM rows WHERE idx >= ?", (index,))
            sql.execute("DELETE FROM extra WHERE idx >= ?", (index,))
            if self._protected:
                self._set_seal(Table.ROWS, Seal().extended(self._sums("SELECT sha256 FROM rows ORDER BY idx")))
            self._add_event(EventKind.QUARANTINE, text)
        self.rows_seal = self._seal(Table.ROWS) if self._protected else self.snapshot().rows_seal

    def event(self, kind: EventKind | str, text: str) -> None:
        """Store a fault, a passed check, or anything else that a reader of the archive should know."""
        with self._transaction(f"store the event '{kind}'"):
            self._add_event(kind, text)

    def set_status(self, facts: Mapping[str, str]) -> None:
        """Store facts about the whole archive in one transaction, replacing their earlier values."""
        with self._transaction(f"store the status {', '.join(facts)}") as sql:
            if self._protected:
                entries = [(key, value, status_sum(key, value)) for key, value in facts.items()]
                sql.executemany("INSERT OR REPLACE INTO status VALUES (?, ?, ?)", entries)
                self._set_seal(Table.STATUS, Seal().extended(self._sums("SELECT sha256 FROM status ORDER BY key")))
            else:
                sql.executemany("INSERT OR REPLACE INTO status VALUES (?, ?)", list(facts.items()))

    def snapshot(self) -> JournalSnapshot:
        """Return what the journal holds."""
        return load_snapshot(self.path, self._sql)

    def status(self) -> Mapping[str, str]:
        """Return the facts about the whole archive."""
        return load_status(self.path, self._sql)

    def close(self) -> None:
        """Close the database; safe to call twice."""
        self._sql.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self, action: str) -> Iterator[sqlite3.Connection]:
        try:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield self._sql
                self._sql.execute("COMMIT")
            except BaseException:
                if self._sql.in_transaction:
                    self._sql.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StorageError(f"cannot {action} in {self.path}: {error}; check the disk") from error

    def _add_event(self, kind: EventKind | str, text: str) -> None:
        if not self._protected:
            self._sql.execute("INSERT INTO events (utc, kind, text) VALUES (?, ?, ?)", (utc_now(), str(kind), text))
            return
        number, utc = self._seal(Table.EVENTS).entries + 1, utc_now()
        sha256 = event_sum(number, utc, str(kind), text)
        self._sql.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", (number, utc, str(kind), text, sha256))
        self._extend_seal(Table.EVENTS, [sha256])

    def _seal(self, table: Table) -> Seal:
        stored = self._sql.execute("SELECT entries, sha256 FROM seals WHERE name = ?", (table.value,)).fetchone()
        return Seal(*stored) if stored else Seal()

    def _extend_seal(self, table: Table, sums: Sequence[bytes]) -> None:
        if self._protected:
            self._set_seal(table, self._seal(table).extended(sums))

    def _set_seal(self, table: Table, seal: Seal) -> None:
        self._sql.execute("INSERT OR REPLACE INTO seals VALUES (?, ?, ?)", (table.value, seal.entries, seal.sha256))

    def _sums(self, query: str) -> list[bytes]:
        return [sha256 for (sha256,) in self._sql.execute(query)]


def _connect(path: Path) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        # A writer may be opened in one thread and used in another; its mutex lets only one in at a time.
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise StorageError(f"cannot open {path} for writing: {error}; check the disk and its permissions") from error
    return connection
