"""What commands say when SIGINT or SIGTERM ends them in a certain stage: it is what is on the disk.

``app/benchmarks/reliability/signals.py`` sends signals at every moment of every command.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from acquisition.archive.writer import Archive
from acquisition.exchange.export import ExportFormat, export
from app.benchmarks.reliability.children import Child, ChildEnd, Limits, Moment, file, line, specklescope, started
from app.benchmarks.reliability.workbench import NETWORK, Workbench, build_workbench
from reconstruction.training.checkpoint import CHECKPOINT, read_checkpoint
from reconstruction.training.run import RUN
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the children are looked for in /proc")

SIGINT, SIGTERM = signal.SIGINT, signal.SIGTERM
TRAIN = ("train", "m", *NETWORK, "--source", "cells", "--batch", 4, "--steps", 10**6)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return build_workbench(tmp_path_factory.mktemp("bench"), pairs=40)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A command, a moment in it, and a check of what it says and has kept."""

    arguments: tuple[object, ...]
    moment: Moment
    check: Callable[[str, Path], object]
    group: bool = False


def rows(folder: Path) -> int:
    """Rows of the only archive below a folder; it has to be sound."""
    [journal] = folder.glob("*/*/journal.sqlite")
    archive = Archive.open(journal.parent)
    assert archive.verify().ok
    return len(archive)


def has_rows(child: Child) -> bool:
    """Whether a shard is sealed."""
    return file("archive/*/data.zarr/speckle/c.0.*")(child)


def pairs_are_on_disk(kept: str, folder: Path) -> None:
    text = re.match(r"(\d+) of \d+ pairs are on disk; continue with: specklescope acquire --resume ", kept)
    assert text is not None, kept
    assert int(text[1]) == rows(folder)


def frames_are_on_disk(kept: str, folder: Path) -> None:
    assert kept.startswith(f"{rows(folder)} frames are on disk, in "), kept


def nothing_or_frames(kept: str, folder: Path) -> None:
    if kept != "nothing was recorded":
        frames_are_on_disk(kept, folder)


def files_are_complete(kept: str, folder: Path) -> None:
    whole = len(list((folder / "out").glob("[!.]*")))
    assert "complete files are in out" in kept
    assert int(kept.split()[0]) <= whole


def nothing_is_imported(kept: str, folder: Path) -> None:
    assert "nothing was kept in imported; import again" in kept
    assert not list((folder / "imported").glob("*"))


def run_can_be_resumed(kept: str, folder: Path) -> None:
    assert re.match(r"step \d+ is the last; its checkpoint is in m/run; continue with: specklescope train m ", kept), kept
    assert kept.endswith("--resume")
    read_checkpoint(folder / "m" / RUN / CHECKPOINT)


def nothing_is_trained(kept: str, folder: Path) -> None:
    assert "no step was trained" in kept
    assert not (folder / "m").exists()


def nothing_is_said(kept: str, folder: Path) -> None:
    assert kept == ""


STAGES = {
    "acquire": Stage(arguments=("acquire", "cells", "--pairs", 5000), moment=has_rows, check=pairs_are_on_disk),
    "record": Stage(arguments=("record", "r", "--seconds", 600), moment=has_rows, check=frames_are_on_disk),
    "record, at first": Stage(arguments=("record", "r"), moment=line("recording: "), check=nothing_or_frames),
    "export": Stage(
        arguments=("export", "DATASET", "--out", "out", "--format", *ExportFormat),
        moment=file("out/[!.]*"),
        check=files_are_complete,
    ),
    "import": Stage(
        arguments=("import", "LAYOUT", "--archive", "imported"), moment=line("checking pairs"), check=nothing_is_imported
    ),
    # To the whole group, as the terminal does with Ctrl-C.
    "train, simulating": Stage(
        arguments=(*TRAIN, "--pairs", 4000), moment=line("simulating pairs: "), check=nothing_is_trained, group=True
    ),
    "train": Stage(arguments=(*TRAIN, "--pairs", 60), moment=line("training: "), check=run_can_be_resumed, group=True),
    "evaluate": Stage(arguments=("evaluate", "--pairs", 2000), moment=line("simulating pairs: "), check=nothing_is_said),
}


def interrupted(end: ChildEnd, code: int, folder: Path) -> str:
    """Check the end of an interrupted command; return what it says about what is kept."""
    assert end.code == code, end.errors
    lines = [text for text in end.errors.splitlines() if text and not re.search(r": \d+ of \d+", text)]
    assert len(lines) == 1, end.errors
    assert lines[0].startswith("specklescope: interrupted"), end.errors
    assert not end.survivors
    assert not end.temporary
    assert not list(folder.rglob("*.part"))
    return lines[0].removeprefix("specklescope: interrupted").removeprefix("; ")


def limits(*, ignore_sigint: bool = False) -> Limits:
    return Limits(ignore_sigint=ignore_sigint, environment={"PYTHONPATH": str(ROOT)})


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [SIGINT, SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("name", STAGES)
def test_a_command_says_what_it_has_kept(name: str, number: signal.Signals, bench: Workbench, tmp_path: Path) -> None:
    stage = STAGES[name]
    places: dict[object, object] = {"DATASET": bench.dataset}
    if "LAYOUT" in stage.arguments:
        [places["LAYOUT"]] = export(Archive.open(bench.dataset), tmp_path / "layout", [ExportFormat.SPECDIFFUSION])
    command = [places.get(argument, argument) for argument in stage.arguments]
    config = () if "LAYOUT" in stage.arguments or "DATASET" in stage.arguments else ("--config", bench.instrument)
    with started(tmp_path, specklescope(*command, *config), limits()) as child:
        assert child.wait_for(stage.moment, 200), child.errors
        child.send(number, group=stage.group)
        end = child.ended(200)
    stage.check(interrupted(end, {SIGINT: 130, SIGTERM: 143}[number], tmp_path), tmp_path)


def test_sigterm_stops_an_acquisition_that_ignores_sigint(bench: Workbench, tmp_path: Path) -> None:
    command = specklescope("acquire", "cells", "--pairs", 5000, "--config", bench.instrument)
    with started(tmp_path, command, limits(ignore_sigint=True)) as child:
        assert child.wait_for(line("acquiring pairs")), child.errors
        child.send(SIGINT)  # the first signal that is heard gives the exit code
        child.send(SIGTERM)
        end = child.ended()
    pairs_are_on_disk(interrupted(end, 143, tmp_path), tmp_path)
