"""Events in the window's tests come from the X server: no test makes them by hand with the helpers of Qt."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

#: Files that make events by hand, each with the reason.
BY_HAND = {
    "tests/helpers/dragged_files.py": "a drag comes from a second program, which no test starts",
}
#: What sends an event, calls a handler of events, or emits a signal of Qt in place of the operator.
HELPERS = {
    *("mouseClick", "mouseDClick", "mousePress", "mouseRelease", "mouseMove"),
    *("keyClick", "keyClicks", "keyPress", "keyRelease", "keySequence"),
    *("sendEvent", "postEvent", "notify", "animateClick", "trigger"),
    *("mousePressEvent", "mouseReleaseEvent", "mouseMoveEvent", "mouseDoubleClickEvent", "wheelEvent"),
    *("keyPressEvent", "keyReleaseEvent", "focusInEvent", "focusOutEvent", "enterEvent", "leaveEvent", "contextMenuEvent"),
}
EVENTS = {
    *("QMouseEvent", "QKeyEvent", "QWheelEvent", "QHoverEvent", "QEnterEvent", "QFocusEvent", "QContextMenuEvent"),
    *("QShortcutEvent", "QTouchEvent", "QDragEnterEvent", "QDragMoveEvent", "QDragLeaveEvent", "QDropEvent"),
}
SIGNALS = {
    *("clicked", "doubleClicked", "pressed", "released", "toggled", "triggered", "activated", "returnPressed"),
    *("editingFinished", "textEdited", "sectionClicked", "itemClicked", "itemActivated", "cellClicked"),
}


def by_hand(source: str) -> Iterator[str]:
    """Yield the calls of a file that make events by hand."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        owner = called.value if isinstance(called, ast.Attribute) else None
        is_handler = name in HELPERS and not (isinstance(owner, ast.Call) and ast.unparse(owner.func) == "super")
        is_click = name == "click" and owner is not None and not node.args and not node.keywords
        is_signal = name == "emit" and isinstance(owner, ast.Attribute) and owner.attr in SIGNALS
        if is_handler or is_click or is_signal or name in EVENTS:
            yield f"{ast.unparse(called)} in line {node.lineno}"


@pytest.mark.parametrize(
    "line",
    [
        "qtbot.mouseClick(button, left)",
        "QTest.keyClicks(field, 'liver')",
        "button.click()",
        "window.commands[command].trigger()",
        "button.clicked.emit()",
        "box.activated.emit(1)",
        "QApplication.sendEvent(widget, event)",
        "event = QKeyEvent(*of_return)",
        "table.keyPressEvent(event)",
    ],
)
def test_an_event_by_hand_is_noticed(line: str) -> None:
    assert len(list(by_hand(line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "operator.click(button)",
        "operator.key('Return', until=window.isVisible)",
        "panel.change_requested.emit(name, 2)",
        "super().keyPressEvent(event)",
        "QApplication.sendPostedEvents(None, deleted)",
    ],
)
def test_the_operator_and_signals_of_the_program_are_none(line: str) -> None:
    assert list(by_hand(line)) == []


def test_no_test_of_the_window_makes_events_by_hand() -> None:
    files = [file for folder in ("tests/app/gui", "tests/helpers") for file in (ROOT / folder).glob("**/*.py")]
    assert len(files) > len(BY_HAND)
    uses = {str(file.relative_to(ROOT)): list(by_hand(file.read_text("utf-8"))) for file in files}
    others = {path: calls for path, calls in uses.items() if calls and path not in BY_HAND}
    assert not others, f"use the fixture operator in place of these: {others}"
    assert all(uses[path] for path in BY_HAND), "a file that makes no events by hand needs no exception"
