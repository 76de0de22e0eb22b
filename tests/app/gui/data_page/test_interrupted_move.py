"""A move to another disk that was interrupted stands above the list, and Continue finishes it: the source goes to the trash."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.gui.data_page.notices import NoticeAction
from app.gui.data_page.page import DataPage
from app.gui.pages.page import PageContext
from app.jobs.job_list import JobList
from app.library import transfer
from app.library.transfer import move_entry
from app.library.trash import trashed_entries
from tests.helpers.archives.library_archive import recording
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.x_server.operator import XOperator, wait_exposed


@pytest.fixture
def stick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for another disk."""
    monkeypatch.setattr(transfer, "_is_same_disk", lambda source, folder: False)
    (tmp_path / "stick").mkdir()
    return tmp_path / "stick"


@pytest.fixture
def page(qtbot, styled, session: ScriptedSession, tmp_path: Path) -> Iterator[DataPage]:
    session.archive = tmp_path / "archive"
    page = DataPage(PageContext(jobs=JobList()))
    qtbot.addWidget(page)
    page.use_session(session)
    page.resize(1290, 640)
    page.show()
    wait_exposed(page)
    yield page
    page.leave()
    page.release()
    assert page.archives.join(10)


@pytest.fixture
def verified(tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording whose copy is whole; the program was killed before the source went to the trash."""
    source = recording(tmp_path / "archive", "one")

    def killed(root: Path, path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(transfer, "move_to_trash", killed)
        with pytest.raises(KeyboardInterrupt):
            move_entry(source.parent, source, stick)
    return source


def interrupted(source: Path, stick: Path, part: float) -> None:
    stop = threading.Event()

    def progress(done: int, total: int) -> None:
        if done > part * total:
            stop.set()

    assert move_entry(source.parent, source, stick, progress, stop) is None


def notice_text(qtbot, page: DataPage, stick: Path) -> str:
    page.enter()
    page.add_archive(stick)
    qtbot.waitUntil(lambda: bool(page.notices.shown))
    return page.notices.shown[0].text


def test_continue_finishes_a_move(qtbot, page: DataPage, operator: XOperator, tmp_path: Path, stick: Path) -> None:
    source = recording(tmp_path / "archive", "one")
    interrupted(source, stick, 0.4)
    text = notice_text(qtbot, page, stick)
    assert "The move of" in text
    assert "the source is whole" in text
    assert "The source goes to the trash when the copy is verified" in text
    operator.click(page.notices.button(NoticeAction.CONTINUE))
    qtbot.waitUntil(lambda: (stick / source.name).exists() and not source.exists() and not page.notices.shown)
    assert [one.former for one in trashed_entries(tmp_path / "archive")] == [source]


def test_a_verified_copy_whose_source_is_still_there_is_moved_and_not_discarded(
    qtbot, page: DataPage, operator: XOperator, stick: Path, verified: Path
) -> None:
    source = verified
    assert "and verified, but not moved yet" in notice_text(qtbot, page, stick)
    assert NoticeAction.DISCARD not in page.notices.shown[0].actions
    operator.click(page.notices.button(NoticeAction.CONTINUE))
    qtbot.waitUntil(lambda: list(stick.iterdir()) == [stick / source.name] and not page.notices.shown)
    assert not source.exists()
