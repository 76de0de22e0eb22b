"""What is played is what was recorded, bit by bit; what is missing or damaged is said, and the rest plays on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED
from acquisition.archive.results.result_writer import new_result
from acquisition.archive.results.stored_result import ResultCard, ResultKind
from acquisition.archive.rows import StorageError
from app.playback.opening import Opening
from app.playback.played_archive import NOT_RECONSTRUCTED, NOT_SEGMENTED, PlayedArchive
from app.playback.played_frame import Layer
from drivers.base import FrameMark
from tests.helpers.archives.library_archive import dataset, end, writing_process
from tests.helpers.archives.played_recording import GRID_PX, METADATA, RecordingPlan

TIMES_S = (10.0, 10.1, 10.2, 10.3, 11.3, 11.4, 11.5, 11.6)


@pytest.fixture
def path(tmp_path) -> Path:
    plan = RecordingPlan(times_s=TIMES_S, skipped=(2, 6), unsegmented=(3,), marked={4: "clamped"}, uncertainty=True)
    return plan.record(tmp_path)


def stored_result(path: Path, kind: ResultKind, rows: list[int], layers: tuple[str, ...]) -> None:
    card = ResultCard(kind=kind, name=kind.value, created_utc="2026-01-01T00:00:00+00:00")
    with new_result(path, card, rows, dict.fromkeys(layers, (GRID_PX, GRID_PX))) as writer:
        for row in rows:
            writer.add({name: np.full((GRID_PX, GRID_PX), row + 40) for name in layers})


def test_every_image_is_what_was_recorded_bit_by_bit(path):
    archive, played = Archive.open(path), PlayedArchive(path)
    assert len(played.rows) == len(TIMES_S)
    for position, row in enumerate(played.rows):
        frame = played.load(position)
        assert np.array_equal(frame.view.frame.pixels, archive.read("speckle", row.index))
        assert frame.view.frame.index == row.frame_index
        if ROW_NOT_RECONSTRUCTED in row.extra:
            continue
        reconstruction = frame.view.reconstruction
        assert reconstruction.phase_rad.tobytes() == archive.read("phase", row.index).tobytes()
        assert reconstruction.uncertainty_rad.tobytes() == archive.read("uncertainty", row.index).tobytes()
        if position != 3:
            assert frame.overlay.labels.tobytes() == archive.read("labels", row.index).tobytes()


def test_times_gaps_and_markers_are_the_recorded_ones(path):
    timeline = PlayedArchive(path).timeline
    assert timeline.times_s == pytest.approx(np.array(TIMES_S) - TIMES_S[0])
    assert [gap.seconds for gap in timeline.gaps] == pytest.approx([1.0])
    assert [(one.position, one.text) for one in timeline.markers] == [(4, "clamped")]


def test_frames_without_phase_or_labels_say_so(path):
    played = PlayedArchive(path)
    skipped = played.load(2)
    assert skipped.view.reconstruction is None
    assert skipped.missing[Layer.PHASE] == skipped.missing[Layer.LABELS] == skipped.missing[Layer.UNCERTAINTY]
    assert skipped.missing[Layer.PHASE] == NOT_RECONSTRUCTED
    unsegmented = played.load(3)
    assert unsegmented.view.reconstruction is not None
    assert unsegmented.overlay.labels is None
    assert unsegmented.missing[Layer.LABELS] == NOT_SEGMENTED
    assert Layer.PHASE not in unsegmented.missing
    assert skipped.is_whole
    assert played.reconstructed.tolist() == [True, True, False, True, True, True, False, True]


def test_the_marks_of_frames_and_the_facts_of_the_instrument_are_kept(path):
    played = PlayedArchive(path)
    assert played.load(5).view.frame.marks == (FrameMark.DECORRELATED,)
    assert played.facts.name == "cells"
    assert played.facts.field_um == pytest.approx(16.0)
    assert played.facts.full_scale == 255
    assert played.facts.phase_range_rad == pytest.approx(2.5)
    assert played.facts.is_recording
    assert not played.facts.is_being_written
    assert played.facts.problems == ()


def test_an_unknown_pixel_size_is_said(tmp_path):
    metadata = {key: value for key, value in METADATA.items() if key != "pixel_um"}
    played = PlayedArchive(RecordingPlan(times_s=(0, 1), metadata=metadata).record(tmp_path))
    assert "pixel size is unknown" in played.facts.problems[0]


def test_a_dataset_shows_its_patterns_and_no_results(tmp_path):
    path = dataset(tmp_path)
    played, archive = PlayedArchive(path), Archive.open(path)
    frame = played.load(1)
    assert not played.facts.is_recording
    assert frame.pattern_rad.tobytes() == archive.read("phase", 1).tobytes()
    assert frame.view.reconstruction is None
    assert "patterns" in frame.missing[Layer.PHASE]
    assert played.layers == (Layer.SPECKLE, Layer.PATTERN)


def test_a_missing_shard_is_said_and_the_others_play(path):
    for file in (path / "data.zarr" / "phase").glob("c.*"):
        file.unlink()
    frame = PlayedArchive(path).load(1)
    assert frame.broken == {Layer.PHASE}
    assert "row 1" in frame.missing[Layer.PHASE].lower()
    assert Layer.SPECKLE not in frame.missing
    assert not frame.is_whole


def test_a_damaged_picture_is_said_and_not_shown(path):
    for file in (path / "data.zarr" / "speckle").glob("c.*"):
        content = bytearray(file.read_bytes())
        content[10] ^= 1
        file.write_bytes(content)
    frames = [PlayedArchive(path).load(position) for position in range(len(TIMES_S))]
    broken = [frame for frame in frames if Layer.SPECKLE in frame.broken]
    assert broken
    assert all("CRC-32" in frame.missing[Layer.SPECKLE] for frame in broken)
    assert all(frame.view.frame.shape == (1, 1) for frame in broken)
    assert broken[0].view.reconstruction is not None


def test_a_disk_that_is_pulled_out_is_said_and_comes_back(path):
    played = PlayedArchive(path)
    away = path.with_name("away")
    path.rename(away)
    frame = played.load(0)
    assert "connect its disk again" in frame.missing[Layer.SPECKLE]
    assert frame.broken >= {Layer.SPECKLE, Layer.PHASE}
    away.rename(path)
    assert played.load(0).is_whole


def test_a_recording_that_is_being_written_shows_the_frames_so_far(tmp_path):
    process, path = writing_process(tmp_path, frames=4)
    try:
        played = PlayedArchive(path)
        assert played.facts.is_being_written
        assert len(played.rows) == 4
        assert played.load(3).is_whole
    finally:
        end(process)
    assert not PlayedArchive(path).facts.is_being_written


def test_what_is_no_archive_is_refused_with_a_reason(tmp_path):
    with pytest.raises(StorageError, match="no archive"):
        PlayedArchive(tmp_path / "nothing")


def test_opening_happens_in_a_thread_and_tells_its_end(path, tmp_path):
    woken: list[str] = []
    opening = Opening(path, lambda: woken.append("woken"))
    assert opening.stage.join(10)
    assert opening.is_done
    assert len(opening.archive.rows) == len(TIMES_S)
    failed = Opening(tmp_path / "nothing", lambda: woken.append("woken"))
    assert failed.stage.join(10)
    assert "No archive" in failed.problem
    assert woken == ["woken", "woken"]


def test_a_reconstruction_is_shown_in_place_of_the_recorded_one_only_while_it_is_chosen(path):
    stored_result(path, ResultKind.RECONSTRUCTION, list(range(7)), ("phase", "labels"))
    played = PlayedArchive(path)
    [result] = played.results
    frame = played.load(2, result)
    assert (frame.view.reconstruction.phase_rad == 42).all()
    assert (frame.overlay.labels == 42).all()
    assert "has no uncertainty" in frame.missing[Layer.UNCERTAINTY]
    assert "has no phase" in played.load(7, result).missing[Layer.PHASE]
    assert played.has_phase(result).tolist() == [True] * 7 + [False]
    recorded = Archive.open(path).read("phase", 1)
    assert played.load(1).view.reconstruction.phase_rad.tobytes() == recorded.tobytes()


def test_a_result_of_skipped_frames_is_completed_by_what_was_recorded(path):
    stored_result(path, ResultKind.SKIPPED_FRAMES, [2, 6], ("phase", "labels"))
    played = PlayedArchive(path)
    [result] = played.results
    assert (played.load(6, result).view.reconstruction.phase_rad == 46).all()
    recorded = Archive.open(path).read("phase", 1)
    assert played.load(1, result).view.reconstruction.phase_rad.tobytes() == recorded.tobytes()
    assert played.has_phase(result).all()


def test_a_new_segmentation_is_shown_over_the_recorded_phase(path):
    stored_result(path, ResultKind.SEGMENTATION, [0, 1, 3, 4, 5, 7], ("labels",))
    played = PlayedArchive(path)
    [result] = played.results
    frame = played.load(3, result)
    assert (frame.overlay.labels == 43).all()
    assert frame.view.reconstruction.phase_rad.tobytes() == Archive.open(path).read("phase", 3).tobytes()
    assert played.load(2, result).missing[Layer.PHASE] == NOT_RECONSTRUCTED
    assert played.has_phase(result).tolist() == played.reconstructed.tolist()


def test_a_damaged_result_is_said_and_the_recording_plays(path):
    stored_result(path, ResultKind.SEGMENTATION, [0], ("labels",))
    [folder] = [one for one in (path / "results").iterdir() if one.is_dir()]
    (folder / "result.yaml").write_text("kind: nonsense")
    played = PlayedArchive(path)
    assert played.results == ()
    assert "cannot be read" in played.facts.problems[0]
    assert played.load(0).is_whole


def test_a_recording_whose_kind_is_unknown_and_one_without_frames_open(tmp_path):
    path = dataset(tmp_path)
    assert Archive.open(path).kind is ArchiveKind.DATASET
    shutil.rmtree(path / "data.zarr" / "phase")
    with pytest.raises(StorageError, match="incomplete"):
        PlayedArchive(path)
