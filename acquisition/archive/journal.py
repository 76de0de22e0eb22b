"""The journal of an archive: a SQLite database that alone decides which images exist.

WAL with ``synchronous=FULL``: when a COMMIT returned, its rows survive a crash or a power cut.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from acquisition.archive.kinds import EventKind
from acquisition.archive.rows import Event, ExtraValue, StorageError, StoredRow

APPLICATION_ID = 0x53504B4C  # "SPKL" in the file's header distinguishes our journals from other SQLite files
SCHEMA_VERSION = 1
_CRC = "crc32_"
#: The tables of a journal; it has no views, triggers or further indexes.
_TABLES = ("rows", "extra", "events", "status")
_ARRAY_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

_ROW_COLUMNS = (
    ("idx", "INTEGER PRIMARY KEY"),
    ("slot", "INTEGER NOT NULL UNIQUE"),
    ("shard", "INTEGER NOT NULL"),
    ("frame_index", "INTEGER NOT NULL"),
    ("t_ns", "INTEGER NOT NULL"),
    ("exposure_s", "REAL NOT NULL"),
    ("pattern_id", "TEXT NOT NULL"),
    ("pattern_name", "TEXT NOT NULL"),
    ("host_utc", "TEXT NOT NULL"),
    ("model_id", "TEXT NOT NULL"),
    ("engine", "TEXT NOT NULL"),
    ("latency_s", "REAL"),
)
_FIELDS = tuple("index" if name == "idx" else name for name, _ in _ROW_COLUMNS)
assert set(_FIELDS) == {f.name for f in fields(StoredRow)} - {"crc32", "extra"}  # a new field needs its column


def check_array_name(name: str) -> None:
    """Raise StorageError unless ``name`` is fit to become a folder and a column."""
    if not _ARRAY_NAME.fullmatch(name):
        raise StorageError(f"array name {name!r} must match {_ARRAY_NAME.pattern}; choose another")


def utc_now() -> str:
    """Return the wall-clock time as ISO 8601 in UTC, with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Journal:
    """The writer's connection. Use :func:`read_journal` to read.

    Only one thread at a time may call it; the archive writer that owns it takes care of that.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, arrays: tuple[str, ...]) -> None:
        self.path = path
        self.arrays = arrays
        self._sql = connection

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
        columns = [f"{name} {sql_type}" for name, sql_type in _ROW_COLUMNS]
        columns += [f"{_CRC}{name} INTEGER NOT NULL" for name in arrays]
        journal = cls(path, _connect(path), tuple(arrays))
        with ExitStack() as undo, journal._transaction("create the journal") as sql:
            undo.callback(journal.close)
            sql.execute(f"CREATE TABLE rows ({', '.join(columns)})")
            sql.execute("CREATE TABLE extra (idx INTEGER, key TEXT, value, PRIMARY KEY (idx, key)) WITHOUT ROWID")
            sql.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, utc TEXT, kind TEXT, text TEXT)")
            sql.execute("CREATE TABLE status (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
            sql.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            sql.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            undo.pop_all()
        return journal

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open an existing journal for writing. SQLite recovers here what a killed process left behind.

        Raises
        ------
        StorageError
            The file is missing, is not a SpeckleScope journal, or cannot be written.
        """
        if not path.is_file():
            raise StorageError(f"no journal at {path}: not an archive, or its creation was interrupted")
        arrays = read_journal(path).arrays  # before connecting: a foreign database must not be switched to WAL
        return cls(path, _connect(path), arrays)

    def commit(self, rows: Sequence[StoredRow]) -> None:
        """Add rows in one transaction; when this returns they are acknowledged."""
        names = _column_names(self.arrays)
        insert = f"INSERT INTO rows ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        values = [[getattr(row, name) for name in _FIELDS] + [row.crc32[name] for name in self.arrays] for row in rows]
        extra = [(row.index, key, value) for row in rows for key, value in row.extra.items()]
        with self._transaction(f"commit {len(rows)} rows") as sql:
            sql.executemany(insert, values)
            sql.executemany("INSERT INTO extra VALUES (?, ?, ?)", extra)

    def quarantine(self, index: int, text: str) -> None:
        """Withdraw all rows from ``index`` on and store the reason as an event, in one transaction."""
        with self._transaction(f"quarantine from row {index}") as sql:
            sql.execute("DELETE FROM rows WHERE idx >= ?", (index,))
            sql.execute("DELETE FROM extra WHERE idx >= ?", (index,))
            _add_event(sql, EventKind.QUARANTINE, text)

    def event(self, kind: EventKind | str, text: str) -> None:
        """Store a fault, a passed check, or anything else that a reader of the archive should know."""
        with self._transaction(f"store the event '{kind}'") as sql:
            _add_event(sql, kind, text)

    def set_status(self, key: str, value: str) -> None:
        """Store one fact about the whole archive, replacing its earlier value."""
        with self._transaction(f"store the status {key!r}") as sql:
            sql.execute("INSERT OR REPLACE INTO status VALUES (?, ?)", (key, value))

    def rows(self) -> list[StoredRow]:
        """Return all rows in order."""
        return _load_rows(self._sql, self.arrays)

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


@dataclass(frozen=True)
class JournalSnapshot:
    """The content of a journal at one moment."""

    arrays: tuple[str, ...]
    rows: tuple[StoredRow, ...]
    events: tuple[Event, ...]
    status: Mapping[str, str]


def read_journal(path: Path) -> JournalSnapshot:
    """Read a journal, also while its writer runs, without changing any file in its folder.

    Raises
    ------
    StorageError
        The file is missing, damaged, or not a SpeckleScope journal.
    """
    if not path.is_file():
        raise StorageError(f"no journal at {path}: not an archive, or its creation was interrupted")
    wal = path.with_name(path.name + "-wal")
    try:
        if not wal.exists():
            # Without a writer the database is one file. SQLite's immutable mode leaves no further files in the folder and
            # works on read-only media. If a writer has started meanwhile, the snapshot may be inconsistent: read again.
            snapshot = _snapshot(path, "immutable=1")
            if not wal.exists():
                return snapshot
        try:
            return _snapshot(path, "mode=ro")
        except sqlite3.OperationalError:  # the WAL of a crashed writer in a read-only folder: recover a copy
            with tempfile.TemporaryDirectory() as folder:
                for source in (path, wal):
                    shutil.copyfile(source, Path(folder) / source.name)
                return _snapshot(Path(folder) / path.name, "mode=rw")
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"cannot read {path}: {error}; restore it from a copy") from error


def _snapshot(path: Path, mode: str) -> JournalSnapshot:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")  # a schema from elsewhere calls no functions with side effects
        arrays = _array_names(path, connection)
        connection.execute("BEGIN")  # one read transaction: rows, events and status of the same moment
        events = connection.execute("SELECT utc, kind, text FROM events ORDER BY id")
        return JournalSnapshot(
            arrays=arrays,
            rows=tuple(_load_rows(connection, arrays)),
            events=tuple(Event(*row) for row in events),
            status=dict(connection.execute("SELECT key, value FROM status").fetchall()),
        )
    finally:
        connection.close()


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


def _array_names(path: Path, connection: sqlite3.Connection) -> tuple[str, ...]:
    try:
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        columns = [row[1] for row in connection.execute("PRAGMA table_info(rows)")]
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise StorageError(f"{path} is not a journal ({error}); restore it from a copy") from error
    if application_id != APPLICATION_ID or not columns:
        raise StorageError(f"{path} is not a SpeckleScope journal, or its creation was interrupted; choose another folder")
    if version != SCHEMA_VERSION:
        raise StorageError(f"{path} has layout {version}, this program reads {SCHEMA_VERSION}; use a matching release")
    _check_schema(path, connection)
    arrays = tuple(name.removeprefix(_CRC) for name in columns if name.startswith(_CRC))
    for name in arrays:  # they become folders
        check_array_name(name)
    return arrays


def _check_schema(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse a database with anything but the plain tables of a journal: a view or a trigger could change what is stored."""
    for sql_type, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        is_table = sql_type == "table" and name in _TABLES and str(sql).upper().startswith("CREATE TABLE")
        if not is_table and not (sql_type == "index" and sql is None):  # SQLite's own index of a UNIQUE column has no SQL
            raise StorageError(f"{path} holds the {sql_type} {name!r}, which no journal has; use a copy from a trusted source")


def _column_names(arrays: Sequence[str]) -> list[str]:
    return [name for name, _ in _ROW_COLUMNS] + [_CRC + name for name in arrays]


def _load_rows(connection: sqlite3.Connection, arrays: Sequence[str]) -> list[StoredRow]:
    extra: dict[int, dict[str, ExtraValue]] = {}
    for index, key, value in connection.execute("SELECT idx, key, value FROM extra"):
        extra.setdefault(index, {})[key] = value
    rows = []
    for values in connection.execute(f"SELECT {', '.join(_column_names(arrays))} FROM rows ORDER BY idx"):
        known = dict(zip(_FIELDS, values, strict=False))
        crc32 = dict(zip(arrays, values[len(_FIELDS) :], strict=True))
        rows.append(StoredRow(**known, crc32=crc32, extra=extra.get(known["index"], {})))
    return rows


def _add_event(sql: sqlite3.Connection, kind: EventKind | str, text: str) -> None:
    sql.execute("INSERT INTO events (utc, kind, text) VALUES (?, ?, ?)", (utc_now(), str(kind), text))
