"""The phase of a recording means something inside the fibre's disc alone: frames are played with it, where it is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.reader import Archive
from acquisition.archive.results.disc import described_disc
from acquisition.archive.results.result_writer import new_result
from acquisition.archive.results.stored_result import ResultCard, ResultKind, stored_results
from acquisition.archive.rows import StorageError
from app.playback.played_archive import PlayedArchive
from tests.helpers.archives.played_recording import GRID_PX, RecordingPlan, disc


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return RecordingPlan(times_s=(1.0, 1.1, 1.2), skipped=(1,), has_disc=True).record(tmp_path)


def stored(path: Path, kind: ResultKind, facts: dict[str, object]) -> None:
    card = ResultCard(kind=kind, name="later", created_utc="2026-01-01T00:00:00+00:00", facts=facts)
    with new_result(path, card, [0, 1, 2], {"phase": (GRID_PX, GRID_PX), "labels": (GRID_PX, GRID_PX)}) as writer:
        for _ in range(3):
            writer.add({"phase": np.ones((GRID_PX, GRID_PX)), "labels": np.zeros((GRID_PX, GRID_PX))})


def played_mask(path: Path, position: int = 0, *, later: bool = False) -> np.ndarray | None:
    played = PlayedArchive(path)
    reconstruction = played.load(position, played.results[0] if later else None).view.reconstruction
    assert reconstruction is not None
    return reconstruction.mask


def test_a_frame_has_the_disc_and_its_whole_phase(path: Path) -> None:
    mask, archive = played_mask(path), Archive.open(path)
    assert mask is not None
    assert np.array_equal(mask, disc())
    reconstruction = PlayedArchive(path).load(0).view.reconstruction
    assert reconstruction is not None
    assert reconstruction.phase_rad.tobytes() == archive.read("phase", 0).tobytes()


def test_a_later_result_is_played_with_its_own_disc(path: Path) -> None:
    smaller = disc() & (np.arange(GRID_PX) < 12)
    stored(path, ResultKind.RECONSTRUCTION, {"disc": described_disc(smaller)})
    mask = played_mask(path, 1, later=True)
    assert mask is not None
    assert np.array_equal(mask, smaller)


def test_a_result_that_says_no_disc_is_shown_as_a_whole(path: Path) -> None:
    stored(path, ResultKind.RECONSTRUCTION, {})
    assert played_mask(path, later=True) is None


def test_a_result_with_an_impossible_disc_is_named(path: Path) -> None:
    stored(path, ResultKind.RECONSTRUCTION, {"disc": {"shape": [2, 2], "runs": "9"}})
    results, problems = stored_results(path)
    assert (results, len(problems)) == ([], 1)
    assert "disc" in problems[0]


def test_a_recording_that_says_no_disc_is_played_as_before(tmp_path: Path) -> None:
    path = RecordingPlan(times_s=(1.0,)).record(tmp_path)
    assert played_mask(path) is None


def test_a_damaged_disc_is_told_and_the_recording_is_played(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(archive: Archive) -> dict[str, np.ndarray]:
        raise StorageError("the runs of a disc do not fill 2 x 2 pixels; restore the file from a copy")

    monkeypatch.setattr(Archive, "discs", damaged)
    played = PlayedArchive(path)
    assert played.load(0).view.reconstruction is not None
    assert any("runs of a disc" in problem for problem in played.facts.problems)
