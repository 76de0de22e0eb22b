"""UVC cameras and video files through OpenCV: lost frames, drivers that hang, and damaged files are reported.

Tests have no UVC camera, so ``cv2.VideoCapture`` is replaced by captures that block or fail as real ones do. Video files are
real.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.base import CameraCounters, DeviceError, DeviceLostError, DeviceTimeoutError, FrameFailedError, TriggerMode
from drivers.clock import RealClock, VirtualClock
from drivers.opencv.camera import OpenCvCamera, OpenCvConfig, list_opencv_cameras, open_opencv, open_uvc
from drivers.opencv.reader import QUEUE_FRAMES
from drivers.recorded.replay import ReplayCamera
from drivers.recorded.video_file import VideoFile
from drivers.testing.videos import SHAPE, random_colours, smooth_colours, write_mjpeg

MS = 1_000_000
GRACE_S = 5.0  # a busy host


# ---- UVC: a camera that is controlled frame by frame


class ScriptedCapture:
    """Delivers the images of a script and then blocks; an exception in the script is raised."""

    def __init__(self, *script: Any, opens: bool = True) -> None:
        self._script: queue.Queue[Any] = queue.Queue()
        self._unread = False
        self._opens = opens
        self.requested: dict[int, float] = {}
        self.released = threading.Event()
        self.add(*script)

    def add(self, *script: Any) -> None:
        for item in script:
            self._script.put(item)

    def play(self, *script: Any) -> None:
        """Return when the camera has processed every frame of the script and waits for the next."""
        self.add(*script)
        self._script.join()

    def isOpened(self) -> bool:
        return self._opens

    def get(self, prop: int, /) -> float:
        return self.requested.get(prop, 0.0)

    def set(self, prop: int, value: float, /) -> bool:
        self.requested[prop] = value
        return True

    def read(self) -> tuple[bool, Any]:
        if self._unread:
            self._script.task_done()
        item = self._script.get()
        self._unread = True
        if isinstance(item, Exception):
            raise item
        return item is not None, item

    def release(self) -> None:
        self.released.set()


@contextmanager
def scripted(*captures: ScriptedCapture, lost_after_s: float = GRACE_S, **settings: Any) -> Iterator[OpenCvCamera]:
    """Open a camera on the first of ``captures``; every reconnection takes the next one."""
    remaining = iter(captures)

    def open_capture(config: OpenCvConfig) -> ScriptedCapture:
        try:
            return next(remaining)
        except StopIteration:
            raise DeviceError("there is no camera /dev/video0; plug it in") from None

    config = OpenCvConfig(exposure_s=1e-9, lost_after_s=lost_after_s, **settings)
    with OpenCvCamera(config, open_capture=open_capture) as camera:
        try:
            yield camera
        finally:
            for capture in captures:
                capture.add(None)  # ends a thread that still waits


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start_s = time.monotonic()
    yield
    assert time.monotonic() - start_s < seconds + GRACE_S


def test_colour_becomes_grey_and_grey_stays_exact() -> None:
    colour, flat = random_colours(1), random_colours(2)[:, :, 0]
    capture = ScriptedCapture(random_colours(0))
    with scripted(capture) as camera:
        camera.arm(TriggerMode.FREE_RUN)
        capture.play(colour, cv2.merge([flat, flat, flat]), flat, flat[:, :, None])
        assert np.array_equal(camera.read(0.0).pixels, cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY))
        for _ in range(3):
            assert np.array_equal(camera.read(0.0).pixels, flat)


def test_settings_are_requested_at_opening_and_at_reconnecting() -> None:
    captures = ScriptedCapture(random_colours(0)), ScriptedCapture(random_colours(1))
    settings = {cv2.CAP_PROP_FRAME_WIDTH: 16, cv2.CAP_PROP_FRAME_HEIGHT: 12, cv2.CAP_PROP_FPS: 60.0}
    with scripted(*captures, width=16, height=12, fps=60.0) as camera:
        assert captures[0].requested == settings
        captures[0].add(None)
        camera.reconnect()
        assert captures[0].released.is_set()
        assert captures[1].requested == settings


def test_without_settings_the_camera_keeps_its_own() -> None:
    capture = ScriptedCapture(random_colours(0))
    with scripted(capture):
        assert not capture.requested


def test_frames_that_are_not_read_are_counted_and_reported_in_their_place() -> None:
    capture = ScriptedCapture(random_colours(0))
    with scripted(capture) as camera:
        camera.arm(TriggerMode.FREE_RUN)
        capture.play(*(random_colours(k) for k in range(QUEUE_FRAMES + 3)))
        assert [camera.read(0.0).index for _ in range(2)] == [0, 1]
        capture.play(random_colours(100))
        assert [camera.read(0.0).index for _ in range(QUEUE_FRAMES - 2)] == list(range(2, QUEUE_FRAMES))
        assert camera.counters == CameraCounters(0, QUEUE_FRAMES, 0)
        with pytest.raises(FrameFailedError, match=f"3 frames from number {QUEUE_FRAMES} on .* lost; ask for fewer"):
            camera.read(0.0)
        assert camera.counters == CameraCounters(0, QUEUE_FRAMES, 3)
        after = camera.read(0.0)
        assert after.index == QUEUE_FRAMES + 3
        assert np.array_equal(after.pixels, cv2.cvtColor(random_colours(100), cv2.COLOR_BGR2GRAY))
        with pytest.raises(DeviceTimeoutError):
            camera.read(0.0)


def test_frames_that_arrive_while_it_is_not_armed_are_dropped() -> None:
    capture = ScriptedCapture(random_colours(0))
    with scripted(capture) as camera:
        capture.play(random_colours(1))
        camera.arm(TriggerMode.FREE_RUN)
        capture.play(random_colours(2))
        camera.disarm()
        capture.play(random_colours(3))
        camera.arm(TriggerMode.FREE_RUN)
        capture.play(random_colours(4))
        assert np.array_equal(camera.read(0.0).pixels, cv2.cvtColor(random_colours(4), cv2.COLOR_BGR2GRAY))
        assert camera.counters == CameraCounters(0, 1, 0)


def test_a_frame_whose_exposure_began_before_arming_is_dropped() -> None:
    capture = ScriptedCapture(random_colours(0))

    class Steps(RealClock):
        ns = 10**9

        def now_ns(self) -> int:
            return self.ns

    clock = Steps()
    config = OpenCvConfig(exposure_s=0.010)
    with OpenCvCamera(config, clock, lambda config: capture) as camera:
        camera.arm(TriggerMode.FREE_RUN)
        for later_ms in (9, 1):
            clock.ns += later_ms * MS
            capture.play(random_colours(later_ms))
        assert camera.read(0.0).t_ns == 10**9 + 10 * MS
        capture.add(None)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "camera 0 returned no frame; check its cable"),
        (cv2.error("select()\n  timed out"), r"camera 0 failed \(select\(\) timed out\); open it again"),
        (random_colours(0, (6, 8)), r"camera 0 delivered \(6, 8\) instead of \(12, 16\); open it again"),
        (np.zeros(SHAPE, np.uint16), r"got \(12, 16\) uint16; choose another pixel format"),
        (np.zeros((12, 16, 2), np.uint8), r"got \(12, 16, 2\) uint8; choose another pixel format"),
    ],
    ids=["no frame", "exception", "other size", "deep", "two channels"],
)
def test_a_camera_that_fails_is_lost_until_it_is_reconnected(item: Any, reason: str) -> None:
    captures = ScriptedCapture(random_colours(0)), ScriptedCapture(random_colours(1))
    with scripted(*captures) as camera:
        camera.arm(TriggerMode.FREE_RUN)
        captures[0].add(item)
        for _ in range(2):
            with within(0), pytest.raises(DeviceLostError, match=reason):
                camera.read(60.0)
        assert captures[0].released.wait(GRACE_S)
        camera.reconnect()
        camera.arm(TriggerMode.FREE_RUN)
        captures[1].play(random_colours(2))
        assert camera.read(0.0).index == 0


def test_it_stays_lost_while_it_is_disconnected() -> None:
    capture = ScriptedCapture(random_colours(0))
    with scripted(capture) as camera:
        capture.add(None)
        for call in (camera.reconnect, lambda: camera.read(0.0), lambda: camera.arm(TriggerMode.FREE_RUN), camera.reconnect):
            with pytest.raises(DeviceLostError, match="no camera /dev/video0; plug it in"):
                call()


def test_a_camera_that_comes_back_with_another_size_is_refused() -> None:
    with scripted(ScriptedCapture(random_colours(0)), ScriptedCapture(random_colours(0, (6, 8)))) as camera:
        with pytest.raises(DeviceLostError, match=r"\(6, 8\) instead of \(12, 16\)"):
            camera.reconnect()
        assert camera.capabilities.shape == SHAPE


def test_a_driver_that_hangs_keeps_every_deadline_and_is_abandoned() -> None:
    hung, fresh = ScriptedCapture(random_colours(0)), ScriptedCapture(random_colours(1))
    with scripted(hung, fresh, lost_after_s=0.5) as camera:
        camera.arm(TriggerMode.FREE_RUN)
        with within(0), pytest.raises(DeviceTimeoutError, match=r"within 0\.010 s"):
            camera.read(0.01)
        with within(0.5), pytest.raises(DeviceLostError, match=r"delivered nothing for 0\.5 s"):
            camera.read(60.0)
        with within(0.5):
            camera.reconnect()
        camera.arm(TriggerMode.FREE_RUN)
        # When the old call returns, its thread releases the capture and discards the frame.
        assert not hung.released.is_set()
        hung.add(random_colours(7))
        assert hung.released.wait(GRACE_S)
        fresh.play(random_colours(2))
        frame = camera.read(0.0)
        assert frame.index == 0
        assert np.array_equal(frame.pixels, cv2.cvtColor(random_colours(2), cv2.COLOR_BGR2GRAY))


def test_a_camera_that_was_lost_stays_lost_although_a_frame_comes_late() -> None:
    capture = ScriptedCapture(random_colours(0))
    with scripted(capture, lost_after_s=0.05) as camera:
        camera.arm(TriggerMode.FREE_RUN)
        with pytest.raises(DeviceLostError):
            camera.read(60.0)
        capture.add(random_colours(1))
        assert capture.released.wait(GRACE_S)
        with pytest.raises(DeviceLostError, match="delivered nothing"):
            camera.read(0.0)


def test_closing_a_camera_that_hangs_returns_and_releases_it_later() -> None:
    capture = ScriptedCapture(random_colours(0))
    with scripted(capture) as camera:
        with within(0.5):
            camera.close()
        assert not capture.released.is_set()
    assert capture.released.wait(GRACE_S)


@pytest.mark.parametrize(
    ("capture", "settings", "reason"),
    [
        (ScriptedCapture(opens=False), {}, "cannot be opened; close the program that uses it"),
        (ScriptedCapture(), {"lost_after_s": 0.05}, r"delivered nothing for 0\.05 s"),
        (ScriptedCapture(None), {}, "returned no frame"),
        (
            ScriptedCapture(random_colours(0)),
            {"width": 32, "height": 24},
            "delivers 16 x 12 pixels instead of 32 x 24; configure",
        ),
    ],
    ids=["refused", "hangs", "no frame", "wrong size"],
)
def test_a_camera_that_does_not_open_is_an_error(capture: ScriptedCapture, settings: dict[str, Any], reason: str) -> None:
    with within(1), pytest.raises(DeviceError, match=reason) as caught, scripted(capture, **settings):
        pass
    assert not isinstance(caught.value, DeviceLostError)
    assert "\n" not in str(caught.value)


def test_a_missing_device_is_an_error_of_one_line_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for source in ("98765", "/dev/video98765"):
        with pytest.raises(DeviceError, match=r"^there is no camera /dev/video98765; plug it in, .*\(found: .*\)$"):
            open_opencv(OpenCvConfig(source))
    assert capfd.readouterr() == ("", "")


def test_devices_are_listed_without_opening_them(tmp_path: Path) -> None:
    for node, index, name in (("video10", 0, "Endoscope: left"), ("video2", 0, "Webcam"), ("video3", 1, "Webcam")):
        (tmp_path / node).mkdir()
        (tmp_path / node / "index").write_text(f"{index}\n")
        (tmp_path / node / "name").write_text(f"{name}\n")
    assert list_opencv_cameras(tmp_path) == ["2 Webcam", "10 Endoscope: left"]
    assert list_opencv_cameras(tmp_path / "none") == []


@pytest.mark.parametrize("source", ["rtsp://192.168.0.9/live", "http://localhost/x.m3u8", "gst:videotestsrc", "concat:a|b"])
def test_addresses_and_pipelines_are_no_source(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeviceError, match="no video file"):
        open_opencv(OpenCvConfig(source))


@pytest.mark.skipif(sys.platform != "linux", reason="device files are those of Linux")
@pytest.mark.parametrize("source", ["/dev/null", "/dev/../dev/zero", "/dev/shm/../zero", "/dev/stdin"])
def test_a_device_that_is_no_camera_is_not_opened(source: str) -> None:
    with pytest.raises(DeviceError, match="is no camera"):
        open_uvc(OpenCvConfig(source))


def test_a_video_in_the_memory_of_linux_is_a_file() -> None:
    assert OpenCvConfig("/dev/shm/speckle.avi").device is None


@pytest.mark.parametrize(
    "settings",
    [
        {"source": ""},
        {"bit_depth": 12},
        {"width": 640},
        {"width": -1, "height": -1},
        {"fps": -1.0},
        {"fps": float("nan")},
        {"exposure_s": 0.0},
        {"exposure_s": 6.0},
        {"lost_after_s": float("inf")},
    ],
    ids=str,
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        OpenCvConfig(**settings)


# ---- video files


def ffv1(folder: Path, images: Sequence[NDArray[Any]], times_ms: Sequence[int], pixel_format: str = "gray") -> Path:
    path = folder / "video.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = images[0].shape
        stream.pix_fmt = pixel_format
        for image, time_ms in zip(images, times_ms, strict=True):
            grey = pixel_format if pixel_format.startswith("gray") else "gray"
            frame = av.VideoFrame.from_ndarray(image, format=grey).reformat(format=pixel_format)
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("bits", "pixel_format"), [(10, "gray10le"), (12, "gray12le"), (16, "gray16le")])
def test_grey_of_more_than_8_bits_plays_with_its_counts(tmp_path: Path, bits: int, pixel_format: str) -> None:
    rng = np.random.default_rng(bits)
    images = [rng.integers(0, 2**bits, (48, 64)).astype(np.uint16) for _ in range(3)]
    camera, _ = playing(ffv1(tmp_path, images, [0, 40, 80], pixel_format))
    assert camera.capabilities.bit_depths == (bits,)
    for image in images:
        frame = camera.read(1.0)
        assert frame.bit_depth == bits
        np.testing.assert_array_equal(frame.pixels, image)


def greys(count: int) -> list[NDArray[np.uint8]]:
    return [random_colours(number)[:, :, 0] for number in range(count)]


def playing(path: Path, **settings: Any) -> tuple[ReplayCamera, VirtualClock]:
    clock = VirtualClock()
    camera = open_opencv(OpenCvConfig(str(path), **settings), clock)
    assert isinstance(camera, ReplayCamera)
    camera.arm(TriggerMode.FREE_RUN)
    return camera, clock


def test_a_lossless_file_is_replayed_bit_for_bit_at_its_own_uneven_times_and_repeated(tmp_path: Path) -> None:
    images, times_ms = greys(5), [120, 160, 200, 520, 560]
    camera, clock = playing(ffv1(tmp_path, images, times_ms), exposure_s=0.003)
    mean_ms, armed_ns = 110, clock.now_ns()
    for lap in range(3):
        for number, image in enumerate(images):
            frame = camera.read(1.0)
            due_ms = mean_ms + lap * (440 + mean_ms) + times_ms[number] - times_ms[0]
            assert np.array_equal(frame.pixels, image)
            assert (frame.index, frame.t_ns) == (5 * lap + number, armed_ns + due_ms * MS)
            assert (frame.exposure_s, frame.bit_depth) == (0.003, 8)


def test_a_colour_file_becomes_grey_with_the_weights_of_rec_601(tmp_path: Path) -> None:
    path = write_mjpeg(tmp_path, 4, fps=20)
    camera, clock = playing(path)
    armed_ns = clock.now_ns()
    for number in range(4):
        frame = camera.read(1.0)
        expected = cv2.cvtColor(smooth_colours(number), cv2.COLOR_BGR2GRAY)
        assert np.abs(frame.pixels.astype(int) - expected).mean() < 2
        assert frame.t_ns - armed_ns == 50 * MS * (number + 1)


def test_frames_can_be_read_in_any_order(tmp_path: Path) -> None:
    images = greys(6)
    video = VideoFile(ffv1(tmp_path, images, range(0, 240, 40)), 0.01)
    for number in (4, 0, 2, 2, 1, -1, 3):
        assert np.array_equal(video[number].pixels, images[number])
        assert video[number].t_ns == number % 6 * 40 * MS
    assert [int(frame.pixels[0, 0]) for frame in video] == [int(image[0, 0]) for image in images]
    with pytest.raises(IndexError):
        video[6]


def test_a_file_may_end_and_may_have_another_rate(tmp_path: Path) -> None:
    camera, clock = playing(ffv1(tmp_path, greys(3), [0, 500, 900]), loop=False, fps=100.0)
    armed_ns = clock.now_ns()
    assert [camera.read(1.0).t_ns - armed_ns for _ in range(3)] == [10 * MS, 20 * MS, 30 * MS]
    with pytest.raises(DeviceError, match="ended after 3 frames; arm again"):
        camera.read(1.0)


def damaged_mp4(folder: Path) -> Path:
    """Six frames that are coded independently; the data of the third are zeros."""
    path = folder / "video.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt, stream.gop_size = 48, 64, "yuv420p", 1
        for number in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(smooth_colours(number), format="bgr24")))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        at, size = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size][2]
    assert at is not None
    data = bytearray(path.read_bytes())
    data[at : at + size] = bytes(size)
    path.write_bytes(data)
    return path


def test_a_damaged_frame_is_failed_and_the_others_keep_their_numbers_and_times(tmp_path: Path) -> None:
    camera, clock = playing(damaged_mp4(tmp_path))
    armed_ns = clock.now_ns()
    for number in (0, 1, 3, 4, 5):
        if number == 3:
            with pytest.raises(FrameFailedError, match=r"frame 2 of .* cannot be decoded; restore"):
                camera.read(1.0)
        frame = camera.read(1.0)
        assert (frame.index, frame.t_ns - armed_ns) == (number, 40 * MS * (number + 1))
        assert np.abs(cv2.cvtColor(smooth_colours(number), cv2.COLOR_BGR2GRAY).astype(int) - frame.pixels).mean() < 8
    assert camera.counters == CameraCounters(0, 5, 1)


def raw_stream(folder: Path, suffix: str, codec: str) -> Path:
    """A stream of six grey steps without a container, so without times."""
    path = folder / f"pi{suffix}"
    with av.open(str(path), "w", format=suffix[1:]) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height = stream.width = 64
        stream.pix_fmt = "yuv420p"
        for grey in range(20, 260, 40):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64), grey, np.uint8), format="gray")
            container.mux(stream.encode(picture.reformat(format="yuv420p")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("suffix", "codec"), [(".h264", "libx264"), (".hevc", "libx265")])
def test_a_raw_stream_without_times_plays_at_the_rate_that_the_message_asks_for(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    if codec not in av.codec.codecs_available:
        pytest.skip(f"this PyAV has no {codec} to write the file with")
    path = raw_stream(tmp_path, suffix, codec)
    with pytest.raises(DeviceError, match=r"has 6 frames without times; state their rate: fps in the section opencv"):
        open_opencv(OpenCvConfig(str(path)))
    camera, clock = playing(path, fps=10.0)
    armed_ns = clock.now_ns()
    shown = [camera.read(1.0) for _ in range(7)]
    assert [round(float(frame.pixels.mean()), -1) for frame in shown] == [20, 60, 100, 140, 180, 220, 20]
    assert [frame.t_ns - armed_ns for frame in shown] == [100 * MS * (number + 1) for number in range(7)]
    assert VideoFile(path, 0.01, period_s=3600.0)[5].t_ns == 5 * 3600 * 10**9


def foreign_video(folder: Path, old: bytes, new: bytes) -> Path:
    """A video in which some bytes stand for others."""
    path = write_mjpeg(folder, 3, fps=20)
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    return path


def test_metadata_that_is_no_text_does_not_matter(tmp_path: Path) -> None:
    assert len(VideoFile(foreign_video(tmp_path, b"Lavf", b"\xff\xfe\xf0\xb0"), 0.01)) == 3


def test_a_video_of_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="contains no video frames; choose another file"):
        VideoFile(foreign_video(tmp_path, b"MJPG", b"ZQXY"), 0.01)


def play_list(folder: Path) -> Path:
    """A text that FFmpeg would follow to another file."""
    ffv1(folder, greys(2), [0, 40])
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nvideo.mkv\n#EXT-X-ENDLIST\n"
    (folder / "list.mkv").write_text(text)
    return folder / "list.mkv"


def list_of_parts(folder: Path) -> Path:
    ffv1(folder, greys(2), [0, 40])
    (folder / "parts.mkv").write_text("ffconcat version 1.0\nfile video.mkv\n")
    return folder / "parts.mkv"


def text_file(folder: Path) -> Path:
    (folder / "video.txt").write_text("no video")
    return folder / "video.txt"


def empty_file(folder: Path) -> Path:
    (folder / "video.avi").touch()
    return folder / "video.avi"


def sound_file(folder: Path) -> Path:
    path = folder / "sound.mka"
    with av.open(str(path), "w", format="matroska") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("make", "settings", "reason"),
    [
        (lambda folder: folder / "none.avi", {}, "no video file .*none.avi; check the path"),
        (lambda folder: folder, {}, "no video file .*; check the path"),
        (text_file, {}, r"cannot be read as a video \(.*\); choose another file"),
        (play_list, {}, r"cannot be read as a video \(.*\); choose another file"),
        (list_of_parts, {}, r"cannot be read as a video \(.*\); choose another file"),
        (empty_file, {}, r"cannot be read as a video \(.*\); choose another file"),
        (sound_file, {}, "contains no video; choose another file"),
        (
            lambda folder: ffv1(folder, greys(2), [0, 40], pixel_format="yuv420p10le"),
            {},
            "has 10 bits per colour, of which 8 are read; convert it to 8 bits, or to grey",
        ),
        (
            lambda folder: write_mjpeg(folder, 2, 25),
            {"width": 64, "height": 64},
            "64 x 48 pixels instead of 64 x 64; configure",
        ),
    ],
    ids=["missing", "folder", "text", "play list", "list of parts", "empty", "sound", "16 bit", "wrong size"],
)
def test_an_unusable_file_is_an_error_of_one_line_with_a_remedy(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
    settings: dict[str, Any],
    reason: str,
) -> None:
    path = make(tmp_path)
    with pytest.raises(DeviceError, match=reason) as caught:
        open_opencv(OpenCvConfig(str(path), **settings))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
