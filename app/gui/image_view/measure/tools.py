"""Connects tools, panes and measurements: shapes are drawn with the mouse and follow what is shown."""

from __future__ import annotations

from collections.abc import Iterable

from PyQt6.QtCore import QObject, QPointF, QRect, QRectF, pyqtSignal
from PyQt6.QtGui import QAction, QColor, QKeySequence, QPen
from PyQt6.QtWidgets import QGraphicsRectItem, QWidget

from app.gui.image_view.contents import Content
from app.gui.image_view.measure.measurements import Measurements
from app.gui.image_view.measure.shape_item import COLOURS, ShapeItem, shape_between
from app.gui.image_view.measure.tool import Tool, ToolActions
from app.gui.image_view.pane import Pane
from app.gui.widgets.palette import PICTURE
from app.measuring.alignment import alignment_numbers
from app.measuring.measurement import Kind, MeasuredPicture
from app.measuring.shapes import LineShape, Shape
from app.measuring.time_series import TimeSeries
from drivers.base import Frame

_SMALLEST_PX = 4  # on the screen; a smaller drag gets a shape of the default size
_DEFAULT_SIZE = 0.2  # of the field
ALIGNMENT = ("mean", "saturated_fraction", "contrast", "focus")


class MeasureTools(QObject):
    """What can be measured on the panes.

    Parameters
    ----------
    owner : QWidget
        The widget that the actions belong to.
    """

    roi_drawn = pyqtSignal(QRect)  # in pixels of the camera's frame
    selected = pyqtSignal(str)

    def __init__(self, owner: QWidget) -> None:
        super().__init__(owner)
        self.measurements = Measurements()
        self.actions = ToolActions(owner)
        self.delete = QAction("Remove measurement", owner)
        self.delete.setObjectName("measure.remove")
        self.delete.setShortcut(QKeySequence("Del"))
        self.delete.setToolTip("Remove the measurement that was drawn or moved last  (Del)")
        self.delete.triggered.connect(self._remove_selected)
        self.alignment = TimeSeries(ALIGNMENT)
        self._alignment_on = False
        self._panes: list[Pane] = []
        self._items: dict[tuple[Pane, str], ShapeItem] = {}
        self._shown: dict[Pane, Content] = {}
        self._selected = ""
        self._drawn_on: Pane | None = None
        self._start = QPointF()
        self._rubber: QGraphicsRectItem | None = None
        self.actions.chosen.connect(self._apply_tool)
        self.measurements.added.connect(self._on_added)
        self.measurements.moved.connect(self._on_moved)
        self.measurements.removed.connect(self._on_removed)

    def commands(self) -> tuple[QAction, ...]:
        """Return all actions."""
        return (*self.actions.all(), self.delete)

    # -- panes and pictures ---------------------------------------------------------------------------------------

    def add_pane(self, pane: Pane) -> None:
        """Measure on a further pane, too."""
        self._panes.append(pane)
        self._shown[pane] = pane.content
        pane.picture_changed.connect(self._trace)
        pane.options_changed.connect(self._on_options)
        pane.drawn_from.connect(self._begin)
        pane.drawn_to.connect(self._continue)
        pane.drawn.connect(self._end)
        pane.canvas.set_drawing(on=self.actions.tool is not Tool.MOVE)
        self._draw_shapes(pane)

    def set_alignment(self, *, on: bool) -> None:
        """Choose whether mean, saturated fraction, contrast and focus of the camera's picture are calculated."""
        self._alignment_on = on

    def refresh(self, panes: Iterable[Pane], frame: Frame | None) -> None:
        """Measure on the panes that are seen, and on the newest frame of the camera."""
        pictures: dict[str, MeasuredPicture] = {}
        for pane in panes:
            picture = measured_picture(pane)
            if picture is not None:
                pictures.setdefault(pane.content.value, picture)
        if frame is not None and self._alignment_on:
            numbers = alignment_numbers(frame.grey, frame.full_scale, frame.index)
            self.alignment.add(frame.index, frame.t_ns * 1e-9, *(getattr(numbers, name) for name in ALIGNMENT))
        self.measurements.measure(pictures)

    def forget_series(self) -> None:
        """Begin all courses over time again, for another instrument or session."""
        self.alignment.clear()
        self.measurements.forget_traces()

    def _trace(self, pane: Pane) -> None:
        first = next((each for each in self._panes if each.isVisible() and each.content is pane.content), None)
        picture = measured_picture(pane) if pane is first else None
        if picture is not None and pane.shown is not None:
            self.measurements.trace(pane.content.value, picture, pane.shown.time_s)

    # -- shapes on panes ------------------------------------------------------------------------------------------

    def _on_options(self, pane: Pane) -> None:
        if self._shown[pane] is not pane.content:
            self._shown[pane] = pane.content
            for owner, name in tuple(self._items):
                if owner is pane:
                    self._items.pop((owner, name)).remove()
            self._draw_shapes(pane)

    def _draw_shapes(self, pane: Pane) -> None:
        for measurement in self.measurements.on(pane.content.value):
            self._draw_shape(pane, measurement.name)

    def _draw_shape(self, pane: Pane, name: str) -> None:
        colour = COLOURS[self.measurements.colour_number(name) % len(COLOURS)]
        item = ShapeItem(self.measurements[name], pane.canvas, colour)
        item.moved.connect(self._on_dragged)
        item.removed.connect(self.measurements.remove)
        item.clicked.connect(self.select)
        item.set_selected(on=name == self._selected)
        self._items[pane, name] = item

    def shapes_on(self, pane: Pane) -> dict[str, Shape]:
        """Return where shapes lie on a pane, by the names of their measurements."""
        return {name: item.shape for (owner, name), item in self._items.items() if owner is pane}

    def _on_added(self, name: str) -> None:
        for pane in self._panes:
            if pane.content.value == self.measurements[name].picture:
                self._draw_shape(pane, name)

    def _on_dragged(self, name: str, shape: Shape) -> None:
        self.select(name)
        self.measurements.move(name, shape)

    def _on_moved(self, name: str) -> None:
        shape = self.measurements[name].shape
        for (_, own), item in self._items.items():
            if own == name and item.shape != shape:
                item.set_shape(shape)

    def _on_removed(self, name: str) -> None:
        for key in [key for key in self._items if key[1] == name]:
            self._items.pop(key).remove()
        if self._selected == name:
            self.select(self.measurements.names[-1] if len(self.measurements) else "")

    def select(self, name: str) -> None:
        """Choose the measurement that the Delete key removes; an empty name chooses none."""
        if name != self._selected and name in ("", *self.measurements.names):
            self._selected = name
            for (_, own), item in self._items.items():
                item.set_selected(on=own == name)
            self.selected.emit(name)

    @property
    def selection(self) -> str:
        """The name of the measurement that the Delete key removes; empty while there is none."""
        return self._selected

    def _remove_selected(self) -> None:
        self.measurements.remove(self._selected)

    # -- drawing --------------------------------------------------------------------------------------------------

    def _apply_tool(self, tool: Tool) -> None:
        for pane in self._panes:
            pane.canvas.set_drawing(on=tool is not Tool.MOVE)

    def _begin(self, pane: Pane, point: QPointF) -> None:
        self._drawn_on = pane
        self._start = point
        tool = self.actions.tool
        if tool is Tool.CAMERA_ROI:
            self._rubber = QGraphicsRectItem()
            pen = QPen(QColor(PICTURE.accent), 2)
            pen.setCosmetic(True)
            self._rubber.setPen(pen)
            pane.canvas.add_shape(self._rubber)
        elif tool.kind is not None:
            self.select(self.measurements.add(tool.kind, pane.content.value, shape_between(tool.kind, point, point)) or "")

    def _continue(self, pane: Pane, point: QPointF) -> None:
        kind = self.actions.tool.kind
        if pane is not self._drawn_on:
            return
        if self._rubber is not None:
            self._rubber.setRect(QRectF(self._start, point).normalized())
        elif kind is not None and self._selected:
            self.measurements.move(self._selected, shape_between(kind, self._start, point))

    def _end(self, pane: Pane, point: QPointF) -> None:
        self._continue(pane, point)
        kind = self.actions.tool.kind
        if self._rubber is not None:
            self._end_roi(pane, point)
        elif kind is not None and self._selected:
            start, end = (pane.canvas.position_of(at) for at in (self._start, point))
            if (end - start).manhattanLength() < _SMALLEST_PX and kind is not Kind.POINT:
                self.measurements.move(self._selected, self._default_shape(pane, kind))
        self._drawn_on = None
        self.actions.choose(Tool.MOVE)

    def _default_shape(self, pane: Pane, kind: Kind) -> Shape:
        size = _DEFAULT_SIZE * pane.canvas.visible_um.width()
        end = QPointF(self._start.x() + size, self._start.y() + (0.0 if kind.shape is LineShape else size))
        return shape_between(kind, self._start, end)

    def _end_roi(self, pane: Pane, point: QPointF) -> None:
        if self._rubber is not None:
            pane.canvas.graphics.scene().removeItem(self._rubber)
            self._rubber = None
        grid = pane.canvas.grid
        if pane.content is not Content.SPECKLE or grid is None:
            return
        area = QRectF(self._start, point).normalized()
        scale = 1 / grid.pitch_um
        whole = QRect(0, 0, grid.columns, grid.rows)
        pixels = QRectF(area.x() * scale, area.y() * scale, area.width() * scale, area.height() * scale).toAlignedRect()
        if not (pixels & whole).isEmpty() and min(area.width(), area.height()) * scale >= 1:
            self.roi_drawn.emit(pixels & whole)


def measured_picture(pane: Pane) -> MeasuredPicture | None:
    """Return what a pane shows as a picture on which is measured; None while it shows none."""
    shown = pane.shown
    if shown is None:
        return None
    return MeasuredPicture(
        values=shown.values,
        pitch_um=pane.pitch_um,
        unit=pane.content.values.unit,
        frame_index=shown.frame_index,
        full_scale=shown.full_scale,
        filters=shown.filters,
    )
