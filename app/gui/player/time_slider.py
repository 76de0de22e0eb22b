"""The slider of the player: true times, gaps where nothing was recorded, frames without a phase, and the operator's markers."""

from __future__ import annotations

import math
from enum import IntEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QBrush,
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.gui.player.time_text import tick_step_s, tick_text, time_text
from app.gui.widgets.formatting import count
from app.gui.widgets.palette import Palette, colours
from app.playback.timeline import PlacedMarker, Timeline

_MARGIN_PX = 10.0
_FLAG_PX = 18.0  # above the track: markers
_TRACK_PX = 16.0
_TICK_PX = 20.0  # below the track: times
_REACH_PX = 6.0  # a marker is hit so near to it
_TICK_EVERY_PX = 110.0


class _Column(IntEnum):
    """What lies at one place of the track."""

    PHASE = 0
    NO_PHASE = 1
    GAP = 2


class TimeSlider(QWidget):
    """Where the player is; pressing and dragging goes to the frame that was exposed nearest to the mouse.

    Attributes
    ----------
    timeline : Timeline
        What it shows.
    """

    #: The operator wants to see a frame; its number.
    sought = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.timeline = Timeline(np.zeros(0, np.int64))
        self._has_phase: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._time_s = 0.0
        self._track: QPixmap | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Position in the recording")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)

    def sizeHint(self) -> QSize:
        """Return the height of markers, track and times."""
        return QSize(400, round(_FLAG_PX + _TRACK_PX + _TICK_PX + 4))

    def show_timeline(self, timeline: Timeline, has_phase: NDArray[np.bool_]) -> None:
        """Show the times of a recording, and which of its frames have a phase, (N,)."""
        self.timeline = timeline
        self._has_phase = has_phase
        self._track = None
        self.update()

    def show_time(self, time_s: float) -> None:
        """Show where the player is, in seconds after the first frame."""
        if time_s != self._time_s:
            self._time_s = time_s
            self.update()

    # -- places ---------------------------------------------------------------------------------------------------

    @property
    def track(self) -> QRectF:
        """Where the track lies, in pixels of the widget."""
        return QRectF(_MARGIN_PX, _FLAG_PX, max(1.0, self.width() - 2 * _MARGIN_PX), _TRACK_PX)

    def place_of(self, time_s: float) -> QPointF:
        """Return the place of a time on the track."""
        duration_s = self.timeline.duration_s
        share = min(1.0, max(0.0, time_s / duration_s)) if duration_s > 0 else 0.0
        return QPointF(self.track.left() + share * self.track.width(), self.track.center().y())

    def _time_at(self, x: float) -> float:
        share = (x - self.track.left()) / self.track.width()
        return min(1.0, max(0.0, share)) * self.timeline.duration_s

    def _marker_at(self, place: QPointF) -> PlacedMarker | None:
        if place.y() > self.track.top():
            return None
        near = [(abs(self._marker_x(one) - place.x()), one) for one in self.timeline.markers]
        distance, nearest = min(near, key=lambda pair: pair[0], default=(math.inf, None))
        return nearest if distance <= _REACH_PX else None

    def _marker_x(self, marker: PlacedMarker) -> float:
        return self.place_of(self.timeline.time_of(marker.position)).x()

    # -- the mouse ------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to the frame or to the marker that was pressed."""
        if event is not None and event.button() is Qt.MouseButton.LeftButton and len(self.timeline):
            marker = self._marker_at(event.position())
            self.sought.emit(marker.position if marker is not None else self._nearest(event))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Follow the mouse while it is pressed."""
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton and len(self.timeline):
            self.sought.emit(self._nearest(event))

    def _nearest(self, event: QMouseEvent) -> int:
        return self.timeline.nearest(self._time_at(event.position().x()))

    def event(self, event: QEvent | None) -> bool:
        """Say what lies below the mouse."""
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.text_at(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def text_at(self, place: QPointF) -> str:
        """Return what lies at a place: a marker, a gap, or a frame and whether it has a phase."""
        if not len(self.timeline):
            return ""
        marker = self._marker_at(place)
        if marker is not None:
            return f"Marker: {marker.text}"
        time_s = self._time_at(place.x())
        gap = self.timeline.gap_after(self.timeline.position_at(time_s))
        if gap is not None and gap.start_s < time_s < gap.end_s:
            return f"Gap: no frame for {time_text(gap.seconds)}"
        position = self.timeline.nearest(time_s)
        phase = "" if self._has_phase[position] else ", not reconstructed"
        return f"{time_text(self.timeline.time_of(position))}, frame {count(position + 1)}{phase}"

    # -- painting -------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Draw the track anew."""
        super().resizeEvent(event)
        self._track = None

    def changeEvent(self, event: QEvent | None) -> None:
        """Draw the track in the colours of a new theme."""
        super().changeEvent(event)
        if event is not None and event.type() is QEvent.Type.StyleChange:
            self._track = None

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw track, markers, times and the position."""
        if self._track is None:
            self._track = self._drawn()
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._track)
        if not len(self.timeline):
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        x, track = self.place_of(self._time_s).x(), self.track
        palette = colours()
        painter.setPen(QPen(QColor(palette.background), 1))
        painter.setBrush(QColor(palette.text))
        painter.drawRoundedRect(QRectF(x - 3, track.top() - 5, 6, track.height() + 10), 3, 3)
        if self.hasFocus():
            painter.setPen(QPen(QColor(palette.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(track.adjusted(-4, -2, 4, 2), 4, 4)

    def _drawn(self) -> QPixmap:
        scale = self.devicePixelRatioF()
        pixmap = QPixmap(round(self.width() * scale), round(self.height() * scale))
        pixmap.setDevicePixelRatio(scale)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setFont(self.font())
        palette = colours()
        painter.fillRect(self.track, QColor(palette.raised))
        if len(self.timeline):
            self._draw_columns(painter, palette)
            self._draw_ticks(painter, palette)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._draw_markers(painter, palette)
        painter.end()
        return pixmap

    def columns(self) -> NDArray[np.int64]:
        """Return for every pixel of the track what lies there; a gap is seen, however short it is."""
        width = round(self.track.width())
        times_s = (np.arange(width) + 0.5) / width * self.timeline.duration_s
        positions = np.maximum(0, np.searchsorted(self.timeline.times_s, times_s, side="right") - 1)
        columns: NDArray[np.int64] = np.where(self._has_phase[positions], _Column.PHASE, _Column.NO_PHASE)
        per_s = width / self.timeline.duration_s if self.timeline.duration_s > 0 else 0.0
        for gap in self.timeline.gaps:
            first = min(width - 1, int(gap.start_s * per_s))
            columns[first : max(first + 1, int(gap.end_s * per_s))] = _Column.GAP
        return columns

    def _draw_columns(self, painter: QPainter, palette: Palette) -> None:
        columns = self.columns()
        edges = [0, *(np.flatnonzero(np.diff(columns)) + 1).tolist(), len(columns)]
        fills = {
            _Column.PHASE: QBrush(QColor(palette.primary_line)),
            _Column.NO_PHASE: QBrush(QColor(palette.faint)),
            _Column.GAP: QBrush(QColor(palette.warning), Qt.BrushStyle.BDiagPattern),
        }
        track = self.track
        for first, end in pairwise(edges):
            kind = _Column(columns[first])
            part = QRectF(track.left() + first, track.top(), end - first, track.height())
            if kind is _Column.NO_PHASE:  # lower, so that it is told without colour, too
                part.setTop(track.top() + track.height() / 2)
            painter.fillRect(part, fills[kind])

    def _draw_ticks(self, painter: QPainter, palette: Palette) -> None:
        duration_s, track = self.timeline.duration_s, self.track
        step_s = tick_step_s(duration_s, max(1, int(track.width() / _TICK_EVERY_PX)))
        painter.setPen(QColor(palette.muted))
        metrics = QFontMetricsF(self.font())
        for number in range(int(duration_s / step_s + 1e-9) + 1 if step_s > 0 else 1):
            x = self.place_of(number * step_s).x()
            text = tick_text(number * step_s, step_s)
            width = metrics.horizontalAdvance(text)
            left = min(max(0.0, x - width / 2), self.width() - width)
            painter.drawLine(QPointF(x, track.bottom()), QPointF(x, track.bottom() + 4))
            painter.drawText(QRectF(left, track.bottom() + 3, width + 1, _TICK_PX), Qt.AlignmentFlag.AlignLeft, text)

    def _draw_markers(self, painter: QPainter, palette: Palette) -> None:
        places = [self._marker_x(one) for one in self.timeline.markers]
        metrics = QFontMetricsF(self.font())
        for number, (x, marker) in enumerate(zip(places, self.timeline.markers, strict=True)):
            top = self.track.top()
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(palette.accent))
            painter.drawPolygon(QPolygonF([QPointF(x - 5, top - 9), QPointF(x + 5, top - 9), QPointF(x, top - 1)]))
            painter.fillRect(QRectF(x - 0.5, top, 1, self.track.height()), QColor(palette.text))
            end = places[number + 1] - 8 if number + 1 < len(places) else self.width()
            text = metrics.elidedText(marker.text, Qt.TextElideMode.ElideRight, max(0.0, end - x - 9))
            if len(text) > 1:  # a sole ellipsis says nothing
                painter.setPen(QColor(palette.text))
                painter.drawText(QRectF(x + 8, 0, end - x, top - 1), Qt.AlignmentFlag.AlignLeft, text)
