"""Kills of real commands: a sound program passes, and a program that is broken on purpose is noticed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from acquisition.archive.writer import Archive, ArchiveWriter
from acquisition.exchange.export import ExportFormat, export
from app.benchmarks.reliability.children import run
from app.benchmarks.reliability.kills import kill_and_repeat
from app.benchmarks.reliability.tasks import Export, Harm, Import, Tally, task_bench
from app.benchmarks.reliability.workbench import Workbench

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a POSIX signal")]

#: The program, which kills itself as soon as the images of an export are in their file.
DIES_WHILE_WRITING = """
import os, signal, sys
from acquisition.exchange import export
from acquisition.archive import atomic_files
name, write = export._SINGLE_FILE[export.ExportFormat.NPZ]
def dying(archive, path):
    write(archive, path)
    os.truncate(path, os.path.getsize(path) // 2)
    if not os.path.exists("died"):
        open("died", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    write(archive, path)
export._SINGLE_FILE[export.ExportFormat.NPZ] = (name, dying)
"""
#: The same, but the file gets its name before its content.
WITHOUT_TEMPORARY_NAME = """
import contextlib
export.moved_when_complete = contextlib.nullcontext
"""
RUN = "from app.cli.main import main\nmain(sys.argv[1:])"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return task_bench(tmp_path_factory.mktemp("bench"), pairs=20)


class Patched(Export):
    formats = (ExportFormat.NPZ,)
    script = DIES_WHILE_WRITING

    def command(self) -> list[str]:
        return [sys.executable, "-P", "-c", self.script + RUN, *map(str, self.arguments())]


class Broken(Patched):
    script = DIES_WHILE_WRITING + WITHOUT_TEMPORARY_NAME


@pytest.fixture(scope="module")
def undisturbed(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Export:
    folder = tmp_path_factory.mktemp("undisturbed")
    export(Archive.open(bench.dataset), folder / "out", Patched.formats)
    return Patched(bench, folder)


def test_a_killed_export_leaves_no_half_file(bench: Workbench, undisturbed: Export, tmp_path: Path) -> None:
    tally = Tally()
    kill_and_repeat(Patched(bench, tmp_path / "export"), 60, tally, undisturbed)
    assert not tally.findings
    assert (tmp_path / "export" / "died").exists()


def test_a_half_file_under_its_final_name_is_noticed(bench: Workbench, undisturbed: Export, tmp_path: Path) -> None:
    tally = Tally()
    kill_and_repeat(Broken(bench, tmp_path / "export"), 60, tally, undisturbed)
    assert tally.counts[Harm.HALF_WRITTEN] > 0


def test_a_killed_import_is_repeated(bench: Workbench, tmp_path: Path) -> None:
    tally = Tally()
    kill_and_repeat(Import(bench, tmp_path / "import"), 0.6, tally)
    assert not tally.findings


def test_pairs_that_are_lost_are_noticed(bench: Workbench, tmp_path: Path) -> None:
    task = Import(bench, tmp_path / "import")
    assert run(task.folder, task.command()).code == 0
    before = task.items()
    assert len(before) == 22
    (path,) = (tmp_path / "import" / "archive").iterdir()
    with ArchiveWriter.resume(path) as writer:
        writer.quarantine(20, "withdrawn by the test")
    tally = Tally()
    tally.compare(task, before, "test")
    task.check(tally)
    assert tally.counts == {Harm.LOST: 2, Harm.HALF_WRITTEN: 1, Harm.WRONG: 1}
