"""Verification of exports: every file is read completely and compared with the check sums that travel with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import av
import av.error
import av.logging
import yaml

from acquisition.exchange.array_files import (
    TIFF_SUFFIX,
    ZARR_GROUP,
    ArrayFile,
    ArrayFileError,
    check_image,
    one_line_errors,
    read_hdf5,
    read_matlab,
    read_npz,
    read_ome_zarr,
    read_tiff,
)
from acquisition.exchange.check_sums import CheckSums
from acquisition.exchange.containers.references_folder import is_references_folder, read_references_folder
from acquisition.exchange.conversion.grey_files import decode_grey
from acquisition.exchange.export import ExportError, ExportFormat
from drivers.limits import LimitError, check_inside
from drivers.manifest import MANIFEST, content_problem, file_problem, missing_files, read_manifest
from drivers.recorded.video_file import open_video
from drivers.safe_text import read_yaml

_HDF5 = b"\x89HDF\r\n\x1a\n"
#: How a file begins, by its format; MP4 has the size of its first box before this.
_SIGNATURES: Mapping[bytes, ExportFormat] = {
    b"PK\x03\x04": ExportFormat.NPZ,
    _HDF5: ExportFormat.HDF5,
    b"MATLAB 7.3 MAT-file": ExportFormat.MATLAB,
    b"MATLAB 5.0 MAT-file": ExportFormat.MATLAB,
    b"II+\0": ExportFormat.OME_TIFF,
    b"II*\0": ExportFormat.OME_TIFF,
    b"\x1aE\xdf\xa3": ExportFormat.FFV1,
}
_MP4 = b"ftyp"
_REMEDY = "copy or export it again"


@dataclass(frozen=True, kw_only=True)
class ExportCheck:
    """Result of reading a whole export.

    Parameters
    ----------
    format : ExportFormat or None
        What it is; None for the references beside an export.
    images : int
        Images that were read and compared.
    damaged : tuple of str
        What is damaged: each text names the file, image or column.
    has_check_sums : bool
        Whether it has check sums; without them only damage that prevents the reading is noticed.
    """

    format: ExportFormat | None
    images: int
    damaged: tuple[str, ...]
    has_check_sums: bool

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged


def export_format(path: Path) -> ExportFormat | None:
    """Return the format of an export, which its content shows, or None if it is none.

    Raises
    ------
    ExportError
        The file cannot be read.
    """
    if path.is_dir():
        if (path / ZARR_GROUP).is_file():
            return ExportFormat.OME_ZARR
        return ExportFormat.SPECDIFFUSION if (path / "input").is_dir() and (path / "label").is_dir() else None
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror or error}; check the path") from error
    if head[4:8] == _MP4:
        return ExportFormat.VIEWING_MP4
    return next((kind for signature, kind in _SIGNATURES.items() if head.startswith(signature)), None)


def verify_export(path: Path) -> ExportCheck:
    """Read a file or folder that :func:`acquisition.exchange.export.export` wrote, and compare it with its check sums.

    Parameters
    ----------
    path : Path
        One file, or the folder of ``specdiffusion`` or ``ome-zarr``.

    Raises
    ------
    ExportError
        It is missing, or no export.
    """
    path = Path(path)
    if is_references_folder(path):
        return _verify_references(path)
    kind = export_format(path)
    if kind is None:
        raise ExportError(f"{path} is no export, or its beginning is damaged; the formats are {', '.join(ExportFormat)}")
    if kind in (ExportFormat.FFV1, ExportFormat.VIEWING_MP4):
        return _verify_video(path, kind)
    return _verify_folder(path, kind) if kind is ExportFormat.SPECDIFFUSION else _verify_arrays(path, kind)


def read_export(path: Path, kind: ExportFormat) -> ArrayFile:
    """Read an export of arrays; its images are read later, one by one. It may raise whatever the libraries raise."""
    name = path.name.removesuffix(TIFF_SUFFIX).removesuffix(".ome.zarr").rpartition("_")[2]
    readers: Mapping[ExportFormat, Callable[[], ArrayFile]] = {
        ExportFormat.NPZ: lambda: read_npz(path),
        ExportFormat.HDF5: lambda: read_hdf5(path),
        ExportFormat.MATLAB: lambda: read_matlab(path),
        ExportFormat.OME_TIFF: lambda: read_tiff(path, name),
        ExportFormat.OME_ZARR: lambda: read_ome_zarr(path, name),
    }
    return readers[kind]()


def _verify_arrays(path: Path, kind: ExportFormat) -> ExportCheck:
    damaged: list[str] = []
    images, has_check_sums = 0, False
    try:
        with one_line_errors():
            content = read_export(path, kind)
            has_check_sums = content.check_sums is not None
            damaged += content.check_sums.problems if content.check_sums else ()
            for problem in _image_problems(content):
                images += 1
                damaged += [problem] if problem else []
    except ArrayFileError as error:
        damaged.append(str(error))
    damaged = [f"{path.name}: {text}" for text in damaged]
    return ExportCheck(format=kind, images=images, damaged=tuple(damaged), has_check_sums=has_check_sums)


def _image_problems(content: ArrayFile) -> Iterator[str]:
    """Yield what is wrong with each image: an empty text if nothing is."""
    check_sums = content.check_sums or CheckSums(crc32={})
    for name, (shape, _) in content.arrays.items():
        check_image(shape[1:])
        for index, image in enumerate(content.read(name)):
            yield check_sums.problem(name, index, image)


def _verify_folder(path: Path, kind: ExportFormat | None) -> ExportCheck:
    damaged: list[str] = []
    images = 0
    try:
        check_inside(path, [MANIFEST], whole=["."])
        digests = read_manifest(path)
        damaged += missing_files(path, digests or {})
        for file in sorted(file for file in path.rglob("*") if file.is_file() and file.name != MANIFEST):
            name = file.relative_to(path).as_posix()
            try:
                damaged += [problem] if (problem := _file_problem(file, name, digests)) else []
            except (OSError, ValueError, yaml.YAMLError) as error:
                damaged.append(f"{name}: {' '.join(str(error).split())}")
            images += file.suffix == ".png"
    except (OSError, LimitError) as error:
        damaged.append(str(error))
        digests = {}
    damaged = [f"{path.name}: {text}" for text in damaged]
    return ExportCheck(format=kind, images=images, damaged=tuple(damaged), has_check_sums=digests is not None)


def _verify_references(path: Path) -> ExportCheck:
    check = _verify_folder(path, None)
    if not check.ok:
        return check
    try:
        for reference in read_references_folder(path):
            reference.read()
    except (OSError, ValueError) as error:
        return replace(check, damaged=(f"{path.name}: {' '.join(str(error).split())}",))
    return check


def _file_problem(file: Path, name: str, digests: Mapping[str, str] | None) -> str:
    """Return what is wrong with one file of a folder; raises OSError or ValueError where it cannot be read."""
    if file.suffix not in (".png", ".yaml"):
        return content_problem(name, file.read_bytes(), digests) if digests is not None else ""
    data = file.read_bytes()
    if problem := content_problem(name, data, digests):
        return problem
    if file.suffix == ".png":
        decode_grey(data)
    else:
        read_yaml(file)
    return ""


def _verify_video(path: Path, kind: ExportFormat) -> ExportCheck:
    images, has_check_sums = 0, False
    try:
        has_check_sums = read_manifest(path) is not None
        problem = file_problem(path)
        if not problem:  # a decoder sees only files that are intact, or that have no check sums
            images = _frames(path)
            problem = "" if images else f"it has no frames; {_REMEDY}"
    except LimitError as error:
        has_check_sums, problem = True, str(error)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        problem = f"it cannot be decoded ({' '.join(str(error).split())}); {_REMEDY}"
    damaged = (f"{path.name}: {problem}",) if problem else ()
    return ExportCheck(format=kind, images=images, damaged=damaged, has_check_sums=has_check_sums)


def _frames(path: Path) -> int:
    """Decode a video and return the number of its frames; raises ValueError where the decoder reports damage.

    FFV1 has a check sum in every frame. If one is wrong, the decoder does not fail but writes to FFmpeg's log.
    """
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=False) as messages, open_video(path) as container:
            if not container.streams.video:
                raise ValueError("it holds no video")
            count = sum(1 for _ in container.decode(video=0))
    finally:
        av.logging.set_level(level)
    if messages:
        raise ValueError(messages[0][2].strip())
    return count
