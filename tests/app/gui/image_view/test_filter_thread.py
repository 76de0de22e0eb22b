"""Slow filters run beside the window, and always on the newest picture."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PyQt6.QtCore import QThreadPool
from PyQt6.QtWidgets import QApplication

from app.gui.image_view.contents import Shown
from app.gui.image_view.filter_thread import FilterThread


def picture(index: int) -> Shown:
    return Shown(values=np.full((4, 4), index), frame_index=index, mask=np.ones((4, 4), bool))


@pytest.fixture
def results(qapp) -> tuple[FilterThread, list[tuple[int, float]]]:
    thread, results = FilterThread(), []
    thread.finished.connect(lambda shown, values: results.append((shown.frame_index, float(values.max()))))
    return thread, results


def finish() -> None:
    for _ in range(3):
        QThreadPool.globalInstance().waitForDone()
        QApplication.processEvents()


def test_pictures_that_arrive_meanwhile_replace_each_other(results):
    thread, arrived = results
    may_end = threading.Event()
    thread.submit(picture(1), lambda: (may_end.wait(20), np.full((4, 4), 10.0))[1])
    for index in (2, 3, 4):
        thread.submit(picture(index), lambda index=index: np.full((4, 4), 10.0 * index))
    may_end.set()
    finish()
    assert arrived == [(1, 10.0), (4, 40.0)]


def test_nothing_arrives_that_was_forgotten(results):
    thread, arrived = results
    may_end = threading.Event()
    thread.submit(picture(1), lambda: (may_end.wait(20), np.zeros((4, 4)))[1])
    thread.submit(picture(2), lambda: np.zeros((4, 4)))
    thread.forget()
    thread.submit(picture(3), lambda: np.ones((4, 4)))
    may_end.set()
    finish()
    assert arrived == [(3, 1.0)]


def test_a_filter_that_fails_is_logged_and_the_next_picture_comes(results, caplog):
    thread, arrived = results
    thread.submit(picture(1), lambda: np.zeros((4, 4)) + np.zeros((3, 3)))
    finish()
    assert arrived == []
    assert "the filters of a picture failed" in caplog.text
    thread.submit(picture(2), lambda: np.ones((4, 4)))
    finish()
    assert arrived == [(2, 1.0)]
