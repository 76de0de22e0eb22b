"""Archives: every acknowledged pair can be read back, and no other pair counts."""

from __future__ import annotations

import gc
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition.archive import writer as writer_module
from acquisition.archive.disk_check import NotOnDiskError, check_on_disk
from acquisition.archive.journal.checksums import Seal
from acquisition.archive.kinds import ArchiveKind, EventKind
from acquisition.archive.writer import (
    Archive,
    ArchiveSpec,
    ArchiveWriter,
    ArraySpec,
    PairRow,
    StorageError,
    WrongImageError,
)
from drivers.base import Frame

REPOSITORY = Path(__file__).parents[3]
SPECKLE = ArraySpec("speckle", (8, 6), "uint8")
PHASE = ArraySpec("phase", (4, 3), "float32", compress=True)
#: Images in a full shard.
SLOTS = 4
SHARD_BYTES = SLOTS * PHASE.nbytes


def images(index: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(index)
    return {
        "speckle": rng.integers(0, 256, SPECKLE.shape, dtype=np.uint8),
        "phase": rng.normal(size=PHASE.shape).astype(np.float32),
    }


def row(index: int) -> PairRow:
    return PairRow(frame_index=index, t_ns=10**9 + index, exposure_s=0.01, pattern_id=f"{index:016x}")


def create(root: Path, **options: float) -> ArchiveWriter:
    return ArchiveWriter.create(
        root,
        ArchiveSpec(kind=ArchiveKind.DATASET, name="cells", arrays=[SPECKLE, PHASE], metadata={"pixel_um": 3.45}),
        10,
        shard_bytes=SHARD_BYTES,
        **options,
    )


def fill(writer: ArchiveWriter, numbers: Sequence[int]) -> None:
    for k in numbers:
        writer.append(images(k), row(k))


def filled(root: Path, count: int) -> Path:
    with create(root) as writer:
        fill(writer, range(count))
    return writer.path


def assert_holds(path: Path, numbers: Sequence[int]) -> None:
    archive = Archive.open(path)
    assert [r.frame_index for r in archive.rows()] == list(numbers)
    assert [r.index for r in archive.rows()] == list(range(len(numbers)))
    for index, k in enumerate(numbers):
        for name, image in images(k).items():
            np.testing.assert_array_equal(archive.read(name, index), image)


def shard(path: Path, array: str, number: int) -> Path:
    return path / "data.zarr" / array / f"c.{number}.0.0"


def flip_byte(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 0xFF
    file.write_bytes(data)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(st.lists(st.integers(0, 2 * SLOTS + 1), min_size=1, max_size=3), min_size=1, max_size=3))
def test_any_mixture_of_appends_flushes_and_resumes_reads_back(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[int]]
) -> None:
    writer = create(tmp_path_factory.mktemp("archive"))
    total = 0
    for run, batches in enumerate(runs):
        writer = writer if run == 0 else ArchiveWriter.resume(writer.path)
        assert writer.acknowledged == writer.next_index == total
        for count in batches:
            fill(writer, range(total, total + count))
            total += count
            assert writer.next_index == total
            writer.flush()
            assert writer.acknowledged == total
        writer.close()
    assert_holds(writer.path, range(total))
    assert Archive.open(writer.path).verify().ok


def test_rows_come_back_with_every_column(tmp_path: Path) -> None:
    frame = Frame(images(0)["speckle"], index=7, t_ns=123, exposure_s=0.02, pattern_id="abc")
    with create(tmp_path) as writer:
        writer.append(images(0), PairRow.of_frame(frame, "cell 7", trigger=8, calibration="c1", gain_db=1.5))
        writer.append(
            images(1),
            PairRow(frame_index=8, t_ns=2, exposure_s=0.1, host_utc="then", model_id="m", engine="e", latency_s=0.25),
        )
    first, second = Archive.open(writer.path).rows()
    assert (first.frame_index, first.t_ns, first.exposure_s) == (7, 123, 0.02)
    assert (first.pattern_id, first.pattern_name) == ("abc", "cell 7")
    assert first.extra == {"trigger": 8, "calibration": "c1", "gain_db": 1.5}
    assert first.host_utc.endswith("+00:00")
    assert first.latency_s is None
    assert (second.host_utc, second.model_id, second.engine, second.latency_s) == ("then", "m", "e", 0.25)
    assert second.extra == {}
    assert (second.index, second.slot, second.shard, set(second.crc32)) == (1, 1, 0, {"speckle", "phase"})


def test_an_archives_folder_has_all_its_parts(tmp_path: Path) -> None:
    path = filled(tmp_path, 1)
    stamp, kind, name, unique = path.name.split("_")
    assert (len(stamp), kind, name, len(unique)) == (15, "dataset", "cells", 8)
    assert {"data.zarr", "journal.sqlite", "metadata.yaml", "targets"} <= {part.name for part in path.iterdir()}
    archive = Archive.open(path)
    assert archive.metadata == {"pixel_um": 3.45}
    assert archive.arrays == ("speckle", "phase")
    assert (archive.spec("speckle"), archive.spec("phase")) == (SPECKLE, PHASE)
    assert (archive.status["kind"], archive.status["name"]) == ("dataset", "cells")


def test_reading_adds_no_file_to_the_folder(tmp_path: Path) -> None:
    path = filled(tmp_path, 3)
    before = sorted(file.name for file in path.iterdir())
    assert_holds(path, range(3))
    assert sorted(file.name for file in path.iterdir()) == before


def test_black_and_constant_images_are_data(tmp_path: Path) -> None:
    black = {"speckle": np.zeros(SPECKLE.shape, np.uint8), "phase": np.zeros(PHASE.shape, np.float32)}
    with create(tmp_path) as writer:
        for k in range(SLOTS + 1):
            writer.append(black, row(k))
    assert Archive.open(writer.path).verify().ok
    shard(writer.path, "speckle", 1).unlink()  # a missing shard must not be read as black images
    assert [bad.index for bad in Archive.open(writer.path).verify().bad] == [SLOTS]


def test_a_reader_sees_exactly_the_acknowledged_pairs_of_a_running_writer(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        fill(writer, range(SLOTS + 2))
        assert writer.acknowledged == SLOTS
        assert_holds(writer.path, range(SLOTS))
        archive = Archive.open(writer.path)
        writer.flush()
        assert len(archive) == SLOTS
        archive.refresh()
        assert len(archive) == SLOTS + 2
        np.testing.assert_array_equal(archive.read("phase", SLOTS + 1), images(SLOTS + 1)["phase"])


def test_slow_pairs_are_sealed_by_time(tmp_path: Path) -> None:
    with create(tmp_path, seal_after_s=0.0) as writer:
        for k in range(3):
            writer.append(images(k), row(k))
            assert writer.acknowledged == k + 1
    assert [r.shard for r in Archive.open(writer.path).rows()] == [0, 1, 2]


def test_the_writer_copies_its_images(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        given_images = images(0)
        writer.append(given_images, row(0))
        given_images["speckle"][:] = 0
    assert_holds(writer.path, [0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"speckle": images(0)["speckle"]},
        {**images(0), "labels": images(0)["speckle"]},
        {**images(0), "speckle": images(0)["speckle"].T},
        {**images(0), "phase": images(0)["phase"].astype(np.float64)},
    ],
)
def test_images_that_do_not_fit_are_refused_and_leave_the_writer_usable(tmp_path: Path, wrong: dict[str, np.ndarray]) -> None:
    with create(tmp_path) as writer:
        with pytest.raises(WrongImageError):
            writer.append(wrong, row(0))
        fill(writer, [0])
    assert_holds(writer.path, [0])


def test_values_that_sqlite_would_refuse_are_refused_at_once() -> None:
    with pytest.raises(StorageError, match="t_ns"):
        PairRow(frame_index=0, t_ns=np.int64(3), exposure_s=0.1)  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="exposure_s"):
        PairRow(frame_index=0, t_ns=3, exposure_s=float("nan"))
    with pytest.raises(StorageError, match="gain"):
        PairRow(frame_index=0, t_ns=3, exposure_s=0.1, extra={"gain": None})  # type: ignore[dict-item]


@pytest.mark.parametrize("withdrawn_from", [SLOTS + 3, SLOTS + 1, SLOTS, 2, 0])
def test_withdrawn_pairs_are_recorded_and_captured_again(tmp_path: Path, withdrawn_from: int) -> None:
    total = SLOTS + 3  # one sealed shard and three buffered pairs
    with create(tmp_path) as writer:
        fill(writer, range(total))
        assert writer.quarantine(withdrawn_from, "reference lost") == total - withdrawn_from
        assert writer.next_index == withdrawn_from
        fill(writer, range(100, 106))
    assert_holds(writer.path, [*range(withdrawn_from), *range(100, 106)])
    [event] = Archive.open(writer.path).events()
    assert event.kind is EventKind.QUARANTINE
    assert "reference lost" in event.text
    assert f"from {withdrawn_from} on" in event.text


def test_quarantine_outside_the_archive_is_refused(tmp_path: Path) -> None:
    with create(tmp_path) as writer, pytest.raises(StorageError, match="has 0 pairs"):
        writer.quarantine(1, "nonsense")


def test_resume_never_changes_an_existing_shard(tmp_path: Path) -> None:
    path = filled(tmp_path, SLOTS + 1)
    shutil.copy(shard(path, "speckle", 1), shard(path, "speckle", 2))  # written by a killed writer, never journalled
    before = {n: shard(path, "speckle", n).read_bytes() for n in range(3)}
    with ArchiveWriter.resume(path) as writer:
        assert (writer.acknowledged, writer.dropped) == (SLOTS + 1, 0)
        fill(writer, range(SLOTS + 1, SLOTS + 4))
    assert {n: shard(path, "speckle", n).read_bytes() for n in range(3)} == before
    assert {r.shard for r in Archive.open(path).rows()} == {0, 1, 3}
    assert_holds(path, range(SLOTS + 4))


def test_resume_removes_the_incomplete_file_of_a_killed_writer(tmp_path: Path) -> None:
    path = filled(tmp_path, 1)
    half = path / "data.zarr" / "phase" / "c.1.0.0.__lock"
    half.write_bytes(b"half")
    ArchiveWriter.resume(path).close()
    assert not half.exists()


def test_resume_withdraws_damaged_rows_of_the_last_shard_and_records_it(tmp_path: Path) -> None:
    path = filled(tmp_path, SLOTS + 3)
    flip_byte(shard(path, "speckle", 1), at=SPECKLE.nbytes + 1)  # second image of the last shard
    with ArchiveWriter.resume(path) as writer:
        assert (writer.acknowledged, writer.dropped) == (SLOTS + 1, 2)
        fill(writer, [50])
    assert_holds(path, [*range(SLOTS + 1), 50])
    assert "dropped 2 rows" in Archive.open(path).events()[0].text


def test_resume_continues_after_the_last_contiguous_row(tmp_path: Path) -> None:
    path = filled(tmp_path, 6)
    connection = sqlite3.connect(path / "journal.sqlite")
    with connection:
        connection.execute("DELETE FROM rows WHERE idx = 3")
    connection.close()
    with ArchiveWriter.resume(path) as writer:
        assert (writer.acknowledged, writer.dropped) == (3, 3), "the missing row and the two that follow"


@pytest.mark.parametrize(("array", "at"), [("speckle", 3), ("phase", 20), ("speckle", -1)])
def test_damage_is_detected_by_verify_and_by_read(tmp_path: Path, array: str, at: int) -> None:
    path = filled(tmp_path, 2 * SLOTS)
    flip_byte(shard(path, array, 0), at)
    archive = Archive.open(path)
    report = archive.verify()
    assert report.count == 2 * SLOTS
    assert not report.ok
    assert report.bad[0].index == 0
    assert {bad.array for bad in report.bad} == {array}
    with pytest.raises(StorageError) as caught:
        archive.read(array, 0)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(archive.read(array, SLOTS), images(SLOTS)[array])


def test_second_writer_is_refused_until_the_first_closes(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        with pytest.raises(StorageError, match=f"being written by process {os.getpid()} on computer "):
            ArchiveWriter.resume(writer.path)
        fill(writer, [0])
    ArchiveWriter.resume(writer.path).close()
    assert_holds(writer.path, [0])


def test_a_closed_writer_refuses_pairs_and_may_be_closed_again(tmp_path: Path) -> None:
    writer = create(tmp_path)
    writer.close()
    writer.close()
    with pytest.raises(StorageError, match="closed"):
        fill(writer, [0])


@pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", "", "...", "//"])
def test_names_that_would_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="folder name"):
        ArchiveWriter.create(tmp_path, ArchiveSpec(kind=ArchiveKind.DATASET, name=name, arrays=[SPECKLE]), None)
    assert list(tmp_path.iterdir()) == []


def test_odd_characters_in_names_are_replaced(tmp_path: Path) -> None:
    with ArchiveWriter.create(
        tmp_path, ArchiveSpec(kind=ArchiveKind.RECORDING, name="day 1: Zellen?", arrays=[SPECKLE]), None
    ) as writer:
        assert writer.path.name.split("_")[2] == "day-1-Zellen"
        assert writer.path.parent == tmp_path


@pytest.mark.parametrize(
    ("name", "shape", "dtype"), [("../x", (2, 2), "uint8"), ("a", (0, 2), "uint8"), ("a", (2, 2), "object")]
)
def test_arrays_that_cannot_be_stored_are_refused(name: str, shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(StorageError, match="array"):
        ArraySpec(name, shape, dtype)


def test_too_little_space_is_reported_with_both_numbers_and_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"has [\d.]+ GB free, [\d.]+ GB are needed"):
        ArchiveWriter.create(tmp_path, ArchiveSpec(kind=ArchiveKind.DATASET, name="big", arrays=[SPECKLE]), 10**15)
    assert list(tmp_path.iterdir()) == []
    path = filled(tmp_path, 1)
    with pytest.raises(StorageError, match="are needed"):
        ArchiveWriter.resume(path, expected=10**15)
    ArchiveWriter.resume(path).close()  # and the refusal holds no lock


def test_metadata_with_objects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="YAML"):
        ArchiveWriter.create(
            tmp_path, ArchiveSpec(kind=ArchiveKind.DATASET, name="x", arrays=[SPECKLE], metadata={"bad": np.float64(1)}), 1
        )


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create"):
        create(tmp_path / "file")


def _no_journal(path: Path) -> None:
    (path / "journal.sqlite").unlink()


def _text_journal(path: Path) -> None:
    (path / "journal.sqlite").write_text("x" * 5000)


def _foreign_journal(path: Path) -> None:
    (path / "journal.sqlite").unlink()
    connection = sqlite3.connect(path / "journal.sqlite")
    connection.execute("CREATE TABLE rows (idx)")
    connection.close()


def _truncated_journal(path: Path) -> None:
    data = (path / "journal.sqlite").read_bytes()
    (path / "journal.sqlite").write_bytes(data[: len(data) // 3])


def _empty_journal(path: Path) -> None:
    (path / "journal.sqlite").write_bytes(b"")


def _newer_journal(path: Path) -> None:
    connection = sqlite3.connect(path / "journal.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def _no_metadata(path: Path) -> None:
    (path / "metadata.yaml").unlink()


def _evil_metadata(path: Path) -> None:
    (path / "metadata.yaml").write_text("!!python/object/apply:os.getcwd []")


def _no_array(path: Path) -> None:
    shutil.rmtree(path / "data.zarr" / "phase")


@pytest.mark.parametrize(
    "spoil",
    [
        shutil.rmtree,
        _no_journal,
        _text_journal,
        _foreign_journal,
        _truncated_journal,
        _empty_journal,
        _newer_journal,
        _no_metadata,
        _evil_metadata,
        _no_array,
    ],
)
def test_a_folder_that_is_not_a_complete_archive_is_refused_in_one_line(tmp_path: Path, spoil: object) -> None:
    path = filled(tmp_path, 2)
    spoil(path)  # type: ignore[operator]
    for opener in (Archive.open, ArchiveWriter.resume):
        with pytest.raises(StorageError) as caught:
            opener(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


def test_wrong_names_and_numbers_are_refused(tmp_path: Path) -> None:
    archive = Archive.open(filled(tmp_path, 2))
    with pytest.raises(StorageError, match="rows 0 to 1, not 2"):
        archive.read("speckle", 2)
    with pytest.raises(StorageError, match="no array 'depth'"):
        archive.read("depth", 0)


FULL_DISK = """
import json, resource, subprocess, sys
from pathlib import Path
import numpy as np
from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import *
root = Path(sys.argv[2])
if sys.argv[1] == "tmpfs":
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(root)], check=True)
rng = np.random.default_rng(0)
spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="full", arrays=[ArraySpec("speckle", (64, 64), "uint8")])
writer = ArchiveWriter.create(root, spec, 8, shard_bytes=32768)
if sys.argv[1] == "rlimit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
errors = []
sent = []
for k in range(1000):
    sent.append(rng.integers(0, 256, (64, 64), dtype=np.uint8))
    try:
        writer.append({"speckle": sent[-1]}, PairRow(frame_index=k, t_ns=k, exposure_s=0.1))
    except StorageError as error:
        errors.append(str(error))
        if len(errors) == 2:
            break
acknowledged = writer.acknowledged
writer.close()
archive = Archive.open(writer.path)
same = all(np.array_equal(archive.read("speckle", k), sent[k]) for k in range(len(archive)))
print(json.dumps({"acknowledged": acknowledged, "readable": len(archive), "same": same, "errors": errors}))
"""

READ_ONLY = """
import json, shutil, subprocess, sys
from pathlib import Path
import numpy as np
from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import *
root = Path(sys.argv[2])
spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=[ArraySpec("speckle", (8, 8), "uint8")])
writer = ArchiveWriter.create(root, spec, 8)
writer.append({"speckle": np.ones((8, 8), np.uint8)}, PairRow(frame_index=0, t_ns=0, exposure_s=0.1))
writer.flush()
# A copy with its WAL, as kill -9 leaves it.
killed = shutil.copytree(writer.path, root / "killed", ignore=shutil.ignore_patterns("*-shm"))
writer.close()
subprocess.run(["mount", "--bind", str(root), str(root)], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", str(root)], check=True)
errors = []
for attempt in (lambda: ArchiveWriter.create(root, spec, 8), lambda: ArchiveWriter.resume(killed)):
    try:
        attempt()
    except StorageError as error:
        errors.append(str(error))
counts = [int(Archive.open(path).read("speckle", 0).sum()) for path in (writer.path, killed)]
print(json.dumps({"errors": errors, "counts": counts}))
"""


def _fails(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode != 0


def in_namespace(script: str, *arguments: str, mounts: bool) -> dict[str, object]:
    """Run a script in a child process; with ``mounts`` it may mount file systems, which disappear with it."""
    prefix = []
    if mounts:
        unshare = shutil.which("unshare")
        if not unshare or _fails([unshare, "-rm", "mount", "-t", "tmpfs", "x", "/mnt"]):
            pytest.skip("needs unshare -rm and the right to mount inside it")
        prefix = [unshare, "-rm"]
    done = subprocess.run(
        [*prefix, sys.executable, "-c", script, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux resource limits and mounts")
@pytest.mark.parametrize("limit", ["rlimit", "tmpfs"])
def test_a_full_disk_stops_the_writer_and_loses_no_acknowledged_pair(tmp_path: Path, limit: str) -> None:
    answer = in_namespace(FULL_DISK, limit, str(tmp_path), mounts=limit == "tmpfs")
    first, second = answer["errors"]  # type: ignore[misc]
    assert answer["acknowledged"] == answer["readable"]
    assert isinstance(answer["readable"], int)
    assert answer["readable"] >= 8
    assert answer["same"]
    assert f"({answer['acknowledged']} frames are stored safely" in first
    assert "takes no more after a failure" in second
    assert "\n" not in first


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux mounts")
def test_a_read_only_folder_can_be_read_and_refuses_writers(tmp_path: Path) -> None:
    answer = in_namespace(READ_ONLY, "ro", str(tmp_path), mounts=True)
    assert answer["counts"] == [64, 64]
    created, resumed = answer["errors"]  # type: ignore[misc]
    assert "cannot create" in created
    assert "Read-only file system" in created
    assert "cannot write to" in resumed


def test_other_rows_on_disk_than_were_acknowledged_are_noticed(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        fill(writer, range(10))
        writer.flush()
        check_on_disk(writer.path, Archive.open(writer.path).rows_seal, {})
        with pytest.raises(NotOnDiskError, match="should have 10 rows in its journal, other ones are there"):
            check_on_disk(writer.path, Seal(10, bytes(32)), {})


def test_garbage_is_not_collected_while_a_recording_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[bool] = []

    def noted(*arguments: object) -> None:
        states.append(gc.isenabled())
        check_on_disk(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(writer_module, check_on_disk.__name__, noted)
    with create(tmp_path) as writer:
        fill(writer, range(10))
        writer.complete()
    assert states == [False]
    assert gc.isenabled()
