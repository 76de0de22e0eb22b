"""Archives as video: lossless FFV1, and lossy H.264 in colours, which is only for viewing, with the time of every frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.codec
import numpy as np
from numpy.typing import NDArray

from acquisition.archive.reader import Archive
from acquisition.archive.recording_faults import markers
from acquisition.exchange.export_base import ExportError, display_range, images, pixel_um, recording_summary
from acquisition.exchange.formats.film_picture import FilmLook, FilmPainter
from acquisition.exchange.formats.video_clock import MATROSKA_RATE, FrameTimes, frame_times, mp4_rate, set_matroska_clock

if TYPE_CHECKING:
    from av.container.core import Chapter

#: Frames from which the colour range of the viewing video is computed.
_RANGE_SAMPLES = 32
#: FFmpeg's grey formats by their bits. Programs show the highest value as white. VLC does not play the one of 9 bits.
_GREY_FORMATS = {8: "gray", 10: "gray10le", 12: "gray12le", 14: "gray14le", 16: "gray16le"}
_NO_PHASE = 127
_BEGINNING = "beginning of the recording"
_NANOSECOND = Fraction(1, 10**9)


@dataclass(frozen=True, kw_only=True)
class _Encoding:
    """How a video is encoded.

    ``image_format`` is the pixel format of the images that are given, ``pixel_format`` the one in the file. One second has
    ``rate`` ticks, of which the muxer counts ``muxer_rate``.
    """

    container: str
    codec: str
    image_format: str
    pixel_format: str
    rate: int
    muxer_rate: int
    options: Mapping[str, str]
    container_options: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Film:
    """What a video shows, how large, when, and its comment."""

    frames: Iterator[NDArray[Any]]
    shape: tuple[int, ...]
    times: FrameTimes
    comment: str


def write_ffv1(archive: Archive, path: Path) -> None:
    """Write ``speckle`` as lossless grey video in Matroska, with the time of every frame in microseconds.

    The pixel format has the bits of the camera, or a few more, so that other programs show it bright.
    """
    bits = _speckle_bits(archive)
    pixel_format = _GREY_FORMATS[bits]
    encoding = _Encoding(
        container="matroska",
        codec="ffv1",
        image_format=pixel_format,
        pixel_format=pixel_format,
        rate=MATROSKA_RATE,
        muxer_rate=1000,
        # Every frame is independent and has a CRC, so that a damaged byte is detected and costs only one frame.
        options={"level": "3", "g": "1", "slicecrc": "1"},
        container_options={"write_crc32": "0"},  # the header is corrected afterwards
    )
    times = frame_times([row.t_ns for row in archive.rows()])
    comment = f"lossless counts of {bits} bits; {times.facts()}"
    film = _Film(frames=images(archive, "speckle"), shape=archive.spec("speckle").shape, times=times, comment=comment)
    _write_video(archive, path, encoding, film)
    set_matroska_clock(path, times.total_ns)


def _speckle_bits(archive: Archive) -> int:
    """Return the bits of the smallest grey format that holds every count."""
    if archive.spec("speckle").dtype == "uint8":
        return 8
    depth = archive.metadata.get("bit_depth")
    bits = next((bits for bits in _GREY_FORMATS if isinstance(depth, int) and 8 < depth <= bits), 16)
    # A dataset of another program may state fewer bits than it has.
    return bits if bits == 16 or all(image.max() < 2**bits for image in images(archive, "speckle")) else 16


def write_viewing_mp4(archive: Archive, name: str, look: FilmLook, path: Path) -> None:
    """Write an array in colours as lossy H.264; raises ExportError when no levels are given and no sampled value is finite.

    A pixel that has no phase keeps the colour that it had before, so that a frame without reconstruction does not flicker.
    """
    low, high = _film_levels(archive, name, look)
    scale = 255.0 / max(float(high - low), 1e-6)
    shape = archive.spec(name).shape
    times = frame_times([row.t_ns for row in archive.rows()])
    painter = FilmPainter(look, shape, pixel_um(archive, name))

    def coloured() -> Iterator[NDArray[Any]]:
        shown = np.full(shape, _NO_PHASE, np.uint8)
        for image, shown_ns in zip(images(archive, name), times.shown_ns, strict=True):
            known = np.isfinite(image)
            grey = np.clip((np.where(known, image, low) - low) * scale, 0, 255).astype(np.uint8)
            shown = np.where(known, grey, shown)
            yield painter.painted(shown, float(shown_ns) * 1e-9)

    unit = "counts" if name == "speckle" else "rad"
    facts = [f"{name} {low:.3f} to {high:.3f} {unit} in {look.colours}"]
    facts += ["a frame without phase shows the phase before it"] if name != "speckle" else []
    film = _Film(frames=coloured(), shape=painter.shape, times=times, comment="; ".join(["for viewing only: lossy", *facts]))
    _write_viewing(archive, path, film)


def _film_levels(archive: Archive, name: str, look: FilmLook) -> tuple[float, float]:
    if look.levels is not None:
        return look.levels
    if name == "speckle":
        return display_range(archive, name)
    sampled = np.linspace(0, len(archive) - 1, min(len(archive), _RANGE_SAMPLES)).astype(int)
    values = np.stack([archive.read(name, int(i))[::4, ::4] for i in sampled])
    values = values[np.isfinite(values)]  # a frame that was not reconstructed is NaN
    if not values.size:
        raise ExportError(f"{archive.path.name} holds no reconstructed {name!r}; export OME-TIFF or FFV1")
    low, high = np.percentile(values, (0.5, 99.5))
    return float(low), float(high)


def write_pictures(archive: Archive, pictures: Iterable[NDArray[Any]], comment: str, path: Path) -> None:
    """Write pictures that were painted elsewhere, one for each frame, as a film for viewing: lossy H.264 with the true times.

    Parameters
    ----------
    archive : Archive
        What the pictures show: gives times, markers and facts.
    pictures : iterable of ndarray of uint8, shape (H, W, 3)
        Blue, green, red; all of one size, with even sides.
    comment : str
        What they show.
    """
    iterator = iter(pictures)
    first = next(iterator)
    times = frame_times([row.t_ns for row in archive.rows()])
    film = _Film(frames=chain([first], iterator), shape=first.shape[:2], times=times, comment=comment)
    _write_viewing(archive, path, film)


def _write_viewing(archive: Archive, path: Path, film: _Film) -> None:
    if "libx264" not in av.codec.codecs_available:
        raise ExportError("this PyAV has no libx264 encoder; export FFV1 and convert it elsewhere")
    rate = mp4_rate(film.times)
    encoding = _Encoding(
        container="mp4",
        codec="libx264",
        image_format="bgr24",
        pixel_format="yuv420p",
        rate=rate,
        muxer_rate=rate,
        options={"crf": "18", "bf": "0"},  # MP4 counts the intervals in the order of decoding, which B frames change
        container_options={"movflags": "+faststart", "video_track_timescale": str(rate)},
    )
    _write_video(archive, path, encoding, replace(film, comment=f"{film.comment}; {film.times.facts()}"))


def _chapters(archive: Archive, times: FrameTimes) -> list[Chapter]:
    """Return the markers of a recording as chapters: each begins with the newest frame at its moment."""
    stored = markers(archive)
    if not stored:
        return []
    numbers = [row.frame_index for row in archive.rows()]
    rows = [next((k for k, number in enumerate(numbers) if number >= one.frame_index), len(numbers) - 1) for one in stored]
    starts = [(int(times.shown_ns[row]), one.text) for row, one in zip(rows, stored, strict=True)]
    if starts[0][0] > 0:  # the first chapter of MP4 begins with the video
        starts.insert(0, (0, _BEGINNING))
    ends_ns = [*(start for start, _ in starts[1:]), times.total_ns]
    return [
        {"id": k + 1, "start": start, "end": max(start, end), "time_base": _NANOSECOND, "metadata": {"title": text}}
        for k, ((start, text), end) in enumerate(zip(starts, ends_ns, strict=True))
    ]


def _write_video(archive: Archive, path: Path, encoding: _Encoding, film: _Film) -> None:
    ticks = film.times.ticks(encoding.rate).tolist()
    durations = {start: end - start for start, end in pairwise(ticks)}
    time_base = Fraction(1, encoding.muxer_rate)
    container_options = dict(encoding.container_options)
    with av.open(str(path), "w", format=encoding.container, container_options=container_options) as container:
        container.metadata["title"] = archive.path.name
        container.metadata["comment"] = "; ".join(fact for fact in (film.comment, recording_summary(archive)) if fact)
        chapters = _chapters(archive, film.times)
        if chapters:
            container.set_chapters(chapters)
        stream: Any = container.add_stream(encoding.codec, rate=film.times.mean_rate, options=dict(encoding.options))
        stream.height, stream.width = film.shape
        stream.pix_fmt = encoding.pixel_format
        stream.time_base = stream.codec_context.time_base = time_base

        def mux(packets: Sequence[Any]) -> None:
            for packet in packets:
                packet.duration = durations[packet.pts or 0]
                container.mux(packet)

        for tick, image in zip(ticks, film.frames, strict=False):
            frame = av.VideoFrame.from_ndarray(image, format=encoding.image_format)
            frame.pts, frame.time_base = tick, time_base
            mux(stream.encode(frame))
        mux(stream.encode(None))
