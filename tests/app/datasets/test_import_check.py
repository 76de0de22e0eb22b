"""The dry run of an import, in the words of the page; an import that is stopped or refused leaves nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.archive.reader import Archive
from acquisition.exchange.import_pairs import ImportOptions
from app.cli.commands.import_pairs import PairImportOptions
from app.datasets.import_check import ENTRY_NAMES, import_checked, preview_import, with_entry_names
from app.jobs.result_job import JobStoppedError
from drivers.base import SpeckleScopeError

OPTIONS = ImportOptions(phase_range_rad=2.5)


def nothing(done: int, total: int) -> None:
    pass


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    for kind in ("input", "label"):
        (tmp_path / "pairs" / kind).mkdir(parents=True)
        for number in range(3):
            image = rng.integers(0, 255, (16, 12), dtype=np.uint8)
            (tmp_path / "pairs" / kind / f"{number}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return tmp_path / "pairs"


def test_what_was_recognised_is_said_in_words_and_imported(folder: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    checked = preview_import(folder, OPTIONS, lambda done, total: steps.append((done, total)), threading.Event())
    assert (checked.pairs, checked.problems, steps[-1]) == (3, (), (3, 3))
    facts = dict(checked.facts)
    assert facts["Speckle: images, height, width"] == "3x16x12 (N, H, W)"
    assert facts["Phase: unit"].startswith("levels")
    assert "Time between frames" in facts["Times of the frames"]
    assert checked.sheet is not None
    assert sorted(tmp_path.iterdir()) == [folder]
    path = import_checked(checked, tmp_path / "archive", "mine", nothing, threading.Event())
    assert len(Archive.open(path)) == 3


def test_problems_name_the_entries_of_the_page(folder: Path) -> None:
    checked = preview_import(folder, ImportOptions(), nothing, threading.Event())
    assert checked.pairs == 0
    assert "'Phase range'" in checked.problems[0]
    assert "--" not in " ".join(checked.problems)


def test_every_option_of_the_command_has_a_name_on_the_page() -> None:
    own = {"dry_run", "sheet"}
    options = {f"--{name.replace('_', '-')}" for name in PairImportOptions.__dataclass_fields__ if name not in own}
    assert options == set(ENTRY_NAMES)
    assert with_entry_names("give --phase-range-rad and --phase NAME") == "give 'Phase range' and 'Phase' NAME"


def test_an_import_that_is_stopped_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    checked = preview_import(folder, OPTIONS, nothing, threading.Event())
    stop = threading.Event()

    def stop_while_writing(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) > total:
            stop.set()

    calls: list[int] = []
    with pytest.raises(JobStoppedError, match="nothing was kept"):
        import_checked(checked, tmp_path / "archive", "mine", stop_while_writing, stop)
    assert list((tmp_path / "archive").iterdir()) == []


def test_pairs_that_changed_since_the_check_are_refused(folder: Path, tmp_path: Path) -> None:
    checked = preview_import(folder, OPTIONS, nothing, threading.Event())
    (folder / "label" / "1.png").unlink()
    with pytest.raises(SpeckleScopeError, match=r"1\.png"):
        import_checked(checked, tmp_path / "archive", "mine", nothing, threading.Event())
    assert not list((tmp_path / "archive").glob("*")) if (tmp_path / "archive").exists() else True
