"""Check sums travel with exports: an import refuses a changed image, time, id or fact, and says where there are none."""

from __future__ import annotations

import contextlib
import hashlib
import json
import zlib
from collections.abc import Callable
from operator import methodcaller
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.exchange.check_sums import CRC, FACTS, NO_CHECK_SUMS, image_crc32
from acquisition.exchange.export import export
from acquisition.exchange.import_pairs import PairImportError, check_pairs, import_pairs
from acquisition.exchange.reference_pairs import read_frame, read_references
from acquisition.exchange.verify_export import verify_export
from drivers.base import DeviceError
from drivers.manifest import MANIFEST, file_problem, manifest_of, read_manifest, sha256_of
from drivers.recorded.video_file import VideoFile

COUNT = 4


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    rng = np.random.default_rng(0)
    arrays = [ArraySpec("speckle", (8, 12), "uint16"), ArraySpec("phase", (6, 6), "float32", compress=True)]
    spec = ArchiveSpec(
        kind=ArchiveKind.DATASET, name="x", arrays=arrays, metadata={"phase_range_rad": 2.5, "pixel_um": 0.7, "note": "µ"}
    )
    with ArchiveWriter.create(tmp_path / "archives", spec, COUNT) as writer:
        for k in range(COUNT):
            images: dict[str, np.ndarray] = {
                "speckle": rng.integers(0, 4096, (8, 12)).astype(np.uint16),
                "phase": rng.uniform(0, 2.5, (6, 6)).astype(np.float32),
            }
            row = PairRow(frame_index=k, t_ns=k * 40_000_000, exposure_s=0.01, pattern_name="µ " * k, extra={"shot": k})
            writer.append(images, row)
        writer.complete()
    return Archive.open(writer.path)


def change_npz(path: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    """Change a file as a program would that computes the check sums of ZIP again."""
    with np.load(path) as file:
        content = {name: file[name].copy() for name in file}
    change(content)
    np.savez(path, **content)


def change_hdf5(path: Path, change: Callable[[h5py.File], object]) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def change_bytes(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1
    assert len(new) == len(old)
    path.write_bytes(content.replace(old, new))


def refused(path: Path) -> str:
    with pytest.raises(PairImportError) as caught:
        check_pairs(path)
    return str(caught.value)


@pytest.mark.parametrize("file_format", ["npz", "hdf5", "ome-tiff"])
def test_an_intact_export_is_imported_without_a_note(archive: Archive, tmp_path: Path, file_format: str) -> None:
    path = export(archive, tmp_path / "out", [file_format])[0]
    assert check_pairs(path).notes == ()
    imported = Archive.open(import_pairs(path, tmp_path / "again", "x"))
    assert [row.crc32 for row in imported.rows()] == [row.crc32 for row in archive.rows()]


def test_a_changed_image_is_refused_with_its_file_and_number(archive: Archive, tmp_path: Path) -> None:
    npz, hdf5, tiff, phase = export(archive, tmp_path / "out", ["npz", "hdf5", "ome-tiff"])

    change_npz(npz, lambda content: content["phase"][3].__setitem__((1, 1), 0.5))
    change_hdf5(hdf5, lambda file: file["speckle"].__setitem__((2, 0, 0), file["speckle"][2, 0, 0] ^ 1))
    image = archive.read("speckle", 1).tobytes()
    change_bytes(tiff, image, bytes([image[0] ^ 128]) + image[1:])
    for path, image_name in ((npz, "image 3 of 'phase'"), (hdf5, "image 2 of 'speckle'"), (tiff, "image 1 of 'speckle'")):
        message = refused(path)
        assert f"{path.name}: {image_name} differs from its check sum (CRC-32)" in message
    # The phase lies in a file of its own, and is read with the speckle.
    change_bytes(tiff, bytes([image[0] ^ 128]) + image[1:], image)
    assert check_pairs(tiff).count == COUNT
    image = archive.read("phase", 0).tobytes()
    change_bytes(phase, image, image[:-1] + bytes([image[-1] ^ 1]))
    assert "image 0 of 'phase' differs" in refused(tiff)


def test_every_damaged_image_is_counted(archive: Archive, tmp_path: Path) -> None:
    [path] = export(archive, tmp_path / "out", ["hdf5"])
    change_hdf5(path, lambda file: file["speckle"].__setitem__(slice(1, 3), 0))
    with pytest.raises(PairImportError) as caught:
        check_pairs(path)
    assert [problem.split(" differs")[0] for problem in caught.value.problems] == [
        "image 1 of 'speckle'",
        "image 2 of 'speckle'",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [("t_ns", 5), ("exposure_s", 0.02), ("extra_json", "{}"), ("pattern_name", "other"), ("crc32_phase", 7)],
)
def test_a_changed_time_id_or_fact_is_refused(archive: Archive, tmp_path: Path, name: str, value: object) -> None:
    npz, hdf5 = export(archive, tmp_path / "out", ["npz", "hdf5"])
    change_npz(npz, lambda content: content[name].__setitem__(1, value))
    change_hdf5(hdf5, lambda file: file[name].__setitem__(1, value))
    for path in (npz, hdf5):
        assert f"differ from {FACTS}" in refused(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'DeltaT="0.04"', b'DeltaT="0.05"'),
        (b'PhysicalSizeX="0.7"', b'PhysicalSizeX="0.6"'),
        (b'TheT="1" DeltaT', b'TheT="3" DeltaT'),
        (b"specklescope_sha256", b"specklescope_sha257"),
        (b"specklescope_crc32", b"specklescope_crc42"),
    ],
)
def test_changed_metadata_of_ome_tiff_are_refused(archive: Archive, tmp_path: Path, old: bytes, new: bytes) -> None:
    path = export(archive, tmp_path / "out", ["ome-tiff"])[0]
    change_bytes(path, old, new)
    assert "check" in refused(path)


def test_a_missing_array_check_sum_or_fact_is_refused(archive: Archive, tmp_path: Path) -> None:
    for number, name in enumerate((f"{CRC}speckle", "pattern_id", "metadata_json", FACTS)):
        [path] = export(archive, tmp_path / str(number), ["npz"])
        change_npz(path, methodcaller("pop", name))
        assert f"differ from {FACTS}" in refused(path)
    [path] = export(archive, tmp_path / "hdf5", ["hdf5"])
    change_hdf5(path, lambda file: file.move("crc32_phase", "crc32_face"))
    assert "check sums of 'face', but not the array" in refused(path)


def test_files_without_check_sums_are_imported_with_a_note(archive: Archive, tmp_path: Path) -> None:
    npz, hdf5, tiff, phase = export(archive, tmp_path / "out", ["npz", "hdf5", "ome-tiff"])

    def without(content: dict[str, np.ndarray]) -> None:
        for name in [FACTS, *(name for name in content if name.startswith(CRC))]:
            del content[name]

    change_npz(npz, without)
    with h5py.File(hdf5, "r+") as file:
        del file.attrs[FACTS], file[f"{CRC}speckle"], file[f"{CRC}phase"]
    for path, name in ((tiff, "speckle"), (phase, "phase")):
        tifffile.imwrite(path, np.stack([archive.read(name, k) for k in range(COUNT)]), ome=True, metadata={"axes": "TYX"})
    for path in (npz, hdf5, tiff):
        check = check_pairs(path)
        assert (check.count, check.notes[0]) == (COUNT, NO_CHECK_SUMS)
    imported = Archive.open(import_pairs(npz, tmp_path / "again", "x"))
    assert NO_CHECK_SUMS in imported.metadata["import_notes"]


def test_an_array_that_somebody_added_is_imported_unchecked(archive: Archive, tmp_path: Path) -> None:
    [path] = export(archive, tmp_path / "out", ["hdf5"])
    with h5py.File(path, "r+") as file:
        file["mask"] = np.zeros((COUNT, 3, 3), np.uint8)
    assert [spec.name for spec in check_pairs(path).arrays] == ["speckle", "phase", "mask"]


def test_the_check_sums_are_those_that_the_page_on_formats_describes(archive: Archive, tmp_path: Path) -> None:
    """Somebody without our program computes them from the npz with NumPy and the standard library."""
    [path] = export(archive, tmp_path / "out", ["npz"])
    with np.load(path) as file:
        crc32 = [zlib.crc32(np.ascontiguousarray(image).data) for image in file["speckle"]]
        assert file["crc32_speckle"].tolist() == crc32 == [row.crc32["speckle"] for row in archive.rows()]
        arrays = {name: [file[name].dtype.name, list(file[name].shape)] for name in ("speckle", "phase")}
        columns = {name: file[name].tolist() for name in file if file[name].ndim == 1}
        columns = {k: [v.rstrip(" ") if isinstance(v, str) else v for v in values] for k, values in columns.items()}
        text = json.dumps([arrays, columns, str(file["metadata_json"])], sort_keys=True)
        assert str(file[FACTS]) == hashlib.sha256(text.encode("utf-8")).hexdigest()


def test_the_crc32_is_over_little_endian_bytes_in_c_order() -> None:
    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert image_crc32(image) == zlib.crc32(image.tobytes())
    assert image_crc32(image.astype(">u2")) == image_crc32(np.asfortranarray(image)) == image_crc32(image)


def test_a_folder_of_images_and_each_video_have_a_manifest(archive: Archive, tmp_path: Path) -> None:
    folder, video, film = export(archive, tmp_path / "out", ["specdiffusion", "ffv1", "viewing-mp4"])
    assert set(read_manifest(folder) or ()) == {
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST
    }
    assert check_pairs(folder).notes == ()
    for path in (video, film):
        facts = path.with_name(f"{path.name}.json")
        assert read_manifest(path) == {path.name: sha256_of(path), facts.name: sha256_of(facts)}
    assert not [file.name for file in (tmp_path / "out").iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize("name", ["input/00002.png", "label/00000.png", "metadata.yaml", "test_data.flist", MANIFEST])
def test_a_changed_file_of_a_folder_is_refused(archive: Archive, tmp_path: Path, name: str) -> None:
    [folder] = export(archive, tmp_path / "out", ["specdiffusion"])
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    assert name.rpartition("/")[2] in refused(folder)
    (folder / name).unlink()
    if name == MANIFEST:
        assert check_pairs(folder).notes == (f"{NO_CHECK_SUMS.replace('file', 'folder')}: it has no {MANIFEST}",)
    else:
        assert name in refused(folder)


def test_a_file_that_the_manifest_does_not_list_is_refused(archive: Archive, tmp_path: Path) -> None:
    [folder] = export(archive, tmp_path / "out", ["specdiffusion"])
    for name in ("input", "label"):
        (folder / name / "extra.png").write_bytes((folder / name / "00000.png").read_bytes())
    assert f"input/extra.png is not listed in {MANIFEST}" in refused(folder)


def test_references_are_checked_against_the_manifest(archive: Archive, tmp_path: Path) -> None:
    [folder] = export(archive, tmp_path / "out", ["specdiffusion"])
    (folder / "input" / "00000.png").rename(tmp_path / "frame.png")
    frame = read_frame(tmp_path / "frame.png")
    assert len(read_references(folder, None, tmp_path / "frame.png", frame).names) == COUNT - 1
    (folder / "label" / "00001.png").write_bytes((folder / "label" / "00002.png").read_bytes())
    with pytest.raises(PairImportError, match=r"label/00001\.png differs from its SHA-256"):
        read_references(folder, None, tmp_path / "frame.png", frame)


def test_a_changed_video_is_not_replayed(archive: Archive, tmp_path: Path) -> None:
    [path] = export(archive, tmp_path / "out", ["viewing-mp4"])
    assert len(VideoFile(path, 0.01)) == COUNT
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DeviceError, match="differs from its SHA-256"):
        VideoFile(path, 0.01)


class PowerCutError(BaseException):
    """What nothing handles."""


@pytest.mark.parametrize("has_manifest", [True, False])
@pytest.mark.parametrize("renames", [0, 1, 2, 3, 4])
def test_a_power_cut_while_a_video_is_replaced_never_makes_a_whole_one_look_damaged(
    archive: Archive, tmp_path: Path, renames: int, monkeypatch: pytest.MonkeyPatch, *, has_manifest: bool
) -> None:
    [path] = export(archive, tmp_path / "out", ["ffv1"])
    older = path.read_bytes()
    if not has_manifest:
        manifest_of(path).unlink()
    other = other_archive(tmp_path / "other", archive.path.name)
    done: list[Path] = []
    replace = Path.replace

    def cut(part: Path, target: Path) -> Path:
        if len(done) == renames:
            raise PowerCutError
        done.append(target)
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", cut)
    with contextlib.suppress(PowerCutError):
        export(other, tmp_path / "out", ["ffv1"], overwrite=True)
    assert len(done) == min(renames, 4 if has_manifest else 3)
    check = verify_export(path)
    assert check.damaged == ()
    assert check.has_check_sums or not has_manifest
    assert (path.read_bytes() == older) == (path not in done)


def other_archive(folder: Path, name: str) -> Archive:
    """An archive of the same name with other frames."""
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="a", arrays=[ArraySpec("speckle", (8, 8), "uint8")], metadata={})
    with ArchiveWriter.create(folder, spec, 1) as writer:
        writer.append({"speckle": np.full((8, 8), 9, np.uint8)}, PairRow(frame_index=0, t_ns=1, exposure_s=0.01))
    return Archive.open(writer.path.rename(folder / name))


def test_an_export_again_replaces_the_manifest_too(archive: Archive, tmp_path: Path) -> None:
    [path] = export(archive, tmp_path / "out", ["ffv1"])
    path.write_bytes(b"damaged")
    manifest_of(path).write_text("damaged", "utf-8")
    [path] = export(archive, tmp_path / "out", ["ffv1"], overwrite=True)
    assert file_problem(path) == ""
