"""SIGINT and SIGTERM to real commands: exit code, one line, whole files, and neither children nor temporary files left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from acquisition.archive.writer import Archive, StorageError
from app.instrument.config import to_yaml
from reconstruction.training.checkpoint import CHECKPOINT, read_checkpoint
from reconstruction.training.run import RUN
from tests.conftest import ROOT
from tests.helpers.command import run_here
from tests.helpers.small_instrument import small_instrument, until

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the children are found in /proc")

#: A variable that every child inherits.
MARK = "TEST_SIGNALS_MARK"
#: The tests may run in the background, where SIGINT is ignored; so each command is told what to do with it.
WITH_SIGINT = (
    "import os, signal, sys; signal.signal(signal.SIGINT, getattr(signal, sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"
)
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
NETWORK = ("--set", "grid_px=32", "--set", "multipliers=1,2,4", "--front-end", "fold", "--base-channels", "4", "--batch", "4")


@dataclass
class Running:
    """A command that runs."""

    process: subprocess.Popen[str]
    mark: str
    errors: str = ""

    def until_line(self, text: str) -> None:
        """Read stderr up to a line that holds the text."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors += line
            if text in line:
                return
        raise AssertionError(f"it ended before {text!r}: {self.errors}")

    def interrupted(self, number: signal.Signals, *, sent: bool = False) -> str:
        """Send the signal, check how the command ends, and return what it says about what is kept."""
        if not sent:
            self.process.send_signal(number)
        rest = self.process.communicate(timeout=120)[1]
        self.errors += rest
        assert self.process.returncode == CODES[number], self.errors
        lines = [line for line in self.errors.splitlines() if line and not re.search(r": \d+ of \d+", line)]
        assert len(lines) == 1, self.errors
        assert lines[0].startswith("specklescope: interrupted"), self.errors
        until(lambda: not with_mark(self.mark))
        return lines[0].removeprefix("specklescope: interrupted").removeprefix("; ")


def with_mark(mark: str) -> list[str]:
    """Return the processes that have inherited the mark."""
    marked = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                marked.append(folder.name)
        except OSError:
            continue
    return marked


@contextmanager
def running(cwd: Path, *arguments: object, ignore_sigint: bool = False) -> Iterator[Running]:
    """Run a command as the leader of its own group; afterwards no temporary file is left in its folders."""
    temporary = cwd / "temporary"
    temporary.mkdir()
    mark = uuid.uuid4().hex
    own = {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "SPECKLESCOPE_CACHE": str(cwd / "cache"), "TMPDIR": str(temporary)}
    own |= {"SPECKLESCOPE_LOG_FOLDER": str(cwd / "logs"), "TORCHINDUCTOR_CACHE_DIR": str(cwd / "cache")}
    sigint = "SIG_IGN" if ignore_sigint else "SIG_DFL"
    program = [sys.executable, "-c", WITH_SIGINT, sigint, sys.executable, "-m", "specklescope", *map(str, arguments)]
    environment = {**os.environ, **own, MARK: mark}
    environment.pop("DISPLAY", None)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        program, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            yield Running(process, mark)
        finally:
            process.kill()
    assert not list(temporary.iterdir())
    assert not [path for path in cwd.rglob(".*") if not path.is_relative_to(cwd / "cache")]
    assert not list(cwd.rglob("*.part"))


@pytest.fixture
def instrument(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(to_yaml(small_instrument(tmp_path)), "utf-8")
    return path


@pytest.fixture
def dataset(instrument: Path, tmp_path: Path) -> Path:
    run_here("acquire", "cells", "--pairs", 40, "--config", instrument, cwd=tmp_path)
    (path,) = (tmp_path / "archive").iterdir()
    return path


def rows(archive: Path) -> int:
    try:
        return sum(len(Archive.open(path)) for path in archive.glob("*"))
    except StorageError:
        return 0


def acquire_is_interrupted(instrument: Path, tmp_path: Path, number: signal.Signals, *, ignore_sigint: bool) -> None:
    command = ("acquire", "cells", "--pairs", 5000, "--config", instrument)
    with running(tmp_path, *command, ignore_sigint=ignore_sigint) as run:
        run.until_line("acquiring pairs")
        if ignore_sigint:
            run.process.send_signal(signal.SIGINT)  # the first signal that is heard gives the exit code
        else:
            until(lambda: rows(tmp_path / "archive"))
        kept = run.interrupted(number)
    (path,) = (tmp_path / "archive").iterdir()
    archive = Archive.open(path)
    assert archive.verify().ok
    assert re.match(rf"{len(archive)} of \d+ pairs are on disk; continue with: specklescope acquire --resume ", kept)
    assert kept.endswith(path.name)


def test_sigterm_stops_an_acquisition_that_ignores_sigint(instrument: Path, tmp_path: Path) -> None:
    acquire_is_interrupted(instrument, tmp_path, signal.SIGTERM, ignore_sigint=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
def test_acquire(number: signal.Signals, instrument: Path, tmp_path: Path) -> None:
    acquire_is_interrupted(instrument, tmp_path, number, ignore_sigint=False)


@pytest.mark.slow
@pytest.mark.parametrize("how", [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True)])
def test_record(how: tuple[signal.Signals, bool], instrument: Path, tmp_path: Path) -> None:
    number, ignore_sigint = how
    with running(tmp_path, "record", "r", "--seconds", 600, "--config", instrument, ignore_sigint=ignore_sigint) as run:
        run.until_line("recording: ")
        until(lambda: rows(tmp_path / "archive"))
        kept = run.interrupted(number)
    (path,) = (tmp_path / "archive").iterdir()
    archive = Archive.open(path)
    assert archive.verify().ok
    assert kept.startswith(f"{len(archive)} frames are on disk, in ")
    assert kept.endswith(path.name)


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
def test_record_before_its_first_frame(number: signal.Signals, instrument: Path, tmp_path: Path) -> None:
    with running(tmp_path, "record", "r", "--seconds", 600, "--config", instrument) as run:
        run.until_line("recording: ")
        kept = run.interrupted(number)
    assert "nothing was recorded" in kept or "frames are on disk" in kept


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
def test_export(number: signal.Signals, dataset: Path, tmp_path: Path) -> None:
    formats = ("ome-tiff", "npz", "ffv1", "specdiffusion", "hdf5", "ome-zarr")
    with running(tmp_path, "export", dataset, "--out", "out", "--format", *formats) as run:
        out = tmp_path / "out"
        until(lambda: out.exists() and [path for path in out.iterdir() if not path.name.startswith(".")])
        kept = run.interrupted(number)
    whole = list(out.iterdir())
    assert int(kept.split()[0]) in (len(whole), len(whole) - 1)
    assert "complete files are in out" in kept


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["checking pairs", "writing pairs"])
@pytest.mark.parametrize("number", CODES)
def test_import(number: signal.Signals, stage: str, dataset: Path, tmp_path: Path) -> None:
    run_here("export", dataset, "--out", "out", "--format", "specdiffusion", cwd=tmp_path)
    (layout,) = (tmp_path / "out").iterdir()
    with running(tmp_path, "import", layout, "--archive", "imported") as run:
        run.until_line(stage)
        kept = run.interrupted(number)
    imported = list((tmp_path / "imported").glob("*"))
    assert "nothing was kept in imported" in kept or kept.endswith(imported[0].name)
    assert all(Archive.open(path).verify().ok for path in imported)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["simulating pairs", "training"])
@pytest.mark.parametrize("number", CODES)
def test_train(number: signal.Signals, stage: str, instrument: Path, tmp_path: Path) -> None:
    pairs = 4000 if stage == "simulating pairs" else 60
    command = ("train", "m", *NETWORK, "--source", "cells", "--pairs", pairs, "--steps", 10**6, "--config", instrument)
    with running(tmp_path, *command) as run:
        run.until_line(f"{stage}: ")
        # To the whole group, as the terminal does with Ctrl-C.
        os.killpg(run.process.pid, number)
        kept = run.interrupted(number, sent=True)
    if stage == "training":
        assert re.match(r"step \d+ is the last; its checkpoint is in m/run; continue with: specklescope train m ", kept)
        assert kept.endswith("--resume")
        read_checkpoint(tmp_path / "m" / RUN / CHECKPOINT)
    else:
        assert "no step was trained" in kept
        assert not (tmp_path / "m").exists()


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["simulating pairs", "scoring"])
@pytest.mark.parametrize("number", CODES)
def test_evaluate(number: signal.Signals, stage: str, instrument: Path, tmp_path: Path) -> None:
    with running(tmp_path, "evaluate", "--pairs", 2000, "--config", instrument) as run:
        run.until_line(f"{stage}: ")
        assert run.interrupted(number) == ""
