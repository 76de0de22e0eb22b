"""The player under the mouse and the keyboard of an X server. ``test_x_events.py`` runs these tests, on two screens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, QRect
from PyQt6.QtWidgets import QAbstractButton, QComboBox, QWidget

from app.gui.image_view.contents import Content
from app.gui.main_window.window import MainWindow
from app.gui.pages.page import PageContext
from app.gui.player.head import Panel
from app.gui.player.player import Player
from app.gui.player.transport import Move
from app.playback.playhead import PlayState
from tests.helpers.archives.played_recording import RecordingPlan
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.x_server.operator import XOperator, maximize, wait_until

FRAMES = 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    times_s = [number / 10 for number in range(FRAMES)]
    return RecordingPlan(times_s=times_s, skipped=(3,), marked={10: "clamped", 30: "released"}, uncertainty=True).record(
        tmp_path
    )


@pytest.fixture
def player(window: MainWindow, path: Path) -> Iterator[Player]:
    """A player in place of the pages, in a window as large as the screen, with a recording."""
    player = Player(PageContext(jobs=window.jobs))
    window.pages.addWidget(player)
    window.pages.setCurrentWidget(player)
    maximize(window)
    player.enter()
    player.open_archive(path)
    wait_until(lambda: player.left.shown is not None)
    yield player
    player.release()


def _is_at(player: Player, position: int) -> bool:
    return player.left.shown is not None and player.left.shown.position == position == player.playhead.position


def test_keys_are_for_the_player_and_not_for_the_live_view(
    player: Player, session: ScriptedSession, operator: XOperator
) -> None:
    for key, position in (
        ("Right", 1),
        ("Right", 2),
        ("Left", 1),
        ("End", FRAMES - 1),
        ("Home", 0),
        ("Next", 10),
        ("Next", 30),
    ):
        operator.key(key, until=lambda position=position: _is_at(player, position))
    operator.key("shift+Left", until=lambda: _is_at(player, 20))
    operator.key("space", until=lambda: player.playhead.state is PlayState.PLAYING)
    operator.key("space", until=lambda: player.playhead.state is PlayState.PAUSED)
    assert session.calls == []


@pytest.mark.slow
def test_keys_still_step_after_a_click_on_a_picture(player: Player, operator: XOperator) -> None:
    viewport = player.left.pictures.showing(Content.PHASE).canvas.viewport
    operator.click(viewport, until=lambda: player.left.pictures.current.content is Content.PHASE)
    operator.key("Right", until=lambda: _is_at(player, 1))
    canvas = player.left.pictures.current.canvas
    whole_um = canvas.visible_um.width()
    operator.wheel_up(viewport.mapToGlobal(viewport.rect().center()), until=lambda: canvas.visible_um.width() < whole_um)
    zoomed_um = canvas.visible_um.width()
    operator.key("f", until=lambda: canvas.visible_um.width() > 1.1 * zoomed_um)
    assert canvas.visible_um.contains(canvas.extent_um.adjusted(0.01, 0.01, -0.01, -0.01))


@pytest.mark.slow
def test_dragging_the_slider_goes_through_the_recording(player: Player, operator: XOperator) -> None:
    start, end = (player.slider.place_of(time_s).toPoint() for time_s in (0.5, 3.0))
    operator.drag(player.slider, start, end, until=lambda: _is_at(player, 30))
    operator.click(player.slider, start, until=lambda: _is_at(player, 5))


@pytest.mark.slow
def test_buttons_play_step_and_open_panels(player: Player, operator: XOperator) -> None:
    operator.click(player.transport.moves[Move.NEXT], until=lambda: _is_at(player, 1))
    operator.click(player.transport.moves[Move.NEXT_MARKER], until=lambda: _is_at(player, 10))
    operator.click(player.transport.play, until=lambda: player.playhead.state is PlayState.PLAYING)
    operator.click(player.transport.play, until=lambda: player.playhead.state is PlayState.PAUSED)
    operator.click(player.head.panels[Panel.RESULTS], until=player.results.isVisible)
    operator.click(player.head.panels[Panel.MEASURE], until=player.measure.isVisible)
    assert not player.results.isVisible()
    operator.key("F4", until=lambda: not player.measure.isVisible())


def test_everything_is_on_the_screen_alone_and_side_by_side(player: Player, path: Path) -> None:
    for panel in (None, *Panel):
        if panel is not None:
            player.toggle_panel(panel)
        _check_on_screen(player)
    player.compare_with(path)
    wait_until(lambda: player.right.shown is not None)
    _check_on_screen(player)


def _check_on_screen(player: Player) -> None:
    wait_until(lambda: not player.left.is_waiting)
    used = [
        widget
        for widget in player.findChildren(QWidget)
        if isinstance(widget, QAbstractButton | QComboBox) and not widget.visibleRegion().isEmpty()
    ]
    assert len(used) > 10
    wait_until(lambda: all(_is_on_screen(widget) for widget in used))


def _is_on_screen(widget: QWidget) -> bool:
    screen = widget.screen().availableGeometry().adjusted(0, 0, 1, 1)  # a scale of 2 rounds
    return screen.contains(QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size()))
