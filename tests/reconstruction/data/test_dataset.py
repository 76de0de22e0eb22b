"""Datasets for training: the same pixels as Archive.read, split by pattern, readable in workers, as fast as a memory map."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.shard_reader import ShardReader
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError
from acquisition.patterns.sources import BLANK
from reconstruction.base import ReconstructionError
from reconstruction.data.dataset import SpecklePairs
from reconstruction.data.pairs import part_of
from reconstruction.data.reader_benchmark import reader_ratio
from tests.helpers.journals import execute

REPOSITORY = Path(__file__).parents[3]
ARRAYS = [ArraySpec("speckle", (6, 8), "uint8"), ArraySpec("phase", (3, 4), "float32", compress=True)]
SLOTS = 4  # images in a shard


def append(writer: ArchiveWriter, numbers: range, patterns: int = 1000) -> None:
    for k in numbers:
        rng = np.random.default_rng(k)
        images = {
            "speckle": rng.integers(0, 256, (6, 8), dtype=np.uint8),
            "phase": np.full((3, 4), k % patterns, np.float32),
        }
        name = BLANK if k % 10 == 0 else "cells"
        row = PairRow(frame_index=k, t_ns=k, exposure_s=0.01, pattern_id=f"{k % patterns:016x}", pattern_name=name)
        writer.append(images, row)


def create(root: Path) -> ArchiveWriter:
    return ArchiveWriter.create(
        root, ArchiveSpec(kind=ArchiveKind.DATASET, name="x", arrays=ARRAYS), 100, shard_bytes=SLOTS * ARRAYS[1].nbytes
    )


def dataset(root: Path, count: int = 11, patterns: int = 1000) -> Path:
    with create(root) as writer:
        append(writer, range(count), patterns)
    return writer.path


def assert_same_as_archive(path: Path) -> None:
    archive, pairs = Archive.open(path), SpecklePairs(path, verify=True)
    assert len(pairs) == len(archive)
    for k, (speckle, phase) in enumerate(pairs):
        assert speckle.shape == (1, 6, 8)
        assert (speckle.dtype, phase.dtype) == (torch.uint8, torch.float32)
        np.testing.assert_array_equal(speckle[0].numpy(), archive.read("speckle", k))
        np.testing.assert_array_equal(phase[0].numpy(), archive.read("phase", k))


STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "quarantine", "resume"]), st.integers(1, 2 * SLOTS)), min_size=1, max_size=6
)


@settings(max_examples=15)
@given(steps=STEPS)
def test_every_row_is_what_the_archive_reads_after_flushes_quarantines_and_resumes(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    writer, number = create(tmp_path_factory.mktemp("archive")), 0
    for step, count in [*steps, ("append", 2)]:
        if step == "append":
            append(writer, range(number, number + count))
            number += count
        elif step == "quarantine":
            writer.flush()
            writer.quarantine(max(0, writer.next_index - count), "test")
        else:
            writer.close()
            writer = ArchiveWriter.resume(writer.path)
    writer.close()
    assert_same_as_archive(writer.path)


def test_slots_with_gaps_are_found(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        append(writer, range(6))
        writer.flush()  # the second shard is half full
        append(writer, range(6, 9))
        writer.quarantine(4, "test")
        append(writer, range(20, 27))
    slots = [row.slot for row in Archive.open(writer.path).rows()]
    assert np.diff(slots).max() > 1
    assert_same_as_archive(writer.path)


def test_speckle_is_read_directly_and_compressed_phase_is_not(tmp_path: Path) -> None:
    path = dataset(tmp_path)
    assert [ShardReader(path, name).direct for name in ("speckle", "phase")] == [True, False]
    assert SpecklePairs(path, arrays=["speckle"]).direct
    assert not SpecklePairs(path).direct


@pytest.mark.parametrize("dtype", ["uint16", "float64", "int32"])
def test_other_uncompressed_types_come_back(tmp_path: Path, dtype: str) -> None:
    with ArchiveWriter.create(
        tmp_path, ArchiveSpec(kind=ArchiveKind.DATASET, name="x", arrays=[ArraySpec("speckle", (5, 3), dtype)]), 3
    ) as writer:
        for k in range(3):
            image = np.arange(15).reshape(5, 3).astype(dtype) * (k + 1)
            writer.append({"speckle": image}, PairRow(frame_index=k, t_ns=k, exposure_s=0.01))
    pairs = SpecklePairs(writer.path, arrays=["speckle"])
    batch = next(iter(DataLoader(pairs, batch_size=3)))[0]
    assert pairs.direct
    np.testing.assert_array_equal(batch[:, 0].numpy(), np.arange(15).reshape(5, 3) * np.array([1, 2, 3])[:, None, None])
    batch[:] = 0  # tensors are the caller's own: the files stay as they are
    assert pairs[0][0].numpy().ravel()[1] == 1


def test_splits_share_out_patterns_and_leave_out_blanks(tmp_path: Path) -> None:
    path = dataset(tmp_path, 90, patterns=30)
    rows = Archive.open(path).rows()
    homes: dict[str, set[str]] = {}
    total = 0
    for split, part in (("train", "training"), ("validation", "validation"), ("test", "test")):
        pairs = SpecklePairs(path, split)  # type: ignore[arg-type]
        total += len(pairs)
        for index, (_, phase) in zip(pairs.indices, pairs, strict=True):
            row = rows[index]
            assert row.pattern_name != BLANK
            assert part_of(row.pattern_id) == part
            assert phase.unique().tolist() == [int(row.pattern_id, 16)]
            homes.setdefault(row.pattern_id, set()).add(split)
    assert total == 81
    assert len(SpecklePairs(path)) == 90
    assert len(homes) == 27
    assert {len(splits) for splits in homes.values()} == {1}


def test_transform_makes_the_item(tmp_path: Path) -> None:
    pairs = SpecklePairs(dataset(tmp_path), transform=lambda pair: pair[0].float().mean().item())
    assert pairs[3] == pytest.approx(Archive.open(pairs.path).read("speckle", 3).mean())


def shard(path: Path, array: str = "speckle") -> Path:
    return path / "data.zarr" / array / "c.0.0.0"


def test_a_changed_row_or_description_is_refused(tmp_path: Path) -> None:
    path = dataset(tmp_path)
    description = path / "data.zarr" / "speckle" / "zarr.json"
    original = description.read_text()
    description.write_text(original.replace('"uint8"', '"int8"'))
    with pytest.raises(StorageError, match=r"speckle/zarr\.json differs from what was written"):
        SpecklePairs(path)
    assert len(SpecklePairs(path, arrays=("phase",))) == 11
    description.write_text(original)
    execute(path, "UPDATE rows SET slot = 3 * slot WHERE idx = 10")
    with pytest.raises(StorageError, match=r"row 10 in .* is damaged"):
        SpecklePairs(path)


def test_verify_finds_a_changed_byte(tmp_path: Path) -> None:
    path = dataset(tmp_path)
    data = bytearray(shard(path).read_bytes())
    data[50] ^= 1
    shard(path).write_bytes(data)
    with pytest.raises(StorageError, match=r"row 1 of 'speckle'.*CRC-32"):
        SpecklePairs(path, verify=True)[1]
    assert SpecklePairs(path)[1][0].shape == (1, 6, 8)
    assert SpecklePairs(path, verify=True)[0][0].shape == (1, 6, 8)


@pytest.mark.parametrize("array", ["speckle", "phase"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "index"])
def test_a_damaged_shard_is_an_error_not_a_crash(tmp_path: Path, damage: str, array: str) -> None:
    path = dataset(tmp_path)
    file = shard(path, array)
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "cut":
        file.write_bytes(data[:-1])
    else:
        file.write_bytes(data[: -16 * SLOTS - 4] + b"\xfe" * (16 * SLOTS + 4))
    pairs = SpecklePairs(path)
    with pytest.raises(StorageError, match=f"row 1 of '{array}'"):
        pairs[1]
    assert pairs[5][0].shape == (1, 6, 8)


def test_a_slot_that_was_never_written_is_an_error(tmp_path: Path) -> None:
    path = dataset(tmp_path, 5)
    with pytest.raises(StorageError, match=r"row 9 of 'speckle'.*no image"):
        ShardReader(path, "speckle").read(6, 9)


def mapped_shards(path: Path) -> int:
    """Return how many shards of the speckle this process has mapped into its memory."""
    lines = Path("/proc/self/maps").read_text("utf-8").splitlines()
    return len({line.split()[-1] for line in lines if str(path / "data.zarr" / "speckle") in line})


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists what a process has mapped")
def test_few_shards_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acquisition.archive.shard_reader._OPEN_SHARDS", 2)
    path = dataset(tmp_path, 40)
    archive, reader = Archive.open(path), ShardReader(path, "speckle")
    for k in np.random.default_rng(0).permutation(40).tolist():
        np.testing.assert_array_equal(reader.read(archive.row(k).slot, k)[0], archive.read("speckle", k))
        assert 1 <= mapped_shards(path) <= 2


def test_pickle_is_small_and_opens_again(tmp_path: Path) -> None:
    pairs = SpecklePairs(dataset(tmp_path, 40))
    before = [tuple(t.clone() for t in pairs[k]) for k in range(40)]  # with files open
    data = pickle.dumps(pairs)
    assert len(data) < 4000
    for item, again in zip(before, pickle.loads(data), strict=True):  # noqa: S301 -- as a DataLoader's worker does
        assert all(map(torch.equal, item, again))


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def answer_of_a_fork(work: Callable[[], object]) -> str:
    """What ``work`` returns or raises in a forked child, as a DataLoader's default worker is one."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer = f"{work()}"
        except StorageError as error:
            answer = str(error)
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    answer = os.read(reading, 4096).decode()
    os.close(reading)
    assert os.waitpid(child, 0)[1] == 0
    return answer


@needs_fork
def test_forked_workers_read_plain_arrays_and_say_why_not_compressed_ones(tmp_path: Path) -> None:
    pairs = SpecklePairs(dataset(tmp_path))
    total = int(pairs[9][0].sum())  # this process has used TensorStore now, which would abort a forked child
    plain = SpecklePairs(pairs.path, arrays=["speckle"])
    assert answer_of_a_fork(lambda: int(plain[9][0].sum())) == str(total)
    assert "multiprocessing 'spawn'" in answer_of_a_fork(lambda: pairs[9])
    assert "multiprocessing 'spawn'" in answer_of_a_fork(lambda: SpecklePairs(pairs.path)[9])


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from torch.utils.data import DataLoader
from acquisition.archive.reader import Archive
from reconstruction.data.dataset import SpecklePairs

if __name__ == "__main__":
    path = Path(sys.argv[1])
    for context in sys.argv[2:]:
        loader = DataLoader(SpecklePairs(path), 4, num_workers=1, multiprocessing_context=context, timeout=60)
        batches = list(loader)
        archive = Archive.open(path)
        for column, name in enumerate(("speckle", "phase")):
            images = np.concatenate([batch[column][:, 0].numpy() for batch in batches])
            assert np.array_equal(images, np.stack([archive.read(name, k) for k in range(len(archive))]))
        print("same")
"""


@pytest.mark.slow  # two processes that import torch
def test_workers_of_a_fresh_process_read_everything(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    contexts = ["fork", "spawn"] if hasattr(os, "fork") else ["spawn"]  # fork first: then TensorStore is still unused
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, str(script), str(dataset(tmp_path)), *contexts]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "same\n" * len(contexts)), done.stderr


def test_wrong_arguments_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = dataset(tmp_path, 5)
    with pytest.raises(ReconstructionError, match=r"'training'.*train, validation"):
        SpecklePairs(path, "training")  # type: ignore[arg-type]
    with pytest.raises(StorageError, match=r"speckle, phase.*'label'"):
        SpecklePairs(path, arrays=["label"])
    with pytest.raises(StorageError, match="no archive"):
        SpecklePairs(tmp_path / "none")
    with pytest.raises(ReconstructionError, match="no pairs in split"):
        SpecklePairs(dataset(tmp_path / "empty", 1), "train")
    with pytest.raises(IndexError):
        SpecklePairs(path)[5]
    assert torch.equal(SpecklePairs(path)[-1][0], SpecklePairs(path)[4][0])


def test_rows_without_patterns_cannot_be_split(tmp_path: Path) -> None:
    with ArchiveWriter.create(tmp_path, ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=ARRAYS[:1]), 1) as writer:
        writer.append({"speckle": np.zeros((6, 8), np.uint8)}, PairRow(frame_index=0, t_ns=0, exposure_s=0.01))
    with pytest.raises(ReconstructionError, match="has no pattern"):
        SpecklePairs(writer.path, "train", ["speckle"])
    assert len(SpecklePairs(writer.path, arrays=["speckle"])) == 1


def test_reading_is_at_least_four_fifths_as_fast_as_a_memory_map() -> None:
    # The best of a few short tries: another process may use the machine at any moment.
    best = {"sequential": 0.0, "random": 0.0}
    for _ in range(5):
        result = reader_ratio(frames=64, rounds=5)
        best = {order: max(ratio, result[order]["ratio"]) for order, ratio in best.items()}
        if min(best.values()) >= 0.8:
            break
    assert result["direct"]
    assert result["frame_bytes"] == 512 * 512
    assert min(best.values()) >= 0.8, best


def test_reader_ratio_takes_an_archive(tmp_path: Path) -> None:
    result = reader_ratio(dataset(tmp_path), array="phase", frames=7, rounds=1)
    assert (result["frames"], result["array"], result["direct"]) == (7, "phase", False)
    assert result["random"]["dataset_frames_per_s"] > 0
