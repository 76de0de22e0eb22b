"""Runs a calibration: what it shows, how long it takes, its options, and its progress."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QSignalBlocker, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.calibrations.kinds import DEFAULT_LEVELS, FACTS, LEAST_LEVELS, MOST_LEVELS, Calibration, CalibrationOrder
from app.gui.widgets.number_box import NumberBox
from app.gui.widgets.style import set_style
from app.status import JobStatus

#: More probe patterns make a response no better.
_MOST_PROBE_PATTERNS = 512
_USES_REGISTRATION = (Calibration.FIBRE, Calibration.RESPONSE)


class RunPanel(QWidget):
    """Shows what it is given, and emits a signal for every request. It decides nothing itself."""

    run_clicked = pyqtSignal()
    stop_clicked = pyqtSignal()
    #: An option was changed, so the time may be another one.
    options_changed = pyqtSignal()
    #: Why a typed number is not used.
    refused = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self._what = Calibration.TIMING
        self._registration: Path | None = None
        self._previous: Path | None = None
        self.purpose = _text("normal")
        self.plan = _text("muted")
        self.reason = _text("warning")
        self.levels = _box("Grey levels", LEAST_LEVELS, MOST_LEVELS, DEFAULT_LEVELS)
        self.levels.setToolTip("More levels follow the response more closely; each takes one frame")
        self.probe_patterns = _box("Probe patterns", 0, _MOST_PROBE_PATTERNS, 0)
        self.probe_patterns.setSpecialValueText("usual number")
        self.probe_patterns.setToolTip("More probe patterns average out more noise; each takes one frame")
        self.use_registration = QCheckBox("Use the registration in use")
        self.use_registration.setToolTip("It tells where the camera sees the patterns")
        self.no_registration = _text("muted")
        self.no_registration.setText(
            "No registration is in use that still holds: patterns are taken to lie in the middle, without rotation."
        )
        self.adapt = QCheckBox("Adapt the response in use")
        self.adapt.setToolTip("Only the phases of the cores are measured again: enough after a bend, and much faster")
        self._form = QFormLayout()
        self._form.setVerticalSpacing(6)
        self._form.addRow("Grey levels", self.levels)
        self._form.addRow("Probe patterns", self.probe_patterns)
        self._form.addRow(self.use_registration)
        self._form.addRow(self.adapt)
        self._form.addRow(self.no_registration)
        self.run = QPushButton("Run")
        set_style(self.run, "tone", "primary")
        self.stop = QPushButton("Stop")
        self.stop.setToolTip("Stop measuring; nothing is stored, and the calibration before stays as it is")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Progress of the calibration")
        self.progress = _text("muted")
        self._lay_out()
        self.run.clicked.connect(self.run_clicked)
        self.stop.clicked.connect(self.stop_clicked)
        for box in (self.levels, self.probe_patterns):
            box.valueChanged.connect(self._tell)
            box.refused.connect(self.refused)
        for check in (self.use_registration, self.adapt):
            check.toggled.connect(self._tell)
        self.show_progress(None)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.run)
        buttons.addWidget(self.stop)
        buttons.addWidget(self.progress, 100)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(6)
        layout.addWidget(self.purpose)
        layout.addWidget(self.plan)
        layout.addLayout(self._form)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.reason)
        layout.addStretch(1)

    def show_kind(self, what: Calibration, registration: Path | None, previous: Path | None) -> None:
        """Show the options of a kind.

        Parameters
        ----------
        what : Calibration
            The kind.
        registration : Path, optional
            The registration in use, if it still holds.
        previous : Path, optional
            The response in use, if it is one of this fibre and these devices.
        """
        is_other = what is not self._what
        self._what = what
        had_registration, self._registration = self._registration is not None, registration
        self._previous = previous
        self.purpose.setText(FACTS[what].purpose)
        self._form.setRowVisible(self.levels, what is Calibration.LUT)
        self._form.setRowVisible(self.probe_patterns, what is Calibration.RESPONSE)
        self._form.setRowVisible(self.use_registration, what in _USES_REGISTRATION and registration is not None)
        self._form.setRowVisible(self.no_registration, what in _USES_REGISTRATION and registration is None)
        self._form.setRowVisible(self.adapt, what is Calibration.RESPONSE and previous is not None)
        with QSignalBlocker(self.use_registration), QSignalBlocker(self.adapt):
            if is_other or had_registration is not (registration is not None):
                self.use_registration.setChecked(registration is not None)
            if previous is None:
                self.adapt.setChecked(False)

    def order(self) -> CalibrationOrder:
        """Return what Run would measure."""
        uses = self._what in _USES_REGISTRATION and self.use_registration.isChecked()
        adapts = self._what is Calibration.RESPONSE and self.adapt.isChecked()
        return CalibrationOrder(
            what=self._what,
            levels=int(self.levels.value()),
            probe_patterns=int(self.probe_patterns.value()) if self._what is Calibration.RESPONSE else 0,
            registration=self._registration if uses else None,
            previous=self._previous if adapts else None,
        )

    def show_plan(self, plan: str, reason: str) -> None:
        """Show what Run would do, and why it cannot; an empty reason lets it run."""
        self.plan.setText(plan)
        self.reason.setText(f"Cannot run: {reason}" if reason else "")
        self.reason.setVisible(bool(reason))
        self.run.setEnabled(not reason)
        self.run.setToolTip(reason or f"{plan}")

    def show_progress(self, status: JobStatus | None, left: str = "") -> None:
        """Show how far the calibration is; None while none of this kind runs."""
        running = status is not None
        for widget in (self.stop, self.bar, self.progress):
            widget.setVisible(running)
        self.run.setVisible(not running)
        for option in (self.levels, self.probe_patterns):
            option.setEnabled(not running)
        if status is None:
            return
        self.reason.hide()
        self.bar.setRange(0, status.total)
        self.bar.setValue(status.done)
        steps = f"{status.done} of {status.total}" if status.total else "Waiting for the devices"
        self.progress.setText(f"{steps}{left}")

    def _tell(self) -> None:
        self.options_changed.emit()


def _text(tone: str) -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    set_style(label, "tone", tone)
    return label


def _box(name: str, low: int, high: int, value: int) -> NumberBox:
    box = NumberBox()
    box.setObjectName("stepper")
    box.setDecimals(0)
    box.describe(name, "")
    box.setRange(low, high)
    box.setValue(value)
    box.setKeyboardTracking(False)
    box.setAccessibleName(name)
    return box
