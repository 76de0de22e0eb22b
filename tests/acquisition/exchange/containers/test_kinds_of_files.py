"""The same pairs come in from every kind of file, whatever the types, the order of bytes, the axes and the units in it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tensorstore as ts
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import savemat

from acquisition.exchange.array_files import ArrayFile, is_array_file, read_array_file
from acquisition.exchange.containers.matlab5_elements import read_variables

Arrays = dict[str, NDArray[Any]]
#: Where the axes of (N, H, W) go, by the name of the order.
ORDERS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "NHW": lambda array: array,
    "HWN": lambda array: np.moveaxis(array, 0, -1),
    "N1HW": lambda array: array[:, None],
    "NHW1": lambda array: array[..., None],
}


def npz(folder: Path, arrays: Arrays) -> Path:
    np.savez(folder / "pairs.npz", allow_pickle=False, **arrays)
    return folder / "pairs.npz"


def fortran_npz(folder: Path, arrays: Arrays) -> Path:
    stored: Arrays = {name: np.asfortranarray(array) for name, array in arrays.items()}
    np.savez_compressed(folder / "pairs.npz", allow_pickle=False, **stored)
    return (folder / "pairs.npz").rename(folder / "pairs.NPZ")


def npy(folder: Path, arrays: Arrays) -> Path:
    for name, array in arrays.items():
        np.save(folder / f"a_{name}.npy", np.asfortranarray(array) if name == "phase" else array)
    return folder / "a_speckle.npy"


def hdf5(folder: Path, arrays: Arrays) -> Path:
    with h5py.File(folder / "pairs.hdf5", "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, chunks=True, compression="gzip")
    return folder / "pairs.hdf5"


def matlab73(folder: Path, arrays: Arrays) -> Path:
    with h5py.File(folder / "pairs.mat", "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = array.T
            file[name].attrs["MATLAB_class"] = np.bytes_("double" if array.dtype.kind == "f" else array.dtype.name)
    return folder / "pairs.mat"


def matlab5(folder: Path, arrays: Arrays) -> Path:
    savemat(folder / "pairs.mat", arrays, do_compression=True)
    return folder / "pairs.mat"


def zarr(version: int) -> Callable[[Path, Arrays], Path]:
    def write(folder: Path, arrays: Arrays) -> Path:
        for name, array in arrays.items():
            path = folder / "pairs.zarr" / name
            facts: dict[str, Any]
            if version == 2:
                facts = {"shape": array.shape, "dtype": array.dtype.str, "chunks": [2] * array.ndim}
            else:
                grid = {"name": "regular", "configuration": {"chunk_shape": [2] * array.ndim}}
                facts = {"shape": array.shape, "data_type": array.dtype.name, "chunk_grid": grid}
            kind = {"driver": "zarr" if version == 2 else "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}}
            ts.open({**kind, "metadata": facts, "create": True}).result().write(array).result()
        marker = {".zgroup": {"zarr_format": 2}} if version == 2 else {"zarr.json": {"zarr_format": 3, "node_type": "group"}}
        for file, content in marker.items():
            (folder / "pairs.zarr" / file).write_text(json.dumps(content))
        return folder / "pairs.zarr"

    return write


FREE = {
    "npz": npz,
    "fortran": fortran_npz,
    "hdf5": hdf5,
    "matlab73": matlab73,
    "matlab5": matlab5,
    "v2": zarr(2),
    "v3": zarr(3),
}


def same(content: ArrayFile, arrays: Arrays) -> None:
    assert set(content.arrays) == set(arrays)
    for name, array in arrays.items():
        shape, dtype = content.arrays[name]
        images = list(content.read(name))
        assert (shape, dtype) == (array.shape, array.dtype.newbyteorder("=")), content.notes
        assert all(image.dtype == dtype and image.flags.c_contiguous for image in images)
        np.testing.assert_array_equal(np.stack(images), array)


def filled(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    return np.random.default_rng(0).uniform(0, 200, shape).astype(dtype)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(FREE)),
    order=st.sampled_from(sorted(ORDERS)),
    speckle=st.sampled_from(["u1", "<u2", ">u2", "<i4"]),
    phase=st.sampled_from(["<f4", ">f4", "<f8", ">f8"]),
    sizes=st.tuples(st.integers(2, 5), st.sampled_from([6, 7, 12]), st.sampled_from([6, 9])),
)
def test_pairs_of_any_type_and_order_come_in_unchanged(
    kind: str, order: str, speckle: str, phase: str, sizes: tuple[int, int, int]
) -> None:
    count, height, width = sizes
    arrays = {"speckle": filled((count, height, width), speckle), "phase": filled((count, 10, 8), phase)}
    with tempfile.TemporaryDirectory() as folder:
        path = FREE[kind](Path(folder), {name: ORDERS[order](array) for name, array in arrays.items()})
        assert is_array_file(path)
        content = read_array_file(path)
        same(content, arrays)
        assert any("speckle" in note for note in content.notes)
        stated = {"NHW": "NHW", "HWN": "HWN", "N1HW": "NHW", "NHW1": "NHW"}[order]
        same(read_array_file(path, stated), arrays)


@pytest.mark.parametrize("kind", ["npz", "hdf5", "matlab5", "matlab73"])
def test_arrays_of_one_shape_are_read_as_their_program_has_them_and_the_note_says_so(kind: str, tmp_path: Path) -> None:
    arrays = {"speckle": filled((4, 12, 20), "u1"), "phase": filled((4, 12, 20), "f4")}
    last = kind.startswith("matlab")
    path = FREE[kind](tmp_path, {name: ORDERS["HWN" if last else "NHW"](array) for name, array in arrays.items()})
    content = read_array_file(path)
    same(content, arrays)
    assert f"as {'MATLAB' if last else 'NumPy'} has it; state --axes where this is wrong" in content.notes[0]


@pytest.mark.parametrize("sizes", [(2, 8, 8), (70, 64, 64)])
def test_square_images_show_where_their_number_is(sizes: tuple[int, int, int], tmp_path: Path) -> None:
    stack = filled(sizes, "u1")
    path = npz(tmp_path, {name: ORDERS["HWN"](stack) for name in ("speckle", "phase")})
    same(read_array_file(path), {"speckle": stack, "phase": stack})


def test_a_small_square_may_be_a_coincidence(tmp_path: Path) -> None:
    stack = filled((12, 12, 20), "u1")
    same(read_array_file(npz(tmp_path, {"speckle": stack, "phase": stack})), {"speckle": stack, "phase": stack})


def test_numbers_of_images_that_differ_are_not_taken_for_other_axes(tmp_path: Path) -> None:
    content = read_array_file(npz(tmp_path, {"speckle": filled((3, 6, 8), "u1"), "phase": filled((2, 6, 8), "f4")}))
    assert [layout[0] for layout in content.arrays.values()] == [(3, 6, 8), (2, 6, 8)]
    content = read_array_file(npz(tmp_path, {"speckle": filled((3, 6, 6), "u1"), "phase": filled((2, 6, 6), "f4")}))
    assert [layout[0] for layout in content.arrays.values()] == [(3, 6, 6), (2, 6, 6)]


def test_arrays_can_have_different_orders_in_one_file(tmp_path: Path) -> None:
    arrays = {"speckle": filled((4, 12, 20), "u1"), "phase": filled((4, 10, 8), "f4")}
    same(read_array_file(npz(tmp_path, {**arrays, "phase": ORDERS["HWN"](arrays["phase"])})), arrays)


def test_transposed_images_come_in_with_stated_axes(tmp_path: Path) -> None:
    arrays = {"speckle": filled((4, 12, 20), "u1"), "phase": filled((4, 10, 8), "f4")}
    path = npz(tmp_path, {name: array.swapaxes(1, 2) for name, array in arrays.items()})
    same(read_array_file(path, "NWH"), arrays)


@pytest.mark.parametrize("kind", ["npz", "hdf5", "matlab5", "v3"])
def test_a_single_pair_has_no_axis_of_images(kind: str, tmp_path: Path) -> None:
    arrays = {"speckle": filled((1, 12, 20), "u2"), "phase": filled((1, 10, 8), "f4")}
    same(read_array_file(FREE[kind](tmp_path, {name: array[0] for name, array in arrays.items()})), arrays)


def test_a_mask_beside_stacks_is_told_and_left_out(tmp_path: Path) -> None:
    arrays = {"speckle": filled((3, 12, 20), "u2"), "phase": filled((3, 10, 8), "f4")}
    content = read_array_file(npz(tmp_path, {**arrays, "mask": np.ones((12, 20), bool)}))
    same(content, arrays)
    assert any(note.startswith("'mask' is a single image") for note in content.notes)


def test_files_of_one_array_each_belong_together_by_their_names(tmp_path: Path) -> None:
    arrays = {"speckle": filled((3, 12, 20), ">u2"), "phase": filled((3, 10, 8), "f4")}
    path = npy(tmp_path, arrays)
    np.save(tmp_path / "b_phase.npy", arrays["phase"])
    same(read_array_file(path), arrays)


def test_arrays_in_groups_and_structs_have_their_paths_as_names(tmp_path: Path) -> None:
    arrays = {"run/speckle": filled((3, 12, 20), "u2"), "run/more/phase": filled((3, 10, 8), "f4")}
    same(read_array_file(hdf5(tmp_path, arrays)), arrays)
    speckle, phase = (ORDERS["HWN"](array) for array in arrays.values())
    savemat(tmp_path / "x.mat", {"run": {"speckle": speckle, "more": {"phase": phase}}})
    same(read_array_file(tmp_path / "x.mat"), arrays)


def test_axes_that_hdf5_names_are_used(tmp_path: Path) -> None:
    stack = filled((4, 12, 20), "u1")
    with h5py.File(tmp_path / "pairs.h5", "w") as file:
        for name, labels in (("speckle", "xyt"), ("phase", "yxz")):
            file[name] = np.transpose(stack, ["tyx".replace("t", labels[2]).index(label) for label in labels])
            for dimension, label in zip(file[name].dims, labels, strict=True):
                dimension.label = label
    same(read_array_file(tmp_path / "pairs.h5"), {"speckle": stack, "phase": stack})


@pytest.mark.parametrize("kind", ["npz", "hdf5", "matlab5"])
@pytest.mark.parametrize(("name", "values"), [("t_ms", [0.0, 40.5, 81.0]), ("time_us", [0, 40_500, 81_000])])
def test_times_have_the_unit_of_their_name(kind: str, name: str, values: list[float], tmp_path: Path) -> None:
    arrays = {"speckle": filled((3, 12, 20), "u1"), "phase": filled((3, 12, 20), "f4")}
    stored = {key: ORDERS["HWN" if kind == "matlab5" else "NHW"](array) for key, array in arrays.items()}
    facts = {name: np.array(values), "exposure_ms": np.array([10.0] * 3), "pixel_um": 0.65, "bit_depth": 12}
    if kind == "hdf5":
        path = hdf5(tmp_path, stored)
        with h5py.File(path, "a") as file:
            for key, fact in facts.items():
                file[key] = fact
    else:
        path = FREE[kind](tmp_path, {**stored, **{key: np.asarray(fact) for key, fact in facts.items()}})
    content = read_array_file(path)
    assert content.columns["t_ns"].tolist() == [0, 40_500_000, 81_000_000]
    assert content.columns["exposure_s"].tolist() == [0.01] * 3
    assert content.metadata == {"pixel_um": 0.65, "bit_depth": 12}


def test_complex_variables_of_matlab_lose_no_part_silently(tmp_path: Path) -> None:
    field = np.exp(1j * filled((12, 20, 3), "f8"))
    savemat(tmp_path / "x.mat", {"field": field})
    content = read_array_file(tmp_path / "x.mat")
    with pytest.raises(ValueError, match=r"save angle\(field\)"):
        list(content.read("field"))


def test_double_precision_of_matlab_stays_double_where_it_saves_integers(tmp_path: Path) -> None:
    savemat(tmp_path / "x.mat", {"speckle": np.full((12, 20, 3), 7.0)})
    [image, *_] = read_array_file(tmp_path / "x.mat").read("speckle")
    assert image.dtype == np.float64
    assert image[0, 0] == 7.0


@pytest.mark.parametrize("dtype", ["u1", "<u2", "i4", "f4", "f8", "i8"])
@pytest.mark.parametrize("name", ["phase", "s", "a_very_long_name_of_a_variable"])
def test_uncompressed_variables_of_matlab_are_read_from_their_place(dtype: str, name: str, tmp_path: Path) -> None:
    stack = filled((3, 12, 20), dtype) + filled((1,), dtype)
    large = np.full_like(stack, 2**30) if dtype == "i8" else stack  # SciPy stores small integers as they are
    savemat(tmp_path / "x.mat", {"text": "hello", "other": np.ones((3, 3)), name: np.moveaxis(large, 0, -1)})
    values = read_variables(tmp_path / "x.mat", name)[name].values
    assert values is not None
    assert not values.flags.owndata
    np.testing.assert_array_equal(values, np.moveaxis(large, 0, -1))
    same(read_array_file(tmp_path / "x.mat", "HWN"), {name: large})


@pytest.mark.parametrize("options", [{}, {"do_compression": True}])
def test_texts_and_cells_of_matlab_are_columns(options: dict[str, bool], tmp_path: Path) -> None:
    ids = np.array(["a", "\u00b5-2", ""], object).reshape(-1, 1)
    facts = {"pattern_id": ids, "pattern_name": np.array(["ab", "c", "def"]), "t_ns": np.array([[0.0], [1.0], [2.0**40]])}
    savemat(tmp_path / "x.mat", {"speckle": filled((12, 20, 3), "u1"), **facts}, **options)
    content = read_array_file(tmp_path / "x.mat")
    assert content.columns["pattern_id"].tolist() == ["a", "\u00b5-2", ""]
    assert content.columns["pattern_name"].tolist() == ["ab", "c", "def"]
    assert content.columns["t_ns"].tolist() == [0, 1, 2**40]
