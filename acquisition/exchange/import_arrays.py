"""Pairs from array files: our own npz, HDF5 and OME-TIFF exports, or files with arrays of the same names."""

from __future__ import annotations

import glob
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import h5py
import numpy as np
import tifffile
from numpy.lib import format as npy
from numpy.typing import NDArray

from acquisition.archive.old_names import with_present_names
from acquisition.archive.rows import PairRow
from acquisition.archive.shards import ArraySpec, Image
from acquisition.exchange.import_source import PairImportError, PairSource
from drivers.base import Pattern

_TIFF = "_speckle.ome.tif"
_ORDER = {"speckle": 0, "phase": 1}  # of the arrays; the others follow as the file has them
_INTEGERS = ("frame_index", "t_ns")
_NUMBERS = ("exposure_s", "latency_s")
_TEXTS = ("pattern_id", "pattern_name", "host_utc", "model_id", "engine")
_Kind = tuple[tuple[int, ...], np.dtype[Any]]
#: Where our own files keep the metadata; the second is version 0.1.0's.
_METADATA = ("metadata_json", "card_json")
_COLUMNS = (*_INTEGERS, *_NUMBERS, *_TEXTS, "extra_json")


@dataclass
class _Found:
    """What a file holds: shape (N, H, W) and dtype of its arrays, its columns (N,), its metadata, and a reader of frames."""

    arrays: dict[str, _Kind]
    columns: dict[str, NDArray[Any]]
    metadata: dict[str, Any]
    frames: Callable[[str], Iterator[Image]]


def is_array_file(path: Path) -> bool:
    """Whether :func:`open_arrays` reads files of this name."""
    return path.suffix in (".npz", ".h5", ".hdf5") or path.name.endswith(_TIFF)


def open_arrays(path: Path, phase_range_rad: float | None) -> PairSource:
    """Find the pairs in ``.npz``, ``.h5``, ``.hdf5``, or in the OME-TIFF files beside ``NAME_speckle.ome.tif``.

    Parameters
    ----------
    path : Path
        The file. It needs ``speckle`` and ``phase``, both (N, H, W); times and ids are taken where it has them.
    phase_range_rad : float, optional
        Phase of grey 255 in radians, where the file's metadata does not tell it; it must not contradict the metadata.

    Raises
    ------
    PairImportError
        The file cannot be read, lacks one of the two, or its parts do not fit together.
    """
    with _told(path):
        found = _of_npz(path) if path.suffix == ".npz" else _of_tiff(path) if path.name.endswith(_TIFF) else _of_hdf5(path)
    missing = [name for name in ("speckle", "phase") if name not in found.arrays]
    if missing:
        names = ", ".join(found.arrays) or "none"
        raise PairImportError(path, [f"it has no {missing[0]!r} of shape (N, H, W); arrays of that kind: {names}"])
    count = found.arrays["speckle"][0][0]
    found.arrays = dict(sorted(found.arrays.items(), key=lambda item: _ORDER.get(item[0], len(_ORDER))))
    problems = [] if count else ["it holds no images"]
    for name, (shape, _) in found.arrays.items():
        if shape[0] != count:
            problems.append(f"{name!r} holds {shape[0]} images, but 'speckle' {count}")
    for name, column in found.columns.items():
        if column.shape != (count,):
            problems.append(f"column {name!r} has shape {column.shape} for {count} images")
    if phase_range_rad is not None and found.metadata.setdefault("phase_range_rad", phase_range_rad) != phase_range_rad:
        problems.append(
            f"its metadata says phase_range_rad {found.metadata['phase_range_rad']}, not {phase_range_rad}; "
            "leave --phase-range-rad out"
        )
    if problems:
        raise PairImportError(path, problems)
    # 8-bit speckle and labels do not shrink; phase and 12-bit counts do.
    specs = [ArraySpec(k, shape[1:], kind.name, compress=kind != np.uint8) for k, (shape, kind) in found.arrays.items()]
    return PairSource(
        path,
        specs,
        count,
        found.metadata,
        partial(_images, path, found),
        partial(_row, found.columns),
        lambda name, index: f"image {index} of {name!r}",
        tuple(found.arrays),
    )


def _images(path: Path, found: _Found, _: list[str]) -> Iterator[dict[str, Image]]:
    with _told(path):  # one stream for each array: what follows a bad place in it cannot be trusted
        for images in zip(*map(found.frames, found.arrays), strict=True):
            yield dict(zip(found.arrays, images, strict=True))


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
        facts["pattern_id"] = Pattern(phase).id  # datasets are split by it
    return PairRow(**facts)


def _mapping(text: object) -> dict[str, Any]:
    content = json.loads(str(text))
    if not isinstance(content, dict):
        raise ValueError(f"{str(text)[:40]!r} is no JSON object")
    return dict(with_present_names(content))


def _of_npz(path: Path) -> _Found:
    arrays: dict[str, _Kind] = {}
    with zipfile.ZipFile(path) as file:
        for member in file.namelist():
            with file.open(member) as stream:
                shape, fortran_order, dtype = _npy_header(stream)
            if len(shape) == 3:
                if fortran_order:
                    raise ValueError(f"{member} is in Fortran order; save numpy.ascontiguousarray of it")
                arrays[member.removesuffix(".npy")] = shape, dtype
    with np.load(path, allow_pickle=False) as loaded:
        columns = {name: loaded[name] for name in _COLUMNS if name in loaded}
        metadata = _mapping(next((loaded[name] for name in _METADATA if name in loaded), "{}"))
    return _Found(arrays, columns, metadata, partial(_npz_frames, path))


def _npz_frames(path: Path, name: str) -> Iterator[Image]:
    with zipfile.ZipFile(path) as file, file.open(f"{name}.npy") as stream:
        (count, *shape), _, dtype = _npy_header(stream)
        nbytes = int(np.prod(shape)) * dtype.itemsize
        for _ in range(count):
            image = np.frombuffer(stream.read(nbytes), dtype).reshape(shape)
            yield image.astype(dtype.newbyteorder("="), copy=False)


def _npy_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    header = npy.read_array_header_1_0(stream) if version == (1, 0) else npy.read_array_header_2_0(stream)
    if header[2].hasobject:
        raise ValueError("it holds Python objects, which could run code; save plain numbers and text")
    return header


def _of_hdf5(path: Path) -> _Found:
    with h5py.File(path) as file:
        datasets = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
        arrays: dict[str, _Kind] = {k: (v.shape, v.dtype) for k, v in datasets.items() if v.ndim == 3}
        columns = {name: datasets[name] for name in _COLUMNS if name in datasets}
        read = {k: v.asstr()[:] if h5py.check_string_dtype(v.dtype) else v[:] for k, v in columns.items()}
        metadata = _mapping(next((file.attrs[name] for name in _METADATA if name in file.attrs), "{}"))
        return _Found(arrays, read, metadata, partial(_hdf5_frames, path))


def _hdf5_frames(path: Path, name: str) -> Iterator[Image]:
    with h5py.File(path) as file:
        for image in file[name]:
            yield image.astype(image.dtype.newbyteorder("="), copy=False)


def _of_tiff(path: Path) -> _Found:
    stem = path.name.removesuffix(_TIFF)
    beside = sorted(path.parent.glob(f"{glob.escape(stem)}_*.ome.tif"))
    files = {file.name[len(stem) + 1 : -len(".ome.tif")]: file for file in beside}
    arrays: dict[str, _Kind] = {}
    pixels: dict[str, ElementTree.Element] = {}
    for name, file in files.items():
        with tifffile.TiffFile(file) as tiff:
            page, count = tiff.pages[0], len(tiff.pages)
            found = ElementTree.fromstring(tiff.ome_metadata or "<none/>").find(".//{*}Pixels")
        # A file that was cut short may have lost its description or pages, and tifffile then only logs it.
        if found is None or found.get("SizeT") != str(count):
            raise ValueError(f"{file.name} has no OME metadata for its {count} pages")
        arrays[name], pixels[name] = ((count, *page.shape), np.dtype(page.dtype)), found
    planes = pixels["speckle"].findall("{*}Plane")
    columns, metadata = {}, {}
    if len(planes) == arrays["speckle"][0][0]:
        columns["t_ns"] = np.round([float(plane.get("DeltaT", 0)) * 1e9 for plane in planes]).astype(np.int64)
        columns["exposure_s"] = np.array([float(plane.get("ExposureTime", 0)) for plane in planes])
    if pixels["speckle"].get("PhysicalSizeXUnit") == "µm":
        metadata["pixel_um"] = float(pixels["speckle"].get("PhysicalSizeX", "nan"))
    return _Found(arrays, columns, metadata, lambda name: _tiff_frames(files[name]))


def _tiff_frames(path: Path) -> Iterator[Image]:
    with tifffile.TiffFile(path) as tiff:
        for page in tiff.pages:
            yield page.asarray()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the libraries raise for a file that is missing, damaged or foreign into one line."""
    try:
        yield
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        zipfile.BadZipFile,
        tifffile.TiffFileError,
        ElementTree.ParseError,
    ) as error:
        raise PairImportError(path, [f"it cannot be read ({' '.join(str(error).split())}); export it again"]) from error
