"""The Calibrate page: a card for each calibration, and beside it what was measured, run, plot, apply and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event
from typing import ClassVar

from PyQt6.QtCore import Qt, QTimer, QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QApplication, QButtonGroup, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from acquisition.archive.folder import one_line
from app.calibrations.changes import Change, apply, revert, settings_of_file
from app.calibrations.kinds import FACTS, Calibration
from app.calibrations.shelf import CalibrationRecord
from app.calibrations.shots import least_seconds, shots, why_impossible
from app.calibrations.storing import REPORT
from app.calibrations.target import CalibrationTarget
from app.calibrations.verdict import CalibrationState
from app.gui.calibrate_page.card import CalibrationCard
from app.gui.calibrate_page.figures_view import FiguresView
from app.gui.calibrate_page.record_reader import RecordReader
from app.gui.calibrate_page.result_panel import ResultPanel
from app.gui.calibrate_page.run_panel import RunPanel
from app.gui.pages.page import Page, PageContext
from app.gui.session_protocol import CalibrationRunLike, SessionLike
from app.gui.widgets.formatting import duration
from app.gui.widgets.labels import card, scrolled
from app.gui.widgets.questions import Question, ask
from app.gui.widgets.style import GAP_PX, SMALLEST_TEXT_PX
from app.instrument.config import InstrumentConfig
from app.jobs.job_list import Job, JobOrder, Need, Progress
from app.status import JobState, Message, MessageLevel, Topic
from drivers.base import SpeckleScopeError

_TICK_MS = 200
#: Width of the cards with the smallest texts.
_CARDS_PX = 300
_NEEDS = frozenset({Need.DEVICES})
_SHOWN_KEY = "calibrate/shown"
#: A registration or a response in this state is not built upon.
_NOT_USABLE = (CalibrationState.NEVER, CalibrationState.STALE, CalibrationState.UNREADABLE)


class CalibratePage(Page):
    """Calibrates the instrument of the session.

    Parameters
    ----------
    context : PageContext
        Its jobs, and what is remembered.
    """

    title = "Calibrate"
    icon_name = "calibrate"
    #: What stopping a calibration means.
    if_stopped: ClassVar[str] = "What it has measured so far is not kept, and no setting changes: it has to be run again."

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.cards = {what: CalibrationCard(what) for what in Calibration}
        self.run_panel = RunPanel()
        self.result_panel = ResultPanel()
        self.figures = FiguresView()
        self.heading = QLabel()
        self.heading.setObjectName("product")
        self.no_figures = QLabel()
        self.no_figures.setObjectName("muted")
        self.no_figures.setWordWrap(True)
        self.records: Mapping[Calibration, CalibrationRecord] = {}
        self.job: Job | None = None
        self.what = self._remembered()
        self._measuring = Calibration.TIMING
        self._chosen: dict[Calibration, Path] = {}
        self._shown_figures: Path | None = None
        self._target: CalibrationTarget | None = None
        self._reader = RecordReader()
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._entered = False
        self._build()
        self._connect()
        self._show()

    # -- the window calls ----------------------------------------------------------------------------------------

    def use_session(self, session: SessionLike | None) -> None:
        """Show the calibrations of another instrument, or of none."""
        super().use_session(session)
        self._target = session.calibration_target() if session is not None else None
        self._chosen.clear()
        self.records = {}
        self.reload()

    def enter(self) -> None:
        """Read what is stored, and follow what the session does."""
        self._entered = True
        self.reload()
        self._timer.start()

    def leave(self) -> None:
        """Follow only a calibration that runs."""
        self._entered = False
        if self.job is None:
            self._timer.stop()

    def reload(self) -> None:
        """Read the stored calibrations again, in a thread."""
        if self.session is None:
            self._reader.cancel()
            self._show()
            return
        with suppress(SpeckleScopeError):  # the devices are just being closed
            self._target = self.session.calibration_target()
        assert self._target is not None
        self._reader.request(self._target, self._chosen)
        self._show()

    # -- what the operator does ----------------------------------------------------------------------------------

    def choose(self, what: Calibration) -> None:
        """Show another kind."""
        self.what = what
        self.cards[what].setChecked(True)
        if self.context.store is not None:
            self.context.store.setValue(_SHOWN_KEY, what.value)
        self._show()
        self.area.ensureVisible(0, 0)

    def start(self) -> None:
        """Run the calibration that is shown."""
        session, reason = self.session, self.why_not_run()
        if session is None or reason:
            self._refuse(f"{FACTS[self.what].title} was not started: {reason}")
            return
        self._measuring = self.what
        try:
            run = session.start_calibration(self.run_panel.order())
            name = f"Calibrate: {FACTS[self.what].title}"
            # A window that closes stops it: it can be measured again at any time.
            order = JobOrder(name=name, work=_following(run), needs=_NEEDS, resumable=True, if_stopped=self.if_stopped)
            self.job = self.context.jobs.start(order)
        except SpeckleScopeError as error:
            self._refuse(str(error))
            return
        self.succeeded.emit()
        self._timer.start()
        self._show()

    def stop(self) -> None:
        """Stop the calibration that runs; nothing is stored."""
        if self.job is not None:
            self.job.stop()

    def apply(self) -> None:
        """Ask, then write what was measured into the instrument file, and open the instrument with it."""
        record, target = self.records.get(self.what), self._target
        if record is None or target is None or record.folder is None or not record.changes:
            return
        file = target.config.file or _free_file(target)
        text = f"Apply writes this into {file.name}:\n\n{_as_lines(record.changes)}\n\n{_opened_again(target, file)}"
        question = Question(text=text, agree="Apply", refuse="Keep the present settings")
        if ask(question, self):
            self._write(file, partial(apply, record.changes, record.folder), "applied")

    def revert(self) -> None:
        """Ask, then put the former settings back into the instrument file, and open the instrument with them."""
        record, target = self.records.get(self.what), self._target
        if record is None or target is None or target.config.file is None or not record.changes_back:
            return
        file = target.config.file
        text = f"Revert writes this into {file.name}:\n\n{_as_lines(record.changes_back)}\n\n{_opened_again(target, file)}"
        question = Question(text=text, agree="Revert", refuse="Keep the present settings")
        if ask(question, self):
            self._write(file, partial(revert, record.changes_back), "reverted")

    def _write(self, file: Path, write: Callable[[InstrumentConfig, Path], InstrumentConfig], done: str) -> None:
        assert self._target is not None
        try:
            write(settings_of_file(self._target), file)
        except OSError as error:
            self._refuse(f"{file} cannot be written: {one_line(error)}; check the folder")
            return
        except SpeckleScopeError as error:
            self._refuse(str(error))
            return
        title = FACTS[self.what].title
        self.reported.emit(
            Message(MessageLevel.INFO, f"{title} {done}: {file} was written; its former content is kept beside it")
        )
        self.succeeded.emit()
        self.reload()
        self.instrument_requested.emit(file)

    def open_report(self) -> None:
        """Open the report of the calibration that is shown."""
        record = self.records.get(self.what)
        if record is None or record.folder is None:
            return
        report = record.folder / REPORT
        if not report.is_file():
            self._refuse(f"there is no report in {record.folder}; measure again")
            return
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(report)))

    def why_not_run(self) -> str:
        """Return why the calibration that is shown cannot be run now, as a sentence; empty when it can."""
        session, target = self.session, self._target
        if session is None or target is None:
            return "no instrument is open; open one first"
        order = self.run_panel.order()
        impossible = why_impossible(order.what, target, order.previous)
        if impossible:
            return impossible
        if session.recording_status().active:
            return "a recording is running and needs the camera; stop it, or wait for its end"
        if session.acquisition_status().active:
            return "an acquisition is running and uses the camera and the SLM; stop it, or wait for its end"
        if session.loop_back_status().state.active:
            return "a loop-back measurement lets the SLM flash; stop it, or wait for its end"
        return self.context.jobs.conflict(_NEEDS)

    # -- what is shown -------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Follow the calibration that runs, and what keeps another one from running."""
        job = self.job
        if job is not None and not job.running:
            self.job = None
            self._tell_end(job)
            self._chosen.pop(self._measuring, None)
            self.reload()
            if not self._entered:
                self._timer.stop()
        self._show_run()

    def _tell_end(self, job: Job) -> None:
        title, state = FACTS[self._measuring].title, job.status().state
        if state is JobState.FAILED:
            self.reported.emit(Message(MessageLevel.ERROR, f"{title} was not measured: {job.stage.error}"))
        elif state is JobState.STOPPED:
            self.reported.emit(Message(MessageLevel.INFO, f"{title} was stopped; nothing was stored or changed"))
        else:
            self.reported.emit(Message(MessageLevel.INFO, f"{title} was measured; the Calibrate page shows it"))

    def _show_records(self, records: Mapping[Calibration, CalibrationRecord]) -> None:
        self.records = records
        self._show()

    def _show(self) -> None:
        for what, one in self.cards.items():
            one.show_record(self.records.get(what))
        record = self.records.get(self.what)
        self.heading.setText(FACTS[self.what].title)
        self.run_panel.show_kind(self.what, self._usable(Calibration.REGISTRATION), self._usable(Calibration.RESPONSE))
        self.result_panel.show_record(record, self._why_not_changed())
        self._show_figures(record)
        self._show_run()

    def _show_run(self) -> None:
        job = self.job
        mine = job is not None and self._measuring is self.what
        if job is not None and mine:
            status = job.status()
            left = status.seconds * (status.total - status.done) / status.done if status.done else None
            self.run_panel.show_progress(status, f", {duration(left)} left" if left is not None else "")
        else:
            self.run_panel.show_progress(None)
            self.run_panel.show_plan(self._plan(), self.why_not_run())
        self.result_panel.setEnabled(not mine)

    def _plan(self) -> str:
        """Say what Run shows, how long it takes, and what happens to the live view."""
        target, record = self._target, self.records.get(self.what)
        if target is None:
            return ""
        order = self.run_panel.order()
        text = FACTS[self.what].shows.format(shots=shots(order, target))
        seconds = record.stored.values.get("seconds") if record is not None and record.stored is not None else None
        if isinstance(seconds, int | float) and not isinstance(seconds, bool):
            took = f"The last measurement took {duration(seconds)} min"
        else:
            took = f"It takes at least {duration(max(1.0, least_seconds(order, target)))} min"
        return f"{text} {took}. The live view pauses, and goes on afterwards."

    def _show_figures(self, record: CalibrationRecord | None) -> None:
        folder = record.folder if record is not None else None
        self.no_figures.setText(record.figures_problem if record is not None else "")
        self.no_figures.setVisible(bool(self.no_figures.text()))
        if folder != self._shown_figures:
            self._shown_figures = folder
            self.figures.show_sections(
                record.figures if record is not None else (), f"{self.what}-{folder.name if folder else ''}"
            )

    def _usable(self, what: Calibration) -> Path | None:
        """Return the folder of the calibration in use that others can build upon."""
        record = self.records.get(what)
        return record.in_use if record is not None and record.in_use_state not in _NOT_USABLE else None

    def _why_not_changed(self) -> str:
        """Return why no settings can be written now."""
        return "a calibration is running" if self.job is not None else ""

    def _show_chosen(self, folder: Path) -> None:
        self._chosen[self.what] = folder
        self.reload()

    def _refuse(self, reason: str) -> None:
        self.reported.emit(Message(MessageLevel.ERROR, reason, Topic.COMMAND))

    def _say_saved(self, file: str) -> None:
        self.reported.emit(Message(MessageLevel.INFO, f"saved {file}"))

    def _remembered(self) -> Calibration:
        shown = self.context.store.value(_SHOWN_KEY, "") if self.context.store is not None else ""
        return Calibration(shown) if shown in tuple(Calibration) else Calibration.TIMING

    # -- construction --------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._group = QButtonGroup(self)
        cards = QWidget()
        column = QVBoxLayout(cards)
        column.setContentsMargins(0, 0, GAP_PX, 0)
        column.setSpacing(8)
        for one in self.cards.values():
            self._group.addButton(one)
            column.addWidget(one)
        column.addStretch(1)
        self.cards[self.what].setChecked(True)
        left = scrolled(cards)
        left.setFixedWidth(round(_CARDS_PX * QApplication.font().pixelSize() / SMALLEST_TEXT_PX))
        content = QWidget()
        right = QVBoxLayout(content)
        right.setContentsMargins(0, 0, GAP_PX, 0)
        right.setSpacing(GAP_PX)
        panels = QHBoxLayout()
        for panel in (self.run_panel, self.result_panel):
            frame = QVBoxLayout()
            frame.setContentsMargins(0, 0, 0, 0)
            frame.addWidget(panel)
            panels.addWidget(card(frame), 1)
        right.addWidget(self.heading)
        right.addLayout(panels)
        right.addWidget(self.no_figures)
        right.addWidget(self.figures)
        right.addStretch(1)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QScrollArea.Shape.NoFrame)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(content)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, 0)
        layout.setSpacing(GAP_PX)
        layout.addWidget(left)
        layout.addWidget(self.area, 1)

    def _connect(self) -> None:
        self._group.buttonToggled.connect(self._choose_toggled)
        self._reader.ready.connect(self._show_records)
        self._timer.timeout.connect(self.refresh)
        self.run_panel.run_clicked.connect(self.start)
        self.run_panel.stop_clicked.connect(self.stop)
        self.run_panel.options_changed.connect(self._show_run)
        self.run_panel.refused.connect(self._refuse)
        self.result_panel.chosen.connect(self._show_chosen)
        self.result_panel.apply_clicked.connect(self.apply)
        self.result_panel.revert_clicked.connect(self.revert)
        self.result_panel.report_clicked.connect(self.open_report)
        self.figures.saved.connect(self._say_saved)
        self.figures.refused.connect(self._refuse)

    def _choose_toggled(self, button: object) -> None:
        if isinstance(button, CalibrationCard) and button.isChecked() and button.what is not self.what:
            self.choose(button.what)


def _following(run: CalibrationRunLike) -> Callable[[Progress, Event], None]:
    def work(report: Progress, stop: Event) -> None:
        run.follow(report, stop)

    return work


def _as_lines(changes: Sequence[Change]) -> str:
    return "\n".join("{}: {} \N{RIGHTWARDS ARROW} {}".format(change.label, *change.texts) for change in changes)


def _opened_again(target: CalibrationTarget, file: Path) -> str:
    new = "" if target.config.file is not None else f"{file} is a new file, because this instrument has none yet. "
    return f"{new}The instrument is then closed and opened again with these settings."


def _free_file(target: CalibrationTarget) -> Path:
    """Return the name of a new instrument file beside the archive."""
    folder = target.config.archive.absolute().parent
    names = ["instrument.yaml", *(f"instrument-{number}.yaml" for number in range(2, 1000))]
    return next(folder / name for name in names if not (folder / name).exists())
