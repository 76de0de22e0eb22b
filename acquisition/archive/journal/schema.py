"""The tables and columns of a journal, and its versions: what reading and writing have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from enum import StrEnum

from acquisition.archive.rows import StorageError, StoredRow

APPLICATION_ID = 0x53504B4C  # "SPKL" in the file's header distinguishes our journals from other SQLite files
#: The version that is written, and the one of SpeckleScope 0.1.0, which had no check sums of entries.
SCHEMA_VERSION, UNPROTECTED_VERSION = 2, 1
CRC = "crc32_"
_ARRAY_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class Table(StrEnum):
    """The tables of a journal; it has no views, triggers or further indexes."""

    ROWS = "rows"
    EXTRA = "extra"
    EVENTS = "events"
    STATUS = "status"
    #: How many entries each other table has, and one check sum over all of theirs; absent in version 1.
    SEALS = "seals"


ROW_COLUMNS = (
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
#: The fields of a stored row, in the order of the columns.
FIELDS = tuple("index" if name == "idx" else name for name, _ in ROW_COLUMNS)
assert set(FIELDS) == {f.name for f in fields(StoredRow)} - {"crc32", "extra"}  # a new field needs its column


def check_array_name(name: str) -> None:
    """Raise StorageError unless ``name`` is fit to become a folder and a column."""
    if not _ARRAY_NAME.fullmatch(name):
        raise StorageError(f"array name {name!r} must match {_ARRAY_NAME.pattern}; choose another")


def column_names(arrays: Sequence[str]) -> list[str]:
    """Return the columns of the table of rows, without its check sum."""
    return [name for name, _ in ROW_COLUMNS] + [CRC + name for name in arrays]


def create_statements(arrays: Sequence[str]) -> list[str]:
    """Return the SQL that makes the tables of an empty journal."""
    columns = [f"{name} {sql_type}" for name, sql_type in ROW_COLUMNS]
    columns += [f"{CRC}{name} INTEGER NOT NULL" for name in arrays]
    return [
        f"CREATE TABLE rows ({', '.join(columns)}, sha256 BLOB NOT NULL)",
        "CREATE TABLE extra (idx INTEGER, key TEXT, value, PRIMARY KEY (idx, key)) WITHOUT ROWID",
        "CREATE TABLE events (id INTEGER PRIMARY KEY, utc TEXT, kind TEXT, text TEXT, sha256 BLOB NOT NULL)",
        "CREATE TABLE status (key TEXT PRIMARY KEY, value TEXT, sha256 BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE seals (name TEXT PRIMARY KEY, entries INTEGER NOT NULL, sha256 BLOB NOT NULL) WITHOUT ROWID",
        f"PRAGMA user_version = {SCHEMA_VERSION}",
        f"PRAGMA application_id = {APPLICATION_ID}",
    ]
