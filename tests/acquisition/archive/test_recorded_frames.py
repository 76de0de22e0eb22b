"""A recording is replayed with every pixel and every time; a damaged frame is reported, and only that frame is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.recorded_frames import RecordedFrames
from acquisition.archive.recorder import Recorder, RecordItem
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError
from acquisition.streams.channel import Channel, Overflow, Stage
from drivers.base import CameraCounters, DeviceError, Frame, FrameFailedError, TriggerMode
from drivers.clock import VirtualClock
from drivers.recorded.replay import ReplayCamera
from drivers.testing.camera_contract import CameraContract, FreeRunOnlyContract, Subject

SHAPE = (12, 16)
MS = 1_000_000
TIMES_MS = (0, 20, 40, 300, 320)


def frames(bit_depth: int = 8, times_ms: Sequence[int] = TIMES_MS) -> list[Frame]:
    rng = np.random.default_rng(bit_depth)
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    images = rng.integers(1, 2**bit_depth, (len(times_ms), *SHAPE)).astype(dtype)
    return [
        Frame(image, 7 + 2 * number, 10**12 + times_ms[number] * MS, 0.004, bit_depth, f"p{number}" if number else None)
        for number, image in enumerate(images)
    ]


def recorded(root: Path, originals: Sequence[Frame], metadata: Mapping[str, object]) -> Path:
    """Write a recording as the live view does, and return its folder."""
    channel: Channel[RecordItem] = Channel("recording", 16, Overflow.FAIL)
    recorder = Recorder(root, "cells", metadata, channel)
    stage = Stage("recorder", recorder.run)
    stage.start()
    for frame in originals:
        channel.put(RecordItem(frame, np.zeros((2, 2), np.float32), "model", "engine", 0.0))
    channel.close()
    assert stage.join(20)
    assert stage.error is None
    assert recorder.path is not None
    return recorder.path


def dataset(root: Path, originals: Sequence[Frame], metadata: Mapping[str, object], dtype: str | None = None) -> Path:
    arrays = [ArraySpec("speckle", SHAPE, dtype or originals[0].pixels.dtype.name), ArraySpec("phase", (2, 2), "float32")]
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="cells", arrays=arrays, metadata=metadata)
    with ArchiveWriter.create(root, spec, len(originals), shard_bytes=2 * SHAPE[0] * SHAPE[1]) as writer:
        for frame in originals:
            images = {"speckle": frame.pixels.astype(arrays[0].dtype), "phase": np.zeros((2, 2), np.float32)}
            writer.append(images, PairRow.of_frame(frame))
    return writer.path


def same(replayed: Frame, original: Frame) -> bool:
    facts = [(f.index, f.t_ns, f.exposure_s, f.bit_depth, f.pattern_id) for f in (replayed, original)]
    same_pixels = np.array_equal(replayed.pixels, original.pixels) and replayed.pixels.dtype == original.pixels.dtype
    return facts[0] == facts[1] and same_pixels


@pytest.mark.parametrize("bit_depth", [8, 12])
class TestReplayedRecording(CameraContract, FreeRunOnlyContract):
    @pytest.fixture
    def subject(self, archive_root: Path, bit_depth: int) -> Iterator[Subject]:
        path = recorded(archive_root, frames(bit_depth, range(0, 200, 20)), {"bit_depth": bit_depth})
        clock = VirtualClock()
        camera = ReplayCamera(RecordedFrames.open(path), clock=clock)
        yield Subject(camera, clock, TriggerMode.FREE_RUN)
        camera.close()


@pytest.mark.parametrize(
    ("bit_depth", "metadata"), [(8, {"bit_depth": 8}), (8, {}), (10, {"bit_depth": 10}), (16, {})], ids=str
)
@pytest.mark.parametrize("write", [recorded, dataset])
def test_frames_read_back_as_they_were_written(
    archive_root: Path, write: Callable[..., Path], bit_depth: int, metadata: Mapping[str, object]
) -> None:
    originals = frames(bit_depth)
    replayed = RecordedFrames.open(write(archive_root, originals, metadata))
    assert len(replayed) == len(originals)
    assert all(same(*pair) for pair in zip(replayed, originals, strict=True))
    assert replayed.times_ns.tolist() == [frame.t_ns for frame in originals]
    assert same(replayed[-1], originals[-1])


def test_the_cameras_own_time_comes_back(archive_root: Path) -> None:
    originals = [replace(frame, device_ns=frame.t_ns + 5) for frame in frames()]
    replayed = RecordedFrames.open(dataset(archive_root, originals, {}))
    assert [frame.device_ns for frame in replayed] == [frame.device_ns for frame in originals]


def test_a_recording_is_replayed_at_its_own_times(archive_root: Path) -> None:
    originals = frames()
    clock = VirtualClock()
    camera = ReplayCamera(RecordedFrames.open(recorded(archive_root, originals, {})), clock=clock)
    camera.arm(TriggerMode.FREE_RUN)
    received = [camera.read(1.0) for _ in range(2 * len(originals))]
    assert [(later.t_ns - earlier.t_ns) // MS for earlier, later in pairwise(received)] == [
        20,
        20,
        260,
        20,
        80,
        20,
        20,
        260,
        20,
    ]
    assert all(np.array_equal(frame.pixels, originals[number % 5].pixels) for number, frame in enumerate(received))
    assert [frame.pattern_id for frame in received[:3]] == [None, "p1", "p2"]


def test_a_damaged_image_is_an_error_of_the_archive_and_a_failed_frame_of_the_camera(archive_root: Path) -> None:
    originals = frames()
    path = dataset(archive_root, originals, {})
    shard = path / "data.zarr" / "speckle" / "c.1.0.0"  # frames 2 and 3
    data = bytearray(shard.read_bytes())
    data[10] ^= 0xFF
    shard.write_bytes(data)
    replayed = RecordedFrames.open(path)
    with pytest.raises(StorageError, match=r"row 2 .* differs from what was written \(CRC-32\)"):
        replayed[2]
    camera = ReplayCamera(replayed, clock=VirtualClock())
    camera.arm(TriggerMode.FREE_RUN)
    assert [camera.read(1.0).index for _ in range(2)] == [0, 1]
    with pytest.raises(FrameFailedError, match=r"frame 2 of the recording cannot be read: row 2 .* differs"):
        camera.read(1.0)
    frame = camera.read(1.0)
    assert frame.index == 3
    assert np.array_equal(frame.pixels, originals[3].pixels)
    assert camera.counters == CameraCounters(0, 3, 1)


def test_opening_reads_no_image_and_the_camera_only_the_first(archive_root: Path) -> None:
    path = dataset(archive_root, frames(), {})
    for shard in (path / "data.zarr" / "speckle").glob("c.*"):
        if shard.name != "c.0.0.0":
            shard.unlink()
    assert ReplayCamera(RecordedFrames.open(path)).capabilities.shape == SHAPE


def test_a_dataset_resumed_after_a_restart_of_the_host_needs_a_stated_period(archive_root: Path) -> None:
    replayed = RecordedFrames.open(dataset(archive_root, frames(times_ms=[500, 520, 0, 20]), {}))
    with pytest.raises(DeviceError, match=r"frame 2 comes 0\.52 s before frame 1; set period_s"):
        ReplayCamera(replayed)
    camera = ReplayCamera(replayed, 0.02, VirtualClock())
    camera.arm(TriggerMode.FREE_RUN)
    assert [camera.read(1.0).index for _ in range(4)] == [0, 1, 2, 3]


def test_an_empty_archive_is_refused(archive_root: Path) -> None:
    replayed = RecordedFrames.open(dataset(archive_root, [], {}, "uint8"))
    assert len(replayed) == 0
    with pytest.raises(DeviceError, match="got 0"):
        ReplayCamera(replayed)


@pytest.mark.parametrize(
    ("dtype", "bit_depth"), [("uint8", 12), ("uint16", 8), ("uint16", 17), ("uint8", "8"), ("uint16", None)], ids=str
)
def test_metadata_that_does_not_fit_is_refused(archive_root: Path, dtype: str, bit_depth: object) -> None:
    path = dataset(archive_root, frames(), {"bit_depth": bit_depth}, dtype)
    assert yaml.safe_load((path / "metadata.yaml").read_text())["bit_depth"] == bit_depth
    with pytest.raises(StorageError, match=f"bit_depth .* does not fit {dtype}; correct the metadata"):
        RecordedFrames.open(path)


def test_an_archive_without_camera_frames_is_refused(archive_root: Path) -> None:
    with pytest.raises(StorageError, match="'speckle' is float32; camera frames are uint8 or uint16"):
        RecordedFrames.open(dataset(archive_root, frames(), {}, "float32"))
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="x", arrays=[ArraySpec("phase", (2, 2), "float32")])
    with ArchiveWriter.create(archive_root, spec, 1) as writer:
        pass
    with pytest.raises(StorageError, match="no array 'speckle'"):
        RecordedFrames.open(writer.path)
    with pytest.raises(StorageError, match="no such folder"):
        RecordedFrames.open(archive_root / "none")
