"""The form and the progress of the acquisition of a dataset."""

from __future__ import annotations

import math

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
)

from acquisition.archive.kinds import FinishReason
from app.gui.acquisition.drift_curve import DriftCurve
from app.gui.widgets.formatting import count, duration, number
from app.gui.widgets.icons import Ink, icon
from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.style import set_style
from app.status import AcquisitionStatus

_MAX_PAIRS = 10_000_000


class AcquisitionPanel(QFrame):
    """The form and the progress of an acquisition. It emits a signal for every request and decides nothing itself."""

    start_requested = pyqtSignal(str, int, str)
    stop_requested = pyqtSignal()
    pause_requested = pyqtSignal()
    continue_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self._active = False
        self._paused = False
        self.name = QLineEdit()
        self.pairs = QSpinBox()
        self.source = QComboBox()
        self.button = QPushButton()
        self.pause = QPushButton("Pause")
        self.progress = QProgressBar()
        self.done = QLabel()
        self.rate = QLabel()
        self.left = QLabel()
        self.retaken = QLabel()
        self.disk = QLabel()
        self.drift = DriftCurve()
        self.verdict = ElidedLabel()
        self._set_up_form()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 10, 16, 10)
        layout.setSpacing(8)
        layout.addLayout(self._form())
        layout.addWidget(self.progress)
        layout.addLayout(self._numbers())
        self._show_buttons()

    def show_sources(self, sources: tuple[str, ...]) -> None:
        """Offer pattern sources; the one that was chosen stays chosen if it is among them."""
        chosen = self.source.currentText()
        self.source.clear()
        self.source.addItems(sources)
        if chosen in sources:
            self.source.setCurrentText(chosen)

    def show_status(self, status: AcquisitionStatus) -> None:
        """Show how far the acquisition is."""
        requested = status.pairs_requested
        self.progress.setRange(0, max(requested, 1))
        self.progress.setValue(min(status.pairs_acknowledged, max(requested, 1)))
        if requested:
            self.done.setText(f"{count(status.pairs_acknowledged)} of {count(requested)} pairs stored")
            runs = status.active and not status.paused and status.pairs_per_s > 0
            self.rate.setText(f"{number(status.pairs_per_s if runs else math.nan, 1)} pairs/s")
            self.left.setText(f"{duration(status.seconds_left)} left")
            self.retaken.setText(f"{count(status.retaken)} retaken")
            set_style(self.retaken, "tone", "warning" if status.retaken else "normal")
        else:
            self.done.setText("No dataset acquired yet")
        set_style(self.done, "tone", "normal" if requested else "muted")
        self.rate.setVisible(requested > 0 and status.active)
        self.left.setVisible(requested > 0 and status.active)
        self.retaken.setVisible(requested > 0)
        self.disk.setText(f"{status.free_bytes / 1e9:.0f} GB free")
        self.disk.setVisible(status.free_bytes > 0)
        self.drift.show_points(status.drift)
        self.verdict.show_text(status.verdict)
        set_style(self.verdict, "tone", "good" if status.finish_reason is FinishReason.COMPLETED else "warning")
        if (status.active, status.paused) != (self._active, self._paused):
            self._active = status.active
            self._paused = status.paused
            self._show_buttons()

    def _start_or_stop(self) -> None:
        if self._active:
            self.stop_requested.emit()
        else:
            self.start_requested.emit(self.name.text().strip(), self.pairs.value(), self.source.currentText())

    def _pause_or_continue(self) -> None:
        if self._paused:
            self.continue_requested.emit()
        else:
            self.pause_requested.emit()

    def _show_buttons(self) -> None:
        self.button.setText("Stop acquisition" if self._active else "Start acquisition")
        self.button.setIcon(icon("stop", Ink.ON_FILL) if self._active else icon("play"))
        stop_tip = "Stop after the current pair; all pairs that are stored stay"
        self.button.setToolTip(stop_tip if self._active else "Acquire the dataset")
        set_style(self.button, "tone", "recording" if self._active else "")
        self.pause.setVisible(self._active)
        self.pause.setText("Continue" if self._paused else "Pause")
        pause_tip = "Pause after the current pair. All pairs are stored; do not move the fibre"
        self.pause.setToolTip("Continue with the next pair" if self._paused else pause_tip)
        for field in (self.name, self.pairs, self.source):
            field.setEnabled(not self._active)

    def _set_up_form(self) -> None:
        self.name.setMinimumWidth(150)
        self.name.setMaxLength(64)
        self.name.setAccessibleName("Dataset name")
        self.name.setToolTip("Name of the dataset. The date and a unique mark are added to the name of its folder")
        self.pairs.setRange(1, _MAX_PAIRS)
        self.pairs.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.pairs.setMinimumWidth(90)
        self.pairs.setAccessibleName("Number of pairs")
        self.pairs.setToolTip("How many pairs of speckle and phase to acquire")
        self.source.setMinimumWidth(150)
        self.source.setAccessibleName("Pattern source")
        self.source.setToolTip("Where the displayed patterns come from")
        self.button.setMinimumWidth(160)
        self.button.clicked.connect(self._start_or_stop)
        self.pause.setMinimumWidth(100)
        self.pause.clicked.connect(self._pause_or_continue)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Acquisition progress")

    def _form(self) -> QHBoxLayout:
        title = QLabel("Dataset acquisition")
        title.setObjectName("heading")
        form = QHBoxLayout()
        form.setSpacing(8)
        form.addWidget(title)
        form.addSpacing(12)
        for caption, widget, stretch in (("Name", self.name, 3), ("Pairs", self.pairs, 1), ("Patterns", self.source, 2)):
            label = QLabel(caption)
            label.setObjectName("muted")
            label.setBuddy(widget)
            form.addWidget(label)
            form.addWidget(widget, stretch)
            form.addSpacing(8)
        form.addWidget(self.pause)
        form.addWidget(self.button)
        return form

    def _numbers(self) -> QHBoxLayout:
        numbers = QHBoxLayout()
        numbers.setSpacing(24)
        numbers.setContentsMargins(0, 0, 0, 0)
        for label in (self.done, self.rate, self.left, self.retaken, self.disk):
            numbers.addWidget(label)
        numbers.addWidget(self.drift)
        numbers.addWidget(self.verdict, 1)
        return numbers
