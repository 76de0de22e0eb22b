"""Acquire a dataset: what to acquire, how far it is, and what became of it."""

from __future__ import annotations

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
    QWidget,
)

from acquisition.archive.kinds import FinishReason
from app.gui.main_window.drift_curve import DriftCurve
from app.gui.widgets.formatting import count, duration, number
from app.gui.widgets.icons import icon
from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.style import GOOD, MUTED, TEXT, WARNING, set_style
from app.status import AcquisitionStatus

_MOST_PAIRS = 10_000_000


class AcquisitionPanel(QFrame):
    """The form and the progress of an acquisition. It emits what is asked for and shows what it is told."""

    start_requested = pyqtSignal(str, int, str)
    stop_requested = pyqtSignal()
    pause_requested = pyqtSignal(bool)

    def __init__(self, sources: tuple[str, ...]) -> None:
        super().__init__()
        self.setObjectName("card")
        self._active = self._paused = False
        self.name = QLineEdit()
        self.name.setMinimumWidth(150)
        self.name.setMaxLength(64)
        self.name.setAccessibleName("Dataset name")
        self.name.setToolTip("Name of the dataset; its folder also gets the date and a unique mark")
        self.pairs = QSpinBox()
        self.pairs.setRange(1, _MOST_PAIRS)
        self.pairs.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.pairs.setMinimumWidth(90)
        self.pairs.setAccessibleName("Number of pairs")
        self.pairs.setToolTip("How many speckle/phase pairs to acquire")
        self.source = QComboBox()
        self.source.addItems(sources)
        self.source.setMinimumWidth(150)
        self.source.setAccessibleName("Pattern source")
        self.source.setToolTip("Where the displayed patterns come from")
        self.button = QPushButton()
        self.button.setMinimumWidth(160)
        self.button.clicked.connect(self._clicked)

        self.pause = QPushButton("Pause")
        self.pause.setMinimumWidth(100)
        self.pause.clicked.connect(lambda: self.pause_requested.emit(not self._paused))
        title = QLabel("Dataset acquisition")
        title.setObjectName("heading")
        form = QHBoxLayout()
        form.setSpacing(8)
        form.addWidget(title)
        form.addSpacing(12)
        for caption, widget, stretch in (
            ("Name", self.name, 3), ("Pairs", self.pairs, 1), ("Patterns", self.source, 2),
        ):  # fmt: skip
            label = QLabel(caption)
            label.setObjectName("muted")
            label.setBuddy(widget)
            form.addWidget(label)
            form.addWidget(widget, stretch)
            form.addSpacing(8)
        form.addWidget(self.pause)
        form.addWidget(self.button)

        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Acquisition progress")
        self.done = QLabel()
        self.rate = QLabel()
        self.left = QLabel()
        self.retaken = QLabel()
        self.disk = QLabel()
        self.drift = DriftCurve()
        self.verdict = ElidedLabel()
        numbers = QHBoxLayout()
        numbers.setSpacing(24)
        for label in (self.done, self.rate, self.left, self.retaken, self.disk):
            numbers.addWidget(label)
        numbers.addWidget(self.drift)
        numbers.addWidget(self.verdict, 1)
        self._numbers = QWidget()
        self._numbers.setLayout(numbers)
        numbers.setContentsMargins(0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 10, 16, 10)
        layout.setSpacing(8)
        layout.addLayout(form)
        layout.addWidget(self.progress)
        layout.addWidget(self._numbers)
        self._show_button()

    def show_status(self, status: AcquisitionStatus) -> None:
        """Show how far the acquisition is."""
        requested = status.pairs_requested
        self.progress.setRange(0, max(requested, 1))
        self.progress.setValue(min(status.pairs_acknowledged, max(requested, 1)))
        if requested:
            self.done.setText(f"{count(status.pairs_acknowledged)} of {count(requested)} pairs stored")
            self.rate.setText(f"{number(status.pairs_per_s, 1)} pairs/s")
            self.left.setText(f"{duration(status.seconds_left)} left")
            self.retaken.setText(f"{count(status.retaken)} retaken")
            self._colour(self.retaken, WARNING if status.retaken else TEXT)
        else:
            self.done.setText("No dataset acquired yet")
        self._colour(self.done, TEXT if requested else MUTED)
        self.rate.setVisible(requested > 0)
        self.left.setVisible(requested > 0 and status.active)
        self.retaken.setVisible(requested > 0)
        self.disk.setText(f"{status.free_bytes / 1e9:.0f} GB free")
        self.disk.setVisible(status.free_bytes > 0)
        self.drift.show_points(status.drift)
        self.verdict.show_text(status.verdict)
        self._colour(self.verdict, GOOD if status.finish_reason is FinishReason.COMPLETED else WARNING)
        if (status.active, status.paused) != (self._active, self._paused):
            self._active, self._paused = status.active, status.paused
            self._show_button()

    def _clicked(self) -> None:
        if self._active:
            self.stop_requested.emit()
        else:
            self.start_requested.emit(self.name.text().strip(), self.pairs.value(), self.source.currentText())

    def _show_button(self) -> None:
        self.button.setText("Stop acquisition" if self._active else "Start acquisition")
        self.button.setIcon(icon("stop" if self._active else "play"))
        stop_tip = "Stop after the pair in hand; what is stored stays"
        self.button.setToolTip(stop_tip if self._active else "Acquire the dataset")
        set_style(self.button, "tone", "recording" if self._active else "")
        self.pause.setVisible(self._active)
        self.pause.setText("Go on" if self._paused else "Pause")
        rest_tip = "Rest after the pair in hand, with all pairs stored; the fibre stays as it lies"
        self.pause.setToolTip("Take the next pair" if self._paused else rest_tip)
        for field in (self.name, self.pairs, self.source):
            field.setEnabled(not self._active)

    @staticmethod
    def _colour(label: QLabel, colour: str) -> None:
        sheet = f"color: {colour};"
        if label.styleSheet() != sheet:
            label.setStyleSheet(sheet)
