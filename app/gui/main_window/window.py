"""The window around the pages: menus, rail, messages and jobs. It outlives the session that it shows."""

from __future__ import annotations

import logging
from pathlib import Path

from PyQt6.QtCore import QSettings, Qt, QTimer
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QFileDialog,
    QLabel,
    QLineEdit,
    QMainWindow,
    QStackedWidget,
    QToolBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.diagnostics.report import ReportSource, default_log_folder
from app.gui.image_view.drawing.choice import drawing_in_use
from app.gui.live_page.page import LivePage
from app.gui.main_window import window_state
from app.gui.main_window.about import AboutDialog
from app.gui.main_window.acquisition_panel import AcquisitionPanel
from app.gui.main_window.commands import Command, Commands
from app.gui.main_window.drawer import Drawer
from app.gui.main_window.empty_page import EmptyPage
from app.gui.main_window.guide import Guide, GuideFacts
from app.gui.main_window.notifier import Notifier
from app.gui.main_window.report_job import ReportJob, suggested_name
from app.gui.main_window.session_host import HostState, InstrumentChoice, SessionHost
from app.gui.setup.window import SetupWindow
from app.gui.training.window import TrainingWindow
from app.gui.widgets.banner import Banner, LoggedMessage
from app.gui.widgets.formatting import count
from app.gui.widgets.icons import icon
from app.gui.widgets.palette import Theme, theme_in_use
from app.gui.widgets.questions import Question, ask
from app.gui.widgets.style import GAP_PX, apply_style
from app.instrument.config import InstrumentConfig, load_config, replay_of
from app.presets import PresetStore
from app.status import JobState, JobStatus, LiveStatus, Message, MessageLevel, RecordingState, Topic
from app.stay_awake import StayAwake
from drivers.base import SpeckleScopeError

_PICTURES_MS = 8  # a frame is shown at most half a period after it came, at 60 frames per second
_NUMBERS_MS = 200  # 5 Hz: numbers that change faster cannot be read
_INITIAL_SIZE_PX = (1600, 950)
_TRAINING_CLOSE_S = 60.0
_SIMULATED = "Simulated instrument: no light is measured"

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
        self.training: TrainingWindow | None = None
        self.setup_page: SetupWindow | None = None
        self._store = store
        self._presets = PresetStore(Path(store.fileName()).with_name("presets.json") if store is not None else None)
        self._about: AboutDialog | None = None
        self._setup_requested = False
        self._opened: InstrumentChoice | None = None  # the last one that could be opened
        self._closing = False
        self._closed = False

        self.commands = Commands(self)
        self.banner = Banner()
        self.guide = Guide()
        self.empty_page = EmptyPage()
        self.drawer = Drawer(self)
        self.acquisition = AcquisitionPanel()
        self.acquisition_dock = QDockWidget("Dataset acquisition", self)
        self.simulated = QLabel(_SIMULATED)
        self.log_button = QToolButton()
        self.notifier = Notifier(self)
        self.reports = ReportJob()
        self.stay_awake = StayAwake()
        self._stack = QStackedWidget()
        self._build()
        self._connect()
        self.setWindowTitle("SpeckleScope")
        if store is not None:
            for warning in (*window_state.restore(self, store), *self._presets.warnings):
                log.warning("%s", warning)
                self.report(Message(MessageLevel.WARNING, warning))
        if store is not None and window_state.guide_is_open(store) and host.choice.path is None:
            self.show_guide()
        self._use_theme(window_state.last_theme(store) if store is not None else theme_in_use())
        self._picture_timer = self._timer(_PICTURES_MS, self.refresh_pictures)
        self._number_timer = self._timer(_NUMBERS_MS, self.refresh_numbers)
        self._show_host()
        if host.state is HostState.OPEN:
            self._show_session()

    @property
    def views_shown(self) -> int:
        """Number of reconstructions that were shown."""
        return self.page.views_shown if self.page is not None else 0

    # -- called by the timers -------------------------------------------------------------------------------------

    def refresh_pictures(self) -> None:
        """Show the newest pictures."""
        if self.page is not None:
            self.page.refresh_pictures(visible=not self.isMinimized())

    def refresh_numbers(self) -> None:
        """Show messages, numbers and states."""
        saved = self.reports.pop_message()
        if saved is not None:
            self.report(saved)
        session = self.host.session
        jobs = self._jobs()
        if session is not None and self.page is not None:
            for message in session.pop_messages():
                self.report(message)
            self.page.refresh_numbers(visible=not self.isMinimized())
            self.acquisition.show_status(session.acquisition_status())
            self.drawer.show_jobs(jobs)
            self.guide.show_facts(self._guide_facts())
            self.notifier.watch(jobs)
        self.stay_awake.hold(awake=any(job.state is JobState.RUNNING for job in jobs))
        if self._closing:
            self._go_on_closing()

    def _jobs(self) -> tuple[JobStatus, ...]:
        """Return everything that runs or has run in the background: recordings, acquisitions, exports, trainings."""
        jobs: list[JobStatus] = [*self.reports.statuses()]
        session = self.host.session
        if session is not None:
            recording, acquisition = session.recording_status(), session.acquisition_status()
            if recording.state is not RecordingState.IDLE:
                state = JobState.RUNNING if recording.active else JobState.FINISHED
                name = recording.path.name if recording.path is not None else "recording"
                jobs.append(JobStatus(name=f"Record {name}", state=state, seconds=float(int(recording.seconds))))
            if acquisition.state is not None:
                state = JobState.RUNNING if acquisition.active else JobState.FINISHED
                name = acquisition.path.name if acquisition.path is not None else "dataset"
                done, total = acquisition.pairs_acknowledged, acquisition.pairs_requested
                jobs.append(JobStatus(name=f"Acquire {name}", state=state, done=done, total=total))
            jobs += session.jobs()
        if self.training is not None and self.training.running:
            jobs.append(JobStatus(name="Train", state=JobState.RUNNING))
        return tuple(jobs)

    def report(self, message: Message) -> None:
        """Show a message and keep it in the list."""
        self.banner.push(message)

    # -- instruments ----------------------------------------------------------------------------------------------

    def open_instrument(self, choice: InstrumentChoice) -> None:
        """Open another instrument or model; what is running is asked about first."""
        if self._may_end_work("open another instrument"):
            self.host.open(choice)

    def choose_instrument(self) -> None:
        """Let the operator choose an instrument file."""
        name, _ = QFileDialog.getOpenFileName(self, "Open an instrument file", "", "Instrument files (*.yaml *.yml)")
        if name:
            self.open_instrument(InstrumentChoice(Path(name)))

    def choose_recording(self) -> None:
        """Let the operator choose a recording or a dataset to play."""
        name = QFileDialog.getExistingDirectory(self, "Open the folder of a recording or a dataset")
        if name:
            self.play(Path(name))

    def play(self, archive: Path) -> None:
        """Play a recording or a dataset in place of the camera."""
        self.open_instrument(InstrumentChoice(archive))

    def use_simulated(self) -> None:
        """Open the simulated instrument."""
        self.open_instrument(InstrumentChoice())

    def use_model(self, model: str) -> None:
        """Open the same instrument with another model."""
        self.open_instrument(InstrumentChoice(self.host.choice.path, model))

    def go_to_setup(self) -> None:
        """Close the instrument and show the setup page, which opens its devices itself."""
        if self.setup_page is None and self._may_end_work("set up the instrument"):
            if self.host.state is HostState.OPEN:
                self._setup_requested = True
                self.host.close_session()
            else:
                self.show_setup(self.host.choice)

    def show_setup(self, choice: InstrumentChoice, problem: str = "") -> None:
        """Show the setup page for an instrument file; no session is open."""
        self._setup_requested = False
        config = InstrumentConfig()
        try:
            config = load_config(choice.path)
        except SpeckleScopeError as error:
            problem = problem or str(error)
        page = SetupWindow(config, choice.path or Path("instrument.yaml"), problem)
        page.accepted.connect(self._open_from_setup)
        page.rejected.connect(self._leave_setup)
        self.setup_page = page
        page.show()

    def _open_from_setup(self) -> None:
        page, self.setup_page = self.setup_page, None
        if page is not None:
            self.host.open(InstrumentChoice(page.file))
            page.deleteLater()

    def _leave_setup(self) -> None:
        page, self.setup_page = self.setup_page, None
        if page is not None:
            page.deleteLater()
        if self._opened is not None and not self._closing:
            self.host.open(self._opened)

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

    def _show_session(self) -> None:
        """Show the session that the host has opened."""
        session, choice = self.host.session, self.host.choice
        assert session is not None
        self._opened = choice
        self.page = LivePage(session, self._presets)
        self.page.reported.connect(self.report)
        self.page.succeeded.connect(self._forget_refusal)
        self.page.play_requested.connect(self.play)
        self._watch(self.page)
        self._stack.addWidget(self.page)
        self._stack.setCurrentWidget(self.page)
        self.acquisition.show_sources(session.pattern_sources)
        shown = f"SpeckleScope: {session.title}" + (" (simulated)" if session.simulated else "")
        self.setWindowTitle(f"{shown} [{choice.path}]" if choice.path else shown)
        self.simulated.setVisible(session.simulated)
        self.banner.clear(Topic.INSTRUMENT)
        if self._store is not None:
            window_state.restore_page(self.page, self._store)
            window_state.remember_instrument(choice.path, self._store)
        self.page.setFocus()
        self.refresh_numbers()

    def _show_failure(self, problem: str) -> None:
        """Show why an instrument could not be opened; go back to the one before."""
        self.report(Message(MessageLevel.ERROR, problem, Topic.INSTRUMENT))
        failed, before = self.host.choice, self._opened
        if before is not None and before != failed and not self._closing:
            self.host.open(before)
        else:
            self.empty_page.show_choice(problem)

    def _remove_page(self) -> None:
        page, self.page = self.page, None
        if page is None:
            return
        if self._store is not None:
            window_state.remember_page(page, self._store)
        self._stack.removeWidget(page)
        page.deleteLater()
        self.simulated.hide()

    def _session_has_closed(self) -> None:
        if self._setup_requested and not self._closing:
            self.show_setup(self.host.choice)

    # -- commands of the operator ---------------------------------------------------------------------------------

    def toggle_live(self) -> None:
        """Start the live view, or stop it."""
        if self.page is not None:
            self.page.toggle_live()

    def toggle_recording(self) -> None:
        """Start a recording, or finish it."""
        if self.page is not None:
            self.page.toggle_recording()

    def add_marker(self) -> None:
        """Mark this moment of the recording."""
        if self.page is not None:
            self.page.recorder.request_marker()

    def toggle_record_panel(self) -> None:
        """Show or hide how recordings are made."""
        self._toggle_panel("record")

    def toggle_camera_panel(self) -> None:
        """Show or hide the camera's settings."""
        self._toggle_panel("camera")

    def toggle_measure_panel(self) -> None:
        """Show or hide measurements."""
        self._toggle_panel("measure")

    def toggle_slm_panel(self) -> None:
        """Show or hide what the SLM shows."""
        self._toggle_panel("slm")

    def toggle_presets_panel(self) -> None:
        """Show or hide the presets."""
        self._toggle_panel("presets")

    def _toggle_panel(self, name: str) -> None:
        if self.page is not None:
            self.page.toggle_panel(name)

    def save_snapshot(self) -> None:
        """Save the present view."""
        if self.page is not None:
            self.page.save_snapshot()

    def export_recording(self) -> None:
        """Export the last recording."""
        if self.page is not None:
            self.page.export_recording()

    def retune(self) -> None:
        """Measure a new reference and new reference pairs."""
        if self.page is not None:
            self.page.retune()

    def fit(self) -> None:
        """Show the whole field in every picture."""
        if self.page is not None:
            self.page.pictures.fit()

    def toggle_full_screen(self) -> None:
        """Use the whole screen, or not."""
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def toggle_drawer(self) -> None:
        """Show or hide jobs and messages."""
        self.drawer.setVisible(not self.drawer.isVisible())

    def toggle_theme(self) -> None:
        """Use light colours in place of dark ones, or the other way round."""
        self._use_theme(Theme.DARK if theme_in_use() is Theme.LIGHT else Theme.LIGHT)

    def _use_theme(self, theme: Theme) -> None:
        application = QApplication.instance()
        if theme is not theme_in_use() and isinstance(application, QApplication):
            apply_style(application, theme)
            if self._store is not None:
                window_state.remember_theme(theme, self._store)
        self.commands[Command.LIGHT_THEME].setChecked(theme is Theme.LIGHT)

    def show_acquisition(self) -> None:
        """Show the form for datasets."""
        self.acquisition_dock.show()
        self.acquisition.name.setFocus()

    def show_training(self) -> None:
        """Show the training window; a training continues while its window is closed."""
        session = self.host.session
        if self.training is None:
            if session is None:
                self.report(
                    Message(MessageLevel.ERROR, "Open an instrument first; a model belongs to its fibre", Topic.COMMAND)
                )
                return
            path = self.host.choice.path
            self.training = TrainingWindow(session.pattern_sources, path)
            self.training.model_requested.connect(self.use_model)
        self.training.show()
        self.training.raise_()
        self.training.activateWindow()

    def show_about(self) -> None:
        """Show version, instrument, model and keys."""
        if self._about is not None:
            self._about.close()
        status = self.host.session.live_status() if self.host.session is not None else None
        self._about = AboutDialog(self.windowTitle(), _model_text(status), self.all_keys(), self)
        self._about.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._about.destroyed.connect(self._forget_about)
        self._about.show()

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

    def _guide_facts(self) -> GuideFacts:
        session, path = self.host.session, self.host.choice.path
        if session is None or self.page is None:
            return GuideFacts()
        status, recording = session.live_status(), session.recording_status()
        return GuideFacts(
            running=status.running,
            views_shown=self.page.views_shown,
            retuning=status.retuning,
            recorded_s=recording.seconds if recording.state is RecordingState.FINISHED else 0.0,
            exported=any(job.name.startswith("Export ") for job in session.jobs()),
            playing=path is not None and path.is_dir(),
        )

    def choose_report(self) -> None:
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
        stored = self._store
        source = ReportSource(
            config=self._present_config(),
            in_use=self.host.state is not HostState.EMPTY,
            messages=[_logged_text(entry) for entry in self.banner.log],
            window={key: str(stored.value(key)) for key in stored.allKeys() if key != "geometry"} if stored is not None else {},
            log_folder=default_log_folder(),
        )
        self.reports.start(path, source)

    def _present_config(self) -> InstrumentConfig:
        path = self.host.choice.path
        try:
            return replay_of(path) if path is not None and path.is_dir() else load_config(path)
        except SpeckleScopeError:  # a message has said why
            return InstrumentConfig()

    def escape(self) -> None:
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
        (self.page or self._stack).setFocus()

    def _forget_about(self) -> None:
        self._about = None

    def _forget_refusal(self) -> None:
        self.banner.clear(Topic.COMMAND)

    def _start_acquisition(self, name: str, pairs: int, source: str) -> None:
        page = self.page
        if page is None:
            return
        if not name:
            page.refuse("The dataset has no name; type one in the acquisition form")
        elif page.may_end_recording("acquire a dataset"):
            page.attempt(lambda: page.session.start_acquisition(name, pairs, source))

    def _stop_acquisition(self) -> None:
        if self.page is not None:
            self.page.attempt(self.page.session.stop_acquisition)

    def _pause_acquisition(self) -> None:
        self._set_paused(paused=True)

    def _continue_acquisition(self) -> None:
        self._set_paused(paused=False)

    def _set_paused(self, *, paused: bool) -> None:
        if self.page is not None:
            session = self.page.session
            self.page.attempt(lambda: session.pause_acquisition(paused=paused))

    # -- closing --------------------------------------------------------------------------------------------------

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Finish recordings, exports and files first, visibly; then close."""
        if event is None:
            return
        if self._closed:
            event.accept()
            return
        event.ignore()
        if not self._closing and self._may_end_work("close SpeckleScope", training=True):
            self.shut_down()

    def shut_down(self) -> None:
        """Finish everything and close; returns at once."""
        if self._closing:
            return
        self._closing = True
        if self._store is not None:
            window_state.remember(self, self._store)
        if self.training is not None:
            self.training.shut_down()
            self.training.close()
        if self.setup_page is not None:
            self.setup_page.reject()
        if self.page is not None and self.page.session.recording_status().active:
            self.page.attempt(self.page.session.stop_recording)
        self._go_on_closing()

    def wait_closed(self, timeout_s: float) -> bool:
        """Wait until the session and the training have closed; False when that takes longer."""
        self._close_session_now()
        closed = self.host.join(timeout_s)
        if self.training is not None:  # after the devices: they must not wait for a checkpoint
            self.training.wait_closed(_TRAINING_CLOSE_S)
        return closed

    def stop_polling(self) -> None:
        """Stop polling the session; what is shown stays."""
        self._picture_timer.stop()
        self._number_timer.stop()

    def _go_on_closing(self) -> None:
        """Close what can be closed now; the timer calls this again until nothing is open."""
        session = self.host.session
        if session is not None:
            running = [job for job in session.jobs() if job.state is JobState.RUNNING]
            recording = session.recording_status()
            if running or recording.active:
                self._show_what_is_finished([job.name for job in running], recording.frames_recorded)
                return
            self._close_session_now()
            return
        if self.host.state is HostState.EMPTY and (self.training is None or not self.training.running):
            self.stop_polling()
            self.stay_awake.hold(awake=False)
            self._closed = True
            self.close()

    def _close_session_now(self) -> None:
        self._setup_requested = False
        self.host.close_session()

    def _show_what_is_finished(self, jobs: list[str], frames_recorded: int) -> None:
        what = ", ".join(jobs) or f"recording, {count(frames_recorded)} frames are on disk"
        self.empty_page.show_busy("Finishing before closing…", f"{what[:1].upper()}{what[1:]}")
        self._stack.setCurrentWidget(self.empty_page)

    def _may_end_work(self, purpose: str, *, training: bool = False) -> bool:
        """Return whether nothing is running, or the operator agrees to end what is running."""
        if self.page is None:
            return True
        acquisition = self.page.session.acquisition_status()
        if acquisition.active:
            stored, requested = count(acquisition.pairs_acknowledged), count(acquisition.pairs_requested)
            text = f"An acquisition is running: {stored} of {requested} pairs are stored.\nIt can be resumed later."
            if not ask(Question(text=text, agree=f"Stop acquisition and {purpose}", refuse="Keep acquiring"), self):
                return False
        if training and self.training is not None and self.training.running:
            text = "A training is running. It writes a checkpoint and can be resumed."
            if not ask(Question(text=text, agree=f"Stop training and {purpose}", refuse="Keep training"), self):
                return False
        return self.page.may_end_recording(purpose)

    # -- construction ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        bar = self.menuBar()
        assert bar is not None
        self.commands.fill(bar)
        self.addToolBar(Qt.ToolBarArea.LeftToolBarArea, self._rail())
        self.acquisition_dock.setObjectName("acquisition")
        self.acquisition_dock.setWidget(self.acquisition)
        for dock in (self.acquisition_dock, self.drawer):
            self.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
            dock.hide()
        self._stack.addWidget(self.empty_page)
        central = QWidget()
        layout = QVBoxLayout(central)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.guide)
        layout.addWidget(self._stack, 1)
        below = QVBoxLayout()
        below.setContentsMargins(GAP_PX, 4, GAP_PX, 4)
        below.addWidget(self.banner)
        layout.addLayout(below)
        self.setCentralWidget(central)
        self._build_status_bar()
        self._watch(self.acquisition)
        self.resize(*_INITIAL_SIZE_PX)

    def _rail(self) -> QToolBar:
        """Return the rail at the left, with a button for every page."""
        rail = QToolBar("Pages")
        rail.setObjectName("rail")
        rail.setMovable(False)
        rail.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        live = rail.addAction(icon("live"), "Live")
        assert live is not None
        live.setCheckable(True)
        live.setChecked(True)
        live.setToolTip("Live view, recording and measurements")
        live.triggered.connect(live.setChecked)
        return rail

    def _build_status_bar(self) -> None:
        status = self.statusBar()
        assert status is not None
        status.setSizeGripEnabled(False)
        self.simulated.setObjectName("simulated")
        self.simulated.hide()
        self.log_button.setDefaultAction(self.commands[Command.DRAWER])
        drawing = QLabel(drawing_in_use().reason)
        drawing.setObjectName("muted")
        drawing.setToolTip("Where pictures are drawn: see the option --drawing of specklescope gui")
        status.addPermanentWidget(drawing)
        status.addPermanentWidget(self.simulated)
        status.addPermanentWidget(self.log_button)

    def _connect(self) -> None:
        # To methods alone: Qt would keep a function of this scope, and with it this window and the session, for ever.
        self.host.state_changed.connect(self._show_host)
        self.host.opened.connect(self._show_session)
        self.host.failed.connect(self._show_failure)
        self.host.closed.connect(self._session_has_closed)
        self.guide.ended.connect(self._close_guide)
        self.banner.logged.connect(self.drawer.add_message)
        self.empty_page.open_clicked.connect(self.choose_instrument)
        self.empty_page.setup_clicked.connect(self.go_to_setup)
        self.empty_page.simulated_clicked.connect(self.use_simulated)
        self.acquisition.start_requested.connect(self._start_acquisition)
        self.acquisition.stop_requested.connect(self._stop_acquisition)
        self.acquisition.pause_requested.connect(self._pause_acquisition)
        self.acquisition.continue_requested.connect(self._continue_acquisition)
        for command, slot in (
            (Command.OPEN, self.choose_instrument),
            (Command.SIMULATED, self.use_simulated),
            (Command.OPEN_RECORDING, self.choose_recording),
            (Command.SETUP, self.go_to_setup),
            (Command.QUIT, self.close),
            (Command.TOGGLE_LIVE, self.toggle_live),
            (Command.RECORD, self.toggle_recording),
            (Command.MARK, self.add_marker),
            (Command.RECORD_PANEL, self.toggle_record_panel),
            (Command.CAMERA_PANEL, self.toggle_camera_panel),
            (Command.MEASURE_PANEL, self.toggle_measure_panel),
            (Command.SLM_PANEL, self.toggle_slm_panel),
            (Command.PRESETS_PANEL, self.toggle_presets_panel),
            (Command.SNAPSHOT, self.save_snapshot),
            (Command.EXPORT, self.export_recording),
            (Command.RETUNE, self.retune),
            (Command.FIT, self.fit),
            (Command.FULL_SCREEN, self.toggle_full_screen),
            (Command.LIGHT_THEME, self.toggle_theme),
            (Command.DRAWER, self.toggle_drawer),
            (Command.ACQUIRE, self.show_acquisition),
            (Command.TRAIN, self.show_training),
            (Command.GUIDE, self.show_guide),
            (Command.SAVE_REPORT, self.choose_report),
            (Command.DISMISS, self.escape),
            (Command.KEYS, self.show_about),
            (Command.ABOUT, self.show_about),
        ):
            self.commands.connect(command, slot)

    def _timer(self, interval_ms: int, action: object) -> QTimer:
        timer = QTimer(self)
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(action)  # type: ignore[arg-type]
        timer.start(interval_ms)
        return timer


def _logged_text(entry: LoggedMessage) -> str:
    return f"{entry.time:%Y-%m-%d %H:%M:%S} {entry.message.level}: {entry.message.text}"


def _model_text(status: LiveStatus | None) -> str:
    return f"{status.model_name} {status.model_id}".strip() if status is not None else ""
