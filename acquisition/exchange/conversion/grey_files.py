"""The pictures of a folder of pairs: which files they are, their size and bits, and their grey values."""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acquisition.archive.shards import Image
from drivers.limits import check_pixels
from drivers.pictures import Picture, PictureError, count_pages, decode_picture, is_picture_name, natural_key

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: PNG's colour type of grey images.
GREY = 0
_PNG_HEADER_BYTES = 33
#: Files that operating systems leave in folders, in lower case; names that begin with a dot are ignored too.
_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin"}


@dataclass(frozen=True, kw_only=True)
class Header:
    """Size, bits per channel (32 for floating point) and, for PNG, the colour type of a picture file."""

    height: int
    width: int
    bits: int
    colour: int = GREY

    def __str__(self) -> str:
        return f"{self.width} x {self.height} of {self.bits} bits"


def find_pictures(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Return a folder's pictures by their stems, in natural order, and a problem for every other file.

    System files and hidden files are ignored. Stems are in Unicode's form NFC, because macOS copies names in another form.

    Raises
    ------
    OSError
        The folder cannot be read.
    """
    pictures: dict[str, Path] = {}
    problems = []
    for file in sorted(folder.iterdir(), key=natural_key):
        if file.name.startswith(".") or file.name.lower() in _SYSTEM_FILES:
            continue
        stem = unicodedata.normalize("NFC", file.stem)
        if not is_picture_name(file) or not file.is_file():
            problems.append(f"{folder.name}/{file.name} is no picture, such as .png or .tif; rename or remove it")
        elif stem in pictures:
            problems.append(f"{folder.name}/{file.name} and {pictures[stem].name} have the same name; remove or rename one")
        else:
            pictures[stem] = file
    return pictures, problems


def read_header(data: bytes) -> Header:
    """Read the header from a PNG file's first 33 bytes; raises ValueError when it is not a PNG file."""
    if len(data) < _PNG_HEADER_BYTES or not data.startswith(_SIGNATURE) or data[12:16] != b"IHDR":
        raise ValueError("it is not a PNG file")
    width, height, bits, colour = struct.unpack(">IIBB", data[16:26])
    check_pixels((height, width))
    return Header(height=height, width=width, bits=bits, colour=colour)


class GreyReader:
    """Reads the pictures of a folder as grey, and remembers which were not grey.

    Parameters
    ----------
    to_grey : bool
        Take coloured pictures by the mean of their channels, and transparent parts as black. By default they are refused: the
        colours may be those of a colour map, whose mean is no phase.
    """

    def __init__(self, *, to_grey: bool = False) -> None:
        self.to_grey = to_grey
        #: The pictures of each note, in the order in which they were read: mappings to nothing keep it.
        self._noted: dict[str, dict[Path, None]] = {}

    def header(self, file: Path) -> Header:
        """Return size and bits of a picture file; of a PNG file, only its header is read.

        Raises
        ------
        OSError, ValueError
            It cannot be read, or holds several pictures.
        """
        if file.suffix.lower() == ".png":
            with file.open("rb") as stream:
                return read_header(stream.read(_PNG_HEADER_BYTES))
        pages = count_pages(file)
        if pages != 1:
            raise PictureError(
                f"it holds {pages} pictures; import such files as arrays: specklescope import SPECKLE --phase PHASE"
            )
        image = self.read(file)
        return Header(height=image.shape[0], width=image.shape[1], bits=8 * image.dtype.itemsize)

    def read(self, file: Path, check: Callable[[bytes], None] = lambda data: None) -> Image:
        """Read a picture as grey, shape (H, W): uint8, uint16 or float32.

        Parameters
        ----------
        file : Path
            A file in any format of :mod:`drivers.pictures`.
        check : callable
            Gets the bytes of the file, and raises an error if they are not those that are expected.

        Raises
        ------
        OSError, ValueError
            The file cannot be read, is damaged, or is coloured or transparent and shall not be.
        """
        data = file.read_bytes()
        check(data)
        picture = decode_picture(data)
        if not self.to_grey:
            _check_grey(picture)
        for note in picture.notes:
            self._noted.setdefault(note, {})[file] = None
        return picture.pixels

    def notes(self, folder: Path) -> list[str]:
        """Return what the operator should know of the pictures that were read; names of those in ``folder`` are without it."""
        return [
            f"{len(files)} pictures are {note}; the first is {_short_name(next(iter(files)), folder)}"
            for note, files in self._noted.items()
        ]


def _short_name(file: Path, folder: Path) -> str:
    return (file.relative_to(folder) if file.is_relative_to(folder) else file).as_posix()


def decode_grey(data: bytes) -> Image:
    """Decode a picture to grey, shape (H, W): uint8, uint16 or float32.

    Raises
    ------
    ValueError
        It is damaged, truncated, coloured or transparent.
    """
    picture = decode_picture(data)
    _check_grey(picture)
    return picture.pixels


def _check_grey(picture: Picture) -> None:
    if picture.transparent:
        raise PictureError("it is transparent in places; give --to-grey if these parts are black, or flatten it to grey")
    if picture.coloured:
        raise PictureError("it is coloured; give --to-grey for the mean of its channels, or convert it to grey")
