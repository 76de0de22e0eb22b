"""Files to import that lie about their size or lead to other files are refused with their name, and nothing is written."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import tifffile

from acquisition.exchange.import_pairs import ImportOptions, PairImportError, check_pairs
from acquisition.exchange.reference_pairs import read_references

OPTIONS = ImportOptions(phase_range_rad=2.6)
SPECKLE = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
PHASE = SPECKLE.astype(np.float32) / 60


def refusal(source: Path) -> str:
    with pytest.raises(PairImportError) as caught:
        check_pairs(source, OPTIONS)
    assert source.name in str(caught.value)
    return str(caught.value)


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": dtype, "fortran_order": False, "shape": shape})
    return content.getvalue()


@pytest.fixture
def hdf5(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.h5"
    with h5py.File(path, "w") as file:
        file["phase"] = PHASE
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["speckle"] = SPECKLE
    (tmp_path / "secret.raw").write_bytes(SPECKLE.tobytes())
    return path


def external_storage(file: h5py.File, folder: Path) -> None:
    file.create_dataset("speckle", SPECKLE.shape, "u1", external=[(str(folder / "secret.raw"), 0, h5py.h5f.UNLIMITED)])


def external_link(file: h5py.File, folder: Path) -> None:
    file["speckle"] = h5py.ExternalLink(str(folder / "secret.h5"), "speckle")


def soft_link(file: h5py.File, _: Path) -> None:
    file["speckle"] = h5py.SoftLink("/phase")


def virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout(SPECKLE.shape, "u1")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "speckle", SPECKLE.shape)
    file.create_virtual_dataset("speckle", layout)


def external_column(file: h5py.File, folder: Path) -> None:
    file["speckle"] = SPECKLE
    file.create_dataset("t_ns", (3,), "i8", external=[(str(folder / "secret.raw"), 0, h5py.h5f.UNLIMITED)])


@pytest.mark.parametrize(
    ("make", "name", "kind"),
    [
        (external_storage, "speckle", "external"),
        (external_link, "speckle", "a link"),
        (soft_link, "speckle", "a link"),
        (virtual, "speckle", "virtual"),
        (external_column, "t_ns", "external"),
    ],
)
def test_hdf5_that_leads_to_another_file_is_refused(make, name: str, kind: str, hdf5: Path) -> None:  # type: ignore[no-untyped-def]
    with h5py.File(hdf5, "a") as file:
        make(file, hdf5.parent)
    assert f"{name!r} is {kind}" in refusal(hdf5)


def test_hdf5_that_claims_terabytes_is_refused(hdf5: Path) -> None:
    with h5py.File(hdf5, "a") as file:
        file.create_dataset("speckle", (3, 2**20, 2**20), "u1", chunks=(1, 64, 64))
    assert "'speckle' claims 3298534883328 bytes" in refusal(hdf5)
    with h5py.File(hdf5, "a") as file:
        del file["speckle"]
        file["speckle"] = SPECKLE
        file.create_dataset("t_ns", (2**40,), "i8", chunks=(1024,))
    assert "'t_ns' claims 8796093022208 bytes" in refusal(hdf5)


@pytest.mark.parametrize("member", ["../evil.npy", "/etc/evil.npy", "a/b.npy", "speckle", "..\\evil.npy", "sp eckle.npy"])
def test_npz_members_with_odd_names_are_refused(member: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("speckle.npy", npy(SPECKLE))
        file.writestr("phase.npy", npy(PHASE))
        file.writestr(member, npy(SPECKLE))
    assert f"member {member!r} is no array NAME.npy" in refusal(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_npz_member_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.npz"
    with zipfile.ZipFile(path, "w") as file:
        for _ in range(2):
            file.writestr("speckle.npy", npy(SPECKLE))
    assert "'speckle.npy' occurs twice" in refusal(path)


@pytest.mark.parametrize("name", ["speckle", "t_ns"])
def test_an_npz_header_that_promises_terabytes_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.npz"
    shape = (1000, 32768, 32768) if name == "speckle" else (2**40,)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.npy", header(shape) + b"\0" * 100)
        file.writestr("phase.npy", npy(PHASE))
    message = refusal(path)
    assert f"{name}: its header promises" in message
    assert "copy it again" in message


def test_an_npz_member_that_claims_more_than_deflate_can_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("speckle.npy", header((1000, 2**14, 2**14)) + b"\0" * 1000)
    data = path.read_bytes()
    place = data.rindex(b"PK\x01\x02") + 24  # the size in the list of members
    path.write_bytes(data[:place] + struct.pack("<I", 2**31) + data[place + 4 :])
    assert "claims 2147483648 bytes" in refusal(path)


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "published"
    for part in ("input", "label"):
        (path / part).mkdir(parents=True)
        for name in "ab":
            cv2.imwrite(str(path / part / f"{name}.png"), SPECKLE["ab".index(name)])
    assert check_pairs(path, OPTIONS).count == 2
    return path


def test_a_png_with_a_huge_size_is_refused(folder: Path) -> None:
    (folder / "input/a.png").write_bytes(png(2**20, 2**20))
    assert "input/a.png: it claims 1048576 x 1048576 pixels" in refusal(folder)


@pytest.mark.parametrize("name", ["input/a.png", "label", "metadata.yaml", "x_data.flist"])
def test_links_out_of_an_import_folder_are_refused(name: str, folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    if (folder / name).exists():
        (folder / name).rename(outside)
    else:
        outside.write_text("phase_range_rad: 3\n")
    (folder / name).symlink_to(outside)
    assert f"{folder / name} is a link to {outside}" in refusal(folder)
    with pytest.raises(PairImportError, match=f"is a link to {outside}"):
        read_references(folder, 2.6, Path("frame.png"), SPECKLE[2])


def test_an_ome_tiff_with_entities_or_links_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in" / "x_speckle.ome.tif"
    path.parent.mkdir()
    bomb = '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa">]><OME>&a;</OME>'
    tifffile.imwrite(path, SPECKLE, description=bomb, metadata=None, photometric="minisblack")
    assert "declares entities" in refusal(path)
    tifffile.imwrite(path, SPECKLE, ome=True, metadata={"axes": "TYX"}, photometric="minisblack")
    outside = tmp_path / "phase.tif"
    tifffile.imwrite(outside, PHASE, ome=True, metadata={"axes": "TYX"}, photometric="minisblack")
    (path.parent / "x_phase.ome.tif").symlink_to(outside)
    assert f"x_phase.ome.tif is a link to {outside}" in refusal(path)
