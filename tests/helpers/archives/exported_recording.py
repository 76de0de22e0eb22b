"""A small recording with every kind of image, name and fact, and its exports, for tests with the programs of others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.exchange.export import export

PIXEL_UM, INTERVAL_S = 0.68, 0.25
#: Pixels of the camera, and of the phase, whose pixels are twice as large.
SHAPE, GRID = (12, 18), (6, 9)
PHASE_PIXEL_UM = 2 * PIXEL_UM
BIT_DEPTH = 12
_METADATA: dict[str, object] = {
    "pixel_um": PIXEL_UM,
    "phase_range_rad": 2.85,
    "bit_depth": BIT_DEPTH,
    "instrument": "Bench 2",
    "fibre": "MCF 3",
    "sample": "onion µ <3>",
}
_ARRAYS = (
    ArraySpec("speckle", SHAPE, "uint16"),
    ArraySpec("phase", GRID, "float32", compress=True),
    ArraySpec("labels", GRID, "uint16", compress=True),
    ArraySpec("uncertainty", GRID, "float32", compress=True),
)


@dataclass(frozen=True)
class Exported:
    """A recording and the files of one of its exports."""

    archive: Archive
    paths: tuple[Path, ...]

    def path_of(self, array: str) -> Path:
        """Return the file or folder that holds one array."""
        [path] = [path for path in self.paths if f"_{array}." in path.name]
        return path

    def stack(self, array: str) -> np.ndarray:
        """Return all images of an array, (N, H, W), as they were recorded."""
        return np.stack([self.archive.read(array, k) for k in range(len(self.archive))])


def example_recording(root: Path, count: int = 5) -> Archive:
    """Write a recording whose first frame has no latency, and whose images have no symmetry that hides a swapped axis."""
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="example", arrays=list(_ARRAYS), metadata=_METADATA)
    rng = np.random.default_rng(7)
    with ArchiveWriter.create(root, spec, count) as writer:
        for k in range(count):
            labels = np.zeros(GRID, np.uint16)
            labels[1:3, 2:7] = 1 + k
            images = {
                "speckle": rng.integers(0, 2**BIT_DEPTH, SHAPE).astype(np.uint16),
                "phase": rng.normal(size=GRID).astype(np.float32),
                "labels": labels,
                "uncertainty": rng.uniform(0, 0.2, GRID).astype(np.float32),
            }
            row = PairRow(
                frame_index=3 * k,
                t_ns=2**60 + round(k * INTERVAL_S * 1e9),
                exposure_s=0.004,
                pattern_id=f"{k:016x}",
                pattern_name=f"cell & <b> {k}",
                host_utc=f"2026-11-29T12:00:{k:02d}.250000+00:00",
                model_id="0123456789ab",
                engine="torch",
                latency_s=0.02 if k else None,
                extra={"device_ns": 5 * k},
            )
            writer.append(images, row)
        writer.complete()
    return Archive.open(writer.path)


def exported(root: Path, file_format: str, count: int = 5) -> Exported:
    """Export a new recording in one format; ``paths`` are the files of its arrays."""
    archive = example_recording(root, count)
    return Exported(archive, tuple(export(archive, root / "out", [file_format])))


def exported_dataset(root: Path, file_format: str) -> Exported:
    """Export the dataset of version 0.1.0: its patterns lie on the SLM, and have no pixel size at the facet."""
    archive = Archive.open(Path(__file__).parents[2] / "fixtures" / "version-0.1.0" / "dataset")
    return Exported(archive, tuple(export(archive, root / "out", [file_format])))
