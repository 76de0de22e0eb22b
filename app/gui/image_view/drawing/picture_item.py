"""What is drawn of a picture: values, levels, colours, marks, outlines. How it is drawn is left to the two subclasses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF
from PyQt6.QtGui import QColor, QImage, QTransform
from PyQt6.QtWidgets import QGraphicsItem, QGraphicsObject, QGraphicsView

from app.gui.image_view.drawing.colour_tables import Colours, rgba
from app.gui.image_view.drawing.outlines import smooth_labels
from app.gui.widgets.palette import OUTLINE

#: How many colours of outlines there may be.
MAX_OUTLINE_COLOURS = 255
_GREY = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
_OUTLINE = np.array([QColor(OUTLINE).getRgb()], dtype=np.uint8)


class PictureItem(QGraphicsObject):
    """A picture in a pyqtgraph ``ViewBox``, one unit of its own coordinates for each pixel.

    Setting something costs nothing until the picture is painted. Pixels that are not numbers are not drawn.

    Notes
    -----
    The colour of a pixel is looked up before colours are interpolated. So neither the jump of a wrapped phase nor the edge of a
    region without numbers gets colours that belong to other values.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemUsesExtendedStyleOption)  # paint() gets the visible part
        self._picture: NDArray[np.generic] = np.zeros((0, 0), np.uint8)
        self._colours = Colours(levels=(0.0, 255.0), table=rgba(_GREY))
        self._labels: NDArray[np.uint16] | None = None
        self._given_labels: NDArray[np.uint16] | None = None
        self._outline_colours: NDArray[np.uint8] = _OUTLINE
        self._nearest = False

    @property
    def picture(self) -> NDArray[np.generic]:
        """The array on display, (h, w); empty before the first."""
        return self._picture

    @property
    def levels(self) -> tuple[float, float]:
        """The values of the first and of the last colour."""
        return self._colours.levels

    def set_picture(self, picture: NDArray[np.generic]) -> None:
        """Show an array (h, w).

        Parameters
        ----------
        picture : ndarray, shape (h, w)
            uint8, uint16 or float32 as they are; another kind is converted to float32. It must not change afterwards.
        """
        if picture.dtype not in (np.uint8, np.uint16, np.float32):
            picture = picture.astype(np.float32)
        if picture.shape != self._picture.shape:
            self.prepareGeometryChange()
        self._picture = np.ascontiguousarray(picture)
        self._changed()

    def set_levels(self, low: float, high: float) -> None:
        """Set the values of the first and of the last colour; ``low`` is below ``high``."""
        if (low, high) != self._colours.levels:
            self._recolour(levels=(low, high))

    def set_colours(self, table: NDArray[np.uint8], *, cyclic: bool = False) -> None:
        """Set the colours between the levels.

        Parameters
        ----------
        table : ndarray of uint8, shape (256, 3) or (256, 4)
            Red, green, blue, and opacity if it is there.
        cyclic : bool
            Values beyond a level continue at the other one. Otherwise they have the first or the last colour.
        """
        if cyclic is not self._colours.cyclic or not np.array_equal(rgba(table), self._colours.table):
            self._recolour(table=rgba(table), cyclic=cyclic)

    def mark_clipped(self, full_scale: int | None) -> None:
        """Give pixels of at least ``full_scale`` counts the colour of a mark; None marks nothing.

        Only whole numbers are marked: a camera counts in them.
        """
        if full_scale != self._colours.full_scale:
            self._recolour(full_scale=full_scale)

    def set_outlines(self, labels: NDArray[np.uint16] | None, colours: NDArray[np.uint8] | None = None) -> None:
        """Draw the outlines of objects over the picture, two pixels of the screen wide.

        Parameters
        ----------
        labels : ndarray of uint16, shape (h, w), optional
            Over the same field as the picture, with any number of pixels. 0 is the background. None draws no outlines.
        colours : ndarray of uint8, shape (n, 3) or (n, 4), optional
            Colour k is that of the labels k + 1, k + 1 + n, ...; where objects touch, the larger label counts.

        Raises
        ------
        ValueError
            There is no colour, or there are more than 255.
        """
        table = _OUTLINE if colours is None else rgba(colours)
        if not 0 < len(table) <= MAX_OUTLINE_COLOURS:
            raise ValueError(f"{len(table)} colours of outlines: use 1 to {MAX_OUTLINE_COLOURS}")
        if labels is None or labels is not self._given_labels:
            self._labels = None if labels is None else smooth_labels(labels)
        self._given_labels = labels
        self._outline_colours = table
        self.update()

    def set_opacity(self, opacity: float) -> None:
        """Let the background shine through picture and outlines: 1 is opaque, 0 invisible."""
        self.setOpacity(opacity)

    def set_nearest(self, *, nearest: bool) -> None:
        """Choose between pixels with sharp edges and interpolation of their colours."""
        self._nearest = nearest
        self.update()

    def set_extent(self, extent: QRectF) -> None:
        """Set where the picture lies in the view. It depends on the shape of the picture: set it again with a new one."""
        rows, columns = self._picture.shape
        scale = QTransform.fromTranslate(extent.left(), extent.top())
        scale.scale(extent.width() / max(1, columns), extent.height() / max(1, rows))
        self.setTransform(scale)

    def boundingRect(self) -> QRectF:
        """Return the outer edges of the picture, in pixels of the array."""
        rows, columns = self._picture.shape
        return QRectF(0.0, 0.0, columns, rows)

    def rendered(self) -> QImage:
        """Return the picture in its colours, with marks, without outlines, one pixel for each of the array; null if empty."""
        raise NotImplementedError

    def prepare_view(self, view: QGraphicsView) -> None:
        """Give a view the viewport that this item is drawn on; call it before anything else uses the viewport."""

    def _recolour(self, **changes: Any) -> None:
        self._colours = replace(self._colours, **changes)
        self._changed()

    def _changed(self) -> None:
        """React to a new picture or to new colours."""
        self.update()
