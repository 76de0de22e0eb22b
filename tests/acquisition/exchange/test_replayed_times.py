"""Frames faster than 1000 a second and slower than one an hour play back with their times, as archive and as video."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorded_frames import RecordedFrames
from acquisition.archive.rows import PairRow
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec
from acquisition.exchange.export import ExportFormat, export
from acquisition.exchange.import_pairs import ImportOptions, import_pairs
from drivers.base import TriggerMode
from drivers.clock import VirtualClock
from drivers.recorded.replay import LazyFrames, ReplayCamera
from drivers.recorded.video_file import VideoFile

HOUR_NS = 3600 * 10**9
STEPS_NS = {
    "20 000 a second": [50_000] * 9,
    "2 500 a second, unevenly": [400_000, 390_000, 410_000, 2_400_000, 400_000],
    "one an hour": [HOUR_NS] * 4,
    "one in 30 hours, then fast": [30 * HOUR_NS, 250_000, 250_000, 26 * HOUR_NS],
}


def recording(root: Path, times_ns: list[int]) -> Archive:
    arrays = [ArraySpec("speckle", (16, 16), "uint8"), ArraySpec("phase", (8, 8), "float32")]
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=arrays, metadata={"bit_depth": 8})
    with ArchiveWriter.create(root, spec, len(times_ns)) as writer:
        for index, t_ns in enumerate(times_ns):
            images = {
                "speckle": np.full((16, 16), 3 * index, np.uint8),
                "phase": np.full((8, 8), index / len(times_ns), np.float32),
            }
            writer.append(images, PairRow(frame_index=index, t_ns=t_ns, exposure_s=1e-5))  # type: ignore[arg-type]
        writer.complete()
    return Archive.open(writer.path)


def played_ns(frames: LazyFrames) -> list[int]:
    """Return when each frame comes after the first, by the clock of a program that plays them."""
    camera = ReplayCamera(frames, clock=VirtualClock())
    camera.arm(TriggerMode.FREE_RUN)
    patience_s = 2 * (camera.exposure_s + camera.capabilities.readout_s)
    times_ns = [camera.read(patience_s).t_ns for _ in range(len(frames))]
    return [t_ns - times_ns[0] for t_ns in times_ns]


@pytest.mark.parametrize("steps_ns", STEPS_NS.values(), ids=STEPS_NS)
def test_a_recording_and_its_videos_play_back_with_their_times(tmp_path: Path, steps_ns: list[int]) -> None:
    times_ns = list(accumulate(steps_ns, initial=10**12))
    expected = [t_ns - times_ns[0] for t_ns in times_ns]
    archive = recording(tmp_path, times_ns)
    assert played_ns(RecordedFrames(archive)) == expected
    (ffv1,) = export(archive, tmp_path, [ExportFormat.FFV1])
    video = VideoFile(ffv1, 1e-5)
    assert played_ns(video) == pytest.approx(expected, abs=1000)
    assert [int(frame.pixels[0, 0]) for frame in video] == [3 * index for index in range(len(times_ns))]


#: HDF5 is read by a child process first, which takes its time; ``bench formats`` has it, and other tests.
CONTAINERS = {
    ExportFormat.NPZ: ".npz",
    ExportFormat.MATLAB: ".mat",
    ExportFormat.OME_TIFF: ".tif",
    ExportFormat.OME_ZARR: ".zarr",
}


@settings(max_examples=4, deadline=None)
@given(
    fmt=st.sampled_from(list(CONTAINERS)),
    steps_ns=st.lists(st.integers(1, 10**6) | st.integers(HOUR_NS, 10**16), min_size=1, max_size=5),
    start_ns=st.integers(1, 10**18),
)
def test_every_container_keeps_every_time_to_the_nanosecond(fmt: ExportFormat, steps_ns: list[int], start_ns: int) -> None:
    times_ns = list(accumulate(steps_ns, initial=start_ns))
    with TemporaryDirectory() as root:
        folder = Path(root)
        export(recording(folder / "archive", times_ns), folder / "out", [fmt])
        [source] = (path for path in (folder / "out").iterdir() if path.suffix == CONTAINERS[fmt] and "phase" not in path.name)
        again = Archive.open(import_pairs(source, folder / "again", "x", ImportOptions()))
        assert [row.t_ns for row in again.rows()] == times_ns
        assert played_ns(RecordedFrames(again)) == [t_ns - times_ns[0] for t_ns in times_ns]
