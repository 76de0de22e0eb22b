"""The window around the pages: menus, rail, messages and jobs. It outlives the session that it shows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QEvent, QSettings, Qt, QTimer
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.diagnostics.report import ReportSource, default_log_folder
from app.gui.command import PAGE_COMMANDS, Command
from app.gui.export_panel.opener import ExportOpener
from app.gui.image_view.pane import Pane
from app.gui.live_page.page import LivePage
from app.gui.main_window import window_state
from app.gui.main_window.about import AboutDialog
from app.gui.main_window.commands import Commands
from app.gui.main_window.drawer import Drawer
from app.gui.main_window.empty_page import EmptyPage
from app.gui.main_window.guide import Guide, facts_of
from app.gui.main_window.instruments import Instruments
from app.gui.main_window.jobs import jobs_of, may_end_jobs, unfinished
from app.gui.main_window.notifier import Notifier
from app.gui.main_window.page_list import BUILD, DATA, PAGES, RIG, TRAIN
from app.gui.main_window.report_job import ReportJob, messages_of, settings_of, suggested_name
from app.gui.main_window.session_host import HostState, SessionHost
from app.gui.main_window.status_bar import StatusBar
from app.gui.main_window.themes import Themes
from app.gui.pages.model_choices import ModelChoices
from app.gui.pages.page import Page, PageContext
from app.gui.pages.page_stack import PageStack
from app.gui.pages.rail import Rail
from app.gui.widgets.banner import Banner
from app.gui.widgets.file_drop import FileDrop
from app.gui.widgets.questions import Question, ask
from app.gui.widgets.style import GAP_PX
from app.instrument.path_content import ContentKind, PathContent, PathContentError, sole_content
from app.jobs.job_list import JobList, Need
from app.presets import PresetStore
from app.status import JobState, JobStatus, LiveStatus, Message, MessageLevel, RecordingState, RecordingStatus, Topic
from app.stay_awake import StayAwake
from drivers.base import SpeckleScopeError

_NUMBERS_MS = 200  # 5 Hz: numbers that change faster cannot be read
_ANSWERS_MS = 10  # time to answer between two long steps
_INITIAL_SIZE_PX = (1600, 950)
_JOBS_CLOSE_S = 60.0
#: What would be done with a file that is dropped; in braces, its name.
_OFFERS = {
    ContentKind.INSTRUMENT: "Open the instrument file {}",
    ContentKind.ARCHIVE: "Play {} on the Data page",
    ContentKind.MODEL: "Use the model {}",
    ContentKind.RESPONSE: "Use the fibre response {}",
    ContentKind.PICTURE: "Show {} on the SLM",
}

log = logging.getLogger(__name__)


class MainWindow(QMainWindow):
    """Everything around the pages of one session.

    Parameters
    ----------
    host : SessionHost
        Opens and closes the sessions.
    store : QSettings, optional
        Where the state of the window is stored; None stores nothing.
    """

    def __init__(self, host: SessionHost, store: QSettings | None = None) -> None:
        super().__init__()
        self.host = host
        self.page: LivePage | None = None
        self._store = store
        self._presets = PresetStore(Path(store.fileName()).with_name("presets.json") if store is not None else None)
        self._closing = False
        self._closed = False
        self._recording = False

        self.commands = Commands(self)
        self.themes = Themes(self.commands, store)
        self.banner = Banner()
        self.guide = Guide()
        self.empty_page = EmptyPage()
        self.drawer = Drawer(self)
        self.files = FileDrop(self, self._say_offer)
        self.instruments = Instruments(host, self.empty_page, self._may_end_work, self)
        self.instruments.models = ModelChoices(store)
        self.status_bar = StatusBar(self.commands[Command.DRAWER])
        self.notifier = Notifier(self)
        self.jobs = JobList()
        self.reports = ReportJob(self.jobs)
        context = PageContext(jobs=self.jobs, store=store)
        self.exports = ExportOpener(context, self._pane_on_display, self)
        self.stay_awake = StayAwake()
        host.before_open = partial(self.jobs.free, frozenset({Need.DEVICES}))
        self._stack = QStackedWidget()
        self.pages = PageStack(self._stack, PAGES, context)
        self.rail = Rail()
        self._build()
        self._connect()
        self.setWindowTitle("SpeckleScope")
        if store is not None:
            for warning in (*window_state.restore(self, store), *self._presets.warnings):
                log.warning("%s", warning)
                self.report(Message(MessageLevel.WARNING, warning))
        if store is not None and window_state.guide_is_open(store) and host.choice.path is None:
            self.show_guide()
        self._number_timer = self._timer(_NUMBERS_MS, self.refresh_numbers)
        self._show_host()
        if host.state is HostState.OPEN:
            self._make_page()
            self._show_session()

    @property
    def views_shown(self) -> int:
        """Number of reconstructions that were shown."""
        return self.page.views_shown if self.page is not None else 0

    def event(self, event: QEvent | None) -> bool:
        """Time the drawing of all that has changed; Qt sends this one event for it."""
        if event is None or event.type() is not QEvent.Type.UpdateRequest or self.page is None:
            return super().event(event)
        started_s = time.perf_counter()
        done = super().event(event)
        if self.page is not None:
            self.page.note_drawn(time.perf_counter() - started_s)
        return done

    # -- called by the timer --------------------------------------------------------------------------------------

    def refresh_pictures(self) -> None:
        """Show the newest pictures; the page does this itself whenever one comes."""
        if self.page is not None:
            self.page.refresh_pictures()

    def refresh_numbers(self) -> None:
        """Show messages, numbers and states."""
        saved = self.reports.pop_message()
        if saved is not None:
            self.report(saved)
        session = self.host.session
        jobs = self._jobs()
        if session is not None and self.page is not None:
            self._forget_last_recording(session.recording_status())
            for message in session.pop_messages():
                self.report(message)
            self.page.refresh_numbers()
            self.refresh_pictures()  # what no arrival has told, such as a change of the SLM
            self.drawer.show_jobs(jobs)
            path = self.host.choice.path
            self.guide.show_facts(facts_of(self.page, jobs, playing=path is not None and path.is_dir()))
            self.notifier.watch(jobs)
        self.stay_awake.hold(awake=any(job.state is JobState.RUNNING for job in jobs))
        if self._closing:
            self._go_on_closing()

    def _jobs(self) -> tuple[JobStatus, ...]:
        return (*self.jobs.statuses(), *jobs_of(self.host.session))

    def report(self, message: Message) -> None:
        """Show a message and keep it in the list."""
        self.banner.push(message)

    # -- the session ----------------------------------------------------------------------------------------------

    def _show_host(self) -> None:
        """Show what the host is doing."""
        state, title = self.host.state, self.host.choice.title
        if state is HostState.OPEN:
            return
        self._remove_page()
        self.setWindowTitle("SpeckleScope")
        if state is HostState.OPENING:
            self.empty_page.show_busy(f"Opening {title}…", "Camera, SLM and model are opened.")
        elif state is HostState.CLOSING:
            self.empty_page.show_busy("Closing the instrument…", "Files are finished first. Nothing is lost.")
        else:
            self.empty_page.show_choice()
        self._stack.setCurrentWidget(self.empty_page)
        self._unfocus()  # Qt would give the focus to a button of the status bar

    def _session_has_opened(self) -> None:
        """Make the page now, and show it after the window has answered: both at once would be a stall."""
        self._make_page()
        QTimer.singleShot(_ANSWERS_MS, self._show_session)  # a time of 0 would come before mouse, keys and other timers

    def _make_page(self) -> None:
        session = self.host.session
        assert session is not None
        window_state.remember_recent(self.host.choice.path, session, self._store)
        self.pages.use_session(session)  # before the page is shown: no page may open the devices beside it
        self.page = LivePage(session, self._presets)
        self.page.reported.connect(self.report)
        self.page.succeeded.connect(self._forget_refusal)
        self.page.play_requested.connect(self.instruments.play)
        self.page.export_requested.connect(self.exports.open_for)
        self.page.models_requested.connect(self._show_models)
        self._watch(self.page)

    def _show_session(self) -> None:
        """Show the session that the host has opened; does nothing if it was closed at once."""
        session, choice = self.host.session, self.host.choice
        if session is None or self.page is None:
            return
        self._stack.addWidget(self.page)
        self._stack.setCurrentWidget(self.page)
        shown = f"SpeckleScope: {session.title}" + (" (simulated)" if session.simulated else "")
        self.setWindowTitle(f"{shown} [{choice.path}]" if choice.path else shown)
        self.status_bar.simulated.setVisible(session.simulated)
        self.banner.clear(Topic.INSTRUMENT)
        if self._store is not None:
            window_state.restore_page(self.page, self._store)
            window_state.remember_instrument(choice.path, self._store)
        self.page.setFocus()
        self.refresh_numbers()

    def _remove_page(self) -> None:
        page, self.page = self.page, None
        if page is None:
            return
        if self._store is not None:
            window_state.remember_page(page, self._store)
        page.release()
        self.pages.use_session(None)
        self._stack.removeWidget(page)
        page.deleteLater()
        self.status_bar.simulated.hide()

    # -- pages ----------------------------------------------------------------------------------------------------

    def show_page(self, number: int) -> None:
        """Show a page of the rail; 0 is the live page."""
        self.pages.show_page(number)
        self.rail.show_chosen(number)
        own = self.answers()
        for command in Command:  # what the live page does is not done unseen
            self.commands[command].setEnabled(command in own or number == 0)
        self._unfocus()

    def _connect_page(self, page: Page) -> None:
        page.reported.connect(self.report)
        page.succeeded.connect(self._forget_refusal)
        page.play_requested.connect(self._play)
        page.model_requested.connect(self.instruments.use_model)
        page.instrument_requested.connect(self.instruments.open_file)
        page.devices_requested.connect(self.instruments.free_devices)
        page.devices_released.connect(self.instruments.reopen)
        page.live_page_requested.connect(self._show_live)
        page.export_requested.connect(self.exports.open_for)
        page.fields_made.connect(self._watch)
        self._watch(page)

    def _show_live(self) -> None:
        self.show_page(0)

    def _show_build(self) -> None:
        self.show_page(BUILD)

    def _pane_on_display(self) -> Pane | None:
        page = self.pages.current_page
        if page is not None:
            return page.pane_on_display
        return self.page.pictures.current if self.page is not None else None

    def _show_set_up(self, path: Path | None, problem: str) -> None:
        """Show an instrument file in the set-up form of the Rig page."""
        self.show_page(RIG)
        self.pages.page(RIG).show_file(path, problem)

    def _play(self, archive: Path) -> None:
        self.show_page(0)
        self.instruments.play(archive)

    # -- commands of the operator ---------------------------------------------------------------------------------

    def answers(self) -> dict[Command, Callable[[], object]]:
        """Return what the window itself does for each command that it carries out, whatever page is shown."""
        return {
            **self.instruments.answers(),
            **self.themes.answers(),
            **{command: partial(self.show_page, number) for number, command in enumerate(PAGE_COMMANDS)},
            Command.QUIT: self.close,
            Command.FULL_SCREEN: self._toggle_full_screen,
            Command.DRAWER: self._toggle_drawer,
            Command.ACQUIRE: self._show_build,
            Command.TRAIN: self._show_training,
            Command.GUIDE: self.show_guide,
            Command.SAVE_REPORT: self._choose_report,
            Command.DISMISS: self._escape,
            Command.KEYS: self._show_about,
            Command.ABOUT: self._show_about,
        }

    def carry_out(self, command: Command) -> None:
        """Do what a command says; what the window does not answer, its page does, if there is one."""
        answer = self.answers().get(command)
        if answer is None and self.page is not None:
            answer = self.page.answers()[command]
        if answer is not None:
            answer()

    def _toggle_full_screen(self) -> None:
        """Use the whole screen, or not."""
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _toggle_drawer(self) -> None:
        """Show or hide jobs and messages."""
        self.drawer.setVisible(not self.drawer.isVisible())

    def _show_training(self) -> None:
        self.show_page(TRAIN)

    def _show_models(self) -> None:
        self.show_page(TRAIN)
        self.pages.page(TRAIN).show_models()

    def _show_about(self) -> None:
        """Show version, instrument, model and keys."""
        for older in self.findChildren(AboutDialog):
            older.close()
        status = self.host.session.live_status() if self.host.session is not None else None
        AboutDialog(self.windowTitle(), _model_text(status), self.all_keys(), self).show()

    def all_keys(self) -> tuple[tuple[str, str], ...]:
        """Return every key of the window and of its page, with what it does."""
        keys = list(self.commands.key_list())
        if self.page is not None:
            keys += [
                (action.shortcut().toString(), action.text())
                for action in self.page.pictures.all_commands()
                if not action.shortcut().isEmpty()
            ]
        return tuple(keys)

    def show_guide(self) -> None:
        """Show the first steps."""
        self._remember_guide(is_open=True)
        self.guide.begin()

    def _close_guide(self) -> None:
        self._remember_guide(is_open=False)
        self._unfocus()

    def _remember_guide(self, *, is_open: bool) -> None:
        if self._store is not None:
            window_state.remember_guide(self._store, is_open=is_open)

    def _choose_report(self) -> None:
        """Let the operator choose where the report goes."""
        suggested = str(Path.home() / suggested_name())
        name, _ = QFileDialog.getSaveFileName(self, "Save report", suggested, "ZIP files (*.zip)")
        if name:
            self.save_report(Path(name))

    def save_report(self, path: Path) -> None:
        """Write messages, checks, versions and settings into a file, in the background."""
        if self.reports.running:
            self.report(Message(MessageLevel.ERROR, "A report is being written; wait until it is saved", Topic.COMMAND))
            return
        source = ReportSource(
            config=self.instruments.config,
            in_use=self.host.state is not HostState.EMPTY,
            messages=messages_of(self.banner.log),
            window=settings_of(self._store),
            log_folder=default_log_folder(),
        )
        self.reports.start(path, source)

    def _escape(self) -> None:
        """Leave the field that has the focus; otherwise dismiss the message."""
        focus = self.focusWidget()
        if isinstance(focus, QLineEdit | QAbstractSpinBox | QComboBox | QAbstractButton):
            self._unfocus()
        else:
            self.banner.dismiss()

    def _watch(self, widget: QWidget) -> None:
        """Let keys go to the fields and buttons of a widget first; Enter leaves a field."""
        self.commands.watch(widget)
        for field in widget.findChildren(QLineEdit):  # including those inside number boxes
            field.returnPressed.connect(self._unfocus)

    def _unfocus(self) -> None:
        (self.pages.current_page or self.page or self._stack).setFocus()

    def _forget_last_recording(self, recording: RecordingStatus) -> None:
        """When another recording begins, what was said of the last one is over."""
        was_recording, self._recording = self._recording, recording.state is RecordingState.RECORDING
        if self._recording and not was_recording:
            self.banner.clear(Topic.RECORDING)

    def _forget_refusal(self) -> None:
        self.banner.clear(Topic.COMMAND)

    # -- files that are dropped -----------------------------------------------------------------------------------

    def _say_offer(self, paths: Sequence[Path]) -> str:
        """Say what a drop would do; raises SpeckleScopeError where it would do nothing."""
        content = self._openable(paths)
        return _OFFERS[content.kind].format(content.name)

    def _open_files(self, paths: Sequence[Path]) -> None:
        """Open what was dropped, or say why not."""
        try:
            content = self._openable(paths)
        except SpeckleScopeError as error:
            self._refuse(str(error))
            return
        if content.kind is ContentKind.PICTURE and self.page is not None:
            self.page.show_my_picture(content.path)
        elif content.kind is ContentKind.ARCHIVE:
            self.show_page(DATA)
            self.pages.page(DATA).show_file(content.path)
        else:
            self.instruments.open_content(content)

    def _openable(self, paths: Sequence[Path]) -> PathContent:
        content = sole_content(paths)
        if self._closing:
            raise PathContentError(f"{content.name} cannot be opened any more: the window is closing")
        if content.kind is ContentKind.PICTURE and (self.page is None or not self.page.session.slm_status().kinds):
            raise PathContentError(f"there is no SLM to show {content.name} on; open an instrument that has one first")
        return content

    def _refuse(self, reason: str) -> None:
        self.report(Message(MessageLevel.ERROR, reason, Topic.COMMAND))

    # -- closing --------------------------------------------------------------------------------------------------

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Finish recordings, exports and files first, visibly; then close."""
        if event is None:
            return
        if self._closed:
            event.accept()
            return
        event.ignore()
        stopped = [job for job in self.jobs.running if job.order.resumable]
        if self._closing or not self._may_lose(self.pages.unfinished()):
            return
        if may_end_jobs(self.page, "close SpeckleScope", self, stopped):
            self.shut_down()
            event.setAccepted(self._closed)  # nothing was open: Qt ignores a second close() while it handles the first

    def _may_lose(self, what: str) -> bool:
        """Return whether nothing would be lost, or the operator agrees that it is."""
        return not what or ask(Question(text=what, agree="Close without saving", refuse="Keep SpeckleScope open"), self)

    def shut_down(self) -> None:
        """Finish everything and close; returns at once."""
        if self._closing:
            return
        self._closing = True
        if self._store is not None:
            window_state.remember(self, self._store)
        self.jobs.stop_resumable()
        self.instruments.end()
        if self.page is not None and self.page.session.recording_status().active:
            self.page.attempt(self.page.session.stop_recording)
        self._go_on_closing()

    def wait_closed(self, timeout_s: float) -> bool:
        """Wait until the session and what can go on later have ended; False when the session takes longer."""
        self.host.close_session()
        closed = self.host.join(timeout_s)
        for job in self.jobs.running:  # after the devices: they must not wait for a checkpoint
            if job.order.resumable:
                job.stage.join(_JOBS_CLOSE_S)
        return closed

    def stop_polling(self) -> None:
        """Stop polling the session; what is shown stays."""
        self._number_timer.stop()

    def _go_on_closing(self) -> None:
        """Close what can be closed now; the timer calls this again until nothing is open."""
        session = self.host.session
        self.jobs.stop_resumable()  # also what has begun in between
        if session is not None or self.jobs.running:
            busy = unfinished(self.jobs.statuses(), session)
            if busy:
                self.empty_page.show_busy("Finishing before closing…", busy)
                self._stack.setCurrentWidget(self.empty_page)
                self.show_page(0)
            elif session is not None:
                self.host.close_session()
            return
        if self.host.state is HostState.EMPTY:
            self.stop_polling()
            self.stay_awake.hold(awake=False)
            self.pages.release()
            self._closed = True
            self.close()

    def _may_end_work(self, purpose: str) -> bool:
        """Ask about everything that uses the open instrument; what the operator agrees to end is stopped."""
        users = [job for job in self.jobs.running if Need.DEVICES in job.order.needs] if self.page is not None else []
        if not may_end_jobs(self.page, purpose, self, users):
            return False
        for job in users:
            job.stop()
        return True

    # -- construction ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        bar = self.menuBar()
        assert bar is not None
        self.commands.fill(bar)
        self.addToolBar(Qt.ToolBarArea.LeftToolBarArea, self.rail)
        icons = ("live", *(page.icon_name for page in PAGES))
        for command, icon_name in zip(PAGE_COMMANDS, icons, strict=True):
            self.rail.add_page(command.value.text, icon_name, self.commands[command].toolTip())
        self.rail.show_chosen(0)
        self.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.drawer)
        self.drawer.hide()
        self._stack.addWidget(self.empty_page)
        central = QWidget()
        layout = QVBoxLayout(central)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.guide)
        layout.addWidget(self.pages, 1)
        below = QVBoxLayout()
        below.setContentsMargins(GAP_PX, 4, GAP_PX, 4)
        below.addWidget(self.banner)
        layout.addLayout(below)
        self.setCentralWidget(central)
        self.setStatusBar(self.status_bar)
        self.resize(*_INITIAL_SIZE_PX)

    def _connect(self) -> None:
        # To methods alone: Qt would keep a function of this scope, and with it this window and the session, for ever.
        self.host.state_changed.connect(self._show_host)
        self.host.opened.connect(self._session_has_opened)
        self.guide.ended.connect(self._close_guide)
        self.banner.logged.connect(self.drawer.add_message)
        self.commands.given.connect(self.carry_out)
        self.rail.chosen.connect(self.show_page)
        self.pages.made.connect(self._connect_page)
        self.instruments.reported.connect(self.report)
        self.exports.reported.connect(self.report)
        self.instruments.set_up_requested.connect(self._show_set_up)
        self.files.dropped.connect(self._open_files)
        self.files.refused.connect(self._refuse)

    def _timer(self, interval_ms: int, action: object) -> QTimer:
        timer = QTimer(self)
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(action)  # type: ignore[arg-type]
        timer.start(interval_ms)
        return timer


def _model_text(status: LiveStatus | None) -> str:
    return f"{status.model_name} {status.model_id}".strip() if status is not None else ""
