"""The place of messages: nothing moves, causes that have gone take their message with them, and all stay in the log."""

from __future__ import annotations

from PyQt6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from app.gui.widgets.banner import Banner
from app.status import Message, MessageLevel, Topic
from tests.helpers.x_server.operator import wait_exposed


def test_a_message_moves_no_button(qtbot, styled) -> None:
    window, banner, button = QWidget(), Banner(), QPushButton("Stop live")
    qtbot.addWidget(window)
    layout = QVBoxLayout(window)
    layout.addWidget(banner)
    layout.addWidget(button)
    window.resize(500, 200)
    window.show()
    wait_exposed(window)
    before = button.geometry()
    for text in ("short", "a text of several lines " * 20):
        banner.push(Message(MessageLevel.ERROR, text))
        layout.activate()
        assert button.geometry() == before
    banner.dismiss()
    banner.dismiss()
    assert banner.shown is None
    assert button.geometry() == before


def test_a_message_goes_when_its_cause_has_gone_and_stays_in_the_log(qtbot, styled) -> None:
    banner = Banner()
    qtbot.addWidget(banner)
    lost = Message(MessageLevel.ERROR, "the camera has disappeared", Topic.CAMERA)
    full = Message(MessageLevel.ERROR, "the disk is full", Topic.RECORDING)
    back = Message(MessageLevel.INFO, "the camera is back", Topic.CAMERA)
    for message in (lost, full, back):
        banner.push(message)
    assert banner.shown is full
    banner.clear(Topic.RECORDING)
    assert banner.shown is back
    assert [entry.message for entry in banner.log] == [lost, full, back]


def test_a_repeated_message_is_logged_once_while_it_waits(qtbot, styled) -> None:
    banner = Banner()
    qtbot.addWidget(banner)
    logged: list[object] = []
    banner.logged.connect(logged.append)
    for _ in range(100):
        banner.push(Message(MessageLevel.ERROR, "no light"))
    assert len(banner.log) == len(logged) == 1
