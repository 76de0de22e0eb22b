"""The top row of the live page: its state, and the buttons for live view, recording and snapshots."""

from __future__ import annotations

from enum import StrEnum

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from app.gui.widgets.formatting import count, duration
from app.gui.widgets.icons import IconLabel, Ink, icon
from app.gui.widgets.style import set_style
from app.status import LiveState, RecordingStatus


class Tone(StrEnum):
    """Colour of the state label; the style sheet names these values."""

    IDLE = "idle"
    LIVE = "live"
    WAITING = "waiting"
    ALARM = "alarm"


#: States are told by a sign and a word, not by colour alone.
_SIGNS = {
    Tone.IDLE: ("stop", Ink.MUTED),
    Tone.LIVE: ("live", Ink.GOOD),
    Tone.WAITING: ("wait", Ink.WARNING),
    Tone.ALARM: ("error", Ink.ALARM),
}


class ControlBar(QWidget):
    """Emits a signal for every request of the operator, and shows the state that it is given. It decides nothing itself."""

    live_clicked = pyqtSignal()
    record_clicked = pyqtSignal()
    snapshot_clicked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.sign = IconLabel()
        self.state = QLabel()
        self.state.setObjectName("state")
        self.state.setMinimumWidth(90)
        self.state.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.recording_name = QLineEdit()
        self.recording_name.setFixedWidth(120)
        self.recording_name.setMaxLength(64)
        self.recording_name.setPlaceholderText("name")
        self.recording_name.setAccessibleName("Recording name")
        self.recording_name.setToolTip(
            "Name of the next recording. The date and a unique mark are added to the name of its folder"
        )
        self.live = self._button("", "play", "Start or stop the live view  (Space)", 120)
        self.record = self._button("Record", "record", "Record every camera frame without loss  (R)", 190)
        self.snapshot = self._button("Snapshot", "snapshot", "Save frame, phase and labels of the present view as files  (S)")
        self._connect()
        self._build()
        self.show_live(LiveState.STOPPED, "Stopped", Tone.IDLE)

    def _connect(self) -> None:
        for button, signal in (
            (self.live, self.live_clicked),
            (self.record, self.record_clicked),
            (self.snapshot, self.snapshot_clicked),
        ):
            button.clicked.connect(signal)

    def _build(self) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.live)
        layout.addWidget(self.sign)
        layout.addWidget(self.state)
        layout.addStretch(1)
        layout.addWidget(self.recording_name)
        layout.addWidget(self.record)
        layout.addSpacing(12)
        layout.addWidget(self.snapshot)

    def show_live(self, state: LiveState, text: str, tone: Tone) -> None:
        """Show the state of the live view; the live button offers to stop or to start it."""
        running = state.is_running
        self.live.setText("Stop live" if running else "Start live")
        self.live.setIcon(icon("stop" if running else "play"))
        set_style(self.live, "tone", "" if running else "primary")
        self.state.setText(text)
        set_style(self.state, "tone", tone)
        self.sign.show_icon(*_SIGNS[tone])

    def show_recording(self, status: RecordingStatus) -> None:
        """Show the recording in progress."""
        if status.active:
            faults = sum(status.faults.values())
            faults_text = f"   {count(faults)} {'fault' if faults == 1 else 'faults'}" if faults else ""
            self.record.setText(f"{duration(status.seconds)}   {count(status.frames_recorded)} frames{faults_text}")
        else:
            self.record.setText("Record")
        self.record.setIcon(icon("stop", Ink.ON_FILL) if status.active else icon("record"))
        set_style(self.record, "tone", "recording" if status.active else "")
        self.recording_name.setEnabled(not status.active)

    @staticmethod
    def _button(text: str, icon_name: str, tip: str, width: int = 0) -> QPushButton:
        button = QPushButton(text)
        if icon_name:
            button.setIcon(icon(icon_name))
        button.setToolTip(tip)
        button.setMinimumWidth(width)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button
