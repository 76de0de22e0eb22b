"""Dark, light, or as the desktop is: what the operator has chosen, and what the application therefore shows."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, QSettings, Qt
from PyQt6.QtGui import QGuiApplication, QStyleHints
from PyQt6.QtWidgets import QApplication

from app.gui.command import Command
from app.gui.main_window import window_state
from app.gui.main_window.commands import Commands
from app.gui.main_window.settings import ThemeChoice
from app.gui.widgets.palette import Theme, theme_in_use
from app.gui.widgets.style import apply_style


class Themes(QObject):
    """The theme of the application.

    Parameters
    ----------
    commands : Commands
        Their check marks show what is chosen.
    store : QSettings, optional
        Where the choice is remembered; None remembers nothing, and leaves the theme as it is.
    """

    def __init__(self, commands: Commands, store: QSettings | None = None) -> None:
        super().__init__(commands)
        self._commands = commands
        self._store = store
        self.choice = window_state.last_theme(store) if store is not None else ThemeChoice(theme_in_use())
        hints = QGuiApplication.styleHints()
        assert hints is not None
        self._hints: QStyleHints = hints
        hints.colorSchemeChanged.connect(self._follow)
        self._show(self.choice.theme_on(hints.colorScheme()))

    def answers(self) -> dict[Command, Callable[[], object]]:
        """Return what is done for each command about themes."""
        return {Command.LIGHT_THEME: self._toggle_light, Command.DESKTOP_THEME: self._toggle_desktop}

    def _toggle_light(self) -> None:
        """Use light colours in place of dark ones, or the other way round, whatever the desktop does."""
        self._choose(ThemeChoice.DARK if theme_in_use() is Theme.LIGHT else ThemeChoice.LIGHT)

    def _toggle_desktop(self) -> None:
        """Follow the desktop from now on, or keep the present theme."""
        is_followed = self.choice is ThemeChoice.SYSTEM
        self._choose(ThemeChoice(theme_in_use()) if is_followed else ThemeChoice.SYSTEM)

    def _choose(self, choice: ThemeChoice) -> None:
        self.choice = choice
        self._show(choice.theme_on(self._hints.colorScheme()))
        if self._store is not None:
            window_state.remember_theme(choice, self._store)

    def _follow(self, scheme: Qt.ColorScheme) -> None:
        self._show(self.choice.theme_on(scheme))

    def _show(self, theme: Theme) -> None:
        application = QApplication.instance()
        if theme is not theme_in_use() and isinstance(application, QApplication):
            apply_style(application, theme)
        self._commands[Command.LIGHT_THEME].setChecked(theme is Theme.LIGHT)
        self._commands[Command.DESKTOP_THEME].setChecked(self.choice is ThemeChoice.SYSTEM)
