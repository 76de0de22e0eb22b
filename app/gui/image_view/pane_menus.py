"""The menus of a pane: what it shows, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PyQt6.QtGui import QAction, QActionGroup
from PyQt6.QtWidgets import QMenu

from app.gui.image_view.colour_maps import ColourMap
from app.gui.image_view.contents import Content, ValueKind
from app.gui.image_view.orientation import Orientation
from app.gui.image_view.pane import Pane
from app.gui.image_view.pane_options import PaneFlag, PaneOptions
from app.measuring.view_filters import FilterSettings

AVERAGES = (1, 2, 4, 8, 16, 32, 64)
_FLAGS = {
    PaneFlag.CLIPPED: ("Mark clipped pixels", "Pixels at or beyond the lower level become blue, beyond the upper one magenta"),
    PaneFlag.NEAREST: ("Pixels with sharp edges", "Enlarge without interpolation between pixels"),
    PaneFlag.CROSS_HAIR: ("Cross-hair", "Lines through the centre of the field"),
    PaneFlag.GRID: ("Grid", "Lines with a round distance, which is written on the picture"),
    PaneFlag.LEVELS: ("Levels", "The histogram below the picture"),
}


class PaneMenus:
    """Builds both menus of a pane each time they open, so that they always show its present state.

    Parameters
    ----------
    pane : Pane
        Whose menus they are.
    shared : sequence of QAction
        Commands for the current pane that go to the end of the view menu, such as copying.
    """

    def __init__(self, pane: Pane, shared: tuple[QAction, ...]) -> None:
        self._pane = pane
        self._shared = shared
        self.contents = QMenu(pane)
        self.view = QMenu(pane)
        self.view.setToolTipsVisible(True)
        # Not in the actions: Qt would keep the functions, and with them the pane, for ever.
        self._steps: dict[QAction, Callable[[], object]] = {}
        self.contents.triggered.connect(self._run)
        self.view.triggered.connect(self._run)
        self.contents.aboutToShow.connect(self.fill_contents)
        self.view.aboutToShow.connect(self.fill_view)
        pane.set_menus(self.contents, self.view)

    def fill_contents(self) -> None:
        """List what a pane can show."""
        self._pane.activate()
        self.contents.clear()
        self._steps.clear()
        group = QActionGroup(self.contents)
        for content in Content:
            action = self._action(self.contents, content.label, partial(self._show, content))
            _check(action, on=content is self._pane.content)
            group.addAction(action)

    def fill_view(self) -> None:
        """List how the picture can be shown."""
        pane, menu = self._pane, self.view
        pane.activate()
        menu.clear()
        self._steps.clear()
        self._fill_colours(menu.addMenu("Colours"))
        for flag, (text, tip) in _FLAGS.items():
            self._flag(menu, text, flag).setToolTip(tip)
        self._fill_orientation(menu.addMenu("Flip and rotate"))
        self._fill_filters(menu.addMenu("Filters"))
        menu.addSeparator()
        menu.addActions(self._shared)

    def _fill_colours(self, menu: QMenu | None) -> None:
        if menu is None:
            return
        options = self._pane.options
        for colours in ColourMap:
            if colours is ColourMap.AUTOMATIC and self._pane.content.values is ValueKind.COUNTS:
                continue
            text = str(colours).capitalize()
            action = self._action(menu, text, partial(self._set_colours, colours))
            _check(action, on=colours is options.colours)

    def _fill_orientation(self, menu: QMenu | None) -> None:
        if menu is None:
            return
        now = self._pane.options.orientation
        for text, orientation in (
            ("Flip left and right", now.flipped_horizontally()),
            ("Flip top and bottom", now.flipped_vertically()),
            ("Turn a quarter clockwise", now.turned()),
            ("As it is", Orientation()),
        ):
            self._action(menu, text, partial(self._set_orientation, orientation))

    def _fill_filters(self, menu: QMenu | None) -> None:
        if menu is None:
            return
        pane, filters = self._pane, self._pane.options.filters
        menu.setToolTipsVisible(True)
        is_phase = pane.content.values in (ValueKind.PHASE, ValueKind.ERROR, ValueKind.SLM_PHASE)
        for text, on, changed, tip in (
            ("Unwrap", filters.unwrap, replace(filters, unwrap=not filters.unwrap), "Remove jumps by 2 pi between pixels"),
            (
                "Remove tilt",
                filters.remove_tilt,
                replace(filters, remove_tilt=not filters.remove_tilt),
                "Subtract the least-squares plane inside the fibre's disc",
            ),
        ):
            action = self._action(menu, text, partial(self._filter, changed))
            _check(action, on=on)
            action.setEnabled(is_phase)
            action.setToolTip(tip if is_phase else "Only for phases")
        averages = menu.addMenu("Average")
        for number in AVERAGES if averages is not None else ():
            text = "Off" if number == 1 else f"{number} frames"
            action = self._action(averages, text, partial(self._filter, replace(filters, averaged_frames=number)))
            _check(action, on=number == filters.averaged_frames)
        menu.addSeparator()
        store = self._action(menu, "Use this picture as background", pane.store_background)
        store.setEnabled(pane.shown is not None)
        changed = replace(filters, subtract_background=not filters.subtract_background)
        action = self._action(menu, "Subtract the background", partial(self._filter, changed))
        _check(action, on=filters.subtract_background)
        action.setEnabled(pane.background is not None)

    def _show(self, content: Content) -> None:
        old = self._pane.options
        filters = FilterSettings(averaged_frames=old.filters.averaged_frames)
        self._set(replace(old, content=content, colours=content.colours, filters=filters))

    def _set(self, options: PaneOptions) -> None:
        self._pane.set_options(options)

    def _set_colours(self, colours: ColourMap) -> None:
        self._set(replace(self._pane.options, colours=colours))

    def _set_orientation(self, orientation: Orientation) -> None:
        self._set(replace(self._pane.options, orientation=orientation))

    def _filter(self, filters: FilterSettings) -> None:
        self._set(replace(self._pane.options, filters=filters))

    def _flag(self, menu: QMenu, text: str, flag: PaneFlag) -> QAction:
        action = self._action(menu, text, partial(self._toggle, flag))
        _check(action, on=flag in self._pane.options.flags)
        return action

    def _toggle(self, flag: PaneFlag) -> None:
        self._set(self._pane.options.toggled(flag))

    def _run(self, action: QAction) -> None:
        step = self._steps.get(action)
        if step is not None:
            step()

    def _action(self, menu: QMenu | None, text: str, step: Callable[[], object]) -> QAction:
        action = QAction(text, menu)
        self._steps[action] = step
        if menu is not None:
            menu.addAction(action)
        return action


def _check(action: QAction, *, on: bool) -> None:
    action.setCheckable(True)
    action.setChecked(on)
