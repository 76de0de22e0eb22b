"""Corrected labels lie beside the automatic ones, which stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.reader import Archive
from acquisition.archive.rows import StorageError
from app.datasets.corrected_labels import store_corrections
from app.datasets.recording_results import segment_again
from app.playback.played_archive import PlayedArchive
from reconstruction.cells.corrections import deleted
from tests.helpers.archives.played_recording import RecordingPlan

TIMES_S = tuple(10 + number / 10 for number in range(5))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return RecordingPlan(times_s=TIMES_S, skipped=(2,), unsegmented=(3,), has_disc=True).record(tmp_path)


def test_a_correction_is_played_and_every_other_frame_keeps_its_automatic_labels(path: Path) -> None:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    automatic = Archive.open(path).read("labels", 1)
    without = deleted(automatic, (10, 8))
    result = store_corrections(path, {1: without})
    assert {file: file.read_bytes() for file in before} == before
    assert (result.rows, result.card.name) == ((0, 1, 4), "corrected by hand")
    assert result.card.facts["corrected_rows"] == [1]
    played = PlayedArchive(path)
    shown = [played.load(position, played.results[0]).overlay.labels for position in (0, 1)]
    np.testing.assert_array_equal(shown[1], without)
    np.testing.assert_array_equal(shown[0], Archive.open(path).read("labels", 0))
    again = store_corrections(path, {0: np.zeros_like(automatic)}, result)
    np.testing.assert_array_equal(again.read("labels", 1), without)
    assert again.card.facts["labels_of"] == "corrected by hand"


def test_labels_that_were_made_later_are_corrected_too(path: Path) -> None:
    automatic = segment_again(path)
    assert automatic is not None
    result = store_corrections(path, {3: np.zeros_like(automatic.read("labels", 3))}, automatic)
    assert result.rows == automatic.rows
    assert not result.read("labels", 3).any()


def test_what_cannot_be_stored_is_refused(path: Path) -> None:
    labels = Archive.open(path).read("labels", 1)
    with pytest.raises(StorageError, match="nothing is corrected"):
        store_corrections(path, {})
    with pytest.raises(StorageError, match="frame 2 has no automatic labels"):
        store_corrections(path, {2: labels})
    assert not (path / "results").exists()
