"""OME-Zarr as we export it: the folder of one array, read through TensorStore image by image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts
from numpy.typing import NDArray

from acquisition.archive.shards import Image, tensorstore_reason
from acquisition.exchange.array_files import ArrayFile
from acquisition.exchange.check_sums import FACTS, CheckSums, Layout, missing_parts
from drivers.limits import MAX_JSON_BYTES, LimitError, check_inside, check_pixels
from drivers.manifest import values_sha256
from drivers.safe_text import parse_json

GROUP = "zarr.json"


def read_ome_zarr(path: Path, name: str) -> ArrayFile:
    """Read the OME-Zarr folder of one array, which gets the name ``name``.

    Raises
    ------
    OSError, ValueError, LookupError, TypeError, RuntimeError
        It is damaged, or another program wrote it in another way.
    """
    check_inside(path, [GROUP], whole=["0"])
    if (path / GROUP).stat().st_size > MAX_JSON_BYTES:
        raise LimitError(f"{GROUP} has more than {MAX_JSON_BYTES} bytes; copy the folder again")
    group = parse_json((path / GROUP).read_text(encoding="utf-8"))
    facts: dict[str, Any] = group["attributes"].get("specklescope", {})
    store = _opened(path / "0")
    layout: Layout = tuple(store.shape), np.dtype(store.dtype.numpy_dtype)
    columns: dict[str, NDArray[Any]] = {
        key: np.asarray(facts[key]) for key in ("t_s", "exposure_s", "pattern_id") if key in facts
    }
    return ArrayFile(
        arrays={name: layout},
        columns=columns,
        metadata=facts.get("metadata", {}),
        check_sums=_check_sums(name, group, facts, layout),
        read=lambda _: _images(store),
    )


def _check_sums(name: str, group: dict[str, Any], facts: dict[str, Any], layout: Layout) -> CheckSums | None:
    stated = group["attributes"].pop(FACTS, "")
    if not stated and "crc32" not in facts:
        return None
    crc32: NDArray[Any] = np.asarray(facts.get("crc32", []), np.uint32)
    problems = missing_parts({name: layout}, {name: crc32})
    if values_sha256(group) != stated:
        problems.append(f"the times, ids or metadata in {GROUP} differ from its {FACTS}; copy or export it again")
    elif (tuple(facts["shape"]), facts["data_type"]) != (layout[0], layout[1].name):
        problems.append(f"0/{GROUP} states {layout[0]} {layout[1]}, {GROUP} states another array; copy or export it again")
    return CheckSums(crc32={name: crc32} if not problems else {}, problems=tuple(problems))


def _opened(path: Path) -> ts.TensorStore:
    kvstore = {"driver": "file", "path": f"{path.resolve().as_posix()}/"}
    try:
        store = ts.open({"driver": "zarr3", "kvstore": kvstore}, read=True).result()
    except ValueError as error:
        raise ValueError(tensorstore_reason(error)) from error
    if store.ndim != 3 or store.chunk_layout.read_chunk.shape != (1, *store.shape[1:]):
        raise LimitError(f"{path.name} is no array (N, H, W) with one image for each chunk")
    check_pixels(store.shape[1:])
    return store


def _images(store: ts.TensorStore) -> Iterator[Image]:
    for index in range(store.shape[0]):
        try:
            yield np.ascontiguousarray(store[index].read().result())
        except ValueError as error:
            raise ValueError(f"image {index}: {tensorstore_reason(error)}") from error
