"""Calibration files of SLM makers: look-up tables as text or CSV, and wavefront corrections as pictures of grey levels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError
from drivers.displays.phase_lut import GreyLut
from drivers.pictures import PictureError, is_picture_name, read_picture
from drivers.safe_arrays import load_npy

_LEVELS = 256
#: Size of a look-up table as text; 256 lines have some kilobytes.
_MOST_BYTES = 2**20
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_NUMBER = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?")


def read_lut(path: Path) -> GreyLut:
    """Read the phase of each grey level.

    Parameters
    ----------
    path : Path
        ``.npy`` file of 256 phases in radians, or text: in each line a phase, or a level from 0 to 255 and its phase. Columns
        are separated by commas, semicolons, tabs or spaces; without commas between them, a comma is the decimal point. Lines
        without a number at their beginning are headings.

    Raises
    ------
    DeviceError
        It cannot be read, or holds something else.
    """
    try:
        phases = np.asarray(load_npy(path), np.float64) if path.suffix.lower() == ".npy" else _text_lut(path)
        return GreyLut(phases)
    except (OSError, ValueError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DeviceError(
            f"cannot read a grey LUT from {path}: {reason}; give 256 lines, each a phase in radians, or a level and its phase"
        ) from error


def read_correction(path: Path, levels_2pi: float) -> NDArray[np.float32]:
    """Read a wavefront correction in radians, shape (H, W).

    Parameters
    ----------
    path : Path
        ``.npy`` file of radians (floats), or of grey levels (integers); or a picture of grey levels.
    levels_2pi : float
        How many grey levels make 2 pi; 0 for radians.

    Raises
    ------
    DeviceError
        It cannot be read, or ``levels_2pi`` does not fit what it holds.
    """
    try:
        values = _grey_levels(path) if is_picture_name(path) else load_npy(path)
    except PictureError as error:
        raise DeviceError(f"the wavefront correction cannot be used: {error}") from error
    except (OSError, ValueError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DeviceError(
            f"cannot read the wavefront correction {path}: {reason}; give a picture of grey levels or a .npy file"
        ) from error
    is_levels = values.dtype.kind in "iu"
    if is_levels and levels_2pi <= 0:
        raise DeviceError(
            f"the wavefront correction {path} holds grey levels from {values.min()} to {values.max()}; state how many levels "
            "make 2 pi, for example correction_levels_2pi: 256"
        )
    if not is_levels and levels_2pi > 0:
        raise DeviceError(
            f"the wavefront correction {path} holds {values.dtype} numbers, which are radians; remove correction_levels_2pi, "
            "or give grey levels"
        )
    scale = 2 * np.pi / levels_2pi if is_levels else 1.0
    return (values.astype(np.float64) * scale).astype(np.float32)


def _grey_levels(path: Path) -> NDArray[Any]:
    picture = read_picture(path)
    if picture.coloured or picture.transparent:
        raise PictureError(f"{path} is coloured or transparent, so its grey levels are unknown; save them as a grey picture")
    return picture.pixels


def _text_lut(path: Path) -> NDArray[np.float64]:
    """Return 256 phases out of a text; raises ValueError when it holds something else."""
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES} bytes")
    # A comment may be in any encoding; numbers are the same in all of them.
    lines = content.decode(_BYTE_ORDER_MARKS.get(content[:2], "utf-8-sig"), errors="replace").splitlines()
    rows = [row for line in lines if (row := _numbers(line))]
    if {len(row) for row in rows} == {2} and not _has_levels(rows):
        one_column = [row for line in lines if (row := _numbers(line.replace(",", ".")))]  # with decimal commas
        rows = one_column if [len(row) for row in one_column] == [1] * _LEVELS else rows
    columns = {len(row) for row in rows}
    if len(rows) != _LEVELS or columns not in ({1}, {2}):
        per_line = " or ".join(map(str, sorted(columns))) or "no"
        raise ValueError(f"it has {len(rows)} lines with {per_line} numbers")
    if columns == {1}:
        return np.array([row[0] for row in rows])
    if not _has_levels(rows):
        raise ValueError("its first column does not hold each level from 0 to 255 once")
    return np.array([phase for _, phase in sorted(rows)])


def _has_levels(rows: Sequence[Sequence[float]]) -> bool:
    """Whether the first column holds each level once."""
    return sorted(row[0] for row in rows) == list(range(_LEVELS))


def _numbers(line: str) -> list[float]:
    """Return the numbers of a line; none for a heading, a comment or an empty line. Numbers may stand in quotes."""
    line = line.partition("#")[0].replace('"', "").strip().strip(";,")
    if not line:
        return []
    # With spaces between the columns, a comma is the decimal point.
    comma = "," if "," in line and " " not in re.sub(r",\s+", ",", line) else None
    separator = next((mark for mark in (";", "\t") if mark in line), comma)
    cells = [cell.strip() for cell in line.split(separator)]
    if not _NUMBER.fullmatch(cells[0]):
        return []
    if bad := [cell for cell in cells if not _NUMBER.fullmatch(cell)]:
        raise ValueError(f"{bad[0]!r} in the line {line[:40]!r} is no number")
    return [float(cell.replace(",", ".")) for cell in cells]
