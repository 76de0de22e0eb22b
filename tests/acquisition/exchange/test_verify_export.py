"""Every exported format is recognised, read completely, and whatever was changed in it is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.exchange.export import ExportError, ExportFormat, export
from acquisition.exchange.verify_export import export_format, verify_export
from drivers.manifest import MANIFEST, manifest_of

COUNT = 4
FORMATS = list(ExportFormat)

#: What lies beside a video.
_BESIDE_VIDEO = (".sha256", ".json")


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for each format, with the exports of a recording; its second phase is black."""
    root = tmp_path_factory.mktemp("exports")
    rng = np.random.default_rng(0)
    arrays = [ArraySpec("speckle", (16, 24), "uint16"), ArraySpec("phase", (8, 12), "float32", compress=True)]
    metadata = {"phase_range_rad": 2.5, "pixel_um": 0.7, "bit_depth": 12, "note": "µ"}
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=arrays, metadata=metadata)
    with ArchiveWriter.create(root / "archives", spec, COUNT) as writer:
        for k in range(COUNT):
            images: dict[str, np.ndarray] = {
                "speckle": rng.integers(0, 4096, (16, 24)).astype(np.uint16),
                "phase": (rng.uniform(0, 2.5, (8, 12)) * (k != 1)).astype(np.float32),
            }
            row = PairRow(frame_index=k, t_ns=k * 40_000_000, exposure_s=0.01, latency_s=0.1 if k else None, engine="torch")
            writer.append(images, row)
        writer.complete()
    for kind in FORMATS:
        export(Archive.open(writer.path), root / kind, [kind])
    return root


@pytest.fixture
def copied(exports: Path, tmp_path: Path) -> Callable[[ExportFormat], Path]:
    """Returns a copy of the first export of a format, which may be damaged."""

    def copy(kind: ExportFormat) -> Path:
        shutil.copytree(exports / kind, tmp_path / kind)
        files = sorted((tmp_path / kind).iterdir(), reverse=True)
        return next(path for path in files if path.suffix not in _BESIDE_VIDEO)

    return copy


@pytest.mark.parametrize("kind", FORMATS)
def test_an_intact_export_is_recognised_and_every_image_read(exports: Path, kind: ExportFormat) -> None:
    whole = {ExportFormat.NPZ, ExportFormat.HDF5, ExportFormat.MATLAB, ExportFormat.SPECDIFFUSION}
    for path in (exports / kind).iterdir():
        if path.suffix not in _BESIDE_VIDEO:
            check = verify_export(path)
            assert (check.format, check.damaged, check.ok, check.has_check_sums) == (kind, (), True, True)
            assert check.images == (2 * COUNT if kind in whole else COUNT)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_without_its_name_is_recognised_by_its_content(
    copied: Callable[[ExportFormat], Path], kind: ExportFormat
) -> None:
    path = copied(kind)
    assert export_format(path.rename(path.with_name("renamed"))) is kind


@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_file_is_named(copied: Callable[[ExportFormat], Path], kind: ExportFormat) -> None:
    path = copied(kind)
    file = path if path.is_file() else max((f for f in path.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    check = verify_export(path)
    assert not check.ok
    assert all(text.startswith(f"{path.name}: ") and "\n" not in text for text in check.damaged)


@pytest.mark.parametrize("kind", [ExportFormat.HDF5])
@pytest.mark.parametrize("name", ["speckle", "phase", "t_ns", "crc32_phase"])
def test_a_changed_value_is_named(copied: Callable[[ExportFormat], Path], kind: ExportFormat, name: str) -> None:
    path = copied(kind)
    with h5py.File(path, "r+") as file:
        content = file[name][:]
        content.ravel()[-1] += 1
        file[name][:] = content
    [text] = verify_export(path).damaged
    assert ("image 3 of" if name in ("speckle", "phase") else "facts_sha256") in text


@pytest.mark.parametrize("kind", [ExportFormat.HDF5])
def test_a_sign_that_appears_in_a_type_is_named(copied: Callable[[ExportFormat], Path], kind: ExportFormat) -> None:
    """The bytes of the images are the same, but their numbers are not."""
    path = copied(kind)
    with h5py.File(path, "r+") as file:
        content = file["speckle"][:]
        del file["speckle"]
        file["speckle"] = content.view(np.int16)
    assert "facts_sha256" in verify_export(path).damaged[0]


@pytest.mark.parametrize("name", ["t_s", "crc32", "facts_sha256", "ome", "specklescope"])
def test_changed_facts_of_ome_zarr_are_named(copied: Callable[[ExportFormat], Path], name: str) -> None:
    path = copied(ExportFormat.OME_ZARR)
    group = json.loads((path / "zarr.json").read_text())
    attributes = group["attributes"]
    (attributes if name in attributes else attributes["specklescope"]).pop(name)
    (path / "zarr.json").write_text(json.dumps(group))
    assert "facts_sha256" in " ".join(verify_export(path).damaged)


def test_a_deleted_chunk_of_ome_zarr_is_named(copied: Callable[[ExportFormat], Path]) -> None:
    path = copied(ExportFormat.OME_ZARR)
    for chunk in (path / "0" / "c").rglob("*"):
        if chunk.is_file():
            chunk.unlink()
    assert [text.split(" differs")[0] for text in verify_export(path).damaged] == [
        f"{path.name}: image {k} of 'speckle'" for k in range(COUNT)
    ]


def test_a_folder_of_images_names_every_file(copied: Callable[[ExportFormat], Path]) -> None:
    path = copied(ExportFormat.SPECDIFFUSION)
    (path / "input" / "00000.png").unlink()
    (path / "label" / "00003.png").write_bytes((path / "label" / "00002.png").read_bytes())
    (path / "input" / "more.png").write_bytes((path / "label" / "00002.png").read_bytes())
    missing, more, other = verify_export(path).damaged
    assert "input/00000.png is listed in manifest.sha256, but missing" in missing
    assert "input/more.png is not listed" in more
    assert "label/00003.png differs from its SHA-256" in other


@pytest.mark.parametrize("kind", [ExportFormat.SPECDIFFUSION, ExportFormat.FFV1, ExportFormat.VIEWING_MP4])
def test_without_a_manifest_everything_is_still_read(copied: Callable[[ExportFormat], Path], kind: ExportFormat) -> None:
    path = copied(kind)
    manifest_of(path).unlink()
    check = verify_export(path)
    assert (check.ok, check.has_check_sums, check.images) == (True, False, 2 * COUNT if path.is_dir() else COUNT)
    file = path / "label" / "00001.png" if path.is_dir() else path
    file.write_bytes(file.read_bytes()[:60])
    assert not verify_export(path).ok


def test_a_damaged_frame_of_a_video_without_a_manifest_is_noticed_by_its_own_check_sum(
    copied: Callable[[ExportFormat], Path],
) -> None:
    path = copied(ExportFormat.FFV1)
    manifest_of(path).unlink()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert not verify_export(path).ok


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.h5").write_bytes(b"")
    for name in ("text.txt", "folder", "empty.h5"):
        with pytest.raises(ExportError, match="is no export, or its beginning is damaged"):
            verify_export(tmp_path / name)
    with pytest.raises(ExportError, match="No such file"):
        verify_export(tmp_path / "absent.h5")


def test_a_damaged_manifest_is_named(copied: Callable[[ExportFormat], Path]) -> None:
    path = copied(ExportFormat.SPECDIFFUSION)
    (path / MANIFEST).write_text("nonsense")
    check = verify_export(path)
    assert check.has_check_sums
    assert "manifest.sha256 is damaged" in check.damaged[0]
