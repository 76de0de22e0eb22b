"""The numbers of the live view in large digits: rates, latency, dropped frames, drift; engine, model and bad frames."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QSizePolicy

from app.gui.live_page.drift_gauge import DriftGauge
from app.gui.widgets.formatting import UNKNOWN, count, number
from app.gui.widgets.labels import ElidedLabel, Tile
from app.gui.widgets.palette import colours
from app.gui.widgets.style import set_style
from app.status import MARK_TEXTS, LiveStatus
from drivers.base import FrameMark

_SHORT_ID = 8


class StatusStrip(QFrame):
    """One row of numbers, and one line about engine, model and bad frames."""

    #: The operator wants to choose another model.
    models_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.camera = Tile("Camera")
        self.inference = Tile("Reconstruction")
        self.duration = Tile("Inference")
        self.latency = Tile("Latency")
        self.dropped = Tile("Dropped frames")
        self.drift = DriftGauge()
        self.camera.setToolTip("Frames per second that the camera delivers")
        self.inference.setToolTip("Frames per second that are reconstructed")
        self.duration.setToolTip("Median time inside the engine for one frame")
        self.dropped.setToolTip("Display and inference may skip frames; a recording must not lose any")
        layout = QGridLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setHorizontalSpacing(16)
        layout.setVerticalSpacing(8)
        tiles = (self.camera, self.inference, self.duration, self.latency, self.dropped)
        for column, (tile, stretch) in enumerate(zip(tiles, (3, 3, 3, 5, 7), strict=True)):
            layout.addWidget(tile, 0, column, Qt.AlignmentFlag.AlignTop)
            layout.setColumnStretch(column, stretch)
        layout.addWidget(self.drift, 0, len(tiles))
        layout.setColumnStretch(len(tiles), 7)

        self.engine = ElidedLabel()
        self.model = ElidedLabel()
        self.other_model = QPushButton("Other\N{HORIZONTAL ELLIPSIS}")
        self.other_model.setStyleSheet("padding: 0 6px; min-height: 0")  # the line stays as high as its texts
        self.other_model.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored)
        self.other_model.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.other_model.setAccessibleName("Other model")
        self.other_model.setToolTip("Show the models of the Train page, and use another one")
        self.other_model.clicked.connect(self.models_requested)
        self.bad_frames = ElidedLabel()
        for caption, value, column, columns in (
            ("Engine", self.engine, 0, 4),
            ("Model", self.model, 4, 1),
            ("Bad frames", self.bad_frames, 5, 1),
        ):
            label = QLabel(caption)
            label.setObjectName("muted")
            line = QHBoxLayout()
            line.setSpacing(8)
            line.addWidget(label)
            line.addWidget(value, 1)
            if value is self.model:
                line.addWidget(self.other_model)
            layout.addLayout(line, 1, column, 1, columns)

    def show_status(self, status: LiveStatus) -> None:
        """Show the numbers of the live view."""
        self.camera.show_parts((number(status.camera_fps, 1), "fps", ""))
        self.inference.show_parts((number(status.inference_fps, 1), "fps", ""))
        self.duration.show_parts((number(status.inference_ms_p50, 1), "ms", ""))
        self.latency.set_caption(f"Latency, {status.latency_label}" if status.latency_label else "Latency")
        self.latency.setToolTip(f"{self.latency.text}: half of the frames are faster than p50, 99 of 100 are faster than p99")
        self.latency.show_parts(
            (number(status.latency_ms_p50, 0), "ms p50", ""), (number(status.latency_ms_p99, 0), "ms p99", "")
        )
        self.dropped.show_parts(
            (count(status.dropped_display), "display", ""),
            (count(status.dropped_inference), "inference", ""),
            (count(status.dropped_record), "recording", colours().alarm if status.dropped_record else ""),
        )
        self.drift.show_status(status)
        self.engine.show_text(": ".join(part for part in (status.engine, status.engine_reason) if part) or UNKNOWN)
        self.model.show_text(f"{status.model_name} {status.model_id[:_SHORT_ID]}".strip() or UNKNOWN)
        self.model.setToolTip(status.model_id)
        marked = _marked_text(status.frames_marked)
        set_style(self.bad_frames, "tone", "alarm" if status.frames_marked else "normal")
        self.bad_frames.show_text(marked)


def _marked_text(frames_marked: Mapping[FrameMark, int]) -> str:
    """Return how many frames have which mark: ``12 dark, 1 frozen picture``."""
    return ", ".join(f"{count(number)} {MARK_TEXTS[mark]}" for mark, number in frames_marked.items()) or "none"
