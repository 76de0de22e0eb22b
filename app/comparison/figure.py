"""The comparison as a figure: for a few held-out images the truth, the frame, and the phase and error of every method."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from app.comparison.comparison import MethodComparison
from app.reporting.plots import FAINT, new_figure, png
from reconstruction.field import to_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Sizes in pixels: tiles, gaps, captions, and the margins of the figure.
TILE_PX, GAP_PX, CAPTION_PX, TOP_PX, BOTTOM_PX, LEFT_PX = 192, 8, 34, 70, 70, 84
_DOTS_PER_INCH, _FONT_SIZE = 100.0, 9.5
#: Largest error of the colour scale, as a fraction of the phase range.
_ERROR_RANGE: Final = 0.25
_PHASE_COLOURS, _ERROR_COLOURS = "viridis", "inferno"


def comparison_figure(comparison: MethodComparison) -> bytes:
    """Draw the figure and return it as the bytes of a PNG file: two rows for each image, one column for each method.

    All phase tiles have the same colour scale, from 0 to the phase of white. All error tiles show the absolute error from 0 to
    a quarter of that. The mean phase of each image is removed from its error, because the speckle hardly depends on it;
    the captions give the scores with the mean phase.
    """
    return _Drawing(comparison).png()


class _Drawing:
    """Places tiles by pixels: the layout engines of matplotlib take seconds for a hundred axes."""

    def __init__(self, comparison: MethodComparison) -> None:
        self._comparison = comparison
        self._columns = 1 + len(comparison.rows)
        self._width_px = LEFT_PX + self._columns * (TILE_PX + GAP_PX)
        self._pitch_px = 2 * TILE_PX + GAP_PX + CAPTION_PX
        self._height_px = TOP_PX + len(comparison.truths_rad) * self._pitch_px + BOTTOM_PX

    def png(self) -> bytes:
        comparison = self._comparison
        size_in = (self._width_px / _DOTS_PER_INCH, self._height_px / _DOTS_PER_INCH)
        with new_figure(*size_in, layout=None) as figure:
            for column, name in enumerate(["truth and frame", *(row.entry.method.name for row in comparison.rows)]):
                title = "\n".join(textwrap.wrap(name, 24)[:3])
                self._write(figure, title, self._left_px(column), TOP_PX - 8, verticalalignment="bottom")
            for index in range(len(comparison.truths_rad)):
                self._draw_truth(figure, index)
                for column in range(1, self._columns):
                    self._draw_method(figure, index, column)
            phase_range_rad = comparison.phase_range_rad
            self._draw_scale(figure, 0, _PHASE_COLOURS, phase_range_rad, "phase, rad")
            self._draw_scale(
                figure, 1, _ERROR_COLOURS, _ERROR_RANGE * phase_range_rad, "absolute error, mean phase removed, rad"
            )
            return png(figure, _DOTS_PER_INCH)

    def _draw_truth(self, figure: Figure, index: int) -> None:
        top_px = self._top_px(index)
        for text, row in (("phase", 0), ("frame,\nerror", 1)):
            middle_px = top_px + row * (TILE_PX + GAP_PX) + TILE_PX // 2
            self._write(figure, text, 8, middle_px, color=FAINT, verticalalignment="center")
        self._draw_phase(figure, self._comparison.truths_rad[index], 0, top_px)
        frame = to_grid(self._comparison.frames[index].astype(np.float32), TILE_PX)
        axes = self._tile(figure, 0, top_px + TILE_PX + GAP_PX)
        axes.imshow(frame, cmap="gray", vmin=0, vmax=float(np.percentile(frame, 99.5)))

    def _draw_method(self, figure: Figure, index: int, column: int) -> None:
        row, top_px, left_px = self._comparison.rows[column - 1], self._top_px(index), self._left_px(column)
        if index >= len(row.phases_rad):
            middle_px = top_px + TILE_PX // 2
            self._write(figure, "image not used: too slow", left_px + 4, middle_px, color=FAINT)
            return
        phase, scores, mask = row.phases_rad[index], row.per_image[index], self._comparison.mask
        self._draw_phase(figure, phase, column, top_px)
        error = phase - self._comparison.truths_rad[index]
        error = np.abs(error - error[mask].mean())
        axes = self._tile(figure, column, top_px + TILE_PX + GAP_PX)
        axes.imshow(_inside(error, mask), cmap=_ERROR_COLOURS, vmin=0, vmax=_ERROR_RANGE * self._comparison.phase_range_rad)
        caption = f"SSIM {scores.ssim:.3f}   MAE {scores.mae_rad:.3f} rad"
        self._write(figure, caption, left_px, top_px + 2 * TILE_PX + GAP_PX + 4, verticalalignment="top")

    def _draw_phase(self, figure: Figure, phase_rad: NDArray[np.float32], column: int, top_px: int) -> None:
        axes = self._tile(figure, column, top_px)
        shown = _inside(phase_rad, self._comparison.mask)
        axes.imshow(shown, cmap=_PHASE_COLOURS, vmin=0, vmax=self._comparison.phase_range_rad)

    def _draw_scale(self, figure: Figure, number: int, colours: str, largest: float, title: str) -> None:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        left_px = LEFT_PX + 2 * number * (TILE_PX + GAP_PX)
        axes = self._axes(figure, left_px, self._height_px - BOTTOM_PX + 8, TILE_PX, 12)
        figure.colorbar(ScalarMappable(Normalize(0, largest), colours), cax=axes, orientation="horizontal")
        axes.tick_params(labelsize=_FONT_SIZE)
        axes.set_xlabel(title, fontsize=_FONT_SIZE, loc="left")

    def _tile(self, figure: Figure, column: int, top_px: int) -> Axes:
        axes = self._axes(figure, self._left_px(column), top_px, TILE_PX, TILE_PX)
        axes.set_axis_off()
        return axes

    def _axes(self, figure: Figure, left_px: int, top_px: int, width_px: int, height_px: int) -> Axes:
        bottom_px = self._height_px - top_px - height_px
        return figure.add_axes(
            (
                left_px / self._width_px,
                bottom_px / self._height_px,
                width_px / self._width_px,
                height_px / self._height_px,
            )
        )

    def _write(self, figure: Figure, text: str, left_px: int, top_px: int, **style: Any) -> None:
        figure.text(left_px / self._width_px, 1 - top_px / self._height_px, text, fontsize=_FONT_SIZE, **style)

    def _left_px(self, column: int) -> int:
        return LEFT_PX + column * (TILE_PX + GAP_PX)

    def _top_px(self, index: int) -> int:
        return TOP_PX + index * self._pitch_px


def _inside(values: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Return values that have a colour inside the mask and none outside."""
    return np.where(mask, values, np.nan)
