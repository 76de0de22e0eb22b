"""One live picture with title, fixed levels, scale bar, value under the mouse, colour bar, zoom and pan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPainterPath, QPen, QTransform
from PyQt6.QtWidgets import QFrame, QGraphicsPathItem, QHBoxLayout, QLabel, QPushButton, QVBoxLayout

from app.gui.image_view.annotations import Annotations
from app.gui.image_view.level_bar import LevelBar
from app.gui.widgets.formatting import number
from app.gui.widgets.icons import icon
from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.style import MUTED, OUTLINE, PANEL

_MIN_VIEW = 1 / 64  # of the field of view
_MAX_VIEW = 3.0
_ADAPTED_PERCENTILES = (0.5, 99.5)
_MICROMETRE = "\N{MICRO SIGN}m"


class ImagePane(QFrame):
    """A live picture whose colours keep their meaning from frame to frame.

    Parameters
    ----------
    title : str
        Heading.
    field_um : float
        Width of the picture in micrometres; independent of its number of pixels.
    levels : LevelBar
        Its levels and colours are used.
    describe : callable
        Returns the text for a value of the picture, with its unit.

    Notes
    -----
    The view is in micrometres, so that panes with different numbers of pixels can share zoom and position.
    """

    moved = pyqtSignal(QRectF)  # the visible part of the field in micrometres, after the operator has zoomed or moved

    def __init__(self, title: str, field_um: float, levels: LevelBar, describe: Callable[[float], str]) -> None:
        super().__init__()
        self.setObjectName("card")
        self.levels = levels
        self._field_um = field_um
        self._describe = describe
        self._image: NDArray[np.generic] | None = None
        self._mouse: QPointF | None = None

        self.view_box = pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False, defaultPadding=0.0)
        self.view_box.setLimits(
            xMin=-field_um, xMax=2 * field_um, yMin=-field_um, yMax=2 * field_um,
            minXRange=field_um * _MIN_VIEW, maxXRange=field_um * _MAX_VIEW,
        )  # fmt: skip
        self.image_item = pg.ImageItem(axisOrder="row-major")
        self.view_box.addItem(self.image_item)
        self.canvas = pg.GraphicsView(background=QColor(PANEL))
        self.canvas.setCentralItem(self.view_box)
        self.canvas.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        self.canvas.setMinimumSize(QSize(240, 240))
        self.canvas.scene().sigMouseMoved.connect(self._on_mouse_moved)
        self.canvas.viewport().installEventFilter(self)
        self._outlines: QGraphicsPathItem | None = None
        self.annotations = Annotations(self.canvas.viewport())

        self.title = QLabel(title)
        self.title.setObjectName("heading")
        self.subtitle = ElidedLabel("muted")
        fit = QPushButton()
        fit.setIcon(icon("fit", MUTED))
        fit.setObjectName("flat")
        fit.setFixedSize(28, 28)
        fit.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        fit.setToolTip("Show the whole field  (double-click the picture)")
        fit.setAccessibleName(f"Show the whole field of {title}")
        fit.clicked.connect(self.fit)
        header = QHBoxLayout()
        header.setSpacing(12)
        header.addWidget(self.title, 0, Qt.AlignmentFlag.AlignBaseline)
        header.addWidget(self.subtitle, 1, Qt.AlignmentFlag.AlignBaseline)
        header.addWidget(fit)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 10)
        layout.setSpacing(8)
        layout.addLayout(header)
        layout.addWidget(self.canvas, 1)
        layout.addWidget(levels)

        levels.auto_requested.connect(self._adapt_levels)
        levels.changed.connect(lambda *_: self._apply_levels())
        self.view_box.sigRangeChangedManually.connect(lambda *_: self.moved.emit(self.view_box.viewRect()))
        self.view_box.sigTransformChanged.connect(lambda *_: self._place_annotations())
        self.view_box.sigRangeChanged.connect(lambda *_: self._place_annotations())
        self._apply_levels()
        self.fit()

    @property
    def image(self) -> NDArray[np.generic] | None:
        """The array on display."""
        return self._image

    def set_image(self, image: NDArray[np.generic]) -> None:
        """Show an array (h, w) at the present levels."""
        reshaped = self._image is None or self._image.shape != image.shape
        self._image = image
        self.image_item.setImage(image, autoLevels=False)
        if reshaped:
            self.image_item.setRect(self._extent_um)
            self._place_annotations()
        if self._mouse is not None:
            self._write_readout()

    def set_outlines(self, path: QPainterPath, width_px: int) -> None:
        """Draw a path given in pixels of an image that is ``width_px`` wide over the same field."""
        if self._outlines is None:
            self._outlines = QGraphicsPathItem()
            pen = QPen(QColor(OUTLINE), 2.0)  # without antialiasing, which would take 4 ms per frame from the inference thread
            pen.setCosmetic(True)
            self._outlines.setPen(pen)
            self.view_box.addItem(self._outlines, ignoreBounds=True)
        scale = self._field_um / width_px
        self._outlines.setTransform(QTransform.fromScale(scale, scale))
        self._outlines.setPath(path)

    def fit(self) -> None:
        """Show the whole field."""
        self.show_field(self._extent_um)
        self.moved.emit(self._extent_um)

    def show_field(self, part_um: QRectF) -> None:
        """Show a part of the field, in micrometres."""
        self.view_box.setRange(part_um, padding=0.0)

    @property
    def _extent_um(self) -> QRectF:
        rows, columns = (1, 1) if self._image is None else self._image.shape
        return QRectF(0.0, 0.0, self._field_um, self._field_um * rows / columns)

    def _apply_levels(self) -> None:
        self.image_item.setLevels(self.levels.levels)
        self.image_item.setLookupTable(self.levels.table)

    def _adapt_levels(self) -> None:
        if self._image is not None and np.isfinite(self._image).any():
            low, high = np.nanpercentile(self._image.astype(np.float32), _ADAPTED_PERCENTILES)
            self.levels.set_levels(float(low), float(high))

    def _on_mouse_moved(self, position: QPointF) -> None:
        self._mouse = position
        self._write_readout()

    def _write_readout(self) -> None:
        self.annotations.set_readout("" if self._mouse is None else self._describe_at(self._mouse))

    def _describe_at(self, position: QPointF) -> str:
        if self._image is None:
            return ""
        point = self.view_box.mapSceneToView(position)
        rows, columns = self._image.shape
        pitch_um = self._field_um / columns
        row, column = int(np.floor(point.y() / pitch_um)), int(np.floor(point.x() / pitch_um))
        if not (0 <= row < rows and 0 <= column < columns):
            return ""
        where = f"x {number(point.x(), 1)}  y {number(point.y(), 1)} {_MICROMETRE}"
        return f"{where}    {self._describe(float(self._image[row, column]))}"

    def _place_annotations(self) -> None:
        size = self.canvas.viewport().size()
        self.annotations.resize(size)
        shown_um = self.view_box.viewRect()
        if self._image is None or self.view_box.width() <= 0 or shown_um.width() <= 0:
            return
        picture = QRectF(
            self.view_box.mapViewToScene(self._extent_um.topLeft()),
            self.view_box.mapViewToScene(self._extent_um.bottomRight()),
        )
        self.annotations.set_geometry(shown_um.width() / self.view_box.width(), picture)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """React to the mouse leaving the picture, to a double click, and to a new size."""
        if event is not None:
            event_type = event.type()
            if event_type is QEvent.Type.Leave:
                self._mouse = None
                self._write_readout()
            elif event_type is QEvent.Type.Resize:
                self._place_annotations()
            elif event_type is QEvent.Type.MouseButtonDblClick:
                self.fit()
        return super().eventFilter(watched, event)
