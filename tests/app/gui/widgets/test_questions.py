"""Questions: neither Enter nor Escape nor closing the box ends anything."""

from __future__ import annotations

import pytest

from app.gui.widgets.questions import Question, ask
from tests.helpers.x_server.answers import Answer, agrees, refuses

QUESTION = Question(text="A recording is running.", agree="Stop recording", refuse="Keep recording")


@pytest.mark.parametrize("key", ["Return", "Escape", "space"])
def test_a_key_gives_the_safe_answer(operator, styled, key: str) -> None:
    answer = refuses(operator, key)
    assert not ask(QUESTION)
    answer.stop()
    assert answer.questions == ["A recording is running."]


def test_only_the_named_button_agrees(operator, styled) -> None:
    answer = agrees(operator)
    assert ask(QUESTION)
    answer.stop()
    answer = Answer(lambda box: operator.key("alt+F4", until=lambda: not box.isVisible()))
    assert not ask(QUESTION)
    answer.stop()
    assert len(answer.questions) == 1
