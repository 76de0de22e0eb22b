"""How the instrument is doing, in large figures: rates, latency, dropped frames, drift, engine and model."""

from __future__ import annotations

import math

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.gui.numbers import UNKNOWN, count, number
from app.gui.style import ALARM, BACKGROUND, GOOD, LINE, MUTED, WARNING
from app.gui.widgets import ElidedLabel, Tile
from app.status import LiveStatus

# Different objects behind an undisturbed fibre correlate about 0.77 with each other, another day's fibre 0.25.
GOOD_CORRELATION = 0.6
POOR_CORRELATION = 0.4
_SHORT_ID = 8


def correlation_colour(correlation: float) -> str:
    """Return the colour of a reference correlation: good, doubtful, or time to calibrate."""
    if not math.isfinite(correlation):
        return MUTED
    if correlation >= GOOD_CORRELATION:
        return GOOD
    return WARNING if correlation >= POOR_CORRELATION else ALARM


class DriftGauge(QWidget):
    """A bar from 0 to 1 with ticks where the judgement changes."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(12)
        self._correlation = math.nan

    def set_correlation(self, correlation: float) -> None:
        """Show a correlation; nan empties the bar."""
        if correlation != self._correlation:
            self._correlation = correlation
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw bar and ticks."""
        painter = QPainter(self)
        area = QRectF(self.rect())
        painter.fillRect(area, QColor(BACKGROUND))
        if math.isfinite(self._correlation):
            filled = QRectF(area)
            filled.setWidth(area.width() * min(max(self._correlation, 0.0), 1.0))
            painter.fillRect(filled, QColor(correlation_colour(self._correlation)))
        painter.setPen(QColor(LINE))
        painter.drawRect(area.adjusted(0.5, 0.5, -0.5, -0.5))
        for limit in (POOR_CORRELATION, GOOD_CORRELATION):
            painter.setPen(QColor(BACKGROUND if self._correlation > limit else MUTED))
            x = round(area.width() * limit)
            painter.drawLine(x, 1, x, self.height() - 2)


class StatusStrip(QFrame):
    """One row of figures and one line about engine and model."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.camera = Tile("Camera")
        self.inference = Tile("Reconstruction")
        self.duration = Tile("Inference, median")
        self.latency = Tile("Latency")
        self.dropped = Tile("Dropped frames")
        self.drift = Tile("Reference correlation, 0 to 1")
        self.gauge = DriftGauge()
        self.camera.setToolTip("Frames per second that the camera delivers")
        self.inference.setToolTip("Frames per second that are reconstructed")
        self.duration.setToolTip("Time inside the engine for one frame, median")
        self.dropped.setToolTip("Display and inference may skip frames; a recording never may")
        self.drift.setToolTip(
            "How alike the speckle is to the reference taken at the start: 1 is unchanged, "
            f"below {GOOD_CORRELATION:g} is doubtful, below {POOR_CORRELATION:g} means a new reference is due"
        )
        drift = QVBoxLayout()
        drift.setSpacing(4)
        drift.addWidget(self.drift)
        drift.addWidget(self.gauge)
        layout = QGridLayout(self)
        layout.setContentsMargins(16, 10, 16, 10)
        layout.setHorizontalSpacing(24)
        layout.setVerticalSpacing(8)
        tiles = (self.camera, self.inference, self.duration, self.latency, self.dropped)
        for column, (tile, stretch) in enumerate(zip(tiles, (3, 3, 3, 5, 7), strict=True)):
            layout.addWidget(tile, 0, column, Qt.AlignmentFlag.AlignTop)
            layout.setColumnStretch(column, stretch)
        layout.addLayout(drift, 0, len(tiles))
        layout.setColumnStretch(len(tiles), 5)

        self.engine = ElidedLabel()
        self.model = ElidedLabel()
        for caption, value, column, columns in (("Engine", self.engine, 0, 4), ("Model", self.model, 4, 2)):
            label = QLabel(caption)
            label.setObjectName("muted")
            line = QHBoxLayout()
            line.setSpacing(8)
            line.addWidget(label)
            line.addWidget(value, 1)
            layout.addLayout(line, 1, column, 1, columns)

    def show_status(self, status: LiveStatus) -> None:
        """Show the numbers of the live view."""
        self.camera.show_parts((number(status.camera_fps, 1), "fps", ""))
        self.inference.show_parts((number(status.inference_fps, 1), "fps", ""))
        self.duration.show_parts((number(status.inference_ms_p50, 1), "ms", ""))
        self.latency.set_caption(f"Latency, {status.latency_label}" if status.latency_label else "Latency")
        self.latency.setToolTip(f"{self.latency.text}: half of the frames are faster than p50, 99 of 100 than p99")
        self.latency.show_parts(
            (number(status.latency_ms_p50, 0), "ms p50", ""), (number(status.latency_ms_p99, 0), "ms p99", "")
        )
        self.dropped.show_parts(
            (count(status.dropped_display), "display", ""),
            (count(status.dropped_inference), "inference", ""),
            (count(status.dropped_record), "record", ALARM if status.dropped_record else ""),
        )
        colour = correlation_colour(status.reference_correlation)
        self.drift.show_parts((number(status.reference_correlation, 2), "", colour))
        self.gauge.set_correlation(status.reference_correlation)
        self.engine.show_text(": ".join(part for part in (status.engine, status.engine_reason) if part) or UNKNOWN)
        self.model.show_text(f"{status.model_name} {status.model_id[:_SHORT_ID]}".strip() or UNKNOWN)
        self.model.setToolTip(status.model_id)
