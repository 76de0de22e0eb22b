"""Power cuts: the states of a disk, and that a missing sync of the program is noticed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest

from app.benchmarks.reliability.children import run
from app.benchmarks.reliability.power.campaign import (
    Checkpoints,
    Files,
    PowerCuts,
    Recording,
    ShardsBeside,
    Work,
    command_of,
    cut,
    trace,
)
from app.benchmarks.reliability.power.disk_states import DiskStates
from app.benchmarks.reliability.power.file_trace import Change, FileEvent, can_trace, read_trace, traced

WITHOUT_SYNC = "import os\nos.fsync = lambda file: None\n"
WITHOUT_SYNC_OF_THE_JOURNAL = """
import functools, sqlite3
class Careless(sqlite3.Connection):
    def execute(self, sql, *values):
        return super().execute(sql.replace("synchronous = FULL", "synchronous = OFF"), *values)
sqlite3.connect = functools.partial(sqlite3.connect, factory=Careless)
"""
needs_trace = pytest.mark.skipif(not can_trace(), reason="this system allows no trace of a child")


def states(*events: FileEvent) -> dict[str, dict[str, bytes | None]]:
    disk = DiskStates("/d")
    for event in events:
        disk.apply(event)
    return {
        name: {str(path): data for path, data in content.items() if path != PurePosixPath()}
        for name, content in disk.after_power_cut()
    }


def written(path: str, content: bytes) -> tuple[FileEvent, FileEvent]:
    return FileEvent(change=Change.OPEN, path=path), FileEvent(change=Change.WRITE, path=path, content=content)


def test_what_is_not_synced_may_be_there_or_not() -> None:
    after_cut = states(*written("/d/a", b"1234"))
    assert after_cut["nothing that is not synced is there"] == {}
    assert after_cut["everything is there"] == {"a": b"1234"}
    assert after_cut["names without their bytes"] == {"a": b""}
    assert after_cut["the last write is torn"] == {"a": b"12"}


def test_a_name_is_safe_after_the_sync_of_its_folder_and_bytes_after_that_of_their_file() -> None:
    rename = FileEvent(change=Change.RENAME, path="/d/a", to="/d/b")
    sync = FileEvent(change=Change.SYNC, path="/d/a")
    folder = FileEvent(change=Change.SYNC, path="/d")
    assert states(*written("/d/a", b"12"), rename, folder)["nothing that is not synced is there"] == {"b": b""}
    after_cut = states(*written("/d/a", b"12"), sync, folder, rename)
    assert after_cut["nothing that is not synced is there"] == {"a": b"12"}
    assert after_cut["everything is there"] == {"b": b"12"}
    assert set(map(str, states(*written("/d/a", b"12"), sync, rename, folder).values())) == {"{'b': b'12'}"}


def test_a_later_write_may_overtake_an_earlier_one() -> None:
    second = FileEvent(change=Change.WRITE, path="/d/a", offset=2, content=b"34")
    assert states(*written("/d/a", b"12"), second)["the last write overtook those before"] == {"a": b"\0\x0034"}


@needs_trace
def test_writes_syncs_and_names_are_traced_in_their_order(tmp_path: Path) -> None:
    code = (
        "import os\nos.mkdir('s')\nfile = open('s/a', 'wb', 0)\nfile.write(b'12')\nos.pwrite(file.fileno(), b'3', 1)\n"
        "os.fsync(file.fileno())\nos.replace('s/a', 'b')\nos.truncate('b', 1)\nos.unlink('b')\nos.rmdir('s')"
    )
    disk = tmp_path / "disk"
    disk.mkdir()
    end = run(disk, traced([sys.executable, "-c", code], tmp_path / "log", disk))
    assert end.code == 0, end.errors
    root = str(disk.resolve())
    changes = [(event.change, event.path.removeprefix(root)) for event in read_trace(tmp_path / "log")]
    assert changes == [
        (Change.MKDIR, "/s"),
        (Change.OPEN, "/s/a"),
        (Change.WRITE, "/s/a"),
        (Change.WRITE, "/s/a"),
        (Change.SYNC, "/s/a"),
        (Change.RENAME, "/s/a"),
        (Change.RESIZE, "/b"),
        (Change.UNLINK, "/b"),
        (Change.RMDIR, "/s"),
    ]
    assert [event.content for event in read_trace(tmp_path / "log") if event.change is Change.WRITE] == [b"12", b"3"]


def lost(folder: Path, works: Sequence[type[Work]], before: str = "", most: int | None = None) -> dict[str, int]:
    """Return for each work in how many states something is missing; ``before`` breaks the program in the child."""
    names = [work.__name__ for work in works]
    code = f"{before}\nfrom app.benchmarks.reliability.power.campaign import main\nmain({str(folder / 'disk')!r}, *{names})"
    command = [sys.executable, "-P", "-c", code] if before else command_of(folder / "disk", works)
    events = trace(folder, command)
    losses = {}
    for work in works:
        result = PowerCuts()
        cut(work(), events, folder / "disk" / work.__name__, result, most)
        assert result.cuts > 20
        assert result.lost == len(result.findings)
        losses[work.__name__] = result.lost
    return losses


@needs_trace
@pytest.mark.slow
def test_a_sound_program_loses_nothing(tmp_path: Path) -> None:
    assert lost(tmp_path, [Files, Checkpoints]) == {"Files": 0, "Checkpoints": 0}


@needs_trace
@pytest.mark.slow
def test_a_program_that_does_not_sync_its_files_is_noticed(tmp_path: Path) -> None:
    losses = lost(tmp_path, [Files, Checkpoints], before=WITHOUT_SYNC)
    assert losses["Files"] > 0
    assert losses["Checkpoints"] > 0


@needs_trace
@pytest.mark.slow
def test_a_journal_that_is_not_synced_is_noticed(tmp_path: Path) -> None:
    assert lost(tmp_path, [Recording], before=WITHOUT_SYNC_OF_THE_JOURNAL, most=20)["Recording"] > 0


@needs_trace
@pytest.mark.slow
@pytest.mark.parametrize("before", ["", WITHOUT_SYNC])
def test_shards_that_are_written_beside_each_other_are_synced_before_their_rows(tmp_path: Path, before: str) -> None:
    assert (lost(tmp_path, [ShardsBeside], before=before, most=20)["ShardsBeside"] > 0) == bool(before)
