"""A window that has closed is freed, with its session, before another instrument is opened."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from PyQt6.QtCore import QSettings, QTimer
from PyQt6.QtWidgets import QApplication

from app.gui import main
from app.gui.command import Command
from app.gui.main_window.page_list import RIG, TRAIN
from app.gui.main_window.window import MainWindow
from app.gui.session_protocol import SessionLike
from app.live.session import Session
from tests.helpers.scripted_session import ScriptedSession, make_view
from tests.helpers.small_instrument import small_instrument


class Operator:
    """Starts the live view in the window that opens, and closes it after some pictures."""

    def __init__(self) -> None:
        self.refs: list[weakref.ref[object]] = []
        self._timer = QTimer()
        self._timer.timeout.connect(self._look)
        self._timer.start(10)

    def _look(self) -> None:
        window = next(
            (widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow) and widget.isVisible()), None
        )
        if window is None or window.page is None:
            return
        if not self.refs:
            page = window.page
            self.refs = [weakref.ref(one) for one in (window, page, page.pictures, page.session)]
            window.carry_out(Command.TOGGLE_LIVE)
            window.carry_out(Command.TRAIN)
            self.refs += [weakref.ref(window.pages.page(number)) for number in (TRAIN, RIG)]
        if window.views_shown >= 2:
            self._timer.stop()
            window.close()

    def alive(self) -> list[str]:
        """Return what is still in memory, and what holds it."""
        gc.collect()
        return [f"{ref()!r} held by {_holders(ref())}" for ref in self.refs if ref() is not None]


def _holders(held: object) -> list[str]:
    return [
        f"{holder!r:.200} held by {[repr(each)[:200] for each in gc.get_referrers(holder)]}"
        for holder in gc.get_referrers(held)
    ]


def shown_and_closed(session: SessionLike, operator: Operator) -> None:
    assert main.run_window(session) == 0
    assert len(operator.refs) == 6


def test_a_closed_window_is_freed(styled, store: QSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "default_store", lambda: store)
    session, operator = ScriptedSession(), Operator()
    for _ in range(10):
        session.add(make_view())
    shown_and_closed(session, operator)
    del session
    assert operator.alive() == []


@pytest.mark.slow
def test_another_instrument_opens_when_the_first_one_is_freed(
    styled, store: QSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(main, "default_store", lambda: store)
    config = small_instrument(tmp_path)
    for _ in range(2):
        operator = Operator()
        shown_and_closed(Session.open(config), operator)
        assert operator.alive() == []
