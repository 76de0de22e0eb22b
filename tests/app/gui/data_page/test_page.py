"""The Data page lists, finds, changes, copies and restores what was recorded, on real archives."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QItemSelectionModel, QPoint, QSettings, Qt
from PyQt6.QtTest import QSignalSpy
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from acquisition.archive.folder import LockState, lock_state
from acquisition.archive.reader import Archive
from app.gui.data_page import page as page_module
from app.gui.data_page.entry_list.actions import EntryAction
from app.gui.data_page.entry_list.entry_model import COLUMNS, Column
from app.gui.data_page.filters import Filters, KindFilter
from app.gui.data_page.notices import NoticeAction
from app.gui.data_page.page import DataPage
from app.gui.main_window.page_list import DATA
from app.gui.main_window.session_host import SessionHost
from app.gui.main_window.window import MainWindow
from app.gui.pages.page import PageContext
from app.jobs.job_list import JobList, JobOrder
from app.library import archives as archives_module
from app.library.archives import Archives
from app.library.entry import Entry
from app.library.in_use import kept_in_place
from app.library.library import Library
from app.library.notes import change_notes, read_notes
from app.library.transfer import copy_entry
from app.library.transfers import TransferKind
from app.library.trash import move_to_trash
from app.status import Message, MessageLevel
from tests.helpers.archives.library_archive import cut_off, dataset, end, recording, snapshot, writing_process
from tests.helpers.rights import read_only
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.x_server.answers import Answer, agrees, refuses
from tests.helpers.x_server.operator import XOperator, show_in_front, wait_until

PageOf = Callable[..., DataPage]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def quick_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let archives be looked at and shown often, and nothing be kept outside the folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(archives_module, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(page_module, "_POLL_MS", 20)


@pytest.fixture
def page_of(qtbot, styled, session: ScriptedSession, root: Path, quick_looks: None) -> Iterator[PageOf]:
    """Makes a page that is seen, on the archive of a session, and waits for its entries."""
    session.archive = root
    pages: list[DataPage] = []

    def make(entries: int | None = None, store: QSettings | None = None) -> DataPage:
        page = DataPage(PageContext(jobs=JobList(), store=store))
        pages.append(page)
        qtbot.addWidget(page)
        page.use_session(session)
        page.resize(1290, 640)
        show_in_front(page)
        page.enter()
        if entries is not None:
            qtbot.waitUntil(lambda: len(page.model.entries) == entries)
        return page

    yield make
    for page in pages:
        page.leave()
        page.release()
        assert page.archives.join(10)


def names(page: DataPage) -> list[str]:
    return [entry.name for entry in page.model.entries]


def select(page: DataPage, *wanted: str) -> tuple[Entry, ...]:
    page.table.select(entry.path for entry in page.model.entries if entry.name in wanted)
    assert {entry.name for entry in page.table.selected} == set(wanted)
    return page.table.selected


def click_row(operator: XOperator, page: DataPage, name: str, column: Column = Column.NAME) -> None:
    operator.click_cell(page.table, names(page).index(name), COLUMNS.index(column))


def answered(answer: Answer, operator: XOperator, page: DataPage) -> str:
    """Click Empty trash; return the question that came, after the answer."""
    operator.click(page.trash.empty, until=lambda: bool(answer.questions))
    answer.stop()
    return answer.questions[0]


def cell(page: DataPage, name: str, column: Column) -> str:
    row = names(page).index(name)
    return str(page.model.index(row, COLUMNS.index(column)).data())


def test_everything_in_the_archive_is_listed_with_its_facts(page_of: PageOf, root: Path) -> None:
    recording(root, "cells")
    dataset(root, "pairs", complete=False)
    snapshot(root)
    page = page_of(3)
    assert cell(page, "cells", Column.KIND) == "Recording"
    assert cell(page, "cells", Column.LENGTH) == "0:02"
    assert cell(page, "cells", Column.COUNT) == "3"
    assert cell(page, "cells", Column.INSTRUMENT) == "bench 2"
    assert cell(page, "cells", Column.ENDED) == "complete"
    assert cell(page, "pairs", Column.ENDED) == "stopped"
    assert cell(page, "7", Column.KIND) == "Snapshot"
    assert "3 listed" in page.buttons.text.full_text


def test_small_pictures_come_by_themselves(qtbot, page_of: PageOf, root: Path) -> None:
    path = recording(root)
    page = page_of(1)
    index = page.model.index(0, COLUMNS.index(Column.PICTURE))
    qtbot.waitUntil(lambda: index.data(Qt.ItemDataRole.DecorationRole) is not None)
    picture = index.data(Qt.ItemDataRole.DecorationRole)
    assert (picture.width(), picture.height()) == (196, 96)
    pixels = picture.toImage()
    speckle = Archive.open(path).read("speckle", 1)
    shown = np.array([[pixels.pixelColor(6 * x + 3, 6 * y + 3).red() for x in range(16)] for y in range(16)])
    assert np.corrcoef(shown.ravel(), speckle.ravel())[0, 1] > 0.9


def test_the_search_finds_while_it_is_typed_and_says_when_nothing_fits(
    page_of: PageOf, root: Path, operator: XOperator
) -> None:
    for name in ("liver left", "liver right", "kidney"):
        recording(root, name)
    page = page_of(3)
    operator.click(page.bar.search)
    operator.type("liver")
    assert sorted(names(page)) == ["liver left", "liver right"]
    operator.type(" -left")
    assert names(page) == ["liver right"]
    operator.type(" lung")
    assert names(page) == []
    assert "0 of 3" in page.buttons.text.full_text


def test_letters_that_are_typed_in_the_list_go_to_the_search(page_of: PageOf, root: Path, operator: XOperator) -> None:
    for name in ("liver", "kidney"):
        recording(root, name)
    page = page_of(2)
    click_row(operator, page, "liver")
    operator.type("ki", until=lambda: page.bar.search.text() == "ki")
    assert names(page) == ["kidney"]


def test_down_goes_from_the_search_into_the_list(page_of: PageOf, root: Path, operator: XOperator) -> None:
    recording(root, "liver")
    page = page_of(1)
    operator.click(page.bar.search)
    operator.key("Down")
    assert page.table.hasFocus()
    assert [entry.name for entry in page.table.selected] == ["liver"]


def test_kinds_dates_and_stars_filter(page_of: PageOf, root: Path, operator: XOperator) -> None:
    starred = recording(root, "good")
    change_notes(starred, star=True)
    recording(root, "bad")
    dataset(root, "pairs")
    page = page_of(3)
    operator.choose(page.bar.kind, list(KindFilter).index(KindFilter.DATASETS))
    assert names(page) == ["pairs"]
    page.show_only(Filters(starred=True))
    assert names(page) == ["good"]
    assert page.bar.kind.currentData() is KindFilter.ALL


def test_a_click_on_a_heading_sorts_and_keeps_what_is_selected(page_of: PageOf, root: Path, operator: XOperator) -> None:
    for name, frames in (("b", 3), ("a", 5), ("c", 2)):
        recording(root, name, frames=frames)
    page = page_of(3)
    select(page, "b")
    header = page.table.horizontalHeader()

    def click_heading(column: Column) -> None:
        number = COLUMNS.index(column)
        middle = header.sectionViewportPosition(number) + header.sectionSize(number) // 2
        operator.click(header.viewport(), QPoint(middle, header.height() // 2))

    click_heading(Column.NAME)
    assert names(page) == ["a", "b", "c"]
    click_heading(Column.COUNT)
    assert names(page) == ["a", "b", "c"]
    click_heading(Column.COUNT)
    assert names(page) == ["c", "b", "a"]
    assert [entry.name for entry in page.table.selected] == ["b"]


def test_a_star_is_stored_and_shown_by_a_click_and_by_its_key(page_of: PageOf, root: Path, operator: XOperator) -> None:
    path = recording(root)
    page = page_of(1)
    click_row(operator, page, "cells", Column.STAR)
    wait_until(lambda: page.model.entries[0].notes.star)
    assert read_notes(path).star
    click_row(operator, page, "cells")
    operator.key("ctrl+d", until=lambda: not page.model.entries[0].notes.star)


def test_the_details_say_everything_in_words(qtbot, page_of: PageOf, root: Path) -> None:
    recording(root)
    page = page_of(1)
    assert page.details.heading.text() == "Nothing is selected"
    select(page, "cells")
    qtbot.waitUntil(lambda: bool(page.details.fact_texts()))
    facts = page.details.fact_texts()
    assert facts["Model"] == "bench-july (0123456789ab)"
    assert facts["Without phase"] == "1 of 3 frames"
    assert not page.details.pictures.is_empty


def test_notes_are_stored_when_the_focus_leaves(page_of: PageOf, root: Path, operator: XOperator) -> None:
    path = recording(root, "one")
    recording(root, "two")
    page = page_of(2)
    select(page, "one")
    operator.click(page.details.notes)
    operator.type("warm saline", until=lambda: page.details.notes.toPlainText() == "warm saline")
    assert read_notes(path).text == ""
    operator.key("Tab", until=lambda: read_notes(path).text == "warm saline")
    wait_until(lambda: bool(page.archives.search("saline")))


def test_notes_are_stored_for_the_entry_that_they_were_typed_for(qtbot, page_of: PageOf, root: Path) -> None:
    one, two = recording(root, "one"), recording(root, "two")
    page = page_of(2)
    select(page, "one")
    page.details.notes.setPlainText("of one")
    select(page, "two")
    qtbot.waitUntil(lambda: read_notes(one).text == "of one")
    assert page.details.notes.toPlainText() == ""
    page.leave()
    qtbot.waitUntil(lambda: not page.commands.busy)
    assert read_notes(two).text == ""


def test_tags_are_stored_and_offered_to_others(page_of: PageOf, root: Path, operator: XOperator) -> None:
    path = recording(root, "one")
    recording(root, "two")
    page = page_of(2)
    select(page, "one")
    operator.click(page.details.tags)
    operator.type("liver, paper")
    operator.key("Return", until=lambda: read_notes(path).tags == ("liver", "paper"))
    wait_until(lambda: page.bar.search.text() == "" and bool(page.archives.search("#paper")))


def test_several_entries_get_a_tag_at_once_beside_their_own(page_of: PageOf, root: Path, operator: XOperator) -> None:
    first, second = recording(root, "one"), recording(root, "two")
    change_notes(first, tags=["own"])
    page = page_of(2)
    select(page, "one", "two")
    assert page.details.heading.text().startswith("2 selected")
    operator.click(page.details.more_tags)
    operator.type("liver")
    operator.key("Return", until=lambda: read_notes(first).tags == ("own", "liver"))
    wait_until(lambda: read_notes(second).tags == ("liver",))


def test_a_note_that_cannot_be_stored_stays_and_says_why(qtbot, page_of: PageOf, root: Path) -> None:
    path = recording(root, "one")
    recording(root, "two")
    page = page_of(2)
    select(page, "one")
    page.details.notes.setPlainText("x" * 20_000)
    page.table.setFocus()
    page.details.notes.commit()
    qtbot.waitUntil(page.details.notes_problem.isVisible)
    assert "10000 letters" in page.details.notes_problem.text()
    select(page, "two")
    assert not page.details.notes_problem.isVisible()
    select(page, "one")
    assert len(page.details.notes.toPlainText()) == 20_000
    assert page.details.notes_problem.isVisible()
    assert read_notes(path).text == ""


def test_a_folder_without_rights_is_said_beside_the_notes(qtbot, page_of: PageOf, root: Path) -> None:
    path = recording(root, "one")
    page = page_of(1)
    select(page, "one")
    with read_only(path):
        page.details.notes.setPlainText("warm")
        page.details.notes.commit()
        qtbot.waitUntil(page.details.notes_problem.isVisible)
    assert "permissions" in page.details.notes_problem.text()
    assert names(page) == ["one"]


def test_an_entry_is_renamed_and_stays_selected(page_of: PageOf, root: Path, operator: XOperator) -> None:
    recording(root, "one")
    recording(root, "two")
    page = page_of(2)
    click_row(operator, page, "one")
    operator.key("F2")
    assert page.details.name.hasFocus()
    assert page.details.name.selectedText() == "one"
    operator.type("liver 3")
    operator.key("Return", until=lambda: sorted(names(page)) == ["liver 3", "two"])
    wait_until(lambda: [entry.name for entry in page.table.selected] == ["liver 3"])
    assert Archive.open(page.table.selected[0].path).status["name"] == "liver 3"


def test_a_name_that_cannot_be_is_said_while_it_is_typed_and_escape_brings_the_old_one_back(
    page_of: PageOf, root: Path, operator: XOperator
) -> None:
    recording(root, "one")
    page = page_of(1)
    click_row(operator, page, "one")
    operator.key("F2")
    operator.type("a/b")
    assert "Windows" in page.details.name_problem.text()
    operator.key("Return", "Escape")
    assert page.details.name.text() == "one"
    assert not page.details.name_problem.isVisible()
    assert names(page) == ["one"]


def test_a_name_that_exists_is_said_beside_the_field(page_of: PageOf, root: Path, operator: XOperator) -> None:
    recording(root, "one")
    recording(root, "two")
    page = page_of(2)
    click_row(operator, page, "one")
    operator.key("F2")
    operator.type("two")
    operator.key("Return", until=page.details.name_problem.isVisible)
    assert "already" in page.details.name_problem.text()
    assert sorted(names(page)) == ["one", "two"]


def test_what_is_written_or_used_by_a_job_says_so_before_the_click(qtbot, page_of: PageOf, root: Path) -> None:
    free = recording(root, "free")
    process, _ = writing_process(root, "busy")
    try:
        page = page_of(2)
        select(page, "busy")
        button = page.buttons.buttons[EntryAction.TRASH]
        assert not button.isEnabled()
        assert "being written" in button.toolTip()
        assert page.buttons.buttons[EntryAction.PLAY].isEnabled()
        select(page, "free")
        qtbot.waitUntil(button.isEnabled)
        order = JobOrder(name="Export free", work=lambda progress, stop: stop.wait() and None, folders=frozenset({free}))
        job = page.context.jobs.start(order)
        qtbot.waitUntil(lambda: not button.isEnabled())
        assert "Export free is running" in button.toolTip()
        assert "Export free is running" in page.buttons.text.full_text
        job.stop()
        qtbot.waitUntil(button.isEnabled)
    finally:
        end(process)


def test_the_trash_takes_gives_back_and_is_emptied_only_after_a_question(
    page_of: PageOf, root: Path, operator: XOperator
) -> None:
    path = recording(root, "one")
    recording(root, "two")
    page = page_of(2)
    click_row(operator, page, "one")
    operator.key("Delete", until=lambda: names(page) == ["two"])
    operator.click(page.bar.trash, until=lambda: len(page.trash.entries) == 1)
    operator.click_cell(page.trash.table, 0)
    operator.click(page.trash.restore, until=lambda: not page.trash.entries and path.exists())
    operator.click(page.trash.back, until=lambda: sorted(names(page)) == ["one", "two"])
    move_to_trash(root, path)
    page.show_trash()
    wait_until(lambda: len(page.trash.entries) == 1)
    assert "1 entry of" in answered(refuses(operator), operator, page)
    assert len(page.trash.entries) == 1
    answered(agrees(operator), operator, page)
    wait_until(lambda: not page.trash.entries)


def test_a_place_that_is_taken_is_said_in_the_trash(page_of: PageOf, root: Path, operator: XOperator) -> None:
    path = recording(root, "one")
    move_to_trash(root, path)
    path.mkdir()
    page = page_of(0)
    operator.click(page.bar.trash, until=lambda: len(page.trash.entries) == 1)
    operator.click_cell(page.trash.table, 0)
    operator.click(page.trash.restore, until=page.trash.problem.isVisible)
    assert "rename that one first" in page.trash.problem.text()
    assert len(page.trash.entries) == 1


def test_entries_are_copied_to_another_disk_as_a_job(qtbot, page_of: PageOf, root: Path, tmp_path: Path) -> None:
    recording(root, "one")
    recording(root, "two")
    stick = tmp_path / "stick"
    stick.mkdir()
    page = page_of(2)
    messages: list[Message] = []
    page.reported.connect(messages.append)
    page.transfer(select(page, "one", "two"), TransferKind.COPY, stick)
    assert [job.order.name for job in page.context.jobs.running] in (["Copy 2 entries to stick, in MB"], [])
    qtbot.waitUntil(lambda: bool(messages))
    assert messages[-1].level is MessageLevel.INFO
    assert "2 of 2 copied" in messages[-1].text
    library = Library(stick, tmp_path / "cache.json")
    assert sorted(entry.name for entry in library.scan()) == ["one", "two"]
    assert sorted(names(page)) == ["one", "two"]


def test_a_copy_that_is_refused_says_why_and_changes_nothing(qtbot, page_of: PageOf, root: Path, tmp_path: Path) -> None:
    path = recording(root, "one")
    stick = tmp_path / "stick"
    (stick / path.name).mkdir(parents=True)
    page = page_of(1)
    messages: list[Message] = []
    page.reported.connect(messages.append)
    page.transfer(select(page, "one"), TransferKind.COPY, stick)
    qtbot.waitUntil(lambda: bool(messages))
    assert messages[-1].level is MessageLevel.ERROR
    assert "exists already" in messages[-1].text


def test_an_interrupted_copy_is_listed_and_goes_on(page_of: PageOf, root: Path, tmp_path: Path, operator: XOperator) -> None:
    path = recording(root, "one")
    stick = tmp_path / "stick"
    stick.mkdir()
    stop = threading.Event()
    assert copy_entry(path, stick, lambda done, total: stop.set() if done > total / 2 else None, stop) is None
    page = page_of(1)
    page.add_archive(stick)
    wait_until(lambda: bool(page.notices.shown))
    assert "was interrupted" in page.notices.shown[0].text
    operator.click(
        page.notices.button(NoticeAction.CONTINUE), until=lambda: (stick / path.name).exists() and not page.notices.shown
    )
    wait_until(lambda: names(page) == ["one", "one"])


def test_after_a_crash_it_lists_what_was_cut_off_and_how_many_frames_are_safe(
    page_of: PageOf, root: Path, operator: XOperator
) -> None:
    path = cut_off(root, "lost", frames=4)
    recording(root, "whole")
    page = page_of(2)
    wait_until(lambda: bool(page.notices.shown))
    assert "lost: 4 frames are safe" in page.notices.shown[0].text
    operator.click(page.notices.button(NoticeAction.SHOW))
    assert names(page) == ["lost"]
    assert [entry.name for entry in page.table.selected] == ["lost"]
    operator.click(page.notices.button(NoticeAction.REPAIR), until=lambda: not page.notices.shown)
    wait_until(lambda: lock_state(path) is LockState.FREE)
    assert len(Archive.open(path)) == 4
    page.show_only(Filters())
    wait_until(lambda: cell(page, "lost", Column.ENDED) == "error")


def test_tab_walks_along_the_page_from_the_top_and_a_notice_can_be_hidden(
    page_of: PageOf, root: Path, qapp: QApplication, operator: XOperator
) -> None:
    cut_off(root, "lost")
    page = page_of(1)
    wait_until(lambda: bool(page.notices.shown))
    select(page, "lost")
    operator.click(page.bar.search)
    visited = [page.focusWidget()]
    connection = qapp.focusChanged.connect(lambda before, now: visited.append(now))
    operator.key(*["Tab"] * 24)
    qapp.focusChanged.disconnect(connection)  # it would keep every widget of later tests that gets the focus
    wanted = [
        *(page.bar.search, page.bar.trash, page.notices.button(NoticeAction.REPAIR), page.table, page.details.name),
        *(page.details.notes, page.buttons.buttons[EntryAction.PLAY], page.buttons.buttons[EntryAction.TRASH]),
    ]
    places = [visited.index(widget) for widget in wanted]
    assert places == sorted(places)
    operator.click(page.notices.button(NoticeAction.HIDE))
    assert not page.notices.isVisible()
    assert names(page) == ["lost"]


def test_a_folder_that_is_added_is_listed_and_remembered(
    page_of: PageOf, root: Path, tmp_path: Path, store: QSettings, operator: XOperator
) -> None:
    recording(root, "own")
    recording(tmp_path / "stick", "guest")
    page = page_of(1, store)
    page.add_archive(tmp_path / "stick")
    wait_until(lambda: sorted(names(page)) == ["guest", "own"])
    again = page_of(2, store)
    menu = again.bar.menu
    operator.click(again.bar.archives, until=menu.isVisible)
    texts = [action.text() for action in menu.actions()]
    assert "Remove stick from this list" in texts
    assert "Remove archive from this list" not in texts
    remove = next(action for action in menu.actions() if action.text().startswith("Remove"))
    operator.click(menu, menu.actionGeometry(remove).center(), until=lambda: names(again) == ["own"])


def test_a_stick_that_is_pulled_out_says_so_and_comes_back(qtbot, page_of: PageOf, root: Path, tmp_path: Path) -> None:
    recording(root, "own")
    stick = tmp_path / "stick"
    recording(stick, "guest")
    page = page_of(1)
    page.add_archive(stick)
    qtbot.waitUntil(lambda: len(page.model.entries) == 2)
    stick.rename(tmp_path / "away")
    qtbot.waitUntil(lambda: names(page) == ["own"])
    assert str(stick) in page.notices.shown[0].text
    assert "comes back by itself" in page.notices.shown[0].text
    assert page.buttons.text.full_text == "1 listed"
    (tmp_path / "away").rename(stick)
    qtbot.waitUntil(lambda: sorted(names(page)) == ["guest", "own"])
    assert not page.notices.shown


def test_an_archive_without_entries_says_what_will_appear(page_of: PageOf, root: Path) -> None:
    page = page_of(0)
    assert not page.notices.shown
    page.show_only(Filters(query="x"))
    page.show_only(Filters())
    assert page.model.entries == ()


def test_without_an_instrument_the_last_archive_is_listed(qtbot, page_of: PageOf, root: Path, store: QSettings) -> None:
    recording(root, "own")
    page_of(1, store)
    page = DataPage(PageContext(jobs=JobList(), store=store))
    qtbot.addWidget(page)
    page.use_session(None)
    page.enter()
    qtbot.waitUntil(lambda: names(page) == ["own"])
    page.leave()
    assert page.archives.join(10)


def test_the_window_is_asked_to_play_live_and_to_export(page_of: PageOf, root: Path, operator: XOperator) -> None:
    path = recording(root, "one")
    page = page_of(1)
    select(page, "one")
    live = QSignalSpy(page.play_requested)
    operator.click(page.buttons.buttons[EntryAction.LIVE])
    assert live[0] == [path]
    asked = QSignalSpy(page.export_requested)
    operator.click(page.buttons.buttons[EntryAction.EXPORT])
    assert asked[0] == [(path,)]
    assert page.context.jobs.statuses() == ()


def test_a_recording_is_played_and_the_list_comes_back(page_of: PageOf, root: Path, operator: XOperator) -> None:
    path = recording(root, "one")
    recording(root, "two")
    page = page_of(2)
    click_row(operator, page, "one")
    operator.key("Return")
    assert page.is_playing
    wait_until(lambda: page.player.left.archive is not None)
    assert page.player.left.path == path
    assert not page.player.is_comparing
    operator.click(page.player.head.back)
    assert not page.is_playing
    assert page.table.isVisible()
    assert [entry.name for entry in page.table.selected] == ["one"]


def test_two_recordings_are_played_side_by_side(page_of: PageOf, root: Path, operator: XOperator) -> None:
    recording(root, "one")
    recording(root, "two")
    page = page_of(2)
    select(page, "one", "two")
    operator.click(page.buttons.buttons[EntryAction.PLAY])
    assert page.player.is_comparing
    assert {page.player.left.path, page.player.right.path} == {entry.path for entry in page.model.entries}


def test_two_windows_on_one_archive_see_what_the_other_one_does(qtbot, page_of: PageOf, root: Path) -> None:
    for name in ("one", "two"):
        recording(root, name)
    here, there = page_of(2), page_of(2)
    select(there, "one")
    there.details.notes.setPlainText("typed there")
    here.commands.set_tags(select(here, "one")[0], ("tag",))
    qtbot.waitUntil(lambda: any(entry.notes.tags == ("tag",) for entry in there.model.entries))
    assert there.details.notes.toPlainText() == "typed there"
    there.details.store_typed()
    qtbot.waitUntil(lambda: any(entry.notes.text == "typed there" for entry in here.model.entries))
    here.commands.move_to_trash(select(here, "one"))
    qtbot.waitUntil(lambda: names(there) == ["two"])
    assert there.table.selected == ()
    assert there.details.entry is None


def test_what_another_window_has_removed_is_said_and_the_page_goes_on(qtbot, page_of: PageOf, root: Path) -> None:
    path = recording(root, "one")
    page = page_of(1)
    messages: list[Message] = []
    page.reported.connect(messages.append)
    refusals: list[str] = []
    page.commands.refused.connect(lambda entry, field, typed, problem: refusals.append(problem))
    entry = select(page, "one")[0]
    page.archives.stop()
    assert page.archives.join(10)
    move_to_trash(root, path)
    page.commands.move_to_trash((entry,))
    page.commands.rename(entry, "other")
    qtbot.waitUntil(lambda: not page.commands.busy)
    assert messages[0].level is MessageLevel.ERROR
    assert "still there" in messages[0].text
    # The page looks again after the first refusal: the details may not show the entry any more, and then a message
    # says the second one.
    assert [problem for problem in refusals if problem]


def test_a_page_that_is_not_seen_looks_at_nothing(qtbot, page_of: PageOf, root: Path) -> None:
    recording(root, "one")
    page = page_of(1)
    page.leave()
    assert page.archives.join(10)
    recording(root, "two")
    qtbot.waitUntil(lambda: not page.commands.busy)
    assert names(page) == ["one"]
    page.enter()
    qtbot.waitUntil(lambda: sorted(names(page)) == ["one", "two"])


def test_what_an_export_reads_is_renamed_later(qtbot, page_of: PageOf, root: Path) -> None:
    path = recording(root, "one")
    page = page_of(1)
    entry = select(page, "one")[0]
    with kept_in_place(path):
        page.commands.rename(entry, "other")
        qtbot.waitUntil(page.details.name_problem.isVisible)
    assert "in use" in page.details.name_problem.text()
    assert list(root.iterdir()) == [path]


def test_the_selection_survives_what_comes_meanwhile(qtbot, page_of: PageOf, root: Path) -> None:
    for name in ("a", "b", "c"):
        recording(root, name)
    page = page_of(3)
    select(page, "a", "c")
    recording(root, "d")
    qtbot.waitUntil(lambda: len(page.model.entries) == 4)
    assert sorted(entry.name for entry in page.table.selected) == ["a", "c"]
    model = page.table.selectionModel()
    model.select(
        page.model.index(0, 0), QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
    )
    assert len(page.table.selected) == 1


def _opened_and_closed(qtbot: QtBot, session: ScriptedSession) -> tuple[Archives, weakref.ref[DataPage]]:
    """Play the first recording on the page of a window, and close the window."""
    host = SessionHost(lambda choice: lambda: session)
    host.adopt(session)
    window = MainWindow(host)
    window.show()
    window.show_page(DATA)
    page = window.pages.current_page
    assert isinstance(page, DataPage)
    qtbot.waitUntil(lambda: len(page.model.entries) == 1)
    page.table.enter_list()
    page.play((page.model.entries[0].path,))
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible())
    window.deleteLater()
    return page.archives, weakref.ref(page)


def test_a_window_that_has_closed_frees_the_page_and_ends_its_threads(
    qtbot: QtBot, styled: None, session: ScriptedSession, root: Path, quick_looks: None
) -> None:
    recording(root, "one")
    session.archive = root
    archives, page = _opened_and_closed(qtbot, session)
    assert archives.join(10)
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    qtbot.waitUntil(lambda: gc.collect() >= 0 and page() is None)
