"""The top row: what the instrument is, whether it is live, and the buttons."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from app.gui.widgets.formatting import count, duration
from app.gui.widgets.icons import icon
from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.style import set_style
from app.status import RecordingStatus

SHORTCUTS = (
    ("Space", "Start or stop the live view"),
    ("R", "Start or stop recording"),
    ("S", "Save a snapshot"),
    ("E", "Export the last recording"),
    ("T", "Re-tune: a new reference after the fibre has moved"),
    ("F", "Show the whole field in every picture"),
    ("Esc", "Leave an input field, or dismiss a message"),
    ("F1", "About and shortcuts"),
)


class ControlBar(QWidget):
    """Emits what the operator asks for and shows the state it is told; decides nothing."""

    live_clicked = pyqtSignal()
    record_clicked = pyqtSignal()
    snapshot_clicked = pyqtSignal()
    export_clicked = pyqtSignal()
    help_clicked = pyqtSignal()
    setup_clicked = pyqtSignal()
    train_clicked = pyqtSignal()

    def __init__(self, title: str) -> None:
        super().__init__()
        product = QLabel("SpeckleScope")
        product.setObjectName("product")
        instrument = ElidedLabel("muted")
        instrument.show_text(title)
        self.state = QLabel()
        self.state.setObjectName("state")
        self.state.setMinimumWidth(90)
        self.state.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.live = self._button("", "play", "Start or stop the live view  (Space)", 120)
        self.recording_name = QLineEdit()
        self.recording_name.setFixedWidth(130)
        self.recording_name.setMaxLength(64)
        self.recording_name.setPlaceholderText("recording name")
        self.recording_name.setAccessibleName("Take name")
        self.recording_name.setToolTip("Name of the next recording; its folder also gets the date and a unique mark")
        self.record = self._button("Record", "record", "Record every frame, lossless  (R)", 190)
        self.snapshot = self._button("Snapshot", "snapshot", "Save this frame, phase and labels as files  (S)", 0)
        self.export = self._button("Export recording\N{HORIZONTAL ELLIPSIS}", "export", "Export the last recording  (E)", 0)
        self.setup = self._button("Setup\N{HORIZONTAL ELLIPSIS}", "", "Choose camera and SLM; the instrument closes for it", 0)
        self.train = self._button("Train\N{HORIZONTAL ELLIPSIS}", "", "Train a model for this fibre, and watch it learn", 0)
        self.help = self._button("?", "", "About and shortcuts  (F1)", 0)
        self.help.setAccessibleName("About and shortcuts")
        self.help.setFixedWidth(36)
        self.live.clicked.connect(self.live_clicked)
        self.record.clicked.connect(self.record_clicked)
        self.snapshot.clicked.connect(self.snapshot_clicked)
        self.export.clicked.connect(self.export_clicked)
        self.help.clicked.connect(self.help_clicked)
        self.train.clicked.connect(self.train_clicked)
        self.setup.clicked.connect(self.setup_clicked)

        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(product, 0, Qt.AlignmentFlag.AlignBaseline)
        layout.addWidget(instrument, 1, Qt.AlignmentFlag.AlignBaseline)
        layout.addWidget(self.state)
        layout.addWidget(self.live)
        layout.addSpacing(12)
        layout.addWidget(self.recording_name)
        layout.addWidget(self.record)
        layout.addSpacing(12)
        for button in (self.snapshot, self.export, self.train, self.setup, self.help):
            layout.addWidget(button)
        self.set_running(False)
        self.show_state("Stopped", "idle")

    def set_running(self, running: bool) -> None:
        """Let the live button offer the opposite of what is."""
        self.live.setText("Stop live" if running else "Start live")
        self.live.setIcon(icon("stop" if running else "play"))
        set_style(self.live, "tone", "" if running else "primary")

    def show_state(self, words: str, tone: str) -> None:
        """Show one of the tones "idle", "live", "waiting" with words of its own."""
        self.state.setText(words)
        set_style(self.state, "tone", tone)

    def show_recording(self, status: RecordingStatus) -> None:
        """Show the take in progress, and whether there is one to export."""
        if status.active:
            self.record.setText(f"{duration(status.seconds)}   {count(status.frames_recorded)} frames")
        else:
            self.record.setText("Record")
        self.record.setIcon(icon("stop" if status.active else "record"))
        set_style(self.record, "tone", "recording" if status.active else "")
        self.recording_name.setEnabled(not status.active)
        self.export.setEnabled(status.path is not None and not status.active)

    @staticmethod
    def _button(text: str, picture: str, tip: str, width: int) -> QPushButton:
        button = QPushButton(text)
        if picture:
            button.setIcon(icon(picture))
        button.setToolTip(tip)
        button.setMinimumWidth(width)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button
