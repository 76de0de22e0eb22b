"""The operator's window: it polls the session, shows its state, and passes the operator's commands on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PyQt6.QtCore import QSettings, Qt, QTimer
from PyQt6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QMainWindow,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from app.gui.image_view.panes import Pictures
from app.gui.live_page.control_bar import ControlBar, Tone
from app.gui.live_page.status_strip import StatusStrip
from app.gui.main_window import window_state
from app.gui.main_window.about import AboutDialog
from app.gui.main_window.acquisition_panel import AcquisitionPanel
from app.gui.session_protocol import SessionLike
from app.gui.training.window import TrainingWindow
from app.gui.widgets.banner import Banner
from app.gui.widgets.formatting import count
from app.gui.widgets.style import GAP_PX
from app.status import LiveState, LiveStatus, Message, MessageLevel
from drivers.base import SpeckleScopeError

_PICTURES_MS = 8  # a frame is shown at most half a period after it came, at 60 frames per second
_NUMBERS_MS = 200  # 5 Hz: numbers that change faster cannot be read
#: After so many seconds without a new frame, the window says so.
_SILENT_AFTER_S = 2.0
_TRAINING_CLOSE_S = 60.0
_INITIAL_SIZE_PX = (1600, 950)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CloseRequest:
    """Why the operator closes the window: for the setup page, for another model, or to end the program."""

    setup: bool = False
    model: str = ""


class MainWindow(QMainWindow):
    """Pictures, figures and controls of one session.

    Parameters
    ----------
    session : SessionLike
        The session to show. When the window is closed, it closes the session in a thread of its own.
    store : QSettings, optional
        Where the state of the window is stored; None stores nothing.
    setup : bool
        Whether the operator may open another instrument or another model after this one. When the window has closed,
        ``close_request`` says which.
    instrument : Path, optional
        The instrument file, for trainings; None is the simulated instrument.
    """

    def __init__(
        self, session: SessionLike, store: QSettings | None = None, *, setup: bool = False, instrument: Path | None = None
    ) -> None:
        super().__init__()
        self.session = session
        self.views_shown = 0
        self.close_request = CloseRequest()
        self._instrument = instrument
        self._training: TrainingWindow | None = None
        self._store = store
        self._closer: threading.Thread | None = None
        self._last_frame_s: float | None = None
        self._live_state = LiveState.STOPPED
        self._about: AboutDialog | None = None

        self.setWindowTitle(f"SpeckleScope: {session.title}")
        self.controls = ControlBar(session.title)
        self.controls.setup.setVisible(setup)
        self.controls.train.setVisible(setup)
        self.banner = Banner()
        self.pictures = Pictures(session.field_um, session.frame_full_scale, session.display_range_rad)
        self.status_strip = StatusStrip()
        self.acquisition = AcquisitionPanel(session.pattern_sources)
        self._build()
        self._connect()
        if store is not None:
            for warning in window_state.restore(self, store):
                log.warning("%s", warning)
                self.banner.push(Message(MessageLevel.WARNING, warning))
        self.refresh_numbers()

        self._picture_timer = self._timer(_PICTURES_MS, self.refresh_pictures)
        self._number_timer = self._timer(_NUMBERS_MS, self.refresh_numbers)

    # -- called by the timers -------------------------------------------------------------------------------------

    def refresh_pictures(self) -> None:
        """Show the newest frame, view and overlay, if there are new ones."""
        frame, view, overlay = self.session.poll_frame(), self.session.poll_view(), self.session.poll_overlay()
        if frame is not None:
            self._last_frame_s = time.monotonic()
        self.views_shown += view is not None
        if self.isMinimized():
            return
        if frame is not None:
            self.pictures.show_frame(frame)
        if view is not None:
            self.pictures.show_view(view)
        if overlay is not None:
            self.pictures.show_overlay(overlay)

    def refresh_numbers(self) -> None:
        """Show the session's messages, numbers and states."""
        for message in self.session.pop_messages():
            self.banner.push(message)
        status = self.session.live_status()
        self._show_live(status)
        self.status_strip.show_status(status)
        self.controls.show_recording(self.session.recording_status())
        self.acquisition.show_status(self.session.acquisition_status())
        if not self.isMinimized():
            self.pictures.refresh_numbers()

    def _show_live(self, status: LiveStatus) -> None:
        if status.running and not self._live_state.is_running:
            self._last_frame_s = None
        self._live_state = status.state
        self.controls.show_live(status.state, *self._live_text(status.state))
        if not status.running:
            self.pictures.show_message("The live view is stopped. Press Space to start it.")
        elif self._last_frame_s is None:
            self.pictures.show_message("Waiting for the first frame\N{HORIZONTAL ELLIPSIS}")

    def _live_text(self, state: LiveState) -> tuple[str, Tone]:
        silent_s = None if self._last_frame_s is None else time.monotonic() - self._last_frame_s
        if state is LiveState.FAILED:
            return "Failed", Tone.ALARM
        if state is LiveState.STOPPED:
            return "Stopped", Tone.IDLE
        if state is LiveState.RETUNING:
            return "Re-tuning\N{HORIZONTAL ELLIPSIS}", Tone.WAITING
        if silent_s is None:
            return "Starting\N{HORIZONTAL ELLIPSIS}", Tone.WAITING
        if silent_s > _SILENT_AFTER_S:
            return f"No frame for {silent_s:.0f} s", Tone.WAITING
        return "Live", Tone.LIVE

    # -- commands of the operator ---------------------------------------------------------------------------------

    def toggle_live(self) -> None:
        """Start the live view, or stop it."""
        self._attempt(self.session.stop_live if self.session.live_status().running else self.session.start_live)

    def toggle_recording(self) -> None:
        """Start a recording, or finish it."""
        name = self.controls.recording_name.text().strip()
        if self.session.recording_status().active:
            self._attempt(self.session.stop_recording)
        elif not name:
            self.banner.push(Message(MessageLevel.ERROR, "The recording has no name; type one next to the Record button"))
        else:
            self._attempt(lambda: self.session.start_recording(name))

    def save_snapshot(self) -> None:
        """Save the present view, and show where."""

        def save() -> None:
            self.banner.push(Message(MessageLevel.INFO, f"Snapshot saved: {self.session.snapshot()}"))

        self._attempt(save)

    def export_recording(self) -> None:
        """Export the last recording in the background."""
        if self.controls.export.isEnabled():
            self._attempt(self.session.export_last_recording)

    def retune(self) -> None:
        """Measure a new reference and new reference pairs."""
        self._attempt(self.session.retune)

    def show_about(self) -> None:
        """Show the version and the keyboard shortcuts."""
        if self._about is not None:
            self._about.close()
        status = self.session.live_status()
        self._about = AboutDialog(self.session.title, f"{status.model_name} {status.model_id}".strip(), self)
        self._about.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._about.destroyed.connect(self._forget_about)
        self._about.show()

    @property
    def training(self) -> TrainingWindow | None:
        """The training window, once it was opened."""
        return self._training

    def show_training(self) -> None:
        """Show the training window; a training continues while its window is closed."""
        if self._training is None:
            self._training = TrainingWindow(self.session.pattern_sources, self._instrument)
            self._training.model_requested.connect(self._use_model)
        self._training.show()
        self._training.raise_()
        self._training.activateWindow()

    def go_to_setup(self) -> None:
        """Close the window and the devices, so that the setup page can open them."""
        self._close_for(CloseRequest(setup=True))

    def _use_model(self, model: str) -> None:
        self._close_for(CloseRequest(model=model))

    def _close_for(self, close_request: CloseRequest) -> None:
        self.close_request = close_request
        if not self.close():
            self.close_request = CloseRequest()

    def _forget_about(self) -> None:
        self._about = None

    def _start_acquisition(self, name: str, pairs: int, source: str) -> None:
        if name:
            self._attempt(lambda: self.session.start_acquisition(name, pairs, source))
        else:
            self.banner.push(Message(MessageLevel.ERROR, "The dataset has no name; type one in the acquisition form"))

    def _stop_acquisition(self) -> None:
        self._attempt(self.session.stop_acquisition)

    def _pause_acquisition(self) -> None:
        self._attempt(lambda: self.session.pause_acquisition(paused=True))

    def _continue_acquisition(self) -> None:
        self._attempt(lambda: self.session.pause_acquisition(paused=False))

    def _escape(self) -> None:
        if isinstance(self.focusWidget(), QLineEdit | QAbstractSpinBox | QComboBox):
            self._unfocus()
        else:
            self.banner.dismiss()

    def _unfocus(self) -> None:
        central = self.centralWidget()
        if central is not None:
            central.setFocus()

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (SpeckleScopeError, OSError) as error:
            log.error("%s", error)
            self.banner.push(Message(MessageLevel.ERROR, str(error)))
        self.refresh_numbers()

    # -- closing --------------------------------------------------------------------------------------------------

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Disappear at once; the session closes in a thread, see :meth:`wait_closed`."""
        if event is None:
            return
        if self._closer is None:
            if not self._may_close():
                event.ignore()
                return
            self.shut_down()
        event.accept()

    def shut_down(self) -> None:
        """Stop polling, store the state of the window, and start to close the session; returns at once."""
        if self._closer is not None:
            return
        self.stop_polling()
        if self._training is not None:
            self._training.shut_down()
            self._training.close()
        if self._store is not None:
            window_state.remember(self, self._store)
        self._closer = threading.Thread(target=self._close_session, name="close session", daemon=True)
        self._closer.start()

    def wait_closed(self, timeout_s: float) -> bool:
        """Wait until the session has closed, after the window was closed; False when that takes longer."""
        if self._closer is None:
            return True
        self._closer.join(timeout_s)
        return not self._closer.is_alive()

    def stop_polling(self) -> None:
        """Stop polling the session; what is shown stays."""
        self._picture_timer.stop()
        self._number_timer.stop()

    def _close_session(self) -> None:
        try:
            self.session.close()
        except Exception:  # several stages may have failed, each with its own error
            log.exception("the session did not close cleanly")
        if self._training is not None:  # after the devices: they must not wait for a checkpoint
            self._training.wait_closed(_TRAINING_CLOSE_S)

    def _may_close(self) -> bool:
        acquisition = self.session.acquisition_status()
        if acquisition.active:
            stored, requested = count(acquisition.pairs_acknowledged), count(acquisition.pairs_requested)
            return self._confirm(f"An acquisition is running: {stored} of {requested} pairs are stored.")
        if self.session.recording_status().active:
            return self._confirm("A recording is running.")
        if self._training is not None and self._training.running:
            return self._confirm("A training is running. It writes a checkpoint and can be resumed.")
        return True

    def _confirm(self, text: str) -> bool:
        answer = QMessageBox.question(self, "Stop and close?", f"{text}\nStop it and close SpeckleScope?")
        return answer == QMessageBox.StandardButton.Yes

    # -- construction ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        central = QWidget()
        central.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        layout = QVBoxLayout(central)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX)
        layout.setSpacing(GAP_PX)
        panes = QHBoxLayout()
        panes.setSpacing(GAP_PX)
        for pane in self.pictures.panes:
            panes.addWidget(pane, 1)
        layout.addWidget(self.controls)
        layout.addWidget(self.banner)
        layout.addLayout(panes, 1)
        layout.addWidget(self.status_strip)
        layout.addWidget(self.acquisition)
        self.setCentralWidget(central)
        self.resize(*_INITIAL_SIZE_PX)
        self._unfocus()

    def _connect(self) -> None:
        # To methods alone: Qt would keep a function of this scope, and with it this window and the session, for ever.
        self.controls.live_clicked.connect(self.toggle_live)
        self.controls.record_clicked.connect(self.toggle_recording)
        self.controls.snapshot_clicked.connect(self.save_snapshot)
        self.controls.export_clicked.connect(self.export_recording)
        self.controls.help_clicked.connect(self.show_about)
        self.controls.setup_clicked.connect(self.go_to_setup)
        self.controls.train_clicked.connect(self.show_training)
        self.status_strip.drift.retune_clicked.connect(self.retune)
        self.acquisition.start_requested.connect(self._start_acquisition)
        self.acquisition.stop_requested.connect(self._stop_acquisition)
        self.acquisition.pause_requested.connect(self._pause_acquisition)
        self.acquisition.continue_requested.connect(self._continue_acquisition)
        for field in self.findChildren(QLineEdit):  # including those inside number boxes
            field.returnPressed.connect(self._unfocus)
        for key, action in (
            ("Space", self.toggle_live),
            ("R", self.toggle_recording),
            ("S", self.save_snapshot),
            ("E", self.export_recording),
            ("T", self.retune),
            ("F", self.pictures.fit),
            ("Esc", self._escape),
            ("F1", self.show_about),
        ):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setAutoRepeat(False)
            shortcut.activated.connect(action)

    def _timer(self, interval_ms: int, action: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(action)
        timer.start(interval_ms)
        return timer
