"""Files of arrays, as we and other programs write them: NumPy, HDF5, MATLAB, TIFF and OME-Zarr. Each kind has a module below.

Headers are checked before memory is used. Only :func:`read_array_file` raises errors of ours; the others raise what the
libraries raise, which :func:`one_line_errors` turns into an error of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from acquisition.exchange.containers.array_file import (
    INTEGERS,
    NUMBERS,
    TEXTS,
    ArrayFile,
    ArrayFileError,
    check_image,
    joined,
    json_mapping,
    one_line_errors,
)
from acquisition.exchange.containers.axes import check_stated
from acquisition.exchange.containers.facts import channel_names
from acquisition.exchange.containers.hdf5_file import read_hdf5
from acquisition.exchange.containers.matlab_file import read_matlab5
from acquisition.exchange.containers.numpy_file import read_npy, read_npz
from acquisition.exchange.containers.tiff_file import read_tiff
from acquisition.exchange.containers.together import NPY, TIFF, ZARR, array_name, files_together, read_together
from acquisition.exchange.containers.zarr_array import ZARR_GROUP, is_zarr
from acquisition.exchange.containers.zarr_folder import read_ome_zarr
from drivers.limits import check_regular

__all__ = [
    "INTEGERS",
    "NUMBERS",
    "TEXTS",
    "TIFF_SUFFIX",
    "ZARR_GROUP",
    "ArrayFile",
    "ArrayFileError",
    "channel_names",
    "check_image",
    "is_array_file",
    "joined",
    "json_mapping",
    "one_line_errors",
    "read_array_file",
    "read_hdf5",
    "read_matlab",
    "read_npz",
    "read_ome_zarr",
    "read_tiff",
]
TIFF_SUFFIX = ".ome.tif"
#: The endings of the other kinds of files.
_ENDINGS = (".npz", ".h5", ".hdf5", ".mat", *NPY, *TIFF)
_HDF5 = b"\x89HDF\r\n\x1a\n"


def is_array_file(path: Path) -> bool:
    """Whether :func:`read_array_file` reads a file of this name, or this folder."""
    return is_zarr(path) if path.is_dir() else path.name.lower().endswith(_ENDINGS)


def read_array_file(path: Path, axes: str = "") -> ArrayFile:
    """Read a file of arrays, or the files ``NAME_speckle``, ``NAME_phase`` ... of one array each.

    Parameters
    ----------
    path : Path
        The file or OME-Zarr folder; of several ones that of the speckle.
    axes : str
        The axes of its arrays where nothing in it tells them: the letters N, H and W in their order, or NCHW or HWCN.

    Raises
    ------
    ArrayFileError
        It is damaged, too large, or leads to other files.
    """
    with one_line_errors():
        check_stated(axes)
        name = path.name.lower()
        if name.endswith(".npz"):
            return read_npz(path, axes)
        if name.endswith(".mat"):
            return read_matlab(path, axes)
        if name.endswith(NPY):
            return _with_others(path, NPY, partial(read_npy, axes=axes))
        if name.endswith(TIFF):
            return _with_others(path, TIFF, read_tiff)
        if path.is_dir():
            return _with_others(path, ZARR, partial(read_ome_zarr, axes=axes))
        return read_hdf5(path, axes)


def read_matlab(path: Path, axes: str = "") -> ArrayFile:
    """Read a MATLAB file: version 7.3 is HDF5, behind a text of 512 bytes."""
    check_regular(path)
    with path.open("rb") as file:
        head = file.read(512 + len(_HDF5))
    is_hdf5 = head.startswith(_HDF5) or head[512:] == _HDF5
    return read_hdf5(path, axes) if is_hdf5 else read_matlab5(path, axes)


def _with_others(path: Path, endings: tuple[str, ...], read: Callable[[Path, str], ArrayFile]) -> ArrayFile:
    """Read a file of one array, with those that belong to it by their names."""
    files = files_together(path, endings)
    if len(files) > 1:
        return read_together(files, read)
    own = array_name(path, endings)
    return read(path, own[1] if own else path.name.split(".")[0])
