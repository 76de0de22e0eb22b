"""Files that are dragged over a window and dropped on it, or taken away again."""

from __future__ import annotations

from pathlib import Path

import pytest
from PyQt6.QtCore import QMimeData, QUrl
from PyQt6.QtWidgets import QLabel, QLineEdit, QVBoxLayout, QWidget

from app.gui.widgets.file_drop import FileDrop
from drivers.base import SpeckleScopeError
from tests.helpers.dragged_files import drag, drop, files, leave
from tests.helpers.x_server.operator import wait_exposed


def say(paths: tuple[Path, ...]) -> str:
    if paths[0].suffix == ".txt":
        raise SpeckleScopeError("texts are not opened")
    return f"Open {paths[0].name}"


@pytest.fixture
def window(qtbot, styled) -> QWidget:
    shown = QWidget()
    layout = QVBoxLayout(shown)
    layout.addWidget(QLabel("a picture"))
    layout.addWidget(QLineEdit())
    qtbot.addWidget(shown)
    shown.resize(800, 500)
    shown.show()
    wait_exposed(shown)
    return shown


@pytest.fixture
def target(window) -> FileDrop:
    return FileDrop(window, say)


def test_a_drag_shows_what_it_would_do_until_it_leaves(window, target) -> None:
    child = window.findChild(QLabel)
    assert drag(child, files("/data/station.yaml"))
    assert target.card.isVisible()
    assert (target.card.heading.text(), target.card.text.text()) == ("Drop to open", "Open station.yaml")
    assert window.rect().contains(target.card.geometry())
    leave(child)
    assert not target.card.isVisible()


def test_a_drag_that_cannot_be_opened_says_why(window, target) -> None:
    assert drag(window, files("/data/words.txt"))
    assert (target.card.heading.text(), target.card.text.text()) == ("This cannot be opened", "texts are not opened")


def test_a_drop_hands_on_its_paths_after_the_other_program_was_answered(window, target, qtbot) -> None:
    arrived: list[object] = []
    target.dropped.connect(arrived.append)
    with qtbot.waitSignal(target.dropped):
        assert drop(window, files("/data/a b.png", "/data/ü.png"))
        assert arrived == []
    assert arrived == [(Path("/data/a b.png"), Path("/data/ü.png"))]
    assert not target.card.isVisible()


def test_an_address_of_another_computer_is_refused(window, target, qtbot) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl("https://example.org/dots.png")])
    assert drag(window, mime)
    assert target.card.heading.text() == "This cannot be opened"
    with qtbot.waitSignal(target.refused) as refused:
        drop(window, mime)
    assert "https://example.org/dots.png is no file of this computer" in refused.args[0]


def test_text_is_left_to_the_fields(window, target) -> None:
    mime = QMimeData()
    mime.setText("liver")
    assert not drag(window, mime)
    assert drag(window.findChild(QLineEdit), mime)
    assert not target.card.isVisible()


def test_a_long_refusal_fits_a_narrow_window(window, target) -> None:
    window.resize(400, 300)
    target.card.show_offer("Open it")
    target.card.show_refusal("one sentence that is long and says everything that can be opened instead, " * 3)
    card = target.card
    assert window.rect().contains(card.geometry())
    assert card.text.height() >= card.text.heightForWidth(card.text.width())
