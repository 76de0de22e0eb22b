"""Hostile archives, models, checkpoints and calibrations."""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from acquisition.archive.atomic_files import array_bytes
from acquisition.archive.old_names import METADATA
from acquisition.archive.reader import DATA, JOURNAL
from app.benchmarks.reliability.hostile.attack import (
    Attack,
    Pickled,
    Target,
    leads_outside,
    object_array,
    put,
    yaml_alias_bomb,
    yaml_program,
)
from app.benchmarks.reliability.samples import SampleKind
from app.training.process import RunWatcher
from drivers.safe_text import read_yaml
from reconstruction.models.model import CARD, WEIGHTS
from reconstruction.training.run import CURVE, RESOLVED, RUN, read_resolved

_SQL = {
    "rows are a view": "ALTER TABLE rows RENAME TO hidden; CREATE VIEW rows AS SELECT * FROM hidden",
    "a trigger deletes rows": "CREATE TRIGGER lose AFTER INSERT ON rows BEGIN DELETE FROM rows; END",
    "a view loads an extension": "CREATE VIEW more AS SELECT load_extension('evil')",
    "a foreign table": "CREATE TABLE payload (content BLOB)",
    "an index on an expression": "CREATE INDEX expression ON rows (abs(idx))",
    "status is a virtual table": "DROP TABLE status; CREATE VIRTUAL TABLE status USING fts5(key, value)",
    "an array's name is a path": 'ALTER TABLE rows ADD COLUMN "crc32_../../secret" INTEGER',
    "a trigger on status": "CREATE TRIGGER lie AFTER UPDATE ON status BEGIN DELETE FROM rows; END",
}


def archive_attacks() -> Iterator[Attack]:
    """Yield hostile archives."""
    for name, sql in _SQL.items():
        yield _of_dataset(f"journal: {name}", _with_sql(sql))
    for part in (METADATA, JOURNAL, DATA, f"{DATA}/speckle", f"{DATA}/speckle/zarr.json"):
        yield _of_dataset(f"archive: {part} is a link", _with_link(part))
    yield _of_dataset("archive: a shard is a link", _shard_link)
    for part in (METADATA, JOURNAL, f"{DATA}/speckle/zarr.json"):
        yield _of_dataset(f"archive: {part} is a pipe", _with_pipe(part))
    yield _of_dataset("archive: metadata is an endless device", _with_device(METADATA))
    yield _of_dataset("archive: metadata with an alias bomb", lambda t: put(t.path / METADATA, yaml_alias_bomb()))
    yield _of_dataset("archive: metadata runs a program", lambda t: put(t.path / METADATA, yaml_program(t.canary)))
    yield _of_dataset("archive: metadata nested 100000 deep", lambda t: put(t.path / METADATA, "[" * 100_000))
    yield _of_dataset("archive: an array claims terabytes", _huge_zarr)
    yield _of_dataset("archive: an array names another store", _foreign_zarr)


def _of_dataset(name: str, spoil: Callable[[Target], object]) -> Attack:
    return Attack(name=name, kind=SampleKind.DATASET, spoil=spoil)


def _with_sql(sql: str) -> Callable[[Target], object]:
    def spoil(target: Target) -> None:
        with closing(sqlite3.connect(target.path / JOURNAL)) as connection:
            connection.executescript(sql)

    return spoil


def _with_link(part: str) -> Callable[[Target], object]:
    return lambda target: leads_outside(target, target.path / part)


def _shard_link(target: Target) -> None:
    leads_outside(target, next((target.path / DATA / "speckle").glob("c.*")))


def _with_pipe(part: str) -> Callable[[Target], object]:
    def spoil(target: Target) -> None:
        (target.path / part).unlink()
        os.mkfifo(target.path / part)

    return spoil


def _with_device(part: str) -> Callable[[Target], object]:
    def spoil(target: Target) -> None:
        (target.path / part).unlink()
        (target.path / part).symlink_to("/dev/zero")

    return spoil


def _huge_zarr(target: Target) -> None:
    path = target.path / DATA / "speckle" / "zarr.json"
    content = json.loads(path.read_text("utf-8"))
    content["shape"] = [content["shape"][0], 2**40, 2**40]
    put(path, json.dumps(content))


def _foreign_zarr(target: Target) -> None:
    path = target.path / DATA / "speckle" / "zarr.json"
    content = {"driver": "zarr3", "kvstore": {"driver": "http", "base_url": "http://127.0.0.1:9"}}
    put(path, json.dumps(content))


def stored_attacks() -> Iterator[Attack]:
    """Yield hostile models, checkpoints and calibrations."""
    model, calibration = SampleKind.MODEL, SampleKind.CALIBRATION
    yield Attack(name="model: a card of a billion channels", kind=model, spoil=_huge_card)
    yield Attack(name="model: the card runs a program", kind=model, spoil=lambda t: put(t.path / CARD, yaml_program(t.canary)))
    yield Attack(name="model: the weights are a pickle", kind=model, spoil=_pickled_weights)
    yield Attack(name="model: the weights claim a header of 2 GB", kind=model, spoil=lambda t: put(t.path / WEIGHTS, _header()))
    yield Attack(name="model: the weights are a link", kind=model, spoil=lambda t: leads_outside(t, t.path / WEIGHTS))
    yield Attack(name="model: the card is a link", kind=model, spoil=lambda t: leads_outside(t, t.path / CARD))
    yield Attack(name="run: its configuration is a link", kind=model, spoil=_run_link, read=_read_run)
    yield Attack(name="run: its curves are a pipe", kind=model, spoil=_run_pipe, read=_watch_run, inert=True)
    yield Attack(name="checkpoint: a header of 2 GB", kind=SampleKind.CHECKPOINT, spoil=lambda t: put(t.path, _header()))
    yield Attack(name="checkpoint: a pickle", kind=SampleKind.CHECKPOINT, spoil=lambda t: put(t.path, _pickle(t)))
    yield Attack(name="calibration: an array of objects", kind=calibration, spoil=_pickled_array)
    yield Attack(name="calibration: an array that claims terabytes", kind=calibration, spoil=_huge_array)
    yield Attack(name="calibration: an array is a link", kind=calibration, spoil=lambda t: leads_outside(t, _array(t)))


def _huge_card(target: Target) -> None:
    card = read_yaml(target.path / CARD)
    card["network"]["base_channels"] = 10**9
    put(target.path / CARD, json.dumps(card))


def _pickle(target: Target) -> bytes:
    return pickle.dumps(Pickled(target.canary))


def _pickled_weights(target: Target) -> None:
    put(target.path / WEIGHTS, _pickle(target))


def _header() -> bytes:
    return struct.pack("<Q", 2**31) + b"{" + b" " * 1000


def _run_link(target: Target) -> None:
    (target.path / RUN).mkdir()
    put(target.outside / "secret.yaml", "configuration: {steps: 3}\n")
    (target.path / RUN / RESOLVED).symlink_to(target.outside / "secret.yaml")


def _read_run(path: Path) -> None:
    read_resolved(path, "configuration")


def _run_pipe(target: Target) -> None:
    (target.path / RUN).mkdir()
    os.mkfifo(target.path / RUN / CURVE)


def _watch_run(path: Path) -> None:
    RunWatcher(path).poll()


def _array(target: Target) -> Path:
    return sorted(target.path.glob("*.npy"))[0]


def _pickled_array(target: Target) -> None:
    put(_array(target), object_array(target.canary))


def _huge_array(target: Target) -> None:
    header = array_bytes(np.zeros(1, np.uint8))
    shape = b"'shape': (9999999999999,), }"
    start = header.index(b"'shape'")
    put(_array(target), header[:start] + shape + header[start + len(shape) :])
