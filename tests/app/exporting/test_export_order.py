"""An order for an export: told beforehand what it takes and what stands in its way, then carried out as a whole or undone."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import tifffile

from acquisition.archive.reader import Archive
from acquisition.exchange.export import ExportFormat, FormatOptions
from acquisition.exchange.export_base import ExportError
from acquisition.exchange.formats.excerpt import FrameRange
from acquisition.exchange.formats.film_picture import FilmColours, FilmLook
from acquisition.exchange.verify_export import verify_export
from app.exporting.format_texts import FORMAT_TEXTS
from app.exporting.order import ExportOrder, Opened, Seconds, Subject
from app.exporting.run import carry_out
from app.library.in_use import sole_user
from app.library.notes import change_notes
from drivers.base import SpeckleScopeError
from tests.helpers.archives.played_recording import RecordingPlan
from tests.helpers.rights import read_only

TIMES_S = (10.0, 10.1, 10.2, 10.3, 11.3, 11.4, 11.5, 11.6)
#: Formats for recordings; the PNG pairs are for datasets.
FORMATS = tuple(target for target in ExportFormat if target is not ExportFormat.SPECDIFFUSION)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    metadata = {"operator": "A. Nowak", "licence": "CC-BY-4.0", "instrument": "bench 2", "pixel_um": 0.5, "bit_depth": 8}
    return RecordingPlan(times_s=TIMES_S, skipped=(2, 6), metadata=metadata).record(tmp_path / "archive")


def order_of(path: Path, *formats: ExportFormat, **more) -> ExportOrder:
    return ExportOrder(paths=(path,), formats=formats, **more)


def test_every_format_is_described_in_words() -> None:
    assert set(FORMAT_TEXTS) == set(ExportFormat)


def test_a_plan_counts_frames_those_without_a_phase_and_bytes(path: Path, tmp_path: Path) -> None:
    opened = Opened((path,))
    whole = opened.plan(order_of(path, ExportFormat.NPZ, out=tmp_path / "out"))
    assert (whole.frames, whole.without_phase, whole.problems) == (8, 2, ())
    assert whole.expected_bytes == 8 * (32 * 32 + 24 * 24 * 6)
    part = opened.plan(order_of(path, ExportFormat.NPZ, frames=Seconds(start_s=0.2, end_s=1.4)))
    assert (part.frames, part.without_phase) == (4, 1)
    assert opened.plan(order_of(path, ExportFormat.NPZ, layers=("speckle",))).without_phase == 0


def test_what_stands_in_the_way_is_told_beside_what_it_is_about(path: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    opened = Opened((path, gone))
    plan = opened.plan(order_of(path, frames=FrameRange(first=20)))
    assert str(gone) in plan.problem(Subject.ARCHIVE)
    assert plan.problem(Subject.FORMATS) == "Choose at least one format"
    assert "but frames 0 to 7" in plan.problem(Subject.FRAMES)
    alone = Opened((path,))
    assert "no result is called 'x'" in alone.plan(order_of(path, ExportFormat.NPZ, result="x")).problem(Subject.LAYERS)
    refused = alone.plan(order_of(path, ExportFormat.FFV1, layers=("phase",)))
    assert "speckle" in refused.problem(Subject.FORMATS)


def test_a_name_that_exists_and_a_folder_without_rights_are_refused_beforehand(path: Path, tmp_path: Path) -> None:
    opened, out = Opened((path,)), tmp_path / "out"
    order = order_of(path, ExportFormat.NPZ, out=out)
    assert next(file.suffix for file in carry_out(opened, order).files) == ".npz"
    assert "exists there; choose another folder" in opened.plan(order).problem(Subject.FOLDER)
    with pytest.raises(ExportError, match="exists there"):
        carry_out(opened, order)
    (out / "file").write_text("x")
    assert "is no folder" in opened.plan(order_of(path, ExportFormat.NPZ, out=out / "file")).problem(Subject.FOLDER)
    locked = tmp_path / "locked"
    locked.mkdir()
    with read_only(locked):
        assert "no rights" in opened.plan(order_of(path, ExportFormat.NPZ, out=locked / "new")).problem(Subject.FOLDER)


def test_a_disk_that_is_too_small_is_refused_before_the_first_byte(path: Path, tmp_path: Path, monkeypatch) -> None:
    opened, out = Opened((path,)), tmp_path / "out"
    order = order_of(path, ExportFormat.NPZ, ExportFormat.HDF5, out=out)
    needed = opened.plan(order).expected_bytes
    # Either format alone would fit.
    monkeypatch.setattr("acquisition.archive.folder.shutil.disk_usage", lambda _: SimpleNamespace(free=int(needed * 0.8)))
    assert "The disk is too small" in opened.plan(order).problem(Subject.FOLDER)
    with pytest.raises(ExportError, match="too small"):
        carry_out(opened, order)
    assert not out.exists()


def test_stop_leaves_complete_files_and_nothing_else(path: Path, tmp_path: Path) -> None:
    out, stop, steps = tmp_path / "out", threading.Event(), []

    def progress(done: int, total: int) -> None:
        steps.append((done, total))
        if done == 30:  # in the middle of the second file
            stop.set()

    report = carry_out(Opened((path,)), order_of(path, ExportFormat.NPZ, ExportFormat.HDF5, out=out), progress, stop)
    assert report.stopped
    assert [file.suffix for file in report.files if file.is_file()] == [".npz"]
    assert {file.name for file in out.iterdir()} <= {file.name for file in report.files} | {f"{path.name}.lock"}
    assert all(total == 48 and done <= total for done, total in steps)


def test_a_format_that_fails_does_not_stop_the_others(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(path, copy)
    shard = copy / "data.zarr" / "phase" / "c.0.0.0"
    content = bytearray(shard.read_bytes())
    content[100:200] = bytes(100)
    shard.write_bytes(bytes(content))
    order = order_of(copy, ExportFormat.NPZ, ExportFormat.FFV1, out=tmp_path / "out")
    report = carry_out(Opened((copy,)), order)
    assert len(report.failed) == 1
    assert report.failed[0].startswith("npz: ")
    assert any(file.suffix == ".mkv" for file in report.files)


def test_a_recording_is_not_moved_while_it_is_exported(path: Path, tmp_path: Path) -> None:
    refused: list[str] = []

    def progress(done: int, total: int) -> None:
        if done == 5:
            try:
                with sole_user(path):
                    pass
            except SpeckleScopeError as error:
                refused.append(str(error))

    carry_out(Opened((path,)), order_of(path, ExportFormat.NPZ, out=tmp_path / "out"), progress)
    assert len(refused) == 1
    assert "export" in refused[0]


@pytest.mark.parametrize("target", FORMATS)
def test_every_format_carries_who_when_with_what_and_the_notes(path: Path, tmp_path: Path, target: ExportFormat) -> None:
    change_notes(path, text="the left edge moved", tags=["day 3"], star=True)
    report = carry_out(Opened((path,)), order_of(path, target, out=tmp_path / "out"))
    assert not report.failed
    metadata, frames = facts_in(report.files[0])
    assert metadata["notes"] == "the left edge moved"
    assert metadata["tags"] == ["day 3"]
    assert (metadata["operator"], metadata["licence"], metadata["instrument"]) == ("A. Nowak", "CC-BY-4.0", "bench 2")
    assert metadata["models"] == ["0123456789ab"]
    assert metadata["engines"] == ["torch"]
    assert metadata["exposures_s"] == [0.002]
    assert metadata["created_utc"] == Archive.open(path).status["created_utc"]
    assert frames == 8
    assert all(verify_export(file).ok for file in report.files if not file.name.endswith("_references"))


def facts_in(file: Path) -> tuple[dict[str, object], int]:
    """The metadata that an exported file carries, and the number of its exposures."""
    if file.suffix == ".npz":
        with np.load(file) as content:
            return json.loads(str(content["metadata_json"])), len(content["exposure_s"])
    if file.suffix in (".mkv", ".mp4"):
        facts = json.loads(file.with_name(f"{file.name}.json").read_text("utf-8"))
        return facts["metadata"], len(facts["frames"]["exposure_s"])
    if file.suffix == ".zarr":
        facts = json.loads((file / "zarr.json").read_text("utf-8"))["attributes"]["specklescope"]
        return facts["metadata"], len(facts["exposure_s"])
    from acquisition.exchange.array_files import read_array_file

    content = read_array_file(file)
    return dict(content.metadata), len(content.columns["exposure_s"])


def test_a_film_has_the_chosen_colours_levels_scale_bar_and_time(path: Path, tmp_path: Path) -> None:
    films = {}
    for name, look in {
        "plain": FilmLook(layer="speckle", colours=FilmColours.GREY, levels=(0.0, 255.0)),
        "dark": FilmLook(layer="speckle", colours=FilmColours.GREY, levels=(0.0, 2550.0)),
        "marked": FilmLook(layer="speckle", colours=FilmColours.GREY, levels=(0.0, 2550.0), scale_bar=True, time_stamp=True),
    }.items():
        order = order_of(path, ExportFormat.VIEWING_MP4, out=tmp_path / name, options=FormatOptions(film=look))
        [film] = carry_out(Opened((path,)), order).files
        with av.open(str(film)) as container:
            films[name] = np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])
    speckle = Archive.open(path).read("speckle", 3).astype(float)
    assert len(films["plain"]) == 8
    assert np.corrcoef(films["plain"][3].ravel(), speckle.ravel())[0, 1] > 0.95
    assert films["dark"].max() < 60
    marked = films["marked"]
    assert min(marked.shape[1:]) >= 480
    assert (marked[:, -40:, -200:] > 200).any(axis=(1, 2)).all()  # the bar
    assert (marked[:, :40, :120] > 200).any(axis=(1, 2)).all()  # the time
    assert not (marked[:, 100:-100] > 120).any()


def test_only_the_ordered_layers_are_written(path: Path, tmp_path: Path) -> None:
    order = order_of(
        path, ExportFormat.OME_TIFF, layers=("phase",), frames=FrameRange(first=1, last=5, every_nth=2), out=tmp_path
    )
    [file] = [file for file in carry_out(Opened((path,)), order).files if file.name.endswith(".ome.tif")]
    archive = Archive.open(path)
    np.testing.assert_array_equal(tifffile.imread(file), np.stack([archive.read("phase", number) for number in (1, 3, 5)]))
