"""Questions: neither Enter nor Escape nor closing the box ends anything."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import Qt

from app.gui.widgets.questions import Question, ask
from tests.helpers.answers import Answer, agrees

QUESTION = Question(text="A recording is running.", agree="Stop recording", refuse="Keep recording")


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Escape, Qt.Key.Key_Space])
def test_a_key_gives_the_safe_answer(qtbot, styled, key: Qt.Key) -> None:
    operator = Answer(lambda box: qtbot.keyClick(box.focusWidget() or box, key))
    assert not ask(QUESTION)
    operator.stop()
    assert operator.questions == ["A recording is running."]


def test_only_the_named_button_agrees(qtbot, styled) -> None:
    operator = agrees()
    assert ask(QUESTION)
    operator.stop()
    operator = Answer(lambda box: box.close())
    assert not ask(QUESTION)
    operator.stop()
