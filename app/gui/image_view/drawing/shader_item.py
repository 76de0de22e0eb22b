"""Draws a picture by a shader on the graphics card."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF
from PyQt6.QtGui import QOpenGLContext, QPaintEngine, QPainter, QTransform
from PyQt6.QtOpenGL import QOpenGLPaintDevice
from PyQt6.QtOpenGLWidgets import QOpenGLWidget
from PyQt6.QtWidgets import QGraphicsView, QStyleOptionGraphicsItem, QWidget

from app.gui.image_view.drawing.colour_tables import Colours
from app.gui.image_view.drawing.picture_shader import PictureShader, Screen, ShaderError, ShaderInput
from app.gui.image_view.drawing.software_item import SoftwarePictureItem, outline_half_width_px

_OPACITY_STEPS = 256  # of Qt in software

log = logging.getLogger(__name__)


class _CardViewport(QOpenGLWidget):
    """A viewport on the graphics card, which can be copied like any other widget."""

    def paintGL(self) -> None:
        """Draw what ``grab()`` copies. The screen does not come here: the view paints it."""
        view = self.parentWidget()
        if isinstance(view, QGraphicsView):
            # While a widget is copied, a painter of the widget would draw on the copy, which is then covered by our frame.
            device = QOpenGLPaintDevice(self.size() * self.devicePixelRatioF())
            device.setDevicePixelRatio(self.devicePixelRatioF())
            painter = QPainter(device)
            view.render(painter, QRectF(self.rect()), self.rect())
            painter.end()


class ShaderPictureItem(SoftwarePictureItem):
    """A picture that the graphics card draws, in a view whose viewport is a ``QOpenGLWidget``.

    An array goes to the card once. The card then finds colours, marks, outlines and opacity for each pixel of the screen.
    On another device, such as a picture for a file, and after the card has failed, it is drawn in software.
    """

    def __init__(self) -> None:
        super().__init__()
        self._shader: PictureShader | None = None
        self._counted: tuple[Colours | None, int, NDArray[np.uint8]] = (None, 0, np.zeros((0, 4), np.uint8))
        self._failure = ""

    def prepare_view(self, view: QGraphicsView) -> None:
        """Give a view the viewport that this item is drawn on; call it before anything else uses the viewport."""
        viewport = _CardViewport()
        viewport.setMouseTracking(True)  # as the one before, which pyqtgraph's own items had asked for it
        view.setViewport(viewport)
        view.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.FullViewportUpdate)

    @property
    def failure(self) -> str:
        """Why the card cannot draw this picture; empty while it can."""
        return self._failure

    def set_picture(self, picture: NDArray[np.generic]) -> None:
        """Show an array (h, w); one of another shape is tried on the card again, if that has failed before."""
        if picture.shape != self._picture.shape:
            self._failure = ""
        super().set_picture(picture)

    def paint(self, painter: QPainter | None, option: QStyleOptionGraphicsItem | None, widget: QWidget | None = None) -> None:
        """Draw picture and outlines."""
        if painter is None or option is None or not self._picture.size:
            return
        if self._failure or not isinstance(widget, QOpenGLWidget) or not _is_on_card(painter):
            super().paint(painter, option, widget)
            return
        screen = _screen(painter, option, widget)
        if screen is None:
            return
        painter.beginNativePainting()
        try:
            self._ready_shader().draw(self._shader_input(), screen)
        except ShaderError as error:
            log.warning("this picture is drawn in software: %s", error)
            self._failure = str(error)
        finally:
            painter.endNativePainting()
        if self._failure:
            super().paint(painter, option, widget)

    def _ready_shader(self) -> PictureShader:
        """Return the shader of the current context, which is a new one after the pane has moved to another window."""
        shader = self._shader
        if shader is None or shader.is_released or shader.context is not QOpenGLContext.currentContext():
            self._shader = shader = PictureShader()
        return shader

    def _shader_input(self) -> ShaderInput:
        return ShaderInput(
            picture=self._picture,
            colours=self._colours_for(self._picture.dtype),
            labels=self._labels,
            outline_colours=self._outline_colours,
            low=self._colours.levels[0],
            colours_per_unit=self._colours.colours_per_unit,
            is_cyclic=self._colours.cyclic,
            is_smooth=not self._nearest,
        )

    def _colours_for(self, dtype: np.dtype[np.generic]) -> NDArray[np.uint8]:
        """Return the same array as before while neither colours nor kind of values change: it lies on the card already."""
        if dtype.kind == "f":
            return self._colours.table
        colours, counts, table = self._counted
        if colours is not self._colours or counts != 1 << 8 * dtype.itemsize:
            counts = 1 << 8 * dtype.itemsize
            table = self._colours.for_each_count(counts)
            self._counted = (self._colours, counts, table)
        return table


def _screen(painter: QPainter, option: QStyleOptionGraphicsItem, widget: QOpenGLWidget) -> Screen | None:
    """Return where the picture lies on the widget; None where nothing of it can be seen."""
    height_px = round(widget.height() * widget.devicePixelRatioF())
    to_screen = painter.deviceTransform() * QTransform(1.0, 0.0, 0.0, -1.0, 0.0, float(height_px))
    to_picture, invertible = to_screen.inverted()
    visible = option.exposedRect & painter.clipBoundingRect() if painter.hasClipping() else option.exposedRect
    clip = to_screen.mapRect(visible).toAlignedRect()
    if not invertible or clip.isEmpty():
        return None
    return Screen(
        to_picture=to_picture,
        clip=(clip.x(), clip.y(), clip.width(), clip.height()),
        opacity=round(painter.opacity() * _OPACITY_STEPS) / _OPACITY_STEPS,
        half_width_px=outline_half_width_px(painter),
    )


def _is_on_card(painter: QPainter) -> bool:
    engine = painter.paintEngine()
    return engine is not None and engine.type() is QPaintEngine.Type.OpenGL2
