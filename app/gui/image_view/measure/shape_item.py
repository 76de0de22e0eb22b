"""A measurement's shape on a pane: it can be dragged, and has a name beside it."""

from __future__ import annotations

import pyqtgraph as pg
from PyQt6.QtCore import QObject, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter

from app.gui.image_view.canvas import Canvas
from app.measuring.measurement import Kind, Measurement
from app.measuring.shapes import EllipseShape, LineShape, PointShape, RectangleShape, Shape

#: Colours that are told apart with red-green colour blindness (Okabe and Ito, 2008), on dark and on light pictures.
COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2", "#ffffff")
_LINE_PX = 1.5
_SELECTED_PX = 3.0
_LABEL_FILL = QColor(0, 0, 0, 165)


def shape_between(kind: Kind, start: QPointF, end: QPointF) -> Shape:
    """Return the shape that the mouse has drawn from one position to another, in micrometres."""
    if kind is Kind.POINT:
        return PointShape(end.x(), end.y())
    if kind in (Kind.DISTANCE, Kind.PROFILE):
        return LineShape(start.x(), start.y(), end.x(), end.y())
    area = QRectF(start, end).normalized()
    shape = EllipseShape if kind is Kind.ELLIPSE else RectangleShape
    return shape(area.x(), area.y(), area.width(), area.height())


class ShapeItem(QObject):
    """The items of one measurement on one canvas.

    Parameters
    ----------
    measurement : Measurement
        What is drawn.
    canvas : Canvas
        Where it is drawn.
    colour : str
        Its colour.
    """

    moved = pyqtSignal(str, object)  # name and new shape, while the operator drags it
    removed = pyqtSignal(str)
    clicked = pyqtSignal(str)

    def __init__(self, measurement: Measurement, canvas: Canvas, colour: str) -> None:
        super().__init__(canvas)
        self.name = measurement.name
        self._kind = measurement.kind
        self._follows = True
        self._colour = colour
        self._item = _new_item(measurement.shape, colour)
        self._label = pg.TextItem(measurement.name, color=colour, fill=_LABEL_FILL, anchor=(0, 1))
        canvas.add_shape(self._item)
        canvas.add_shape(self._label)
        self._place_label(measurement.shape)
        if self._kind is Kind.POINT:
            self._item.sigPositionChanged.connect(self._tell)
        else:
            self._item.sigRegionChanged.connect(self._tell)
            self._item.sigRemoveRequested.connect(self._ask_removal)
            self._item.setAcceptedMouseButtons(Qt.MouseButton.LeftButton)
            self._item.sigClicked.connect(self._tell_clicked)

    @property
    def shape(self) -> Shape:
        """Where it lies now, in micrometres."""
        item = self._item
        if self._kind is Kind.POINT:
            return PointShape(float(item.pos().x()), float(item.pos().y()))
        if self._kind in (Kind.DISTANCE, Kind.PROFILE):
            first, last = (item.mapToParent(handle.pos()) for handle in item.endpoints)
            return LineShape(float(first.x()), float(first.y()), float(last.x()), float(last.y()))
        shape = EllipseShape if self._kind is Kind.ELLIPSE else RectangleShape
        size = item.size()
        return shape(float(item.pos().x()), float(item.pos().y()), float(size.x()), float(size.y()))

    def set_shape(self, shape: Shape) -> None:
        """Move it, without telling so."""
        self._follows = False
        item = self._item
        if isinstance(shape, PointShape):
            item.setPos(shape.x_um, shape.y_um)
        elif isinstance(shape, LineShape):
            item.setPos((0.0, 0.0))
            first, last = item.endpoints
            item.movePoint(first, (shape.x1_um, shape.y1_um), coords="parent")
            item.movePoint(last, (shape.x2_um, shape.y2_um), coords="parent")
        else:
            item.setPos((shape.x_um, shape.y_um))
            item.setSize((shape.width_um, shape.height_um))
        self._place_label(shape)
        self._follows = True

    def set_selected(self, *, on: bool) -> None:
        """Draw it thicker while it is the one that the Delete key removes."""
        self._item.setPen(pg.mkPen(self._colour, width=_SELECTED_PX if on else _LINE_PX))

    def remove(self) -> None:
        """Take it from the canvas."""
        for item in (self._item, self._label):
            scene = item.scene()
            item.setParentItem(None)
            if scene is not None:
                scene.removeItem(item)
        self.deleteLater()

    def _tell(self, *_: object) -> None:
        if self._follows:
            shape = self.shape
            self._place_label(shape)
            self.moved.emit(self.name, shape)

    def _tell_clicked(self, *_: object) -> None:
        self.clicked.emit(self.name)

    def _ask_removal(self, *_: object) -> None:
        self.removed.emit(self.name)

    def _place_label(self, shape: Shape) -> None:
        if isinstance(shape, LineShape):
            self._label.setPos(shape.x2_um, shape.y2_um)
        else:
            self._label.setPos(shape.x_um, shape.y_um)


class _Ellipse(pg.EllipseROI):  # type: ignore[misc]  # pyqtgraph has no types
    """An ellipse that may be empty, as it is while its drawing begins; pyqtgraph would divide by its width."""

    def paint(self, painter: QPainter, *arguments: object) -> None:
        if not self.boundingRect().isEmpty():
            super().paint(painter, *arguments)


def _new_item(shape: Shape, colour: str) -> pg.GraphicsObject:
    pen, hover = pg.mkPen(colour, width=_LINE_PX), pg.mkPen("#ffffff", width=_SELECTED_PX)
    style = {"pen": pen, "hoverPen": hover, "handlePen": pg.mkPen(colour, width=2), "handleHoverPen": hover, "removable": True}
    if isinstance(shape, PointShape):
        return pg.TargetItem((shape.x_um, shape.y_um), size=18, pen=pen, hoverPen=hover, brush=None)
    if isinstance(shape, LineShape):
        return pg.LineSegmentROI([(shape.x1_um, shape.y1_um), (shape.x2_um, shape.y2_um)], **style)
    kind = _Ellipse if isinstance(shape, EllipseShape) else pg.RectROI
    item = kind((shape.x_um, shape.y_um), (shape.width_um, shape.height_um), **style)
    for handle in item.getHandles():  # no rotation
        item.removeHandle(handle)
    for corner in ((1, 1), (0, 0), (1, 0), (0, 1)):
        item.addScaleHandle(corner, (1 - corner[0], 1 - corner[1]))
    return item
