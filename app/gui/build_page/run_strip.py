"""The acquisition that runs, or the last one: how far it is, how fast, what went wrong, and its drift."""

from __future__ import annotations

import math
from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout

from acquisition.archive.kinds import FinishReason
from acquisition.capture.states import AcquisitionState
from app.gui.build_page.drift_curve import DriftCurve
from app.gui.build_page.fault_texts import faults_meaning, faults_text
from app.gui.widgets.formatting import count, duration, number
from app.gui.widgets.icons import IconLabel, Ink, icon
from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.style import set_style
from app.status import AcquisitionStatus

_STATES = {
    AcquisitionState.PREPARING: ("wait", Ink.WARNING, "Testing light, trigger and pairing"),
    AcquisitionState.CAPTURING: ("play", Ink.GOOD, "Acquiring"),
    AcquisitionState.PAUSED: ("wait", Ink.WARNING, "Paused: all pairs are stored; do not move the fibre"),
    AcquisitionState.VERIFYING: ("wait", Ink.ACCENT, "Verifying every pair"),
}


class RunStrip(QFrame):
    """A strip at the bottom of the page. It emits a signal for every request and decides nothing itself."""

    pause_requested = pyqtSignal()
    continue_requested = pyqtSignal()
    stop_requested = pyqtSignal()
    #: The operator wants to see the report of a dataset; its folder.
    report_requested = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self._status = AcquisitionStatus()
        self.sign = IconLabel()
        self.state = ElidedLabel("heading")
        self.progress = QProgressBar()
        self.done = QLabel()
        self.rate = QLabel()
        self.left = QLabel()
        self.retaken = QLabel()
        self.disk = QLabel()
        self.faults = ElidedLabel()
        self.drift = DriftCurve()
        self.pause = QPushButton("Pause")
        self.stop = QPushButton("Stop")
        self.report = QPushButton("Show report")
        self._build()
        self.pause.clicked.connect(self._pause_or_continue)
        self.stop.clicked.connect(self.stop_requested)
        self.report.clicked.connect(self._ask_for_report)
        self.hide()

    @property
    def verdict(self) -> str:
        """What the acquisition is doing, or how it ended."""
        return self.state.full_text

    def show_status(self, status: AcquisitionStatus) -> None:
        """Show how far the acquisition is; nothing is seen before the first one."""
        self._status = status
        self.setVisible(status.state is not None)
        if status.state is None:
            return
        self._show_state(status)
        self._show_numbers(status)
        self.drift.show_points(status.drift)
        text = faults_text(status.faults)
        self.faults.show_text(f"Faults: {text}" if text else "No faults")
        self.faults.setToolTip(faults_meaning(status.faults))
        set_style(self.faults, "tone", "warning" if text else "muted")
        self.pause.setVisible(status.active and status.state is not AcquisitionState.VERIFYING)
        self.pause.setText("Continue" if status.paused else "Pause")
        pause_tip = "Pause after the current pair. All pairs are stored; do not move the fibre"
        self.pause.setToolTip("Continue with the next pair" if status.paused else pause_tip)
        self.stop.setVisible(status.active)
        self.report.setVisible(status.finish_reason is FinishReason.COMPLETED and status.path is not None)

    def _show_state(self, status: AcquisitionStatus) -> None:
        name = f"  {status.path.name}" if status.path is not None else ""
        if status.state in _STATES:
            sign, ink, text = _STATES[status.state]
        elif status.finish_reason is FinishReason.COMPLETED:
            sign, ink, text = "good", Ink.GOOD, "Complete"
        elif status.finish_reason is FinishReason.STOPPED:
            sign, ink, text = "warning", Ink.WARNING, f"{_capital(status.verdict)}; resume it in the list of datasets"
        else:
            sign, ink, text = "error", Ink.ALARM, _capital(status.verdict) or "Failed"
        self.sign.show_icon(sign, ink)
        self.state.show_text(f"{text}{name}")

    def _show_numbers(self, status: AcquisitionStatus) -> None:
        requested = max(status.pairs_requested, 1)
        self.progress.setRange(0, requested)
        self.progress.setValue(min(status.pairs_acknowledged, requested))
        self.done.setText(f"{count(status.pairs_acknowledged)} of {count(status.pairs_requested)} pairs stored")
        runs = status.state is AcquisitionState.CAPTURING and status.pairs_per_s > 0
        self.rate.setText(f"{number(status.pairs_per_s if runs else math.nan, 1)} pairs/s")
        self.left.setText(f"{duration(status.seconds_left)} left")
        for label in (self.rate, self.left):
            label.setVisible(status.active)
        self.retaken.setText(f"{count(status.retaken)} retaken")
        set_style(self.retaken, "tone", "warning" if status.retaken else "normal")
        self.disk.setText(f"{status.free_bytes / 1e9:.0f} GB free")
        self.disk.setVisible(status.free_bytes > 0)

    def _pause_or_continue(self) -> None:
        if self._status.paused:
            self.continue_requested.emit()
        else:
            self.pause_requested.emit()

    def _ask_for_report(self) -> None:
        path: Path | None = self._status.path
        if path is not None:
            self.report_requested.emit(path)

    def _build(self) -> None:
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress of the acquisition")
        self.retaken.setToolTip("Captures that were repeated after a fault")
        self.stop.setIcon(icon("stop"))
        self.stop.setToolTip("Stop after the current pair. All pairs that are stored stay; the dataset can be resumed")
        self.report.setToolTip("Show the verification report and the contact sheet of this dataset")
        for button in (self.pause, self.stop, self.report):
            button.setObjectName("small")
        first = QHBoxLayout()
        first.addWidget(self.sign)
        first.addWidget(self.state, 1)
        for button in (self.report, self.pause, self.stop):
            first.addWidget(button)
        numbers = QHBoxLayout()
        numbers.setSpacing(20)
        for label in (self.done, self.rate, self.left, self.retaken, self.disk):
            numbers.addWidget(label)
        numbers.addWidget(self.faults, 1)
        numbers.addWidget(self.drift)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 6, 12, 6)
        layout.setSpacing(4)
        layout.addLayout(first)
        layout.addWidget(self.progress)
        layout.addLayout(numbers)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
