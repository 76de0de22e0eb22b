"""Pairs from array files: the npz, HDF5 and OME-TIFF files that we export, or files with arrays of the same names."""

from __future__ import annotations

import glob
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

import h5py
import numpy as np
import tifffile
from numpy.typing import NDArray

from acquisition.archive.old_names import with_present_names
from acquisition.archive.rows import PairRow
from acquisition.archive.shards import ArraySpec, Image
from acquisition.exchange.check_sums import (
    CRC,
    FACTS,
    NO_CHECK_SUMS,
    CheckSums,
    Layout,
    combined,
    read_check_sums,
    read_ome_check_sums,
)
from acquisition.exchange.import_source import PairImportError, PairSource
from drivers.base import Pattern
from drivers.limits import MAX_COLUMN_BYTES, LimitError, check_inside, check_pixels
from drivers.safe_arrays import npz_members, read_npy_header
from drivers.safe_text import parse_json

_TIFF = "_speckle.ome.tif"
#: Order of the arrays; the others follow in the order of the file.
_ORDER = {"speckle": 0, "phase": 1}
_INTEGERS = ("frame_index", "t_ns")
_NUMBERS = ("exposure_s", "latency_s")
_TEXTS = ("pattern_id", "pattern_name", "host_utc", "model_id", "engine")
_Read = TypeVar("_Read")
#: Where our own files keep the metadata; version 0.1.0 used the second name.
_METADATA = ("metadata_json", "card_json")
_COLUMNS = (*_INTEGERS, *_NUMBERS, *_TEXTS, "extra_json")


@dataclass(kw_only=True)
class _ArrayFile:
    """The content of a file.

    Layouts of its arrays (N, H, W), its columns (N,), its metadata, its check sums where it has any, and a reader of its
    images.
    """

    arrays: dict[str, Layout]
    columns: dict[str, NDArray[Any]]
    metadata: dict[str, Any]
    check_sums: CheckSums | None
    read: Callable[[str], Iterator[Image]]


def is_array_file(path: Path) -> bool:
    """Whether :func:`open_arrays` reads files of this name."""
    return path.suffix in (".npz", ".h5", ".hdf5") or _is_tiff(path)


def open_arrays(path: Path, phase_range_rad: float | None) -> PairSource:
    """Find the pairs in ``.npz``, ``.h5``, ``.hdf5``, or in the OME-TIFF files beside ``NAME_speckle.ome.tif``.

    Parameters
    ----------
    path : Path
        The file. It needs ``speckle`` and ``phase``, both (N, H, W). Times and ids are used where it has them.
    phase_range_rad : float, optional
        Phase of grey 255 in radians, when the file's metadata does not state it. It must not contradict the metadata.

    Raises
    ------
    PairImportError
        The file cannot be read, lacks ``speckle`` or ``phase``, or its parts do not fit together.
    """
    with _one_line_errors(path):
        content = _read_npz(path) if path.suffix == ".npz" else _read_tiff(path) if _is_tiff(path) else _read_hdf5(path)
    missing = [name for name in ("speckle", "phase") if name not in content.arrays]
    if missing:
        names = ", ".join(content.arrays) or "none"
        raise PairImportError(path, [f"it has no {missing[0]!r} of shape (N, H, W); its arrays of three axes are: {names}"])
    problems = _problems(content, phase_range_rad)
    if problems:
        raise PairImportError(path, problems)
    if phase_range_rad is not None:
        content.metadata["phase_range_rad"] = phase_range_rad
    content.arrays = dict(sorted(content.arrays.items(), key=lambda item: _ORDER.get(item[0], len(_ORDER))))
    return PairSource(
        path=path,
        # 8-bit speckle and labels do not shrink; phase and 12-bit counts do.
        specs=[ArraySpec(k, shape[1:], dtype.name, compress=dtype != np.uint8) for k, (shape, dtype) in content.arrays.items()],
        count=content.arrays["speckle"][0][0],
        metadata=content.metadata,
        images=partial(_images, path, content),
        row=partial(_row, content.columns),
        name=lambda name, index: f"image {index} of {name!r}",
        hashed=tuple(content.arrays),
        notes=[] if content.check_sums else [NO_CHECK_SUMS],
    )


def _is_tiff(path: Path) -> bool:
    """Whether a file's name is the one of exported speckle in OME-TIFF."""
    return path.name.endswith(_TIFF)


def _problems(content: _ArrayFile, phase_range_rad: float | None) -> list[str]:
    """Return what does not fit together in a file."""
    count = content.arrays["speckle"][0][0]
    problems = [] if count else ["it holds no images"]
    problems += content.check_sums.problems if content.check_sums else ()
    for name, (shape, _) in content.arrays.items():
        try:
            check_pixels(shape[1:])
        except LimitError as error:
            problems.append(f"{name!r}: {error}")
        if shape[0] != count:
            problems.append(f"{name!r} holds {shape[0]} images, but 'speckle' holds {count}")
    for name, column in content.columns.items():
        if column.shape != (count,):
            problems.append(f"column {name!r} has shape {column.shape} for {count} images")
    stated = content.metadata.get("phase_range_rad", phase_range_rad)
    if phase_range_rad is not None and stated != phase_range_rad:
        problems.append(f"its metadata states phase_range_rad {stated}, not {phase_range_rad}; leave --phase-range-rad out")
    return problems


def _images(path: Path, content: _ArrayFile, problems: list[str]) -> Iterator[dict[str, Image] | None]:
    check_sums = content.check_sums or CheckSums(crc32={})
    # Each array is one stream: images after a damaged place in it cannot be trusted, so an error ends the reading.
    with _one_line_errors(path):
        for index, images in enumerate(zip(*map(content.read, content.arrays), strict=True)):
            pair = dict(zip(content.arrays, images, strict=True))
            damage = [text for name, image in pair.items() if (text := check_sums.problem(name, index, image))]
            problems += damage
            yield None if damage else pair


def _row(columns: Mapping[str, NDArray[Any]], index: int, images: Mapping[str, Image]) -> PairRow:
    facts: dict[str, Any] = {"frame_index": index, "t_ns": 0, "exposure_s": 0.0}
    facts |= {name: int(columns[name][index]) for name in _INTEGERS if name in columns}
    facts |= {name: float(columns[name][index]) for name in _NUMBERS if name in columns}
    facts |= {name: str(columns[name][index]) for name in _TEXTS if name in columns}
    if np.isnan(facts.get("latency_s", 0.0)):
        del facts["latency_s"]
    if "extra_json" in columns:
        facts["extra"] = _mapping(columns["extra_json"][index])
    phase = images["phase"]
    if not facts.get("pattern_id") and phase.dtype == np.float32 and np.isfinite(phase).all():
        facts["pattern_id"] = Pattern(phase).id  # datasets are split into parts by it
    return PairRow(**facts)


def _mapping(text: object) -> dict[str, Any]:
    content = parse_json(str(text))
    if not isinstance(content, dict):
        raise ValueError(f"{str(text)[:40]!r} is not a JSON object")
    return dict(with_present_names(content))


def _read_npz(path: Path) -> _ArrayFile:
    arrays: dict[str, Layout] = {}
    with zipfile.ZipFile(path) as file:
        for name, info in npz_members(file, path.stat().st_size).items():
            most = MAX_COLUMN_BYTES if _is_column(name) or name in (*_METADATA, FACTS) else info.file_size
            with file.open(info) as stream:
                shape, fortran_order, dtype = _named(name, partial(read_npy_header, stream, info.file_size, most))
            if len(shape) == 3:
                if fortran_order:
                    raise ValueError(f"{name} is in Fortran order; save numpy.ascontiguousarray of it")
                arrays[name] = shape, dtype
    with np.load(path, allow_pickle=False) as loaded:
        columns = {name: loaded[name] for name in loaded if _is_column(name)}
        metadata_json = str(next((loaded[name] for name in _METADATA if name in loaded), "{}"))
        check_sums = read_check_sums(arrays, columns, metadata_json, str(loaded[FACTS]) if FACTS in loaded else "")
    return _ArrayFile(
        arrays=arrays,
        columns=columns,
        metadata=_mapping(metadata_json),
        check_sums=check_sums,
        read=partial(_npz_images, path),
    )


def _npz_images(path: Path, name: str) -> Iterator[Image]:
    with zipfile.ZipFile(path) as file, file.open(f"{name}.npy") as stream:
        (count, *shape), _, dtype = read_npy_header(stream, (size := file.getinfo(f"{name}.npy").file_size), size)
        nbytes = int(np.prod(shape)) * dtype.itemsize
        for _ in range(count):
            image = np.frombuffer(stream.read(nbytes), dtype).reshape(shape)
            yield image.astype(dtype.newbyteorder("="), copy=False)


def _named(name: str, read: Callable[[], _Read]) -> _Read:
    """Return what ``read`` returns; its errors begin with the name of the array."""
    try:
        return read()
    except ValueError as error:
        raise LimitError(f"{name}: {error}") from error


def _read_hdf5(path: Path) -> _ArrayFile:
    with h5py.File(path) as file:
        datasets = {name: file[name] for name in file if _is_dataset(file, name)}
        arrays: dict[str, Layout] = {k: (v.shape, v.dtype) for k, v in datasets.items() if v.ndim == 3}
        stored = {name: item for name, item in datasets.items() if _is_column(name)}
        for name, item in stored.items():
            if item.size * item.dtype.itemsize > MAX_COLUMN_BYTES:
                raise LimitError(f"{name!r} claims {item.size} values; at most {MAX_COLUMN_BYTES} bytes are read")
        columns = {k: v.asstr()[:] if h5py.check_string_dtype(v.dtype) else v[:] for k, v in stored.items()}
        metadata_json = str(next((file.attrs[name] for name in _METADATA if name in file.attrs), "{}"))
        check_sums = read_check_sums(arrays, columns, metadata_json, str(file.attrs.get(FACTS, "")))
    return _ArrayFile(
        arrays=arrays,
        columns=columns,
        metadata=_mapping(metadata_json),
        check_sums=check_sums,
        read=partial(_hdf5_images, path),
    )


def _is_column(name: str) -> bool:
    """Whether an array of this name holds one fact about every pair."""
    return name in _COLUMNS or name.startswith(CRC)


def _is_dataset(file: h5py.File, name: str) -> bool:
    """Whether an entry is an array; raises LimitError when its content lies in another place or file."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise LimitError(f"{name!r} is a link, which may lead to another file; store the array itself in this file")
    item = file[name]
    if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
        kind = "virtual" if item.is_virtual else "external"
        raise LimitError(f"{name!r} is {kind}: its content lies in another file; store the array itself in this file")
    return isinstance(item, h5py.Dataset)


def _hdf5_images(path: Path, name: str) -> Iterator[Image]:
    with h5py.File(path) as file:
        for image in file[name]:
            yield image.astype(image.dtype.newbyteorder("="), copy=False)


def _read_tiff(path: Path) -> _ArrayFile:
    stem = path.name.removesuffix(_TIFF)
    siblings = sorted(path.parent.glob(f"{glob.escape(stem)}_*.ome.tif"))
    check_inside(path.parent, [file.name for file in siblings if file != path])
    files = {file.name[len(stem) + 1 : -len(".ome.tif")]: file for file in siblings}
    arrays: dict[str, Layout] = {}
    pixels: dict[str, ElementTree.Element] = {}
    check_sums: list[CheckSums] = []
    for name, file in files.items():
        with tifffile.TiffFile(file) as tiff:
            page, count = tiff.pages[0], len(tiff.pages)
            ome = tiff.ome_metadata or "<none/>"
        if "<!" in ome.replace("<!--", ""):
            raise LimitError(f"{file.name} declares entities in its OME metadata; export it again")
        element = ElementTree.fromstring(ome).find(".//{*}Pixels")
        # A truncated file may have lost its description or pages; tifffile only logs this.
        if element is None or element.get("SizeT") != str(count):
            raise ValueError(f"{file.name} has no OME metadata for its {count} pages")
        arrays[name] = (count, *page.shape), np.dtype(page.dtype)
        pixels[name] = element
        stated = read_ome_check_sums(name, ome, arrays[name])
        check_sums += [stated] if stated else []
    planes = pixels["speckle"].findall("{*}Plane")
    columns, metadata = {}, {}
    if len(planes) == arrays["speckle"][0][0]:
        columns["t_ns"] = np.round([float(plane.get("DeltaT", 0)) * 1e9 for plane in planes]).astype(np.int64)
        columns["exposure_s"] = np.array([float(plane.get("ExposureTime", 0)) for plane in planes])
    if pixels["speckle"].get("PhysicalSizeXUnit") == "µm":
        metadata["pixel_um"] = float(pixels["speckle"].get("PhysicalSizeX", "nan"))
    return _ArrayFile(
        arrays=arrays,
        columns=columns,
        metadata=metadata,
        check_sums=combined(check_sums),
        read=lambda name: _tiff_images(files[name]),
    )


def _tiff_images(path: Path) -> Iterator[Image]:
    with tifffile.TiffFile(path) as tiff:
        shape = tiff.pages[0].shape
        for page in tiff.pages:
            if page.shape != shape:
                raise LimitError(f"{path.name} has pages of {shape} and of {page.shape}; export it again")
            yield page.asarray()


@contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    """Turn the libraries' errors for a missing, damaged or foreign file into a PairImportError of one line."""
    try:
        yield
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        ArithmeticError,
        EOFError,
        RuntimeError,
        struct.error,
        zlib.error,
        zipfile.BadZipFile,
        tifffile.TiffFileError,
        ElementTree.ParseError,
    ) as error:
        raise PairImportError(path, [f"it cannot be read ({' '.join(str(error).split())}); export it again"]) from error
