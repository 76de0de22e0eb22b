"""Hostile files for an import: HDF5, npz, images, folders and videos."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import tifffile

from acquisition.archive.atomic_files import array_bytes
from acquisition.exchange.import_pairs import ImportOptions, check_pairs
from app.benchmarks.reliability.hostile.attack import Attack, Target, leads_outside, object_array, put
from app.benchmarks.reliability.samples import SampleKind
from drivers.recorded.video_file import VideoFile

_SPECKLE = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
_PHASE = _SPECKLE.astype(np.float32) / 60


def array_attacks() -> Iterator[Attack]:
    """Yield hostile HDF5 and npz files."""
    for name, change in _HDF5.items():
        yield Attack(name=f"hdf5: {name}", kind=SampleKind.HDF5, spoil=_hdf5(change), read=_import)
    yield Attack(name="hdf5: a pipe", kind=SampleKind.HDF5, spoil=_pipe, read=_import)
    yield Attack(name="hdf5: an endless device", kind=SampleKind.HDF5, spoil=_device, read=_import)
    for name, members in _NPZ.items():
        yield Attack(name=f"npz: {name}", kind=SampleKind.NPZ, spoil=_npz(members), read=_import)
    yield Attack(name="npz: a member of objects", kind=SampleKind.NPZ, spoil=_objects, read=_import)
    yield Attack(name="npz: a member claims 2 GB of zeros", kind=SampleKind.NPZ, spoil=_zip_bomb, read=_import)


def _import(path: Path) -> None:
    check_pairs(path, ImportOptions(phase_range_rad=2.6))


def _external_storage(file: h5py.File, target: Target) -> None:
    put(target.outside / "secret.raw", _SPECKLE.tobytes())
    storage = [(str(target.outside / "secret.raw"), 0, h5py.h5f.UNLIMITED)]
    file.create_dataset("speckle", _SPECKLE.shape, "u1", external=storage)


def _external_column(file: h5py.File, target: Target) -> None:
    put(target.outside / "secret.raw", _SPECKLE.tobytes())
    file["speckle"] = _SPECKLE
    file.create_dataset("t_ns", (3,), "i8", external=[(str(target.outside / "secret.raw"), 0, h5py.h5f.UNLIMITED)])


def _external_link(file: h5py.File, target: Target) -> None:
    file["speckle"] = h5py.ExternalLink(str(target.outside / "secret.h5"), "speckle")


def _soft_link(file: h5py.File, _: Target) -> None:
    file["speckle"] = h5py.SoftLink("/phase")


def _virtual(file: h5py.File, target: Target) -> None:
    layout = h5py.VirtualLayout(_SPECKLE.shape, "u1")
    layout[:] = h5py.VirtualSource(str(target.outside / "secret.h5"), "speckle", _SPECKLE.shape)
    file.create_virtual_dataset("speckle", layout)


def _claims_terabytes(file: h5py.File, _: Target) -> None:
    file.create_dataset("speckle", (3, 2**20, 2**20), "u1", chunks=(1, 64, 64))


def _claims_a_long_column(file: h5py.File, _: Target) -> None:
    file["speckle"] = _SPECKLE
    file.create_dataset("t_ns", (2**40,), "i8", chunks=(1024,))


def _million_empty_images(file: h5py.File, _: Target) -> None:
    for name in ("speckle", "phase"):
        file.pop(name, None)
        file.create_dataset(name, (10**6, 2048, 2048), "u1", chunks=(1, 64, 64))


def _deep_metadata(file: h5py.File, _: Target) -> None:
    file["speckle"] = _SPECKLE
    file.attrs["metadata_json"] = "[" * 50_000


_HDF5: dict[str, Callable[[h5py.File, Target], None]] = {
    "external storage": _external_storage,
    "a column in external storage": _external_column,
    "an external link": _external_link,
    "a soft link": _soft_link,
    "a virtual dataset": _virtual,
    "images of terabytes": _claims_terabytes,
    "a column of terabytes": _claims_a_long_column,
    "a million images that were never written": _million_empty_images,
    "metadata nested 50000 deep": _deep_metadata,
}


def _hdf5(change: Callable[[h5py.File, Target], None]) -> Callable[[Target], object]:
    def spoil(target: Target) -> None:
        content = io.BytesIO()
        with h5py.File(content, "w") as file:
            file["phase"] = _PHASE
            change(file, target)
        put(target.path, content.getvalue())
        content = io.BytesIO()
        with h5py.File(content, "w") as other:
            other["speckle"] = _SPECKLE
        put(target.outside / "secret.h5", content.getvalue())

    return spoil


def _pipe(target: Target) -> None:
    target.path.unlink()
    os.mkfifo(target.path)


def _device(target: Target) -> None:
    target.path.unlink()
    target.path.symlink_to("/dev/zero")


def _header(shape: tuple[int, ...]) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return content.getvalue()


_PAIRS = {"speckle.npy": array_bytes(_SPECKLE), "phase.npy": array_bytes(_PHASE)}
_NPZ: dict[str, dict[str, bytes]] = {
    "a member above the folder": {**_PAIRS, "../canary.npy": _PAIRS["phase.npy"]},
    "a member with an absolute path": {**_PAIRS, "/tmp/canary.npy": _PAIRS["phase.npy"]},
    "a header of terabytes": {"speckle.npy": _header((1000, 32768, 32768)) + bytes(100), "phase.npy": _PAIRS["phase.npy"]},
    "a column of terabytes": {**_PAIRS, "t_ns.npy": _header((2**42,))},
    "a header that is a program": {**_PAIRS, "speckle.npy": b"\x93NUMPY\x01\x00\x20\x00__import__('os').system('true')  \n"},
}


def _npz(members: dict[str, bytes]) -> Callable[[Target], object]:
    return lambda target: _write_zip(target.path, members)


def _write_zip(path: Path, members: dict[str, bytes]) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    put(path, content.getvalue())


def _objects(target: Target) -> None:
    _write_zip(target.path, {**_PAIRS, "speckle.npy": object_array(target.canary)})


def _zip_bomb(target: Target) -> None:
    """Write a member of some kilobytes that claims 2 GB."""
    _write_zip(target.path, {**_PAIRS, "speckle.npy": _header((1000, 2**14, 2**14)) + bytes(1000)})
    data = target.path.read_bytes()
    place = data.index(b"PK\x01\x02") + 24  # the size in the list of members
    put(target.path, data[:place] + struct.pack("<I", 2**31) + data[place + 4 :])


def image_attacks() -> Iterator[Attack]:
    """Yield hostile images, folders of images, and videos."""
    folder, tiff, video = SampleKind.SPECDIFFUSION, SampleKind.OME_TIFF, SampleKind.FFV1
    yield Attack(
        name="png: 2**20 x 2**20 pixels", kind=folder, spoil=lambda t: put(_first(t), _png(2**20, 2**20)), read=_import
    )
    yield Attack(name="png: a picture is a pipe", kind=folder, spoil=_picture_pipe, read=_import)
    for part in ("input/00000.png", "label", "metadata.yaml"):
        yield Attack(name=f"folder: {part} is a link", kind=folder, spoil=_linked(part), read=_import)
    yield Attack(name="patterns: a huge png", kind=SampleKind.PATTERNS, spoil=_huge_pattern)
    yield Attack(name="tiff: entities", kind=tiff, spoil=_entities, read=_import)
    yield Attack(name="tiff: a page of terabytes", kind=tiff, spoil=_huge_page, read=_import)
    yield Attack(name="tiff: pages in a circle", kind=tiff, spoil=_circle_of_pages, read=_import)
    for name, text in _VIDEOS.items():
        yield Attack(name=f"video: {name}", kind=video, spoil=_video(text), read=_open_video)
    yield Attack(name="video: a pipe", kind=video, spoil=_pipe, read=_open_video)


def _first(target: Target) -> Path:
    return sorted((target.path / "input").glob("*.png"))[0]


def _linked(part: str) -> Callable[[Target], object]:
    return lambda target: leads_outside(target, target.path / part)


def _picture_pipe(target: Target) -> None:
    path = _first(target)
    path.unlink()
    os.mkfifo(path)


def _huge_pattern(target: Target) -> None:
    put(sorted(target.path.glob("*.png"))[0], _png(2**20, 2**20))


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def _speckle_tiff(target: Target) -> Path:
    return next(iter(target.path.parent.glob("*_speckle.ome.tif")))


def _entities(target: Target) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa">]><OME>&a;</OME>'
    content = io.BytesIO()
    tifffile.imwrite(content, _SPECKLE, description=bomb, metadata=None, photometric="minisblack")
    put(_speckle_tiff(target), content.getvalue())


def _tiff(image: tuple[int, int], following: int) -> bytes:
    """Return a TIFF of one page whose directory claims an image of this size, and where the next directory is."""
    tags = [(256, 4, image[0]), (257, 4, image[1]), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 4, image[1]), (279, 4, 100)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", following) + bytes(100)


def _huge_page(target: Target) -> None:
    put(_speckle_tiff(target), _tiff((2**30, 2**30), 0))


def _circle_of_pages(target: Target) -> None:
    put(_speckle_tiff(target), _tiff((8, 8), 8))


_VIDEOS = {
    "a play list that leads to an address": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/x\n#EXT-X-ENDLIST\n",
    "a list of parts": "ffconcat version 1.0\nfile /etc/hostname\n",
    "100000 x 100000 pixels": "YUV4MPEG2 W100000 H100000 F25:1 Ip C420jpeg\nFRAME\n" + "x" * 1000,
    "a session description": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


def _video(text: str) -> Callable[[Target], object]:
    return lambda target: put(target.path, text)


def _open_video(path: Path) -> None:
    VideoFile(path, 0.01).load(0)
