"""Each page of the rail has a command in the one table of commands: with a key, in a menu, and in the list of keys."""

from __future__ import annotations

from PyQt6.QtWidgets import QLabel

from app.gui.command import PAGE_COMMANDS, Command
from app.gui.main_window.about import AboutDialog
from app.gui.main_window.page_list import PAGES
from tests.helpers.x_server.operator import XOperator, maximize

TITLES = ["Live", "Data", "Build", "Train", "Calibrate", "Rig"]


def test_every_page_has_its_key_and_its_words_from_the_table_of_commands(window) -> None:
    assert [command.value.text for command in PAGE_COMMANDS] == TITLES
    assert [action.text() for action in window.rail.actions()] == TITLES
    assert [page.title for page in PAGES] == TITLES[1:]
    for command, action in zip(PAGE_COMMANDS, window.rail.actions(), strict=True):
        assert action.toolTip() == f"{command.value.tip}  ({command.value.keys})"


def test_keys_and_the_menu_show_the_pages_from_any_page(window, operator: XOperator) -> None:
    maximize(window)
    for number in (1, 5, 2, 0, 4, 3):
        operator.key(f"alt+{number + 1}", until=lambda number=number: window.pages.number == number)
        assert window.rail.actions()[number].isChecked()
    operator.choose_in_menus(window.menuBar(), window.commands[Command.LIVE_PAGE], until=lambda: window.pages.number == 0)


def test_the_list_of_keys_has_those_of_the_pages(window, operator: XOperator) -> None:
    operator.key("question", until=lambda: window.findChild(AboutDialog) is not None)
    about = window.findChild(AboutDialog)
    shown = [label.text() for label in about.findChildren(QLabel)]
    for number, title in enumerate(TITLES, 1):
        assert f"Alt+{number}" in shown
        assert shown[shown.index(f"Alt+{number}") + 1] == f"{title} page"
    about.close()
