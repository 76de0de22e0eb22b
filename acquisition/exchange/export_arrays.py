"""Archives as array files: NumPy's npz, HDF5, MATLAB and OME-Zarr, written image by image.

The first three hold every array of the archive, one column for each field of the journal's rows (``t_ns``, ``exposure_s``,
``pattern_id`` ...), and the metadata as JSON. All hold check sums, see :mod:`acquisition.exchange.check_sums`. No file needs
pickle.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorstore as ts
from numpy.lib import format as npy
from numpy.typing import NDArray

from acquisition.archive.atomic_files import write_inside
from acquisition.archive.reader import Archive
from acquisition.archive.shards import tensorstore_reason
from acquisition.exchange.check_sums import FACTS
from acquisition.exchange.containers.facts import CHANNELS
from acquisition.exchange.export_base import (
    ExportError,
    channels_of,
    columns,
    display_range,
    even_interval_s,
    facts_digest,
    images,
    json_columns,
    metadata_json,
    pixel_um,
)
from acquisition.exchange.formats.matlab5 import Stack, holds, write_matlab5
from acquisition.exchange.hdf5_skeleton import hdf5_skeleton
from drivers.manifest import values_sha256

_UNITS = {"speckle": "counts", "phase": "rad", "uncertainty": "rad", "label": "grey level"}
_SHARD_BYTES = 32 * 2**20
#: Version of OME-Zarr.
_NGFF = "0.5"
#: The segmentation, and the array that it is the segmentation of.
_LABELS, _LABELLED = "labels", "phase"
#: Colours of channels by their names; others are white.
_COLOURS = {"red": "FF0000", "green": "00FF00", "blue": "0000FF"}
#: MATLAB's names of dtypes; those of integers are the same.
_MATLAB_CLASS = {"float32": "single", "float64": "double"}


def write_npz(archive: Archive, path: Path) -> None:
    """Write a ``.npz`` that ``numpy.load`` reads: images (N, H, W) or (N, C, H, W), columns (N,), and ``metadata_json`` ()."""
    table = columns(archive)
    table |= {"metadata_json": np.array(metadata_json(archive)), FACTS: np.array(facts_digest(archive, table))}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for name in archive.arrays:
            spec = archive.spec(name)
            header = {
                "descr": npy.dtype_to_descr(np.dtype(spec.dtype)),
                "fortran_order": False,
                "shape": (len(archive), *spec.shape),
            }
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array_header_1_0(member, header)
                for image in images(archive, name):
                    member.write(image.data)
        for name, column in table.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, column, allow_pickle=False)


def _is_attribute(key: object, value: object) -> bool:
    """Whether HDF5 can hold a fact of the metadata as an attribute; ``metadata_json`` holds every fact."""
    if not isinstance(key, str) or not key or "\0" in key:
        return False
    if isinstance(value, str):
        return "\0" not in value
    return isinstance(value, float) or (isinstance(value, int) and -(2**63) <= value < 2**63)


def write_hdf5(archive: Archive, path: Path) -> None:
    """Write an HDF5 file: images (N, H, W) with one image per chunk, columns (N,), the metadata as attributes of the root.

    Images with channels are (N, C, H, W); the attribute ``channels`` of their array has the names.
    """
    offsets: dict[str, list[int]] = {}
    table = columns(archive)
    # Since HDF5 1.8 an attribute may exceed 64 KiB, as the metadata of a long plan does.
    with hdf5_skeleton(path, libver=("v108", "v110")) as file:
        file.attrs["archive"] = archive.path.name
        file.attrs["metadata_json"] = metadata_json(archive)
        file.attrs[FACTS] = facts_digest(archive, table)
        for key, value in archive.metadata.items():
            if _is_attribute(key, value) and key not in file.attrs:
                file.attrs[key] = value
        for name in archive.arrays:
            spec = archive.spec(name)
            dataset = _allocate(file, name, (len(archive), *spec.shape), spec.dtype)
            dataset.attrs["unit"] = _UNITS.get(name, "")
            if names := channels_of(archive, name):
                dataset.attrs[CHANNELS] = _fixed_texts(np.array(names))
            offsets[name] = _offsets(dataset)
        for name, column in table.items():
            file.create_dataset(name, data=_fixed_texts(column) if column.dtype.kind == "U" else column)
    _fill(archive, path, offsets, transposed=False)


def _fixed_texts(column: NDArray[np.str_]) -> NDArray[Any]:
    """Return texts as UTF-8 of one length.

    GNU Octave loses a file that has texts of variable length, or texts that are marked as UTF-8.
    """
    return np.array([str(text).encode("utf-8") for text in column], np.bytes_)


def write_matlab(archive: Archive, path: Path) -> None:
    """Write a MATLAB file: images H x W x N, columns N x 1, texts as cells N x 1, ``metadata_json`` for jsondecode.

    Images with channels are H x W x C x N.

    It is of version 5, which all programs read, or of version 7.3 where a variable needs 2 GiB or more.
    """
    specs = {name: archive.spec(name) for name in archive.arrays}
    stacks = {
        name: Stack(shape=(len(archive), *spec.shape), dtype=spec.dtype, images=images(archive, name))
        for name, spec in specs.items()
    }
    if not all(holds(stack) for stack in stacks.values()):
        _write_matlab73(archive, path)
        return
    table = columns(archive)
    facts = {"metadata_json": metadata_json(archive), FACTS: facts_digest(archive, table)}
    write_matlab5(path, stacks, {**table, **facts})


def _write_matlab73(archive: Archive, path: Path) -> None:
    """Write version 7.3, which is HDF5 with MATLAB's own header and attributes; texts are N rows of characters."""
    offsets: dict[str, list[int]] = {}
    table = columns(archive)
    table |= {"metadata_json": np.array([metadata_json(archive)]), FACTS: np.array([facts_digest(archive, table)])}
    with hdf5_skeleton(path, userblock_size=512) as file:
        for name in archive.arrays:
            # MATLAB's first axis is HDF5's last one.
            *channels, height, width = archive.spec(name).shape
            dtype = archive.spec(name).dtype
            dataset = _allocate(file, name, (len(archive), *channels, width, height), dtype)
            dataset.attrs["MATLAB_class"] = np.bytes_(_MATLAB_CLASS.get(dtype, dtype))
            offsets[name] = _offsets(dataset)
        for name, column in table.items():
            if column.dtype.kind == "U":
                dataset = file.create_dataset(name, data=_code_units(column).T)
                dataset.attrs["MATLAB_class"] = np.bytes_("char")
                dataset.attrs["MATLAB_int_decode"] = np.int32(2)
            else:
                dataset = file.create_dataset(name, data=column[None])
                dataset.attrs["MATLAB_class"] = np.bytes_(_MATLAB_CLASS.get(column.dtype.name, column.dtype.name))
    stamp = f"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: {datetime.now(UTC):%a %b %d %H:%M:%S %Y} HDF5 schema 1.00 ."
    with path.open("r+b") as raw:
        raw.write(stamp.ljust(116).encode("ascii") + bytes(8) + b"\x00\x02IM")  # no subsystem data, version 2, little-endian
    _fill(archive, path, offsets, transposed=True)


def ome_zarr_images(archive: Archive) -> list[str]:
    """Return the arrays that become images of their own; the segmentation becomes the labels of the phase."""
    return [name for name in archive.arrays if name != _labels_of(archive, _LABELLED)]


def _labels_of(archive: Archive, name: str) -> str | None:
    """Return the array that holds the labels of an array's images, or None."""
    if name != _LABELLED or not {_LABELLED, _LABELS} <= set(archive.arrays):
        return None
    labels, image = archive.spec(_LABELS), archive.spec(_LABELLED)
    return _LABELS if np.issubdtype(labels.dtype, np.integer) and labels.shape == image.shape else None


def write_ome_zarr(archive: Archive, name: str, path: Path) -> None:
    """Write one array as an OME-Zarr 0.5 image with axes t, y, x, or t, c, y, x, and its labels where it has some.

    The archive's own ``data.zarr`` is not OME-Zarr: it has no ``ome`` metadata and no named axes, its first axis is far longer
    than its data, and there are gaps between its images.
    """
    _write_zarr_image(archive, name, path)
    labels = _labels_of(archive, name)
    if labels is not None:
        (path / _LABELS).mkdir()
        listed = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": _NGFF, "labels": [labels]}}}
        write_inside(path / _LABELS / "zarr.json", json.dumps(listed, indent=1).encode("utf-8"))
        _write_zarr_image(archive, labels, path / _LABELS / labels)


def _write_zarr_image(archive: Archive, name: str, path: Path) -> None:
    """Write a Zarr v3 group with one resolution level, ``0``."""
    spec, rows = archive.spec(name), archive.rows()
    path.mkdir()
    write_inside(path / "zarr.json", json.dumps(_group_metadata(archive, name), indent=1).encode("utf-8"))
    per_shard = max(1, min(len(rows), _SHARD_BYTES // spec.nbytes))
    codecs: list[dict[str, object]] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    if spec.compress:
        blosc = {"cname": "zstd", "clevel": 1, "shuffle": "bitshuffle", "typesize": np.dtype(spec.dtype).itemsize}
        codecs.append({"name": "blosc", "configuration": {**blosc, "blocksize": 0}})
    sharding = {"chunk_shape": [1, *spec.shape], "codecs": codecs}
    metadata = {
        "shape": [len(rows), *spec.shape],
        "data_type": spec.dtype,
        "fill_value": 0,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [per_shard, *spec.shape]}},
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "dimension_names": ["t", "c", "y", "x"] if channels_of(archive, name) else ["t", "y", "x"],
    }
    kvstore = {"driver": "file", "path": f"{(path / '0').resolve().as_posix()}/"}
    try:
        store = ts.open({"driver": "zarr3", "kvstore": kvstore, "metadata": metadata, "create": True}).result()
        for first in range(0, len(rows), per_shard):
            block = [archive.read(name, index) for index in range(first, min(first + per_shard, len(rows)))]
            store[first : first + len(block)].write(np.stack(block)).result()
    except (ValueError, RuntimeError) as error:  # TensorStore reports I/O errors as ValueError
        raise ExportError(f"cannot write {path.name}: {tensorstore_reason(error)}; check the disk") from error


def _allocate(file: h5py.File, name: str, shape: tuple[int, ...], dtype: str) -> h5py.Dataset:
    """Make a dataset (N, H, W) or (N, C, H, W) with one chunk per image.

    The chunks have their place in the file, but are not written yet.
    """
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_chunk((1, *shape[1:]))
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind = h5py.h5t.py_create(np.dtype(dtype).newbyteorder("<"))
    return h5py.Dataset(h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(shape), layout))


def _offsets(dataset: h5py.Dataset) -> list[int]:
    """Return the byte offset of every image in the file."""
    offsets = [0] * len(dataset)

    def note(chunk: Any) -> None:
        offsets[chunk.chunk_offset[0]] = chunk.byte_offset

    dataset.id.chunk_iter(note)
    return offsets


def _fill(archive: Archive, path: Path, offsets: Mapping[str, Sequence[int]], *, transposed: bool) -> None:
    """Write the images at their offsets with plain writes, because HDF5 itself crashes when the disk is full."""
    with path.open("r+b") as file:
        for name, image_offsets in offsets.items():
            for image, offset in zip(images(archive, name), image_offsets, strict=True):
                file.seek(offset)
                file.write((np.ascontiguousarray(np.swapaxes(image, -1, -2)) if transposed else image).data)


def _group_metadata(archive: Archive, name: str) -> dict[str, Any]:
    rows = archive.rows()
    interval_s, side_um = even_interval_s(rows), pixel_um(archive, name)
    time = {"name": "t", "type": "time"} | ({"unit": "second"} if interval_s else {})
    space = {"type": "space"} | ({"unit": "micrometer"} if side_um else {})
    names = channels_of(archive, name)
    channel: list[dict[str, str]] = [{"name": "c", "type": "channel"}] if names else []
    scale = {"type": "scale", "scale": [interval_s or 1.0, *(1.0 for _ in channel), side_um or 1.0, side_um or 1.0]}
    image = {
        "name": f"{archive.path.name} {name}",
        "axes": [time, *channel, {"name": "y", **space}, {"name": "x", **space}],
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
    }
    facts = {
        "metadata": json.loads(metadata_json(archive)),
        **json_columns(archive),
        "t_s": [(row.t_ns - rows[0].t_ns) * 1e-9 for row in rows],
        "unit": _UNITS.get(name, ""),
        "shape": [len(rows), *archive.spec(name).shape],
        "data_type": archive.spec(name).dtype,
        "crc32": [row.crc32[name] for row in rows],
    }
    ome: dict[str, Any] = {"version": _NGFF, "multiscales": [image]}
    if name == _labels_of(archive, _LABELLED):
        ome["image-label"] = {"source": {"image": "../../"}}
    else:
        low, high = display_range(archive, name)
        window = {"min": low, "max": high, "start": low, "end": high}
        ome["omero"] = {
            "channels": [
                {"label": label, "color": _COLOURS.get(label.lower(), "FFFFFF"), "active": True, "window": window}
                for label in names or (name,)
            ]
        }
    attributes: dict[str, Any] = {"ome": ome, "specklescope": facts}
    group: dict[str, Any] = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    attributes[FACTS] = values_sha256(group)
    return group


def _code_units(texts: NDArray[np.str_]) -> NDArray[np.uint16]:
    """Return the UTF-16 code units of texts (N,), shape (N, longest), padded with blanks as MATLAB pads rows of characters."""
    encoded = [np.frombuffer(str(text).encode("utf-16-le"), "<u2") for text in texts]
    units = np.full((len(encoded), max(1, *map(len, encoded))), ord(" "), np.uint16)
    for row, text in zip(units, encoded, strict=True):
        row[: len(text)] = text
    return units
