"""A folder of pictures as a pattern source: every picture, and every page of a stack, is one pattern."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.source_name import Parameters, PatternError
from drivers.pictures import (
    SUFFIXES,
    Picture,
    PictureError,
    count_pages,
    is_picture_name,
    natural_key,
    read_picture,
)

Grey = NDArray[np.float32]
#: Endings of files that may hold several pictures.
_STACKS = (".tif", ".tiff", ".gif", ".webp")
_LOG = logging.getLogger(__name__)
#: Largest value that ``black`` and ``white`` may have.
_MOST = 1e9


@dataclass(frozen=True)
class GreyRange:
    """Which values are black and white in pictures where the file does not say it, such as float TIFF.

    Parameters
    ----------
    black, white : float
        The values; equal where the operator has stated none.
    """

    black: float = 0.0
    white: float = 0.0

    @classmethod
    def of(cls, parameters: Parameters) -> GreyRange:
        """Return the range that the parameters ``black`` and ``white`` of a source's name state."""
        white = parameters.number("white", 0.0, -_MOST, _MOST)
        return cls(parameters.number("black", 0.0, -_MOST, _MOST), white)

    @property
    def is_stated(self) -> bool:
        """Whether the operator has stated it."""
        return self.white != self.black

    def grey(self, picture: Picture, file: Path) -> Grey:
        """Return a picture as grey in 0..1, shape (H, W).

        Raises
        ------
        PatternError
            Nothing says which value is white, or a value lies outside black to white.
        """
        black, white = (self.black, self.white) if self.is_stated else (0.0, float(picture.white or 0))
        low, high = float(picture.pixels.min()), float(picture.pixels.max())
        if black == white:
            raise PatternError(
                f"{file} has numbers from {low:.4g} to {high:.4g}, and nothing says which is white. {_remedy(file, low, high)}"
            )
        grey = (picture.pixels.astype(np.float32) - np.float32(black)) / np.float32(white - black)
        if grey.min() < -1e-4 or grey.max() > 1 + 1e-4:
            raise PatternError(
                f"{file} has numbers from {low:.4g} to {high:.4g}, outside black={black:g} to white={white:g}; "
                "change black and white, so that no part of the pattern is cut off"
            )
        return np.clip(grey, 0, 1)


def _remedy(file: Path, low: float, high: float) -> str:
    """Return how the operator can state the range of a picture with values from ``low`` to ``high``."""
    folder = file.parent.name
    levels = f"for grey levels write '{folder}?black={min(low, 0):.6g}&white={max(high, 255):.6g}'"
    if not 0 < high - low <= 8 * np.pi:
        return f"State it: {levels}"
    black = min(low, 0.0)
    radians = f"'{folder}?black={black:.6g}&white={high:.6g}' and --phase-range-rad {high - black:.6g}"
    return f"State it: for phases in radians write {radians}; {levels}"


class PictureFolder:
    """The pictures of a folder, in the natural order of their names.

    Parameters
    ----------
    path : Path
        The folder. Hidden files, system files and files of other kinds are ignored.
    shape : (int, int)
        Height and width of a pattern.
    size_px : int
        Side of the centred square into which each picture is fitted, with black around it; 0 uses the whole pattern.
    grey_range : GreyRange
        Which values are black and white where the files do not say it.

    Raises
    ------
    PatternError
        There is no picture, or a stack cannot be read.
    """

    def __init__(self, path: Path, shape: tuple[int, int], size_px: int = 0, grey_range: GreyRange | None = None) -> None:
        files = sorted((file for file in path.iterdir() if is_picture_name(file) and file.is_file()), key=natural_key)
        if not files:
            raise PatternError(f"folder {path} holds no picture ({', '.join(SUFFIXES)})")
        self._shape = shape
        self._size_px = size_px
        self._range = grey_range or GreyRange()
        self._pages = [(file, page) for file in files for page in range(_pages_of(file))]

    def __len__(self) -> int:
        return len(self._pages)

    def __call__(self, index: int) -> tuple[str, Grey]:
        """Return the name and the grey image of a pattern; the pictures repeat from the start."""
        file, page = self._pages[index % len(self)]
        name = file.name if page == 0 else f"{file.name}#{page}"
        if not self._size_px:
            return name, self._read(file, page, self._shape)
        whole = np.zeros(self._shape, np.float32)
        side = self._size_px
        top, left = (self._shape[0] - side) // 2, (self._shape[1] - side) // 2
        whole[top : top + side, left : left + side] = self._read(file, page, (side, side))
        return name, whole

    @staticmethod
    def pages_of(file: Path) -> Iterator[Picture]:
        """Yield the picture of a file, or every page of a stack; raises PatternError when it cannot be read."""
        for page in range(_pages_of(file)):
            yield _read(file, page)

    def check(self) -> None:
        """Read every picture once; raises PatternError with the name of the first that cannot be shown.

        How pictures that are not grey become so is logged as a warning, for the operator.
        """
        noted: dict[str, list[Path]] = {}
        for file, page in self._pages:
            picture = _read(file, page)
            self._range.grey(picture, file)
            for note in picture.notes:
                noted.setdefault(note, []).append(file)
        for note, files in noted.items():
            _LOG.warning("%d pictures are %s; the first is %s", len(files), note, files[0])

    def _read(self, file: Path, page: int, shape: tuple[int, int]) -> Grey:
        return fit(self._range.grey(_read(file, page), file), shape)


def fit(grey: Grey, shape: tuple[int, int]) -> Grey:
    """Crop a grey image (H, W) in 0..1 to the aspect ratio of ``shape``, and resize it to that shape."""
    height, width = grey.shape
    side = min(height / shape[0], width / shape[1])
    rows, columns = max(1, round(shape[0] * side)), max(1, round(shape[1] * side))
    top_row, left = (height - rows) // 2, (width - columns) // 2
    grey = grey[top_row : top_row + rows, left : left + columns]
    if grey.shape == shape:
        return np.clip(grey, 0, 1)
    method = cv2.INTER_AREA if rows > shape[0] else cv2.INTER_LINEAR
    resized: NDArray[Any] = cv2.resize(grey, shape[::-1], interpolation=method)
    return np.clip(resized, 0, 1).astype(np.float32)


def _pages_of(file: Path) -> int:
    if file.suffix.lower() not in _STACKS:
        return 1
    try:
        return count_pages(file)
    except PictureError as error:
        raise PatternError(str(error)) from error


def _read(file: Path, page: int) -> Picture:
    try:
        return read_picture(file, page)
    except PictureError as error:
        raise PatternError(str(error)) from error
