"""Exports: lossless where they promise it, described by their own metadata, and complete or absent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import av
import cv2
import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError
from acquisition.exchange.export import ExportError, ExportFormat, FormatOptions, export
from acquisition.exchange.export_base import even_interval_s
from drivers.manifest import manifest_of
from tests.helpers.small_disk import small_disk

INTERVALS_MS = [40, 40, 40, 95, 40]  # one late frame: the median is 25 frames a second


@dataclass(frozen=True)
class Images:
    """The images of an archive: dtype and shape of the speckle, and the lowest phase."""

    dtype: str = "uint8"
    shape: tuple[int, int] = (16, 24)
    low_rad: float = 0.0


def archive_of(
    root: Path,
    count: int = 6,
    content: Images = Images(),
    kind: ArchiveKind = ArchiveKind.RECORDING,
    metadata: dict[str, object] | None = None,
) -> Archive:
    rng = np.random.default_rng(5)
    dtype, shape = content.dtype, content.shape
    specs = [ArraySpec("speckle", shape, dtype), ArraySpec("phase", (shape[0] // 2, shape[1] // 2), "float32", compress=True)]
    metadata = {"pixel_um": 3.45, "bit_depth": 12 if dtype == "uint16" else 8} if metadata is None else metadata
    times_ms = np.cumsum([0, *INTERVALS_MS])
    with ArchiveWriter.create(root, ArchiveSpec(kind=kind, name="x", arrays=specs, metadata=metadata), count) as writer:
        for k in range(count):
            top = 4096 if dtype == "uint16" else 256
            images = {
                "speckle": rng.integers(0, top, shape).astype(dtype),
                "phase": rng.uniform(content.low_rad, 2.5, specs[1].shape).astype(np.float32),
            }
            writer.append(images, PairRow(frame_index=k, t_ns=int(times_ms[k]) * 10**6, exposure_s=0.01))
    return Archive.open(writer.path)


def stacked(archive: Archive, name: str) -> np.ndarray:
    return np.stack([archive.read(name, k) for k in range(len(archive))])


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_ome_tiff_is_lossless_and_states_size_and_times(tmp_path: Path, dtype: str, count: int) -> None:
    archive = archive_of(tmp_path / "in", count, Images(dtype))
    paths = export(archive, tmp_path / "out", ["ome-tiff"])
    assert [p.name for p in paths] == [f"{archive.path.name}_{name}.ome.tif" for name in ("speckle", "phase")]
    for path, name, pixel_um in zip(paths, archive.arrays, (3.45, 6.9), strict=True):
        with tifffile.TiffFile(path) as tiff:
            assert tiff.is_ome
            read = tiff.asarray().reshape(count, *archive.spec(name).shape)
            root = ElementTree.fromstring(tiff.ome_metadata or "")
        np.testing.assert_array_equal(read, stacked(archive, name))
        assert read.dtype == archive.spec(name).dtype
        space = {"ome": root.tag[1 : root.tag.index("}")]}
        pixels = root.find(".//ome:Pixels", space)
        assert pixels is not None
        assert (pixels.get("SizeT"), pixels.get("SizeZ"), pixels.get("SizeC")) == (str(count), "1", "1")
        assert float(pixels.get("PhysicalSizeX", 0)) == pytest.approx(pixel_um)
        assert (pixels.get("PhysicalSizeXUnit"), pixels.get("PhysicalSizeYUnit")) == ("µm", "µm")
        planes = pixels.findall("ome:Plane", space)
        times = [float(plane.get("DeltaT", "nan")) for plane in planes]
        assert times == pytest.approx(list(np.cumsum([0, *INTERVALS_MS])[:count] / 1e3))
        assert {float(plane.get("ExposureTime", "nan")) for plane in planes} == {0.01}
        assert pixels.get("TimeIncrement") is None  # one frame was late


def test_a_pattern_on_the_slm_has_no_camera_pixel_size(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "in", 2, kind=ArchiveKind.DATASET)
    speckle, phase = export(archive, tmp_path / "out", ["ome-tiff"])
    with tifffile.TiffFile(speckle) as first, tifffile.TiffFile(phase) as second:
        assert "PhysicalSizeX=" in (first.ome_metadata or "")
        assert "PhysicalSizeX=" not in (second.ome_metadata or "")


@pytest.mark.parametrize(("dtype", "pixel_format"), [("uint8", "gray"), ("uint16", "gray12le")])
def test_ffv1_is_lossless_with_the_bits_of_the_camera(tmp_path: Path, dtype: str, pixel_format: str) -> None:
    archive = archive_of(tmp_path / "in", content=Images(dtype, (17, 23)))
    [path] = export(archive, tmp_path / "out", [ExportFormat.FFV1])
    assert path.name == f"{archive.path.name}_speckle.mkv"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "ffv1"
        assert stream.codec_context.pix_fmt == pixel_format
        read = np.stack([frame.to_ndarray() for frame in container.decode(stream)])
    np.testing.assert_array_equal(read, stacked(archive, "speckle"))


def test_the_video_of_one_frame_states_that_its_time_is_a_placeholder(tmp_path: Path) -> None:
    [path] = export(archive_of(tmp_path / "in", 1), tmp_path / "out", ["ffv1"])
    with av.open(str(path)) as container:
        assert "placeholder" in str(container.metadata)
        assert len(list(container.decode(video=0))) == 1


@pytest.mark.skipif("libx264" not in av.codec.codecs_available, reason="this PyAV has no libx264")
def test_the_viewing_video_is_marked_as_lossy_and_shows_every_frame(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "in", content=Images(shape=(34, 46)))  # phase 17 x 23: odd sides are padded
    [path] = export(archive, tmp_path / "out", ["viewing-mp4"])
    assert path.name.endswith("_phase_viewing.mp4")
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert "lossy" in str(container.metadata)
    assert len(frames) == len(archive)
    assert frames[0].shape == (18, 24, 3)
    # Viridis runs from dark to bright, so brightness follows phase.
    brightness = frames[0][:17, :23].astype(float) @ (0.299, 0.587, 0.114)
    assert np.corrcoef(brightness.ravel(), archive.read("phase", 0).ravel())[0, 1] > 0.8


@pytest.mark.parametrize(("dtype", "divisor"), [("uint8", 1), ("uint16", 16)])
def test_specdiffusion_layout_reads_back(tmp_path: Path, dtype: str, divisor: int) -> None:
    archive = archive_of(tmp_path / "in", 3, Images(dtype), kind=ArchiveKind.DATASET)
    [folder] = export(archive, tmp_path / "out", ["specdiffusion"], FormatOptions(phase_range_rad=2.6, split="train"))
    for k in range(3):
        speckle = cv2.imread(str(folder / "input" / f"{k:05d}.png"), cv2.IMREAD_UNCHANGED)
        label = cv2.imread(str(folder / "label" / f"{k:05d}.png"), cv2.IMREAD_UNCHANGED)
        assert speckle is not None
        assert label is not None
        np.testing.assert_array_equal(speckle, archive.read("speckle", k) // divisor)
        assert label.dtype == np.uint8
        np.testing.assert_allclose(label * (2.6 / 255), archive.read("phase", k), atol=2.6 / 255 * 0.501)
    data = (folder / "train_data.flist").read_text().splitlines()
    label_list = (folder / "train_label.flist").read_text().splitlines()
    assert data == [f"./datasets/{folder.name}/input/{k:05d}.png" for k in range(3)]
    assert label_list == [line.replace("/input/", "/label/") for line in data]
    facts = yaml.safe_load((folder / "metadata.yaml").read_text())
    assert (facts["phase_range_rad"], facts["count"]) == (2.6, 3)


def pairs_of(root: Path, rows: list[PairRow]) -> Archive:
    """Return a dataset with a pair for each row; those named "blank" are flat, and those named "lost" have no phase."""
    specs = [ArraySpec("speckle", (8, 8), "uint8"), ArraySpec("phase", (4, 4), "float32")]
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="x", arrays=specs, metadata={"phase_range_rad": 2.0})
    with ArchiveWriter.create(root, spec, len(rows)) as writer:
        for k, row in enumerate(rows):
            value = {"blank": 0.0, "lost": np.nan}.get(row.pattern_name, 1 + k / 20)
            phase = np.full((4, 4), value, np.float32)
            writer.append({"speckle": np.full((8, 8), k, np.uint8), "phase": phase}, row)
    return Archive.open(writer.path)


def lists(folder: Path) -> dict[str, list[str]]:
    """Return which files each list names; its two halves name the same ones."""
    stems = {}
    for data in folder.glob("*_data.flist"):
        stem = data.name.removesuffix("_data.flist")
        inputs = data.read_text().splitlines()
        labels = (folder / f"{stem}_label.flist").read_text().splitlines()
        assert [line.replace("/input/", "/label/") for line in inputs] == labels
        stems[stem] = [Path(line).stem for line in inputs]
    return stems


def test_the_lists_lead_the_papers_program_to_every_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads a list with NumPy and its pictures with Pillow, from the folder that holds ``datasets``."""
    rows = [PairRow(frame_index=k, t_ns=k, exposure_s=0.1, pattern_id=str(k)) for k in range(4)]
    archive = pairs_of(tmp_path, rows)
    [folder] = export(archive, tmp_path / "datasets", ["specdiffusion"])
    monkeypatch.chdir(tmp_path)
    for kind in ("data", "label"):
        names = np.genfromtxt(folder / f"test_{kind}.flist", dtype=np.str_, encoding="utf-8")
        pictures = np.stack([np.asarray(Image.open(str(name)).convert("L")) for name in names])
        assert pictures.shape == ((4, 8, 8) if kind == "data" else (4, 4, 4))
        grey = [
            archive.read("speckle", k)[0, 0] if kind == "data" else archive.read("phase", k)[0, 0] * 127.5 for k in range(4)
        ]
        np.testing.assert_allclose(pictures[:, 0, 0], grey, atol=0.5)


def test_flat_references_are_in_no_list_of_pairs(tmp_path: Path) -> None:
    names = ["blank", "a", "b", "blank", "c"]
    rows = [PairRow(frame_index=k, t_ns=k, exposure_s=0.1, pattern_id=n, pattern_name=n) for k, n in enumerate(names)]
    archive = pairs_of(tmp_path, rows)
    [whole] = export(archive, tmp_path / "whole", ["specdiffusion"])
    assert lists(whole) == {"reference": ["00000", "00003"], "test": ["00001", "00002", "00004"]}
    parts = {"a": "train", "b": "val", "c": "train"}
    [split] = export(archive, tmp_path / "split", ["specdiffusion"], FormatOptions(part_of=parts.__getitem__))
    assert lists(split) == {"reference": ["00000", "00003"], "train": ["00001", "00004"], "val": ["00002"]}
    facts = yaml.safe_load((split / "metadata.yaml").read_text())
    assert facts["lists"] == {"reference": 2, "train": 2, "val": 1}


def test_an_imported_pair_stays_in_its_list_unless_one_is_asked_for(tmp_path: Path) -> None:
    rows = [PairRow(frame_index=k, t_ns=k, exposure_s=0.1, pattern_id=str(k), extra={"list": f"cell{k}"}) for k in range(2)]
    rows += [PairRow(frame_index=2, t_ns=2, exposure_s=0.1, extra={"list": "../out"})]
    archive = pairs_of(tmp_path, rows)
    [kept] = export(archive, tmp_path / "kept", ["specdiffusion"], FormatOptions(part_of=lambda _: "train"))
    assert lists(kept) == {"cell0": ["00000"], "cell1": ["00001"], "test": ["00002"]}
    [asked] = export(archive, tmp_path / "asked", ["specdiffusion"], FormatOptions(split="val"))
    assert lists(asked) == {"val": ["00000", "00001", "00002"]}
    with pytest.raises(ExportError, match=r"'\.\./x'; give a name of letters"):
        export(archive, tmp_path / "out", ["specdiffusion"], FormatOptions(split="../x"))


def test_a_frame_without_phase_has_no_label(tmp_path: Path) -> None:
    rows = [PairRow(frame_index=k, t_ns=k, exposure_s=0.1, pattern_name=name) for k, name in enumerate(("a", "lost"))]
    archive = pairs_of(tmp_path / "in", rows)
    with pytest.raises(ExportError, match=r"row 1 of 'phase' has no phase, .* takes datasets: export a recording as OME-TIFF"):
        export(archive, tmp_path / "out", ["specdiffusion"])


def test_phase_outside_the_grey_range_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "in", 2, Images(low_rad=-0.5))
    with pytest.raises(ExportError, match="set phase_range_rad"):
        export(archive, tmp_path / "out", ["specdiffusion"], FormatOptions(phase_range_rad=2.6))
    assert list((tmp_path / "out").iterdir()) == []


def test_specdiffusion_needs_a_phase_range(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="phase_range_rad"):
        export(archive_of(tmp_path / "in", 1), tmp_path / "out", ["specdiffusion"])


@pytest.mark.parametrize("file_format", list(ExportFormat))
def test_existing_exports_are_replaced_only_with_overwrite(tmp_path: Path, file_format: ExportFormat) -> None:
    archive = archive_of(tmp_path / "in", 2, metadata={"phase_range_rad": 2.6})
    paths = export(archive, tmp_path / "out", [file_format])
    marker = paths[0] / "mine" if paths[0].is_dir() else paths[0]
    marker.write_text("mine")
    with pytest.raises(ExportError, match="exists"):
        export(archive, tmp_path / "out", [file_format])
    assert marker.read_text() == "mine"
    assert export(archive, tmp_path / "out", [file_format], overwrite=True) == paths
    assert not marker.exists() or marker.read_bytes() != b"mine"
    films = [p for p in paths if p.suffix in (".mkv", ".mp4")]
    beside = {manifest_of(p) for p in films} | {p.with_name(f"{p.name}.json") for p in films}
    assert set((tmp_path / "out").iterdir()) == {*paths, *beside}


@pytest.mark.parametrize("file_format", list(ExportFormat))
def test_a_damaged_archive_leaves_no_incomplete_export_and_keeps_the_old_one(tmp_path: Path, file_format: ExportFormat) -> None:
    archive = archive_of(tmp_path / "in", 3, metadata={"phase_range_rad": 2.6})
    paths = export(archive, tmp_path / "old", [file_format])
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "old").iterdir()}
    assert before.keys() >= set(paths)
    for name in ("speckle", "phase"):
        file = archive.path / "data.zarr" / name / "c.0.0.0"
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(StorageError):
        export(archive, tmp_path / "old", [file_format], overwrite=True)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "old").iterdir()} == before
    with pytest.raises(StorageError):
        export(archive, tmp_path / "new", [file_format])
    assert list((tmp_path / "new").iterdir()) == []


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "in", 1)
    with pytest.raises(ExportError, match=r"'gif'.*choose from ome-tiff"):
        export(archive, tmp_path / "out", ["gif"])
    with pytest.raises(ExportError, match="no images"):
        export(archive_of(tmp_path / "in", 0), tmp_path / "out", ["ffv1"])
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot export"):
        export(archive, tmp_path / "file", ["ffv1"])


@pytest.mark.parametrize(
    ("t_ms", "interval_s"),
    [
        ([0, 40, 80, 120], 0.04),
        ([0, 41, 79, 121, 160], 0.04),  # the camera's own jitter
        ([0, 40, 80, 175, 215], None),  # one late frame
        ([0, 0, 0], None),
        ([900, 1000, 5, 105], None),  # the clock started again
        ([5], None),
    ],
)
def test_an_interval_is_stated_only_for_evenly_spaced_frames(t_ms: list[int], interval_s: float | None) -> None:
    rows = [PairRow(frame_index=k, t_ns=t * 10**6, exposure_s=0.01) for k, t in enumerate(t_ms)]
    assert even_interval_s(rows) == (None if interval_s is None else pytest.approx(interval_s, rel=0.02))


@pytest.mark.parametrize("file_format", [ExportFormat.SPECDIFFUSION, ExportFormat.OME_TIFF, ExportFormat.NPZ])
def test_a_full_disk_keeps_the_old_export_and_leaves_no_other(tmp_path: Path, file_format: ExportFormat) -> None:
    archive = archive_of(tmp_path / "in", 2, Images(shape=(256, 256)), metadata={"phase_range_rad": 2.6})
    paths = export(archive, tmp_path / "out", [file_format])
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    with small_disk(40_000), pytest.raises(ExportError, match=r"cannot export .*; free space, or choose another folder"):
        export(archive, tmp_path / "out", [file_format], overwrite=True)
    assert sorted((tmp_path / "out").iterdir()) == sorted(paths)
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before
