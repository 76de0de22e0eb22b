"""Each entry has one small picture of what it holds; it is made once, and the cache stays small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import DATA
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from app.library import thumbnails as module
from app.library.folder_reader import read_entry
from app.library.notes import change_notes
from app.library.thumbnails import GAP_PX, SIDE_PX, Thumbnails
from app.live.snapshot import write_snapshot
from app.status import LiveView, Overlay
from drivers.base import Frame
from reconstruction.base import Reconstruction
from tests.helpers.archives.library_archive import append, dataset, open_writer, recording
from tests.helpers.archives.played_recording import RecordingPlan, disc


@pytest.fixture
def thumbnails(tmp_path: Path) -> Thumbnails:
    return Thumbnails(tmp_path / "thumbnails")


def halves(root: Path) -> Path:
    """Write a recording of one wide frame, bright at its right, whose phase is high at its top."""
    arrays = [ArraySpec("speckle", (20, 40), "uint8"), ArraySpec("phase", (30, 30), "float32")]
    with ArchiveWriter.create(root, ArchiveSpec(kind=ArchiveKind.RECORDING, name="halves", arrays=arrays), 1) as writer:
        speckle, phase = np.zeros((20, 40), np.uint8), np.zeros((30, 30), np.float32)
        speckle[:, 20:], phase[:15] = 200, 2.0
        writer.append({"speckle": speckle, "phase": phase}, PairRow(frame_index=0, t_ns=0, exposure_s=0.01))
        writer.complete()
        return writer.path


def test_speckle_is_at_the_left_and_the_phase_at_the_right(tmp_path: Path, thumbnails: Thumbnails) -> None:
    picture = thumbnails.of(read_entry(halves(tmp_path / "archive")))
    assert picture is not None
    assert (picture.shape, picture.dtype) == ((SIDE_PX, 2 * SIDE_PX + GAP_PX, 3), np.uint8)
    middle, phase = picture[SIDE_PX // 2, :SIDE_PX].astype(int), picture[:, SIDE_PX + GAP_PX :].astype(int)
    assert middle[10].tolist() == [0, 0, 0]
    assert middle[-10].tolist() == [255, 255, 255]
    assert not picture[:20, :SIDE_PX].any()  # twice as wide as high: black above and below
    assert phase[10, 48].tolist() == [253, 231, 37]  # the ends of the colour map viridis
    assert phase[-10, 48].tolist() == [68, 1, 84]


def test_it_is_made_once_also_after_a_new_note(tmp_path: Path, thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recording(tmp_path / "archive")
    first = thumbnails.of(read_entry(path))
    monkeypatch.setattr(module, "picture_of", None)
    change_notes(path, star=True)
    second = Thumbnails(tmp_path / "thumbnails").of(read_entry(path))
    assert first is not None
    assert second is not None
    assert np.array_equal(first, second)


def test_a_frame_with_a_phase_is_chosen(tmp_path: Path, thumbnails: Thumbnails) -> None:
    with open_writer(tmp_path / "archive", "gaps", ArchiveKind.RECORDING) as writer:
        for number in range(5):
            append(writer, number, has_phase=number == 3)
        writer.complete()
    picture = thumbnails.of(read_entry(writer.path))
    assert picture is not None
    assert picture[:, SIDE_PX + GAP_PX :].any()


def test_datasets_and_snapshots_have_one(tmp_path: Path, thumbnails: Thumbnails) -> None:
    frame = Frame(np.arange(256, dtype=np.uint8).reshape(16, 16), 1, 0, 0.01, 8)
    phase = np.linspace(-1, 2, 64, dtype=np.float32).reshape(8, 8)
    view = LiveView(frame, Reconstruction(phase, 1, 0.0, 0.0, "id", "engine"))
    for path in (dataset(tmp_path / "archive"), write_snapshot(tmp_path / "archive", Overlay(view, None, 0.0))):
        picture = thumbnails.of(read_entry(path))
        assert picture is not None
        assert picture[:, :SIDE_PX].any()
        assert picture[:, SIDE_PX + GAP_PX :].any()


def test_the_phase_outside_the_disc_is_black_as_in_the_player(tmp_path: Path, thumbnails: Thumbnails) -> None:
    path = RecordingPlan(times_s=(1.0, 1.1), has_disc=True).record(tmp_path / "archive")
    frame = Frame(np.zeros((16, 16), np.uint8), 1, 0, 0.01, 8)
    phase = np.linspace(0, 2, disc().size, dtype=np.float32).reshape(disc().shape)
    view = LiveView(frame, Reconstruction(phase, 1, 0.0, 0.0, "id", "engine", disc()))
    for one in (path, write_snapshot(tmp_path / "archive", Overlay(view, None, 0.0))):
        picture = thumbnails.of(read_entry(one))
        assert picture is not None
        shown = picture[:, SIDE_PX + GAP_PX :].any(axis=2)
        assert not shown[:10, :10].any()
        assert not shown[-10:, -10:].any()
        assert shown[SIDE_PX // 2, SIDE_PX // 4 : SIDE_PX // 2].all()


def test_a_damaged_frame_is_passed_over_and_without_any_there_is_none(tmp_path: Path, thumbnails: Thumbnails) -> None:
    path = recording(tmp_path / "archive")
    entry = read_entry(path)
    for file in (path / DATA / "speckle").glob("c.*"):
        file.unlink()
    for file in (path / DATA / "phase").glob("c.*"):
        file.unlink()
    assert thumbnails.of(entry) is None
    (path / "metadata.yaml").unlink()
    assert thumbnails.of(entry) is None
    path.rename(tmp_path / "gone")
    assert thumbnails.of(entry) is None


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_damaged_one_is_made_again(tmp_path: Path, thumbnails: Thumbnails, content: bytes) -> None:
    entry = read_entry(recording(tmp_path / "archive"))
    first = thumbnails.of(entry)
    [file] = (tmp_path / "thumbnails").iterdir()
    file.write_bytes(content)
    second = thumbnails.of(entry)
    assert first is not None
    assert second is not None
    assert np.array_equal(first, second)
    assert len(file.read_bytes()) > 100


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path / "thumbnails", most_kept=4)
    for number in range(7):
        assert thumbnails.of(read_entry(recording(tmp_path / "archive", f"number {number}", frames=1))) is not None
        assert len(list((tmp_path / "thumbnails").iterdir())) <= 4
    assert len(list((tmp_path / "thumbnails").iterdir())) >= 2


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert Thumbnails(tmp_path / "file" / "inside").of(read_entry(recording(tmp_path / "archive"))) is not None
