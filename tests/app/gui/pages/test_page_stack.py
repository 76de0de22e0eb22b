"""The pages of the window: made when they are first seen, quiet while they are not, and all of the same session."""

from __future__ import annotations

from typing import ClassVar

import pytest
from PyQt6.QtWidgets import QLabel

from app.gui.pages.page import Page, PageContext
from app.gui.pages.page_stack import PageEntry, PageStack
from app.gui.pages.rail import Rail
from app.gui.session_protocol import SessionLike
from app.jobs.job_list import JobList


class _Noted(Page):
    """A page that notes what happens to it."""

    title = "Noted"
    icon_name = "live"
    events: ClassVar[list[str]] = []

    def use_session(self, session: SessionLike | None) -> None:
        super().use_session(session)
        self.events.append("no session" if session is None else session.title)

    def enter(self) -> None:
        self.events.append("enter")

    def leave(self) -> None:
        self.events.append("leave")

    def release(self) -> None:
        self.events.append("release")


@pytest.fixture
def stack(qtbot) -> PageStack:
    _Noted.events.clear()
    entry = PageEntry(title="Noted", icon_name="live", load=lambda: _Noted)
    stack = PageStack(QLabel("live"), (entry, entry), PageContext(jobs=JobList()))
    qtbot.addWidget(stack)
    return stack


def test_a_page_is_made_when_it_is_first_seen_and_then_kept(stack, session):
    stack.use_session(session)
    assert stack.pages == ()
    stack.show_page(1)
    page = stack.current_page
    assert stack.currentWidget() is page
    assert _Noted.events == [session.title, "enter"]
    stack.show_page(0)
    assert stack.current_page is None
    stack.show_page(1)
    assert stack.current_page is page
    assert _Noted.events == [session.title, "enter", "leave", "enter"]


def test_a_click_on_the_page_that_is_seen_changes_nothing(stack):
    stack.show_page(1)
    before = list(_Noted.events)
    stack.show_page(1)
    assert _Noted.events == before


def test_every_page_is_released_with_the_window(stack):
    stack.show_page(1)
    _Noted.events.clear()
    stack.release()
    assert _Noted.events == ["leave", "release"]


def test_every_page_follows_the_session(stack, session):
    stack.show_page(1)
    stack.show_page(2)
    stack.use_session(session)
    assert [page.session for page in stack.pages] == [session, session]
    stack.use_session(None)
    assert [page.session for page in stack.pages] == [None, None]


def test_the_rail_tells_which_page_is_wanted_and_shows_which_is_seen(qtbot, styled, operator):
    rail = Rail()
    qtbot.addWidget(rail)
    first, second = (rail.add_page(title, "live", title) for title in ("Live", "Data"))
    chosen: list[int] = []
    rail.chosen.connect(chosen.append)
    rail.resize(300, 100)
    rail.show()
    operator.click(rail.widgetForAction(second))
    assert chosen == [1]
    rail.show_chosen(0)
    assert first.isChecked()
    assert not second.isChecked()
    assert chosen == [1]
