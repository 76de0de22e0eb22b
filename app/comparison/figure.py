"""The table as a picture: for a few held-out images the truth, the frame, and every method's phase and error."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.comparison.comparison import MethodComparison
from app.reporting.images import grey
from reconstruction.field import to_grid

Picture = NDArray[np.uint8]

_TILE, _GAP, _CAPTION, _HEAD, _FOOT, _SIDE = 192, 8, 22, 62, 64, 84
_INK, _FAINT = (44, 36, 29), (122, 110, 98)
_FONT, _LINE = cv2.FONT_HERSHEY_SIMPLEX, 17
#: White of the error maps, as a fraction of the phase's range.
_ERROR_RANGE = 0.25


def comparison_figure(comparison: MethodComparison) -> Picture:
    """Draw the figure: one pair of rows an image, one column a method; (H, W, 3) of bytes in OpenCV's order.

    Phase runs from 0 to the phase of white, error from 0 to a quarter of it, in all tiles alike. Errors are shown with the
    mean phase of each image removed, because most of what speckle leaves open is the level; captions tell scores with it.
    """
    count = len(comparison.truths_rad)
    pitch_x, pitch_y = _TILE + _GAP, 2 * _TILE + _GAP + _CAPTION + 10
    width, height = _SIDE + (1 + len(comparison.rows)) * pitch_x, _HEAD + count * pitch_y + _FOOT
    canvas = np.full((height, width, 3), 255, np.uint8)
    for column, name in enumerate(["truth and frame", *(row.entry.method.name for row in comparison.rows)]):
        lines = _wrapped(name)
        for number, line in enumerate(lines):
            _write(canvas, line, _SIDE + column * pitch_x, _HEAD - 10 - _LINE * (len(lines) - 1 - number))
    for index, truth in enumerate(comparison.truths_rad):
        top = _HEAD + index * pitch_y
        for words, down in (("phase", 0), ("frame,", _TILE + _GAP - 9), ("error", _TILE + _GAP + 9)):
            _write(canvas, words, 8, top + down + _TILE // 2, _FAINT)
        _put(canvas, _phase_tile(truth, comparison), _SIDE, top)
        frame = to_grid(comparison.frames[index].astype(np.float32), _TILE)
        shown = cv2.cvtColor(grey(frame, 0, float(np.percentile(frame, 99.5))), cv2.COLOR_GRAY2BGR)
        _put(canvas, np.asarray(shown, np.uint8), _SIDE, top + _TILE + _GAP)
        for column, row in enumerate(comparison.rows, start=1):
            left = _SIDE + column * pitch_x
            if index >= len(row.phases_rad):
                _write(canvas, "not among its images", left + 4, top + _TILE // 2, _FAINT)
                continue
            phase, scores = row.phases_rad[index], row.per_image[index]
            _put(canvas, _phase_tile(phase, comparison), left, top)
            _put(canvas, _error_tile(phase, truth, comparison), left, top + _TILE + _GAP)
            caption = f"SSIM {scores.ssim:.3f}   MAE {scores.mae_rad:.3f}"
            _write(canvas, caption, left, top + 2 * _TILE + _GAP + 16)
    _scale(canvas, _SIDE, height - _FOOT + 22, cv2.COLORMAP_VIRIDIS, f"phase, 0 to {comparison.phase_range_rad:.3g} rad")
    error = f"absolute error, means removed, 0 to {_ERROR_RANGE * comparison.phase_range_rad:.2g} rad"
    _scale(canvas, _SIDE + 2 * pitch_x, height - _FOOT + 22, cv2.COLORMAP_INFERNO, error)
    return canvas


def _phase_tile(phase: NDArray[np.float32], comparison: MethodComparison) -> Picture:
    return _tile(phase / np.float32(comparison.phase_range_rad), comparison.mask, cv2.COLORMAP_VIRIDIS)


def _error_tile(phase: NDArray[np.float32], truth: NDArray[np.float32], comparison: MethodComparison) -> Picture:
    error = phase - truth
    error = np.abs(error - error[comparison.mask].mean())
    return _tile(error / np.float32(_ERROR_RANGE * comparison.phase_range_rad), comparison.mask, cv2.COLORMAP_INFERNO)


def _tile(values: NDArray[Any], mask: NDArray[np.bool_], colours: int) -> Picture:
    """Colour values from 0 to 1 inside the mask; white outside."""
    coloured = cv2.applyColorMap(grey(np.where(mask, values, 0), 0, 1), colours)
    coloured[~mask] = 255
    return np.asarray(cv2.resize(coloured, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST), np.uint8)


def _scale(canvas: Picture, left: int, top: int, colours: int, words: str) -> None:
    ramp = np.tile(np.linspace(0, 255, _TILE).astype(np.uint8), (14, 1))
    _put(canvas, np.asarray(cv2.applyColorMap(ramp, colours), np.uint8), left, top)
    _write(canvas, words, left, top + 32)


def _put(canvas: Picture, tile: Picture, left: int, top: int) -> None:
    height, width = tile.shape[:2]
    canvas[top : top + height, left : left + width] = tile


def _write(canvas: Picture, words: str, left: int, base: int, ink: tuple[int, int, int] = _INK) -> None:
    cv2.putText(canvas, words, (left, base), _FONT, 0.45, ink, 1, cv2.LINE_AA)


def _wrapped(name: str) -> list[str]:
    """Break a name into at most three lines that fit a tile."""
    lines = [""]
    for word in name.split():
        longer = f"{lines[-1]} {word}".strip()
        if cv2.getTextSize(longer, _FONT, 0.45, 1)[0][0] <= _TILE:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line for line in lines if line][:3]
