"""The player, the live page and the Data page open one panel, for what they show and as they show it."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PyQt6.QtWidgets import QWidget

from app.gui.export_panel.displayed_film import pixels_of
from app.gui.export_panel.opener import ExportOpener
from app.gui.image_view.pane import Pane
from app.gui.pages.page import PageContext
from app.gui.player.player import Player
from app.jobs.job_list import JobList
from tests.helpers.archives.played_recording import RecordingPlan
from tests.helpers.x_server.operator import wait_exposed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return RecordingPlan(times_s=(0.0, 0.1, 0.2)).record(tmp_path / "archive")


def test_the_film_of_the_player_looks_like_its_chosen_pane(qtbot, styled, path: Path, tmp_path: Path, operator) -> None:
    context = PageContext(jobs=JobList())
    player = Player(context)
    qtbot.addWidget(player, before_close_func=Player.release)
    player.resize(1200, 680)
    player.show()
    wait_exposed(player)
    player.enter()
    player.open_archive(path)
    qtbot.waitUntil(lambda: player.left.shown is not None)
    opener = ExportOpener(context, lambda: player.left.pictures.current, player)
    player.export_requested.connect(opener.open_for)
    pane: Pane = player.left.pictures.panes[2]
    pane.activate()
    pane.strip.levels.set_by_hand(0.1, 1.5)
    pane.refresh_numbers("")
    expected = pixels_of(pane.copied().toImage()).astype(int)
    operator.click(player.head.export)
    panel = opener.panel
    assert panel is not None
    assert panel.isVisible()
    panel.formats.choose([], displayed=True)
    panel.film.time_stamp.setChecked(False)
    panel.folder.setText(str(tmp_path / "out"))
    qtbot.waitUntil(lambda: panel.refusal() == "")
    panel.start()
    qtbot.waitUntil(lambda: not panel.is_running, timeout=20_000)
    [film] = (tmp_path / "out").glob("*.mp4")
    with av.open(str(film)) as container:
        first = next(container.decode(video=0)).to_ndarray(format="bgr24").astype(int)
    height, width = (min(pair) for pair in zip(first.shape[:2], expected.shape[:2], strict=True))
    assert np.abs(first[:height, :width] - expected[:height, :width]).mean() < 4  # H.264 is lossy


def test_one_panel_serves_every_page_and_stays_open_while_they_go_on(qtbot, styled, path: Path) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    opener = ExportOpener(PageContext(jobs=JobList()), lambda: None, window)
    opener.open_for((path,))
    first = opener.panel
    opener.open_for((path, path))
    assert opener.panel is first
    assert first is not None
    assert not first.isModal()
    qtbot.waitUntil(lambda: first.refusal() == "")
    assert first.heading.text() == "Export"  # the same recording twice is one
    first.close()
