"""The programs ffmpeg and ffprobe of the system see exported videos as they were recorded, also in older versions than ours."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.exchange.export import ExportFormat, export

PROGRAMS = [shutil.which(name) for name in ("ffmpeg", "ffprobe")]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(None in PROGRAMS, reason="no FFmpeg: run `apt-get install --no-install-recommends ffmpeg` as root"),
]
SHAPE = (16, 24)
#: The third frame comes half a second late.
TIMES_S = (0.0, 0.1, 0.2, 0.7, 0.8)


def recording(root: Path, bit_depth: int) -> Archive:
    arrays = [
        ArraySpec("speckle", SHAPE, "uint8" if bit_depth == 8 else "uint16"),
        ArraySpec("phase", SHAPE, "float32", compress=True),
    ]
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=arrays, metadata={"bit_depth": bit_depth})
    rng = np.random.default_rng(bit_depth)
    with ArchiveWriter.create(root, spec, len(TIMES_S)) as writer:
        for k, time_s in enumerate(TIMES_S):
            speckle = rng.integers(0, 2**bit_depth, SHAPE).astype(arrays[0].dtype)
            speckle[0, 0] = 2**bit_depth - 1
            images = {"speckle": speckle, "phase": rng.uniform(0, 2, SHAPE).astype(np.float32)}
            writer.append(images, PairRow(frame_index=k, t_ns=round(time_s * 1e9), exposure_s=0.01))
    return Archive.open(writer.path)


@pytest.mark.parametrize("video", [ExportFormat.FFV1, ExportFormat.VIEWING_MP4])
def test_ffprobe_sees_the_time_of_every_frame_and_the_whole_duration(tmp_path: Path, video: ExportFormat) -> None:
    [path] = export(recording(tmp_path, 12), tmp_path / "out", [video])
    entries = "frame=pts_time:format=duration"
    command = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "json", str(path)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert [float(frame["pts_time"]) for frame in said["frames"]] == pytest.approx(TIMES_S, abs=2e-6)
    assert float(said["format"]["duration"]) == pytest.approx(0.9, abs=2e-6)


@pytest.mark.parametrize("bit_depth", [8, 9, 10, 12, 14, 16])
def test_ffmpeg_decodes_the_counts_of_ffv1(tmp_path: Path, bit_depth: int) -> None:
    archive = recording(tmp_path, bit_depth)
    [path] = export(archive, tmp_path / "out", [ExportFormat.FFV1])
    command = ["ffmpeg", "-v", "quiet", "-i", str(path), "-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    frames = np.frombuffer(raw, np.uint8 if bit_depth == 8 else "<u2").reshape(-1, *SHAPE)
    expected = np.stack([archive.read("speckle", k) for k in range(len(TIMES_S))])
    if bit_depth == 14 and frames.max() == 65535:  # FFmpeg 5.1 knows no grey of 14 bits, and scales it to 16
        frames = frames >> 2
    np.testing.assert_array_equal(frames, expected)
