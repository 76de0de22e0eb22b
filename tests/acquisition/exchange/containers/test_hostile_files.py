"""Files that claim too much, lead elsewhere or were cut are refused in one line, before memory is used."""

from __future__ import annotations

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from scipy.io import savemat

from acquisition.exchange.array_files import ArrayFileError, one_line_errors, read_array_file
from acquisition.exchange.containers import numpy_file

STACK = np.arange(3 * 12 * 20, dtype=np.uint16).reshape(3, 12, 20)


def refusal(path: Path) -> str:
    with pytest.raises(ArrayFileError) as caught:
        read_completely(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def read_completely(path: Path) -> None:
    content = read_array_file(path)
    with one_line_errors():
        for name in content.arrays:
            list(content.read(name))


def test_a_matlab_variable_that_claims_terabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    savemat(path, {"speckle": np.zeros((12, 20, 3), np.uint8)})
    data = path.read_bytes()
    place = data.index(struct.pack("<3i", 12, 20, 3))
    path.write_bytes(data[:place] + struct.pack("<3i", 2**20, 2**20, 3) + data[place + 12 :])
    assert "'speckle' claims 3298534883328 values, but has 720 bytes" in refusal(path)


def cell(content: bytes, name: bytes = b"") -> bytes:
    """Return a cell of MATLAB 5 that holds this element."""
    flags = struct.pack("<4I", 6, 8, 1, 0)
    dimensions = struct.pack("<2I2i", 5, 8, 1, 1)
    body = flags + dimensions + struct.pack("<2I", 1, len(name)) + name.ljust(-(-len(name) // 8) * 8, b"\0") + content
    return struct.pack("<2I", 14, len(body)) + body


def test_cells_inside_cells_without_end_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "x.mat", {"speckle": np.zeros((12, 20, 3), np.uint8)})
    nested = b""
    for _ in range(20_000):
        nested = cell(nested)
    with (tmp_path / "x.mat").open("ab") as file:
        file.write(cell(nested, b"pattern_id"))
    assert "nested more than 50 deep" in refusal(tmp_path / "x.mat")


def test_groups_inside_groups_without_end_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/speckle"] = STACK
        file["a/again"] = file["a"]
    assert "nested more than 50 deep" in refusal(tmp_path / "x.h5")


def test_a_link_in_a_group_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/speckle"] = STACK
        file["a/phase"] = h5py.ExternalLink("/etc/secret.h5", "phase")
    assert "'a/phase' is a link" in refusal(tmp_path / "x.h5")


def test_an_array_that_has_to_be_in_memory_at_once_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_file, "MAX_ARRAY_BYTES", 1000)
    np.savez(tmp_path / "x.npz", speckle=np.asfortranarray(STACK))
    assert "save it with axes N, H, W in C order" in refusal(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", speckle=STACK)
    read_completely(tmp_path / "x.npz")


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_cut_stacks_without_a_stated_number_of_images_are_refused(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    if compression == "raw":
        tifffile.imwrite(path, np.tile(STACK, (2, 1, 1)), photometric="minisblack", metadata=None)
    else:
        pages = [Pillow.fromarray(image) for image in STACK]
        pages[0].save(path, save_all=True, append_images=pages[1:], compression=compression)
    read_completely(path)
    data = path.read_bytes()
    for kept in (0.9, 0.6, 0.3):
        path.write_bytes(data[: int(kept * len(data))])
        assert refusal(path)


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "x.h5", "x.mat", "x.tif", "x.ome.tif"])
def test_files_that_are_something_else_are_refused(name: str, tmp_path: Path) -> None:
    for content in (b"", b"hello", b"MATLAB 5.0 MAT-file".ljust(200, b"\0"), b"\x93NUMPY\x01\0", b"II*\0"):
        (tmp_path / name).write_bytes(content)
        assert refusal(tmp_path / name)
    (tmp_path / name).unlink()
    assert refusal(tmp_path / name)


def test_axes_that_are_none_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", speckle=STACK)
    for axes in ("HW", "NHWC", "nhw", "NNW"):
        with pytest.raises(ArrayFileError, match=f"--axes {axes} is no order"):
            read_array_file(tmp_path / "x.npz", axes)
