"""The drills: faults of the simulated instrument, so that an operator sees what the window says before it happens for real."""

from __future__ import annotations

from PyQt6.QtCore import QSignalMapper, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.gui.rig_page.note import Note, NoteLevel
from app.gui.session_protocol import SessionLike
from app.gui.widgets.labels import scrolled
from app.gui.widgets.style import GAP_PX, set_style
from app.jobs.job_list import Job, JobList, JobOrder, Need
from app.live.drills.kinds import DrillKind
from app.status import JobState, LiveState
from drivers.base import SpeckleScopeError

_NEEDS = frozenset({Need.DEVICES})
_IF_STOPPED = "Its fault ends at once; the drill can be started again."
_INTRODUCTION = (
    "A drill breaks the simulated instrument on purpose. Watch the message at the bottom of the window, and the live page. "
    "Each drill ends by itself and undoes what it did."
)


class DrillCard(QFrame):
    """One drill: what it does, what to watch, what to do, and its button.

    Parameters
    ----------
    kind : DrillKind
        The drill.
    """

    def __init__(self, kind: DrillKind) -> None:
        super().__init__()
        self.setObjectName("card")
        self.kind = kind
        text = kind.value
        self.start_button = QPushButton("Start drill")
        self.start_button.setAccessibleName(f"Start drill: {text.title}")
        heading = QLabel(text.title)
        heading.setObjectName("heading")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 12)
        layout.addWidget(heading)
        for caption, explanation in (("What happens", text.fault), ("What you see", text.watch), ("What to do", text.remedy)):
            name = QLabel(caption)
            name.setObjectName("caption")
            sentence = QLabel(explanation)
            sentence.setWordWrap(True)
            layout.addWidget(name)
            layout.addWidget(sentence)
        lasts = QLabel(f"Ends by itself after {text.lasts_s:g} s")
        lasts.setObjectName("muted")
        layout.addWidget(lasts)
        layout.addStretch(1)
        row = QHBoxLayout()
        row.addWidget(self.start_button)
        row.addStretch(1)
        layout.addLayout(row)


class DrillsPanel(QWidget):
    """Starts a drill as a job, shows how long it lasts, and puts the live view right after it.

    Parameters
    ----------
    jobs : JobList
        The jobs of the window.
    """

    #: A drill has begun that is seen on the live page.
    live_page_requested = pyqtSignal()

    def __init__(self, jobs: JobList) -> None:
        super().__init__()
        self._jobs = jobs
        self._session: SessionLike | None = None
        self._job: Job | None = None
        self._kind: DrillKind | None = None
        self.cards = {kind: DrillCard(kind) for kind in DrillKind}
        self.note = Note("Drills")
        self.stop_button = QPushButton("End drill now")
        self.stop_button.setToolTip("End the drill and undo what it did")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress of the drill")
        self._starts = QSignalMapper(self)
        self._build()
        self._starts.mappedInt.connect(self._start_number)
        self.stop_button.clicked.connect(self.stop)
        self.refresh()

    @property
    def running(self) -> bool:
        """Whether a drill runs."""
        return self._job is not None and self._job.running

    def use_session(self, session: SessionLike | None) -> None:
        """Drill another session, or none; a drill that runs on the old one ends."""
        self.stop()
        self._session = session
        self._kind = None
        self.refresh()

    def start(self, kind: DrillKind) -> None:
        """Begin a drill."""
        try:
            if self._session is None or self._jobs.conflict(_NEEDS):
                raise SpeckleScopeError(self._why_not())
            drill = self._session.drill(kind)
            name = f"Drill: {kind.value.title.lower()}"
            order = JobOrder(name=name, work=drill.run, needs=_NEEDS, resumable=True, if_stopped=_IF_STOPPED)
            self._job = self._jobs.start(order)
        except SpeckleScopeError as error:
            self.note.tell(str(error), NoteLevel.ERROR)
            return
        self._kind = kind
        self.refresh()
        self.live_page_requested.emit()

    def stop(self) -> None:
        """End the drill that runs."""
        if self._job is not None:
            self._job.stop()

    def refresh(self) -> None:
        """Show whether a drill can begin, or how long one lasts; a timer calls it."""
        running = self.running
        if not running and self._kind is not None:
            self._end(self._kind)
        reason = "" if running else self._why_not()
        for card in self.cards.values():
            card.start_button.setEnabled(not running and not reason)
            card.start_button.setToolTip(reason or card.kind.value.fault)
        self.stop_button.setVisible(running)
        self.progress.setVisible(running)
        if running and self._job is not None and self._kind is not None:
            status = self._job.status()
            self.progress.setRange(0, max(1, status.total))
            self.progress.setValue(status.done)
            self.note.tell(f"{self._kind.value.title}: what to do: {self._kind.value.remedy}", NoteLevel.WAIT)
        elif reason:
            self.note.tell(f"{reason[:1].upper()}{reason[1:]}.", NoteLevel.WARNING)
        elif self.note.level is not NoteLevel.GOOD and self.note.level is not NoteLevel.ERROR:
            self.note.tell("The live view runs: a drill can begin.", NoteLevel.PLAIN)

    def _why_not(self) -> str:
        """Return why no drill can begin now; empty where one can."""
        if self._session is None:
            return "no instrument is open; open the simulated one on the tab Instruments"
        try:
            self._session.check_can_drill()
        except SpeckleScopeError as error:
            return str(error)
        return self._jobs.conflict(_NEEDS)

    def _end(self, kind: DrillKind) -> None:
        """Say how a drill ended; a reference that was measured while the fibre was bent is measured again."""
        self._kind = None
        job = self._job
        if job is None or self._session is None:
            return
        status = job.status()
        if status.state is JobState.FAILED:
            self.note.tell(f"The drill failed: {job.stage.error}", NoteLevel.ERROR)
            return
        text = f"The drill is over: {kind.value.title.lower()}. Everything is as it was before."
        live = self._session.live_status()
        age_s = live.reference_age_s
        if kind is DrillKind.BEND and age_s is not None and age_s <= status.seconds and live.state is LiveState.RUNNING:
            try:
                self._session.retune()
                text = "The drill is over: the fibre is straight again, so a re-tune measures it once more."
            except SpeckleScopeError as error:
                text = f"The drill is over: the fibre is straight again. Re-tune when you can: {error}"
        self.note.tell(text, NoteLevel.GOOD)

    def _start_number(self, number: int) -> None:
        self.start(tuple(DrillKind)[number])

    def _build(self) -> None:
        for number, card in enumerate(self.cards.values()):
            self._starts.setMapping(card.start_button, number)
            card.start_button.clicked.connect(self._starts.map)
        introduction = QLabel(_INTRODUCTION)
        introduction.setWordWrap(True)
        set_style(introduction, "tone", "normal")
        state = QHBoxLayout()
        state.addWidget(self.note, 1)
        state.addWidget(self.stop_button)
        cards = QHBoxLayout()
        cards.setSpacing(GAP_PX)
        for card in self.cards.values():
            cards.addWidget(card, 1)
        column = QVBoxLayout()
        column.addWidget(introduction)
        column.addLayout(state)
        column.addWidget(self.progress)
        column.addLayout(cards)
        column.addStretch(1)
        inside = QWidget()
        inside.setLayout(column)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(inside))
