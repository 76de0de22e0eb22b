"""One picture file as a pattern."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acquisition.patterns.picture_folder import GreyRange, fit
from acquisition.patterns.source_name import PatternError
from drivers.base import Pattern
from drivers.pictures import read_picture


def picture_pattern(file: Path, shape: tuple[int, int], phase_range_rad: float) -> tuple[Pattern, tuple[str, ...]]:
    """Return a picture as a pattern: black is phase 0, white is ``phase_range_rad``.

    Parameters
    ----------
    file : Path
        The picture. It is cropped to the pattern's aspect ratio and resized.
    shape : (int, int)
        Height and width of the pattern in pixels.
    phase_range_rad : float
        Phase of white in radians.

    Returns
    -------
    Pattern
        The pattern, with the file's name.
    notes : tuple of str
        How the picture was changed, for the operator.

    Raises
    ------
    SpeckleScopeError
        The picture cannot be read, or nothing says which of its values is white.
    """
    picture = read_picture(file)
    if picture.white is None:
        low, high = picture.pixels.min(), picture.pixels.max()
        raise PatternError(
            f"{file} has numbers from {low:.4g} to {high:.4g}, and nothing says which is white; save it with 8 or 16 bits"
        )
    grey = GreyRange().grey(picture, file)
    phase_rad = fit(grey, shape) * np.float32(phase_range_rad)
    here, there = grey.shape, shape
    fitted = (f"{here[1]} x {here[0]} px, fitted into {there[1]} x {there[0]}",) if here != there else ()
    return Pattern(phase_rad.astype(np.float32), file.name), (*fitted, *picture.notes)
