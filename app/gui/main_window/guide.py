"""The guide of the first start: a few steps on the simulated instrument, each done with the real buttons."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton

from app.gui.live_page.page import LivePage
from app.gui.widgets.icons import IconLabel, Ink
from app.gui.widgets.style import set_style
from app.status import JobStatus, RecordingState

_RECORDED_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class GuideFacts:
    """What the window shows, as far as the guide waits for it.

    Parameters
    ----------
    running : bool
        Whether the live view runs.
    views_shown : int
        Number of reconstructions that were shown.
    retuning : bool
        Whether a re-tune runs.
    recorded_s : float
        Length of the last recording that has ended, in seconds; 0 if there is none.
    exported : bool
        Whether an export was started.
    playing : bool
        Whether a recording is played in place of the camera.
    """

    running: bool = False
    views_shown: int = 0
    retuning: bool = False
    recorded_s: float = 0.0
    exported: bool = False
    playing: bool = False


def facts_of(page: LivePage, jobs: Iterable[JobStatus], *, playing: bool) -> GuideFacts:
    """Return what a live page shows, and which of the jobs of the window matter."""
    status, recording = page.session.live_status(), page.session.recording_status()
    return GuideFacts(
        running=status.running,
        views_shown=page.views_shown,
        retuning=status.retuning,
        recorded_s=recording.seconds if recording.state is RecordingState.FINISHED else 0.0,
        exported=any(job.name.startswith("Export ") for job in jobs),
        playing=playing,
    )


@dataclass(frozen=True)
class Step:
    """A step: its text, and whether it was done."""

    text: str
    is_done: Callable[[GuideFacts], bool]


STEPS: Final = (
    Step("Press <b>Start live</b> at the top left, or the space bar. The camera is simulated.", lambda facts: facts.running),
    Step(
        "Look at the pane <b>Phase</b>: it is reconstructed from the speckle beside it. Move the mouse over it to read values.",
        lambda facts: facts.running and facts.views_shown > 0,
    ),
    Step(
        "Press <b>Re-tune</b> at the lower right, or T. Do this whenever the fibre has moved; it takes some seconds.",
        lambda facts: facts.retuning,
    ),
    Step(
        "Press <b>Record</b> at the top right, or R. After 5 seconds press it again.",
        lambda facts: facts.recorded_s >= _RECORDED_S,
    ),
    Step(
        "Press <b>Export…</b> in the line about your recording, then <b>Export</b>: it writes files for other programs.",
        lambda facts: facts.exported,
    ),
    Step("Press <b>Play</b> in the same line. Your recording is shown in place of the camera.", lambda facts: facts.playing),
)
_END: Final = (
    "That is all. <b>File &gt; Open simulated instrument</b> goes back to the camera, "
    "<b>File &gt; Set up instrument</b> uses your own. <b>Help &gt; Guide</b> shows these steps again."
)


class Guide(QFrame):
    """One step at a time, in a row above the page: it covers nothing and waits for nobody."""

    #: The operator has skipped the guide, or come to its end.
    ended = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("guide")
        self.step = 0
        self._done = False
        self._sign = IconLabel()
        self.number = QLabel()
        self.number.setObjectName("muted")
        self.text = QLabel()
        self.text.setTextFormat(Qt.TextFormat.RichText)
        self.text.setWordWrap(True)
        self.text.setAccessibleName("Guide")
        self.next = QPushButton("Next")
        self.skip = QPushButton("Skip guide")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 4, 6, 4)
        layout.addWidget(self._sign)
        layout.addWidget(self.number)
        layout.addWidget(self.text, 1)
        for button, slot in ((self.next, self.go_on), (self.skip, self._end)):
            button.setObjectName("small")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(slot)
            layout.addWidget(button)
        self.hide()

    def begin(self) -> None:
        """Show the first step."""
        self.step = 0
        self._done = False
        self._render()
        self.show()

    def show_facts(self, facts: GuideFacts) -> None:
        """Show whether the present step was done; it stays done."""
        if not self.isHidden() and not self._done and self.step < len(STEPS) and STEPS[self.step].is_done(facts):
            self._done = True
            self._render()

    def go_on(self) -> None:
        """Show the next step; after the last one, end."""
        if self.step >= len(STEPS):
            self._end()
            return
        self.step += 1
        self._done = False
        self._render()

    def _end(self) -> None:
        self.hide()
        self.ended.emit()

    def _render(self) -> None:
        at_end = self.step >= len(STEPS)
        self.number.setText("Guide" if at_end else f"Step {self.step + 1} of {len(STEPS)}")
        self.text.setText(_END if at_end else STEPS[self.step].text)
        self._sign.show_icon(*(("good", Ink.GOOD) if at_end or self._done else ("info", Ink.ACCENT)))
        self.next.setText("Close guide" if at_end else "Next")
        self.next.setEnabled(at_end or self._done)
        self.next.setToolTip("" if self.next.isEnabled() else "First do what the text says")
        set_style(self.next, "tone", "primary" if self.next.isEnabled() else "")
        self.skip.setVisible(not at_end)
