"""Archives from elsewhere: a journal with more than a journal's tables, and links out of the folder, are refused by name."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.journal.reader import read_journal
from acquisition.archive.journal.writer import Journal
from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import DATA, JOURNAL, Archive
from acquisition.archive.rows import PairRow, StorageError
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec

SPEC = ArchiveSpec(kind=ArchiveKind.DATASET, name="cells", arrays=[ArraySpec("speckle", (4, 4), "uint8")], metadata={})


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of two pairs."""
    with ArchiveWriter.create(tmp_path / "archives", SPEC, 2) as writer:
        for index in range(2):
            writer.append({"speckle": np.full((4, 4), index, np.uint8)}, PairRow(frame_index=index, t_ns=0, exposure_s=0.1))
    return writer.path


HOSTILE_SQL = {
    "view 'rows'": "ALTER TABLE rows RENAME TO hidden; CREATE VIEW rows AS SELECT * FROM hidden",
    "trigger 'lose'": "CREATE TRIGGER lose AFTER INSERT ON rows BEGIN DELETE FROM rows; END",
    "view 'more'": "CREATE VIEW more AS SELECT load_extension('evil')",
    "table 'payload'": "CREATE TABLE payload (content BLOB)",
    "index 'expression'": "CREATE INDEX expression ON rows (abs(idx))",
    "table 'status'": "DROP TABLE status; CREATE VIRTUAL TABLE status USING fts5(key, value)",
}


@pytest.mark.parametrize(("culprit", "sql"), HOSTILE_SQL.items(), ids=HOSTILE_SQL.keys())
def test_a_journal_with_more_than_its_tables_is_refused(culprit: str, sql: str, archive: Path) -> None:
    with closing(sqlite3.connect(archive / JOURNAL)) as connection:
        connection.executescript(sql)
    before = (archive / JOURNAL).read_bytes()
    for use in (read_journal, Journal.open):
        with pytest.raises(StorageError, match=r"journal\.sqlite holds the") as caught:
            use(archive / JOURNAL)
        if culprit != "view 'rows'":  # here the renamed table comes first
            assert culprit in str(caught.value)
    with pytest.raises(StorageError, match="which no journal has"):
        ArchiveWriter.resume(archive)
    assert (archive / JOURNAL).read_bytes() == before


def test_an_array_whose_name_is_a_path_is_refused(archive: Path) -> None:
    with closing(sqlite3.connect(archive / JOURNAL)) as connection:
        connection.execute('ALTER TABLE rows ADD COLUMN "crc32_../../secret" INTEGER')
    with pytest.raises(StorageError, match=r"array name '\.\./\.\./secret'"):
        Archive.open(archive)


@pytest.mark.parametrize("name", ["metadata.yaml", JOURNAL, DATA, f"{DATA}/speckle", f"{DATA}/speckle/zarr.json", "shard"])
def test_a_link_out_of_the_archive_is_refused(name: str, archive: Path, tmp_path: Path) -> None:
    path = next(archive.glob(f"{DATA}/speckle/c.*")) if name == "shard" else archive / name
    outside = tmp_path / "outside"
    path.rename(outside)
    path.symlink_to(outside)
    for use in (Archive.open, ArchiveWriter.resume):
        with pytest.raises(StorageError, match=f"{path.name} is a link to {outside}, outside its folder"):
            use(archive)


@pytest.mark.parametrize("name", ["writer.lock", f"{JOURNAL}-wal"])
def test_a_link_to_an_absent_file_outside_is_refused(name: str, archive: Path, tmp_path: Path) -> None:
    (archive / name).unlink(missing_ok=True)
    (archive / name).symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError, match=f"{name} is a link to"):
        ArchiveWriter.resume(archive)
    assert not (tmp_path / "victim").exists(), "nothing may be written there"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["metadata.yaml", f"{DATA}/speckle/zarr.json"])
def test_a_pipe_in_an_archive_is_refused_at_once(name: str, archive: Path) -> None:
    (archive / name).unlink()
    os.mkfifo(archive / name)
    with pytest.raises(StorageError, match="is a pipe or a device"):
        Archive.open(archive)


def test_links_that_stay_inside_and_a_link_to_the_archive_are_allowed(archive: Path, tmp_path: Path) -> None:
    (archive / "metadata.yaml").rename(archive / "kept.yaml")
    (archive / "metadata.yaml").symlink_to("kept.yaml")
    (tmp_path / "short").symlink_to(archive)
    assert len(Archive.open(tmp_path / "short")) == 2
    shutil.rmtree(archive / "targets")
    assert Archive.open(tmp_path / "short").verify().ok
