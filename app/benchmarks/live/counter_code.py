"""A number in the pixels of a picture: written by the benchmark's camera, read back from what the window has painted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Rows and columns of the code. The last row is its check: the exclusive or of the rows above.
ROWS, COLUMNS = 5, 8
_BITS = (ROWS - 1) * COLUMNS
#: Side of one bit in pixels of the frame.
BIT_PX = 10


def write_number(pixels: NDArray[np.uint8], number: int) -> None:
    """Write a number of at most 32 bits into the upper left corner, black and white.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W)
        The frame; changed in place.
    number : int
        From 0.
    """
    bits = np.array([number >> bit & 1 for bit in range(_BITS)], np.uint8).reshape(ROWS - 1, COLUMNS)
    code = np.vstack([bits, np.bitwise_xor.reduce(bits, axis=0)])
    pixels[: ROWS * BIT_PX, : COLUMNS * BIT_PX] = np.kron(code * np.uint8(255), np.ones((BIT_PX, BIT_PX), np.uint8))


def read_number(brightness: NDArray[np.floating]) -> int | None:
    """Return the number in a code; None if the check does not fit, as in a picture that is only half painted.

    Parameters
    ----------
    brightness : ndarray of float, shape (5, 8)
        Brightness in the middle of every bit, 0 to 1.
    """
    bits = (brightness > 0.5).astype(np.uint8)
    if (np.bitwise_xor.reduce(bits[:-1], axis=0) != bits[-1]).any():
        return None
    return int(sum(int(bit) << place for place, bit in enumerate(bits[:-1].ravel())))


def bit_centres() -> NDArray[np.float64]:
    """Return the middle of every bit in pixels of the frame, shape (5, 8, 2): x, y."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    return (np.stack([x, y], axis=-1) + 0.5) * BIT_PX
