"""Array files: lossless, readable by the programs they are for, and written without holding the archive in memory."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.io.matlab
import tensorstore as ts

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError
from acquisition.exchange.export import ExportError, export
from acquisition.exchange.export_base import how_it_went
from acquisition.exchange.verify_export import verify_export

INTERVAL_MS = 40


def archive_of(
    root: Path,
    count: int = 5,
    shape: tuple[int, int] = (12, 20),
    kind: ArchiveKind = ArchiveKind.RECORDING,
    dtype: str = "uint16",
) -> Archive:
    specs = [ArraySpec("speckle", shape, dtype), ArraySpec("phase", (6, 10), "float32", compress=True)]
    metadata = {"pixel_um": 3.45, "phase_range_rad": 2.5, "plan": {"seed": 1, "note": "µ"}, "note": "x" * 70_000}
    with ArchiveWriter.create(root, ArchiveSpec(kind=kind, name="x", arrays=specs, metadata=metadata), count) as writer:
        for k in range(count):
            rng = np.random.default_rng(k)
            images = {"speckle": rng.integers(0, 200, shape).astype(dtype), "phase": rng.normal(size=(6, 10)).astype("f4")}
            row = PairRow(
                frame_index=7 + k,
                t_ns=2**60 + k * INTERVAL_MS * 10**6,
                exposure_s=0.01,
                pattern_id=f"{k:016x}",
                pattern_name="µ" * k,
                latency_s=0.5 if k else None,
                extra={"shot": k},
            )
            writer.append(images, row)
    return Archive.open(writer.path)


def stacked(archive: Archive, name: str) -> np.ndarray:
    return np.stack([archive.read(name, k) for k in range(len(archive))])


def export_one(archive: Archive, root: Path, file_format: str) -> Path:
    return export(archive, root / "out", [file_format])[0]


@pytest.mark.parametrize("count", [1, 5])
def test_npz_holds_images_rows_and_metadata_without_pickle(tmp_path: Path, count: int) -> None:
    archive = archive_of(tmp_path, count)
    path = export_one(archive, tmp_path, "npz")
    assert path.name == f"{archive.path.name}.npz"
    with np.load(path, allow_pickle=False) as file:
        for name in archive.arrays:
            np.testing.assert_array_equal(file[name], stacked(archive, name))
            assert file[name].dtype == archive.spec(name).dtype
        rows = archive.rows()
        assert file["t_ns"].tolist() == [row.t_ns for row in rows]
        assert file["frame_index"].tolist() == [row.frame_index for row in rows]
        assert file["pattern_id"].tolist() == [row.pattern_id for row in rows]
        assert file["pattern_name"].tolist() == [row.pattern_name for row in rows]
        assert np.isnan(file["latency_s"]).tolist() == [row.latency_s is None for row in rows]
        assert [json.loads(str(text)) for text in file["extra_json"]] == [{"shot": k} for k in range(count)]
        assert json.loads(str(file["metadata_json"])) == {**archive.metadata, **how_it_went(archive)}
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}


def test_hdf5_has_one_image_per_chunk_and_the_metadata_as_attributes(tmp_path: Path) -> None:
    archive = archive_of(tmp_path)
    with h5py.File(export_one(archive, tmp_path, "hdf5")) as file:
        for name, unit in (("speckle", "counts"), ("phase", "rad")):
            np.testing.assert_array_equal(file[name][:], stacked(archive, name))
            assert file[name].chunks == (1, *archive.spec(name).shape)
            assert file[name].dtype == archive.spec(name).dtype
            assert file[name].attrs["unit"] == unit
        assert file["t_ns"][:].tolist() == [row.t_ns for row in archive.rows()]
        assert file["pattern_name"].asstr("utf-8")[:].tolist() == [row.pattern_name for row in archive.rows()]
        # GNU Octave loses a file with texts of variable length, or texts that are marked as UTF-8.
        for name in ("pattern_id", "pattern_name", "host_utc", "extra_json", "engine"):
            kind = h5py.check_string_dtype(file[name].dtype)
            assert (kind.length is not None, kind.encoding) == (True, "ascii")
        assert file.attrs["pixel_um"] == 3.45
        assert json.loads(file.attrs["metadata_json"]) == {**archive.metadata, **how_it_went(archive)}


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_matlab_file_is_read_by_scipy(tmp_path: Path, count: int, dtype: str) -> None:
    archive = archive_of(tmp_path, count, (7, 9), dtype=dtype)  # whose bytes need padding
    path = export_one(archive, tmp_path, "matlab")
    assert scipy.io.matlab.matfile_version(str(path)) == (1, 0)  # which is 5
    loaded = scipy.io.loadmat(path)
    for name in archive.arrays:
        assert loaded[name].dtype == archive.spec(name).dtype
        np.testing.assert_array_equal(np.moveaxis(loaded[name], 2, 0), stacked(archive, name))
    rows = archive.rows()
    assert loaded["t_ns"].dtype == np.int64
    assert loaded["t_ns"].ravel().tolist() == [row.t_ns for row in rows]
    texts = [str(cell[0]) if cell.size else "" for cell in loaded["pattern_name"][:, 0]]
    assert texts == [row.pattern_name for row in rows]
    assert json.loads(loaded["metadata_json"][0]) == {**archive.metadata, **how_it_went(archive)}
    check = verify_export(path)
    assert (check.format, check.ok, check.has_check_sums, check.images) == ("matlab", True, True, 2 * count)


def test_a_changed_image_of_a_matlab_file_is_named(tmp_path: Path) -> None:
    archive = archive_of(tmp_path)
    path = export_one(archive, tmp_path, "matlab")
    content = path.read_bytes()
    image = np.asfortranarray(archive.read("phase", 2)).tobytes(order="F")
    assert content.count(image) == 1
    path.write_bytes(content.replace(image, image[:-1] + bytes([image[-1] ^ 1])))
    assert "image 2 of 'phase' differs" in " ".join(verify_export(path).damaged)


def test_a_matlab_file_of_2_gib_is_of_version_7_3_with_header_classes_and_axes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acquisition.exchange.formats.matlab5.MOST_BYTES", 5 * 12 * 20 * 2 - 1)
    archive = archive_of(tmp_path)
    path = export_one(archive, tmp_path, "matlab")
    assert verify_export(path).ok
    assert scipy.io.matlab.matfile_version(str(path)) == (2, 0)  # which is 7.3
    head = path.read_bytes()[:128]
    assert head.startswith(b"MATLAB 7.3 MAT-file")
    assert head[124:] == b"\x00\x02IM"
    with h5py.File(path) as file:
        assert file.userblock_size == 512
        for name, matlab_class in (("speckle", b"uint16"), ("phase", b"single")):
            # MATLAB reverses the axes: H x W x N there is N, W, H here.
            np.testing.assert_array_equal(file[name][:].transpose(0, 2, 1), stacked(archive, name))
            assert file[name].attrs["MATLAB_class"] == matlab_class
        assert file["t_ns"].shape == (1, 5)
        assert file["t_ns"][0].tolist() == [row.t_ns for row in archive.rows()]
        assert file["t_ns"].attrs["MATLAB_class"] == b"int64"
        assert file["exposure_s"].attrs["MATLAB_class"] == b"double"
        names = file["pattern_name"]
        assert (names.attrs["MATLAB_class"], names.attrs["MATLAB_int_decode"]) == (b"char", 2)
        texts = ["".join(map(chr, column)).rstrip() for column in names[:].T]
        assert texts == [row.pattern_name for row in archive.rows()]
        assert json.loads("".join(map(chr, file["metadata_json"][:, 0]))) == {**archive.metadata, **how_it_went(archive)}


@pytest.mark.parametrize("count", [1, 5])
def test_ome_zarr_names_axes_scales_and_times(tmp_path: Path, count: int) -> None:
    archive = archive_of(tmp_path, count)
    paths = export(archive, tmp_path / "out", ["ome-zarr"])
    assert [path.name for path in paths] == [f"{archive.path.name}_{name}.ome.zarr" for name in archive.arrays]
    for path, name, pixel_um in zip(paths, archive.arrays, (3.45, 6.9), strict=True):
        group = json.loads((path / "zarr.json").read_text())
        assert (group["zarr_format"], group["node_type"]) == (3, "group")
        ome = group["attributes"]["ome"]
        assert ome["version"] == "0.5"
        [image] = ome["multiscales"]
        assert [axis["name"] for axis in image["axes"]] == ["t", "y", "x"]
        assert [axis["type"] for axis in image["axes"]] == ["time", "space", "space"]
        assert [axis.get("unit") for axis in image["axes"]] == ["second" if count > 1 else None, "micrometer", "micrometer"]
        [level] = image["datasets"]
        [scale] = level["coordinateTransformations"]
        assert scale["scale"] == pytest.approx([0.04 if count > 1 else 1.0, pixel_um, pixel_um])
        array = json.loads((path / level["path"] / "zarr.json").read_text())
        assert array["dimension_names"] == ["t", "y", "x"]
        assert array["shape"] == [count, *archive.spec(name).shape]
        times_s = group["attributes"]["specklescope"]["t_s"]
        assert times_s == pytest.approx([k * INTERVAL_MS / 1e3 for k in range(count)])
        kvstore = {"driver": "file", "path": f"{path / level['path']}/"}
        np.testing.assert_array_equal(ts.open({"driver": "zarr3", "kvstore": kvstore}).result(), stacked(archive, name))


def test_ome_zarr_passes_an_independent_validator(tmp_path: Path) -> None:
    yaozarrs = pytest.importorskip("yaozarrs", reason="yaozarrs is not installed; it checks OME-Zarr files")
    for path in export(archive_of(tmp_path), tmp_path / "out", ["ome-zarr"]):
        yaozarrs.validate_zarr_store(str(path))


def test_ome_zarr_of_a_pattern_on_the_slm_has_no_camera_pixel_size(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, kind=ArchiveKind.DATASET)
    _, phase = export(archive, tmp_path / "out", ["ome-zarr"])
    [image] = json.loads((phase / "zarr.json").read_text())["attributes"]["ome"]["multiscales"]
    assert "unit" not in image["axes"][1]


def test_ome_zarr_spans_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acquisition.exchange.export_arrays._SHARD_BYTES", 2 * 12 * 20 * 2)
    archive = archive_of(tmp_path)
    path = export_one(archive, tmp_path, "ome-zarr")
    assert len([file for file in (path / "0" / "c").rglob("*") if file.is_file()]) == 3
    kvstore = {"driver": "file", "path": f"{path / '0'}/"}
    np.testing.assert_array_equal(ts.open({"driver": "zarr3", "kvstore": kvstore}).result(), stacked(archive, "speckle"))


@pytest.mark.parametrize("file_format", ["npz", "hdf5", "matlab"])
def test_a_large_archive_is_not_held_in_memory(tmp_path: Path, file_format: str) -> None:
    archive = archive_of(tmp_path, 48, (256, 256))
    raw_bytes = 48 * archive.spec("speckle").nbytes
    tracemalloc.start()
    path = export_one(archive, tmp_path, file_format)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > raw_bytes
    assert peak < raw_bytes / 4


def test_an_array_named_like_a_column_is_refused(tmp_path: Path) -> None:
    with ArchiveWriter.create(
        tmp_path, ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=[ArraySpec("engine", (4, 4), "uint8")]), 1
    ) as writer:
        row = PairRow(frame_index=0, t_ns=0, exposure_s=0.01)
        writer.append({"engine": np.zeros((4, 4), np.uint8)}, row)
    with pytest.raises(ExportError, match="'engine'"):
        export(Archive.open(writer.path), tmp_path / "out", ["npz"])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("file_format", ["npz", "hdf5", "matlab", "ome-zarr", "ome-tiff"])
def test_too_little_space_is_reported_before_writing(tmp_path: Path, file_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_of(tmp_path)
    needed = 5 * (12 * 20 * 2 + 6 * 10 * 4)
    monkeypatch.setattr(
        "acquisition.archive.folder.shutil.disk_usage", lambda _: SimpleNamespace(free=needed)
    )  # not the 5 % more that an export needs
    with pytest.raises(StorageError, match="needed"):
        export(archive, tmp_path / "out", [file_format])
    assert list((tmp_path / "out").iterdir()) == []
