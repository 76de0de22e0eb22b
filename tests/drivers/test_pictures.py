"""Pictures as other programs and people left them are read as a person sees them, completely, or refused by name."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from drivers.pictures import PictureError, count_pages, decode_picture, natural_key, read_picture

GREY = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.uint8)
DEEP = (GREY.astype(np.uint16) << 8) + 7


def encoded(suffix: str, image: NDArray[np.generic], *flags: int) -> bytes:
    done, content = cv2.imencode(suffix, image, flags)
    assert done
    return content.tobytes()


def by_pillow(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def tiff(image: NDArray[np.generic], **options: object) -> bytes:
    content = io.BytesIO()
    tifffile.imwrite(content, image, **{"photometric": "minisblack", **options})
    return content.getvalue()


def pgm(image: NDArray[np.generic], white: float) -> bytes:
    """Return a PGM file that states its white; with a negative number a PFM file, whose rows begin at the bottom."""
    if white > 0:
        return b"P5\n# by hand\n%d %d\n%d\n" % (*image.shape[::-1], white) + image.astype(">u2").tobytes()
    return b"Pf\n%d %d\n%g\n" % (*image.shape[::-1], white) + image[::-1].astype("<f4").tobytes()


def rotated_jpeg() -> bytes:
    exif = Image.Exif()
    exif[274] = 6  # the camera was held upright
    return by_pillow(Image.fromarray(cv2.resize(GREY, (90, 60))), "JPEG", exif=exif, quality=100)


SAME = {
    "png": encoded(".png", GREY),
    "bmp": encoded(".bmp", GREY),
    "pgm": encoded(".pgm", GREY),
    "webp": encoded(".webp", GREY, cv2.IMWRITE_WEBP_QUALITY, 101),
    "gif": by_pillow(Image.fromarray(GREY), "GIF"),
    "palette": by_pillow(Image.fromarray(np.dstack([GREY] * 3)).quantize(256), "PNG"),
    "grey in colour": encoded(".png", np.dstack([GREY] * 3)),
    "opaque": encoded(".png", np.dstack([*[GREY] * 3, np.full_like(GREY, 255)])),
    "tiff": tiff(GREY),
    "compressed tiff": tiff(GREY, compression="zlib"),
    "tiff of OpenCV": encoded(".tif", GREY, cv2.IMWRITE_TIFF_COMPRESSION, 5),
    "bigtiff": tiff(GREY, bigtiff=True),
    "white is zero": tiff(255 - GREY, photometric="miniswhite"),
    "planes": tiff(np.stack([GREY] * 3), photometric="rgb", planarconfig="separate"),
    "inks": by_pillow(Image.fromarray(np.dstack([GREY] * 3)).convert("CMYK"), "TIFF"),
    "black ink alone": tiff(np.dstack([*[np.zeros_like(GREY)] * 3, 255 - GREY]), photometric="separated"),
    "a channel of no known meaning": tiff(
        np.dstack([*[GREY] * 3, 255 - GREY]), photometric="rgb", extrasamples=["unspecified"]
    ),
    "upside down by its tag": tiff(GREY[::-1], extratags=[(274, 3, 1, 4, True)]),
    "turned by its tag": tiff(np.rot90(GREY), extratags=[(274, 3, 1, 6, True)]),
}
DEPTHS = {
    "16-bit png": (encoded(".png", DEEP), DEEP, 65535),
    "16-bit colour png": (encoded(".png", np.dstack([DEEP] * 3)), DEEP, 65535),
    "16-bit pgm": (encoded(".pgm", DEEP), DEEP, 65535),
    "16-bit tiff": (tiff(DEEP), DEEP, 65535),
    "12-bit pgm": (pgm(GREY.astype(np.uint16) * 16, 4095), GREY.astype(np.uint16) * 16, 4095),
    "float pgm": (pgm(GREY / np.float32(90), -1.0), GREY / np.float32(90), None),
    "float": (tiff(GREY / np.float32(90)), GREY / np.float32(90), None),
    "double": (tiff(GREY / 90), (GREY / 90).astype(np.float32), None),
    "32-bit": (tiff(GREY.astype(np.int32) * 1000), GREY.astype(np.float32) * 1000, None),
    "one bit": (by_pillow(Image.fromarray(GREY > 99), "PNG"), (GREY > 99).astype(np.uint8) * 255, 255),
    "one bit tiff": (by_pillow(Image.fromarray(GREY > 99), "TIFF"), (GREY > 99).astype(np.uint8) * 255, 255),
    "one bit fax": (
        by_pillow(Image.fromarray(GREY > 99), "TIFF", compression="group4"),
        (GREY > 99).astype(np.uint8) * 255,
        255,
    ),
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME.keys())
def test_the_same_picture_in_every_container(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    picture = read_picture(tmp_path / "a")
    np.testing.assert_array_equal(picture.pixels, GREY)
    assert (picture.white, picture.coloured, picture.transparent, count_pages(tmp_path / "a")) == (255, False, False, 1)


@pytest.mark.parametrize(("content", "pixels", "white"), DEPTHS.values(), ids=DEPTHS.keys())
def test_every_depth_keeps_its_values(content: bytes, pixels: NDArray[np.generic], white: int | None, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    picture = read_picture(tmp_path / "a")
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.white == white


#: How a picture (H, W) is stored that has to be turned for each value of the tag "Orientation".
STORED: dict[int, Callable[[NDArray[np.generic]], NDArray[np.generic]]] = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: np.transpose,
    6: np.rot90,
    7: lambda image: np.rot90(image, 2).T,
    8: lambda image: np.rot90(image, -1),
}


@settings(max_examples=40, deadline=None)
@given(
    container=st.sampled_from(["PNG", "TIFF", "BigTIFF", "WEBP", "PGM"]),
    dtype=st.sampled_from(["bool", "uint8", "uint16", "float32", "float64"]),
    channels=st.sampled_from([1, 3, 4]),
    turn=st.sampled_from(sorted(STORED)),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_a_grey_picture_keeps_its_values_in_every_container(
    container: str, dtype: str, channels: int, turn: int, shape: tuple[int, int]
) -> None:
    """Whatever its type, its equal channels, its opacity and its orientation are; a container holds the types that it can."""
    dtype = "uint8" if container == "WEBP" else dtype if "TIFF" in container or "float" not in dtype else "uint16"
    turn = turn if container in ("PNG", "WEBP") or "TIFF" in container else 1
    is_deep_png = container == "PNG" and dtype == "uint16"
    channels = 1 if container == "PGM" or dtype == "bool" else channels
    turn = 1 if is_deep_png else turn  # no program here writes 16-bit PNG with EXIF
    image = np.random.default_rng(turn).uniform(0, 256 if dtype == "uint8" else 60_000, shape)
    grey = image > 9000 if dtype == "bool" else image.astype(dtype)
    stored = np.ascontiguousarray(STORED[turn](grey))
    opaque = np.full_like(stored, 1.0 if "float" in dtype else np.iinfo(dtype).max) if channels == 4 else None
    stored = stored if channels == 1 else np.dstack([stored] * 3 if opaque is None else [*[stored] * 3, opaque])
    exif = Image.Exif()
    exif[274] = turn
    if "TIFF" in container:
        content = tiff(
            stored,
            photometric="minisblack" if channels == 1 else "rgb",
            bigtiff=container == "BigTIFF",
            extratags=[(274, 3, 1, turn, True)],
            **({"extrasamples": ["unassalpha"]} if channels == 4 else {}),
        )
    elif is_deep_png:
        content = encoded(".png", stored)
    elif container == "PGM":
        content = (
            pgm(grey, 65535) if dtype == "uint16" else encoded(".pgm", grey.astype(np.uint8) * (255 if dtype == "bool" else 1))
        )
    else:
        options = {"lossless": True, "exact": True} if container == "WEBP" else {}
        content = by_pillow(Image.fromarray(stored), container, exif=exif, **options)
    picture = decode_picture(content)
    expected = grey * np.uint8(255) if dtype == "bool" else grey.astype(np.float32) if dtype == "float64" else grey
    np.testing.assert_array_equal(picture.pixels, expected)
    assert (picture.coloured, picture.transparent) == (False, False)


def test_transparent_parts_are_black_and_colours_are_averaged(tmp_path: Path) -> None:
    alpha = np.zeros_like(GREY)
    alpha[5:9] = 255
    (tmp_path / "a.png").write_bytes(encoded(".png", np.dstack([*[np.full_like(GREY, 255)] * 3, alpha])))
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, alpha)
    assert picture.transparent
    (tmp_path / "b.png").write_bytes(encoded(".png", np.dstack([GREY * 0 + 30, GREY * 0 + 60, GREY * 0 + 90])))
    picture = read_picture(tmp_path / "b.png")
    assert picture.coloured
    assert np.unique(picture.pixels).tolist() == [60]


def test_colours_that_are_multiplied_by_their_opacity_already_lie_on_black(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(np.dstack([GREY] * 4), photometric="rgb", extrasamples=["assocalpha"]))
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, GREY)
    assert picture.transparent


def test_a_photograph_is_turned_as_the_camera_was_held(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(rotated_jpeg())
    turned = read_picture(tmp_path / "a.jpg").pixels
    expected = np.rot90(cv2.resize(GREY, (90, 60)), -1)
    assert turned.shape == expected.shape
    assert np.corrcoef(turned.ravel(), expected.ravel())[0, 1] > 0.99


def test_each_page_of_a_stack_and_each_frame_of_an_animation_is_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(np.stack([GREY, 255 - GREY, GREY])))
    frames = [Image.fromarray(image) for image in (GREY, 255 - GREY)]
    (tmp_path / "a.gif").write_bytes(by_pillow(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    for name, count in (("a.tif", 3), ("a.gif", 2)):
        assert count_pages(tmp_path / name) == count
        np.testing.assert_array_equal(read_picture(tmp_path / name, 1).pixels, 255 - GREY)


def test_a_small_view_of_a_picture_beside_it_is_no_picture_of_its_own(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GREY, photometric="minisblack", metadata=None)
        file.write(GREY[::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)
        file.write(255 - GREY, photometric="minisblack", metadata=None)
    assert count_pages(tmp_path / "a.tif") == 2
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif", 1).pixels, 255 - GREY)


CUT: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encoded(".jpg", cv2.resize(GREY, (200, 200))),
    "progressive jpeg": lambda: by_pillow(Image.fromarray(cv2.resize(GREY, (200, 200))), "JPEG", progressive=True),
    "png": lambda: SAME["png"],
    "16-bit png": lambda: DEPTHS["16-bit png"][0],
    "bmp": lambda: SAME["bmp"],
    "gif": lambda: SAME["gif"],
    "webp": lambda: SAME["webp"],
    "pgm": lambda: SAME["pgm"],
    "tiff": lambda: SAME["tiff"],
    "compressed tiff": lambda: SAME["compressed tiff"],
    "stack": lambda: tiff(np.stack([GREY] * 3)),
}


@pytest.mark.parametrize("part", [0.02, 0.5, 0.96])
@pytest.mark.parametrize("make", CUT.values(), ids=CUT.keys())
def test_a_cut_file_is_refused_and_not_filled_with_grey(make: Callable[[], bytes], part: float, tmp_path: Path) -> None:
    content = make()
    (tmp_path / "cut.img").write_bytes(content[: int(part * len(content))])
    with pytest.raises(PictureError, match=r"cut\.img as a picture"):
        assert [read_picture(tmp_path / "cut.img", page) for page in range(count_pages(tmp_path / "cut.img"))]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is no TIFF, PNG"),
        (b"no picture", "it is no TIFF, PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is no TIFF, PNG"),
        (tiff(np.full((4, 4), np.nan, np.float32)), "not finite"),
        (tiff(np.full((4, 4), 1j, np.complex64)), "complex64"),
        (b"\x89PNG\r\n\x1a\n", "as a picture"),
    ],
)
def test_what_is_no_picture_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(PictureError, match=reason):
        read_picture(tmp_path / "x.png")


def test_an_absent_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"cannot read .*absent\.png as a picture: there is no such file"):
        read_picture(tmp_path / "absent.png")


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff"])
def test_a_header_that_claims_a_huge_picture_is_refused_before_memory_is_used(kind: str, tmp_path: Path) -> None:
    data = bytearray(SAME[kind])
    if kind == "png":
        data[16:24] = struct.pack(">II", 40_000, 40_000)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif kind == "bmp":
        data[18:26] = struct.pack("<ii", 400_000, 40_000)
    else:
        directory = struct.unpack("<I", data[4:8])[0]
        for k in range(struct.unpack("<H", data[directory : directory + 2])[0]):
            place = directory + 2 + 12 * k
            if struct.unpack("<H", data[place : place + 2])[0] in (256, 257):  # width and height, as 32-bit numbers
                data[place + 2 : place + 12] = struct.pack("<HII", 4, 1, 40_000)
    (tmp_path / "huge.img").write_bytes(data)
    with pytest.raises(PictureError, match="at most 268435456 are read"):
        read_picture(tmp_path / "huge.img")


def test_numbered_files_are_in_the_order_of_their_numbers() -> None:
    names = ["b10.PNG", "b2.png", "B1.png", "10.png", "9.png", "a.png", "a 2.png"]
    ordered = [path.name for path in sorted(map(Path, names), key=natural_key)]
    assert ordered == ["9.png", "10.png", "a 2.png", "a.png", "B1.png", "b2.png", "b10.PNG"]
    early, late = Path("5\N{SUPERSCRIPT TWO}9.png"), Path("5\N{SUPERSCRIPT TWO}10.png")
    assert natural_key(early) < natural_key(late)
