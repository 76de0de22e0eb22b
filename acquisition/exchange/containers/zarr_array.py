"""One array of a Zarr folder, of version 2 or 3, and what describes it.

TensorStore believes every size in a description, and ends the process when the memory does not suffice. So the descriptions are
checked before it opens an array.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts
from numpy.typing import NDArray

from acquisition.archive.shards import Image, tensorstore_reason
from acquisition.exchange.check_sums import Layout
from acquisition.exchange.containers.array_file import IMAGE_KINDS
from drivers.limits import MAX_EXPANSION, MAX_JSON_BYTES, LimitError, check_inside, check_pixels
from drivers.safe_text import parse_json

#: Describes a group or array of version 3.
ZARR_GROUP = "zarr.json"
_V2_ATTRIBUTES, _V2_ARRAY, _V2_GROUP = ".zattrs", ".zarray", ".zgroup"
#: The most values of one chunk, and the most chunks of one shard.
_MOST_CHUNK_VALUES, _MOST_IN_SHARD = 2**28, 2**20
_CACHE_BYTES = 2**28


@dataclass(frozen=True, kw_only=True)
class ZarrStack:
    """The images of one array: for each one where it lies along every axis but those of the image.

    Parameters
    ----------
    store : TensorStore
        The array.
    places : sequence of mapping of int to int
        For every image its place along each other axis.
    image : tuple of int
        The axes of an image: H and W, or C, H and W.
    """

    store: ts.TensorStore
    places: Sequence[Mapping[int, int]]
    image: tuple[int, ...]

    @property
    def layout(self) -> Layout:
        """(N, H, W) or (N, C, H, W), and dtype."""
        shape = tuple(self.store.shape[axis] for axis in self.image)
        return (len(self.places), *shape), np.dtype(self.store.dtype.numpy_dtype)

    def images(self) -> Iterator[Image]:
        """Yield the images (H, W) or (C, H, W) in order."""
        order = [sorted(self.image).index(axis) for axis in self.image]
        for number, place in enumerate(self.places):
            index = tuple(place.get(axis, slice(None)) for axis in range(self.store.ndim))
            try:
                image: NDArray[Any] = self.store[index].read().result()
            except ValueError as error:
                raise ValueError(f"image {number}: {tensorstore_reason(error)}") from error
            yield np.ascontiguousarray(np.transpose(image, order))


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    return any((path / name).is_file() for name in (ZARR_GROUP, _V2_ATTRIBUTES, _V2_ARRAY, _V2_GROUP))


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one if there is no file."""
    if not path.is_file():
        return {}
    if path.stat().st_size > MAX_JSON_BYTES:
        raise LimitError(f"{path.name} has more than {MAX_JSON_BYTES} bytes; copy the folder again")
    content = parse_json(path.read_bytes())
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is no JSON object")
    return content


def attributes_of(path: Path) -> dict[str, Any]:
    """Return the attributes of a group or array."""
    return inside(read_json(path / ZARR_GROUP), "attributes") or read_json(path / _V2_ATTRIBUTES)


def inside(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the object that lies inside others by these names; an empty one where there is none.

    Raises
    ------
    ValueError
        What has such a name is no object.
    """
    for name in names:
        values = values.get(name, {})
        if not isinstance(values, dict):
            raise ValueError(f"{name!r} in its description is {str(values)[:40]!r}, no JSON object")
    return dict(values)


def objects(values: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a list of objects; an empty one where there is none; raises ValueError where it is none."""
    listed = values.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise ValueError(f"{name!r} in its description is {str(listed)[:40]!r}, no list of JSON objects")
    return listed


def is_zarr_array(folder: Path) -> bool:
    """Whether a folder is a Zarr array."""
    return (folder / _V2_ARRAY).is_file() or read_json(folder / ZARR_GROUP).get("node_type") == "array"


def open_zarr(root: Path, name: str) -> ts.TensorStore:
    """Open an array after its description was checked."""
    path = root / name
    check_inside(root, [name])
    version3 = (path / ZARR_GROUP).is_file()
    _check_sizes(path, read_json(path / (ZARR_GROUP if version3 else _V2_ARRAY)))
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
    grid = described.get("chunks") or inside(described, "chunk_grid", "configuration").get("chunk_shape")
    inner: list[Any] = [
        inside(codec, "configuration").get("chunk_shape")
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
