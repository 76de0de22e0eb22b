"""A player that is seen, and a recording for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.gui.pages.page import PageContext
from app.gui.player.player import Player
from app.jobs.job_list import JobList
from app.status import Message
from tests.helpers.archives.played_recording import RecordingPlan
from tests.helpers.x_server.operator import wait_exposed

#: Ten frames a second, with a gap of a second before frame 4.
TIMES_S = (10.0, 10.1, 10.2, 10.3, 11.3, 11.4, 11.5, 11.6)


@pytest.fixture
def path(tmp_path) -> Path:
    plan = RecordingPlan(times_s=TIMES_S, skipped=(2, 6), unsegmented=(3,), marked={4: "clamped", 7: "released"})
    return plan.record(tmp_path)


@pytest.fixture
def player(qtbot, styled) -> Player:
    """A player on the screen; its own timers for numbers and for looking again are stopped."""
    player = Player(PageContext(jobs=JobList()))
    player.messages = []
    player.reported.connect(player.messages.append)
    qtbot.addWidget(player, before_close_func=Player.release)
    player.resize(1280, 680)
    player.show()
    wait_exposed(player)
    player.enter()
    return player


@pytest.fixture
def opened(qtbot, player) -> Callable[[Path], Player]:
    """Open an archive, and wait until its first frame is shown or the reason why it cannot be."""

    def open_archive(path: Path) -> Player:
        player.open_archive(path)
        qtbot.waitUntil(lambda: player.left.archive is not None or bool(player.left.problem))
        settle(qtbot, player)
        return player

    return open_archive


def settle(qtbot, player: Player) -> None:
    """Wait until every side shows the frame that it shall."""
    sides = [side for side in (player.left, player.right) if side.path is not None]
    qtbot.waitUntil(lambda: not any(side.is_opening or side.is_waiting for side in sides))


def texts(messages: list[Message]) -> list[str]:
    return [message.text for message in messages]
