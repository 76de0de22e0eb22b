"""The import of an exported recording is replayed as the recording was: its phases, labels, and references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorded_frames import RecordedFrames
from acquisition.archive.references import StoredReference
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.exchange.export import export
from acquisition.exchange.import_pairs import import_pairs
from app.instrument.config import InstrumentConfig
from app.instrument.replayed import Replayed
from drivers.base import TriggerMode
from drivers.clock import VirtualClock
from drivers.recorded.replay import ReplayCamera

FRAMES, FIRST = 4, 70
METADATA = {"fibre": "probe 7", "pixel_um": 0.34, "phase_range_rad": 5.5, "bit_depth": 12, "model": "of the clinic"}


def write_archive(root: Path, kind: ArchiveKind) -> Archive:
    """Four frames, the last two against a second reference; the second frame has no phase."""
    rng = np.random.default_rng(3)
    arrays = [
        ArraySpec("speckle", (16, 16), "uint16"),
        ArraySpec("phase", (8, 8), "float32"),
        ArraySpec("labels", (8, 8), "uint16"),
    ]
    spec = ArchiveSpec(kind=kind, name="old", arrays=arrays, metadata=METADATA)
    with ArchiveWriter.create(root, spec, FRAMES) as writer:
        for first_frame in (FIRST, FIRST + 2) if kind is ArchiveKind.RECORDING else ():
            speckle = np.full((16, 16), first_frame, np.float32)
            writer.add_reference(StoredReference(first_frame=first_frame, arrays={"speckle": speckle}))
        for number in range(FRAMES):
            has_phase = number != 1
            images = {
                "speckle": rng.integers(100, 4000, (16, 16), np.uint16),
                "phase": rng.random((8, 8), np.float32) if has_phase else np.full((8, 8), np.nan, np.float32),
                "labels": rng.integers(0, 3, (8, 8), np.uint16) if has_phase else np.zeros((8, 8), np.uint16),
            }
            if kind is ArchiveKind.DATASET:
                images["phase"] = rng.random((8, 8), np.float32)
            row = PairRow(
                frame_index=FIRST + number,
                t_ns=number * 10**7,
                exposure_s=0.002,
                extra={} if has_phase else {"not_reconstructed": 1, "not_segmented": 1},
            )
            writer.append(images, row)
        writer.complete()
    return Archive.open(writer.path)


def import_again(archive: Archive, target: str, tmp_path: Path) -> Archive:
    return Archive.open(import_pairs(export(archive, tmp_path / "out", [target])[0], tmp_path / "root", "again"))


@pytest.mark.parametrize("target", ["npz", "ome-zarr"])
def test_an_imported_recording_is_replayed_with_its_phases_labels_and_references(tmp_path: Path, target: str) -> None:
    archive = write_archive(tmp_path, ArchiveKind.RECORDING)
    again = import_again(archive, target, tmp_path)
    replayed = Replayed(again)
    assert replayed.problems == []
    assert (replayed.grid_px, replayed.name) == (8, "recorded phase (of the clinic)")
    config = replayed.described(InstrumentConfig())
    assert (config.fibre, config.pixel_um, config.phase_range_rad) == ("probe 7", 0.34, 5.5)
    camera = ReplayCamera(RecordedFrames.open(again.path), clock=VirtualClock())
    camera.arm(TriggerMode.FREE_RUN)
    for number in range(FRAMES):
        reference = replayed.reference(number)
        assert reference is not None
        assert np.unique(reference).tolist() == [FIRST if number < 2 else FIRST + 2]
        reconstruction = replayed.reconstruction(camera.read(1.0))
        if number == 1:
            assert reconstruction is None
        else:
            assert reconstruction is not None
            assert np.array_equal(reconstruction.phase_rad, archive.read("phase", number))


def test_the_patterns_of_an_imported_dataset_are_no_results(tmp_path: Path) -> None:
    again = import_again(write_archive(tmp_path, ArchiveKind.DATASET), "npz", tmp_path)
    assert Replayed(again).grid_px is None
