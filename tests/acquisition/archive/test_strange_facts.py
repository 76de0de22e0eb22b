"""Facts of other kinds than ours write, as an archive without check sums may hold: each is read, or refused with its place."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import JOURNAL, Archive
from acquisition.archive.recording_faults import recording_facts
from acquisition.archive.rows import PairRow, StorageError
from acquisition.archive.shards import ArraySpec
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter
from acquisition.capture.certificate import certify
from acquisition.capture.plan import CapturePlan
from acquisition.exchange.export import ExportFormat, export
from app.datasets.quality_report import finish_dataset
from app.reporting.rendering import utc_text


def archive_with(root: Path, kind: ArchiveKind, facts: Mapping[object, object], extra: Mapping[str, str | int | float]) -> Path:
    """An archive of version 0.1.0 of two shots of a plan, with further facts."""
    plan = CapturePlan(source="blank", pairs=1)
    arrays = [ArraySpec("speckle", (8, 8), "uint8"), ArraySpec("phase", (8, 8), "float32")]
    metadata = {"plan": plan.to_dict(), "plan_hash": plan.hash}
    with ArchiveWriter.create(root, ArchiveSpec(kind=kind, name="strange", arrays=arrays, metadata=metadata), 2) as writer:
        for shot in plan.shots((8, 8)):
            row = PairRow(frame_index=shot.number, t_ns=shot.number, exposure_s=0.1, pattern_id=shot.pattern.id, extra=extra)
            pixels = np.random.default_rng(shot.number).integers(0, 255, (8, 8)).astype(np.uint8)
            writer.append({"speckle": pixels, "phase": shot.pattern.phase_rad}, row)
        writer.complete()
    with closing(sqlite3.connect(writer.path / JOURNAL, isolation_level=None)) as connection:
        connection.execute("DROP TABLE seals")
        connection.execute("DELETE FROM status WHERE key LIKE 'sha256 %'")
        for table in ("rows", "events", "status"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN sha256")
        connection.execute("PRAGMA user_version = 1")
    (writer.path / "metadata.yaml").write_text(yaml.safe_dump({**metadata, **facts}))
    return writer.path


def test_metadata_with_keys_and_values_of_any_kind_is_exported(tmp_path: Path) -> None:
    facts = {
        1: "one",
        date(2026, 1, 1): "day",
        "": 2,
        "nul\0": 3,
        "text": "a\0b",
        "huge": 10**30,
        "deep": {2: [{3: 4}]},
        "pi": 3.1,
    }
    path = archive_with(tmp_path, ArchiveKind.DATASET, facts, {})
    [file] = export(Archive.open(path), tmp_path / "out", [ExportFormat.HDF5])
    with h5py.File(file) as content:
        stored = json.loads(content.attrs["metadata_json"])
        assert content.attrs["pi"] == 3.1
    assert {str(key) for key in facts} <= stored.keys()
    assert stored["huge"] == 10**30


def test_a_camera_clock_that_is_no_number_is_refused_with_its_row(tmp_path: Path) -> None:
    path = archive_with(tmp_path, ArchiveKind.DATASET, {}, {"device_ns": "noon"})
    with pytest.raises(StorageError, match=r"row 0 of .*strange.*device_ns is 'noon'"):
        certify(Archive.open(path))


def test_a_report_is_written_whatever_a_row_says_about_its_correlation(tmp_path: Path) -> None:
    path = archive_with(tmp_path, ArchiveKind.DATASET, {}, {"correlation": "high"})
    assert finish_dataset(path).pairs_damaged == 0


def test_a_count_of_a_recording_that_is_no_number_is_refused_with_its_name(tmp_path: Path) -> None:
    path = archive_with(tmp_path, ArchiveKind.RECORDING, {}, {})
    with closing(sqlite3.connect(path / JOURNAL, isolation_level=None)) as connection:
        connection.execute("INSERT OR REPLACE INTO status VALUES ('frames_missing', 'many')")
    with pytest.raises(StorageError, match=r"strange.*frames_missing in its journal is 'many'"):
        recording_facts(Archive.open(path))


@pytest.mark.parametrize("text", ["yesterday", "0000-01-01", "", "9999-99-99T00:00:00"])
def test_a_time_that_is_none_stays_as_it_is(text: str) -> None:
    assert utc_text(text) == text


@pytest.mark.parametrize("name", ["speckle", "phase"])
def test_a_dataset_without_one_of_its_arrays_is_refused_with_its_name(name: str, tmp_path: Path) -> None:
    path = archive_with(tmp_path, ArchiveKind.DATASET, {}, {})
    (path / "data.zarr" / name).rename(path / "data.zarr" / "other")
    with closing(sqlite3.connect(path / JOURNAL, isolation_level=None)) as connection:
        connection.execute(f"ALTER TABLE rows RENAME COLUMN crc32_{name} TO crc32_other")
    with pytest.raises(StorageError, match=f"has no array '{name}'; it has"):
        certify(Archive.open(path))


def test_a_plan_with_a_key_that_is_no_text_is_refused(tmp_path: Path) -> None:
    plan = {**CapturePlan(source="blank", pairs=1).to_dict(), True: 1}
    path = archive_with(tmp_path, ArchiveKind.DATASET, {"plan": plan}, {})
    with pytest.raises(StorageError, match=r"the plan in .*strange.*metadata\.yaml has a key that is no text"):
        certify(Archive.open(path))
