"""Draws a picture in software, through pyqtgraph's ``ImageItem``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QImage, QPainter, QTransform, qRgba
from PyQt6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from app.gui.image_view.drawing.colour_tables import CLIPPED, COLOURS
from app.gui.image_view.drawing.outlines import outline_indices
from app.gui.image_view.drawing.picture_item import PictureItem

_NEARLY = 1 - 1e-5


class SoftwarePictureItem(PictureItem):
    """A picture that the processor draws."""

    def __init__(self) -> None:
        super().__init__()
        # It is in no scene: it only turns arrays into images.
        self._converter = pg.ImageItem(axisOrder="row-major")
        self._image: QImage | None = None

    def rendered(self) -> QImage:
        """Return the picture in its colours, with marks and without outlines, one pixel for each of the array."""
        if self._image is None:
            self._image = self._convert() if self._picture.size else QImage()
        return self._image

    def paint(self, painter: QPainter | None, option: QStyleOptionGraphicsItem | None, widget: QWidget | None = None) -> None:
        """Draw the picture, then the outlines."""
        if painter is None or option is None or not self._picture.size:
            return
        visible = option.exposedRect & self.boundingRect()
        if self._labels is None or painter.opacity() == 1.0:
            self._draw(painter, visible, outline_half_width_px(painter))
        else:
            self._draw_layer(painter, visible)

    def _changed(self) -> None:
        self._image = None
        super()._changed()

    def _convert(self) -> QImage:
        colours = self._colours
        values, levels = self._picture, colours.levels
        if colours.cyclic and not self._is_within(levels):
            values, levels = colours.wrapped_positions(values), (0.0, float(COLOURS))
        table = colours.table if colours.table[:, 3].min() < 255 else colours.table[:, :3]  # without opacity it is faster
        with np.errstate(invalid="ignore"):  # NaN gets a colour before pyqtgraph makes it transparent
            self._converter.setImage(values, autoLevels=False, levels=levels, lut=table)
            self._converter.render()
        image: QImage = self._converter.qimage
        clipped = colours.clipped(self._picture)
        if clipped is not None and clipped.any():
            image = image.convertToFormat(QImage.Format.Format_ARGB32)
            pixels: NDArray[np.uint32] = pg.functions.ndarray_from_qimage(image).view(np.uint32)[:, :, 0]
            np.copyto(pixels, np.uint32(qRgba(*CLIPPED)), where=clipped)
        # Qt scales this kind of image twice as fast as one with a table of colours, and as exactly. (It scales those with four
        # bytes for each pixel even faster, but rounds positions to a sixteenth of a pixel: up to ten grey levels are wrong.)
        return image if image.hasAlphaChannel() else image.convertToFormat(QImage.Format.Format_RGB888)

    def _is_within(self, levels: tuple[float, float]) -> bool:
        """Return whether every value lies between the levels, so that nothing has to be wrapped; False where there is NaN."""
        low, high = levels
        least, most = self._picture.min(), self._picture.max()
        return self._picture.dtype.kind == "f" and bool(least >= low and most < low + (high - low) * _NEARLY)

    def _draw_layer(self, painter: QPainter, visible: QRectF) -> None:
        """Draw picture and outlines together, so that the picture does not shine through the outlines."""
        to_screen = painter.deviceTransform()
        region = to_screen.mapRect(visible).toAlignedRect()
        if region.isEmpty():
            return
        layer = QImage(region.size(), QImage.Format.Format_ARGB32_Premultiplied)
        layer.fill(0)
        on_layer = QPainter(layer)
        on_layer.setTransform(to_screen * QTransform.fromTranslate(-region.left(), -region.top()))
        self._draw(on_layer, visible, outline_half_width_px(painter))
        on_layer.end()
        with _screen_pixels(painter):
            painter.drawImage(QPointF(region.topLeft()), layer)

    def _draw(self, painter: QPainter, visible: QRectF, half_width_px: int) -> None:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not self._nearest)
        painter.drawImage(self.boundingRect(), self.rendered())
        from_screen, invertible = painter.deviceTransform().inverted()
        region = painter.deviceTransform().mapRect(visible).toAlignedRect()
        if self._labels is None or not invertible or region.isEmpty():
            return
        rows, columns = self._picture.shape
        label_rows, label_columns = self._labels.shape
        to_labels = from_screen * QTransform.fromScale(label_columns / columns, label_rows / rows)
        indices = outline_indices(self._labels, to_labels, region, half_width_px, len(self._outline_colours))
        image: QImage = pg.functions.ndarray_to_qimage(np.ascontiguousarray(indices), QImage.Format.Format_Indexed8)
        image.setColorTable([0, *(qRgba(*colour) for colour in self._outline_colours.tolist())])
        painter.setClipRect(self.boundingRect(), Qt.ClipOperation.IntersectClip)
        with _screen_pixels(painter):
            painter.drawImage(QPointF(region.topLeft()), image)


@contextmanager
def _screen_pixels(painter: QPainter) -> Iterator[None]:
    """Let one unit be one pixel of the screen, whatever the painter draws on."""
    painter.save()
    painter.resetTransform()
    to_pixels, _ = painter.deviceTransform().inverted()
    painter.setTransform(to_pixels)
    try:
        yield
    finally:
        painter.restore()


def outline_half_width_px(painter: QPainter) -> int:
    """Return half the width of an outline in pixels of the screen: one of Qt's pixels."""
    device = painter.device()
    return max(1, round(device.devicePixelRatioF())) if device is not None else 1
