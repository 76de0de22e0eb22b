"""The area of a pane in which the picture is drawn: zoom, pan, orientation, mouse, and the layers over the picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QLineF, QObject, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter
from PyQt6.QtWidgets import QGraphicsItem, QVBoxLayout, QWidget

from app.gui.image_view.annotations import Annotations
from app.gui.image_view.cell_marks import PictureText
from app.gui.image_view.drawing.picture_item import PictureItem
from app.gui.image_view.orientation import Orientation
from app.gui.widgets.formatting import number, round_length
from app.gui.widgets.palette import PICTURE
from app.measuring.shapes import PixelGrid

# By default pyqtgraph drops moves of the mouse that come soon after another one; the last one too, and then the value and the
# place on display are not those under the mouse.
pg.setConfigOption("mouseRateLimit", 0)

_MIN_VIEW = 1 / 64  # of the field of view
_MAX_VIEW = 3.0
_GRID_STEPS = 8  # at least so many over the field
_MICROMETRE = "\N{MICRO SIGN}m"


class Canvas(QWidget):
    """A picture with scale bar, value under the mouse, cross-hair and grid.

    Parameters
    ----------
    field_um : float
        Width of the picture in micrometres; independent of its number of pixels.
    item : PictureItem
        Draws the picture.

    Notes
    -----
    All coordinates are micrometres of the picture, x to the right and y downwards, whatever the orientation on the screen. So
    panes with different numbers of pixels and orientations can share zoom and position.
    """

    moved = pyqtSignal(QRectF)  # the visible part of the picture in micrometres, after the operator has zoomed or moved
    double_clicked = pyqtSignal()
    pressed = pyqtSignal()
    drawn_from = pyqtSignal(QPointF)  # the mouse in micrometres, while drawing is on: pressed, moved, released
    drawn_to = pyqtSignal(QPointF)
    drawn = pyqtSignal(QPointF)

    def __init__(self, field_um: float, item: PictureItem) -> None:
        super().__init__()
        self._field_um = field_um
        self._shape: tuple[int, int] | None = None
        self._orientation = Orientation()
        self._mouse: QPointF | None = None
        self._describe: Callable[[int, int], str] = lambda row, column: ""
        self._fitted = True
        self._drawing = False
        self._pen_down = False
        self._cross_hair = False
        self._has_scale = True
        self._has_grid = False
        self._texts: tuple[PictureText, ...] = ()
        self.view_box = pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False, defaultPadding=0.0)
        self.image_item = item
        self._root = pg.ItemGroup()
        item.setParentItem(self._root)
        self.view_box.addItem(self._root, ignoreBounds=True)
        self.graphics = pg.GraphicsView(background=QColor(PICTURE.panel))
        item.prepare_view(self.graphics)
        self.graphics.setAcceptDrops(False)  # files are for the window
        self.graphics.setCentralItem(self.view_box)
        self.graphics.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        self.setMinimumSize(QSize(120, 80))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.graphics)
        self.annotations = Annotations(self.viewport)
        self.graphics.scene().sigMouseMoved.connect(self._on_mouse_moved)
        self.viewport.installEventFilter(self)
        self.view_box.sigResized.connect(self._on_resize)
        self.view_box.sigRangeChangedManually.connect(self._tell_moved)
        self.view_box.sigTransformChanged.connect(self._place_annotations)
        self.view_box.sigRangeChanged.connect(self._place_annotations)
        self._set_limits()
        self.show_part(self.extent_um)

    @property
    def viewport(self) -> QWidget:
        """The widget that gets the mouse."""
        viewport: QWidget = self.graphics.viewport()
        return viewport

    # -- the picture ----------------------------------------------------------------------------------------------

    def set_field(self, field_um: float) -> None:
        """Set the width of the picture in micrometres, and show all of it."""
        self._field_um = field_um
        self._set_limits()
        self._place_picture()
        self.show_part(self.extent_um)

    def set_picture(self, picture: NDArray[np.generic]) -> None:
        """Show an array (h, w)."""
        rows, columns = picture.shape
        reshaped = self._shape != (rows, columns)
        self._shape = (rows, columns)
        self.image_item.set_picture(picture)
        if reshaped:
            self._place_picture()
        if self._mouse is not None:
            self._write_readout()

    def forget_picture(self) -> None:
        """Show nothing."""
        self._shape = None
        self.image_item.set_picture(np.zeros((0, 0), np.uint8))
        self.image_item.set_outlines(None)
        self._texts = ()
        self._write_readout()
        self._place_annotations()

    def set_texts(self, texts: tuple[PictureText, ...]) -> None:
        """Write on the picture; texts of before are removed."""
        if texts or self._texts:
            self._texts = texts
            self._place_texts()

    def set_description(self, describe: Callable[[int, int], str]) -> None:
        """Set what is written for the pixel under the mouse, from its row and column."""
        self._describe = describe

    @property
    def grid(self) -> PixelGrid | None:
        """The pixels of the picture; None while there is none."""
        if self._shape is None:
            return None
        rows, columns = self._shape
        return PixelGrid(rows, columns, self._field_um / columns)

    @property
    def extent_um(self) -> QRectF:
        """The outer edges of the picture, in micrometres."""
        rows, columns = self._shape or (1, 1)
        return QRectF(0.0, 0.0, self._field_um, self._field_um * rows / columns)

    def add_shape(self, item: QGraphicsItem) -> None:
        """Put an item over the picture; its coordinates are micrometres of the picture."""
        item.setParentItem(self._root)

    # -- what is seen of it ---------------------------------------------------------------------------------------

    def set_orientation(self, orientation: Orientation) -> None:
        """Turn and mirror what is on the screen; the visible part of the picture stays."""
        if orientation == self._orientation:
            return
        part = self.visible_um
        fitted = self._fitted
        self._orientation = orientation
        self._place_picture()
        # Its sides may change places, so only a square can stay as large as it was.
        side = min(part.width(), part.height())
        square = QRectF(part.center().x() - side / 2, part.center().y() - side / 2, side, side)
        self.show_part(self.extent_um if fitted else square)

    @property
    def visible_um(self) -> QRectF:
        """The visible part of the picture, in micrometres."""
        return self._orientation.unmap_rect(self.view_box.viewRect(), self.extent_um.center())

    def fit(self) -> None:
        """Show the whole picture."""
        self.show_part(self.extent_um)
        self.moved.emit(self.extent_um)

    def show_part(self, part_um: QRectF) -> None:
        """Show a part of the picture, in micrometres."""
        self._fitted = part_um == self.extent_um
        self.view_box.setRange(self._orientation.map_rect(part_um, self.extent_um.center()), padding=0.0)

    def zoom(self, factor: float) -> None:
        """Enlarge the picture by a factor; its visible centre stays."""
        part = self.visible_um
        side = QPointF(part.width() / factor / 2, part.height() / factor / 2)
        self.show_part(QRectF(part.center() - side, part.center() + side))
        self.moved.emit(self.visible_um)

    def set_cross_hair(self, *, on: bool) -> None:
        """Draw lines through the centre of the field, or remove them."""
        self._cross_hair = on
        self._place_annotations()

    def set_grid(self, *, on: bool) -> None:
        """Draw a grid with round steps, or remove it."""
        self._has_grid = on
        self._place_annotations()

    @property
    def grid_step_um(self) -> float:
        """Distance between the lines of the grid, in micrometres."""
        return round_length(self._field_um / _GRID_STEPS)

    # -- the mouse ------------------------------------------------------------------------------------------------

    def set_drawing(self, *, on: bool) -> None:
        """Choose whether the left mouse button draws a shape, or moves the picture."""
        self._drawing = on
        self._pen_down = False
        self.viewport.setCursor(Qt.CursorShape.CrossCursor if on else Qt.CursorShape.ArrowCursor)

    def at(self, position: QPointF) -> QPointF:
        """Return the position in the picture, in micrometres, of a position in the viewport."""
        point: QPointF = self._root.mapFromScene(self.graphics.mapToScene(position.toPoint()))
        return point

    def position_of(self, point_um: QPointF) -> QPointF:
        """Return the position in the viewport of a position in the picture, in micrometres."""
        return QPointF(self.graphics.mapFromScene(self._root.mapToScene(point_um)))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """React to the mouse."""
        if event is None:
            return False
        event_type = event.type()
        if event_type is QEvent.Type.Leave:
            self._mouse = None
            self._write_readout()
        elif event_type is QEvent.Type.MouseButtonPress:
            self.pressed.emit()
        if isinstance(event, QMouseEvent) and self._drawing:
            return self._draw(event)
        if event_type is QEvent.Type.MouseButtonDblClick:
            self.double_clicked.emit()
            return True
        return False

    def _on_resize(self, *_: object) -> None:
        self._set_limits()
        if self._fitted:
            self.show_part(self.extent_um)
        self._place_annotations()

    def _draw(self, event: QMouseEvent) -> bool:
        point = self.at(event.position())
        kind = event.type()
        if kind is QEvent.Type.MouseButtonPress and event.button() is Qt.MouseButton.LeftButton:
            self._pen_down = True
            self.drawn_from.emit(point)
        elif kind is QEvent.Type.MouseMove and self._pen_down:
            self.drawn_to.emit(point)
        elif kind is QEvent.Type.MouseButtonRelease and self._pen_down:
            self._pen_down = False
            self.drawn.emit(point)
        else:
            return kind is QEvent.Type.MouseButtonDblClick
        self._mouse = self.graphics.mapToScene(event.position().toPoint())
        self._write_readout()
        return True

    def _tell_moved(self, *_: object) -> None:
        self._fitted = False
        self.moved.emit(self.visible_um)

    def _on_mouse_moved(self, position: QPointF) -> None:
        self._mouse = position
        self._write_readout()

    def show_scale(self, *, on: bool) -> None:
        """Show lengths in micrometres, or only pixels where the size of the picture is not known."""
        if on is not self._has_scale:
            self._has_scale = on
            self._place_annotations()
            self._write_readout()

    def _write_readout(self) -> None:
        self.annotations.set_readout("" if self._mouse is None else self._readout(self._root.mapFromScene(self._mouse)))

    def _readout(self, point: QPointF) -> str:
        grid = self.grid
        pixel = grid.pixel_at(point.x(), point.y()) if grid is not None else None
        if pixel is None:
            return ""
        row, column = pixel
        where = f"x {number(point.x(), 1)}  y {number(point.y(), 1)} {_MICROMETRE}    " if self._has_scale else ""
        return f"{where}{column}, {row} px    {self._describe(row, column)}"

    # -- layers ---------------------------------------------------------------------------------------------------

    def _set_limits(self) -> None:
        field_um = self._field_um
        aspect = self.view_box.width() / max(1.0, self.view_box.height())
        # In a wide pane, the whole height of the picture must be visible, and in a high one the whole width.
        widest_um = field_um * _MAX_VIEW * max(1.0, aspect)
        highest_um = field_um * _MAX_VIEW * max(1.0, 1.0 / aspect if aspect > 0 else 1.0)
        self.view_box.setLimits(
            xMin=(field_um - widest_um) / 2, xMax=(field_um + widest_um) / 2,
            yMin=(field_um - highest_um) / 2, yMax=(field_um + highest_um) / 2,
            minXRange=field_um * _MIN_VIEW, maxXRange=widest_um,
        )  # fmt: skip

    def _place_picture(self) -> None:
        self.image_item.set_extent(self.extent_um)
        if self._fitted:
            self.show_part(self.extent_um)
        self._root.setTransform(self._orientation.transform(self.extent_um.center()))
        self._place_annotations()

    def _place_annotations(self, *_: object) -> None:
        self.annotations.resize(self.viewport.size())
        shown_um = self.view_box.viewRect()
        if self._shape is None:
            self.annotations.set_geometry(0.0, QRectF())
            self.annotations.set_lines([], [])
            self.annotations.set_texts(())
            return
        if self.view_box.width() <= 0 or shown_um.width() <= 0:
            return
        place = self._root.mapRectToScene(self.extent_um)
        um_per_px = shown_um.width() / self.view_box.width() if self._has_scale else 0.0
        self.annotations.set_geometry(um_per_px, place)
        centre = self.extent_um.center()
        cross = self._lines([centre.x()], [centre.y()]) if self._cross_hair else []
        step = self.grid_step_um
        lines = self._lines(*(_steps(end, step) for end in (self.extent_um.right(), self.extent_um.bottom())))
        self.annotations.set_lines(cross, lines if self._has_grid else [])
        self._place_texts()

    def _place_texts(self) -> None:
        grid = self.grid
        if grid is None:
            return
        placed = [(self._root.mapToScene(text.place * grid.pitch_um), text.text, text.colour) for text in self._texts]
        self.annotations.set_texts(tuple(placed))

    def _lines(self, columns_um: list[float], rows_um: list[float]) -> list[QLineF]:
        area = self.extent_um
        vertical = [(QPointF(x, area.top()), QPointF(x, area.bottom())) for x in columns_um]
        horizontal = [(QPointF(area.left(), y), QPointF(area.right(), y)) for y in rows_um]
        ends = [(self._root.mapToScene(a), self._root.mapToScene(b)) for a, b in vertical + horizontal]
        return [QLineF(a, b) for a, b in ends]


def _steps(end_um: float, step_um: float) -> list[float]:
    return [float(k * step_um) for k in range(1, int(np.ceil(end_um / step_um)))]
