"""What a recording was reconstructed against lies beside each export that holds its arrays, with check sums."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.references import StoredReference
from acquisition.archive.rows import PairRow
from acquisition.archive.shards import Image
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec
from acquisition.exchange.export import ExportError, ExportFormat, export
from acquisition.exchange.verify_export import verify_export
from drivers.base import SpeckleScopeError
from tests.helpers.command import refused, run_here

FRAMES = 3
HOLDING = ("npz", "hdf5", "matlab", "ome-zarr", "ome-tiff")


def reference(seed: int, first_frame: int) -> StoredReference:
    rng = np.random.default_rng(seed)
    arrays = {"speckle": rng.random((8, 8), np.float32), "pairs_speckle": rng.integers(0, 4096, (2, 8, 8), np.uint16)}
    return StoredReference(first_frame=first_frame, arrays=arrays, values={"seed": seed})


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    arrays = [ArraySpec("speckle", (8, 8), "uint8"), ArraySpec("phase", (8, 8), "float32")]
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=arrays, metadata={"phase_range_rad": 2.0})
    with ArchiveWriter.create(tmp_path / "archive", spec, FRAMES) as writer:
        writer.add_reference(reference(1, 0))
        writer.add_reference(reference(2, 2))
        for index in range(FRAMES):
            images: dict[str, Image] = {"speckle": np.full((8, 8), index, np.uint8), "phase": np.ones((8, 8), np.float32)}
            writer.append(images, PairRow(frame_index=index, t_ns=index * 10**7, exposure_s=0.01))
        writer.complete()
    return Archive.open(writer.path)


def folder_of(written: list[Path]) -> Path:
    (folder,) = (path for path in written if path.name.endswith("_references"))
    return folder


@pytest.mark.parametrize("target", HOLDING)
def test_the_references_lie_beside_an_export_and_are_plain_numpy_files(archive: Archive, target: str, tmp_path: Path) -> None:
    folder = folder_of(export(archive, tmp_path / "out", [target]))
    described = json.loads((folder / "references.json").read_text())
    assert [entry["first_frame"] for entry in described] == [0, 2]
    for entry, seed in zip(described, (1, 2), strict=True):
        assert entry["values"] == {"seed": seed}
        for name, array in reference(seed, 0).arrays.items():
            assert np.array_equal(np.load(folder / entry["files"][name]), array)
    check = verify_export(folder)
    assert check.ok
    assert check.has_check_sums


@pytest.mark.parametrize("harm", ["a bit", "a file", "the description"])
def test_their_damage_is_named(archive: Archive, tmp_path: Path, harm: str) -> None:
    folder = folder_of(export(archive, tmp_path / "out", ["npz"]))
    run_here("certify", folder, cwd=tmp_path)
    file = folder / ("references.json" if harm == "the description" else "000001_speckle.npy")
    if harm == "a file":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[-3] ^= 1
        file.write_bytes(content)
    assert file.name in refused("certify", folder, cwd=tmp_path)


def test_one_folder_of_references_serves_every_format_also_in_a_later_command(archive: Archive, tmp_path: Path) -> None:
    run_here("export", archive.path, "--out", "out", "--format", "npz", "hdf5", cwd=tmp_path)
    folder = tmp_path / "out" / f"{archive.path.name}_references"
    written = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    run_here("export", archive.path, "--out", "out", "--format", "matlab", "--ro-crate", cwd=tmp_path)
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == written
    assert f'"{folder.name}/references.json"' in (tmp_path / "out" / "ro-crate-metadata.json").read_text("utf-8")


@pytest.mark.parametrize("name", ["000001_speckle.npy", "references.json", "manifest.sha256"])
def test_a_folder_of_other_references_is_replaced_only_on_request(archive: Archive, name: str, tmp_path: Path) -> None:
    folder = folder_of(export(archive, tmp_path / "out", ["npz"]))
    (folder / name).unlink()
    with pytest.raises(ExportError, match="_references exists"):
        export(archive, tmp_path / "out", ["hdf5"])
    assert not list((tmp_path / "out").glob("*.h5"))
    export(archive, tmp_path / "out", ["hdf5"], overwrite=True)
    assert verify_export(folder).ok
    assert (folder / name).is_file()


def test_an_archive_without_references_and_formats_without_arrays_have_no_such_folder(archive: Archive, tmp_path: Path) -> None:
    only_frames = export(archive, tmp_path / "video", [ExportFormat.FFV1, ExportFormat.SPECDIFFUSION])
    assert not any(path.name.endswith("_references") for path in only_frames)
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="y", arrays=[ArraySpec("speckle", (8, 8), "uint8")], metadata={})
    with ArchiveWriter.create(tmp_path, spec, 1) as writer:
        writer.append({"speckle": np.ones((8, 8), np.uint8)}, PairRow(frame_index=0, t_ns=0, exposure_s=0.01))
    assert len(export(Archive.open(writer.path), tmp_path / "old", ["npz"])) == 1


def test_a_damaged_reference_is_not_exported(archive: Archive, tmp_path: Path) -> None:
    (archive.path / "references" / "000000" / "speckle.npy").write_bytes(b"")
    with pytest.raises(SpeckleScopeError, match="differs from what was written"):
        export(archive, tmp_path / "out", ["npz"])
    assert not list((tmp_path / "out").glob("*_references*"))
