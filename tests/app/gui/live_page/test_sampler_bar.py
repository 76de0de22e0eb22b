"""The row for models that draw samples asks for what the operator chooses, and the panes name what is shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication, QWidget

from app.gui.command import Command
from app.gui.image_view.contents import Content
from app.gui.live_page.sampler_bar import Picture, SamplerBar
from app.gui.main_window.page_list import TRAIN
from app.gui.main_window.window import MainWindow
from app.status import LiveState
from reconstruction.sampling import SamplerChoices, SamplerState, Sampling, SamplingError, Shown
from tests.helpers.scripted_session import ScriptedSession, make_view
from tests.helpers.x_server.operator import XOperator

CHOICES = SamplerChoices(steps=(1, 2, 4, 8), has_mean=True)
FIRST = Sampling(steps=4, seed=3)
SMALL_SCREEN = (1366, 740)  # 768 less the frame of the window


@pytest.fixture
def bar(window: MainWindow, session: ScriptedSession) -> SamplerBar:
    session.status = replace(session.status, sampler=SamplerState(CHOICES, FIRST))
    window.refresh_numbers()
    assert window.page.sampler.isVisible()
    return window.page.sampler


def show_view(window: MainWindow, session: ScriptedSession) -> None:
    """Let a frame come that was drawn as the session says."""
    view = make_view()
    assert view.reconstruction is not None
    assert session.status.sampler is not None
    drawn = replace(
        view.reconstruction,
        sampling=session.status.sampler.sampling,
        uncertainty_rad=np.full((128, 128), 0.1, np.float32),
    )
    session.add(replace(view, reconstruction=drawn))
    window.refresh_pictures()
    window.refresh_numbers()


def asked(session: ScriptedSession) -> list[Sampling]:
    return [call[1] for call in session.calls if call[0] == "choose_sampling" and isinstance(call[1], Sampling)]


def checked(bar: SamplerBar) -> list[Picture]:
    return [picture for picture, button in bar.pictures.items() if button.isChecked()]


def contents(window: MainWindow) -> list[Content]:
    return [pane.content for pane in window.page.pictures.visible_panes]


def test_it_is_there_only_for_models_that_draw_samples(window: MainWindow, session: ScriptedSession) -> None:
    window.refresh_numbers()
    assert not window.page.sampler.isVisible()
    session.status = replace(session.status, sampler=SamplerState(CHOICES, FIRST))
    window.refresh_numbers()
    assert window.page.sampler.isVisible()
    session.status = replace(session.status, sampler=None)
    window.refresh_numbers()
    assert not window.page.sampler.isVisible()


def test_steps_are_chosen_from_those_of_the_model(bar: SamplerBar, session: ScriptedSession, operator: XOperator) -> None:
    assert [bar.steps.itemText(number) for number in range(bar.steps.count())] == ["1", "2", "4", "8"]
    assert bar.steps.currentText() == "4"
    operator.choose(bar.steps, 3)
    assert asked(session) == [replace(FIRST, steps=8)]


def test_a_new_sample_is_drawn_by_the_button_and_by_its_key(
    bar: SamplerBar, window: MainWindow, session: ScriptedSession, operator: XOperator
) -> None:
    assert window.commands[Command.NEW_SAMPLE].shortcut().toString() == "Shift+N"
    operator.click(bar.new_sample)
    assert asked(session) == [replace(FIRST, seed=4)]
    assert bar.seed.value() == 4
    operator.key("shift+n", until=lambda: len(asked(session)) == 2)
    assert asked(session)[1] == replace(FIRST, seed=5)
    operator.fill(bar.seed, "3")
    assert asked(session)[2] == FIRST, "an earlier sample comes back by its number"


def test_the_mean_and_the_uncertainty_are_chosen_and_no_new_sample_is_offered_for_them(
    bar: SamplerBar, window: MainWindow, session: ScriptedSession, operator: XOperator
) -> None:
    assert contents(window) == [Content.SPECKLE, Content.PHASE, Content.OVERLAY]
    assert checked(bar) == [Picture.SAMPLE]
    operator.click(bar.pictures[Picture.MEAN])
    assert asked(session) == [replace(FIRST, shown=Shown.MEAN)]
    assert checked(bar) == [Picture.MEAN]
    assert not bar.new_sample.isEnabled()
    operator.click(bar.pictures[Picture.UNCERTAINTY])
    assert contents(window) == [Content.SPECKLE, Content.UNCERTAINTY, Content.OVERLAY]
    assert checked(bar) == [Picture.UNCERTAINTY]
    session.calls.clear()
    operator.key("shift+n", until=lambda: "Only a sample depends on the noise" in window.banner.text)
    assert asked(session) == []
    operator.click(bar.pictures[Picture.SAMPLE])
    assert contents(window) == [Content.SPECKLE, Content.PHASE, Content.OVERLAY]
    assert asked(session) == [FIRST]
    assert bar.new_sample.isEnabled()


def test_the_panes_name_what_is_shown(bar: SamplerBar, window: MainWindow, session: ScriptedSession) -> None:
    session.start_live()
    pane = window.page.pictures.showing(Content.PHASE)
    show_view(window, session)
    assert "sample 3, 4 steps, frame 0" in pane.subtitle.full_text
    session.choose_sampling(Sampling(steps=1, shown=Shown.MEAN, seed=3))
    show_view(window, session)
    assert "mean, 1 step, frame 0" in pane.subtitle.full_text
    assert "objects, mean, 1 step" in window.page.pictures.showing(Content.OVERLAY).subtitle.full_text


def test_a_model_without_a_mean_offers_one_sample_and_says_the_remedy(
    bar: SamplerBar, window: MainWindow, session: ScriptedSession
) -> None:
    session.status = replace(session.status, sampler=SamplerState(replace(CHOICES, steps=(1, 100), has_mean=False), FIRST))
    window.refresh_numbers()
    for picture in (Picture.MEAN, Picture.UNCERTAINTY):
        assert not bar.pictures[picture].isEnabled()
        assert "samples_per_frame: 8" in bar.pictures[picture].toolTip()
    assert bar.pictures[Picture.SAMPLE].isEnabled()
    assert [bar.steps.itemText(number) for number in range(bar.steps.count())] == ["1", "100"]


def test_a_refused_choice_is_undone_and_said(
    bar: SamplerBar, window: MainWindow, session: ScriptedSession, operator: XOperator
) -> None:
    session.failure = SamplingError("a measurement runs; stop it first")
    steps = bar.steps.view()
    assert steps is not None
    operator.click(bar.steps, until=steps.isVisible)
    operator.key("Home", "Return", until=lambda: not steps.isVisible())
    assert asked(session) == [replace(FIRST, steps=1)]
    assert bar.steps.currentText() == "4"
    assert "a measurement runs" in window.banner.text


def test_while_an_engine_is_opened_the_row_says_so(bar: SamplerBar, window: MainWindow, session: ScriptedSession) -> None:
    assert bar.note.full_text == ""
    session.status = replace(session.status, state=LiveState.RUNNING, choosing_engine=True)
    window.refresh_numbers()
    assert bar.note.full_text == "Preparing 4 steps\N{HORIZONTAL ELLIPSIS}"


def test_the_key_says_what_to_do_where_no_samples_are_drawn(
    window: MainWindow, session: ScriptedSession, operator: XOperator
) -> None:
    operator.key("shift+n", until=lambda: "draws no samples; choose one that does on the Train page" in window.banner.text)
    assert asked(session) == []


def test_a_preset_brings_the_choice_back(bar: SamplerBar, window: MainWindow, session: ScriptedSession) -> None:
    window.page.save_preset("fine")
    session.choose_sampling(Sampling(steps=1, shown=Shown.MEAN, seed=0))
    window.page.apply_preset("fine")
    assert session.status.sampler is not None
    assert session.status.sampler.sampling == FIRST
    session.status = replace(session.status, sampler=None)
    window.page.apply_preset("fine")
    assert "the model in use draws no samples" in window.banner.text


def test_every_part_has_a_name_and_says_what_it_does(bar: SamplerBar) -> None:
    parts: list[QWidget] = [*bar.pictures.values(), bar.steps, bar.seed]
    assert all(part.accessibleName() for part in parts)
    assert all(part.toolTip() for part in [*parts, bar.new_sample])


def test_another_model_is_chosen_in_the_list_of_the_train_page(
    window: MainWindow, session: ScriptedSession, operator: XOperator
) -> None:
    operator.click(window.page.status_strip.other_model, until=lambda: window.pages.number == TRAIN)
    page = window.pages.page(TRAIN)
    assert page.models.isVisible()
    assert session.calls == []


@pytest.mark.parametrize("panes", [1, 2, 3, 4])
def test_it_fits_a_small_screen_and_leaves_the_window_as_large_as_it_was(
    window: MainWindow, session: ScriptedSession, panes: int
) -> None:
    window.page.pictures.set_number(panes)
    window.resize(*SMALL_SCREEN)
    for sampler in (SamplerState(CHOICES, FIRST), None, SamplerState(CHOICES, FIRST)):
        session.status = replace(session.status, sampler=sampler)
        window.refresh_numbers()
        for _ in range(4):
            QApplication.processEvents()
        smallest = window.minimumSizeHint()
        assert (smallest.width() <= SMALL_SCREEN[0], smallest.height() <= SMALL_SCREEN[1]) == (True, True), smallest
        assert (window.width(), window.height()) == SMALL_SCREEN
