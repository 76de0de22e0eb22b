"""Python packages of others open our exports: the same values, axes, units and texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from acquisition.exchange.formats import matlab5
from tests.helpers.archives.exported_recording import BIT_DEPTH, INTERVAL_S, PHASE_PIXEL_UM, PIXEL_UM, Exported, exported
from tests.helpers.readers_environment import asked, needs_readers, same_values

pytestmark = [pytest.mark.slow, needs_readers]


@pytest.fixture(scope="module")
def tiff(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory.mktemp("tiff"), "ome-tiff")


@pytest.fixture(scope="module")
def ome_zarr(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory.mktemp("zarr"), "ome-zarr")


def test_bioio_finds_axes_pixel_size_and_channel_in_both_ome_formats(tiff: Exported, ome_zarr: Exported) -> None:
    cases = [(example, name) for example in (tiff, ome_zarr) for name in ("speckle", "phase")]
    answers = asked("bioio", *(example.path_of(name) for example, name in cases))
    for (example, name), said in zip(cases, answers, strict=True):
        side_um = PIXEL_UM if name == "speckle" else PHASE_PIXEL_UM
        assert same_values(said, example.stack(name))
        assert (said["order"], said["shape"][:3], said["channels"]) == ("TCZYX", [5, 1, 1], [name])
        assert said["pixel_um"] == pytest.approx([side_um, side_um])


def test_ome_types_validates_the_ome_xml_against_the_schema(tiff: Exported) -> None:
    speckle, phase, labels, uncertainty = asked("ome_types", *tiff.paths)
    assert speckle["pixel"] == [pytest.approx(PIXEL_UM), "µm"]
    assert (speckle["date"], speckle["bits"]) == ("2026-11-29 12:00:00.250000+00:00", BIT_DEPTH)
    for said, name in ((speckle, "speckle"), (phase, "phase"), (labels, "labels"), (uncertainty, "uncertainty")):
        assert (said["channel"], said["frames"]) == (name, 5)
        assert said["times"] == pytest.approx([k * INTERVAL_S for k in range(5)])


@pytest.mark.parametrize("reader", ["imageio", "skimage"])
def test_readers_of_tiff_see_all_frames(tiff: Exported, reader: str) -> None:
    for said, name in zip(asked(reader, *tiff.paths), tiff.archive.arrays, strict=True):
        assert said["shape"] == list(tiff.stack(name).shape)
        assert same_values(said, tiff.stack(name))


@pytest.mark.parametrize("reader", ["zarr", "ome_zarr"])
def test_readers_of_zarr_see_all_frames(ome_zarr: Exported, reader: str) -> None:
    for said, name in zip(asked(reader, *map(ome_zarr.path_of, ("speckle", "phase"))), ("speckle", "phase"), strict=True):
        assert said["shape"] == list(ome_zarr.stack(name).shape)
        assert same_values(said, ome_zarr.stack(name))


def test_ome_zarr_models_validates_images_and_labels(ome_zarr: Exported) -> None:
    phase = ome_zarr.path_of("phase")
    assert asked("ome_zarr_models", *ome_zarr.paths, phase / "labels" / "labels") == ["Image", "Image", "Image", "ImageLabel"]


@pytest.mark.parametrize("reader", ["pymatreader", "hdf5storage"])
@pytest.mark.parametrize("version", ["5", "7.3"])
def test_readers_of_matlab_files_get_images_times_and_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, version: str
) -> None:
    check_matlab(tmp_path, monkeypatch, reader, version)


def test_mat73_gets_images_and_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_matlab(tmp_path, monkeypatch, "mat73", "7.3")


def check_matlab(folder: Path, monkeypatch: pytest.MonkeyPatch, reader: str, version: str) -> None:
    """Compare images, times and texts; mat73 joins the columns of a matrix of characters to one text."""
    if version == "7.3":
        monkeypatch.setattr(matlab5, "MOST_BYTES", 100)
    example = exported(folder, "matlab")
    [said] = asked(reader, *example.paths)
    assert same_values(said, example.stack("speckle"))
    assert said["t_ns"] == [row.t_ns for row in example.archive.rows()]
    names = [row.pattern_name for row in example.archive.rows()]
    if reader != "mat73":
        assert [text.strip("[]'") for text in said["names"]] == names
