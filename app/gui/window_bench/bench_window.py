"""The real window on a real session whose camera exposes by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PyQt6.QtCore import QEvent, QEventLoop, QObject, QTimer
from PyQt6.QtWidgets import QApplication

from acquisition.capture.pair_capture import Rig
from app.benchmarks.live.clocked_camera import ClockedCamera
from app.gui.image_view.contents import Content
from app.gui.live_page.page import LivePage
from app.gui.main_window.session_host import SessionHost
from app.gui.main_window.window import MainWindow
from app.gui.widgets.style import apply_style
from app.gui.window_bench.heartbeat import Heartbeat
from app.gui.window_bench.painted import PaintedNumbers
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import attach
from app.live.session import Session
from app.status import LiveView
from app.training.train import twin_data
from drivers.base import SpeckleScopeError
from drivers.clock import RealClock
from reconstruction.data.simulation import simulated_pool
from reconstruction.models.model import load_model

_PICTURES = 16
_SIZE_PX = (1366, 740)
_READY_S = 120.0
_CLOSE_S = 60.0
_CHECK_MS = 10


class BenchWindow:
    """Window, session and camera of one measurement; closed at the end of the ``with`` block.

    Parameters
    ----------
    archive : Path
        Folder for recordings.
    fps : float
        Exposures per second.

    Raises
    ------
    SpeckleScopeError
        The first picture does not come.
    """

    def __init__(self, archive: Path, fps: float = 60.0) -> None:
        self.app = QApplication.instance() or QApplication(["specklescope-bench"])
        assert isinstance(self.app, QApplication)
        apply_style(self.app)
        config = InstrumentConfig(archive=archive)
        fibre = fibre_name(config.twin.optics)
        model = load_model(config.model)
        attach(model, config.response, fibre)
        with simulated_pool(twin_data(config, "held-out", _PICTURES, 3, model.grid_px), 0) as pool:
            pictures = [np.array(image) for image in pool.speckle]
        self.camera = ClockedCamera(pictures, fps)
        self.session = Session(config, Rig(self.camera, None, RealClock()), fibre, model, None)
        host = SessionHost(lambda choice: lambda: self.session)
        host.adopt(self.session)
        self.window = MainWindow(host)
        self.window.resize(*_SIZE_PX)
        self.window.show()
        page = self.window.page
        assert page is not None
        self.page = page
        self.painted = PaintedNumbers(page.pictures.showing(Content.SPECKLE))
        self.phase_paints = PhasePaints(page)
        self.heartbeat = Heartbeat()

    def start(self) -> None:
        """Start the live view and wait for the first reconstruction."""
        self.window.toggle_live()
        if not self.run_until(lambda: self.window.views_shown > 0 and bool(self.painted.paintings), _READY_S):
            said = self.window.banner.text or "no message"
            raise SpeckleScopeError(f"the live view showed nothing within {_READY_S:g} s; the window says: {said}")

    def record(self, name: str) -> None:
        """Start a recording and wait for its first frame."""
        self.page.controls.recording_name.setText(name)
        self.window.toggle_recording()
        if not self.run_until(lambda: self.session.recording_status().frames_recorded > 0, _READY_S):
            raise SpeckleScopeError(f"nothing was recorded; the window says: {self.window.banner.text or 'no message'}")

    def run(self, seconds: float) -> None:
        """Let the window work for so long."""
        self.run_until(lambda: False, seconds)

    def run_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Let the window work until a condition holds; return whether it does."""
        loop = QEventLoop()
        deadline_s = time.monotonic() + timeout_s
        timer = QTimer()
        timer.timeout.connect(lambda: loop.quit() if condition() or time.monotonic() > deadline_s else None)
        timer.start(_CHECK_MS)
        loop.exec()
        timer.stop()
        return condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.window.shut_down()
        self.run_until(lambda: not self.window.isVisible(), _CLOSE_S)
        self.window.wait_closed(_CLOSE_S)
        self.window.deleteLater()
        QApplication.processEvents()


class PhasePaints(QObject):
    """From the arrival of a frame to the end of the painting of its phase, without the time inside the engine, in seconds."""

    def __init__(self, page: LivePage) -> None:
        super().__init__()
        self.presents_s: list[float] = []
        self._shown: LiveView | None = None
        page.view_shown.connect(self._note)
        page.pictures.showing(Content.PHASE).canvas.viewport.installEventFilter(self)

    def _note(self, view: LiveView) -> None:
        self._shown = view

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """After the first painting of a phase, take the time."""
        if event is not None and event.type() is QEvent.Type.Paint and self._shown is not None:
            QTimer.singleShot(0, self._time)
        return super().eventFilter(watched, event)

    def _time(self) -> None:
        view, self._shown = self._shown, None
        if view is not None and view.reconstruction is not None:
            since_s = time.monotonic() - view.frame.t_ns * 1e-9
            self.presents_s.append(since_s - view.reconstruction.inference_s)
