"""One to four panes, what they show, and how they move together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QRect, QRectF, QSize, pyqtSignal
from PyQt6.QtGui import QAction, QActionGroup, QResizeEvent
from PyQt6.QtWidgets import QApplication, QGridLayout, QWidget

from app.gui.image_view.cell_marks import CellLook
from app.gui.image_view.contents import Content, Newest, PaneFacts, Plane
from app.gui.image_view.drawing.choice import new_picture_item
from app.gui.image_view.drawing.picture_item import PictureItem
from app.gui.image_view.levels.level_store import LevelStore
from app.gui.image_view.measure.tool import Tool
from app.gui.image_view.measure.tools import MeasureTools
from app.gui.image_view.pane import Pane
from app.gui.image_view.pane_commands import PaneCommand, PaneCommands
from app.gui.image_view.pane_menus import PaneMenus
from app.gui.image_view.pane_options import PaneFlag, PaneOptions
from app.gui.image_view.pop_out import PopOut
from app.gui.widgets.style import GAP_PX
from app.status import LiveView, Overlay
from drivers.base import Frame

MAX_PANES = 4
_ZOOM = 1.25  # for each key press
_FIRST = (Content.SPECKLE, Content.PHASE, Content.OVERLAY, Content.UNCERTAINTY)
_NUMBERS = (PaneCommand.ONE, PaneCommand.TWO, PaneCommand.THREE, PaneCommand.FOUR)
_FLAGS = {
    PaneCommand.CLIPPED: PaneFlag.CLIPPED,
    PaneCommand.NEAREST: PaneFlag.NEAREST,
    PaneCommand.CROSS_HAIR: PaneFlag.CROSS_HAIR,
    PaneCommand.GRID: PaneFlag.GRID,
}
_HEADER_PX = 50  # of a pane, with its margins
_NARROWEST_PX = 290  # a pane with title, buttons and levels
_LOWEST_PX = 192  # a pane with the smallest picture
_LEVELS_PX = 50  # below a picture; beside one, twice as much


class PaneGrid(QWidget):
    """The panes of the live page.

    Parameters
    ----------
    facts : PaneFacts
        What the panes have to know about the instrument.
    make_item : callable
        Returns what draws a picture.
    """

    options_changed = pyqtSignal()  # something of state() has changed
    refused = pyqtSignal(str)  # why a number that was typed is not taken
    roi_drawn = pyqtSignal(QRect)  # the part that the camera shall read out, in pixels of its frame
    #: The operator has moved a pane while panes are linked; its Plane, and what is seen of it in micrometres.
    plane_moved = pyqtSignal(object, QRectF)

    def __init__(self, facts: PaneFacts, make_item: Callable[[], PictureItem] = new_picture_item) -> None:
        super().__init__()
        self._facts = facts
        self._cell_look = CellLook()
        self._newest = Newest(facts)
        self._store = LevelStore(facts)
        self._make_item = make_item
        self._message = ""
        self._old_frames = ""
        self._old_phases = ""
        self._panes: list[Pane] = []
        self._menus: list[PaneMenus] = []
        self._pop_outs: dict[Pane, PopOut] = {}
        self._enlarged: Pane | None = None
        self._current: Pane | None = None
        self._number = 0
        self._columns = 1
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GAP_PX)
        self.commands = PaneCommands(self)
        self.measure = MeasureTools(self)
        self.measure.roi_drawn.connect(self.roi_drawn)
        self.addActions(self.all_commands())
        self._connect()
        self.commands[PaneCommand.LINK].setChecked(True)
        self.set_number(3)

    def _connect(self) -> None:
        self._numbers = QActionGroup(self)
        for command in _NUMBERS:
            self._numbers.addAction(self.commands[command])
        self._flags = QActionGroup(self)
        self._flags.setExclusionPolicy(QActionGroup.ExclusionPolicy.None_)
        for command in _FLAGS:
            self._flags.addAction(self.commands[command])
        self._numbers.triggered.connect(self._choose_number)
        self._flags.triggered.connect(self._toggle)
        self.commands.connect(PaneCommand.LINK, self._link_again)
        self.commands.connect(PaneCommand.ENLARGE, self.toggle_enlarged)
        self.commands.connect(PaneCommand.POP_OUT, self.toggle_pop_out)
        self.commands.connect(PaneCommand.COPY, self.copy)
        self.commands.connect(PaneCommand.NEXT, self.choose_next)
        self.commands.connect(PaneCommand.ZOOM_IN, self.zoom_in)
        self.commands.connect(PaneCommand.ZOOM_OUT, self.zoom_out)

    def all_commands(self) -> tuple[QAction, ...]:
        """Return the actions of panes and tools, for menus and for the list of keys."""
        return (*self.commands.all(), *self.measure.commands())

    # -- pictures -------------------------------------------------------------------------------------------------

    def show_frame(self, frame: Frame) -> None:
        """Show a camera frame."""
        self._newest.frame = frame
        self._show(Content.SPECKLE)

    def show_view(self, view: LiveView) -> None:
        """Show a reconstruction: phase, uncertainty, truth and error."""
        self._newest.view = view
        self._show(Content.PHASE, Content.UNCERTAINTY, Content.TRUTH, Content.ERROR)
        if view.reconstruction is None:
            self._newest.overlay = None
            self._show(Content.OVERLAY)

    def show_overlay(self, overlay: Overlay) -> None:
        """Show the outlines of the detected objects over the phase of the same frame."""
        if overlay.view.reconstruction is not None:
            self._newest.overlay = overlay
            self._show(Content.OVERLAY)

    def set_cell_look(self, look: CellLook) -> None:
        """Mark cells in another way, also those on display."""
        if look != self._cell_look:
            self._cell_look = self._newest.cell_look = look
            self._show(Content.OVERLAY)

    def show_moment(self, moment: Newest) -> None:
        """Show everything of one recorded frame at once, in place of all that was shown."""
        self._newest = moment
        moment.cell_look = self._cell_look
        self._show(*Content)

    def show_slm(self, phase_rad: NDArray[np.float32] | None) -> None:
        """Show the pattern (h, w) in radians that is on the SLM now; None when it is not known."""
        if phase_rad is not self._newest.slm_phase_rad:
            self._newest.slm_phase_rad = phase_rad
            self._show(Content.SLM)

    def refresh_numbers(self) -> None:
        """Update subtitles, histograms and notes to what is on display; a few times a second is enough."""
        for pane in self.visible_panes:
            pane.set_age(self._age_of(pane.content))
            pane.refresh_numbers(self._newest.note(pane.content))
        self.measure.refresh(self.visible_panes, self._newest.frame)

    def show_age(self, frames: str, phases: str) -> None:
        """Say on pictures that stay why they are not live: on camera frames, and on what is made of them; empty while live."""
        self._old_frames = frames
        self._old_phases = phases

    def _age_of(self, content: Content) -> str:
        if content is Content.SLM:
            return ""
        return self._old_frames if content is Content.SPECKLE else self._old_phases

    def show_message(self, text: str) -> None:
        """Show a message in every pane until its first picture comes; a picture that is shown stays, without a message."""
        if text != self._message:
            self._message = text
            for pane in self._panes:
                pane.set_message(text)

    def clear(self) -> None:
        """Forget all pictures."""
        self._newest = Newest(self._facts, cell_look=self._cell_look)
        self.measure.forget_series()
        self._show(*Content)

    def set_facts(self, facts: PaneFacts) -> None:
        """Show pictures of another instrument: all pictures and levels are forgotten, what the panes show stays."""
        self._facts = facts
        self._newest = Newest(facts, cell_look=self._cell_look)
        self._store = LevelStore(facts)
        self.measure.forget_series()
        for pane in self._panes:
            pane.set_facts(facts, self._store)
        self._show(*Content)

    def _show(self, *contents: Content) -> None:
        for pane in self.visible_panes:
            if pane.content in contents:
                self._show_newest(pane)

    def _show_newest(self, pane: Pane) -> None:
        pane.show_picture(self._newest.picture(pane.content))

    # -- the panes ------------------------------------------------------------------------------------------------

    @property
    def panes(self) -> tuple[Pane, ...]:
        """The panes of the present number, whether they are seen or not."""
        return tuple(self._panes[: self._number])

    @property
    def visible_panes(self) -> tuple[Pane, ...]:
        """The panes that are seen: an enlarged pane hides the others, except those in windows of their own."""
        if self._enlarged is None:
            return self.panes
        return tuple(pane for pane in self.panes if pane is self._enlarged or pane in self._pop_outs)

    @property
    def current(self) -> Pane:
        """The pane that the keyboard acts on: the one that was clicked last."""
        assert self._current is not None
        return self._current

    def showing(self, content: Content) -> Pane:
        """Return the first pane that shows a content; raises LookupError when there is none."""
        for pane in self.panes:
            if pane.content is content:
                return pane
        raise LookupError(f"no pane shows {content.label}")

    def set_number(self, number: int) -> None:
        """Show one to four panes."""
        while len(self._panes) < number:
            self._add_pane(PaneOptions.of(_FIRST[len(self._panes)]))
        self._number = number
        self._enlarged = None
        for pane in self._panes[number:]:
            self._put_back(pane)
        if self._current is None or self._current not in self.panes:
            self._set_current(self.panes[min(1, number - 1)])
        self._arrange()

    def toggle_enlarged(self) -> None:
        """Show only the current pane, or all again."""
        pane = self.current
        if pane not in self._pop_outs:
            self._enlarged = None if self._enlarged is not None else pane
        self._arrange()

    def toggle_pop_out(self) -> None:
        """Move the current pane to a window of its own, or back."""
        pane = self.current
        if pane in self._pop_outs:
            self._pop_outs[pane].close()
            return
        self._enlarged = None if self._enlarged is pane else self._enlarged
        window = PopOut(pane, self)
        window.setWindowTitle(f"{pane.content.label} \N{EN DASH} SpeckleScope")
        window.addActions(self.all_commands())
        window.closed.connect(self._put_back)
        self._pop_outs[pane] = window
        self._arrange()
        window.show()

    def close_pop_outs(self) -> None:
        """Put all panes back."""
        for window in tuple(self._pop_outs.values()):
            window.close()

    def fit(self) -> None:
        """Show the whole field in every pane."""
        for pane in self.panes:
            pane.fit()

    def choose_next(self) -> None:
        """Make the next pane the current one."""
        panes = self.visible_panes
        self._set_current(panes[(panes.index(self.current) + 1) % len(panes)])

    def zoom_in(self) -> None:
        """Enlarge the current picture."""
        self.current.canvas.zoom(_ZOOM)

    def zoom_out(self) -> None:
        """Reduce the current picture."""
        self.current.canvas.zoom(1 / _ZOOM)

    def draw_roi(self) -> None:
        """Let the operator draw the part of the speckle picture that the camera shall read out."""
        if all(pane.content is not Content.SPECKLE for pane in self.visible_panes):
            self.current.set_options(PaneOptions.of(Content.SPECKLE))
        self.measure.actions.choose(Tool.CAMERA_ROI)

    def copy(self) -> None:
        """Copy the current pane with its scale bar to the clipboard."""
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setPixmap(self.current.copied())

    def _add_pane(self, options: PaneOptions) -> None:
        pane = Pane(self._facts, self._store, options, self._make_item())
        pane.set_message(self._message)
        pane.activated.connect(self._set_current)
        pane.enlarge_requested.connect(self._enlarge)
        pane.options_changed.connect(self._on_options)
        pane.moved.connect(self._follow)
        pane.strip.refused.connect(self.refused)
        shared = (PaneCommand.COPY, PaneCommand.POP_OUT)
        self._menus.append(PaneMenus(pane, tuple(self.commands[command] for command in shared)))
        self._panes.append(pane)
        self.measure.add_pane(pane)

    def _enlarge(self, pane: Pane) -> None:
        self._set_current(pane)
        self.toggle_enlarged()

    def _set_current(self, pane: Pane) -> None:
        self._current = pane
        for each in self._panes:
            each.set_current(on=each is pane)

    def _put_back(self, pane: Pane) -> None:
        window = self._pop_outs.pop(pane, None)
        if window is not None:
            pane.setParent(self)
            window.close()
            window.deleteLater()
            self._arrange()

    def _arrange(self) -> None:
        while self._grid.count():
            self._grid.takeAt(0)
        here = [pane for pane in self.visible_panes if pane not in self._pop_outs]
        columns = self._columns = best_columns(len(here), self.width(), self.height())
        for k, pane in enumerate(here):
            self._grid.addWidget(pane, k // columns, k % columns)
        for k in range(MAX_PANES):
            self._grid.setColumnStretch(k, 1 if k < columns else 0)
            self._grid.setRowStretch(k, 1 if k * columns < len(here) else 0)
        for pane in self._panes:
            if pane not in self._pop_outs:
                pane.setVisible(pane in here)
        for pane in self.visible_panes:
            self._show_newest(pane)
        for number, command in enumerate(_NUMBERS, start=1):
            self.commands[command].setChecked(number == self._number)
        self.commands[PaneCommand.ENLARGE].setChecked(self._enlarged is not None)
        self.options_changed.emit()

    def minimumSizeHint(self) -> QSize:
        """Return the smallest size for two columns, and as low as the columns that fit side by side allow."""
        here = len([pane for pane in self.visible_panes if pane not in self._pop_outs])
        columns = min(2, max(1, here))
        side_by_side = min(max(1, here), max(columns, self.width() // _NARROWEST_PX))
        rows = -(-here // side_by_side)
        # Not the panes' own sizes: while the levels move from below to beside a picture, these are much too large.
        return QSize(columns * _NARROWEST_PX, rows * (_LOWEST_PX + GAP_PX) - GAP_PX)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Arrange the panes so that the pictures are as large as possible."""
        super().resizeEvent(event)
        here = len([pane for pane in self.visible_panes if pane not in self._pop_outs])
        if best_columns(here, self.width(), self.height()) != self._columns:
            self._arrange()

    # -- options --------------------------------------------------------------------------------------------------

    def _choose_number(self, action: QAction) -> None:
        self.set_number(_NUMBERS.index(self.commands.command_of(action)) + 1)

    def _toggle(self, action: QAction) -> None:
        self.current.set_options(self.current.options.toggled(_FLAGS[self.commands.command_of(action)]))

    def _on_options(self, pane: Pane) -> None:
        if pane.shown is None:
            self._show_newest(pane)
        pane.refresh_numbers(self._newest.note(pane.content))
        if pane in self._pop_outs:
            self._pop_outs[pane].setWindowTitle(f"{pane.content.label} \N{EN DASH} SpeckleScope")
        self.options_changed.emit()

    def _follow(self, moved: Pane, part_um: QRectF) -> None:
        if not self.commands[PaneCommand.LINK].isChecked():
            return
        self._show_part(moved.content.plane, part_um, moved)
        self.plane_moved.emit(moved.content.plane, part_um)

    def follow_plane(self, plane: Plane, part_um: QRectF) -> None:
        """Show the same part of a plane as panes somewhere else, while panes are linked."""
        if self.commands[PaneCommand.LINK].isChecked():
            self._show_part(plane, part_um)

    def _show_part(self, plane: Plane, part_um: QRectF, moved: Pane | None = None) -> None:
        for pane in self.panes:
            if pane is not moved and pane.content.plane is plane:
                pane.canvas.show_part(part_um)

    def _link_again(self) -> None:
        self._follow(self.current, self.current.canvas.visible_um)
        self.options_changed.emit()

    def state(self) -> dict[str, object]:
        """Return number, contents, options and levels as plain data, for layouts and presets."""
        return {
            "number": self._number,
            "linked": self.commands[PaneCommand.LINK].isChecked(),
            "panes": [pane.options.state() for pane in self.panes],
            "levels_for": self._level_facts,
            "levels": self._store.state(),
            "measurements": self.measure.measurements.state(),
        }

    @property
    def _level_facts(self) -> list[float]:
        return [float(self._facts.full_scale), *(float(level) for level in self._facts.display_range_rad)]

    def restore(self, state: Mapping[str, object]) -> list[str]:
        """Set what :meth:`state` has returned.

        Returns
        -------
        list of str
            One warning for each entry that could not be used; what it would have set stays as it is.
        """
        warnings = []
        panes, levels, number = state.get("panes", []), state.get("levels", {}), state.get("number", self._number)
        if number in range(1, MAX_PANES + 1) and isinstance(number, int):
            self.set_number(number)
        else:
            warnings.append(f"A layout of {number!r} panes cannot be shown: 1 to {MAX_PANES} are possible")
        # Levels are valid only for what they were set for: the camera's full scale and the range of the phase.
        if isinstance(levels, dict) and state.get("levels_for", self._level_facts) == self._level_facts:
            warnings += self._store.restore(levels)
        self.commands[PaneCommand.LINK].setChecked(state.get("linked", True) is not False)
        for pane, entry in zip(self.panes, panes if isinstance(panes, list) else [], strict=False):
            try:
                pane.set_options(PaneOptions.from_state(entry))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                warnings.append(f"The stored options of a pane cannot be used ({error}); the present ones stay")
        measurements = state.get("measurements", [])
        if isinstance(measurements, list):
            warnings += self.measure.measurements.restore(measurements)
        return warnings


def best_columns(number: int, width_px: int, height_px: int) -> int:
    """Return in how many columns square pictures are largest, for a number of panes and the room for all of them."""

    def side_px(columns: int) -> float:
        if columns > 1 and width_px / columns < _NARROWEST_PX:
            return 0.0
        rows = -(-number // columns)
        width, height = width_px / columns, height_px / rows - _HEADER_PX
        return max(min(width, height - _LEVELS_PX), min(width - 2 * _LEVELS_PX, height))

    return max(range(1, max(1, number) + 1), key=side_px)
