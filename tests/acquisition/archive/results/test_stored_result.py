"""A result comes back as it was written, image by image, or a sentence says what is wrong with it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acquisition.archive.results.result_writer import new_result
from acquisition.archive.results.stored_result import RESULTS, ResultCard, ResultKind, StoredResult, stored_results
from acquisition.archive.rows import StorageError
from drivers.manifest import manifest_text, sha256_of
from tests.helpers.locks import lock_holder

CARD = ResultCard(
    kind=ResultKind.RECONSTRUCTION,
    name="again",
    created_utc="2026-11-30T02:00:00+00:00",
    method="bench-july",
    method_id="0123456789ab",
    engine="torch fp32",
    reference="stored in the recording, from frame 0 on",
    facts={"frames_compared": 3, "largest_difference_rad": 0.0, "note": None},
)


def written(path: Path, rows: list[int] | None = None) -> StoredResult:
    chosen = [2, 5, 9] if rows is None else rows
    with new_result(path, CARD, chosen, {"phase": (3, 4), "labels": (3, 4)}) as writer:
        for row in chosen:
            writer.add({"phase": np.full((3, 4), row, np.float32), "labels": np.full((3, 4), row, np.uint16)})
    return StoredResult(writer.path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(data=st.data(), shape=st.tuples(st.integers(1, 5), st.integers(1, 5)), count=st.integers(1, 4))
def test_every_image_comes_back(tmp_path: Path, data: st.DataObject, shape: tuple[int, int], count: int) -> None:
    phases = data.draw(hnp.arrays(np.float32, (count, *shape)))
    rows = sorted(data.draw(st.sets(st.integers(0, 2**40), min_size=count, max_size=count)))
    with new_result(tmp_path, CARD, rows, {"phase": shape}) as writer:
        for phase in phases:
            writer.add({"phase": phase})
    result = StoredResult(writer.path)
    assert (result.card, result.layers, result.rows, result.shape("phase")) == (CARD, ("phase",), tuple(rows), shape)
    for row, phase in zip(rows, phases, strict=True):
        assert result.read("phase", row).tobytes() == phase.tobytes()
    assert list(result.damage()) == []


def test_results_are_listed_with_the_oldest_first(tmp_path: Path) -> None:
    assert stored_results(tmp_path) == ([], [])
    paths = [written(tmp_path).path for _ in range(3)]
    results, problems = stored_results(tmp_path)
    assert {result.path for result in results} == set(paths)
    assert [result.path for result in results] == sorted(paths)
    assert problems == []


def test_only_a_complete_result_gets_its_name(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="has 1 of 2 frames"),
        new_result(tmp_path, CARD, [1, 2], {"phase": (2, 2)}) as writer,
    ):
        writer.add({"phase": np.zeros((2, 2), np.float32)})
    with (
        pytest.raises(StorageError, match=r"phase of a frame is \(3, 3\)"),
        new_result(tmp_path, CARD, [1], {"phase": (2, 2)}) as writer,
    ):
        writer.add({"phase": np.zeros((3, 3), np.float32)})
    with pytest.raises(KeyboardInterrupt), new_result(tmp_path, CARD, [1], {"phase": (2, 2)}):
        raise KeyboardInterrupt
    assert [file.name for file in (tmp_path / RESULTS).iterdir()] == ["results.lock"]


def test_two_processes_do_not_write_results_of_one_recording_at_once(tmp_path: Path) -> None:
    (tmp_path / RESULTS).mkdir()
    with lock_holder(tmp_path / RESULTS, "results.lock"), pytest.raises(StorageError, match="is being written by process"):
        written(tmp_path)
    assert len(written(tmp_path).rows) == 3


def changed(path: Path, name: str, content: bytes) -> None:
    """Replace a file, and correct the manifest: somebody does so on purpose."""
    (path / name).write_bytes(content)
    names = sorted(file.name for file in path.iterdir() if file.suffix in (".npy", ".yaml"))
    (path / "manifest.sha256").write_text(manifest_text({known: sha256_of(path / known) for known in names}))


def array(values: object, dtype: str) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(values, dtype))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("phase.npy", array(np.zeros((3, 3, 4)), "float64")),
        ("phase.npy", array(np.zeros((2, 3, 4)), "float32")),
        ("phase.npy", array(np.zeros((3, 4)), "float32")),
        ("phase.npy", array(np.zeros((3, 3, 4)), "float32")[:-8]),
        ("phase.npy", b"\x93NUMPY"),
        ("phase.npy", b""),
        ("rows.npy", array([1, 2], "int64")),
        ("crc32.npy", array([[1, 2, 3]], "uint32")),
        ("result.yaml", b"kind: nonsense"),
        ("result.yaml", b"- a list"),
        ("result.yaml", b"\xff\xff"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = written(tmp_path).path
    changed(path, name, content)
    results, [problem] = stored_results(tmp_path)
    assert results == []
    assert "cannot be read" in problem
    assert "\n" not in problem


def test_a_link_out_of_the_result_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a").path
    outside = (path / "phase.npy").rename(tmp_path / "phase.npy")
    (path / "phase.npy").symlink_to(outside)
    with pytest.raises(StorageError, match="outside its folder"):
        StoredResult(path)


def test_a_result_that_is_gone_and_a_layer_that_is_none_are_refused(tmp_path: Path) -> None:
    result = written(tmp_path)
    for layer, row in (("uncertainty", 2), ("phase", 3)):
        with pytest.raises(StorageError, match=f"has no {layer} of row {row}"):
            result.read(layer, row)
    (result.path / "phase.npy").unlink()
    with pytest.raises(StorageError, match="check its disk"):
        result.read("phase", 2)
    assert "phase.npy differs" in next(result.damage())
