"""Images for patterns: a header that claims a huge image is refused before memory is used."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.patterns.image_files import read_image
from acquisition.patterns.source_name import PatternError
from acquisition.patterns.sources import read_grey

FLAGS = cv2.IMREAD_UNCHANGED


def written(path: Path) -> bytearray:
    cv2.imwrite(str(path), np.full((6, 5), 200, np.uint8))
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.bmp"])
def test_a_huge_image_is_refused_by_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    data = written(path)
    if path.suffix == ".png":
        data[16:24] = struct.pack(">II", 40_000, 40_000)
    elif path.suffix == ".bmp":
        data[18:26] = struct.pack("<ii", 400_000, 40_000)
    else:
        directory = struct.unpack("<I", data[4:8])[0]
        for k in range(struct.unpack("<H", data[directory : directory + 2])[0]):
            place = directory + 2 + 12 * k
            if struct.unpack("<H", data[place : place + 2])[0] in (256, 257):  # width and height, as 32-bit numbers
                data[place + 2 : place + 12] = struct.pack("<HII", 4, 1, 40_000)
    path.write_bytes(data)
    with pytest.raises(PatternError, match=f"cannot read .*{name} as an image"):
        read_grey(path, (8, 8))


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.bmp", "x.jpg", "x.webp"])
def test_honest_images_are_read(name: str, tmp_path: Path) -> None:
    written(tmp_path / name)
    assert read_image(tmp_path / name, FLAGS).shape[:2] == (6, 5)


@pytest.mark.parametrize("content", [b"", b"II*\0", b"\x89PNG\r\n\x1a\n", b"no image"])
def test_what_is_no_image_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(PatternError, match="as an image"):
        read_image(tmp_path / "x.png", FLAGS)
    with pytest.raises(PatternError, match="No such file"):
        read_image(tmp_path / "absent.png", FLAGS)
