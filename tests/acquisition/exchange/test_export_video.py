"""Exported videos last as long as the recording, show every frame at its time, and look right in other programs."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.archive.kinds import ArchiveKind, EventKind
from acquisition.archive.recording_faults import marker
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.exchange.export import ExportFormat, export
from acquisition.exchange.export_base import ExportError
from acquisition.exchange.formats.video_clock import frame_times, mp4_rate, set_matroska_clock
from acquisition.exchange.verify_export import verify_export

VIDEOS = [ExportFormat.FFV1, ExportFormat.VIEWING_MP4]
SHAPE = (16, 24)
S = 10**9


def recording(
    root: Path, t_ns: list[int], *, bit_depth: int | None = 12, brightest: int = 4095, missing: tuple[int, ...] = ()
) -> Archive:
    """Return a recording in which the phase of the frames ``missing`` is NaN, and all others have the same phase."""
    arrays = [ArraySpec("speckle", SHAPE, "uint16"), ArraySpec("phase", SHAPE, "float32", compress=True)]
    metadata = {} if bit_depth is None else {"bit_depth": bit_depth}
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=arrays, metadata=metadata)
    rng = np.random.default_rng(2)
    phase = rng.uniform(0, 2, SHAPE).astype(np.float32)
    with ArchiveWriter.create(root, spec, len(t_ns)) as writer:
        for k, t in enumerate(t_ns):
            speckle = rng.integers(0, brightest, SHAPE, endpoint=True).astype(np.uint16)
            speckle[0, 0] = brightest
            shown = np.full_like(phase, np.nan) if k in missing else phase
            writer.append({"speckle": speckle, "phase": shown}, PairRow(frame_index=k, t_ns=t, exposure_s=1e-6))
    return Archive.open(writer.path)


def shown_s(path: Path) -> tuple[list[float], float]:
    """Return when each frame is shown, and how long the video lasts, as any FFmpeg program sees it."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        times = [float((frame.pts or 0) * stream.time_base) for frame in container.decode(stream)]
        assert container.duration is not None
        return times, container.duration / av.time_base


@pytest.mark.parametrize("video", VIDEOS)
@pytest.mark.parametrize(
    ("step_s", "stalls"),
    [
        (0.04, {}),
        (0.01, {3: 0.5, 6: 0.5}),  # the median says nothing about how long it lasted
        (1 / 1500, {}),
        (12e-6, {5: 0.2}),
        (90 * 60.0, {2: 3 * 86_400.0}),
    ],
)
def test_every_frame_is_shown_when_it_was_recorded(
    tmp_path: Path, video: ExportFormat, step_s: float, stalls: dict[int, float]
) -> None:
    steps_ns = [round((stalls.get(k, 0) + step_s) * S) for k in range(8)]
    expected_s = np.cumsum([0, *steps_ns]) / S
    [path] = export(recording(tmp_path, (2**61 + np.cumsum([0, *steps_ns])).tolist()), tmp_path / "out", [video])
    times_s, duration_s = shown_s(path)
    tolerance_s = 1e-6 if step_s < 60 else 1e-3
    np.testing.assert_allclose(times_s, expected_s, rtol=0, atol=tolerance_s)
    assert duration_s == pytest.approx(expected_s[-1] + step_s, abs=2 * tolerance_s)
    assert verify_export(path).ok


@pytest.mark.parametrize("video", VIDEOS)
def test_opencv_sees_the_same_times(tmp_path: Path, video: ExportFormat) -> None:
    t_ns = [0, 20_000_000, 40_000_000, 540_000_000, 560_000_000]
    [path] = export(recording(tmp_path, t_ns), tmp_path / "out", [video])
    reader = cv2.VideoCapture(str(path))
    times_ms = []
    while reader.read()[0]:
        times_ms.append(reader.get(cv2.CAP_PROP_POS_MSEC))
    assert times_ms == pytest.approx([t * 1e-6 for t in t_ns])
    assert reader.get(cv2.CAP_PROP_FRAME_COUNT) / reader.get(cv2.CAP_PROP_FPS) == pytest.approx(0.58, rel=1e-3)


@pytest.mark.parametrize("video", VIDEOS)
@pytest.mark.parametrize(
    ("t_ns", "expected_s", "comment"),
    [
        ([7], [0.0], "one frame a second is a placeholder"),
        ([0, 0, 0], [0.0, 1.0, 2.0], "one frame a second is a placeholder"),
        ([9 * S, 10 * S, 2 * S, 3 * S], [0.0, 1.0, 2.0, 3.0], "1 unknown intervals have the median"),
    ],
)
def test_unknown_times_are_stated(
    tmp_path: Path, video: ExportFormat, t_ns: list[int], expected_s: list[float], comment: str
) -> None:
    [path] = export(recording(tmp_path, t_ns), tmp_path / "out", [video])
    assert shown_s(path)[0] == pytest.approx(expected_s)
    with av.open(str(path)) as container:
        assert comment in str(container.metadata)


@pytest.mark.parametrize(
    ("bit_depth", "brightest", "pixel_format"),
    [
        (9, 511, "gray10le"),  # VLC does not play gray9le
        (10, 1023, "gray10le"),
        (12, 4095, "gray12le"),
        (14, 16383, "gray14le"),
        (16, 65535, "gray16le"),
        (11, 2047, "gray12le"),
        (None, 4095, "gray16le"),
        (10, 4095, "gray16le"),  # more than the metadata state: nothing is cut off
    ],
)
def test_counts_are_exact_and_the_brightest_is_white_elsewhere(
    tmp_path: Path, bit_depth: int | None, brightest: int, pixel_format: str
) -> None:
    archive = recording(tmp_path, [0, S, 2 * S], bit_depth=bit_depth, brightest=brightest)
    [path] = export(archive, tmp_path / "out", ["ffv1"])
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert {frame.format.name for frame in frames} == {pixel_format}
    for k, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.to_ndarray(), archive.read("speckle", k))
    if pixel_format.startswith(f"gray{bit_depth}"):
        assert frames[0].to_ndarray(format="gray16le").max() > 65_000
        image = cv2.VideoCapture(str(path)).read()[1]
        assert image.mean() > 100


def test_a_frame_without_phase_shows_the_phase_before_it(tmp_path: Path) -> None:
    archive = recording(tmp_path, [k * S for k in range(6)], missing=(0, 2, 3))
    [path] = export(archive, tmp_path / "out", ["viewing-mp4"])
    with av.open(str(path)) as container:
        comment = container.metadata["comment"]
        brightness = [frame.to_ndarray(format="gray").mean() for frame in container.decode(video=0)]
    assert "a frame without phase shows the phase before it" in comment
    np.testing.assert_allclose(brightness[1:], brightness[1], atol=2)
    assert brightness[0] > 50  # nothing came before: one even colour, not black


def test_the_index_of_mp4_comes_first_so_that_browsers_start_at_once(tmp_path: Path) -> None:
    [path] = export(recording(tmp_path, [0, S]), tmp_path / "out", ["viewing-mp4"])
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@settings(deadline=None)
@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=9), st.sampled_from([1, 1000, 90_000, 1_000_000]))
def test_frames_never_share_a_time_and_never_move_by_more_than_they_must(t_ns: list[int], rate: int) -> None:
    kept_ns = [t % 2**52 for t in t_ns]
    times = frame_times(kept_ns)
    ticks = times.ticks(rate)
    assert len(ticks) == len(t_ns) + 1
    assert ticks[0] == 0
    assert (np.diff(ticks) >= 1).all()
    assert mp4_rate(times) in (1, 1000, 90_000, 1_000_000)
    steps_ns = np.diff(kept_ns)
    if (steps_ns > S / rate).all():  # no two frames fall on one tick
        moved_ns = ticks[:-1] * (S / rate) - (np.array(kept_ns) - kept_ns[0])
        assert (abs(moved_ns) <= 0.51 * S / rate).all()
    assert 0 < times.mean_rate.numerator < 2**31
    assert 0 < times.mean_rate.denominator < 2**31


def test_another_matroska_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    path.write_bytes(b"\x1a\x45\xdf\xa3" + bytes(100))
    with pytest.raises(ExportError, match=r"another Matroska header into x\.mkv"):
        set_matroska_clock(path, S)


@pytest.mark.parametrize("video", VIDEOS)
def test_markers_are_chapters_that_a_player_jumps_to(tmp_path: Path, video: ExportFormat) -> None:
    archive = recording(tmp_path, [k * S // 10 for k in range(10)])
    with ArchiveWriter.resume(archive.path) as writer:
        for text, frame in (("acid added", 3), ("\u00fc: washed", 7), ("after the last frame", 99)):
            writer.event(EventKind.MARKER, marker(text, frame).event_text())
        writer.complete()
    [path] = export(Archive.open(archive.path), tmp_path / "out", [video])
    with av.open(str(path)) as container:
        chapters = [
            (chapter["metadata"]["title"], float(chapter["start"] * (chapter["time_base"] or 0)))
            for chapter in container.chapters()
        ]
        assert len(container.streams.video) == 1
    assert chapters[0] == ("beginning of the recording", 0.0)
    assert chapters[1:] == [("acid added", 0.3), ("\u00fc: washed", 0.7), ("after the last frame", 0.9)]
    times_s, duration_s = shown_s(path)
    np.testing.assert_allclose(times_s, np.arange(10) / 10, atol=1e-6)
    assert duration_s == pytest.approx(1.0, abs=2e-3)
    assert verify_export(path).ok
