"""A journal's entries have check sums: what is damaged is named and never used, and everything else stays readable."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.journal.reader import read_journal
from acquisition.archive.journal.writer import Journal
from acquisition.archive.kinds import ArchiveKind, EventKind
from acquisition.archive.reader import JOURNAL, Archive
from acquisition.archive.rows import PairRow, StorageError
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec
from tests.helpers.journals import execute

COUNT, SLOTS = 12, 4
SPEC = ArraySpec("speckle", (6, 5), "uint16")
OLD = Path(__file__).parents[3] / "fixtures" / "version-0.1.0" / "take"


def image(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 4096, SPEC.shape, dtype=np.uint16)


def fill(writer: ArchiveWriter, count: int) -> None:
    for index in range(writer.next_index, writer.next_index + count):
        extra = {"device_ns": 1000 * index, "correlation": float("nan"), "note": "ä", "checked": True}
        row = PairRow(frame_index=index, t_ns=index, exposure_s=1, pattern_name="cells", latency_s=0.02, extra=extra)
        writer.append({"speckle": image(index)}, row)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=[SPEC], metadata={"pixel_um": 3.45})
    with ArchiveWriter.create(tmp_path_factory.mktemp("journal"), spec, COUNT, shard_bytes=SLOTS * SPEC.nbytes) as writer:
        fill(writer, COUNT)
        writer.event(EventKind.FRAME_FAILED, "3 times: incomplete buffer")
        writer.event(EventKind.VERDICT, "complete, with 3 faults")
        writer.complete("complete, with 3 faults")
    return writer.path


@pytest.fixture
def path(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / finished.name)


def content(path: Path) -> list[object]:
    archive = Archive.open(path)
    rows = [str(row) for row in archive.rows()]
    images = [archive.read("speckle", index).tobytes() + archive.spec("speckle").dtype.encode() for index in range(len(rows))]
    return [rows, images, archive.events(), archive.status, archive.metadata]


def is_verified(path: Path) -> bool:
    try:
        return Archive.open(path).verify().ok
    except StorageError:
        return False


def test_an_intact_archive_is_verified_with_protected_rows(finished: Path) -> None:
    report = Archive.open(finished).verify()
    assert report.ok
    assert report.rows_protected
    assert (report.count, report.damage()) == (COUNT, [])
    assert Archive.open(finished).row(3).extra["checked"] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE rows SET t_ns = t_ns + 1 WHERE idx = 5", "differs from what was written"),
        ("UPDATE rows SET exposure_s = 1.0000001 WHERE idx = 5", "differs from what was written"),
        ("UPDATE rows SET crc32_speckle = 7 WHERE idx = 5", "differs from what was written"),
        ("UPDATE rows SET sha256 = zeroblob(32) WHERE idx = 5", "differs from what was written"),
        ("UPDATE extra SET value = 1 WHERE idx = 5 AND key = 'device_ns'", "differs from what was written"),
        ("DELETE FROM extra WHERE idx = 5 AND key = 'note'", "differs from what was written"),
        ("INSERT INTO extra VALUES (5, 'not_segmented', 1)", "differs from what was written"),
        ("UPDATE rows SET t_ns = 'soon' WHERE idx = 5", "t_ns is 'soon', which is not of type int"),
        ("UPDATE rows SET exposure_s = 'x' WHERE idx = 5", "exposure_s is 'x', which is not of type float"),
        ("UPDATE rows SET exposure_s = 1e999 WHERE idx = 5", "takes plain finite"),
        ("UPDATE rows SET pattern_name = x'ff' WHERE idx = 5", "pattern_name is b'.xff', which is not of type str"),
        ("UPDATE rows SET pattern_name = CAST(x'ff41' AS TEXT) WHERE idx = 5", "no UTF-8"),
        ("UPDATE extra SET value = x'00' WHERE idx = 5 AND key = 'note'", "no text or number"),
        ("DELETE FROM rows WHERE idx = 5", "it is missing"),
    ],
)
def test_a_damaged_row_is_named_and_refused_and_the_others_stay_readable(path: Path, change: str, reason: str) -> None:
    execute(path, change)
    archive = Archive.open(path)
    report = archive.verify()
    assert not report.ok
    assert [bad.index for bad in report.bad_rows] == [5]
    assert len(archive) == COUNT
    for use in (archive.rows, lambda: archive.row(5), lambda: archive.read("speckle", 5)):
        with pytest.raises(StorageError, match=rf"row 5 in .*{JOURNAL} is damaged: .*{reason}"):
            use()
    assert [row.index for row in archive.intact_rows()] == [index for index in range(COUNT) if index != 5]
    for row in archive.intact_rows():
        np.testing.assert_array_equal(archive.read("speckle", row.index), image(row.index))
    with pytest.raises(StorageError, match="has rows 0 to 11, not 12"):
        archive.row(12)


def test_rows_missing_at_the_end_are_noticed(path: Path) -> None:
    execute(path, "DELETE FROM rows WHERE idx >= 9")
    with pytest.raises(StorageError, match=r"row 9 in .* the rows up to 11 are missing"):
        Archive.open(path).rows()


def test_a_row_of_an_earlier_state_is_noticed(path: Path, tmp_path: Path) -> None:
    """As a disk leaves it that lost the last write of a page: every row fits its own check sum."""
    before = shutil.copytree(path, tmp_path / "before")
    with ArchiveWriter.resume(path) as writer:
        writer.quarantine(9, "moved")
        fill(writer, 3)
    assert Archive.open(path).verify().ok
    execute(
        path,
        "DELETE FROM rows WHERE idx = 11",
        f"ATTACH '{before / JOURNAL}' AS old",
        "INSERT INTO rows SELECT * FROM old.rows WHERE idx = 11",
    )
    with pytest.raises(StorageError, match="are not the 12 rows that were written last"):
        Archive.open(path).rows()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET text = '2 times: incomplete buffer' WHERE id = 1",
        "UPDATE events SET kind = 'rearmed' WHERE id = 1",
        "DELETE FROM events WHERE id = 2",
        "DELETE FROM events WHERE id = 1",
        "UPDATE status SET value = 'complete' WHERE key = 'verdict'",
        "DELETE FROM status WHERE key = 'verdict'",
        "UPDATE status SET value = 5 WHERE key = 'name'",
        "UPDATE seals SET entries = 7 WHERE name = 'events'",
        "DELETE FROM seals WHERE name = 'status'",
        "UPDATE seals SET entries = 'x' WHERE name = 'status'",
    ],
)
def test_a_changed_verdict_or_event_is_refused_and_images_stay_readable(path: Path, change: str) -> None:
    execute(path, change)
    archive = Archive.open(path)
    assert not archive.verify().ok
    for use in (archive.events, lambda: archive.status, lambda: archive.kind, lambda: archive.finish_reason):
        with pytest.raises(StorageError, match=rf"{JOURNAL} is damaged"):
            use()
    np.testing.assert_array_equal(archive.read("speckle", 5), image(5))
    with pytest.raises(StorageError, match=rf"{JOURNAL} is damaged"):
        ArchiveWriter.resume(path)


def test_a_changed_description_is_refused(path: Path) -> None:
    metadata = path / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("3.45", "3.41"))
    archive = Archive.open(path)
    with pytest.raises(StorageError, match=r"metadata\.yaml differs from what was written"):
        assert archive.metadata
    np.testing.assert_array_equal(archive.read("speckle", 5), image(5))
    zarr = path / "data.zarr" / "speckle" / "zarr.json"
    zarr.write_text(zarr.read_text().replace("uint16", "int16"))  # the same bytes, so the same CRC-32
    archive = Archive.open(path)
    for use in (lambda: archive.spec("speckle"), lambda: archive.read("speckle", 5)):
        with pytest.raises(StorageError, match=r"zarr\.json differs from what was written"):
            use()
    assert len(archive.verify().bad_facts) == 2
    with pytest.raises(StorageError, match="differs from what was written"):
        ArchiveWriter.resume(path)


@pytest.mark.parametrize("file", [JOURNAL, "metadata.yaml", "data.zarr/zarr.json", "data.zarr/speckle/zarr.json"])
def test_a_flipped_bit_is_reported_or_changes_nothing(path: Path, file: str) -> None:
    expected = content(path)
    original = (path / file).read_bytes()
    numbers = random.Random(file)
    reported = 0
    for _ in range(60):
        damaged = bytearray(original)
        damaged[numbers.randrange(len(original))] ^= 1 << numbers.randrange(8)
        (path / file).write_bytes(damaged)
        if is_verified(path):
            assert content(path) == expected
        else:
            reported += 1
    assert reported > 5


def test_resume_withdraws_a_damaged_row_of_the_last_shard_and_no_more(path: Path) -> None:
    execute(path, "UPDATE rows SET t_ns = 0 WHERE idx = 10")
    with ArchiveWriter.resume(path) as writer:
        assert (writer.acknowledged, writer.dropped) == (10, 2)
        fill(writer, 2)
    archive = Archive.open(path)
    assert archive.verify().ok
    assert archive.events()[-1].kind is EventKind.QUARANTINE
    assert len(archive.rows()) == COUNT
    execute(path, "UPDATE rows SET t_ns = 99 WHERE idx = 1")
    with pytest.raises(StorageError, match=r"cannot resume: row 1 in .* is damaged"):
        ArchiveWriter.resume(path)
    assert len(Archive.open(path).intact_rows()) == COUNT - 1


def test_a_resumed_writer_notices_rows_that_were_lost_at_the_end(path: Path) -> None:
    execute(path, "DELETE FROM rows WHERE idx >= 11")
    with ArchiveWriter.resume(path) as writer:
        assert (writer.acknowledged, writer.dropped) == (11, 1)
    assert "dropped 1 rows from 11 on" in Archive.open(path).events()[-1].text
    assert Archive.open(path).verify().ok


def test_a_journal_of_version_0_1_0_is_continued_and_its_rows_are_reported_as_unprotected(tmp_path: Path) -> None:
    path = shutil.copytree(OLD, tmp_path / "take")
    with ArchiveWriter.resume(path) as writer:
        images = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in writer.specs}
        writer.append(images, PairRow(frame_index=99, t_ns=10**15, exposure_s=0.01))
        writer.event(EventKind.RESUME, "went on")
        writer.complete()
    report = Archive.open(path).verify()
    assert report.ok
    assert not report.rows_protected
    assert report.count == 20
    execute(path, "UPDATE rows SET t_ns = 'soon' WHERE idx = 4")
    with pytest.raises(StorageError, match=r"row 4 in .* t_ns is 'soon'"):
        Archive.open(path).rows()


def test_facts_that_are_written_together_are_stored_together(tmp_path: Path) -> None:
    with Journal.create(tmp_path / JOURNAL, ["speckle"]) as journal:
        journal.set_status({"finish_reason": "completed", "verdict": "complete"})
    content = read_journal(tmp_path / JOURNAL)
    assert content.status == {"finish_reason": "completed", "verdict": "complete"}
    assert content.protected


@pytest.mark.parametrize("wrong", [{"frame_index": 2**63}, {"extra": {"device_ns": -(2**63) - 1}}, {"pattern_name": "\udcff"}])
def test_values_that_sqlite_cannot_store_are_refused_at_once(wrong: dict[str, object]) -> None:
    with pytest.raises(StorageError, match="takes plain finite"):
        PairRow(**{"frame_index": 0, "t_ns": 0, "exposure_s": 0.1, **wrong})  # type: ignore[arg-type]
