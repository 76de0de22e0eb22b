"""OME-Zarr folders (NGFF 0.1 to 0.5, Zarr v2 and v3), and Zarr groups whose arrays are stacks of images.

TensorStore believes every size in a description, and ends the process when the memory does not suffice. So the descriptions are
checked before it opens an array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts
from numpy.typing import NDArray

from acquisition.archive.shards import Image, tensorstore_reason
from acquisition.exchange.check_sums import FACTS, CheckSums, Layout, combined, missing_parts
from acquisition.exchange.containers.array_file import IMAGE_KINDS, ArrayFile
from acquisition.exchange.containers.axes import Custom, decide_axes, named_axes
from acquisition.exchange.containers.facts import is_column, si_columns
from acquisition.exchange.containers.units import length_um, time_ns
from drivers.limits import MAX_EXPANSION, MAX_JSON_BYTES, LimitError, check_inside, check_pixels
from drivers.manifest import values_sha256
from drivers.safe_text import parse_json

#: Describes a group or array of version 3.
ZARR_GROUP = "zarr.json"
_V2_ATTRIBUTES, _V2_ARRAY, _V2_GROUP = ".zattrs", ".zarray", ".zgroup"
#: The most values of one chunk, and the most chunks of one shard.
_MOST_CHUNK_VALUES, _MOST_IN_SHARD = 2**28, 2**20
_CACHE_BYTES = 2**28
#: Axes of images that name none, as NGFF 0.1 and 0.2 have them.
_UNNAMED = "tczyx"

#: What our own folders state. It is not read from them, because their check sums come later.
_OURS: Mapping[str, Any] = {"axes": ["t", "y", "x"], "datasets": [{"path": "0"}]}


@dataclass(frozen=True, kw_only=True)
class _Stack:
    """The images of one array: for each one where it lies along every axis but those of rows and columns."""

    store: ts.TensorStore
    places: Sequence[Mapping[int, int]]
    rows: int
    columns: int

    @property
    def layout(self) -> Layout:
        shape = self.store.shape
        return (len(self.places), shape[self.rows], shape[self.columns]), np.dtype(self.store.dtype.numpy_dtype)

    def images(self) -> Iterator[Image]:
        for number, place in enumerate(self.places):
            index = tuple(place.get(axis, slice(None)) for axis in range(self.store.ndim))
            try:
                image: NDArray[Any] = self.store[index].read().result()
            except ValueError as error:
                raise ValueError(f"image {number}: {tensorstore_reason(error)}") from error
            yield np.ascontiguousarray(image if self.rows < self.columns else image.T)


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    return any((path / name).is_file() for name in (ZARR_GROUP, _V2_ATTRIBUTES, _V2_ARRAY, _V2_GROUP))


def read_ome_zarr(path: Path, name: str, axes: str = "") -> ArrayFile:
    """Read an OME-Zarr image with its labels, or the arrays of a Zarr group.

    Parameters
    ----------
    path : Path
        The folder.
    name : str
        Name of its array, if it has one; several ones have the names of their channels, labels or arrays.
    axes : str
        Axes of arrays without names of axes, as the operator states them.

    Raises
    ------
    OSError, ValueError, LookupError, TypeError, RuntimeError
        It is damaged, or of a kind that is not read.
    """
    check_inside(path, [], whole=["."])
    attributes = _attributes(path)
    if not _multiscales(attributes) and not _is_ours(attributes):
        series = [child for child in sorted(path.iterdir()) if child.is_dir() and is_zarr(child)]
        if series and all(_multiscales(_attributes(child)) for child in series):
            return _merged([_image(child, _title(child) or child.name) for child in series])
        return _plain(path, axes)
    parts = [_image(path, name)]
    parts += [_image(path / "labels" / label, label) for label in _labels(path)]
    return _merged(parts)


def _is_ours(attributes: Mapping[str, Any]) -> bool:
    return "specklescope" in attributes or FACTS in attributes


def _labels(path: Path) -> list[str]:
    if not is_zarr(path / "labels"):
        return []
    attributes = _attributes(path / "labels")
    names = attributes.get("ome", attributes).get("labels", [])
    return [name for name in names if isinstance(name, str) and "/" not in name and (path / "labels" / name).is_dir()]


def _title(path: Path) -> str:
    return str(_multiscales(_attributes(path))[0].get("name", ""))


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    if path.stat().st_size > MAX_JSON_BYTES:
        raise LimitError(f"{path.name} has more than {MAX_JSON_BYTES} bytes; copy the folder again")
    content = parse_json(path.read_bytes())
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is no JSON object")
    return content


def _attributes(path: Path) -> dict[str, Any]:
    attributes: dict[str, Any] = _json(path / ZARR_GROUP).get("attributes", {}) or _json(path / _V2_ATTRIBUTES)
    return attributes


def _multiscales(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = attributes.get("ome", attributes).get("multiscales", [])
    return found


def _image(path: Path, name: str) -> ArrayFile:
    """Read one multiscale image, in its full resolution."""
    group, attributes = _json(path / ZARR_GROUP), _attributes(path)
    image = _OURS if _is_ours(attributes) else _multiscales(attributes)[0]
    dataset = image["datasets"][0]
    store = _opened(path, str(dataset["path"]))
    axes = [axis["name"] if isinstance(axis, dict) else str(axis) for axis in image.get("axes", _UNNAMED[-store.ndim :])]
    if len(axes) != store.ndim or len(set(axes)) != len(axes) or not {"y", "x"} <= set(axes) <= set(_UNNAMED):
        raise LimitError(f"its axes are {', '.join(axes)}; t, c, z, y and x are read")
    stacks = _channels(store, axes, name, attributes)
    layouts = {key: stack.layout for key, stack in stacks.items()}
    facts: dict[str, Any] = attributes.get("specklescope", {})
    columns, notes = si_columns({key: np.asarray(facts[key]) for key in facts if is_column(key)})
    metadata = dict(facts.get("metadata", {}))
    if not _is_ours(attributes):
        columns, metadata, notes = _scaled(image, dataset, axes, len(next(iter(stacks.values())).places))
        notes.insert(0, f"axes of {name!r}: {', '.join(f'{a} {n}' for a, n in zip(axes, store.shape, strict=True))}")
    check_sums = _check_sums(name, group, facts, layouts[name]) if name in layouts else None
    return ArrayFile(
        arrays=layouts,
        columns=columns,
        metadata=metadata,
        check_sums=check_sums,
        read=lambda key: stacks[key].images(),
        notes=() if check_sums else tuple(notes),
    )


def _channels(store: ts.TensorStore, axes: Sequence[str], name: str, attributes: Mapping[str, Any]) -> dict[str, _Stack]:
    """Return the stack of every channel; time is the slower axis of the images, Z the faster one."""
    sizes = dict(zip(axes, store.shape, strict=True))
    count = sizes.get("c", 1)
    listed = attributes.get("ome", attributes).get("omero", {}).get("channels", [])
    labels = [str(channel.get("label", "")) for channel in listed]
    names = [name] if count == 1 else labels
    if len(set(names)) != count or not all(names):
        names = [f"{name}/{number}" for number in range(count)]
    if count > 1 and names[0] == f"{name}/0" and sizes.get("t", 1) == sizes.get("z", 1) == 1:
        fixed = {axes.index(axis): 0 for axis in ("t", "z") if axis in axes}
        places = [fixed | {axes.index("c"): number} for number in range(count)]
        return {name: _Stack(store=store, places=places, rows=axes.index("y"), columns=axes.index("x"))}
    stacks = {}
    for number, key in enumerate(names):
        fixed = {axes.index("c"): number} if "c" in axes else {}
        places = [
            fixed | {axes.index(axis): value for axis, value in (("t", t), ("z", z)) if axis in axes}
            for t in range(sizes.get("t", 1))
            for z in range(sizes.get("z", 1))
        ]
        stacks[key] = _Stack(store=store, places=places, rows=axes.index("y"), columns=axes.index("x"))
    return stacks


def _scaled(
    image: Mapping[str, Any], dataset: Mapping[str, Any], axes: Sequence[str], count: int
) -> tuple[dict[str, NDArray[Any]], dict[str, Any], list[str]]:
    """Return times and pixel size from the units of the axes and the scale."""
    scale = [1.0] * len(axes)
    for transformations in (dataset.get("coordinateTransformations", []), image.get("coordinateTransformations", [])):
        for item in transformations:
            if item.get("type") == "scale":
                scale = [old * float(new) for old, new in zip(scale, item["scale"], strict=True)]
    units = [axis.get("unit", "") if isinstance(axis, dict) else "" for axis in image.get("axes", [""] * len(axes))]
    columns: dict[str, NDArray[Any]] = {}
    metadata: dict[str, Any] = {}
    notes = []
    x = axes.index("x")
    if units[x]:
        side_um = length_um(scale[x], units[x])
        if side_um is None:
            notes.append(f"its pixel size is not used: {scale[x]:g} {units[x]} is no length")
        else:
            metadata["pixel_um"] = side_um
            notes.append(f"its pixel size is {side_um:g} um: {scale[x]:g} {units[x]}")
    if "t" in axes and units[axes.index("t")] and "z" not in axes:
        step, unit = scale[axes.index("t")], units[axes.index("t")]
        step_ns = time_ns(step, unit)
        if step_ns is None or count * abs(step_ns) >= 2**63:
            notes.append(f"its times are not used: {step:g} {unit} is no interval")
        else:
            columns["t_ns"] = step_ns * np.arange(count, dtype=np.int64)
            notes.append(f"its times follow from its scale, {step:g} {unit}")
    return columns, metadata, notes


def _check_sums(name: str, group: dict[str, Any], facts: dict[str, Any], layout: Layout) -> CheckSums | None:
    stated = group.get("attributes", {}).pop(FACTS, "")
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


def _plain(path: Path, stated: str) -> ArrayFile:
    """Read the arrays of a group without OME metadata; xarray and Zarr v3 name their axes."""
    folders = {folder.relative_to(path).as_posix(): folder for folder in sorted(path.rglob("*")) if _is_array(folder)}
    if not folders:
        raise ValueError(f"{path.name} has no OME metadata, and no arrays")
    stores = {key: _opened(path, key) for key in folders if not is_column(key)}
    columns, notes = si_columns({key: _opened(path, key).read().result() for key in folders if is_column(key)})
    found = {key: axes for key, store in stores.items() if (axes := named_axes(_dimensions(folders[key]), store.shape))}
    shapes = {key: tuple(store.shape) for key, store in stores.items() if key not in found}
    decision = decide_axes(shapes, Custom.FIRST, stated=stated)
    stacks = {}
    for key, axes in {**found, **decision.axes}.items():
        count = axes.layout(stores[key].shape)[0]
        others = {axis: 0 for axis in range(stores[key].ndim) if axis not in (axes.rows, axes.columns)}
        places = [others | ({axes.frames: number} if axes.frames is not None else {}) for number in range(count)]
        stacks[key] = _Stack(store=stores[key], places=places, rows=axes.rows, columns=axes.columns)
    named = [f"axes of {key!r}: {axes.names(stores[key].shape)}, as the file names them" for key, axes in found.items()]
    return ArrayFile(
        arrays={key: stack.layout for key, stack in stacks.items()},
        columns=columns,
        metadata={},
        check_sums=None,
        read=lambda key: stacks[key].images(),
        notes=(*named, *decision.notes, *notes),
    )


def _is_array(folder: Path) -> bool:
    return (folder / _V2_ARRAY).is_file() or _json(folder / ZARR_GROUP).get("node_type") == "array"


def _dimensions(folder: Path) -> list[str]:
    names = _json(folder / ZARR_GROUP).get("dimension_names") or _attributes(folder).get("_ARRAY_DIMENSIONS") or []
    return [str(name) for name in names]


def _opened(root: Path, name: str) -> ts.TensorStore:
    """Open an array after its description was checked."""
    path = root / name
    check_inside(root, [name])
    version3 = (path / ZARR_GROUP).is_file()
    _check_sizes(path, _json(path / (ZARR_GROUP if version3 else _V2_ARRAY)))
    try:
        store = ts.open(
            {
                "driver": "zarr3" if version3 else "zarr",
                "kvstore": {"driver": "file", "path": f"{path.resolve().as_posix()}/"},
                "recheck_cached_data": "open",
            },
            read=True,
            context=ts.Context({"cache_pool": {"total_bytes_limit": _CACHE_BYTES}}),
        ).result()
    except ValueError as error:
        raise ValueError(tensorstore_reason(error)) from error
    if np.dtype(store.dtype.numpy_dtype).kind not in IMAGE_KINDS:
        raise LimitError(f"{name!r} holds {store.dtype.name}; save numbers")
    return store


def _check_sizes(path: Path, described: Mapping[str, Any]) -> None:
    """Raise unless the sizes of an array and its chunks suit its files."""
    shape = described.get("shape")
    grid = described.get("chunks") or described.get("chunk_grid", {}).get("configuration", {}).get("chunk_shape")
    inner = [
        codec["configuration"]["chunk_shape"]
        for codec in described.get("codecs", [])
        if isinstance(codec, dict) and codec.get("name") == "sharding_indexed"
    ]
    for sizes in (shape, grid, *inner):
        if not isinstance(sizes, list) or not all(type(size) is int and size > 0 for size in sizes):
            raise LimitError(f"{path.name} states the sizes {sizes}; copy the folder again")
    assert shape is not None
    assert grid is not None
    chunk = inner[-1] if inner else grid
    if math.prod(chunk) > _MOST_CHUNK_VALUES or math.prod(grid) > _MOST_IN_SHARD * math.prod(chunk):
        raise LimitError(f"{path.name} has chunks of {chunk} values in parts of {grid}; save it with smaller chunks")
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    if math.prod(shape) > MAX_EXPANSION * size:
        raise LimitError(f"{path.name} claims {math.prod(shape)} values, but has {size} bytes; save it with all its values")
    if len(shape) > 1:
        check_pixels(tuple(shape[-2:]))


def _merged(parts: Sequence[ArrayFile]) -> ArrayFile:
    """Return several images as one; times and metadata are those of ``speckle``, or of the first."""
    first = next((part for part in parts if "speckle" in part.arrays), parts[0])
    readers: dict[str, Callable[[str], Iterator[Image]]] = {name: part.read for part in parts for name in part.arrays}
    return ArrayFile(
        arrays={name: layout for part in parts for name, layout in part.arrays.items()},
        columns=first.columns,
        metadata=first.metadata,
        check_sums=combined([part.check_sums for part in parts if part.check_sums]),
        read=lambda name: readers[name](name),
        notes=tuple(note for part in parts for note in part.notes),
    )
