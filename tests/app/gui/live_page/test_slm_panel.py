"""The SLM panel shows what the session says, and asks for what is pressed; every panel fits a small screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication, QFileDialog

from app.gui.command import Command
from app.gui.image_view.contents import Content
from app.gui.image_view.pane_options import PaneOptions
from app.live.slm.content import SlmContent, SlmKind, SlmStatus
from app.live.slm.drawing import SlmContentError
from app.status import RecordingState, RecordingStatus
from tests.helpers.scripted_session import make_view

SMALL_SCREEN = (1366, 740)  # 768 less the frame of the window


@pytest.fixture
def panel(window, operator):
    action = window.commands[Command.SLM_PANEL]
    assert action.shortcut().toString() == "F5"
    operator.key("F5")
    assert window.page.slm.isVisible()
    return window.page.slm


def checked(panel) -> list[SlmKind]:
    return [kind for kind, button in panel.choices.items() if button.isChecked()]


def test_a_pressed_choice_is_asked_for(panel, session, operator) -> None:
    assert checked(panel) == [SlmKind.SCENE]
    operator.click(panel.choices[SlmKind.BLANK])
    assert session.calls == [("show_on_slm", SlmContent(SlmKind.BLANK))]
    assert checked(panel) == [SlmKind.BLANK]


def test_a_picture_is_chosen_before_it_is_shown(panel, session, monkeypatch, operator) -> None:
    assert not panel.choices[SlmKind.PICTURE].isEnabled()
    assert panel.choices[SlmKind.PICTURE].toolTip() == "Choose a picture first"
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("/data/coins.png", ""))
    operator.click(panel.choose_picture)
    assert session.calls == [("show_on_slm", SlmContent(SlmKind.PICTURE, Path("/data/coins.png")))]
    assert checked(panel) == [SlmKind.PICTURE]
    assert panel.picture_name.full_text == "coins.png"


def test_a_refused_choice_changes_nothing(panel, session, window, operator) -> None:
    session.failure = SlmContentError("an acquisition is running")
    operator.click(panel.choices[SlmKind.TEST_CARD])
    assert checked(panel) == [SlmKind.SCENE]
    assert "an acquisition is running" in window.banner.text


def test_holograms_need_a_carrier_or_a_lens(panel) -> None:
    assert not panel.choices[SlmKind.HOLOGRAM].isEnabled()
    assert "no carrier" in panel.choices[SlmKind.HOLOGRAM].toolTip()


def test_without_an_slm_the_panel_says_so(panel, session, window) -> None:
    session.slm = SlmStatus()
    window.refresh_numbers()
    assert "no SLM" in panel.problem.text()
    assert panel.problem.isVisible()
    assert checked(panel) == []
    assert not any(button.isEnabled() for button in (*panel.choices.values(), panel.choose_picture))


def test_the_preview_and_the_pane_show_the_pattern(panel, session, window) -> None:
    assert panel.preview.is_empty
    phase_rad = np.zeros((1152, 1920), np.float32)
    phase_rad[:, 960:] = 2.5
    session.slm_phase_rad = phase_rad
    pane = window.page.pictures.panes[0]
    pane.set_options(PaneOptions.of(Content.SLM))
    window.refresh_pictures()
    window.refresh_numbers()
    assert not panel.preview.is_empty
    assert panel.shown.full_text == "Now: 1920 x 1152 px, 0.00 to 2.50 rad"
    assert pane.shown is not None
    assert pane.shown.values.shape == (1152, 1920)
    assert pane.canvas.annotations.scale_bar == (0.0, "")  # how it is imaged onto the fibre is not known
    pane.set_options(PaneOptions.of(Content.SPECKLE))
    session.add(make_view())
    window.refresh_pictures()
    assert pane.canvas.annotations.scale_bar[0] > 0


def test_what_is_being_drawn_is_said(panel, session, window) -> None:
    session.slm = replace(session.slm, pending=SlmContent(SlmKind.PICTURE, Path("large.png")))
    window.refresh_numbers()
    assert panel.shown.full_text == "Drawing large.png\N{HORIZONTAL ELLIPSIS}"


@pytest.mark.parametrize("panes", [1, 2, 3, 4])
def test_every_panel_fits_a_small_screen(window, session, tmp_path, panes: int) -> None:
    session.recording = RecordingStatus(
        state=RecordingState.FINISHED, path=tmp_path, frames_recorded=98765, seconds=3600.0, verdict="complete"
    )
    session.status = replace(
        session.status, latency_ms_p50=1234.0, latency_ms_p99=2345.0, camera_fps=123.4, inference_fps=123.4,
        dropped_display=98765, dropped_inference=98765, dropped_record=98765,
    )  # fmt: skip
    session.add(make_view())
    session.start_live()
    window.page.pictures.set_number(panes)
    window.resize(*SMALL_SCREEN)
    window.refresh_pictures()
    window.refresh_numbers()
    for dock in window.page.docks:
        for _ in range(2):  # opened, and closed again
            window.page.toggle_panel(dock.objectName())
            for _ in range(4):
                QApplication.processEvents()
            smallest = window.minimumSizeHint()
            assert (smallest.width() <= SMALL_SCREEN[0], smallest.height() <= SMALL_SCREEN[1]) == (True, True), smallest
            assert (window.width(), window.height()) == SMALL_SCREEN, dock.objectName()
