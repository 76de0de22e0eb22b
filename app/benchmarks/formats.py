"""Every lossless format, out and in again: frames, phases, labels, times, units, names and references have to come back."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.references import StoredReference
from acquisition.archive.rows import PairRow, StoredRow
from acquisition.archive.shards import ArraySpec, Image
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter
from acquisition.exchange.export import ExportFormat, export
from acquisition.exchange.import_pairs import ImportOptions, import_pairs
from app.progress import Report
from drivers.base import Pattern, SpeckleScopeError
from drivers.recorded.video_file import VideoFile

#: Formats that lose nothing, and what ends the name of the file that is imported.
_FILES = {
    ExportFormat.NPZ: ".npz",
    ExportFormat.HDF5: ".h5",
    ExportFormat.MATLAB: ".mat",
    ExportFormat.OME_TIFF: "_speckle.ome.tif",
    ExportFormat.OME_ZARR: "_speckle.ome.zarr",
    ExportFormat.FFV1: ".mkv",
}
_PAIRS = 6
_SHAPE, _GRID = (24, 20), (12, 10)
#: Every third frame is a reference.
_REFERENCE_EVERY = 3
_COLUMNS = ("frame_index", "t_ns", "exposure_s", "pattern_id", "pattern_name", "host_utc", "model_id", "engine", "latency_s")
_FACTS = ("phase_range_rad", "bit_depth", "pixel_um", "fibre", "channels")
#: Names of channels: the first three are colours, the others focal planes.
_CHANNELS = ("red", "green", "blue", "plane 2 \N{GREEK SMALL LETTER MU}m", "plane 4 \N{GREEK SMALL LETTER MU}m")


class Pace(StrEnum):
    """How fast a recording was: its frames per second or per hour."""

    FAST = "1000 frames/s"
    SLOW = "1 frame/h"


_INTERVAL_NS = {Pace.FAST: 10**6, Pace.SLOW: 3600 * 10**9}


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """One archive in one format.

    Parameters
    ----------
    fmt : ExportFormat
        The format.
    bits : int
        Significant bits of a frame.
    labels, uncertainty : bool
        Whether the archive has these arrays.
    pace : Pace
        How fast its frames were.
    channels : int
        Colours or planes of a frame; 1 for grey frames, which have no axis of channels.
    """

    fmt: ExportFormat
    bits: int
    labels: bool
    uncertainty: bool
    pace: Pace
    channels: int = 1

    def __str__(self) -> str:
        more = [name for name, there in (("labels", self.labels), ("uncertainty", self.uncertainty)) if there]
        channels = f", {self.channels} channels" if self.channels > 1 else ""
        return f"{self.fmt}, {self.bits} bit, {self.pace}, {' and '.join(more) or 'no labels'}{channels}"

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of a frame: (H, W), or (C, H, W) with channels."""
        return _SHAPE if self.channels == 1 else (self.channels, *_SHAPE)


def round_trips() -> Iterator[RoundTrip]:
    """Yield every combination of grey frames, and frames with channels in every format that holds them."""
    for fmt, bits, labels, uncertainty, pace in itertools.product(_FILES, (8, 12, 16), (False, True), (False, True), Pace):
        yield RoundTrip(fmt=fmt, bits=bits, labels=labels, uncertainty=uncertainty, pace=pace)
    for fmt, bits, channels in itertools.product(_FILES, (8, 16), (3, 5)):
        if fmt is not ExportFormat.FFV1:
            yield RoundTrip(fmt=fmt, bits=bits, labels=False, uncertainty=False, pace=Pace.FAST, channels=channels)


def bench_formats(report: Report) -> dict[str, object]:
    """Export and import every combination; return how many were identical, and what was lost in the others."""
    trips = list(round_trips())
    lost: list[str] = []
    failed: list[str] = []
    for number, trip in enumerate(trips):
        with tempfile.TemporaryDirectory(prefix="specklescope-formats-") as folder:
            try:
                if changes := changed(trip, Path(folder)):
                    lost.append(f"{trip}: {', '.join(changes)}")
            except SpeckleScopeError as error:
                failed.append(f"{trip}: {error}")
        report("exporting and importing", number + 1, len(trips))
    return {
        "round_trips": len(trips),
        "identical": len(trips) - len(lost) - len(failed),
        "failed": len(failed),
        "lost": lost,
        "failures": failed,
    }


def changed(trip: RoundTrip, folder: Path) -> list[str]:
    """Export one archive and import it again; return the names of what is not the same."""
    original = Archive.open(_written(trip, folder / "archive"))
    export(original, folder / "export", [trip.fmt])
    suffix = _FILES[trip.fmt]
    [path] = (path for path in (folder / "export").iterdir() if path.name.endswith(suffix))
    if trip.fmt is ExportFormat.FFV1:
        return _changed_video(original, VideoFile(path, original.row(0).exposure_s))
    again = Archive.open(import_pairs(path, folder / "again", "again", ImportOptions(allow_duplicates=True)))
    return _changed_archive(original, again)


def _written(trip: RoundTrip, folder: Path) -> Path:
    rng = np.random.default_rng(7)
    dtype = np.uint8 if trip.bits == 8 else np.uint16
    arrays = [ArraySpec("speckle", trip.frame_shape, np.dtype(dtype).name), ArraySpec("phase", _GRID, "float32")]
    arrays += [ArraySpec("labels", _GRID, "uint16")] if trip.labels else []
    arrays += [ArraySpec("uncertainty", _GRID, "float32")] if trip.uncertainty else []
    facts: dict[str, object] = {"phase_range_rad": 2.85, "bit_depth": trip.bits, "pixel_um": 0.68}
    facts["fibre"] = "MCF \N{GREEK SMALL LETTER MU} 3"
    if trip.channels > 1:
        facts["channels"] = list(_CHANNELS[: trip.channels])
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="round-trip", arrays=arrays, metadata=facts)
    with ArchiveWriter.create(folder, spec, _PAIRS) as writer:
        for first_frame in (0, 3):
            writer.add_reference(_stored_reference(first_frame, dtype, trip.frame_shape))
        for number in range(_PAIRS):
            is_reference = number % _REFERENCE_EVERY == 0
            phase = np.zeros(_GRID, np.float32) if is_reference else rng.uniform(0, 2.85, _GRID).astype(np.float32)
            images: dict[str, Image] = {
                "speckle": rng.integers(0, 2**trip.bits, trip.frame_shape).astype(dtype),
                "phase": phase,
            }
            if trip.labels:
                images["labels"] = rng.integers(0, 9, _GRID).astype(np.uint16)
            if trip.uncertainty:
                images["uncertainty"] = rng.uniform(0, 0.3, _GRID).astype(np.float32)
            row = PairRow(
                frame_index=number + number // 4,  # one frame is missing
                t_ns=10**15 + 17 + number * _INTERVAL_NS[trip.pace],
                exposure_s=0.000_25,
                pattern_id=Pattern(phase).id,
                pattern_name="blank" if is_reference else f"pattern \N{LATIN SMALL LETTER E WITH ACUTE}-{number}",
                host_utc=f"2026-11-29T12:00:{number:02d}.123456+00:00",
                model_id="a1b2" if trip.labels else "",
                engine="torch" if trip.labels else "",
                latency_s=0.031 if trip.labels else None,
                extra={"device_ns": 123_456_789 + number, "note": "\N{GREEK SMALL LETTER PHI}", "temperature_c": 31.25},
            )
            writer.append(images, row)
        writer.complete()
    return writer.path


def _stored_reference(first_frame: int, dtype: type[np.generic], frame_shape: tuple[int, ...]) -> StoredReference:
    """Return what a recording stores: the mean speckle of the flat pattern, and the pairs of a re-tune."""
    rng = np.random.default_rng(first_frame)
    arrays = {
        "speckle": rng.uniform(0, 200, frame_shape).astype(np.float32),
        "pairs_speckle": rng.integers(0, 256, (2, *frame_shape)).astype(dtype),
        "pairs_phase_rad": rng.uniform(0, 2.85, (2, *_SHAPE)).astype(np.float32),
    }
    return StoredReference(first_frame=first_frame, arrays=arrays, values={"pairs": {"stability": 0.1 + first_frame}})


def _changed_archive(original: Archive, again: Archive) -> list[str]:
    if len(original) != len(again):
        return [f"{len(original)} pairs became {len(again)}"]
    changes = [f"no {name}" for name in original.arrays if name not in again.arrays]
    both = [name for name in original.arrays if name in again.arrays]
    for first, second in zip(original.rows(), again.rows(), strict=True):
        changes += [name for name in both if not _same(original.read(name, first.index), again.read(name, second.index))]
        changes += _changed_row(first, second)
    changes += [name for name in _FACTS if original.metadata.get(name) != again.metadata.get(name)]
    changes += ["references"] if _references(original) != _references(again) else []
    return list(dict.fromkeys(changes))


def _references(archive: Archive) -> list[tuple[int, Mapping[str, str], Mapping[str, object]]]:
    """Return of each reference where it begins, the SHA-256 of its arrays' files, and its values."""
    return [(entry.first_frame, entry.sha256, entry.values) for entry in archive.references() if not entry.damage()]


def _changed_row(first: StoredRow, second: StoredRow) -> list[str]:
    changes = [name for name in _COLUMNS if getattr(first, name) != getattr(second, name)]
    return changes + ([] if dict(first.extra) == dict(second.extra) else ["extra"])


def _changed_video(original: Archive, video: VideoFile) -> list[str]:
    """Return what is not the same in a video, which holds frames and times only."""
    if len(video) != len(original):
        return [f"{len(original)} frames became {len(video)}"]
    rows = original.rows()
    changes = [] if all(_same(original.read("speckle", row.index), video[row.index].pixels) for row in rows) else ["speckle"]
    times = np.array([row.t_ns for row in rows])
    if not np.array_equal(video.times_ns - video.times_ns[0], times - times[0]):
        changes.append("times")
    if video[0].bit_depth != original.metadata["bit_depth"]:
        changes.append("bit_depth")
    return changes


def _same(first: Image, second: Image) -> bool:
    return first.dtype == second.dtype and np.array_equal(first, second)
