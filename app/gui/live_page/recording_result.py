"""How the last recording ended, and what can be done with it."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QPushButton

from acquisition.archive.kinds import FinishReason
from app.gui.widgets.formatting import count
from app.gui.widgets.icons import IconLabel, Ink, icon
from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.style import set_style
from app.status import END_TEXTS, RecordingState, RecordingStatus


class RecordingResult(QFrame):
    """One line about the recording that has just ended; hidden before the first one and while one is running."""

    open_clicked = pyqtSignal()
    play_clicked = pyqtSignal()
    export_clicked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("result")
        self.sign = IconLabel()
        self.text = ElidedLabel()
        self.open = _button("Open folder", "folder", "Show the files of this recording")
        self.play = _button("Play", "play", "Play this recording in place of the camera")
        self.export = _button("Export…", "export", "Write this recording for other programs  (Shift+E; E exports at once)")
        self.dismiss = _button("Hide", "", "Hide this line; the recording stays where it is")
        self.open.clicked.connect(self.open_clicked)
        self.play.clicked.connect(self.play_clicked)
        self.export.clicked.connect(self.export_clicked)
        self.dismiss.clicked.connect(self._hide_for_good)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 4, 6, 4)
        layout.addWidget(self.sign)
        layout.addWidget(self.text, 1)
        for button in (self.open, self.play, self.export, self.dismiss):
            layout.addWidget(button)
        kept = self.sizePolicy()
        kept.setRetainSizeWhenHidden(True)  # a recording ends at any moment: nothing may move under the mouse then
        self.setSizePolicy(kept)
        self._shown: Path | None = None
        self._hidden: Path | None = None
        self.hide()

    def show_recording(self, status: RecordingStatus) -> None:
        """Show how a recording ended."""
        self._shown = status.path
        ended = status.state is RecordingState.FINISHED and (status.path is None or status.path != self._hidden)
        self.setVisible(ended)
        if not ended:
            return
        self.text.show_text(result_text(status))
        complete = status.finish_reason is FinishReason.COMPLETED and not status.faults and not status.frames_missing
        set_style(self, "outcome", "good" if complete else "doubtful")
        self.sign.show_icon(*(("good", Ink.GOOD) if complete else ("warning", Ink.WARNING)))
        for button in (self.open, self.play, self.export):
            button.setEnabled(status.path is not None and status.frames_recorded > 0)

    def _hide_for_good(self) -> None:
        self._hidden = self._shown
        self.hide()


def result_text(status: RecordingStatus) -> str:
    """Return how a recording ended, in one line; its end may not be seen, so what matters most comes first.

    ``60.0 s, 873 frames, 76 not reconstructed. Complete, ended by the operator: liver``
    """
    parts = [
        f"{status.seconds:.1f} s",
        f"{count(status.frames_recorded)} {'frame' if status.frames_recorded == 1 else 'frames'}",
    ]
    for number, what in (
        (status.frames_not_reconstructed, "not reconstructed"),
        (status.frames_not_segmented, "not segmented"),
        (status.frames_missing, "missing by the camera's counter"),
    ):
        if number:
            parts.append(f"{count(number)} {what}")
    ended = [END_TEXTS[status.ended_by]] if status.ended_by is not None else []
    outcome = ", ".join([status.verdict_text or "ended", *ended])
    sentences = [", ".join(parts), outcome[:1].upper() + outcome[1:]]
    if status.finish_reason is not FinishReason.COMPLETED:
        sentences.reverse()
    name = f": {status.path.name}" if status.path is not None else ""
    return f"{'. '.join(sentences)}{name}"


def _button(text: str, icon_name: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    if icon_name:
        button.setIcon(icon(icon_name))
    button.setObjectName("small")
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
