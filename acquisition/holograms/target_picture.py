"""A picture file as the wanted far field of a hologram."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.holograms.closed_form import HologramError
from drivers.pictures import read_picture


def target_amplitude(file: Path, shape: tuple[int, int]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return the amplitude of a picture of the wanted intensity, centred on the SLM's pattern and not enlarged.

    Parameters
    ----------
    file : Path
        The picture.
    shape : (int, int)
        Height and width of the pattern in pixels.

    Returns
    -------
    amplitude : ndarray of float32, shape (H, W)
        Square root of the intensity.
    notes : tuple of str
        How the picture became grey, for the operator.

    Raises
    ------
    SpeckleScopeError
        The picture cannot be read, is larger than the pattern, is black everywhere, or has negative values.
    """
    height, width = shape
    picture = read_picture(file)
    image = picture.pixels
    if image.shape[0] > height or image.shape[1] > width:
        raise HologramError(
            f"{file} is {image.shape[0]} x {image.shape[1]} px, the SLM's pattern {height} x {width}; make it smaller"
        )
    if not image.any() or image.min() < 0:
        what = "has negative values" if image.any() else "is black everywhere"
        raise HologramError(f"{file} {what}; give an image of the wanted intensity, with bright pixels")
    amplitude = np.zeros((height, width), np.float32)
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    amplitude[top : top + image.shape[0], left : left + image.shape[1]] = np.sqrt(image.astype(np.float32))
    return amplitude, tuple(f"{file.name} is {note}" for note in picture.notes)
