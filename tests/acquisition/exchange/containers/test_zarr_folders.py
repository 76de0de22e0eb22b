"""OME-Zarr folders of other programs: both versions of Zarr, any order of axes, and units."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore as ts
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from acquisition.exchange.array_files import ArrayFile, ArrayFileError, is_array_file, one_line_errors, read_array_file

TIMES = {"second": 0.04, "millisecond": 40.0, "microsecond": 40_000.0, "minute": 0.04 / 60}
LENGTHS = {"micrometer": 0.65, "nanometer": 650.0, "millimeter": 0.00065, "angstrom": 6500.0}


def filled(shape: tuple[int, ...], dtype: str = "u1") -> NDArray[Any]:
    return np.random.default_rng(0).uniform(0, 200, shape).astype(dtype)


def write_array(path: Path, array: NDArray[Any], version: int, chunks: list[int] | None = None) -> None:
    metadata: dict[str, Any] = {"shape": array.shape}
    chunks = chunks or [2] * array.ndim
    if version == 2:
        metadata |= {"dtype": array.dtype.str, "chunks": chunks, "dimension_separator": "/"}
    else:
        grid = {"name": "regular", "configuration": {"chunk_shape": chunks}}
        metadata |= {"data_type": array.dtype.name, "chunk_grid": grid}
    kvstore = {"driver": "file", "path": f"{path}/"}
    kind = {"driver": "zarr" if version == 2 else "zarr3", "kvstore": kvstore, "metadata": metadata, "create": True}
    ts.open(kind).result().write(array).result()


def write_group(path: Path, facts: dict[str, Any], version: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if version == 2:
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps(facts))
    else:
        group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", **facts}}}
        (path / "zarr.json").write_text(json.dumps(group))


def ome(path: Path, array: NDArray[Any], axes: list[dict[str, str]], version: int, **more: Any) -> Path:
    scale = more.pop("scale", [1.0] * array.ndim)
    dataset = {"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    image = {"axes": axes, "datasets": [dataset], "name": more.pop("name", "image"), "version": "0.4"}
    write_group(path, {"multiscales": [image], **more}, version)
    write_array(path / "s0", array, version)
    return path


def images(content: ArrayFile, name: str) -> NDArray[Any]:
    stack = np.stack(list(content.read(name)))
    assert (stack.shape, stack.dtype) == content.arrays[name]
    return stack


def plain(names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


@settings(max_examples=40, deadline=None)
@given(
    version=st.sampled_from([2, 3]),
    axes=st.sampled_from(["tyx", "zyx", "tczyx", "tcyx", "yxt", "xyt", "yx"]),
    dtype=st.sampled_from(["u1", ">u2", "<u2", "f4", ">f8"]),
    time=st.sampled_from(sorted(TIMES)),
    length=st.sampled_from(sorted(LENGTHS)),
)
def test_images_of_any_axes_and_units_come_in_unchanged(version: int, axes: str, dtype: str, time: str, length: str) -> None:
    if version == 3:
        dtype = dtype.lstrip("<>")
    sizes = {"t": 3, "z": 3 if axes == "zyx" else 1, "c": 1, "y": 5, "x": 7}
    stack = filled((sizes["t"] if "t" in axes else 1, sizes["z"], 1, 5, 7), dtype)
    stored = np.transpose(stack, [*("tzcyx".index(a) for a in axes), *("tzcyx".index(a) for a in "tzcyx" if a not in axes)])
    stored = stored.reshape([sizes[axis] for axis in axes])
    units = {
        "t": {"type": "time", "unit": time},
        "y": {"type": "space", "unit": length},
        "x": {"type": "space", "unit": length},
    }
    scales = {"t": TIMES[time], "y": LENGTHS[length], "x": LENGTHS[length]}
    with tempfile.TemporaryDirectory() as folder:
        described = [{"name": axis, **units.get(axis, {})} for axis in axes]
        path = ome(Path(folder) / "a.ome.zarr", stored, described, version, scale=[scales.get(axis, 1.0) for axis in axes])
        assert is_array_file(path)
        content = read_array_file(path)
        [name] = content.arrays
        np.testing.assert_array_equal(images(content, name), stack.reshape(-1, 5, 7))
    assert content.metadata["pixel_um"] == pytest.approx(0.65, rel=1e-12)
    if "t" in axes:
        assert content.columns["t_ns"].tolist() == [0, 40_000_000, 80_000_000]
    assert any(f"{scales['x']:g} {length}" in note for note in content.notes)


@pytest.mark.parametrize("version", [2, 3])
def test_channels_have_the_names_of_omero(version: int, tmp_path: Path) -> None:
    stack = filled((3, 2, 5, 7), "f4")
    channels = {"channels": [{"label": "speckle"}, {"label": "phase"}]}
    content = read_array_file(ome(tmp_path / "a.zarr", stack, plain("tcyx"), version, omero=channels))
    for channel, name in enumerate(("speckle", "phase")):
        np.testing.assert_array_equal(images(content, name), stack[:, channel])


def test_folders_of_one_image_each_belong_together(tmp_path: Path) -> None:
    stacks = {"speckle": filled((3, 5, 7), "u2"), "phase": filled((3, 4, 4), "f4")}
    for name, stack in stacks.items():
        ome(tmp_path / f"a_{name}.ome.zarr", stack, plain("tyx"), 3)
    content = read_array_file(tmp_path / "a_speckle.ome.zarr")
    for name, stack in stacks.items():
        np.testing.assert_array_equal(images(content, name), stack)


@pytest.mark.parametrize("version", [2, 3])
def test_labels_of_an_image_come_in_by_their_names(version: int, tmp_path: Path) -> None:
    speckle, labels = filled((3, 5, 7), "u2"), filled((3, 5, 7), "u1")
    path = ome(tmp_path / "a_speckle.zarr", speckle, plain("tyx"), version)
    write_group(path / "labels", {"labels": ["cells", "../secret"]}, version)
    ome(path / "labels" / "cells", labels, plain("tyx"), version)
    content = read_array_file(path)
    assert list(content.arrays) == ["speckle", "cells"]
    np.testing.assert_array_equal(images(content, "cells"), labels)


def test_a_collection_of_images_is_read_as_one(tmp_path: Path) -> None:
    write_group(tmp_path / "a.zarr", {"bioformats2raw.layout": 3}, 2)
    for number, name in enumerate(("speckle", "phase")):
        ome(tmp_path / "a.zarr" / str(number), filled((3, 5, 7)) + np.uint8(number), plain("tyx"), 2, name=name)
    content = read_array_file(tmp_path / "a.zarr")
    np.testing.assert_array_equal(images(content, "phase"), filled((3, 5, 7)) + np.uint8(1))


def test_dimensions_that_a_plain_group_names_are_used(tmp_path: Path) -> None:
    stack = filled((3, 5, 7))
    write_group(tmp_path / "a.zarr", {}, 2)
    write_array(tmp_path / "a.zarr" / "speckle", np.moveaxis(stack, 0, -1), 2)
    (tmp_path / "a.zarr" / "speckle" / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["y", "x", "time"]}')
    np.testing.assert_array_equal(images(read_array_file(tmp_path / "a.zarr"), "speckle"), stack)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"shape": [3, 2**20, 2**20]}, "claims"),
        ({"shape": [3, -5, 7]}, "states the sizes"),
        ({"shape": [3, 5.0, 7]}, "states the sizes"),
        ({"shape": "all"}, "states the sizes"),
        ({"chunks": [3, 2**20, 2**20]}, "has chunks of"),
    ],
)
def test_sizes_that_do_not_suit_the_files_are_refused(
    change: dict[str, Any], reason: str, version: int, tmp_path: Path
) -> None:
    path = ome(tmp_path / "a.zarr", filled((3, 5, 7)), plain("tyx"), version)
    file = path / "s0" / (".zarray" if version == 2 else "zarr.json")
    described = json.loads(file.read_text())
    if version == 3 and "chunks" in change:
        change = {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": change["chunks"]}}}
    file.write_text(json.dumps(described | change))
    with pytest.raises(ArrayFileError, match=reason):
        read_array_file(path)


@pytest.mark.parametrize("where", ["../secret", "/etc", "s0/../../secret"])
def test_images_outside_the_folder_are_refused(where: str, tmp_path: Path) -> None:
    write_array(tmp_path / "secret", filled((3, 5, 7)), 3)
    path = tmp_path / "a.zarr"
    write_group(path, {"multiscales": [{"axes": plain("tyx"), "datasets": [{"path": where}]}]}, 3)
    with pytest.raises(ArrayFileError):
        read_array_file(path)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    write_array(tmp_path / "secret", filled((3, 5, 7)), 3)
    path = ome(tmp_path / "a.zarr", filled((3, 5, 7)), plain("tyx"), 3)
    (path / "s1").symlink_to(tmp_path / "secret")
    with pytest.raises(ArrayFileError, match="is a link"):
        read_array_file(path)


def test_axes_that_are_no_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArrayFileError, match="its axes are angle, y, x"):
        read_array_file(ome(tmp_path / "a.zarr", filled((3, 5, 7)), [{"name": "angle"}, *plain("yx")], 3))


def places(value: Any, *before: str | int) -> Iterator[tuple[str | int, ...]]:
    """Where something lies in JSON: keys and numbers, from the outside to the inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*before, key)
        yield from places(inner, *before, key)


@pytest.mark.parametrize("version", [2, 3])
def test_a_description_of_another_structure_is_refused_or_read_in_every_place(version: int, tmp_path: Path) -> None:
    scale = {"omero": {"channels": [{"label": "a"}, {"label": "b"}]}, "scale": [0.04, 1, 0.65, 0.65]}
    axes = [{"name": "t", "unit": "second"}, {"name": "c"}, {"name": "y", "unit": "micrometer"}, {"name": "x"}]
    folder = ome(tmp_path / "x.zarr", filled((3, 2, 4, 4)), axes, version, **scale)
    for name in (".zattrs", "s0/.zarray") if version == 2 else ("zarr.json", "s0/zarr.json"):
        file = folder / name
        whole = file.read_text()
        for place in places(json.loads(whole)):
            for strange in (7, "x", [], {}, None, [1, [2]], {"a": {"b": 3}}):
                content = json.loads(whole)
                *outer, last = place
                target = content
                for key in outer:
                    target = target[key]
                target[last] = strange
                file.write_text(json.dumps(content))
                with contextlib.suppress(ArrayFileError), one_line_errors():  # any other error is one of the program
                    for array in (read := read_array_file(folder)).arrays:
                        images(read, array)
        file.write_text(whole)
    assert list(read_array_file(folder).arrays) == ["a", "b"]


@pytest.mark.parametrize("name", ["ome", "multiscales", "datasets", "coordinateTransformations", "omero", "channels"])
def test_what_is_no_object_is_named(name: str, tmp_path: Path) -> None:
    folder = ome(tmp_path / "x.zarr", filled((3, 4, 4)), plain("tyx"), 3, omero={"channels": [{"label": "a"}]})
    text = (folder / "zarr.json").read_text()
    content = json.loads(text, object_hook=lambda item: {key: 7 if key == name else value for key, value in item.items()})
    (folder / "zarr.json").write_text(json.dumps(content))
    with pytest.raises(ArrayFileError, match=f"'{name}' in its description is '7', no"):
        read_array_file(folder)
