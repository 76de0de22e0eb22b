"""The sheet on which a new dataset is planned: the form, its first patterns, its time and size, and Start."""

from __future__ import annotations

import json
import threading
from functools import partial

from PyQt6.QtCore import QTimer, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from acquisition.capture.plan import CapturePlan
from acquisition.patterns.folder_check import FolderCheck, check_folder
from app.datasets.plan_preview import PatternPicture, preview
from app.datasets.start_check import name_problem, same_name, start_problem
from app.gui.build_page.acquire.folder_view import FolderView
from app.gui.build_page.acquire.pattern_grid import PatternGrid
from app.gui.build_page.acquire.plan_form import PlanForm
from app.gui.build_page.acquisition_watch import busy_reason, watch_order
from app.gui.build_page.note_label import NoteLabel, Tone
from app.gui.pages.page import PageContext
from app.gui.session_protocol import SessionLike
from app.gui.widgets.formatting import count, duration
from app.gui.widgets.icons import icon
from app.gui.widgets.labels import caption_label, card, scrolled
from app.gui.widgets.style import GAP_PX, set_style
from app.jobs.latest_work import LatestWork
from drivers.base import SpeckleScopeError

_SETTLE_MS = 250
_FORM_PX = 420
_KEY = "build/plan"
_TURN_RAD = 6.2832
_WAIT = "Drawing the first patterns\N{HORIZONTAL ELLIPSIS}"


class AcquireSheet(QWidget):
    """Plans and starts a new dataset.

    Parameters
    ----------
    context : PageContext
        What the page gets from the window.
    """

    #: Why something was not done, for the operator.
    refused = pyqtSignal(str)
    #: An acquisition was started.
    started = pyqtSignal()

    def __init__(self, context: PageContext) -> None:
        super().__init__()
        self._context = context
        self._session: SessionLike | None = None
        self._drawing: LatestWork[tuple[PatternPicture, ...]] = LatestWork("first patterns")
        self._reading: LatestWork[FolderCheck] = LatestWork("folder of pictures")
        self._drawn_for: object = None
        self._drawn_problem = ""
        self._folder_problem = ""
        self.form = PlanForm()
        self.patterns = PatternGrid()
        self.caption = caption_label("First patterns")
        self.folder_view = FolderView()
        self.estimate = QLabel()
        self.reason = NoteLabel()
        self.start_button = QPushButton("Start acquisition")
        self._build()
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(self._look_again)
        self.form.changed.connect(self._settle.start)
        self.form.changed.connect(self._show_start)
        self.form.refused.connect(self.refused)
        self.start_button.clicked.connect(self.start)
        self._restore()

    def use_session(self, session: SessionLike | None) -> None:
        """Plan for another instrument, or for none."""
        self._session = session
        self.propose()
        self._look_again()
        self._show_start()

    def propose(self) -> None:
        """Take exposure and phase range as they are now, unless the operator has changed them."""
        if self._session is not None:
            self.form.propose(self._session.acquisition_devices(), self._session.config.phase_range_rad)
        if self.form.own_folder is not None:  # its files may be others by now
            self._drawn_for = None
            self._settle.start()

    def refresh(self) -> None:
        """Show what has been drawn and read, and whether an acquisition can start now."""
        drawn = self._drawing.poll()
        if drawn is not None:
            self._drawn_problem = drawn.problem
            self.patterns.show_pictures(drawn.value or (), drawn.problem)
        read = self._reading.poll()
        if read is not None:
            self.folder_view.show_check(read.value)
            self._folder_problem = read.problem or _folder_problem(read.value)
        self._show_start()

    def remember(self) -> None:
        """Store what is filled in."""
        if self._context.store is not None:
            self._context.store.setValue(_KEY, json.dumps(self.form.state()))

    def start(self) -> None:
        """Start the acquisition that the form asks for."""
        session, reason = self._session, self.why_not()
        if session is None or reason:
            self.refused.emit(reason)
            return
        name = self.form.dataset_name
        try:
            session.acquire(name, self.form.plan())
            self._context.jobs.start(watch_order(session, name))
        except SpeckleScopeError as error:
            self.refused.emit(str(error))
            return
        self.remember()
        self.started.emit()

    def why_not(self) -> str:
        """Return why no acquisition can start now, as a sentence; empty when it can."""
        busy = busy_reason(self._session, self._context)
        if busy:
            return busy
        problem = name_problem(self.form.dataset_name)
        if problem:
            return problem
        if not self.form.has_source:
            return "Choose the folder of your pictures"
        if self._folder_problem or self._drawn_problem:
            return "The patterns cannot be shown; see beside them"
        if self._reading.busy:
            return "Your pictures are being read; wait a moment"
        return self._plan_problem()

    # -- parts ----------------------------------------------------------------------------------------------------

    def _plan_problem(self) -> str:
        assert self._session is not None
        try:
            expected = self._session.estimate_acquisition(self.form.plan())
        except SpeckleScopeError as error:
            self.estimate.setText("")
            return str(error)
        self.estimate.setText(
            f"{count(expected.shots)} frames, references included: at least {duration(expected.seconds)}; "
            f"up to {_size(expected.bytes_raw)} of {_size(expected.bytes_free)} free"
        )
        return start_problem(self._session.config.archive, expected)

    def _show_start(self) -> None:
        self.form.show_source_note(self._folder_problem or self._drawn_problem, Tone.WRONG)
        reason = self.why_not()
        self.start_button.setEnabled(not reason)
        self.start_button.setToolTip(reason or "Acquire the dataset; the live view stops for it")
        self.reason.show_note(reason, Tone.WARNING)

    def _show_name(self) -> None:
        """Say what is wrong with the name, or that there is a dataset of this name already."""
        name = self.form.dataset_name
        problem = name_problem(name)
        there = same_name(self._session.config.archive, name) if self._session is not None and not problem else None
        note = f"There is a dataset of this name: {there.name}. It stays; the new one gets its own folder" if there else ""
        self.form.show_name_note(problem or note, Tone.WRONG if problem else Tone.PLAIN)
        set_style(self.form.name, "tone", "wrong" if problem else "")

    def _look_again(self) -> None:
        """Say what the name is like. Where the patterns are others now, draw the first ones, and read the operator's folder."""
        self._show_name()
        self.remember()
        plan, shape, problem = self._plan_and_shape()
        wanted = (_patterns_of(plan), shape) if plan is not None else None
        if wanted is not None and wanted == self._drawn_for:
            return
        self._drawn_for = wanted
        self._drawn_problem = problem
        self._folder_problem = ""
        own = self.form.own_folder is not None
        self.folder_view.setVisible(own)
        if plan is None or shape is None:
            self._drawing.forget()
            self._reading.forget()
            self.patterns.show_pictures((), "Choose the folder of your pictures" if own else "No patterns without an SLM")
            return
        self.patterns.show_pictures((), _WAIT)
        self._drawing.ask(partial(_draw, plan, shape))
        if own:
            self.folder_view.show_reading()
            self._reading.ask(partial(_read, plan.source))
        else:
            self._reading.forget()
        above = f"black is phase 0, white is {plan.phase_range_rad:g} rad"
        if plan.phase_range_rad > _TURN_RAD:
            above = "black is phase 0, white is just below 2 pi rad, where the phase starts at black again"
        self.caption.setText(f"First patterns, as the SLM will show them: {above}")

    def _plan_and_shape(self) -> tuple[CapturePlan | None, tuple[int, int] | None, str]:
        """Return the plan and the shape of its patterns, as far as there are any, and why there is no plan."""
        if self._session is None or not self.form.has_source:
            return None, None, ""
        try:
            return self.form.plan(), self._session.acquisition_devices().pattern_shape, ""
        except SpeckleScopeError as error:
            return None, None, str(error)

    def _restore(self) -> None:
        text = self._context.store.value(_KEY, "") if self._context.store is not None else ""
        try:
            state = json.loads(text) if isinstance(text, str) and text else {}
        except ValueError:
            state = {}
        if isinstance(state, dict):
            self.form.restore(state)

    def _build(self) -> None:
        self.start_button.setIcon(icon("play"))
        set_style(self.start_button, "tone", "primary")
        self.estimate.setWordWrap(True)
        left = QVBoxLayout()
        left.setContentsMargins(10, 8, 6, 8)
        left.setSpacing(8)
        area = scrolled(self.form)
        area.setMinimumWidth(_FORM_PX)
        left.addWidget(area, 1)
        left.addWidget(self.form.help)
        left.addWidget(self.estimate)
        left.addWidget(self.reason)
        left.addWidget(self.start_button)
        right = QVBoxLayout()
        right.setContentsMargins(10, 8, 10, 8)
        right.addWidget(self.caption)
        right.addWidget(self.patterns, 1)
        right.addWidget(self.folder_view)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, GAP_PX, 0, 0)
        layout.setSpacing(GAP_PX)
        layout.addWidget(card(left), 2)
        layout.addWidget(card(right), 3)


def _patterns_of(plan: CapturePlan) -> tuple[object, ...]:
    """Return what decides how the patterns look."""
    return plan.source, plan.seed, plan.phase_range_rad, plan.order, plan.repeats, plan.pairs


def _folder_problem(check: FolderCheck | None) -> str:
    if check is None or not check.unusable:
        return ""
    return f"{len(check.unusable)} of your pictures cannot be shown; the list below the patterns names them, and why"


def _size(size_bytes: float) -> str:
    unit, factor = ("GB", 1e9) if size_bytes >= 1e9 else ("MB", 1e6)
    return f"{size_bytes / factor:.3g} {unit}"


def _draw(plan: CapturePlan, shape: tuple[int, int], stop: threading.Event) -> tuple[PatternPicture, ...]:
    return preview(plan, shape, stop)


def _read(source: str, stop: threading.Event) -> FolderCheck:
    return check_folder(source, stop)
