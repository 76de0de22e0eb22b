"""Reading image files that may be hostile: the size in a header is checked before the image takes memory."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
from numpy.typing import NDArray

from acquisition.patterns.source_name import PatternError
from drivers.limits import LimitError, check_pixels

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_image(path: Path, flags: int) -> NDArray[Any]:
    """Read an image file with OpenCV.

    Parameters
    ----------
    path : Path
        The file.
    flags : int
        OpenCV's flags, as for :func:`cv2.imread`.

    Raises
    ------
    PatternError
        It is no image, or has more than :data:`drivers.limits.MAX_PIXELS` pixels.
    """
    try:
        if (shape := _stated_shape(path)) is not None:
            check_pixels(shape)
        image: NDArray[Any] | None = cv2.imread(str(path), flags)
    except (OSError, LimitError, cv2.error) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise PatternError(f"cannot read {path} as an image: {reason}") from error
    if image is None:
        raise PatternError(f"cannot read {path} as an image; remove it from the folder or convert it to PNG")
    return image


def _stated_shape(path: Path) -> tuple[int, ...] | None:
    """Return (height, width) from the header of a PNG or TIFF file; None for other formats, which OpenCV limits itself."""
    with path.open("rb") as file:
        head = file.read(24)
    if head.startswith(_PNG) and len(head) == 24:
        return int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big")
    if head.startswith(_TIFF):
        import tifffile  # slow to import, and few targets are TIFF files

        try:
            with tifffile.TiffFile(path) as tiff:
                page = tiff.pages.first
                return int(page.imagelength), int(page.imagewidth)
        except (tifffile.TiffFileError, struct.error, ValueError, LookupError, TypeError, ArithmeticError) as error:
            raise LimitError(f"its header is damaged ({error}); save it again") from error
    return None
