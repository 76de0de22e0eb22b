"""A training and the window around it: closing asks, and a model is used in the same window."""

from __future__ import annotations

import threading

import pytest

from app.gui.command import Command
from app.gui.train_page.page import TrainPage
from app.jobs.job_list import Job, JobOrder, Need
from tests.helpers.x_server.answers import agrees, refuses


@pytest.fixture
def training(window) -> Job:
    """A training that runs until it is stopped."""

    def work(report, stop: threading.Event) -> None:
        stop.wait()

    return window.jobs.start(JobOrder(name="Train m", work=work, needs=frozenset({Need.COMPUTER}), resumable=True))


def test_the_menu_opens_the_page(window) -> None:
    window.carry_out(Command.TRAIN)
    assert isinstance(window.pages.current_page, TrainPage)


def test_closing_the_window_asks_and_stops_the_training(qtbot, window, training, operator) -> None:
    answer = refuses(operator)
    window.close()
    answer.stop()
    assert window.isVisible()
    assert training.running
    answer = agrees(operator)
    window.close()
    answer.stop()
    assert "Train m is running" in answer.questions[0]

    def closed() -> bool:
        window.refresh_numbers()
        return not window.isVisible()

    qtbot.waitUntil(closed, timeout=30_000)
    assert not training.running


def test_using_a_model_opens_it_in_the_same_window_and_the_training_goes_on(qtbot, window, training) -> None:
    before = window.page
    window.instruments.use_model("/models/new")
    qtbot.waitUntil(lambda: window.page is not None and window.page is not before, timeout=10_000)
    assert window.host.choice.model == "/models/new"
    assert window.isVisible()
    assert training.running
