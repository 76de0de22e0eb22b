"""The real window on a real session whose camera exposes by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QEventLoop, QObject, QTimer
from PyQt6.QtWidgets import QApplication

from acquisition.capture.pair_capture import Rig
from app.benchmarks.live.clocked_camera import ClockedCamera
from app.benchmarks.live.pluggable_slm import PluggableSlm
from app.gui.command import Command
from app.gui.image_view.contents import Content
from app.gui.live_page.page import LivePage
from app.gui.main_window.session_host import HostState, InstrumentChoice, SessionHost, load_libraries
from app.gui.main_window.window import MainWindow
from app.gui.widgets.style import apply_style
from app.gui.window_bench.heartbeat import Heartbeat
from app.gui.window_bench.painted import PaintedNumbers
from app.instrument.config import InstrumentConfig, LiveConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import attach
from app.live.session import Session
from app.live.slm.scene import Scene
from app.status import LiveView, RecordingState, RecordingStatus
from app.training.train import twin_data
from drivers.base import SpeckleScopeError
from drivers.clock import RealClock
from reconstruction.data.simulation import simulated_pool
from reconstruction.models.model import Model, load_model

_PICTURES = 16
_SIZE_PX = (1366, 740)
_READY_S = 120.0
_CLOSE_S = 60.0
_STORED_S = 60.0
_CHECK_MS = 10


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What is measured on.

    Parameters
    ----------
    fps : float
        Exposures per second.
    side_px : int, optional
        Side of the frames; None for frames of the simulated fibre with the shipped model, a number for frames without a model.
    has_slm : bool
        Whether there is a simulated SLM that shows patterns in turn.
    live : LiveConfig
        The live view, as in an instrument file.
    """

    fps: float = 60.0
    side_px: int | None = None
    has_slm: bool = False
    live: LiveConfig = field(default_factory=LiveConfig)


class BenchWindow:
    """Window, session and camera of one measurement; closed at the end of the ``with`` block.

    Parameters
    ----------
    archive : Path
        Folder for recordings.
    options : BenchOptions, optional
        What is measured on.
    """

    def __init__(self, archive: Path, options: BenchOptions | None = None) -> None:
        self.app = QApplication.instance() or QApplication(["specklescope-bench"])
        assert isinstance(self.app, QApplication)
        apply_style(self.app)
        load_libraries()
        self._options = options or BenchOptions()
        self._config = InstrumentConfig(archive=archive, live=self._options.live)
        self._sessions: list[Session] = []
        self._pictures: list[NDArray[np.uint8]] = []
        self.slm: PluggableSlm | None = None
        self.camera: ClockedCamera
        host = SessionHost(lambda choice: lambda: self._open(choice))
        host.adopt(self._open(InstrumentChoice()))
        self.window = MainWindow(host)
        self.window.resize(*_SIZE_PX)
        self.window.show()
        self.heartbeat = Heartbeat()
        self._look_at_page()
        host.opened.connect(self._look_at_page)

    @property
    def session(self) -> Session:
        """The session that is open, or was last."""
        return self._sessions[-1]

    @property
    def is_open(self) -> bool:
        """Whether a session is open."""
        return self.window.host.state is HostState.OPEN

    def _open(self, choice: InstrumentChoice) -> Session:
        """Open a session on a new camera; the window opens it again with another model."""
        config, options = self._config, self._options
        fibre = fibre_name(config.twin.optics)
        model, scene = None, None
        if options.side_px is None:
            model = load_model(choice.model or config.model)
            attach(model, config.response, fibre)
        if not self._pictures:  # a session that is opened again simulates nothing: a camera would not either
            self._pictures = self._simulated(model)
        self.camera = ClockedCamera(self._pictures, options.fps)
        if options.has_slm and model is not None:
            shape = (config.twin.optics.image_px, config.twin.optics.image_px)
            self.slm = PluggableSlm(shape, config.twin.slm)
            scene = Scene(config.scene, shape, model.grid_px, config.phase_range_rad)
        session = Session(config, Rig(self.camera, self.slm, RealClock()), fibre, model, scene)
        self._sessions.append(session)
        return session

    def _simulated(self, model: Model | None) -> list[NDArray[np.uint8]]:
        """Return what the camera sees: frames of the fibre, or noise where there is no model."""
        side_px = self._options.side_px
        if side_px is not None:
            rng = np.random.default_rng(0)
            return [rng.integers(0, 200, (side_px, side_px), dtype=np.uint8) for _ in range(2)]
        assert model is not None
        return _frames_of_fibre(model.grid_px)

    def _look_at_page(self) -> None:
        """Watch what the page of the session paints."""
        page = self.window.page
        assert page is not None
        self.page = page
        self.painted = PaintedNumbers(page.pictures.showing(Content.SPECKLE))
        self.phase_paints = PhasePaints(page)

    def start(self) -> None:
        """Start the live view and wait for the first reconstruction; raises SpeckleScopeError if it does not come."""
        self.window.carry_out(Command.TOGGLE_LIVE)
        if not self.run_until(lambda: self.window.views_shown > 0 and bool(self.painted.paintings), _READY_S):
            said = self.window.banner.text or "no message"
            raise SpeckleScopeError(f"the live view showed nothing within {_READY_S:g} s; the window says: {said}")

    def record(self, name: str, *, stored: bool = True) -> None:
        """Start a recording and wait until a frame is on the disk, or with ``stored=False`` only until one has come.

        Raises SpeckleScopeError if none does.
        """
        self.page.controls.recording_name.setText(name)
        self.window.carry_out(Command.RECORD)

        def has_begun() -> bool:
            status = self.session.recording_status()
            return status.frames_recorded > 0 if stored else status.active and status.path is not None

        if not self.run_until(has_begun, _READY_S):
            raise SpeckleScopeError(f"nothing was recorded; the window says: {self.window.banner.text or 'no message'}")

    def stop_recording(self) -> RecordingStatus:
        """Stop the recording and wait until it is stored; return how it ended. Raises SpeckleScopeError if it does not end."""
        if self.session.recording_status().state is RecordingState.RECORDING:
            self.window.carry_out(Command.RECORD)
        return self.ended_recording()

    def ended_recording(self) -> RecordingStatus:
        """Wait until the recording is stored; return how it ended. Raises SpeckleScopeError if it does not end."""
        if not self.run_until(lambda: not self.session.recording_status().active, _STORED_S):
            raise SpeckleScopeError(f"the recording did not end within {_STORED_S:g} s")
        return self.session.recording_status()

    def paints_again(self, frames: int, timeout_s: float) -> bool:
        """Wait until so many further frames are painted; return whether they are."""
        painted = len(self.painted.paintings) + frames
        return self.run_until(lambda: len(self.painted.paintings) >= painted, timeout_s)

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


@cache
def _frames_of_fibre(grid_px: int) -> list[NDArray[np.uint8]]:
    """Return frames of the simulated fibre; all windows of a process see the same."""
    with simulated_pool(twin_data(InstrumentConfig(), "held-out", _PICTURES, 3, grid_px), 0) as pool:
        return [np.array(image) for image in pool.speckle]


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
