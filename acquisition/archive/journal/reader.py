"""Reading a journal, also while its writer runs. Every entry is checked, and a damaged one is named and never used."""

from __future__ import annotations

import math
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from acquisition.archive.journal.checksums import Seal, event_sum, row_sum, status_sum
from acquisition.archive.journal.schema import (
    APPLICATION_ID,
    CRC,
    FIELDS,
    ROW_COLUMNS,
    SCHEMA_VERSION,
    UNPROTECTED_VERSION,
    Table,
    check_array_name,
    column_names,
)
from acquisition.archive.rows import Event, ExtraValue, StorageError, StoredRow, is_text
from acquisition.streams.rests import with_rests

_Content = TypeVar("_Content")

_REMEDY = "restore it from a copy; specklescope certify names everything that is damaged"
#: Rows that are read between two rests; they take about 0.6 ms.
_ROWS_BETWEEN_RESTS = 32


#: Types that SQLite gives back for a column of each type.
_OF_SQL: Mapping[str, tuple[type, ...]] = {"INTEGER": (int,), "REAL": (float,), "TEXT": (str,)}
_TYPES = {
    field: _OF_SQL[sql.split()[0]] if "NULL" in sql or "KEY" in sql else (*_OF_SQL[sql.split()[0]], type(None))
    for field, (_, sql) in zip(FIELDS, ROW_COLUMNS, strict=True)
}


@dataclass(frozen=True)
class BadRow:
    """A row that is not as it was written, or that is missing."""

    index: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class JournalSnapshot:
    """The content of a journal at one moment.

    What is damaged is listed, and refused where it is used.

    Parameters
    ----------
    path : Path
        The journal.
    arrays : tuple of str
        Names of the arrays.
    protected : bool
        Whether its entries have check sums; those of version 0.1.0 have none.
    intact_rows : tuple of StoredRow
        The rows that are as they were written, in order.
    bad_rows : tuple of BadRow
        The others.
    rows_seal : Seal
        Number of the intact rows, and the chain of their check sums.
    intact_events, intact_status
        The events and the facts about the whole archive that are as they were written.
    bad_facts : tuple of str
        What is wrong with the others.
    mixed : str
        Not empty where the journal and its write-ahead log are of different moments, so that the log is not read: what to do.
    """

    path: Path
    arrays: tuple[str, ...]
    protected: bool
    intact_rows: tuple[StoredRow, ...]
    bad_rows: tuple[BadRow, ...]
    rows_seal: Seal
    intact_events: tuple[Event, ...]
    intact_status: Mapping[str, str]
    bad_facts: tuple[str, ...]
    mixed: str = ""

    @property
    def intact(self) -> bool:
        """Whether every entry is as it was written."""
        return not self.bad_rows and not self.bad_facts

    @property
    def rows(self) -> tuple[StoredRow, ...]:
        """All rows in order; raises StorageError when one of them is damaged."""
        if self.bad_rows:
            raise self._bad_row(self.bad_rows[0])
        return self.intact_rows

    @property
    def events(self) -> tuple[Event, ...]:
        """All events in order; raises StorageError when events or facts are damaged."""
        self.check_facts()
        return self.intact_events

    @property
    def status(self) -> Mapping[str, str]:
        """All facts about the whole archive; raises StorageError when events or facts are damaged."""
        self.check_facts()
        return self.intact_status

    def row(self, index: int) -> StoredRow:
        """Return one row, also where others are damaged; raises StorageError when this one is, or is not there."""
        if not self.bad_rows and 0 <= index < len(self.intact_rows):
            return self.intact_rows[index]
        for row in self.intact_rows:
            if row.index == index:
                return row
        for bad in self.bad_rows:
            if bad.index == index:
                raise self._bad_row(bad)
        last = self.intact_rows[-1].index if self.intact_rows else -1
        raise StorageError(f"{self.path.parent.name} has rows 0 to {last}, not {index}")

    def check_facts(self) -> None:
        """Raise StorageError when events or facts about the whole archive are damaged."""
        if self.bad_facts:
            raise StorageError(f"{self.path} is damaged: {self.bad_facts[0]}; {_REMEDY}")

    def _bad_row(self, bad: BadRow) -> StorageError:
        return StorageError(f"row {bad.index} in {self.path} is damaged: {bad.reason}; {_REMEDY}")


def read_journal(path: Path) -> JournalSnapshot:
    """Read a journal, also while its writer runs, without changing any file in its folder.

    A copy of the folder that was made meanwhile can hold the journal and its write-ahead log (``-wal``) of different moments.
    Then only the journal is read: the entries until one moment, and ``mixed`` says so.

    Raises
    ------
    StorageError
        The file is missing, is not a SpeckleScope journal, or SQLite cannot read it. Damaged entries are listed instead.
    """
    if not path.is_file():
        raise StorageError(f"no journal at {path}: not an archive, or its creation was interrupted")
    wal = path.with_name(path.name + "-wal")
    try:
        if not wal.exists():
            # Without a writer the database is one file. SQLite's immutable mode leaves no further files in the folder and
            # works on read-only media. If a writer has been there meanwhile, the snapshot may be inconsistent: read again.
            before = path.stat()
            content = _snapshot(path, path, "immutable=1")
            if not wal.exists() and path.stat().st_mtime_ns == before.st_mtime_ns:
                return content
        return _with_log(path, wal)
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        raise StorageError(
            f"cannot read {path}: {error}; restore it from a copy, one that was made when nothing was written"
        ) from error


def _with_log(path: Path, wal: Path) -> JournalSnapshot:
    """Read a journal and its write-ahead log; where they do not fit together, the journal without it."""
    content: JournalSnapshot | None = None
    failure: Exception | None = None
    try:
        content = _recovered(path, wal)
    except (sqlite3.Error, StorageError, UnicodeDecodeError) as error:
        failure = error
    if content is not None and content.intact:
        return content
    # SQLite checks each frame of the log, but not that the log belongs to this state of the journal. Our check sums do.
    alone = _without_log(path)
    if alone is not None:
        text = (
            f"{path.name} and {wal.name} are of different moments, as when a folder is copied while it is written: only the "
            f"{len(alone.rows)} rows of {path.name} are read; copy the folder again when nothing is written"
        )
        return replace(alone, mixed=text)
    if content is None:
        assert failure is not None
        raise failure
    return content


def _recovered(path: Path, wal: Path) -> JournalSnapshot:
    try:
        return _snapshot(path, path, "mode=ro")
    except sqlite3.OperationalError:  # the WAL of a crashed writer in a read-only folder: recover a copy
        with tempfile.TemporaryDirectory() as folder:
            for source in (path, wal):
                shutil.copyfile(source, Path(folder) / source.name)
            return _snapshot(path, Path(folder) / path.name, "mode=rw")


def _without_log(path: Path) -> JournalSnapshot | None:
    """Return what the journal holds without its write-ahead log; None where that is damaged, or has no check sums."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        try:
            content = _snapshot(path, copy, "immutable=1")
        except (sqlite3.Error, StorageError, UnicodeDecodeError):
            return None
    return content if content.intact and content.protected else None


def _snapshot(path: Path, file: Path, mode: str) -> JournalSnapshot:
    with _connected(file, mode) as connection:
        return load_snapshot(path, connection)


@contextmanager
def _connected(file: Path, mode: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?{mode}", uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")  # a schema from elsewhere calls no functions with side effects
        yield connection


@contextmanager
def _read_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything inside the block is read as it is at one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def load_status(path: Path, connection: sqlite3.Connection) -> Mapping[str, str]:
    """Read and check the facts about the whole archive, and nothing else: the time does not grow with the number of rows.

    Parameters
    ----------
    path : Path
        The journal, for messages.
    connection : sqlite3.Connection
        An open connection to it.

    Raises
    ------
    StorageError
        It is not a SpeckleScope journal, or a fact is damaged.
    sqlite3.Error
        It cannot be read.
    """
    return _readable(connection, lambda: _checked_status(path, connection))


def _checked_status(path: Path, connection: sqlite3.Connection) -> Mapping[str, str]:
    protected = _version(path, connection) == SCHEMA_VERSION
    with _read_transaction(connection):
        status, bad = _status(connection, _seals(connection).get(Table.STATUS, Seal()) if protected else None)
    if bad:
        raise StorageError(f"{path} is damaged: {bad[0]}; {_REMEDY}")
    return status


def read_status(path: Path) -> Mapping[str, str]:
    """Read the facts about the whole archive from the file that is at ``path`` now, while its writer has it open.

    Raises
    ------
    StorageError
        The file is missing or not a journal, SQLite cannot read it, or a fact is damaged.
    """
    try:
        with _connected(path, "mode=ro") as connection:
            return load_status(path, connection)
    except sqlite3.Error as error:
        raise StorageError(f"cannot read {path}: {error}; restore it from a copy") from error


def load_snapshot(path: Path, connection: sqlite3.Connection) -> JournalSnapshot:
    """Read and check everything at one moment.

    Parameters
    ----------
    path : Path
        The journal, for messages.
    connection : sqlite3.Connection
        An open connection to it.

    Raises
    ------
    StorageError
        It is not a SpeckleScope journal.
    sqlite3.Error
        It cannot be read.
    """
    return _readable(connection, lambda: _checked_content(path, connection))


def _readable(connection: sqlite3.Connection, read: Callable[[], _Content]) -> _Content:
    """Return what ``read`` gives; where a text is no UTF-8, read again, so that the damaged entry is named."""
    try:
        return read()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    connection.text_factory = _text  # slower, but it names what is no UTF-8
    return read()


def _checked_content(path: Path, connection: sqlite3.Connection) -> JournalSnapshot:
    version = _version(path, connection)
    arrays = _array_names(path, connection)
    protected = version == SCHEMA_VERSION
    with _read_transaction(connection):  # rows, events and status of the same moment
        seals = _seals(connection) if protected else {}
        rows, bad_rows, rows_seal = _rows(connection, arrays, seals.get(Table.ROWS, Seal()) if protected else None)
        events, bad_events = _events(connection, seals.get(Table.EVENTS, Seal()) if protected else None)
        status, bad_status = _status(connection, seals.get(Table.STATUS, Seal()) if protected else None)
    return JournalSnapshot(
        path=path,
        arrays=arrays,
        protected=protected,
        intact_rows=tuple(rows),
        bad_rows=tuple(bad_rows),
        rows_seal=rows_seal,
        intact_events=tuple(events),
        intact_status=status,
        bad_facts=(*bad_events, *bad_status),
    )


def _text(data: bytes) -> str:
    """Return stored text; bytes that are no UTF-8 stay recognizable, so that their row can be named."""
    return data.decode("utf-8", "surrogateescape")


def _version(path: Path, connection: sqlite3.Connection) -> int:
    try:
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        columns = connection.execute("PRAGMA table_info(rows)").fetchall()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise StorageError(f"{path} is not a journal ({error}); restore it from a copy") from error
    if application_id != APPLICATION_ID or not columns:
        raise StorageError(f"{path} is not a SpeckleScope journal, or its creation was interrupted; choose another folder")
    if version not in (SCHEMA_VERSION, UNPROTECTED_VERSION):
        known = f"{UNPROTECTED_VERSION} and {SCHEMA_VERSION}"
        raise StorageError(f"{path} has layout {version}, this program reads {known}; use a matching release")
    _check_schema(path, connection)
    return version


def _check_schema(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse a database with anything but the plain tables of a journal: a view or a trigger could change what is stored."""
    for sql_type, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        is_table = sql_type == "table" and name in set(Table) and str(sql).upper().startswith("CREATE TABLE")
        if not is_table and not (sql_type == "index" and sql is None):  # SQLite's own index of a UNIQUE column has no SQL
            raise StorageError(f"{path} holds the {sql_type} {name!r}, which no journal has; use a copy from a trusted source")


def _array_names(path: Path, connection: sqlite3.Connection) -> tuple[str, ...]:
    columns = [row[1] for row in connection.execute("PRAGMA table_info(rows)")]
    arrays = tuple(name.removeprefix(CRC) for name in columns if name.startswith(CRC))
    for name in arrays:  # they become folders
        check_array_name(name)
    return arrays


def _seals(connection: sqlite3.Connection) -> dict[str, Seal]:
    """Return the seal of every table that has one; a damaged seal fits no table."""
    seals = connection.execute("SELECT name, entries, sha256 FROM seals").fetchall()
    return {name: Seal(n, sha256) for name, n, sha256 in seals if isinstance(n, int) and isinstance(sha256, bytes)}


def _rows(
    connection: sqlite3.Connection, arrays: Sequence[str], seal: Seal | None
) -> tuple[list[StoredRow], list[BadRow], Seal]:
    extra: dict[object, dict[str, ExtraValue]] = {}
    for index, key, value in with_rests(connection.execute("SELECT idx, key, value FROM extra"), 8 * _ROWS_BETWEEN_RESTS):
        extra.setdefault(index, {})[key] = value
    names = [*column_names(arrays), *(["sha256"] if seal else [])]
    good, bad, sums, expected = [], [], [], 0
    stored = connection.execute(f"SELECT {', '.join(names)} FROM rows ORDER BY idx")
    for values in with_rests(stored, _ROWS_BETWEEN_RESTS):
        index = values[0]
        if not isinstance(index, int):
            raise sqlite3.DatabaseError("the definition of the table rows is damaged")
        if index > expected:
            bad.append(_missing(expected, index - 1))
        expected = max(expected, index + 1)
        known = dict(zip(FIELDS, values, strict=False))
        crc32 = dict(zip(arrays, values[len(FIELDS) :], strict=False))
        try:
            row = _checked_row(known, crc32, extra.get(index, {}))
        except ValueError as error:
            bad.append(BadRow(index, str(error)))
            continue
        sha256 = row_sum(row)
        if seal and sha256 != values[-1]:
            bad.append(BadRow(index, "it differs from what was written (SHA-256)"))
            continue
        good.append(row)
        sums.append(sha256)
    read_back = Seal().extended(with_rests(sums, 8 * _ROWS_BETWEEN_RESTS))
    if seal and expected < seal.entries:
        bad.append(_missing(expected, seal.entries - 1))
    elif seal and not bad and read_back != seal:
        bad.append(BadRow(0, f"the {expected} rows are not the {seal.entries} rows that were written last (SHA-256)"))
    return good, bad, read_back


def _missing(first: int, last: int) -> BadRow:
    return BadRow(first, "it is missing" if last == first else f"the rows up to {last} are missing")


def _checked_row(known: dict[str, Any], crc32: dict[str, Any], extra: Mapping[str, Any]) -> StoredRow:
    """Return a row whose values have the right types; raises ValueError with the wrong one."""
    _check_types(known, crc32, extra)
    # SQLite stores NaN as nothing.
    facts = {key: math.nan if value is None else value for key, value in extra.items()}
    try:
        return StoredRow(**known, crc32=crc32, extra=facts)
    except StorageError as error:
        raise ValueError(str(error)) from error


def _check_types(known: dict[str, Any], crc32: dict[str, Any], extra: Mapping[str, Any]) -> None:
    for name, value in known.items():
        if type(value) not in _TYPES[name]:
            raise ValueError(f"{name} is {value!r}, which is not of type {_TYPES[name][0].__name__}")
    for name in ("index", "slot", "shard"):
        if known[name] < 0:
            raise ValueError(f"{name} is {known[name]}, which no row has")
    for name, value in crc32.items():
        if type(value) is not int:
            raise ValueError(f"the CRC-32 of {name!r} is {value!r}, which is no integer")
    for key, value in extra.items():
        if type(key) is not str or type(value) not in (str, int, float, type(None)):
            raise ValueError(f"the further fact {key!r} is {value!r}, which is no text or number")
    texts = "".join([value for value in (*known.values(), *extra, *extra.values()) if type(value) is str])
    if not is_text(texts):
        raise ValueError("one of its texts is no UTF-8")


def _events(connection: sqlite3.Connection, seal: Seal | None) -> tuple[list[Event], list[str]]:
    names = "id, utc, kind, text" + (", sha256" if seal else "")
    entries = connection.execute(f"SELECT {names} FROM events ORDER BY id").fetchall()
    good, bad = _intact_entries("event", entries, seal, lambda entry: event_sum(*entry))
    return [Event(*entry[1:4]) for entry in good], bad


def _status(connection: sqlite3.Connection, seal: Seal | None) -> tuple[dict[str, str], list[str]]:
    names = "key, value" + (", sha256" if seal else "")
    entries = connection.execute(f"SELECT {names} FROM status ORDER BY key").fetchall()
    good, bad = _intact_entries("status", entries, seal, lambda entry: status_sum(*entry))
    return {entry[0]: entry[1] for entry in good}, bad


_Entry = tuple[Any, ...]


def _intact_entries(
    name: str, entries: list[_Entry], seal: Seal | None, sum_of: Callable[..., bytes]
) -> tuple[list[_Entry], list[str]]:
    """Return the entries that are as they were written, and what is wrong with the others."""
    good = []
    bad = []
    for entry in entries:
        values = entry[:-1] if seal else entry
        texts = values[1:] if isinstance(values[0], int) else values
        if not all(isinstance(value, str) and is_text(value) for value in texts):
            bad.append(f"{name} {values[0]!r} holds something else than text")
        elif seal and sum_of(values) != entry[-1]:
            bad.append(f"{name} {values[0]!r} differs from what was written (SHA-256)")
        else:
            good.append(entry)
    if seal and not bad and Seal().extended(_sums(good)) != seal:
        bad.append(
            f"its table of {name} entries has {len(good)}, which are not the {seal.entries} that were written last (SHA-256)"
        )
    return good, bad


def _sums(entries: Sequence[_Entry]) -> Iterator[bytes]:
    for entry in entries:
        yield entry[-1]
