"""One pane: a picture with the menu of what it shows, its filters, levels and notes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QPixmap, QResizeEvent
from PyQt6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QMenu, QToolButton, QVBoxLayout

from app.gui.image_view.canvas import Canvas
from app.gui.image_view.colour_maps import colour_table, marked_levels, marked_table, resolved
from app.gui.image_view.contents import Content, PaneFacts, Plane, Shown
from app.gui.image_view.drawing.picture_item import PictureItem
from app.gui.image_view.filter_thread import FilterThread
from app.gui.image_view.levels.level_store import LevelStore
from app.gui.image_view.levels.level_strip import LevelStrip
from app.gui.image_view.pane_options import PaneFlag, PaneOptions
from app.gui.widgets.formatting import count
from app.gui.widgets.icons import Ink, icon
from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.style import set_style
from app.measuring.view_filters import ViewFilters

_GREYED = 0.35  # opacity of a picture that does not show the object any more
_WIDE = 1.25  # times as wide as high


class Pane(QFrame):
    """A picture whose colours keep their meaning from frame to frame.

    Parameters
    ----------
    facts : PaneFacts
        What the pane has to know about the instrument.
    store : LevelStore
        The levels of all panes.
    options : PaneOptions
        What it shows at first, and how.
    item : PictureItem
        Draws the picture.
    """

    # Each carries the pane itself: a function that remembered it would keep it for ever.
    options_changed = pyqtSignal(object)
    picture_changed = pyqtSignal(object)
    activated = pyqtSignal(object)
    enlarge_requested = pyqtSignal(object)
    moved = pyqtSignal(object, QRectF)  # and the visible part of the picture in micrometres
    drawn_from = pyqtSignal(object, QPointF)  # and the mouse in micrometres, while drawing is on: pressed, moved, released
    drawn_to = pyqtSignal(object, QPointF)
    drawn = pyqtSignal(object, QPointF)

    def __init__(self, facts: PaneFacts, store: LevelStore, options: PaneOptions, item: PictureItem) -> None:
        super().__init__()
        self.setObjectName("card")
        self._facts = facts
        self._store = store
        self._options = options
        self._shown: Shown | None = None
        self._raw: Shown | None = None
        self._message = ""
        self._age = ""
        self._filters = ViewFilters(facts.quantity(options.content))
        self._thread = FilterThread()
        self._thread.finished.connect(self._display)
        self.canvas = Canvas(facts.field_um, item)
        self.canvas.set_description(self._describe)
        self.strip = LevelStrip(store.of(options.content.values, options.filters), options.content.values)
        self.title = QToolButton()
        self.title.setObjectName("heading")
        self.title.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.title.setToolTip("Choose what this pane shows")
        self.subtitle = ElidedLabel("muted")
        self._layout()
        self.canvas.double_clicked.connect(self._request_enlarged)
        self.canvas.pressed.connect(self.activate)
        self.canvas.moved.connect(self._tell_moved)
        self.canvas.drawn_from.connect(self._tell_drawn_from)
        self.canvas.drawn_to.connect(self._tell_drawn_to)
        self.canvas.drawn.connect(self._tell_drawn)
        self._levels = self.strip.levels
        self._levels.changed.connect(self._apply_colours)
        self._show_options()

    def _layout(self) -> None:
        self.view_button = self._flat_button("sliders", "How the picture is shown: colours, filters, orientation")
        self.view_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.fit_button = self._flat_button("fit", "Show the whole field")
        self.fit_button.clicked.connect(self.fit)
        self.enlarge_button = self._flat_button("enlarge", "Enlarge this pane, and back  (double-click the picture)")
        self.enlarge_button.clicked.connect(self._request_enlarged)
        header = QHBoxLayout()
        header.setSpacing(4)
        header.addWidget(self.title)
        header.addSpacing(6)
        header.addWidget(self.subtitle, 1)
        for button in (self.fit_button, self.enlarge_button, self.view_button):
            header.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 6, 8, 8)
        layout.setSpacing(6)
        layout.addLayout(header)
        self._body = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._body.setSpacing(6)
        self._body.addWidget(self.canvas, 1)
        self._body.addWidget(self.strip)
        layout.addLayout(self._body, 1)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Put the levels beside the picture where there is more room than below it."""
        super().resizeEvent(event)
        wide = self.width() > _WIDE * self.height()
        direction = QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom
        if direction is not self._body.direction():
            self._body.setDirection(direction)
            self.strip.set_standing(on=wide)

    def _flat_button(self, name: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setObjectName("flat")
        button.setIcon(icon(name, Ink.MUTED))
        button.setFixedSize(28, 28)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        return button

    # -- what is shown --------------------------------------------------------------------------------------------

    @property
    def content(self) -> Content:
        """What the pane shows."""
        return self._options.content

    @property
    def options(self) -> PaneOptions:
        """How the pane shows it."""
        return self._options

    @property
    def shown(self) -> Shown | None:
        """The picture on display, after the filters; None while there is none."""
        return self._shown

    @property
    def image(self) -> NDArray[np.generic] | None:
        """The array on display."""
        return None if self._shown is None else self._shown.values

    @property
    def pitch_um(self) -> float:
        """Side of a pixel of the picture on display, in micrometres; NaN while there is none."""
        return float("nan") if self.canvas.grid is None else self.canvas.grid.pitch_um

    @property
    def background(self) -> NDArray[np.generic] | None:
        """The stored background."""
        return self._filters.background

    def show_picture(self, picture: Shown | str) -> None:
        """Show a picture, or the reason why there is none."""
        if isinstance(picture, str):
            self.forget(picture or self._message)
            return
        self._raw = picture
        self._finish(picture, self._filters.prepare(picture.values, picture.mask))

    def set_message(self, text: str) -> None:
        """Set the message that is shown until the first picture comes."""
        self._message = text
        if self._shown is None:
            self.canvas.annotations.set_message(text)

    def set_age(self, text: str) -> None:
        """Set why the picture on display is not live, which the next look at the numbers shows; empty while it is."""
        self._age = f"not live: {text}" if text else ""

    def forget(self, reason: str) -> None:
        """Show no picture, but the reason for it."""
        self._thread.forget()
        self._raw = None
        if self._shown is not None:
            self._shown = None
            self._filters.set_background(self._filters.background)  # starts the average again
            self.canvas.forget_picture()
            self.canvas.annotations.set_stamp("")
            self.canvas.annotations.set_notes()
            self.subtitle.show_text("")
            self.strip.show_histogram(None)
            self.picture_changed.emit(self)
        self.canvas.annotations.set_message(reason)

    def store_background(self) -> None:
        """Take the picture on display as background, and subtract it from now on."""
        if self._raw is not None:
            self._filters.set_background(self._raw.values)
            self.set_options(replace(self._options, filters=replace(self._options.filters, subtract_background=True)))
            self._filter_again()

    def fit(self) -> None:
        """Show the whole field."""
        self.canvas.fit()

    def activate(self) -> None:
        """Ask to become the pane that the keyboard acts on."""
        self.activated.emit(self)

    def _request_enlarged(self) -> None:
        self.enlarge_requested.emit(self)

    def _tell_moved(self, part_um: QRectF) -> None:
        self.moved.emit(self, part_um)

    def _tell_drawn_from(self, point: QPointF) -> None:
        self.drawn_from.emit(self, point)

    def _tell_drawn_to(self, point: QPointF) -> None:
        self.drawn_to.emit(self, point)

    def _tell_drawn(self, point: QPointF) -> None:
        self.drawn.emit(self, point)

    def _finish(self, raw: Shown, prepared: NDArray[np.generic]) -> None:
        if self._filters.is_slow(prepared):
            self._thread.submit(raw, partial(self._filters.finish, prepared, raw.mask))
        else:
            self._display(raw, self._filters.finish(prepared, raw.mask))

    def _display(self, raw: Shown, values: NDArray[np.generic]) -> None:
        shown = replace(raw, values=values, filters=self._filters.active)
        self._shown = shown
        if self.strip.levels.every_frame:
            self.strip.levels.adapt(values)
        self.canvas.annotations.set_message("")
        self.canvas.annotations.set_stamp(shown.stamp)
        self.canvas.set_picture(values)
        self.canvas.image_item.set_outlines(shown.labels, shown.outline_colours)
        self.canvas.set_texts(shown.texts)
        self.canvas.image_item.set_opacity(_GREYED if shown.is_invalid else 1.0)
        if self._has_marks:
            self._apply_colours()
        self.picture_changed.emit(self)

    def _describe(self, row: int, column: int) -> str:
        return "" if self._shown is None else self.content.values.text(float(self._shown.values[row, column]))

    # -- options --------------------------------------------------------------------------------------------------

    def set_options(self, options: PaneOptions) -> None:
        """Show something else, or in another way."""
        before = self._options
        if options == before:
            return
        self._options = options
        if options.content is not before.content:
            self._filters = ViewFilters(self._facts.quantity(options.content))
            self.forget(self._message)
        self._show_options()
        if options.filters != before.filters:
            self._filter_again()
        self.options_changed.emit(self)

    def _filter_again(self) -> None:
        self._thread.forget()
        raw = self._raw
        if raw is not None:
            self._finish(raw, self._filters.prepared(raw.values, raw.mask))
            self.refresh_numbers("")

    def set_facts(self, facts: PaneFacts, store: LevelStore) -> None:
        """Show pictures of another instrument; what is on display is forgotten."""
        self._facts = facts
        self._store = store
        self._filters = ViewFilters(facts.quantity(self.content))
        self.forget(self._message)
        self.canvas.set_field(facts.field_um)
        self._show_options()

    def _show_options(self) -> None:
        options = self._options
        self.canvas.show_scale(on=options.content.plane is not Plane.SLM)  # how it is imaged onto the fibre is not known
        self._filters.set_settings(options.filters)
        self.title.setText(options.content.label)
        self.canvas.set_orientation(options.orientation)
        self.canvas.set_cross_hair(on=PaneFlag.CROSS_HAIR in options.flags)
        self.canvas.set_grid(on=PaneFlag.GRID in options.flags)
        self.canvas.image_item.set_nearest(nearest=PaneFlag.NEAREST in options.flags)
        self.strip.setVisible(PaneFlag.LEVELS in options.flags)
        self._levels.changed.disconnect(self._apply_colours)
        self._levels = self._store.of(options.content.values, options.filters)
        self._levels.changed.connect(self._apply_colours)
        self.strip.show_levels(self._levels, options.content.values)
        self.strip.set_colours(options.colours)
        self._apply_colours()

    def _apply_colours(self) -> None:
        low, high = self._levels.pair
        item = self.canvas.image_item
        cyclic = resolved(self._options.colours, low, high).is_cyclic
        table = colour_table(self._options.colours, low, high)
        if self._has_marks and not cyclic:
            table = marked_table(table)
            low, high = marked_levels(low, high, whole=self._shown is not None and self._shown.values.dtype.kind == "u")
        item.set_levels(low, high)
        item.set_colours(table, cyclic=cyclic)
        item.mark_clipped(self._shown.full_scale if self._has_marks and self._shown is not None else None)

    # -- numbers --------------------------------------------------------------------------------------------------

    def refresh_numbers(self, note: str) -> None:
        """Update subtitle, histogram and notes to the picture on display; a few times a second is enough."""
        shown = self._shown
        if shown is None:
            return
        height, width = shown.values.shape
        frame = "" if shown.frame_index is None else f"frame {count(shown.frame_index)}, "
        self.subtitle.show_text(f"{note}{frame}{width} × {height} px")
        self.strip.show_histogram(shown.values)
        filters = ", ".join(shown.filters)
        step = f"grid {self.canvas.grid_step_um:g} \N{MICRO SIGN}m" if PaneFlag.GRID in self._options.flags else ""
        turned = self._options.orientation.text
        texts = (self._age, filters, *self.clipped_texts, turned, step)
        self.canvas.annotations.set_notes(*(text[:1].upper() + text[1:] for text in texts))

    @property
    def clipped_texts(self) -> tuple[str, ...]:
        """How much of the picture lies at or beyond the levels, in words; nothing when this is not marked."""
        shown = self._shown
        if shown is None or not self._has_marks:
            return ()
        low, high = self._levels.pair
        if resolved(self._options.colours, low, high).is_cyclic:
            return ("cyclic colours clip nothing",)
        top = min(high, shown.full_scale) if shown.full_scale is not None else high
        values = shown.values if shown.mask.all() else shown.values[shown.mask]
        if not values.size:
            return ()
        clipped = (np.less_equal(values, low), np.greater_equal(values, top))
        below, above = (np.count_nonzero(pixels) / values.size for pixels in clipped)
        return f"{below:.2%} dark (blue)", f"{above:.2%} bright (magenta)"

    @property
    def _has_marks(self) -> bool:
        return PaneFlag.CLIPPED in self._options.flags

    # -- for the grid and the clipboard ---------------------------------------------------------------------------

    def set_current(self, *, on: bool) -> None:
        """Mark the pane that the keyboard acts on."""
        set_style(self, "current", "yes" if on else "no")

    def set_menus(self, contents: QMenu, view: QMenu) -> None:
        """Set the menus of the title and of the view button."""
        self.title.setMenu(contents)
        self.view_button.setMenu(view)

    def copied(self) -> QPixmap:
        """Return the picture as it is seen, with its scale bar and notes, without the rest of the pane."""
        annotations = self.canvas.annotations
        readout = annotations.readout
        annotations.set_readout("")
        part = annotations.picture.toAlignedRect()
        viewport = self.canvas.viewport
        pixmap = viewport.grab(part) if part.isValid() else viewport.grab()
        annotations.set_readout(readout)
        return pixmap
