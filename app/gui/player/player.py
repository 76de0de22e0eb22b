"""The player: shows a recording or a dataset as it was recorded, alone or beside another one, without the live view."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QEvent, QRectF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QFileDialog, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from app.gui.image_view.contents import Plane
from app.gui.image_view.measure.measure_panel import MeasurePanel
from app.gui.pages.page import PageContext
from app.gui.player.head import Head, Panel
from app.gui.player.result_jobs import Computation, ResultJobs
from app.gui.player.result_panel import ResultPanel
from app.gui.player.side import Side
from app.gui.player.time_slider import TimeSlider
from app.gui.player.time_text import clock_text, time_text
from app.gui.player.transport import Link, Move, Transport
from app.gui.widgets.formatting import count
from app.gui.widgets.labels import scrolled
from app.gui.widgets.style import GAP_PX
from app.playback.playhead import EVEN_PACE, TRUE_PACE, Pace, Playhead, PlayState
from app.status import Message, MessageLevel, Topic
from drivers.base import SpeckleScopeError

#: While it plays, the place is looked at so often, in seconds.
_TICK_S = 1 / 60
_NUMBERS_MS = 200
_SOON_MS = 60
_AGAIN_MS = 2000
_JOBS_MS = 500
#: Frames that are read ahead.
_PREFETCHED = 12
_MANY_FRAMES = 10  # with Shift
#: Recordings with fewer frames than one in so many seconds are played evenly until the operator chooses otherwise.
_SLOW_S = 2.0
#: A frame that is not there after so many seconds is waited for visibly.
_PATIENCE_S = 0.3


class Player(QWidget):
    """One or two recordings at the same moment. The left one leads: its times are below the pictures.

    Parameters
    ----------
    context : PageContext
        What the page gets from the window.

    Attributes
    ----------
    left, right : Side
        The two sides; the right one is hidden until something is compared.
    playhead : Playhead
        Where the left side is.
    """

    back_clicked = pyqtSignal()
    #: A Message for the operator.
    reported = pyqtSignal(object)
    #: The operator wants to play an archive in the live view, in place of the camera; its folder.
    play_requested = pyqtSignal(object)
    #: The operator wants to export what is played; a tuple with the folders.
    export_requested = pyqtSignal(object)

    def __init__(self, context: PageContext) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.playhead = Playhead()
        self.left = Side()
        self.right = Side()
        self.head = Head()
        self.slider = TimeSlider()
        self.transport = Transport()
        self.measure = MeasurePanel(self.left.pictures.measure)
        self.results = ResultPanel()
        self.result_jobs = ResultJobs(context.jobs)
        self._link = Link.TIME
        self._panel: Panel | None = None
        self._waiting_since_s: float | None = None
        self._is_new = False
        self._is_seen = False
        self._layout()
        self._connect()
        self._tick_timer = self._timer(round(1e3 * _TICK_S), self.tick)
        self._tick_timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._number_timer = self._timer(_NUMBERS_MS, self.refresh_numbers)
        self._soon_timer = self._timer(_SOON_MS, self.refresh_numbers)
        self._soon_timer.setSingleShot(True)
        self._again_timer = self._timer(_AGAIN_MS, self.look_again)
        self._job_timer = self._timer(_JOBS_MS, self.refresh_jobs)
        self._show_panel(None)
        self._arrange()
        self._show_place()

    def _layout(self) -> None:
        self._panels = QStackedWidget()
        self._pages = {Panel.RESULTS: scrolled(self.results), Panel.MEASURE: scrolled(self.measure)}
        for page in self._pages.values():
            self._panels.addWidget(page)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(GAP_PX)
        for widget in (self.left, self.right, self._panels):
            self.splitter.addWidget(widget)
        for number, stretch in enumerate((1, 1, 0)):
            self.splitter.setStretchFactor(number, stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, 4)
        layout.setSpacing(6)
        layout.addWidget(self.head)
        layout.addWidget(self.splitter, 1)
        layout.addWidget(self.slider)
        layout.addWidget(self.transport)

    def _connect(self) -> None:
        self.head.back_clicked.connect(self.back_clicked)
        self.head.live_clicked.connect(self._request_live)
        self.head.export_clicked.connect(self._request_export)
        self.head.panel_clicked.connect(self.toggle_panel)
        self.head.result_compared.connect(self._compare_result)
        self.head.other_compared.connect(self._choose_other)
        self.head.comparison_ended.connect(self.end_comparison)
        for side in (self.left, self.right):
            side.opened.connect(self._on_opened)
            side.result_chosen.connect(self._on_result)
            side.frame_shown.connect(self._on_frame)
            side.close_clicked.connect(self._close_side)
            side.pictures.refused.connect(self._refuse)
        self.left.pictures.plane_moved.connect(self._move_right)
        self.right.pictures.plane_moved.connect(self._move_left)
        self.slider.sought.connect(self.seek)
        self.transport.play_clicked.connect(self.toggle_play)
        self.transport.moved.connect(self.move_to)
        self.transport.pace_chosen.connect(self.set_pace)
        self.transport.loop_switched.connect(self.switch_loop)
        self.transport.link_chosen.connect(self.set_link)
        self.measure.refused.connect(self._refuse)
        self.measure.saved.connect(self._tell_saved)
        self.results.compute_clicked.connect(self.compute)
        self.results.refused.connect(self._refuse)
        self.results.cells_requested.connect(self.save_cells)
        self.results.correction_chosen.connect(self.left.corrections.choose)
        self.results.undo_clicked.connect(self.left.corrections.undo)
        self.results.store_clicked.connect(self.store_corrections)
        self.left.corrections.refused.connect(self._refuse)
        self.left.corrections.changed.connect(self.refresh_numbers)
        self.results.compare_clicked.connect(self._compare_recorded)

    def _timer(self, interval_ms: int, slot: Callable[[], object]) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(interval_ms)
        timer.timeout.connect(slot)
        return timer

    # -- what is played -------------------------------------------------------------------------------------------

    def open_archive(self, path: Path) -> None:
        """Play a recording or a dataset; returns at once, and a sentence in the panes tells when it cannot be opened."""
        self.end_comparison()
        self.playhead.pause()
        self._is_new = True
        self.left.open(path)
        self._on_opened(self.left)
        self.setFocus()

    def compare_with(self, path: Path, result_name: str = "") -> None:
        """Play a recording, or a result of it, beside the first one."""
        self.right.open(path, result_name)
        self._arrange()

    def end_comparison(self) -> None:
        """Play the left side alone."""
        self.right.forget()
        self._arrange()

    def close_archive(self) -> None:
        """Play nothing."""
        self.playhead.pause()
        self.end_comparison()
        self.left.forget()
        self._on_opened(self.left)

    @property
    def is_comparing(self) -> bool:
        """Whether there is a right side."""
        return self.right.path is not None

    def enter(self) -> None:
        """Refresh from now on: the operator looks at the player."""
        self._is_seen = True
        self._number_timer.start()
        self._again_timer.start()
        self.refresh_numbers()

    def leave(self) -> None:
        """Pause, and refresh nothing until the player is entered again."""
        self._is_seen = False
        self.playhead.pause()
        self._show_place()
        for timer in (self._number_timer, self._soon_timer, self._again_timer):
            timer.stop()

    def release(self) -> None:
        """End all threads."""
        self.leave()
        self._tick_timer.stop()
        self._job_timer.stop()
        for side in (self.left, self.right):
            side.release()

    def _arrange(self) -> None:
        comparing = self.is_comparing
        if comparing and self.right.isHidden():
            width, panel = self.splitter.width(), self._panels.width() if self._panel is not None else 0
            self.right.show()
            self.splitter.setSizes([(width - panel) // 2, (width - panel) // 2, panel])
        self.right.setVisible(comparing)
        self.left.show_sharing(on=comparing)
        self.right.show_sharing(on=comparing, closable=True)
        self.transport.show_linked(on=comparing)
        # The keys of two sets of panes would be ambiguous: they act on the side that has the focus.
        context = Qt.ShortcutContext.WidgetWithChildrenShortcut if comparing else Qt.ShortcutContext.WindowShortcut
        for side in (self.left, self.right):
            for action in side.pictures.all_commands():
                action.setShortcutContext(context)
        self.head.show_side(self.left, comparing=comparing)

    def _close_side(self, side: Side) -> None:
        self.end_comparison()

    def _on_opened(self, side: Side) -> None:
        if side is self.left:
            archive = side.archive
            if archive is not None:
                self.playhead.use(archive.timeline)
                if self._is_new:
                    self._begin()
                self.slider.show_timeline(archive.timeline, archive.has_phase(side.result))
            elif side.path is None or side.is_opening or side.problem:
                self._show_nothing()
        self.head.show_side(self.left, comparing=self.is_comparing)
        self._show_position()
        self._show_place()
        self.refresh_numbers()

    def _begin(self) -> None:
        """Stand at the first frame of what was just opened, at the pace that suits it."""
        self._is_new = False
        self.playhead.seek(0)
        is_slow = self.playhead.timeline.period_s > _SLOW_S
        self.transport.choose_pace(EVEN_PACE if is_slow else TRUE_PACE)
        self.playhead.set_pace(self.transport.pace)

    def _show_nothing(self) -> None:
        empty = Playhead().timeline
        self.playhead.use(empty)
        self.slider.show_timeline(empty, empty.times_s > 0)

    def _on_result(self, side: Side) -> None:
        archive = self.left.archive
        if side is self.left and archive is not None:
            self.slider.show_timeline(archive.timeline, archive.has_phase(side.result))
        self._show_position()
        self.refresh_numbers()

    def look_again(self) -> None:
        """Look for frames that have come since, and for a disk that is back."""
        for side in (self.left, self.right):
            if side.path is not None:
                side.try_again()

    # -- playing --------------------------------------------------------------------------------------------------

    def toggle_play(self) -> None:
        """Play, or pause."""
        if self.playhead.state is PlayState.PLAYING:
            self.playhead.pause()
        else:
            self.playhead.play()
        self._show_position()
        self._show_place()

    def seek(self, position: int) -> None:
        """Go to a frame."""
        self.playhead.seek(position)
        self._show_position()
        self._show_place()

    def step(self, frames: int) -> None:
        """Pause, and go so many frames on or back."""
        self.playhead.step(frames)
        self._show_position()
        self._show_place()

    def move_to(self, move: Move) -> None:
        """Go where a button says."""
        timeline, position = self.playhead.timeline, self.playhead.position
        if move is Move.NEXT:
            self.step(1)
        elif move is Move.PREVIOUS:
            self.step(-1)
        elif move is Move.FIRST:
            self.seek(0)
        elif move is Move.LAST:
            self.seek(self.playhead.last)
        else:
            marker = timeline.next_marker(position) if move is Move.NEXT_MARKER else timeline.previous_marker(position)
            if marker is not None:
                self.seek(marker.position)

    def set_pace(self, pace: Pace) -> None:
        """Play faster or slower."""
        self.playhead.set_pace(pace)
        self.transport.choose_pace(pace)

    def switch_loop(self) -> None:
        """Start again at the end, or stop there, as the box says."""
        self.playhead.loop = self.transport.loop.isChecked()

    def set_link(self, link: Link) -> None:
        """Choose what both sides have in common."""
        self._link = link
        self._show_position()

    def tick(self) -> None:
        """Go on to the present time."""
        before = self.playhead.position
        if self.playhead.tick() != before:
            self._show_position()
        self._show_place()

    def _show_position(self) -> None:
        """Let both sides show the frame of the playhead."""
        position, coming = self.playhead.position, self.playhead.coming(_PREFETCHED, _TICK_S)
        self.left.show_at(position, coming)
        archive = self.right.archive
        if archive is not None and len(archive.timeline):
            wanted = self._right_position(position)
            is_over = wanted > len(archive.rows) - 1
            self.right.show_at(wanted, tuple(map(self._right_position, coming)), is_over=is_over)

    def _right_position(self, position: int) -> int:
        """Return the frame of the right side that belongs to one of the left side; one after the last where it is over."""
        archive = self.right.archive
        if archive is None or self._link is Link.FRAME or self.right.path == self.left.path:
            return position
        time_s = self.playhead.timeline.time_of(position)
        timeline = archive.timeline
        return len(timeline) if time_s > timeline.duration_s + timeline.period_s else timeline.position_at(time_s)

    def _show_place(self) -> None:
        """Show where the playhead is, and what can be done there."""
        playhead, timeline = self.playhead, self.playhead.timeline
        if playhead.state is PlayState.PLAYING and self._is_seen:
            self._tick_timer.start()
        else:
            self._tick_timer.stop()
        self.slider.show_time(playhead.time_s)
        self.transport.show_state(playhead.state)
        position, last = playhead.position, playhead.last
        possible = {
            Move.FIRST: position > 0,
            Move.PREVIOUS: position > 0,
            Move.NEXT: position < last,
            Move.LAST: position < last,
            Move.NEXT_MARKER: timeline.next_marker(position) is not None,
            Move.PREVIOUS_MARKER: timeline.previous_marker(position) is not None,
        }
        self.transport.show_possible(frozenset(move for move in Move if possible[move]), can_play=len(timeline) > 1)
        self.transport.place.setText(self._place_text())
        self.transport.note.show_text(self._note_text())

    def _place_text(self) -> str:
        archive, position = self.left.archive, self.playhead.position
        if archive is None or not archive.rows:
            return ""
        parts = [f"Frame {count(position + 1)} of {count(len(archive.rows))}"]
        if archive.timeline.are_true:
            parts.append(f"{time_text(archive.timeline.time_of(position))} of {time_text(archive.timeline.duration_s)}")
            parts.append(clock_text(archive.rows[position].host_utc))
        return "   ".join(part for part in parts if part)

    def _note_text(self) -> str:
        if self._waiting_since_s is not None and time.monotonic() - self._waiting_since_s > _PATIENCE_S:
            return "Reading\N{HORIZONTAL ELLIPSIS}"
        gap = self.playhead.timeline.gap_after(self.playhead.position)
        if gap is not None and self.left.archive is not None:
            return f"A gap follows: no frame for {time_text(gap.seconds)}"
        return ""

    def _on_frame(self) -> None:
        # While the slider is dragged, pictures come first: their numbers and histograms take as long as they do.
        if self._is_seen and self.playhead.state is PlayState.PAUSED and not self._soon_timer.isActive():
            self._soon_timer.start()

    # -- numbers and panels ---------------------------------------------------------------------------------------

    def refresh_numbers(self) -> None:
        """Show numbers, reasons and waiting; a few times a second is enough."""
        sides = (self.left, self.right) if self.is_comparing else (self.left,)
        is_waiting = any(side.is_waiting for side in sides)
        if not is_waiting:
            self._waiting_since_s = None
        elif self._waiting_since_s is None:
            self._waiting_since_s = time.monotonic()
        if self._is_seen:
            for side in sides:
                side.refresh_numbers()
        if self._panel is Panel.RESULTS:
            path = self.left.path
            self.results.show_side(self.left, self.result_jobs.conflict(path) if path is not None else "")
        self.transport.note.show_text(self._note_text())

    def toggle_panel(self, panel: Panel) -> None:
        """Show a panel beside the pictures, or hide it."""
        self._show_panel(None if self._panel is panel else panel)

    def _show_panel(self, panel: Panel | None) -> None:
        self._panel = panel
        self._panels.setVisible(panel is not None)
        if panel is not None:
            self._panels.setCurrentWidget(self._pages[panel])
        self.head.show_panel(panel)
        self.refresh_numbers()

    # -- results --------------------------------------------------------------------------------------------------

    def save_cells(self, file: Path) -> None:
        """Save the numbers of all cells by the labels that are shown, in the background."""
        path = self.left.path
        if path is None:
            return
        try:
            self.result_jobs.save_cells(path, self.left.result, file)
        except SpeckleScopeError as error:
            self._refuse(str(error))
            return
        self._job_timer.start()

    def store_corrections(self) -> None:
        """Store the corrected labels beside the automatic ones, and show them."""
        result = self.left.store_corrections()
        if result is not None:
            self.left.open_again()
            self.left.choose_result(result.path.name)
            self.reported.emit(Message(MessageLevel.INFO, f"Stored: '{result.card.name}', beside the automatic labels"))
            self.refresh_numbers()

    def compute(self, computation: Computation) -> None:
        """Compute a result beside what was recorded, in the background."""
        path = self.left.path
        if path is None:
            return
        try:
            self.result_jobs.start(computation, path, self.results.options, self.results.segmentation)
        except SpeckleScopeError as error:
            self._refuse(str(error))
            return
        text = f"{computation.value} has begun; it goes on in the background, and what was recorded stays as it is"
        self.reported.emit(Message(MessageLevel.INFO, text))
        self._job_timer.start()
        self.refresh_numbers()

    def refresh_jobs(self) -> None:
        """Tell which computations have ended, and take their results."""
        for path, message in self.result_jobs.pop_ended():
            self.reported.emit(message)
            for side in (self.left, self.right):
                if side.path == path:
                    side.open_again()
        if not self.result_jobs.is_running:
            self._job_timer.stop()

    def _compare_recorded(self) -> None:
        self._compare_result("")

    def _compare_result(self, name: str) -> None:
        if self.left.path is not None:
            self.compare_with(self.left.path, name)

    def _choose_other(self) -> None:
        """Let the operator choose the folder of another recording."""
        dialog = QFileDialog(self, "Choose the folder of a recording or a dataset")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        if self.left.path is not None:
            dialog.setDirectory(str(self.left.path.parent))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._compare_folder)
        dialog.open()

    def _compare_folder(self, name: str) -> None:
        self.compare_with(Path(name))

    # -- messages and keys ----------------------------------------------------------------------------------------

    def _request_export(self) -> None:
        paths = tuple(dict.fromkeys(side.path for side in (self.left, self.right) if side.path is not None))
        if paths:
            self.export_requested.emit(paths)

    def _request_live(self) -> None:
        if self.left.path is not None:
            self.playhead.pause()
            self._show_place()
            self.play_requested.emit(self.left.path)

    def _refuse(self, reason: str) -> None:
        self.reported.emit(Message(MessageLevel.ERROR, reason, Topic.COMMAND))

    def _tell_saved(self, file: str) -> None:
        self.reported.emit(Message(MessageLevel.INFO, f"Saved: {file}"))

    def event(self, event: QEvent | None) -> bool:
        """Take the keys of the player before the window's commands of the same key."""
        if isinstance(event, QKeyEvent) and event.type() is QEvent.Type.ShortcutOverride and self._answer(event) is not None:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Do what a key says, where no field or button in the player has used it."""
        answer = self._answer(event) if event is not None else None
        if answer is not None:
            answer()
        else:
            super().keyPressEvent(event)

    def _answer(self, event: QKeyEvent) -> Callable[[], None] | None:
        """Return what a key does; None for other keys."""
        key = event.key()
        shift = event.modifiers() == Qt.KeyboardModifier.ShiftModifier
        steps: dict[int, int] = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        if key in steps and (shift or _is_plain(event)):
            return partial(self.step, steps[key] * (_MANY_FRAMES if shift else 1))
        if not _is_plain(event):
            return None
        answers: dict[int, Callable[[], None]] = {
            Qt.Key.Key_Space: self.toggle_play,
            Qt.Key.Key_Home: partial(self.move_to, Move.FIRST),
            Qt.Key.Key_End: partial(self.move_to, Move.LAST),
            Qt.Key.Key_PageUp: partial(self.move_to, Move.PREVIOUS_MARKER),
            Qt.Key.Key_PageDown: partial(self.move_to, Move.NEXT_MARKER),
            Qt.Key.Key_F: self._fit,
            Qt.Key.Key_F4: self._toggle_measure,
            Qt.Key.Key_Backspace: self.back_clicked.emit,
        }
        return answers.get(key)

    def _fit(self) -> None:
        self.left.pictures.fit()
        if self.is_comparing:
            self.right.pictures.fit()

    def _move_right(self, plane: Plane, part_um: QRectF) -> None:
        if self.is_comparing:
            self.right.pictures.follow_plane(plane, part_um)

    def _move_left(self, plane: Plane, part_um: QRectF) -> None:
        if self.is_comparing:
            self.left.pictures.follow_plane(plane, part_um)

    def _toggle_measure(self) -> None:
        self.toggle_panel(Panel.MEASURE)


def _is_plain(event: QKeyEvent) -> bool:
    """Whether no modifier is pressed, apart from the one of the number pad."""
    return event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier == Qt.KeyboardModifier.NoModifier
