"""OME-Zarr folders (NGFF 0.1 to 0.5, Zarr v2 and v3), and Zarr groups whose arrays are stacks of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts
from numpy.typing import NDArray

from acquisition.archive.shards import Image
from acquisition.exchange.check_sums import FACTS, CheckSums, Layout, combined, missing_parts
from acquisition.exchange.containers.array_file import ArrayFile, planes_of
from acquisition.exchange.containers.axes import Custom, decide_axes, named_axes
from acquisition.exchange.containers.facts import is_column, plain_columns, si_columns, unit_of
from acquisition.exchange.containers.units import length_um, regular_times_ns
from acquisition.exchange.containers.zarr_array import (
    ZARR_GROUP,
    ZarrStack,
    attributes_of,
    inside,
    is_zarr,
    is_zarr_array,
    objects,
    open_zarr,
    read_json,
)
from drivers.limits import LimitError, check_inside
from drivers.manifest import values_sha256

#: Axes of images that name none, as NGFF 0.1 and 0.2 have them.
_UNNAMED = "tczyx"

#: The axes of our own folders, by their number. They are not read from them, because their check sums come later.
_OURS: Mapping[int, Sequence[str]] = {3: "tyx", 4: "tcyx"}


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
    attributes = attributes_of(path)
    if not _multiscales(attributes) and not _is_ours(attributes):
        series = [child for child in sorted(path.iterdir()) if child.is_dir() and is_zarr(child)]
        if series and all(_multiscales(attributes_of(child)) for child in series):
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
    names = _ome(attributes_of(path / "labels")).get("labels", [])
    return [name for name in names if isinstance(name, str) and "/" not in name and (path / "labels" / name).is_dir()]


def _title(path: Path) -> str:
    return str(_multiscales(attributes_of(path))[0].get("name", ""))


def _multiscales(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return objects(_ome(attributes), "multiscales")


def _ome(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metadata of OME; before version 0.5 they are the attributes themselves."""
    return inside(attributes, "ome") if "ome" in attributes else attributes


def _image(path: Path, name: str) -> ArrayFile:
    """Read one multiscale image, in its full resolution."""
    group, attributes = read_json(path / ZARR_GROUP), attributes_of(path)
    ours = _is_ours(attributes)
    image: Mapping[str, Any] = {"datasets": [{"path": "0"}]} if ours else _multiscales(attributes)[0]
    dataset = objects(image, "datasets")[0]
    store = open_zarr(path, str(dataset["path"]))
    if ours:
        image = {**image, "axes": list(_OURS.get(store.ndim, "tyx"))}
    axes = [axis["name"] if isinstance(axis, dict) else str(axis) for axis in image.get("axes", _UNNAMED[-store.ndim :])]
    if len(axes) != store.ndim or len(set(axes)) != len(axes) or not {"y", "x"} <= set(axes) <= set(_UNNAMED):
        raise LimitError(f"its axes are {', '.join(axes)}; t, c, z, y and x are read")
    channels = [str(channel.get("label", "")) for channel in objects(inside(_ome(attributes), "omero"), "channels")]
    stacks = {name: _own_stack(store)} if ours else _channels(store, axes, name, channels)
    layouts = {key: stack.layout for key, stack in stacks.items()}
    facts = inside(attributes, "specklescope")
    columns, notes = si_columns(plain_columns(facts))
    metadata = dict(facts.get("metadata", {}))
    if not ours:
        columns, metadata, notes = _scaled(image, dataset, axes, store.shape)
        notes.insert(0, f"axes of {name!r}: {', '.join(f'{a} {n}' for a, n in zip(axes, store.shape, strict=True))}")
    check_sums = _check_sums(name, group, facts, layouts[name]) if name in layouts else None
    return ArrayFile(
        arrays=layouts,
        columns=columns,
        metadata=metadata,
        check_sums=check_sums,
        read=lambda key: stacks[key].images(),
        notes=() if check_sums else tuple(notes),
        planes=planes_of(name, channels) if len(stacks) > 1 else (),
    )


def _own_stack(store: ts.TensorStore) -> ZarrStack:
    """Return the stack of one of our folders: its axes are t, y, x, with c after t where frames have channels."""
    places = [{0: number} for number in range(store.shape[0])]
    return ZarrStack(store=store, places=places, image=tuple(range(1, store.ndim)))


def _channels(store: ts.TensorStore, axes: Sequence[str], name: str, labels: Sequence[str]) -> dict[str, ZarrStack]:
    """Return the stack of every channel; time is the slower axis of the images, Z the faster one."""
    sizes = dict(zip(axes, store.shape, strict=True))
    count = sizes.get("c", 1)
    names = [name] if count == 1 else list(labels)
    if len(set(names)) != count or not all(names):
        names = [f"{name}/{number}" for number in range(count)]
    if count > 1 and names[0] == f"{name}/0" and sizes.get("t", 1) == sizes.get("z", 1) == 1:
        fixed = {axes.index(axis): 0 for axis in ("t", "z") if axis in axes}
        places = [fixed | {axes.index("c"): number} for number in range(count)]
        return {name: ZarrStack(store=store, places=places, image=(axes.index("y"), axes.index("x")))}
    stacks = {}
    for number, key in enumerate(names):
        fixed = {axes.index("c"): number} if "c" in axes else {}
        places = [
            fixed | {axes.index(axis): value for axis, value in (("t", t), ("z", z)) if axis in axes}
            for t in range(sizes.get("t", 1))
            for z in range(sizes.get("z", 1))
        ]
        stacks[key] = ZarrStack(store=store, places=places, image=(axes.index("y"), axes.index("x")))
    return stacks


_Facts = tuple[dict[str, NDArray[Any]], dict[str, Any], list[str]]


def _scaled(image: Mapping[str, Any], dataset: Mapping[str, Any], axes: Sequence[str], shape: Sequence[int]) -> _Facts:
    """Return times and pixel size from the units of the axes and the scale, and notes about them."""
    scale = [1.0] * len(axes)
    for described in (dataset, image):
        for item in objects(described, "coordinateTransformations"):
            if item.get("type") == "scale":
                scale = [old * float(new) for old, new in zip(scale, item["scale"], strict=True)]
    units = [str(axis.get("unit", "")) if isinstance(axis, dict) else "" for axis in image.get("axes", [""] * len(axes))]
    steps = {axis: (step, unit, size) for axis, step, unit, size in zip(axes, scale, units, shape, strict=True) if unit}
    columns: dict[str, NDArray[Any]] = {}
    metadata: dict[str, Any] = {}
    notes = []
    if "x" in steps:
        width, unit, _ = steps["x"]
        side_um = length_um(width, unit)
        metadata = {} if side_um is None else {"pixel_um": side_um}
        notes.append(f"its pixel size is {side_um or 'unknown'} um: {width:g} {unit}")
    if "t" in steps and all(size == 1 for axis, size in zip(axes, shape, strict=True) if axis == "z"):
        step, unit, count = steps["t"]
        times = regular_times_ns(step, unit, count)
        columns = {} if times is None else {"t_ns": np.array(times, np.int64)}
        notes.append(f"its times {'are not used' if times is None else 'follow from its scale'}: {step:g} {unit}")
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
    folders = {folder.relative_to(path).as_posix(): folder for folder in sorted(path.rglob("*")) if is_zarr_array(folder)}
    if not folders:
        raise ValueError(f"{path.name} has no OME metadata, and no arrays")
    stores = {key: open_zarr(path, key) for key in folders if not is_column(key)}
    columns, notes = si_columns({key: open_zarr(path, key).read().result() for key in folders if is_column(key)})
    named = {key: axes for key, store in stores.items() if (axes := named_axes(_dimensions(folders[key]), store.shape))}
    shapes = {key: tuple(store.shape) for key, store in stores.items() if key not in named}
    decision = decide_axes(shapes, Custom.FIRST, stated=stated)
    stacks = {}
    for key, axes in {**named, **decision.axes}.items():
        count = axes.layout(stores[key].shape)[0]
        others = {axis: 0 for axis in range(stores[key].ndim) if axis not in axes.image}
        places = [others | ({axes.frames: number} if axes.frames is not None else {}) for number in range(count)]
        stacks[key] = ZarrStack(store=stores[key], places=places, image=axes.image)
    sources = [f"axes of {key!r}: {axes.names(stores[key].shape)}, as the file names them" for key, axes in named.items()]
    return ArrayFile(
        arrays={key: stack.layout for key, stack in stacks.items()},
        columns=columns,
        metadata={},
        check_sums=None,
        read=lambda key: stacks[key].images(),
        notes=(*sources, *decision.notes, *notes),
        units={key: unit_of(attributes_of(folders[key])) for key in stacks},
    )


def _dimensions(folder: Path) -> list[str]:
    names = read_json(folder / ZARR_GROUP).get("dimension_names") or attributes_of(folder).get("_ARRAY_DIMENSIONS") or []
    return [str(name) for name in names]


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
        planes=first.planes,
    )
