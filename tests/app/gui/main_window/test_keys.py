"""The keys of the window: each does one thing, all are listed, and Tab walks along the page."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeySequence
from PyQt6.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget

from app.gui.command import Command
from app.gui.main_window.about import AboutDialog
from app.status import LiveState
from tests.helpers.x_server.operator import XOperator, maximize


def test_no_key_has_two_meanings_and_every_key_is_listed(window, operator):
    keys = Counter(QKeySequence(key).toString() for key, _ in window.all_keys())
    assert [key for key, times in keys.items() if times > 1] == []
    of_page = {action.shortcut().toString() for action in window.page.pictures.all_commands()} - {""}
    of_window = {window.commands[command].shortcut().toString() for command in Command} - {""}
    assert set(keys) == of_page | of_window
    operator.key("question", until=lambda: window.findChild(AboutDialog) is not None)
    about = window.findChild(AboutDialog)
    shown = {label.text() for label in about.findChildren(QLabel)}
    assert {key for key, _ in window.all_keys()} <= shown
    about.close()


def test_every_command_is_carried_out_by_the_window_or_by_its_page(window):
    of_window, of_page = set(window.answers()), set(window.page.answers())
    assert of_window | of_page == set(Command)
    assert of_window & of_page == set()


def test_without_an_instrument_the_commands_of_the_page_do_nothing(window, session, operator):
    of_page = set(window.page.answers())
    window.host.close_session()
    assert window.page is None
    assert not isinstance(window.focusWidget(), QAbstractButton)  # Space would press it
    keys = sorted(_x_name(command.value.keys) for command in of_page if command.value.keys)
    assert {"space", "r", "shift+e", "F2"} <= set(keys)
    operator.key(*keys)
    assert [call for call in session.calls if call != ("close",)] == []


def test_all_keys_fit_on_a_small_screen(window, operator):
    operator.key("F1", until=lambda: window.findChild(AboutDialog) is not None)
    about = window.findChild(AboutDialog)
    assert about.sizeHint().height() <= 720
    assert about.sizeHint().width() <= 1366
    about.close()


def _x_name(keys: str) -> str:
    """Return the name that X has for a shortcut of Qt."""
    return keys if keys.startswith("F") and len(keys) > 1 else keys.lower()


def _walk(operator: XOperator, window: QWidget, start: QWidget, steps: int) -> list[QWidget]:
    """Press Tab; return what has the focus each time."""
    start.setFocus()
    visited = [window.focusWidget()]
    for _ in range(steps):
        operator.key("Tab")
        visited.append(window.focusWidget())
    return visited


def test_tab_walks_along_the_page_from_the_top(window, session, operator):
    window.activateWindow()
    controls = window.page.controls
    walked = _walk(operator, window, controls.live, 3)
    assert walked == [controls.live, controls.recording_name, controls.record, controls.snapshot]
    tops = [widget.mapTo(window, widget.rect().topLeft()).y() for widget in _walk(operator, window, controls.snapshot, 12)[1:]]
    below = [top for top in tops if top > controls.height()]
    assert len(below) >= 6
    assert below[0] <= below[-1]


def test_what_has_the_focus_has_a_ring(window):
    window.activateWindow()
    controls = window.page.controls
    for widget in (controls.live, controls.recording_name, controls.record, controls.snapshot):
        window.page.setFocus()
        without = widget.grab().toImage()
        widget.setFocus(Qt.FocusReason.TabFocusReason)
        assert widget.hasFocus()
        assert widget.grab().toImage().pixelColor(widget.width() // 2, 0) != without.pixelColor(widget.width() // 2, 0)


def test_every_panel_fits_on_a_small_screen(window, session):
    session.status = replace(
        session.status, camera_fps=120.4, inference_fps=118.9, latency_ms_p50=131, latency_ms_p99=244, inference_ms_p50=19.3,
        state=LiveState.RUNNING, reference_correlation=0.31, can_retune=True,
    )  # fmt: skip
    window.refresh_numbers()
    window.resize(1366, 768)
    for command in (Command.RECORD_PANEL, Command.CAMERA_PANEL, Command.MEASURE_PANEL, Command.DRAWER):
        window.carry_out(command)
        QApplication.processEvents()
        assert (window.width(), window.height()) == (1366, 768)


def test_on_another_page_no_key_acts_on_the_live_page_unseen(window, session, operator):
    maximize(window)
    window.show_page(1)
    assert not window.commands[Command.RECORD].isEnabled()
    assert window.commands[Command.OPEN].isEnabled()
    operator.key("r")
    operator.key("t")
    assert session.calls == []
    window.show_page(0)
    assert window.commands[Command.RECORD].isEnabled()
