"""The live page of one session: it polls the session, shows its pictures and numbers, and passes commands on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from PyQt6.QtCore import QByteArray, QRect, Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QDockWidget, QMainWindow, QToolBar, QVBoxLayout, QWidget

from acquisition.streams.times import NO_TIMES, TimeStats
from app.gui.command import Command
from app.gui.image_view.contents import Content, PaneFacts
from app.gui.image_view.measure.measure_panel import MeasurePanel
from app.gui.image_view.pane_grid import PaneGrid
from app.gui.image_view.pane_options import PaneOptions
from app.gui.live_page.camera_panel import CameraPanel
from app.gui.live_page.cells.panel import CellsPanel
from app.gui.live_page.click_window import ClickWindow
from app.gui.live_page.control_bar import ControlBar, Tone
from app.gui.live_page.latency_panel import LatencyPanel
from app.gui.live_page.page_state import preset_of, restore
from app.gui.live_page.paint_times import PaintTimes
from app.gui.live_page.preset_panel import PresetPanel
from app.gui.live_page.record_panel import RecordPanel
from app.gui.live_page.recording_result import RecordingResult
from app.gui.live_page.sampler_bar import Picture, SamplerBar, shown_picture
from app.gui.live_page.slm_panel import SlmPanel
from app.gui.live_page.status_strip import StatusStrip
from app.gui.pages.waker import Waker
from app.gui.session_protocol import SessionLike
from app.gui.widgets.formatting import count, duration
from app.gui.widgets.labels import scrolled
from app.gui.widgets.questions import Question, ask
from app.gui.widgets.style import GAP_PX
from app.live.recordings.name_pattern import recording_name, used_in
from app.live.recordings.options import RecordingOptions
from app.live.slm.content import SlmContent
from app.measuring.marked_cells import PromptSource
from app.presets import PresetStore
from app.status import LiveState, LiveStatus, Message, MessageLevel, Overlay, RecordingState, StageName, Topic
from drivers.base import SpeckleScopeError
from drivers.camera_settings import Roi, RoiRange, SettingName, SettingValue
from reconstruction.sampling import MOST_SEED, Sampling, Shown
from reconstruction.segmentation.config import SegmentationConfig

#: After so many seconds without a new frame or a new reconstruction, the page says so at the next look, a moment later.
_SILENT_AFTER_S = 1.5
_NO_SAMPLES = "The model in use draws no samples; choose one that does on the Train page"
_PANELS: Final = {
    Command.RECORD_PANEL: "record",
    Command.CAMERA_PANEL: "camera",
    Command.MEASURE_PANEL: "measure",
    Command.SLM_PANEL: "slm",
    Command.PRESETS_PANEL: "presets",
    Command.LATENCY_PANEL: "latency",
    Command.CELLS_PANEL: "cells",
}

log = logging.getLogger(__name__)


class LivePage(QMainWindow):
    """Pictures, numbers and controls of one session.

    It is a window inside the window, because its panels are docks.

    Parameters
    ----------
    session : SessionLike
        The session to show.
    presets : PresetStore, optional
        The operator's presets; by default those of this page alone.
    """

    #: A Message for the operator.
    reported = pyqtSignal(object)
    #: A command was carried out.
    succeeded = pyqtSignal()
    #: The operator wants to play the last recording; its folder.
    play_requested = pyqtSignal(object)
    #: The operator wants to choose how the last recording is exported; a tuple with its folder.
    export_requested = pyqtSignal(object)
    #: The operator wants to choose another model.
    models_requested = pyqtSignal()
    #: A LiveView was given to the panes; they paint it next.
    view_shown = pyqtSignal(object)

    def __init__(self, session: SessionLike, presets: PresetStore | None = None) -> None:
        super().__init__()
        self.setWindowFlags(Qt.WindowType.Widget)
        self.session = session
        self.preset_store = presets or PresetStore()
        self.views_shown = 0
        self._last_frame_s: float | None = None
        self._last_view_s: float | None = None
        self._live_state = LiveState.STOPPED
        self.controls = ControlBar()
        self.sampler = SamplerBar()
        self._facts = PaneFacts(
            field_um=session.field_um,
            full_scale=session.frame_full_scale,
            display_range_rad=session.display_range_rad,
        )
        self.pictures = PaneGrid(self._facts)
        self._overlay: Overlay | None = None
        self._prompt_source = PromptSource()
        self.status_strip = StatusStrip()
        self.result = RecordingResult()
        self.recorder = RecordPanel()
        self.camera = CameraPanel()
        self.slm = SlmPanel()
        self.presets = PresetPanel()
        self.presets.show_names(self.preset_store.names)
        self.latency = LatencyPanel()
        self.cells = CellsPanel(session.field_um, session.display_range_rad[1])
        self._paint_times = PaintTimes()
        self.measurements = MeasurePanel(self.pictures.measure)
        self.docks = tuple(
            self._dock(title, panel, name)
            for title, panel, name in (
                ("Record", self.recorder, "record"),
                ("Camera", self.camera, "camera"),
                ("Measure", self.measurements, "measure"),
                ("SLM", self.slm, "slm"),
                ("Presets", self.presets, "presets"),
                ("Latency", self.latency, "latency"),
                ("Cells", self.cells, "cells"),
            )
        )
        self._build()
        self._connect()
        self.refresh_numbers()
        self._waker = Waker(self.refresh_pictures)
        session.watch_newest(self._waker.wake)

    def release(self) -> None:
        """Fetch nothing any more."""
        self._waker.release()

    @property
    def _is_minimized(self) -> bool:
        window = self.window()
        return window is not None and window.isMinimized()

    # -- called whenever there is something new, and by the window's timer ----------------------------------------

    def refresh_pictures(self) -> None:
        """Fetch the newest frame, view and overlay, and show them unless the window is minimized."""
        frame, view, overlay = self.session.poll_frame(), self.session.poll_view(), self.session.poll_overlay()
        if frame is not None:
            self._last_frame_s = time.monotonic()
        if view is not None:
            self.views_shown += 1
            self._last_view_s = time.monotonic()
        if self._is_minimized:
            return
        self.pictures.show_slm(self.session.slm_phase())
        if frame is not None:
            self.pictures.show_frame(frame)
            self._paint_times.picture_given()
        if view is not None:
            self.pictures.show_view(view)
            if any(pane.content is Content.PHASE for pane in self.pictures.visible_panes):
                self._paint_times.phase_given(view.frame.index)
            self.view_shown.emit(view)
        if overlay is not None:
            self._overlay = overlay
            self.cells.note_overlay(overlay)
            self.pictures.show_overlay(overlay)

    def note_drawn(self, seconds: float) -> None:
        """Note that the window was drawn with what this page shows, and how long that took."""
        frame_index = self._paint_times.drawn(seconds)
        if frame_index is not None:
            self.session.note_painted(frame_index)

    def refresh_numbers(self) -> None:
        """Show the session's numbers and states."""
        status, recording = self.session.live_status(), self.session.recording_status()
        self._show_live(status)
        self.status_strip.show_status(status)
        if self.isVisible():  # a window takes more height for a row that is there before it is first shown
            self._show_sampler(status)
        self.controls.show_recording(recording)
        self.result.show_recording(recording)
        self.recorder.show_recording(recording)
        if self.recorder.isVisible():
            self._show_next_recording()
        if self.slm.isVisible():
            self.slm.show_phase(self.session.slm_phase())
            self.slm.show_status(self.session.slm_status())
        if self.latency.isVisible():
            self.latency.show_times(self._stage_times(status))
            self.latency.show_loop_back(self.session.loop_back_status())
        if self.cells.isVisible():
            self.cells.show_config(self.session.segmentation)
            self.cells.refresh()
        self.camera.show_settings(self.session.camera_settings())
        self.camera.show_reference_age(status.reference_age_s, live=status.running and not recording.active)
        if not self._is_minimized:
            self.pictures.refresh_numbers()

    def _show_sampler(self, status: LiveStatus) -> None:
        shown = status.sampler.sampling.shown if status.sampler is not None else Shown.SAMPLE
        picture = shown_picture(shown, uncertainty=self._shows_uncertainty)
        self.sampler.show_state(status.sampler, picture, preparing=status.choosing_engine)

    @property
    def _shows_uncertainty(self) -> bool:
        """Whether the uncertainty has the place of the phase."""
        shown = {pane.content for pane in self.pictures.visible_panes}
        return Content.UNCERTAINTY in shown and Content.PHASE not in shown

    def _stage_times(self, status: LiveStatus) -> dict[StageName, TimeStats]:
        """Return the times of all stages and of the window; while the live view is stopped, nothing is known of them."""
        painted = self._paint_times.stats() if status.running else NO_TIMES
        return {**status.stage_times, StageName.PAINT: painted}

    def _show_live(self, status: LiveStatus) -> None:
        if status.running and not self._live_state.is_running:
            self._last_frame_s = self._last_view_s = None
            self._paint_times = PaintTimes()
        self._live_state = status.state
        self.controls.show_live(status.state, *self._live_text(status))
        self._show_age(status)
        if not status.running:
            self.pictures.show_message("The live view is stopped. Press Start live, or Space.")
        elif self._last_frame_s is None:
            self.pictures.show_message("Waiting for the first frame\N{HORIZONTAL ELLIPSIS}")
        elif self._last_view_s is None:  # frames come already: only what is made of them is missing
            self.pictures.show_message(_why_no_phase(status))

    def _show_age(self, status: LiveStatus) -> None:
        """Say on pictures that stay, also those in windows of their own, that they are not live."""
        silent_s, old_s = _seconds_since(self._last_frame_s), _seconds_since(self._last_view_s)
        frames = "" if status.running else "stopped"
        if status.running and silent_s is not None and silent_s > _SILENT_AFTER_S:
            frames = f"no frame for {silent_s:.0f} s"
        is_old = old_s is not None and old_s > _SILENT_AFTER_S
        self.pictures.show_age(frames, frames or (f"no phase for {old_s:.0f} s" if is_old else ""))

    def _live_text(self, status: LiveStatus) -> tuple[str, Tone]:
        state = status.state
        silent_s, old_s = _seconds_since(self._last_frame_s), _seconds_since(self._last_view_s)
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
        if status.choosing_engine:
            return "Choosing engine\N{HORIZONTAL ELLIPSIS}", Tone.WAITING
        if old_s is not None and old_s > _SILENT_AFTER_S:  # the frames are live, the phase is not
            return f"No phase for {old_s:.0f} s", Tone.WAITING
        return "Live", Tone.LIVE

    # -- commands of the operator ---------------------------------------------------------------------------------

    def answers(self) -> dict[Command, Callable[[], object]]:
        """Return what this page does for each command that it carries out."""
        return {
            Command.TOGGLE_LIVE: self.toggle_live,
            Command.RECORD: self.toggle_recording,
            Command.MARK: self.recorder.request_marker,
            Command.SNAPSHOT: self.save_snapshot,
            Command.EXPORT: self.export_recording,
            Command.EXPORT_AS: self.request_export,
            Command.RETUNE: self.retune,
            Command.NEW_SAMPLE: self.draw_new_sample,
            Command.FIT: self.pictures.fit,
            **{command: partial(self.toggle_panel, name) for command, name in _PANELS.items()},
        }

    def toggle_live(self) -> None:
        """Start the live view, or stop it; a recording that is running is asked about first."""
        if not self.session.live_status().running:
            self.attempt(self.session.start_live)
        elif self.may_end_recording("stop the live view"):
            self.attempt(self.session.stop_live)

    def toggle_recording(self) -> None:
        """Start a recording, or finish it."""
        name = self.controls.recording_name.text().strip()
        if self.session.recording_status().active:
            self.attempt(self.session.stop_recording)
        elif not name:
            self.refuse("The recording has no name; type one next to the Record button")
        else:
            self.attempt(lambda: self._start_recording(name))

    def _start_recording(self, name: str) -> None:
        options = self.recorder.options()
        self.session.start_recording(self._recording_name(name, options), options)

    def _recording_name(self, name: str, options: RecordingOptions) -> str:
        """Return the name that the pattern stands for now."""
        is_used = used_in(self.session.recording_folder(options))
        return recording_name(self.recorder.pattern.text().strip(), name, datetime.now(), is_used)

    def _show_next_recording(self) -> None:
        """Show the next name, where it goes, and how long the disk lasts; or why it cannot be recorded so."""
        try:
            options = self.recorder.options()
            name = self._recording_name(self.controls.recording_name.text().strip() or "recording", options)
            self.recorder.show_next(name, self.session.recording_room(options))
        except SpeckleScopeError as error:
            self.recorder.show_next(str(error), None)

    def add_marker(self, text: str) -> None:
        """Mark this moment of the recording."""
        self.attempt(lambda: self.session.add_marker(text))

    def keep_before(self, seconds: float) -> None:
        """Keep so many seconds of frames in memory, for recordings that begin before Record is pressed."""
        self.attempt(lambda: self.session.set_pre_trigger(seconds))

    def save_snapshot(self) -> None:
        """Save the present view, and show where."""

        def save() -> None:
            self.reported.emit(Message(MessageLevel.INFO, f"Snapshot saved: {self.session.snapshot(self.recorder.options())}"))

        self.attempt(save)

    def export_recording(self) -> None:
        """Export the last recording in the background."""
        self.attempt(self.session.export_last_recording)

    def request_export(self) -> None:
        """Ask how the last recording is exported."""
        recording = self.session.recording_status()
        if recording.path is None:
            self.refuse("Nothing was recorded yet; the Data page exports older recordings")
        elif recording.active:
            self.refuse(f"{recording.path.name} is being recorded; wait for its end, or stop it")
        else:
            self.export_requested.emit((recording.path,))

    def retune(self) -> None:
        """Measure a new reference and new reference pairs; a recording that is running is asked about first."""
        if self.may_end_recording("re-tune"):
            self.attempt(self.session.retune)

    def choose_sampling(self, sampling: Sampling) -> None:
        """Choose in how many steps samples are drawn, from which noise, and what is shown."""
        self.attempt(lambda: self.session.choose_sampling(sampling))

    def choose_segmentation(self, config: SegmentationConfig) -> None:
        """Label cells in another way."""
        self.attempt(lambda: self.session.choose_segmentation(config))

    def mark_cells(self) -> None:
        """Open a window with the frame that is on the overlay, on which cells are marked by clicks; the live view goes on."""
        if self._overlay is None or self._overlay.view.reconstruction is None:
            self.refuse("No frame with a phase was shown yet; start the live view first")
            return
        window = ClickWindow(self, self._facts, self._overlay, self._prompt_source, self.session.segmentation)
        window.refused.connect(self.refuse)
        window.saved.connect(self._tell_saved)
        window.show()

    def show_picture_of_samples(self, picture: Picture) -> None:
        """Show one sample or the mean as the phase, or the uncertainty in the place of the phase."""
        sampler = self.session.live_status().sampler
        if sampler is None:
            self.refuse(_NO_SAMPLES)
            return
        self._put_uncertainty(in_place_of_phase=picture is Picture.UNCERTAINTY)
        shown = {Picture.SAMPLE: Shown.SAMPLE, Picture.MEAN: Shown.MEAN}.get(picture, sampler.sampling.shown)
        self.choose_sampling(replace(sampler.sampling, shown=shown))

    def _put_uncertainty(self, *, in_place_of_phase: bool) -> None:
        if in_place_of_phase == self._shows_uncertainty:
            return
        before, after = (Content.PHASE, Content.UNCERTAINTY) if in_place_of_phase else (Content.UNCERTAINTY, Content.PHASE)
        panes = [pane for pane in self.pictures.visible_panes if pane.content is before] or [self.pictures.current]
        for pane in panes:
            pane.set_options(PaneOptions.of(after))

    def draw_new_sample(self) -> None:
        """Draw samples from other noise, which then stays the same for every frame."""
        sampler = self.session.live_status().sampler
        if sampler is None:
            self.refuse(_NO_SAMPLES)
        elif sampler.sampling.shown is not Shown.SAMPLE or self._shows_uncertainty:
            self.refuse("Only a sample depends on the noise; show one sample first")
        else:
            self.choose_sampling(replace(sampler.sampling, seed=(sampler.sampling.seed + 1) % (MOST_SEED + 1)))

    def change_camera(self, name: SettingName, value: SettingValue) -> None:
        """Change a setting of the camera; one that changes the shape of frames ends a recording, so it is asked about first."""
        if not name.changes_shape or self.may_end_recording(f"change the {name.label}"):
            self.attempt(lambda: self.session.set_camera(name, value))

    def expose_automatically(self) -> None:
        """Set the exposure to the light."""
        self.attempt(self.session.auto_exposure)

    def show_on_slm(self, content: SlmContent) -> None:
        """Let the SLM show something else."""
        self.attempt(lambda: self.session.show_on_slm(content))

    def show_my_picture(self, file: Path) -> None:
        """Let the SLM show a picture file, and show the panel of the SLM."""
        if not self.slm.isVisible():
            self.toggle_panel("slm")
        self.slm.use_picture(file)

    def start_loop_back(self, flashes: int) -> None:
        """Let the SLM flash, and measure when each flash is seen."""
        self.attempt(lambda: self.session.start_loop_back(flashes))

    def stop_loop_back(self) -> None:
        """Stop flashing."""
        self.attempt(self.session.stop_loop_back)

    def apply_preset(self, name: str) -> None:
        """Set everything as it was when a preset was saved; say what does not fit."""
        problems: list[str] = []
        if self.attempt(lambda: problems.extend(restore(self, self.preset_store.state(name)))):
            text = f"preset {name!r} is applied"
            if problems:
                text += f", except for what does not fit: {'; '.join(problems)}"
            self.reported.emit(Message(MessageLevel.WARNING if problems else MessageLevel.INFO, text, Topic.COMMAND))

    def save_preset(self, name: str) -> None:
        """Save the present state under a name; one that is used is asked about first."""
        question = Question(
            text=f"There is a preset {name!r} already.", agree="Replace the preset", refuse="Keep the stored preset"
        )
        if name in self.preset_store.names and not ask(question, self.window()):
            return
        self._change_presets(lambda: self.preset_store.save(name, preset_of(self)), name)

    def rename_preset(self, old: str, new: str) -> None:
        """Give a preset another name."""
        self._change_presets(lambda: self.preset_store.rename(old, new), new)

    def delete_preset(self, name: str) -> None:
        """Delete a preset, if the operator agrees."""
        question = Question(text=f"The preset {name!r} will be gone.", agree="Delete the preset", refuse="Keep the preset")
        if ask(question, self.window()):
            self._change_presets(lambda: self.preset_store.delete(name), "")

    def _change_presets(self, change: Callable[[], object], selected: str) -> None:
        if self.attempt(change):
            self.presets.show_names(self.preset_store.names, selected)

    def measure_reference(self) -> None:
        """Measure a new reference."""
        self.attempt(self.session.new_reference)

    def use_region(self, drawn: QRect) -> None:
        """Let the camera read the drawn part of the present frame."""
        setting = next((one for one in self.session.camera_settings() if one.name is SettingName.ROI), None)
        if setting is None or not isinstance(setting.value, Roi) or not isinstance(setting.limits, RoiRange):
            self.refuse("This camera reads only its whole sensor")
            return
        here = setting.value
        region = Roi(x=here.x + drawn.x(), y=here.y + drawn.y(), width=drawn.width(), height=drawn.height())
        self.change_camera(SettingName.ROI, setting.limits.nearest(region))

    def open_recording_folder(self) -> None:
        """Show the folder of the last recording in the file manager."""
        path = self.session.recording_status().path
        if path is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(path))):
            self.refuse(f"There is no file manager to show {path}; open this folder yourself")

    def play_recording(self) -> None:
        """Play the last recording in place of the camera."""
        path = self.session.recording_status().path
        if path is not None:
            self.play_requested.emit(path)

    def may_end_recording(self, purpose: str) -> bool:
        """Return whether nothing is recorded; ask about a running recording, and stop it if the operator agrees.

        Parameters
        ----------
        purpose : str
            What the operator wants to do, as a verb.
        """
        recording = self.session.recording_status()
        if recording.state is not RecordingState.RECORDING:
            return True
        question = Question(
            text=f"A recording is running: {duration(recording.seconds)}, {count(recording.frames_recorded)} frames are "
            f"stored.\nTo {purpose}, it has to end. What is recorded so far is kept.",
            agree=f"Stop recording and {purpose}",
            refuse="Keep recording",
        )
        return ask(question, self.window()) and self.attempt(self.session.stop_recording)

    def toggle_panel(self, name: str) -> None:
        """Show a panel in front, or hide it if it is there; its name is that of its dock, such as ``record``."""
        dock = next(dock for dock in self.docks if dock.objectName() == name)
        shown = dock.isVisible() and not dock.visibleRegion().isEmpty()
        dock.setVisible(not shown)
        if not shown:
            dock.raise_()
        self.refresh_numbers()

    def panel_places(self) -> str:
        """Return which panels are open and where, as text."""
        return bytes(self.saveState().data()).hex()

    def move_panels(self, places: str) -> bool:
        """Open and move panels as they were; return whether the text could be read."""
        try:
            return self.restoreState(QByteArray(bytes.fromhex(places)))
        except ValueError:
            return False

    def attempt(self, action: Callable[[], object]) -> bool:
        """Carry a command out; return whether it was. A refusal is reported, and nothing else changes."""
        try:
            action()
        except (SpeckleScopeError, OSError) as error:
            log.error("%s", error)
            self.refuse(str(error))
            return False
        self.succeeded.emit()
        self.refresh_numbers()
        return True

    def refuse(self, text: str) -> None:
        """Report why a command is not carried out."""
        self.reported.emit(Message(MessageLevel.ERROR, text, Topic.COMMAND))
        self.refresh_numbers()

    def _tell_saved(self, file: str) -> None:
        self.reported.emit(Message(MessageLevel.INFO, f"Saved: {file}"))

    # -- construction ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        central = QWidget()
        central.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        layout = QVBoxLayout(central)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, 0)
        layout.setSpacing(GAP_PX)
        layout.addWidget(self.controls)
        layout.addWidget(self.sampler)
        layout.addWidget(self.pictures, 1)
        layout.addWidget(self.result)
        self.setCentralWidget(central)
        self.addToolBar(Qt.ToolBarArea.BottomToolBarArea, self._numbers_bar())
        for dock in self.docks:
            self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
            dock.hide()
        for dock in self.docks[1:]:
            self.tabifyDockWidget(self.docks[0], dock)

    def _numbers_bar(self) -> QToolBar:
        """Return the row of numbers; it goes below the panels too, because beside one it would be too narrow."""
        bar = QToolBar("Numbers")
        bar.setObjectName("numbers")
        bar.setMovable(False)
        holder = QWidget()  # a tool bar gives its widgets no margins
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, 0)
        layout.addWidget(self.status_strip)
        bar.addWidget(holder)
        toggle = bar.toggleViewAction()
        assert toggle is not None
        toggle.setVisible(False)  # it cannot be hidden from the context menu
        return bar

    def _dock(self, title: str, panel: QWidget, name: str) -> QDockWidget:
        dock = QDockWidget(title, self)
        dock.setObjectName(name)
        dock.setWidget(scrolled(panel))
        return dock

    def _connect(self) -> None:
        # To methods alone: Qt would keep a function of this scope, and with it this page and the session, for ever.
        self.controls.live_clicked.connect(self.toggle_live)
        self.controls.record_clicked.connect(self.toggle_recording)
        self.controls.snapshot_clicked.connect(self.save_snapshot)
        self.status_strip.models_requested.connect(self.models_requested)
        self.sampler.sampling_requested.connect(self.choose_sampling)
        self.sampler.picture_requested.connect(self.show_picture_of_samples)
        self.sampler.new_sample_requested.connect(self.draw_new_sample)
        self.status_strip.drift.retune_clicked.connect(self.retune)
        self.result.open_clicked.connect(self.open_recording_folder)
        self.result.play_clicked.connect(self.play_recording)
        self.result.export_clicked.connect(self.request_export)
        self.recorder.marker_requested.connect(self.add_marker)
        self.recorder.pre_trigger_changed.connect(self.keep_before)
        self.camera.change_requested.connect(self.change_camera)
        self.camera.auto_exposure_requested.connect(self.expose_automatically)
        self.camera.reference_requested.connect(self.measure_reference)
        self.camera.region_requested.connect(self.pictures.draw_roi)
        self.camera.refused.connect(self.refuse)
        self.slm.content_requested.connect(self.show_on_slm)
        self.presets.apply_requested.connect(self.apply_preset)
        self.presets.save_requested.connect(self.save_preset)
        self.presets.rename_requested.connect(self.rename_preset)
        self.presets.delete_requested.connect(self.delete_preset)
        self.latency.start_requested.connect(self.start_loop_back)
        self.latency.stop_requested.connect(self.stop_loop_back)
        self.latency.flashes.refused.connect(self.refuse)
        self.cells.segmentation_requested.connect(self.choose_segmentation)
        self.cells.look_changed.connect(self.pictures.set_cell_look)
        self.cells.marking_requested.connect(self.mark_cells)
        for button in (self.latency.save_stages, self.latency.save_flashes, self.cells.save):
            button.refused.connect(self.refuse)
            button.saved.connect(self._tell_saved)
        self.pictures.roi_drawn.connect(self.use_region)
        self.pictures.refused.connect(self.refuse)
        self.recorder.refused.connect(self.refuse)
        self.measurements.refused.connect(self.refuse)
        self.measurements.saved.connect(self._tell_saved)


def _why_no_phase(status: LiveStatus) -> str:
    if status.choosing_engine:
        return "The engine is being chosen. The phase comes after that."
    if status.model_id:
        return "Waiting for the first phase\N{HORIZONTAL ELLIPSIS}"
    remedy = "Press Re-tune to reconstruct with reference pairs, or train" if status.can_retune else "Train"
    return f"There is no model of this fibre. {remedy} a model."


def _seconds_since(at_s: float | None) -> float | None:
    return None if at_s is None else time.monotonic() - at_s
