"""HDF5 files that make their library abort, spin or eat memory end a child process, and an import refuses them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from acquisition.exchange import child_reader
from acquisition.exchange.array_files import read_hdf5, read_matlab
from acquisition.exchange.child_reader import ChildReader
from drivers.limits import LimitError

#: Takes the place of reading in the child: the name of the file says what the library does.
FAULTY_LIBRARY = """
import os, sys, time
from pathlib import Path
from acquisition.exchange import hdf5_child

def read(path):
    if path.stem == "abort":
        os.abort()
    while path.stem == "spin":
        pass
    if path.stem == "memory":
        bytearray(2**33)
    raise OSError("an error of Python is left to the other process")

hdf5_child.open_hdf5 = read
hdf5_child.MAX_READ_STALL_S = 0.3
hdf5_child.main()
"""


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.h5"
    with h5py.File(path, "w") as file:
        file["speckle"] = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    return path


@pytest.fixture
def reader() -> Iterator[ChildReader]:
    reader = ChildReader()
    yield reader
    reader.end()


@pytest.fixture
def faulty(reader: ChildReader, monkeypatch: pytest.MonkeyPatch) -> ChildReader:
    monkeypatch.setattr(child_reader, "_COMMAND", [child_reader.sys.executable, "-P", "-c", FAULTY_LIBRARY])
    return reader


def test_files_are_read_by_one_child_after_the_other(pairs: Path, reader: ChildReader) -> None:
    for _ in range(2):
        reader.check(pairs)
    assert list(read_hdf5(pairs).arrays) == list(read_matlab(pairs).arrays) == ["speckle"]


@pytest.mark.parametrize(
    ("name", "reason"), [("abort", "stops the HDF5 library"), ("spin", "keeps it busy"), ("memory", "more memory")]
)
def test_a_file_that_ends_the_child_is_refused_and_the_next_one_is_read(name: str, reason: str, faulty: ChildReader) -> None:
    with pytest.raises(LimitError, match=reason):
        faulty.check(Path(f"{name}.h5"))
    faulty.check(Path("other.h5"))


def test_the_child_imports_nothing_from_the_working_folder(
    pairs: Path, tmp_path: Path, reader: ChildReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("h5py", "numpy", "json", "sitecustomize", "acquisition"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')\nraise SystemExit(9)\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    reader.check(pairs)
    assert not (tmp_path / "canary").exists()


def test_an_interruption_ends_the_child(pairs: Path, reader: ChildReader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.check(pairs)
    process = reader._process  # noqa: SLF001
    assert process is not None
    assert process.stdout is not None

    class Interrupted:
        def readline(self) -> str:
            raise KeyboardInterrupt

        close = process.stdout.close

    monkeypatch.setattr(process, "stdout", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        reader.check(pairs)
    assert process.poll() is not None
    monkeypatch.undo()
    reader.check(pairs)


def test_a_dataset_that_claims_more_than_its_file_can_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("speckle", (100_000, 2048, 2048), "u1", chunks=(1, 64, 64))
    with pytest.raises(LimitError, match="'speckle' claims 419430400000 bytes, but the file has"):
        read_hdf5(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are those of POSIX")
def test_a_pipe_ends_in_time(tmp_path: Path, reader: ChildReader, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pairs.h5")
    child = "from acquisition.exchange import hdf5_child\nhdf5_child.MAX_READ_STALL_S = 0.3\nhdf5_child.main()"
    monkeypatch.setattr(child_reader, "_COMMAND", [child_reader.sys.executable, "-P", "-c", child])
    with pytest.raises(LimitError):
        reader.check(tmp_path / "pairs.h5")
