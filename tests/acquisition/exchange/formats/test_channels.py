"""Frames with colours or planes: every lossless format gives them back bit for bit, and the others refuse before they write."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import scipy.io
import tensorstore as ts
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.exchange.conversion.sheet import contact_sheet
from acquisition.exchange.export import ExportError, ExportFormat, FormatOptions, export, exported_names
from acquisition.exchange.formats import matlab5
from acquisition.exchange.formats.excerpt import Excerpt, FrameRange, Part
from acquisition.exchange.formats.film_picture import FilmLook
from acquisition.exchange.import_pairs import ImportOptions, PairImportError, check_pairs, import_pairs
from acquisition.exchange.verify_export import verify_export
from tests.helpers.readers_environment import asked, needs_readers, same_values

COLOURS = ("red", "green", "blue")
GRID = (6, 10)
LOSSLESS = (ExportFormat.NPZ, ExportFormat.HDF5, ExportFormat.MATLAB, ExportFormat.OME_TIFF, ExportFormat.OME_ZARR)
#: What a refusal offers instead.
OTHERS = "export OME-TIFF, OME-Zarr, HDF5, MATLAB or NPZ"


def colour_archive(
    root: Path, *, shape: tuple[int, ...] = (3, 12, 20), count: int = 4, dtype: str = "uint16", names: tuple[str, ...] = COLOURS
) -> Archive:
    """Return a dataset whose frames have channels; no two of its images are alike."""
    metadata: dict[str, object] = {"pixel_um": 0.5, "phase_range_rad": 3.0, "channels": list(names)}
    metadata["bit_depth"] = 8 * np.dtype(dtype).itemsize
    arrays = [ArraySpec("speckle", shape, dtype, compress=True), ArraySpec("phase", GRID, "float32")]
    rng = np.random.default_rng(5)
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="colour", arrays=arrays, metadata=metadata)
    with ArchiveWriter.create(root, spec, count) as writer:
        for k in range(count):
            images = {
                "speckle": rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True),
                "phase": rng.uniform(0, 3, GRID).astype(np.float32),
            }
            row = PairRow(
                frame_index=2 * k,
                t_ns=2**60 + 40_000_000 * k,
                exposure_s=0.004 + 0.001 * k,
                pattern_id=f"{k:016x}",
                pattern_name=f"cell µ{k}",
                host_utc=f"2026-11-29T12:00:{k:02d}.250000+00:00",
            )
            writer.append(images, row)
        writer.complete()
    return Archive.open(writer.path)


def exported_as(archive: Archive, root: Path, file_format: ExportFormat) -> Path:
    """Return the exported file that holds the speckle."""
    paths = export(archive, root / "out", [file_format])
    return next((path for path in paths if "_speckle." in path.name), paths[0])


def imported(path: Path, root: Path) -> Archive:
    return Archive.open(import_pairs(path, root / "again", "again", ImportOptions(allow_duplicates=True)))


def stacked(archive: Archive, name: str = "speckle") -> np.ndarray:
    return np.stack([archive.read(name, k) for k in range(len(archive))])


def check_same(original: Archive, again: Archive) -> None:
    """Compare shapes, types, values, rows and metadata."""
    for name in original.arrays:
        assert (again.spec(name).shape, again.spec(name).dtype) == (original.spec(name).shape, original.spec(name).dtype)
        np.testing.assert_array_equal(stacked(again, name), stacked(original, name))
    for first, second in zip(original.rows(), again.rows(), strict=True):
        assert (first.crc32, first.t_ns, first.exposure_s) == (second.crc32, second.t_ns, second.exposure_s)
        assert (first.pattern_id, first.pattern_name) == (second.pattern_id, second.pattern_name)
    assert {key: again.metadata[key] for key in original.metadata} == original.metadata


@settings(max_examples=12, deadline=None)
@given(
    file_format=st.sampled_from(LOSSLESS),
    shape=st.tuples(st.integers(1, 6), st.integers(2, 7), st.integers(2, 7)),
    count=st.integers(1, 4),
    dtype=st.sampled_from(["uint8", "uint16"]),
)
@example(file_format=ExportFormat.MATLAB, shape=(1, 4, 4), count=1, dtype="uint8")
@example(file_format=ExportFormat.OME_TIFF, shape=(1, 3, 5), count=3, dtype="uint16")
@example(file_format=ExportFormat.HDF5, shape=(3, 3, 3), count=3, dtype="uint8")
@example(file_format=ExportFormat.OME_ZARR, shape=(3, 5, 4), count=1, dtype="uint16")
def test_every_lossless_format_gives_channels_back(
    file_format: ExportFormat, shape: tuple[int, int, int], count: int, dtype: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = tuple(f"plane {k} µm" for k in range(shape[0]))
        archive = colour_archive(root, shape=shape, count=count, dtype=dtype, names=names)
        path = exported_as(archive, root, file_format)
        check = verify_export(path)
        assert (check.damaged, check.has_check_sums) == ((), True)
        check_same(archive, imported(path, root))


def test_a_matlab_file_of_version_7_3_gives_channels_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab5, "MOST_BYTES", 100)
    archive = colour_archive(tmp_path)
    path = exported_as(archive, tmp_path, ExportFormat.MATLAB)
    with h5py.File(path) as file:  # MATLAB counts the axes from the other end: H x W x C x N
        np.testing.assert_array_equal(file["speckle"][:].swapaxes(2, 3), stacked(archive))
    check_same(archive, imported(path, tmp_path))


def test_numpy_and_scipy_read_channels_and_their_names(tmp_path: Path) -> None:
    archive = colour_archive(tmp_path)
    with np.load(exported_as(archive, tmp_path, ExportFormat.NPZ), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["speckle"], stacked(archive))
        assert json.loads(str(file["metadata_json"]))["channels"] == list(COLOURS)
    loaded = scipy.io.loadmat(exported_as(archive, tmp_path, ExportFormat.MATLAB))
    np.testing.assert_array_equal(loaded["speckle"].transpose(3, 2, 0, 1), stacked(archive))
    assert json.loads(loaded["metadata_json"][0])["channels"] == list(COLOURS)


def test_h5py_reads_the_names_of_the_channels_beside_the_array(tmp_path: Path) -> None:
    archive = colour_archive(tmp_path, names=("red", "green", "0.5 µm"))
    with h5py.File(exported_as(archive, tmp_path, ExportFormat.HDF5)) as file:
        np.testing.assert_array_equal(file["speckle"][:], stacked(archive))
        assert file["speckle"].chunks == (1, 3, 12, 20)
        assert [name.decode("utf-8") for name in file["speckle"].attrs["channels"]] == ["red", "green", "0.5 µm"]
        assert "channels" not in file["phase"].attrs
        assert json.loads(file.attrs["metadata_json"])["channels"] == ["red", "green", "0.5 µm"]


@pytest.mark.parametrize("count", [1, 4])
def test_tifffile_reads_axes_and_names_of_an_ome_tiff(tmp_path: Path, count: int) -> None:
    archive = colour_archive(tmp_path, count=count)
    with tifffile.TiffFile(exported_as(archive, tmp_path, ExportFormat.OME_TIFF)) as tiff:
        assert tiff.series[0].axes == ("TCYX" if count > 1 else "CYX")
        np.testing.assert_array_equal(tiff.asarray().reshape(stacked(archive).shape), stacked(archive))
        pixels = tifffile.xml2dict(tiff.ome_metadata or "")["OME"]["Image"]["Pixels"]
        assert tiff.imagej_metadata is not None
        assert (tiff.imagej_metadata["channels"], tiff.imagej_metadata["images"]) == (3, 3 * count)
    assert [channel["Name"] for channel in pixels["Channel"]] == list(COLOURS)
    assert {channel.get("SamplesPerPixel", 1) for channel in pixels["Channel"]} == {1}
    assert (pixels["SizeC"], pixels["SizeT"], pixels["SizeZ"]) == (3, count, 1)
    planes = {(plane["TheT"], plane["TheC"]): plane for plane in pixels["Plane"]}
    for k, row in enumerate(archive.rows()):
        for c in range(3):
            assert planes[k, c]["DeltaT"] == pytest.approx(0.04 * k)
            assert planes[k, c]["ExposureTime"] == pytest.approx(row.exposure_s)


def test_ome_zarr_has_an_axis_of_channels_and_their_labels(tmp_path: Path) -> None:
    archive = colour_archive(tmp_path)
    path = exported_as(archive, tmp_path, ExportFormat.OME_ZARR)
    ome = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    [image] = ome["multiscales"]
    assert [(axis["name"], axis["type"]) for axis in image["axes"]] == [
        ("t", "time"),
        ("c", "channel"),
        ("y", "space"),
        ("x", "space"),
    ]
    [scale] = image["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == pytest.approx([0.04, 1.0, 0.5, 0.5])
    assert [(channel["label"], channel["color"]) for channel in ome["omero"]["channels"]] == [
        ("red", "FF0000"),
        ("green", "00FF00"),
        ("blue", "0000FF"),
    ]
    assert json.loads((path / "0" / "zarr.json").read_text())["dimension_names"] == ["t", "c", "y", "x"]
    stored = ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path / '0'}/"}}).result()
    np.testing.assert_array_equal(stored, stacked(archive))


def test_ome_zarr_with_channels_passes_an_independent_validator(tmp_path: Path) -> None:
    yaozarrs = pytest.importorskip("yaozarrs", reason="yaozarrs is not installed; it checks OME-Zarr files")
    yaozarrs.validate_zarr_store(str(exported_as(colour_archive(tmp_path), tmp_path, ExportFormat.OME_ZARR)))


@pytest.mark.slow
@needs_readers
@pytest.mark.parametrize("file_format", [ExportFormat.OME_TIFF, ExportFormat.OME_ZARR])
def test_bioio_reads_the_channels_of_both_ome_formats(tmp_path: Path, file_format: ExportFormat) -> None:
    archive = colour_archive(tmp_path)
    [said] = asked("bioio", exported_as(archive, tmp_path, file_format))
    assert same_values(said, stacked(archive))
    assert (said["order"], said["shape"], said["channels"]) == ("TCZYX", [4, 3, 1, 12, 20], list(COLOURS))


@pytest.mark.slow
@needs_readers
def test_ome_types_and_the_reference_reader_open_channels(tmp_path: Path) -> None:
    archive = colour_archive(tmp_path)
    [said] = asked("ome_types", exported_as(archive, tmp_path, ExportFormat.OME_TIFF))
    assert (said["channel"], said["frames"], len(said["times"])) == ("red", 4, 12)
    path = exported_as(archive, tmp_path, ExportFormat.OME_ZARR)
    assert same_values(asked("ome_zarr", path)[0], stacked(archive))
    assert asked("ome_zarr_models", path) == ["Image"]


@pytest.mark.parametrize(
    ("file_format", "text"),
    [
        (ExportFormat.FFV1, "a video holds grey frames, this archive has 3 channels (red, green, blue)"),
        (ExportFormat.SPECDIFFUSION, "the published layout holds grey frames, this archive has 3 channels (red, green, blue)"),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_grey_format_refuses_channels_before_it_writes(
    file_format: ExportFormat, text: str, dtype: str, tmp_path: Path
) -> None:
    archive = colour_archive(tmp_path, dtype=dtype)
    for attempt in (
        lambda: export(archive, tmp_path / "out", [ExportFormat.NPZ, file_format]),
        lambda: exported_names(archive, file_format),
    ):
        with pytest.raises(ExportError) as caught:
            attempt()
        assert str(caught.value) == f"{archive.path.name}: {text}; {OTHERS}"
    assert not (tmp_path / "out").exists()


def test_a_film_shows_the_phase_and_refuses_the_speckle_with_channels(tmp_path: Path) -> None:
    archive = colour_archive(tmp_path)
    with pytest.raises(ExportError, match=r"the layer 'speckle' has 3 channels \(red, green, blue\); choose the layer 'phase'"):
        export(archive, tmp_path / "out", [ExportFormat.VIEWING_MP4], FormatOptions(film=FilmLook(layer="speckle")))
    assert not (tmp_path / "out").exists()
    [path] = export(archive, tmp_path / "out", [ExportFormat.VIEWING_MP4])
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(archive)


@pytest.mark.parametrize("file_format", [ExportFormat.NPZ, ExportFormat.OME_TIFF])
def test_a_changed_pixel_of_one_channel_is_named(file_format: ExportFormat, tmp_path: Path) -> None:
    archive = colour_archive(tmp_path)
    path = exported_as(archive, tmp_path, file_format)
    content, plane = path.read_bytes(), archive.read("speckle", 2)[1].tobytes()
    assert content.count(plane) == 1
    path.write_bytes(content.replace(plane, bytes([plane[0] ^ 1]) + plane[1:]))
    damaged = " ".join(verify_export(path).damaged)
    assert "image 2 of 'speckle' differs from its check sum" in damaged or "CRC-32" in damaged
    with pytest.raises(PairImportError, match=r"CRC-32|differs"):
        imported(path, tmp_path)


@pytest.mark.parametrize("file_format", LOSSLESS)
def test_a_part_of_the_frames_keeps_their_channels(file_format: ExportFormat, tmp_path: Path) -> None:
    archive = colour_archive(tmp_path)
    part = Excerpt(archive, Part(frames=FrameRange(first=1, every_nth=2)))
    again = imported(exported_as(part, tmp_path, file_format), tmp_path)
    np.testing.assert_array_equal(stacked(again), stacked(archive)[1::2])
    assert again.metadata["channels"] == list(COLOURS)


@pytest.mark.parametrize("file_format", LOSSLESS)
def test_channels_without_names_are_numbered(file_format: ExportFormat, tmp_path: Path) -> None:
    archive = colour_archive(tmp_path, names=())
    again = imported(exported_as(archive, tmp_path, file_format), tmp_path)
    np.testing.assert_array_equal(stacked(again), stacked(archive))
    assert again.metadata["channels"] == ["channel 1", "channel 2", "channel 3"]


def test_a_check_names_the_channels_and_draws_them_side_by_side(tmp_path: Path) -> None:
    archive = colour_archive(tmp_path)
    check = check_pairs(exported_as(archive, tmp_path, ExportFormat.NPZ))
    assert check.facts["speckle_shape"] == "4x3x12x20 (N, C, H, W)"
    assert check.facts["phase_shape"] == "4x6x10 (N, H, W)"
    assert check.facts["channels"] == list(COLOURS)
    np.testing.assert_array_equal(check.thumbnails[0].speckle, np.hstack(list(archive.read("speckle", 0))))
    assert contact_sheet(check.thumbnails).ndim == 2
