"""An operator who answers the next question on the screen."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, Qt, QTimer
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from app.gui.widgets.questions import QuestionBox

_LOOK_MS = 10


class Answer(QObject):
    """Does something with the next question that is shown; ``questions`` has the texts that were asked."""

    def __init__(self, act: Callable[[QuestionBox], object]) -> None:
        super().__init__()
        self.questions: list[str] = []
        self._act = act
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(_LOOK_MS)

    def _look(self) -> None:
        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, QuestionBox) and widget.isVisible():
                self.questions.append(widget.text())
                self._act(widget)

    def stop(self) -> None:
        """Answer no more questions."""
        self._timer.stop()


def agrees() -> Answer:
    """Press the button that ends what is running."""
    return Answer(lambda box: QTest.mouseClick(box.agree, Qt.MouseButton.LeftButton))


def refuses() -> Answer:
    """Press Enter, which is the safe answer."""
    return Answer(lambda box: QTest.keyClick(box, Qt.Key.Key_Return))
