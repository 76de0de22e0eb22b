"""Exports on a full disk: an explained error, nothing half, and an older export of the same name unchanged."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.rows import StorageError
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.exchange.export import ExportError, ExportFormat, export
from acquisition.exchange.hdf5_skeleton import hdf5_skeleton
from tests.helpers.small_disk import small_disk


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    rng = np.random.default_rng(0)
    arrays = [ArraySpec("speckle", (64, 64), "uint8"), ArraySpec("phase", (64, 64), "float32")]
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="disk", arrays=arrays, metadata={"phase_range_rad": 6.0})
    with ArchiveWriter.create(tmp_path_factory.mktemp("archive"), spec, 20) as writer:
        for index in range(20):
            images = {
                "speckle": rng.integers(0, 256, (64, 64), dtype=np.uint8),
                "phase": rng.uniform(0, 6.0, (64, 64)).astype(np.float32),
            }
            writer.append(images, PairRow(frame_index=index, t_ns=index * 10**7, exposure_s=0.01))
    return Archive.open(writer.path)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


#: Each file of the published layout is smaller than the larger disk.
DISKS = [(target, 300) for target in ExportFormat]
DISKS += [(target, 20_000) for target in ExportFormat if target is not ExportFormat.SPECDIFFUSION]


@pytest.mark.parametrize(("target", "most_bytes"), DISKS)
def test_an_export_on_a_full_disk_changes_nothing(
    target: ExportFormat, most_bytes: int, archive: Archive, tmp_path: Path
) -> None:
    export(archive, tmp_path, [target])
    before = content(tmp_path)
    with small_disk(most_bytes), pytest.raises((ExportError, StorageError), match=r"cannot (export|write) ") as caught:
        export(archive, tmp_path, [target], overwrite=True)
    assert "\n" not in str(caught.value)
    assert content(tmp_path) == before
    export(archive, tmp_path, [target], overwrite=True)
    assert content(tmp_path).keys() == before.keys()


@pytest.mark.skipif(os.name == "nt", reason="files have no holes there by themselves")
def test_the_skeleton_has_holes_where_the_images_will_be(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with hdf5_skeleton(path, userblock_size=512) as file:
        file.create_dataset("text", data="x" * 100_000)
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        file.create_dataset("big", (64, 1024, 1024), "uint8", dcpl=layout)
    assert path.stat().st_size > 64 * 2**20 > 64 * path.stat().st_blocks * 512
    with h5py.File(path) as file:
        assert file["text"][()] == b"x" * 100_000
        assert file["big"].shape == (64, 1024, 1024)
