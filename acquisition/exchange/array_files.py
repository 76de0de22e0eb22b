"""Files of arrays, as we export them: npz, HDF5, MATLAB 7.3, OME-TIFF and OME-Zarr. Headers are checked before memory is used.

The functions raise what the libraries raise; :func:`one_line_errors` turns this into an error of ours.
"""

from __future__ import annotations

import glob
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

import h5py
import numpy as np
import tensorstore as ts
import tifffile
from numpy.typing import NDArray

from acquisition.archive.shards import Image, tensorstore_reason
from acquisition.exchange.check_sums import (
    FACTS,
    CheckSums,
    Layout,
    combined,
    missing_parts,
    read_check_sums,
    read_ome_check_sums,
)
from acquisition.exchange.child_reader import check_in_child
from acquisition.exchange.containers.array_file import (
    INTEGERS,
    METADATA,
    NUMBERS,
    TEXTS,
    ArrayFile,
    ArrayFileError,
    is_column,
    json_mapping,
    one_line_errors,
)
from drivers.limits import MAX_COLUMN_BYTES, MAX_EXPANSION, MAX_JSON_BYTES, LimitError, check_inside, check_pixels
from drivers.manifest import values_sha256
from drivers.safe_arrays import npz_members, read_npy_header
from drivers.safe_text import parse_json

__all__ = [
    "INTEGERS",
    "NUMBERS",
    "TEXTS",
    "TIFF_SUFFIX",
    "ZARR_GROUP",
    "ArrayFile",
    "ArrayFileError",
    "is_array_file",
    "json_mapping",
    "one_line_errors",
    "open_hdf5",
    "open_matlab",
    "read_array_file",
    "read_hdf5",
    "read_matlab",
    "read_npz",
    "read_ome_zarr",
    "read_tiff",
]

TIFF_SUFFIX = ".ome.tif"
#: Describes the group of an OME-Zarr folder.
ZARR_GROUP = "zarr.json"
_Read = TypeVar("_Read")
_TIFF = f"_speckle{TIFF_SUFFIX}"


def is_array_file(path: Path) -> bool:
    """Whether :func:`read_array_file` reads files and folders of this name."""
    return path.suffix in (".npz", ".h5", ".hdf5") or path.name.endswith(_TIFF)


def read_array_file(path: Path) -> ArrayFile:
    """Read a file of arrays, or the files ``NAME_speckle``, ``NAME_phase`` ... of one array each.

    Parameters
    ----------
    path : Path
        The file; of several files the one of the speckle.

    Raises
    ------
    ArrayFileError
        It is damaged, too large, or leads to other files.
    """
    with one_line_errors():
        if path.name.endswith(_TIFF):
            return _read_tiffs(path)
        return read_npz(path) if path.suffix == ".npz" else read_hdf5(path)


def read_npz(path: Path) -> ArrayFile:
    """Read a ``.npz`` file."""
    arrays: dict[str, Layout] = {}
    with zipfile.ZipFile(path) as file:
        for name, info in npz_members(file, path.stat().st_size).items():
            most = MAX_COLUMN_BYTES if is_column(name) or name in (*METADATA, FACTS) else info.file_size
            with file.open(info) as stream:
                shape, fortran_order, dtype = _named(name, partial(read_npy_header, stream, info.file_size, most))
            if len(shape) == 3:
                if fortran_order:
                    raise ValueError(f"{name} is in Fortran order; save numpy.ascontiguousarray of it")
                arrays[name] = shape, dtype
    with np.load(path, allow_pickle=False) as loaded:
        columns = {name: loaded[name] for name in loaded if is_column(name)}
        metadata_json = str(next((loaded[name] for name in METADATA if name in loaded), "{}"))
        check_sums = read_check_sums(arrays, columns, metadata_json, str(loaded[FACTS]) if FACTS in loaded else "")
    return ArrayFile(
        arrays=arrays,
        columns=columns,
        metadata=json_mapping(metadata_json),
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


def read_hdf5(path: Path) -> ArrayFile:
    """Read an HDF5 file, and nothing outside it, after a child process has read all of it."""
    check_in_child(path)
    return open_hdf5(path)


def open_hdf5(path: Path) -> ArrayFile:
    """As :func:`read_hdf5`, without a child."""
    with h5py.File(path) as file:
        datasets = {name: file[name] for name in file if _is_dataset(file, name)}
        arrays: dict[str, Layout] = {k: (v.shape, v.dtype) for k, v in datasets.items() if v.ndim == 3}
        stored = {name: item for name, item in datasets.items() if is_column(name)}
        for name, item in stored.items():
            if item.size * item.dtype.itemsize > MAX_COLUMN_BYTES:
                raise LimitError(f"{name!r} claims {item.size} values; at most {MAX_COLUMN_BYTES} bytes are read")
        columns = {k: v.asstr()[:] if h5py.check_string_dtype(v.dtype) else v[:] for k, v in stored.items()}
        metadata_json = str(next((file.attrs[name] for name in METADATA if name in file.attrs), "{}"))
        check_sums = read_check_sums(arrays, columns, metadata_json, str(file.attrs.get(FACTS, "")))
    return ArrayFile(
        arrays=arrays,
        columns=columns,
        metadata=json_mapping(metadata_json),
        check_sums=check_sums,
        read=partial(_hdf5_images, path),
    )


def _is_dataset(file: h5py.File, name: str) -> bool:
    """Whether an entry is an array; raises LimitError when its content lies in another place or file."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise LimitError(f"{name!r} is a link, which may lead to another file; store the array itself in this file")
    item = file[name]
    if not isinstance(item, h5py.Dataset):
        return False
    if item.external or item.is_virtual:
        kind = "virtual" if item.is_virtual else "external"
        raise LimitError(f"{name!r} is {kind}: its content lies in another file; store the array itself in this file")
    size = file.id.get_filesize()
    if item.nbytes > MAX_EXPANSION * size:
        raise LimitError(f"{name!r} claims {item.nbytes} bytes, but the file has {size}; save it with all its values")
    return True


def _hdf5_images(path: Path, name: str) -> Iterator[Image]:
    with h5py.File(path) as file:
        for image in file[name]:
            yield image.astype(image.dtype.newbyteorder("="), copy=False)


def read_matlab(path: Path) -> ArrayFile:
    """Read the MATLAB 7.3 file of an export, after a child process has read all of it."""
    check_in_child(path, matlab=True)
    return open_matlab(path)


def open_matlab(path: Path) -> ArrayFile:
    """As :func:`read_matlab`, without a child. MATLAB's axes are those of HDF5 in reverse order."""
    with h5py.File(path) as file:
        datasets = {name: file[name] for name in file if _is_dataset(file, name)}
        arrays: dict[str, Layout] = {
            name: ((item.shape[0], item.shape[2], item.shape[1]), item.dtype)
            for name, item in datasets.items()
            if item.ndim == 3
        }
        for name, item in datasets.items():
            if item.ndim != 3 and item.size * item.dtype.itemsize > MAX_COLUMN_BYTES:
                raise LimitError(f"{name!r} claims {item.size} values; at most {MAX_COLUMN_BYTES} bytes are read")
        values = {name: _matlab_column(item) for name, item in datasets.items() if item.ndim != 3}
    columns = {name: column for name, column in values.items() if is_column(name)}
    metadata_json, facts = (str(values[name][0]) if name in values else "" for name in (METADATA[0], FACTS))
    return ArrayFile(
        arrays=arrays,
        columns=columns,
        metadata=json_mapping(metadata_json or "{}"),
        check_sums=read_check_sums(arrays, columns, metadata_json, facts),
        read=lambda name: (np.ascontiguousarray(image.T) for image in _hdf5_images(path, name)),
    )


def _matlab_column(item: h5py.Dataset) -> NDArray[Any]:
    """Return a variable N x 1, or N rows of characters without the blanks at their end, as a column (N,)."""
    content: NDArray[Any] = item[:]
    if item.attrs.get("MATLAB_class") != np.bytes_("char"):
        return np.ravel(content)
    rows = np.ascontiguousarray(content.T, "<u2")
    return np.array([row.tobytes().decode("utf-16-le").rstrip(" ") for row in rows])


def read_tiff(path: Path, name: str) -> ArrayFile:
    """Read the OME-TIFF file of one array, which gets the name ``name``."""
    with tifffile.TiffFile(path) as tiff:
        page, count = tiff.pages[0], len(tiff.pages)
        ome = tiff.ome_metadata or "<none/>"
    if "<!" in ome.replace("<!--", ""):
        raise LimitError(f"{path.name} declares entities in its OME metadata; export it again")
    pixels = ElementTree.fromstring(ome).find(".//{*}Pixels")
    # A truncated file may have lost its description or pages; tifffile only logs this.
    if pixels is None or pixels.get("SizeT") != str(count):
        raise ValueError(f"{path.name} has no OME metadata for its {count} pages")
    layout = (count, *page.shape), np.dtype(page.dtype)
    planes = pixels.findall("{*}Plane")
    columns, metadata = {}, {}
    if len(planes) == count:
        columns["t_ns"] = np.round([float(plane.get("DeltaT", 0)) * 1e9 for plane in planes]).astype(np.int64)
        columns["exposure_s"] = np.array([float(plane.get("ExposureTime", 0)) for plane in planes])
    if pixels.get("PhysicalSizeXUnit") == "µm":
        metadata["pixel_um"] = float(pixels.get("PhysicalSizeX", "nan"))
    return ArrayFile(
        arrays={name: layout},
        columns=columns,
        metadata=metadata,
        check_sums=read_ome_check_sums(name, ome, layout),
        read=lambda _: _tiff_images(path),
    )


def _tiff_images(path: Path) -> Iterator[Image]:
    with tifffile.TiffFile(path) as tiff:
        shape = tiff.pages[0].shape
        for page in tiff.pages:
            if page.shape != shape:
                raise LimitError(f"{path.name} has pages of {shape} and of {page.shape}; export it again")
            yield page.asarray()


def read_ome_zarr(path: Path, name: str) -> ArrayFile:
    """Read the OME-Zarr folder of one array, which gets the name ``name``.

    Raises
    ------
    OSError, ValueError, LookupError, TypeError, RuntimeError
        It is damaged, or another program wrote it in another way.
    """
    check_inside(path, [ZARR_GROUP], whole=["0"])
    if (path / ZARR_GROUP).stat().st_size > MAX_JSON_BYTES:
        raise LimitError(f"{ZARR_GROUP} has more than {MAX_JSON_BYTES} bytes; copy the folder again")
    group = parse_json((path / ZARR_GROUP).read_text(encoding="utf-8"))
    facts: dict[str, Any] = group["attributes"].get("specklescope", {})
    store = _opened_zarr(path / "0")
    layout: Layout = tuple(store.shape), np.dtype(store.dtype.numpy_dtype)
    columns: dict[str, NDArray[Any]] = {
        key: np.asarray(facts[key]) for key in ("t_s", "exposure_s", "pattern_id") if key in facts
    }
    return ArrayFile(
        arrays={name: layout},
        columns=columns,
        metadata=facts.get("metadata", {}),
        check_sums=_zarr_check_sums(name, group, facts, layout),
        read=lambda _: _zarr_images(store),
    )


def _zarr_check_sums(name: str, group: dict[str, Any], facts: dict[str, Any], layout: Layout) -> CheckSums | None:
    stated = group["attributes"].pop(FACTS, "")
    if not stated and "crc32" not in facts:
        return None
    crc32: NDArray[Any] = np.asarray(facts.get("crc32", []), np.uint32)
    problems = missing_parts({name: layout}, {name: crc32})
    if values_sha256(group) != stated:
        problems.append(f"the times, ids or metadata in {ZARR_GROUP} differ from its {FACTS}; copy or export it again")
    elif (tuple(facts["shape"]), facts["data_type"]) != (layout[0], layout[1].name):
        problems.append(
            f"0/{ZARR_GROUP} states {layout[0]} {layout[1]}, {ZARR_GROUP} states another array; copy or export it again"
        )
    return CheckSums(crc32={name: crc32} if not problems else {}, problems=tuple(problems))


def _opened_zarr(path: Path) -> ts.TensorStore:
    kvstore = {"driver": "file", "path": f"{path.resolve().as_posix()}/"}
    try:
        store = ts.open({"driver": "zarr3", "kvstore": kvstore}, read=True).result()
    except ValueError as error:
        raise ValueError(tensorstore_reason(error)) from error
    if store.ndim != 3 or store.chunk_layout.read_chunk.shape != (1, *store.shape[1:]):
        raise LimitError(f"{path.name} is no array (N, H, W) with one image for each chunk")
    check_pixels(store.shape[1:])
    return store


def _zarr_images(store: ts.TensorStore) -> Iterator[Image]:
    for index in range(store.shape[0]):
        try:
            yield np.ascontiguousarray(store[index].read().result())
        except ValueError as error:
            raise ValueError(f"image {index}: {tensorstore_reason(error)}") from error


def _read_tiffs(path: Path) -> ArrayFile:
    """Read the OME-TIFF files of all arrays of one export as one; the times are those of the speckle."""
    stem = path.name.removesuffix(_TIFF)
    siblings = sorted(path.parent.glob(f"{glob.escape(stem)}_*{TIFF_SUFFIX}"))
    check_inside(path.parent, [file.name for file in siblings if file != path])
    names = {file.name[len(stem) + 1 : -len(TIFF_SUFFIX)]: file for file in siblings}
    files = {name: read_tiff(file, name) for name, file in names.items()}
    return ArrayFile(
        arrays={name: file.arrays[name] for name, file in files.items()},
        columns=files["speckle"].columns,
        metadata=files["speckle"].metadata,
        check_sums=combined([file.check_sums for file in files.values() if file.check_sums]),
        read=lambda name: files[name].read(name),
    )
