"""The pictures of a film for viewing: colours, scale bar and time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

#: Text is not readable on smaller pictures: they are enlarged by a whole factor.
_READABLE_PX = 480
_MARGIN_PX = 12
_BAR_PX = 4
_LONGEST_BAR = 0.28  # of the width
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5


class FilmColours(StrEnum):
    """The colours of a film, from the lower to the upper level."""

    GREY = "grey"
    VIRIDIS = "viridis"
    MAGMA = "magma"
    CIVIDIS = "cividis"
    TURBO = "turbo"
    #: Both ends have the same colour: for wrapped phases.
    CYCLIC = "cyclic"


_MAPS = {
    FilmColours.VIRIDIS: cv2.COLORMAP_VIRIDIS,
    FilmColours.MAGMA: cv2.COLORMAP_MAGMA,
    FilmColours.CIVIDIS: cv2.COLORMAP_CIVIDIS,
    FilmColours.TURBO: cv2.COLORMAP_TURBO,
    FilmColours.CYCLIC: cv2.COLORMAP_TWILIGHT,
}


@dataclass(frozen=True, kw_only=True)
class FilmLook:
    """How a film for viewing looks.

    Parameters
    ----------
    layer : str
        The array that it shows; empty for the phase.
    colours : FilmColours
        Its colours.
    levels : tuple of float, optional
        The values of the first and of the last colour, in radians or counts. By default they are chosen for the whole film.
    scale_bar : bool
        Draw a scale bar, where the size of a pixel is known.
    time_stamp : bool
        Write the time since the first frame on each frame.
    """

    layer: str = ""
    colours: FilmColours = FilmColours.VIRIDIS
    levels: tuple[float, float] | None = None
    scale_bar: bool = False
    time_stamp: bool = False


class FilmPainter:
    """Paints the pictures of a film.

    Parameters
    ----------
    look : FilmLook
        How they look.
    shape : tuple of int
        Height and width of the images.
    pixel_um : float, optional
        Side of a pixel in micrometres; None where it is not known.
    """

    def __init__(self, look: FilmLook, shape: tuple[int, ...], pixel_um: float | None) -> None:
        self._look = look
        self._size = shape
        has_text = look.scale_bar or look.time_stamp
        self._factor = max(1, math.ceil(_READABLE_PX / min(shape))) if has_text else 1
        self._um_per_px = pixel_um / self._factor if look.scale_bar and pixel_um is not None else None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the pictures; H.264 needs even ones."""
        height, width = (side * self._factor for side in self._size)
        return height + height % 2, width + width % 2

    def painted(self, grey: NDArray[np.uint8], time_s: float) -> NDArray[Any]:
        """Return the picture of an image (h, w) of uint8, as (H, W, 3): blue, green, red."""
        large = grey.repeat(self._factor, 0).repeat(self._factor, 1) if self._factor > 1 else grey
        height, width = self.shape
        large = np.pad(large, ((0, height - large.shape[0]), (0, width - large.shape[1])), mode="edge")
        colours = self._look.colours
        picture = np.repeat(large[..., None], 3, 2) if colours is FilmColours.GREY else cv2.applyColorMap(large, _MAPS[colours])
        if self._look.time_stamp:
            write_time(picture, time_s)
        if self._um_per_px is not None:
            self._draw_bar(picture, self._um_per_px)
        return picture

    def _draw_bar(self, picture: NDArray[Any], um_per_px: float) -> None:
        height, width = picture.shape[:2]
        length_um = _round_length(width * um_per_px * _LONGEST_BAR)
        length_px = max(1, round(length_um / um_per_px))
        right, bottom = width - _MARGIN_PX, height - _MARGIN_PX
        left, top = right - length_px, bottom - _BAR_PX
        cv2.rectangle(picture, (left - 1, top - 1), (right + 1, bottom + 1), (0, 0, 0), -1)
        cv2.rectangle(picture, (left, top), (right, bottom), (255, 255, 255), -1)
        text = f"{length_um:g} um"
        text_px = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)[0][0]
        _write(picture, text, (max(_MARGIN_PX, min((left + right - text_px) // 2, right - text_px)), top - 6))


def write_time(picture: NDArray[Any], time_s: float) -> None:
    """Write a time in seconds into the upper left corner of a picture (H, W, 3)."""
    _write(picture, f"{time_s:.3f} s", (_MARGIN_PX, _MARGIN_PX + 14))


def _write(picture: NDArray[Any], text: str, place: tuple[int, int]) -> None:
    # A dark edge around light letters is read on any picture.
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(picture, text, place, _FONT, _FONT_SCALE, colour, width, cv2.LINE_AA)


def _round_length(longest: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20 ... that is not longer."""
    power = 10.0 ** math.floor(math.log10(longest))
    return next(step * power for step in (5, 2, 1) if step * power <= longest * (1 + 1e-9))
