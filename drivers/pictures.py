"""The only reader of pictures: patterns, targets, labels and correction maps, as other programs and people left them.

A picture is read as a person sees it: turned as its EXIF orientation says, transparent parts on black, palettes resolved. It is
read completely or refused: the usual decoders fill a cut file with grey.
"""

from __future__ import annotations

import io
import logging
import os
import re
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from drivers.base import SpeckleScopeError
from drivers.limits import MAX_PICTURE_BYTES, LimitError, check_pixels

#: Endings of pictures, in lower case.
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".pgm", ".ppm")
#: Pillow's names of the formats that are read; others, such as EPS, would start programs.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG = b"\x89PNG\r\n\x1a\n"
#: Pages of a TIFF file among which small views of the first one are looked for.
_MOST_VIEWS = 16
#: Bits of a channel and colour type in a PNG file's header.
_PNG_BITS, _PNG_COLOUR = 24, 25
#: How an image with each value of the TIFF tag "Orientation" is turned: transposed, and flipped along these axes.
_ORIENTATIONS: dict[int, tuple[bool, tuple[int, ...]]] = {
    1: (False, ()),
    2: (False, (1,)),
    3: (False, (0, 1)),
    4: (False, (0,)),
    5: (True, ()),
    6: (True, (1,)),
    7: (True, (0, 1)),
    8: (True, (0,)),
}
#: TIFF colours that tifffile hands on as they are stored; Pillow turns them into red, green and blue.
_OTHER_COLOURS = (
    tifffile.PHOTOMETRIC.SEPARATED,
    tifffile.PHOTOMETRIC.YCBCR,
    tifffile.PHOTOMETRIC.CIELAB,
    tifffile.PHOTOMETRIC.ICCLAB,
    tifffile.PHOTOMETRIC.ITULAB,
)
Image.MAX_IMAGE_PIXELS = None  # the limit is that of this module, which reads the header first


class Alpha(IntEnum):
    """Whether the last channel of an image is its opacity; the numbers are those of the TIFF tag "ExtraSamples"."""

    NONE = 0
    #: The colours are multiplied by it already.
    MULTIPLIED = 1
    SEPARATE = 2


class PictureError(SpeckleScopeError, ValueError):
    """A file is no picture, is damaged, or is too large. The message names it and says what to do."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A grey picture.

    Parameters
    ----------
    pixels : ndarray, shape (H, W)
        uint8 or uint16, or float32 where nothing says which value is white.
    white : int, optional
        Value of white; None for float pictures.
    coloured : bool
        Whether it was in colour; its grey is then the mean of the channels.
    transparent : bool
        Whether it had transparent parts; they are black now.
    """

    pixels: NDArray[Any]
    white: int | None
    coloured: bool = False
    transparent: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """How a picture that was not grey became so, for the operator: what it was, and what counts."""
        coloured = ("coloured; the mean of the channels counts",) if self.coloured else ()
        return (*coloured, "transparent in places; these parts count as black") if self.transparent else coloured


def is_picture_name(path: Path) -> bool:
    """Whether a file's name ends like that of a picture, in capitals or not; hidden files are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def natural_key(path: Path) -> tuple[object, ...]:
    """Return a key that sorts numbered files by their numbers: ``image2.png`` before ``image10.png``."""
    parts = re.split(r"(\d+)", unicodedata.normalize("NFC", path.name.casefold()))
    return (*((1, int(part)) if part.isdecimal() else (0, part) for part in parts), path.name)


def count_pages(path: Path) -> int:
    """Return the number of pictures in a file; a TIFF stack or an animation has several. Errors as :func:`read_picture`."""
    # Not all of a file is read: a folder may hold thousands of large ones.
    with _errors(f"cannot read {path} as a picture: "), path.open("rb") as file:
        is_tiff = file.read(4) in _TIFF
        _check_size(file.seek(0, os.SEEK_END))
        file.seek(0)
        if is_tiff:
            with _complete_tiff(file) as tiff:
                return len(whole_pages(tiff))
        with Image.open(file, formats=_FORMATS) as image:
            return int(getattr(image, "n_frames", 1))


def read_picture(path: Path, page: int = 0) -> Picture:
    """Read a picture file as grey.

    Parameters
    ----------
    path : Path
        PNG, JPEG, TIFF, BMP, WebP, GIF, PGM or PPM.
    page : int
        Which picture of a stack or animation.

    Raises
    ------
    PictureError
        It is no such file, is damaged or cut, has values that are not finite, or more than
        :data:`drivers.limits.MAX_PIXELS` pixels.
    """
    with _errors(f"cannot read {path} as a picture: "):
        return _decoded(_content(path), page)


def decode_picture(content: bytes) -> Picture:
    """Decode the first picture of a file's content; raises PictureError as :func:`read_picture` does, without a file's name."""
    with _errors(""):
        return _decoded(content, 0)


def _decoded(content: bytes, page: int) -> Picture:
    if not content.startswith(_TIFF):
        return _other(content, page, _FORMATS)
    try:
        picture = _tiff(content, page)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        picture = None  # Pillow has LZW, which tifffile reads only with another package
    return picture or _other(content, page, ("TIFF",))


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_PICTURE_BYTES + 1)
    _check_size(len(content))
    return content


def _check_size(size: int) -> None:
    if size > MAX_PICTURE_BYTES:
        raise LimitError(f"it has more than {MAX_PICTURE_BYTES} bytes; save it in a smaller size")


def _tiff(content: bytes, page: int) -> Picture | None:
    """Return a page of a TIFF file, or None if its colours have to be converted."""
    with _complete_tiff(io.BytesIO(content)) as tiff:
        directory: Any = tiff.pages[whole_pages(tiff)[page]]
        check_pixels((directory.imagelength, directory.imagewidth))
        photometric = directory.photometric
        if photometric in _OTHER_COLOURS:
            return None
        pixels, bits = np.asarray(directory.asarray()), int(directory.bitspersample)
        orientation = directory.tags.get("Orientation")
        if photometric == tifffile.PHOTOMETRIC.PALETTE:
            pixels = np.moveaxis(directory.colormap, 0, -1)[pixels]
            bits = 16
        elif directory.planarconfig == tifffile.PLANARCONFIG.SEPARATE and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, -1)
        pixels, alpha = _without_extra_samples(pixels, directory)
    if bits < 8:  # as every decoder shows a PNG file of so few bits
        pixels, bits = pixels.astype(np.uint8) * np.uint8(255 // (2**bits - 1)), 8
    white = 2**bits - 1 if pixels.dtype in (np.uint8, np.uint16) else None
    if photometric == tifffile.PHOTOMETRIC.MINISWHITE and white is not None:
        pixels = (white - pixels).astype(pixels.dtype)
    transposed, flipped = _ORIENTATIONS.get(int(orientation.value) if orientation else 1, (False, ()))
    pixels = np.flip(pixels.swapaxes(0, 1) if transposed else pixels, flipped)
    return _grey(pixels, white, alpha)


def _without_extra_samples(pixels: NDArray[Any], directory: Any) -> tuple[NDArray[Any], Alpha]:
    """Return the colours of a page without channels of no known meaning; its opacity, if it has one, is the last channel."""
    extra = [int(kind) for kind in directory.extrasamples]
    colours = int(directory.samplesperpixel) - len(extra)
    place = next((place for place, kind in enumerate(extra) if kind in (1, 2)), None)
    if pixels.ndim != 3 or (colours == 1 and place is None):
        return pixels, Alpha.NONE
    kept = [*range(colours), *([] if place is None else [colours + place])]
    return pixels[..., kept], Alpha.NONE if place is None else Alpha(extra[place])


@contextmanager
def _complete_tiff(file: BinaryIO) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file and find all its pages."""
    with page_faults() as faults, tifffile.TiffFile(file) as tiff:
        len(tiff.pages)
        check_pages(faults)
        yield tiff


def whole_pages(tiff: tifffile.TiffFile) -> Sequence[int]:
    """Return the numbers of the pages that are pictures: programs also store a small view or a mask of the first one."""
    count = len(tiff.pages)
    # A stack may have thousands of pages, and reading the headers of all takes time; such views lie near the beginning.
    others = {number for number in range(1, min(count, _MOST_VIEWS)) if _is_view(tiff.pages[number])}
    return [number for number in range(count) if number not in others] if others else range(count)


def _is_view(page: Any) -> bool:
    return bool(page.is_reduced or page.is_mask)


@contextmanager
def page_faults() -> Iterator[list[str]]:
    """Collect what tifffile finds wrong with pages meanwhile: it only logs that the rest of a cut stack is missing."""
    faults: list[str] = []
    listener = logging.Handler(logging.WARNING)
    listener.emit = lambda record: faults.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("tifffile")
    log.addHandler(listener)
    try:
        yield faults
    finally:
        log.removeHandler(listener)


def check_pages(faults: Sequence[str]) -> None:
    """Raise PictureError if one of these faults is that of a page."""
    if any("page" in fault or "missing data" in fault for fault in faults):
        raise PictureError("it is cut off or damaged: not all its pages are there")


def _other(content: bytes, page: int, formats: tuple[str, ...]) -> Picture:
    with Image.open(io.BytesIO(content), formats=formats) as image:
        check_pixels((image.height, image.width))
        if image.format == "PNG" and page == 0:
            _check_chunks(content)
            if content[_PNG_BITS] == 16 and content[_PNG_COLOUR] != 0:
                return _deep_png(content)
        image.seek(page)
        white = _stored_white(image)
        image.load()
        seen = ImageOps.exif_transpose(image)
        bands = seen.getbands()
        if bands == ("I",):
            return _grey(np.round(np.asarray(seen) * (white / 65535)).astype(np.uint16), white)
        if bands == ("F",):
            return _grey(np.asarray(seen), None)
        if bands in (("L",), ("1",)):
            return _grey(np.asarray(seen.convert("L")), 255)
        has_alpha = seen.has_transparency_data
        grey = np.asarray(seen.convert("RGBA" if has_alpha else "RGB"))
        return _grey(grey, 255, Alpha.SEPARATE if has_alpha else Alpha.NONE)


def _stored_white(image: Image.Image) -> int:
    """Return white of a picture of 16 bits: PGM files may state another, and Pillow scales their values to 65535."""
    tiles = getattr(image, "tile", ())
    arguments = tiles[0].args if image.format == "PPM" and tiles else ()
    return int(arguments[1]) if isinstance(arguments, tuple) and len(arguments) == 2 else 65535


def _deep_png(content: bytes) -> Picture:
    """Return a colour PNG of 16 bits a channel, of which Pillow keeps only 8."""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise PictureError("it cannot be decoded")
    return _grey(image, 65535, Alpha.SEPARATE if image.ndim == 3 and image.shape[2] == 4 else Alpha.NONE)


def _check_chunks(data: bytes) -> None:
    """Check every chunk of a PNG file by its CRC, because decoders accept some damage; raises ValueError."""
    start = len(_PNG)
    chunk = b""
    while chunk != b"IEND":
        length, chunk = struct.unpack(">I4s", data[start : start + 8]) if len(data) >= start + 8 else (2**32, b"")
        end = start + 8 + length
        if end + 4 > len(data):
            raise PictureError("it is truncated")
        if zlib.crc32(data[start + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise PictureError("it is damaged (CRC)")
        start = end + 4


def _grey(image: NDArray[Any], white: int | None, alpha: Alpha = Alpha.NONE) -> Picture:
    """Return an image (H, W) or (H, W, channels), the last of which may be its opacity, as grey."""
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3):
        raise PictureError(f"its array has {image.ndim} axes; save one image")
    if image.dtype.kind not in "uif":
        raise PictureError(f"its values are {image.dtype}; save real numbers")
    transparent = coloured = False
    grey = image
    if image.ndim == 3:
        has_alpha = alpha is not Alpha.NONE and image.shape[2] > 1
        colours = image[..., :-1] if has_alpha else image
        coloured = any(not np.array_equal(colours[..., 0], colours[..., k]) for k in range(1, colours.shape[2]))
        grey = colours.mean(-1) if coloured else colours[..., 0]
        if has_alpha and white is not None:
            transparent = bool((image[..., -1] < white).any())
            # Colours that are multiplied by their opacity already lie on black.
            grey = grey * (image[..., -1] / white) if transparent and alpha is Alpha.SEPARATE else grey
    if white is None:
        grey = grey.astype(np.float32)
        if not np.isfinite(grey).all():
            raise PictureError("it has values that are not finite; replace them")
    elif grey.dtype.kind == "f":
        grey = np.round(grey)
    kept = np.float32 if white is None else np.uint8 if white < 256 else np.uint16
    return Picture(pixels=np.ascontiguousarray(grey, kept), white=white, coloured=coloured, transparent=transparent)


@contextmanager
def _errors(beginning: str) -> Iterator[None]:
    """Turn every error of a decoder into a PictureError, whose message begins with the file's name."""
    try:
        yield
    except FileNotFoundError as error:
        raise PictureError(f"{beginning}there is no such file; check the path") from error
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        ArithmeticError,
        EOFError,
        MemoryError,
        SyntaxError,  # Pillow's name for a damaged PNG
        RuntimeError,
        struct.error,
        zlib.error,
        cv2.error,
        tifffile.TiffFileError,
    ) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = f"it is no TIFF, {', '.join(_FORMATS)}"
        raise PictureError(f"{beginning}{reason}; save it again, or remove it") from error
