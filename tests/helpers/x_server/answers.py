"""An operator who answers the next question on the screen, with the mouse or the keyboard of the X server."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, QTimer
from PyQt6.QtWidgets import QApplication

from app.gui.widgets.questions import QuestionBox
from tests.helpers.x_server.operator import XOperator

_LOOK_MS = 10


class Answer(QObject):
    """Does something with each question, once it is in front; ``questions`` has the texts that were asked."""

    def __init__(self, act: Callable[[QuestionBox], object]) -> None:
        super().__init__()
        self.questions: list[str] = []
        self._act = act
        self._answered: list[QuestionBox] = []  # kept, so that no other one gets the same address
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(_LOOK_MS)

    def _look(self) -> None:
        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, QuestionBox) and widget.isActiveWindow() and not any(widget is one for one in self._answered):
                self._answered.append(widget)
                self.questions.append(widget.text())
                self._act(widget)

    def stop(self) -> None:
        """Answer no more questions."""
        self._timer.stop()


def agrees(operator: XOperator) -> Answer:
    """Click the button that ends what is running."""
    return Answer(lambda box: operator.click(box.agree, until=lambda: not box.isVisible()))


def refuses(operator: XOperator, key: str = "Return") -> Answer:
    """Press a key that gives the safe answer."""
    return Answer(lambda box: operator.key(key, until=lambda: not box.isVisible()))
