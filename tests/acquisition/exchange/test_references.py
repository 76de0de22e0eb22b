"""What a recording was reconstructed against lies beside each export that holds its arrays, and an import brings it back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
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
from acquisition.exchange.import_pairs import ImportOptions, PairImportError, check_pairs, import_pairs
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


def imported(source: Path, root: Path, options: ImportOptions | None = None) -> Archive:
    return Archive.open(import_pairs(source, root, "again", options))


def assert_same_references(archive: Archive, other: Archive) -> None:
    expected, actual = ([entry.read() for entry in each.references()] for each in (archive, other))
    assert expected
    assert [entry.first_frame for entry in actual] == [entry.first_frame for entry in expected]
    assert [entry.values for entry in actual] == [entry.values for entry in expected]
    for entry, other_entry in zip(expected, actual, strict=True):
        assert entry.arrays.keys() == other_entry.arrays.keys()
        for name, array in entry.arrays.items():
            assert (other_entry.arrays[name].dtype, other_entry.arrays[name].shape) == (array.dtype, array.shape)
            assert other_entry.arrays[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("target", HOLDING)
def test_an_import_brings_the_references_back(archive: Archive, target: str, tmp_path: Path) -> None:
    written = export(archive, tmp_path / "out", [target])
    check = check_pairs(written[0])
    assert check.facts["recording_references"] == {"folder": f"{archive.path.name}_references", "first_frames": [0, 2]}
    again = imported(written[0], tmp_path / "root")
    assert_same_references(archive, again)
    assert again.verify().ok
    assert [row.frame_index for row in again.rows()] == [row.frame_index for row in archive.rows()]
    # What was imported is exported with its references too.
    assert_same_references(archive, imported(export(again, tmp_path / "out2", [target])[0], tmp_path / "root2"))


def test_references_of_a_renamed_export_are_missed_and_come_in_by_the_option(archive: Archive, tmp_path: Path) -> None:
    file, folder = export(archive, tmp_path / "out", ["npz"])
    file, folder = file.rename(tmp_path / "mouse.npz"), folder.rename(tmp_path / "elsewhere")
    run_here("import", file, "--dry-run", "--json", "check.json", cwd=tmp_path)
    checked = json.loads((tmp_path / "check.json").read_text())
    assert checked["recording_references"] is None
    assert "its 2 references are not beside it; give their folder by --references" in checked["notes"]
    run_here("import", file, "--references", folder, "--archive", "root", "--json", "r.json", cwd=tmp_path)
    assert_same_references(archive, Archive.open(tmp_path / json.loads((tmp_path / "r.json").read_text())["path"]))


def cut_an_array(folder: Path) -> None:
    (folder / "000001_speckle.npy").write_bytes(b"")


def remove_an_array(folder: Path) -> None:
    (folder / "000000_pairs_speckle.npy").unlink()


def remove_the_description(folder: Path) -> None:
    (folder / "references.json").unlink()


def change_the_description(folder: Path) -> None:
    described = (folder / "references.json").read_text()
    (folder / "references.json").write_text(described.replace('"first_frame": 2', '"first_frame": 1'))


def lead_out(folder: Path) -> None:
    (folder / "000000_speckle.npy").rename(folder.parent / "elsewhere.npy")
    (folder / "000000_speckle.npy").symlink_to(folder.parent / "elsewhere.npy")


def lead_out_by_name(folder: Path) -> None:
    """The description is as hostile as the manifest that belongs to it is absent."""
    described = (folder / "references.json").read_text()
    (folder / "references.json").write_text(described.replace('"000000_speckle.npy"', '"../out.npy"'))
    (folder / "manifest.sha256").unlink()


def name_an_array_like_a_path(folder: Path) -> None:
    described = (folder / "references.json").read_text()
    (folder / "references.json").write_text(described.replace('"speckle":', '"../../speckle":'))
    (folder / "manifest.sha256").unlink()


def belong_to_other_frames(folder: Path) -> None:
    np.save(folder / "000000_speckle.npy", np.ones((4, 4), np.float32))
    (folder / "manifest.sha256").unlink()


@pytest.mark.parametrize(
    "harm",
    [
        cut_an_array,
        remove_an_array,
        remove_the_description,
        change_the_description,
        lead_out,
        lead_out_by_name,
        name_an_array_like_a_path,
        belong_to_other_frames,
    ],
)
def test_references_that_cannot_be_used_are_refused_and_left_out_on_request(
    archive: Archive, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    file, folder = export(archive, tmp_path / "out", ["npz"])
    harm(folder)
    with pytest.raises(PairImportError) as refusal:
        import_pairs(file, tmp_path / "root", "again")
    assert folder.name in str(refusal.value)
    assert "--no-references" in str(refusal.value)
    assert not list((tmp_path / "root").glob("*"))
    assert not imported(file, tmp_path / "root", ImportOptions(no_references=True)).references()
    whole = export(archive, tmp_path / "whole", ["npz"])[1]
    assert_same_references(archive, imported(file, tmp_path / "root2", ImportOptions(references=whole)))


def test_references_without_a_manifest_come_in_with_a_note(archive: Archive, tmp_path: Path) -> None:
    file, folder = export(archive, tmp_path / "out", ["npz"])
    (folder / "manifest.sha256").unlink()
    assert any("no check sums" in note and "_references" in note for note in check_pairs(file).notes)
    assert_same_references(archive, imported(file, tmp_path / "root"))


def test_references_without_a_manifest_are_still_read_by_a_verification(archive: Archive, tmp_path: Path) -> None:
    folder = folder_of(export(archive, tmp_path / "out", ["npz"]))
    (folder / "manifest.sha256").unlink()
    check = verify_export(folder)
    assert (check.ok, check.has_check_sums) == (True, False)
    cut_an_array(folder)
    assert "000001_speckle.npy" in verify_export(folder).damaged[0]


def test_references_that_change_after_the_check_leave_no_archive(archive: Archive, tmp_path: Path) -> None:
    file, folder = export(archive, tmp_path / "out", ["npz"])

    def harm(step: str, done: int, total: int) -> None:
        if (step, done) == ("check", total):
            cut_an_array(folder)

    with pytest.raises(PairImportError, match="was whole when it was checked"):
        import_pairs(file, tmp_path / "root", "again", on_progress=harm)
    assert not list((tmp_path / "root").glob("*"))


def test_both_options_contradict_each_other_and_a_folder_of_something_else_is_refused(archive: Archive, tmp_path: Path) -> None:
    file, _ = export(archive, tmp_path / "out", ["npz"])
    text = refused("import", file, "--references", "x", "--no-references", cwd=tmp_path)
    assert "--references x and --no-references contradict each other" in text
    shutil.copytree(archive.path, tmp_path / "x")
    assert "x is no folder of references" in refused("import", file, "--references", "x", cwd=tmp_path)
