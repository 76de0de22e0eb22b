"""Full disks: a sound program passes, and a program that is broken on purpose is noticed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from acquisition.exchange.export import ExportFormat
from app.benchmarks.reliability.children import ChildEnd
from app.benchmarks.reliability.disks.campaign import (
    DiskCase,
    Hologram,
    Snapshot,
    acknowledged_in,
    export_in,
    fill_and_repeat,
    without_reason,
)
from app.benchmarks.reliability.tasks import Harm, Tally, task_bench
from app.benchmarks.reliability.workbench import Workbench

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux limits or mounts")
EXPLAINED = "specklescope: cannot write a: No space left on device; free space"
#: The program without its atomic writer: a file is written under its own name.
IN_PLACE = """
import sys
from acquisition.archive import atomic_files
def in_place(path, content, remedy, error_class=None):
    with path.open("wb", 0) as file:
        if file.write(content) < len(content):
            raise OSError("full")
atomic_files.write_bytes = in_place
from app.cli.main import main
main(sys.argv[1:])
"""


def end(code: int = 1, errors: str = EXPLAINED) -> ChildEnd:
    return ChildEnd(code=code, output="", errors=errors, survivors=(), temporary=(), seconds=1.0)


@pytest.mark.parametrize(
    ("ended", "explained"),
    [
        (end(), True),
        (end(code=0), False),
        (end(code=139), False),
        (end(errors="OSError: No space left on device"), False),
        (end(errors="specklescope: KeyError: a; this is an error of the program: the details are in b"), False),
        (end(errors=f"Traceback (most recent call last):\n{EXPLAINED}"), False),
    ],
)
def test_an_end_is_explained_in_one_line_with_exit_code_1(ended: ChildEnd, *, explained: bool) -> None:
    assert (not list(without_reason(ended))) is explained


def test_what_a_command_says_to_have_acknowledged() -> None:
    assert acknowledged_in("specklescope: cannot write c.1; check the disk (64 frames are stored safely, 3 are lost)") == 64
    assert acknowledged_in("specklescope: the recording ended early (stopped at frame 9); 9 frames are on disk") == 9
    assert acknowledged_in("specklescope: interrupted; 7 of 20 pairs are on disk, in a") == 7
    assert acknowledged_in(EXPLAINED) == 0


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return task_bench(tmp_path_factory.mktemp("bench"), pairs=20)


class InPlace(Hologram):
    def command(self) -> list[str]:
        return [sys.executable, "-P", "-c", IN_PLACE, *map(str, self.arguments())]


def harm_of(case: DiskCase, bench: Workbench, folder: Path) -> Tally:
    tally = Tally()
    assert fill_and_repeat(case, bench, folder, tally), "the disk was full"
    return tally


@needs_linux
@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        DiskCase(task=Snapshot, left_bytes=2_000),
        DiskCase(task=Hologram, left_bytes=100),
        DiskCase(task=export_in(ExportFormat.MATLAB), left_bytes=2_000),
    ],
)
def test_a_sound_command_leaves_no_harm(case: DiskCase, bench: Workbench, tmp_path: Path) -> None:
    assert not harm_of(case, bench, tmp_path / "case").findings


@needs_linux
@pytest.mark.slow
def test_an_older_file_that_is_overwritten_in_place_is_noticed(bench: Workbench, tmp_path: Path) -> None:
    assert harm_of(DiskCase(task=InPlace, left_bytes=100), bench, tmp_path / "case").counts[Harm.LOST] > 0
