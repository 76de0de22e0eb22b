"""The writer's lock, between real processes."""

from __future__ import annotations

import gc
import itertools
import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from acquisition.archive import folder
from acquisition.archive.folder import LOCK, LockState, WriterLock, lock_state, sole_writer
from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError
from acquisition.exchange.export import export, exported_files
from app.datasets.quality_report import finish_dataset
from tests.helpers.locks import lock_holder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="a", arrays=(ArraySpec("speckle", (4, 4), "uint8"),))
    with ArchiveWriter.create(tmp_path, spec, 1) as writer:
        return writer.path


def test_the_second_writer_is_told_who_holds_the_archive(archive: Path) -> None:
    with lock_holder(archive) as holder:
        with pytest.raises(StorageError) as refused:
            ArchiveWriter.resume(archive)
        assert f"{archive} is being written by process {holder.pid} on computer '{platform.node()}' since 20" in str(
            refused.value
        )
        assert len(Archive.open(archive)) == 0, "readers need no lock"
    with ArchiveWriter.resume(archive):  # released with the process
        assert f'"process": {os.getpid()}' in (archive / LOCK).read_text()
    assert (archive / LOCK).read_text() == ""


def test_a_killed_writer_holds_nothing(archive: Path) -> None:
    with lock_holder(archive) as holder:
        holder.kill()
        holder.wait()
        ArchiveWriter.resume(archive).close()


@pytest.mark.parametrize("text", ["", "[]", "\0" * 5000, '{"process": "x", "computer": 1}', '{"process": 1}'])
def test_an_unreadable_lock_file_still_locks(archive: Path, text: str) -> None:
    with WriterLock(archive) as lock:
        lock.path.write_text(text)
        with pytest.raises(StorageError, match="by another process"):
            WriterLock(archive)


def test_a_lock_file_that_was_replaced_is_not_the_lock(tmp_path: Path) -> None:
    with WriterLock(tmp_path) as first:
        first.remove_file()
        first.close()
        assert not list(tmp_path.iterdir())
        with WriterLock(tmp_path):
            with pytest.raises(StorageError, match=re.escape(str(os.getpid()))):
                WriterLock(tmp_path)
            (tmp_path / LOCK).unlink()
            with WriterLock(tmp_path):
                assert (tmp_path / LOCK).exists()


def test_the_sole_writer_of_a_new_file_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "phase.npy"
    path.parent.mkdir()
    with lock_holder(path.parent, ".phase.npy.lock") as holder:
        named = f"{re.escape(str(path))} is being written by process {holder.pid} on computer"
        with pytest.raises(StorageError, match=named), sole_writer(path):
            raise AssertionError("it must not come this far")
    with sole_writer(path), sole_writer(path.with_name("other.npy")):
        pass
    assert not list(path.parent.iterdir())


class _SignalError(BaseException):
    """Stands for the error that a signal raises between any two lines."""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no open file")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_signal_at_any_line_of_the_lock_leaves_no_file_and_no_lock(tmp_path: Path) -> None:
    def raise_at(line: int) -> Callable[[FrameType, str, object], object]:
        seen = itertools.count()

        def trace(frame: FrameType, event: str, argument: object) -> object:
            if frame.f_code.co_filename != folder.__file__:
                return None
            if event == "line" and next(seen) == line:
                raise _SignalError
            return trace

        return trace

    before = sys.gettrace()
    for line in itertools.count():
        path = tmp_path / f"{line}.npy"
        try:
            sys.settrace(raise_at(line))
            with sole_writer(path):
                pass
        except _SignalError:
            sys.settrace(before)
            assert not list(tmp_path.iterdir()), line
            with sole_writer(path):
                continue
        finally:
            sys.settrace(before)
        break
    gc.collect()  # it closes what the signals cut off
    assert line > 20


def test_a_dataset_that_is_being_written_is_not_certified(archive: Path) -> None:
    with ArchiveWriter.resume(archive), pytest.raises(StorageError, match="is being written by process"):
        finish_dataset(archive)


def test_the_second_export_to_the_same_place_is_refused(archive: Path, tmp_path: Path) -> None:
    with ArchiveWriter.resume(archive, expected=1) as writer:
        row = PairRow(frame_index=0, t_ns=1, exposure_s=0.01, pattern_id="a", pattern_name="a")
        writer.append({"speckle": np.zeros((4, 4), np.uint8)}, row)
        writer.complete()
    out = tmp_path / "out"
    first = exported_files(Archive.open(archive), out, ["npz", "hdf5"])
    whole = next(first)
    with pytest.raises(StorageError, match=f"is being written by process {os.getpid()}"):
        export(Archive.open(archive), out, ["npz"], overwrite=True)
    first.close()
    assert list(out.iterdir()) == [whole]


def test_the_state_of_a_lock_is_told_without_taking_it(archive: Path) -> None:
    assert lock_state(archive) is LockState.FREE
    with lock_holder(archive) as holder:
        assert lock_state(archive) is LockState.HELD
        holder.kill()
        holder.wait()
    assert lock_state(archive) is LockState.LEFT
    ArchiveWriter.resume(archive).close()
    assert lock_state(archive) is LockState.FREE
    assert lock_state(archive / "missing") is LockState.FREE
