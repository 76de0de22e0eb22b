"""Archives for other programs: OME-TIFF, lossless and viewing video, and the published SpecDiffusion layout.

Every file (or folder) is written under a hidden temporary name beside its place and moved there when it is whole.
"""

from __future__ import annotations

import enum
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import av.codec
import av.error
import cv2
import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray

from acquisition.archive import Archive
from acquisition.rows import PairRow
from drivers.base import SpeckleScopeError

_FALLBACK_FPS = 1.0  # for a single frame, which has no rate; the metadata says so
_LEVEL_SAMPLES = 32  # frames looked at to fix the viewing video's levels


class ExportError(SpeckleScopeError):
    """An archive could not be exported as asked; nothing half-written stays behind."""


class ExportFormat(enum.StrEnum):
    """What an archive can be turned into."""

    OME_TIFF = "ome-tiff"
    FFV1 = "ffv1"
    VIEWING_MP4 = "viewing-mp4"
    SPECDIFFUSION = "specdiffusion"


def export(
    archive: Archive,
    out_dir: Path,
    formats: Collection[ExportFormat | str],
    *,
    overwrite: bool = False,
    depth_rad: float | None = None,
    split: str = "test",
) -> list[Path]:
    """Export an archive and return the files and folders made, in the order of ``formats``.

    Parameters
    ----------
    archive : Archive
        A dataset or a take.
    out_dir : Path
        Made if absent. Names start with the archive's own.
    formats : collection of ExportFormat or str
        ``ome-tiff``: one TYX file an array, with pixel size (the card's ``pixel_um``) and frame times.
        ``ffv1``: the array ``speckle`` as bit-exact grey video at the recorded rate.
        ``viewing-mp4``: the phase in colours, H.264, lossy.
        ``specdiffusion``: ``input/NNNNN.png``, ``label/NNNNN.png``, lists and ``metadata.yaml``.
    overwrite : bool
        Replace what exists; otherwise existing names are refused before anything is written.
    depth_rad : float, optional
        The phase in radians of grey level 255 in ``label/``; by default the card's ``depth_rad``.
    split : str
        First part of the lists' names: ``test_data.flist``, ``test_label.flist``.

    Raises
    ------
    ExportError
        Unknown format, a name that exists, an array that is missing or unfit, an empty archive, or a failing disk.
    StorageError
        An image of the archive is damaged.
    """
    try:
        wanted = [ExportFormat(name) for name in formats]
    except ValueError as error:
        raise ExportError(f"{error}; choose from {', '.join(ExportFormat)}") from error
    if not len(archive):
        raise ExportError(f"{archive.path.name} holds no images; there is nothing to export")
    out_dir = Path(out_dir)
    jobs = [job for name in wanted for job in _jobs(archive, name, depth_rad, split)]
    taken = [name for name, _ in jobs if (out_dir / name).exists()]
    if taken and not overwrite:
        raise ExportError(f"{out_dir / taken[0]} exists; choose another folder or allow overwriting")
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for name, write in jobs:
            with _moved_when_whole(out_dir / name) as part:
                write(part)
    except (OSError, av.error.FFmpegError) as error:
        raise ExportError(f"cannot export {archive.path.name} to {out_dir}: {error}") from error
    return [out_dir / name for name, _ in jobs]


def median_interval_s(rows: Sequence[PairRow]) -> float | None:
    """Return the median time between successive frames in seconds, or None where no two times differ.

    Steps back in time are left out: the monotonic clock starts again when an archive is resumed after a reboot.
    """
    steps_ns = np.diff([row.t_ns for row in rows])
    steps_ns = steps_ns[steps_ns > 0]
    return float(np.median(steps_ns)) * 1e-9 if steps_ns.size else None


def _jobs(
    archive: Archive, kind: ExportFormat, depth_rad: float | None, split: str
) -> list[tuple[str, Callable[[Path], None]]]:
    stem = archive.path.name
    if kind is ExportFormat.OME_TIFF:
        return [(f"{stem}_{name}.ome.tif", partial(_write_ome_tiff, archive, name)) for name in archive.arrays]
    if kind is ExportFormat.FFV1:
        dtype = archive.spec("speckle").dtype
        if dtype not in ("uint8", "uint16"):
            raise ExportError(f"{stem}: FFV1 takes uint8 or uint16 speckle, not {dtype}; export OME-TIFF")
        return [(f"{stem}_speckle.mkv", partial(_write_ffv1, archive))]
    phase = next((name for name in ("phase", "pattern") if name in archive.arrays), None)
    if phase is None:
        raise ExportError(f"{stem} has no array 'phase' or 'pattern'; export OME-TIFF or FFV1")
    if kind is ExportFormat.VIEWING_MP4:
        if "libx264" not in av.codec.codecs_available:
            raise ExportError("this PyAV has no libx264 encoder; export FFV1 and convert it elsewhere")
        return [(f"{stem}_{phase}_viewing.mp4", partial(_write_viewing_mp4, archive, phase))]
    depth = archive.card.get("depth_rad") if depth_rad is None else depth_rad
    if not isinstance(depth, int | float) or not depth > 0:
        raise ExportError(f"{stem}: give depth_rad, the phase of grey level 255 in radians; the card says {depth!r}")
    name = f"{stem}_specdiffusion"
    return [(name, partial(_write_specdiffusion, archive, phase, float(depth), split, name))]


def _write_ome_tiff(archive: Archive, name: str, path: Path) -> None:
    rows, spec = archive.rows(), archive.spec(name)
    metadata: dict[str, Any] = {
        "axes": "TYX",
        "Name": f"{archive.path.name} {name}",
        "Plane": {
            "DeltaT": [(row.t_ns - rows[0].t_ns) * 1e-9 for row in rows],
            "DeltaTUnit": ["s"] * len(rows),
            "ExposureTime": [row.exposure_s for row in rows],
            "ExposureTimeUnit": ["s"] * len(rows),
        },
    }
    interval_s = median_interval_s(rows)
    if interval_s is not None:
        metadata |= {"TimeIncrement": interval_s, "TimeIncrementUnit": "s"}
    pixel_um = _pixel_um(archive, name)
    if pixel_um is not None:
        metadata |= {"PhysicalSizeX": pixel_um, "PhysicalSizeXUnit": "µm"}
        metadata |= {"PhysicalSizeY": pixel_um, "PhysicalSizeYUnit": "µm"}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as tiff:
        shape = (len(rows), *spec.shape)
        tiff.write(_images(archive, name), shape=shape, dtype=spec.dtype, photometric="minisblack", metadata=metadata)


def _pixel_um(archive: Archive, name: str) -> float | None:
    pixel_um = archive.card.get("pixel_um")
    if not isinstance(pixel_um, int | float) or not pixel_um > 0:
        return None
    if name == "speckle":
        return float(pixel_um)
    if archive.status.get("kind") == "take":  # a reconstruction covers the camera's whole field on its own grid
        return float(pixel_um) * archive.spec("speckle").shape[-1] / archive.spec(name).shape[-1]
    return None  # an SLM pattern is on the SLM's grid, which only a registration relates to the camera's


def _write_ffv1(archive: Archive, path: Path) -> None:
    dtype = archive.spec("speckle").dtype
    pixel_format = "gray" if dtype == "uint8" else "gray16le"
    # Every frame stands alone and carries a CRC, so that one damaged byte costs one frame and is noticed.
    options = {"level": "3", "g": "1", "slicecrc": "1"}
    _write_video(
        archive, path, "matroska", "ffv1", pixel_format, options, _images(archive, "speckle"), pixel_format, "lossless"
    )


def _write_viewing_mp4(archive: Archive, name: str, path: Path) -> None:
    sampled = np.linspace(0, len(archive) - 1, min(len(archive), _LEVEL_SAMPLES)).astype(int)
    values = np.stack([archive.read(name, int(i))[::4, ::4] for i in sampled])
    values = values[np.isfinite(values)]  # a frame that was not reconstructed is NaN
    if not values.size:
        raise ExportError(f"{archive.path.name} holds no reconstructed {name!r}; export OME-TIFF or FFV1")
    low, high = np.percentile(values, (0.5, 99.5))
    scale = 255.0 / max(float(high - low), 1e-6)

    def coloured() -> Iterator[NDArray[Any]]:
        for phase in _images(archive, name):
            grey = np.clip(np.nan_to_num(phase - low) * scale, 0, 255).astype(np.uint8)
            grey = np.pad(grey, [(0, n % 2) for n in grey.shape], mode="edge")  # H.264 4:2:0 needs even sides
            yield cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)

    comment = f"for viewing only: lossy, phase {low:.3f} to {high:.3f} rad in viridis"
    _write_video(archive, path, "mp4", "libx264", "yuv420p", {"crf": "18"}, coloured(), "bgr24", comment)


def _write_video(
    archive: Archive,
    path: Path,
    container_format: str,
    codec: str,
    pixel_format: str,
    options: dict[str, str],
    images: Iterator[NDArray[Any]],
    image_format: str,
    comment: str,
) -> None:
    interval_s = median_interval_s(archive.rows())
    fps = 1 / interval_s if interval_s else _FALLBACK_FPS
    source = "median of the frames' times" if interval_s else "a placeholder: the frames' times tell none"
    with av.open(str(path), "w", format=container_format) as container:
        container.metadata["title"] = archive.path.name
        container.metadata["comment"] = f"{comment}; {fps:.6g} frames per second is {source}"
        stream: Any = None
        for image in images:
            if stream is None:
                stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000), options=options)
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = pixel_format
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format=image_format)))
        container.mux(stream.encode())


def _write_specdiffusion(archive: Archive, phase: str, depth_rad: float, split: str, name: str, path: Path) -> None:
    dtype = archive.spec("speckle").dtype
    bit_depth = 8 if dtype == "uint8" else archive.card.get("bit_depth", 16)
    if dtype not in ("uint8", "uint16") or not isinstance(bit_depth, int) or not 8 <= bit_depth <= 16:
        raise ExportError(f"{name}: this layout takes 8 to 16-bit speckle, not {dtype} of {bit_depth!r} bits")
    for folder in ("input", "label"):
        (path / folder).mkdir(parents=True)
    for index in range(len(archive)):
        speckle, phase_rad = archive.read("speckle", index), archive.read(phase, index)
        grey = np.round(phase_rad * (255.0 / depth_rad))
        if not (grey.min() >= 0 and grey.max() <= 255):  # also catches NaN
            found = f"{phase_rad.min():.3f} to {phase_rad.max():.3f}"
            raise ExportError(f"row {index} of {phase!r} spans {found} rad, not 0 to {depth_rad:.3f}; set depth_rad")
        _write_png(path / "input" / f"{index:05d}.png", speckle >> (bit_depth - 8))
        _write_png(path / "label" / f"{index:05d}.png", grey)
    for folder, listed in (("input", "data"), ("label", "label")):
        lines = [f"./datasets/{name}/{folder}/{index:05d}.png\n" for index in range(len(archive))]
        (path / f"{split}_{listed}.flist").write_text("".join(lines), encoding="utf-8")
    facts = {
        "archive": archive.path.name,
        "count": len(archive),
        "depth_rad": depth_rad,
        "label": "round(phase_rad / depth_rad * 255)",
        "input": f"speckle counts of {bit_depth} bits, divided by {2 ** (bit_depth - 8)}",
    }
    (path / "metadata.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), encoding="utf-8")


def _write_png(path: Path, image: NDArray[Any]) -> None:
    if image.max() > 255:
        raise ExportError(f"{path.name} would hold {image.max():g}, above 255; check bit_depth in the card")
    done, png = cv2.imencode(".png", image.astype(np.uint8))  # imwrite reports a full disk by returning False only
    if not done:
        raise ExportError(f"cannot encode {path.name}, {image.shape} {image.dtype}, as PNG")
    path.write_bytes(png.tobytes())


def _images(archive: Archive, name: str) -> Iterator[NDArray[Any]]:
    return (archive.read(name, index) for index in range(len(archive)))


@contextmanager
def _moved_when_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling that takes the place of ``path`` if the block succeeds and vanishes if not."""
    mark = uuid.uuid4().hex[:8]
    part, old = path.with_name(f".{path.name}.{mark}.part"), path.with_name(f".{path.name}.{mark}.old")
    try:
        yield part
        if path.is_dir():  # a folder cannot be replaced in one step
            path.replace(old)
        part.replace(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.replace(path)
        raise
    finally:
        for leftover in (part, old):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
