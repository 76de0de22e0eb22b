"""Cells are marked by clicks and boxes on a frame that stays: embedded once, kept one by one, saved as labels and numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PyQt6.QtCore import QPoint, QPointF

from app.gui.image_view.contents import PaneFacts
from app.gui.live_page.click_window import ClickWindow
from app.gui.main_window.window import MainWindow
from app.measuring.marked_cells import MarkedCells, PromptSource
from app.status import LiveView, Overlay
from drivers.base import Frame
from reconstruction.base import Reconstruction
from reconstruction.segmentation.base import SegmentationError, Segmenter
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.foundation.prompts import Box, Click, PromptedMask
from tests.helpers.scripted_session import FIELD_UM, ScriptedSession
from tests.helpers.x_server.operator import XOperator, show_in_front, wait_until

SIDE = 64
FACTS = PaneFacts(field_um=FIELD_UM, full_scale=255, display_range_rad=(0.0, 3.0))


class Squares(Segmenter):
    """Answers with a square around the last click, or with the box; counts what it is asked."""

    kind = "sam2"

    def __init__(self) -> None:
        self.embedded = 0
        self.asked: list[tuple[tuple[Click, ...], Box | None]] = []

    def _segment(self, *_: object) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
        raise NotImplementedError

    def settings(self) -> dict[str, str]:
        return {"segmenter": self.kind, "weights_sha256": "abc"}

    def prompts(self) -> Squares:
        return self

    def embed(self, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        self.embedded += 1

    def prompted(self, clicks: Sequence[Click] = (), box: Box | None = None) -> PromptedMask:
        self.asked.append((tuple(clicks), box))
        mask = np.zeros((SIDE, SIDE), np.bool_)
        if box is not None:
            mask[round(box.top_px) : round(box.bottom_px), round(box.left_px) : round(box.right_px)] = True
        else:
            row, column = round(clicks[-1].y_px), round(clicks[-1].x_px)
            mask[row - 2 : row + 3, column - 2 : column + 3] = True
        return PromptedMask(mask=mask, score=0.9)


def overlay(index: int = 5) -> Overlay:
    phase = np.random.default_rng(index).normal(0, 0.1, (SIDE, SIDE)).astype(np.float32)
    reconstruction = Reconstruction(phase, index, 0.04, 0.01, "model", "torch", np.ones((SIDE, SIDE), np.bool_))
    frame = Frame(np.zeros((SIDE, SIDE), np.uint8), index, index * 10**9, 0.002)
    return Overlay(LiveView(frame, reconstruction), None, 0.01)


def shown(owner: MainWindow, source: PromptSource, live: SegmentationConfig | None = None) -> ClickWindow:
    window = ClickWindow(owner, FACTS, overlay(), source, live or SegmentationConfig())
    window.resize(640, 600)  # smaller than the screen of the tests
    show_in_front(window)
    return window


def place(window: ClickWindow, row: float, column: float) -> QPoint:
    """The place of a pixel in the viewport."""
    canvas = window.pane.canvas
    point = canvas.position_of(QPointF((column + 0.5) * window.pane.pitch_um, (row + 0.5) * window.pane.pitch_um))
    return point.toPoint()


def click(window: ClickWindow, operator: XOperator, row: float, column: float) -> None:
    before = window.answer
    operator.click(window.pane.canvas.viewport, place(window, row, column), until=lambda: window.answer is not before)


def test_cells_are_marked_by_clicks_and_boxes_and_saved(window: MainWindow, operator: XOperator, tmp_path: Path) -> None:
    squares = Squares()
    marking = shown(window, PromptSource(lambda config: squares))
    wait_until(lambda: marking.is_ready)
    click(marking, operator, 20, 30)
    assert marking.answer is not None
    rows, columns = np.nonzero(marking.answer.mask)
    assert (rows.mean(), columns.mean()) == pytest.approx((20, 30), abs=1)
    operator.click(marking.outside, QPoint(8, marking.outside.height() // 2), until=marking.outside.isChecked)
    click(marking, operator, 24, 40)
    assert [one.on_object for one in squares.asked[-1][0]] == [True, False]
    operator.key("Return", until=lambda: len(marking.cells) == 1)
    before = marking.answer
    operator.drag(
        marking.pane.canvas.viewport,
        place(marking, 40, 10),
        place(marking, 50, 30),
        until=lambda: marking.answer is not before,
    )
    box = squares.asked[-1][1]
    assert box is not None
    assert (box.left_px, box.top_px, box.right_px, box.bottom_px) == pytest.approx((10, 40, 30, 50), abs=1)
    operator.click(marking.keep, until=lambda: len(marking.cells) == 2)
    click(marking, operator, 5, 5)
    operator.key("ctrl+z", until=lambda: marking.answer is None)
    assert len(marking.cells) == 2
    assert squares.embedded == 1
    assert marking.pane.shown is not None
    np.testing.assert_array_equal(marking.pane.shown.labels, marking.cells.labels())

    marking.save_labels(str(tmp_path / "cells.tif"))
    with tifffile.TiffFile(tmp_path / "cells.tif") as file:
        np.testing.assert_array_equal(file.asarray(), marking.cells.labels())
        said = json.loads(file.pages.first.description)
    assert said == {"frame": 5, "segmenter": "sam2", "weights_sha256": "abc"}
    marking.save_csv.save(tmp_path / "cells.csv")
    lines = [line for line in (tmp_path / "cells.csv").read_text("utf-8").splitlines() if not line.startswith("#")]
    table = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert [int(row["identity"]) for row in table] == [1, 2]
    assert [int(row["area_px"]) for row in table] == np.bincount(marking.cells.labels().ravel())[1:].tolist()


def test_what_cannot_be_opened_is_said_and_nothing_is_asked(window: MainWindow, operator: XOperator, tmp_path: Path) -> None:
    refused: list[str] = []
    live = SegmentationConfig(kind="sam2", weights=tmp_path / "nothing")
    marking = ClickWindow(window, FACTS, overlay(), PromptSource(), live)
    marking.refused.connect(refused.append)
    show_in_front(marking)
    wait_until(lambda: bool(refused))
    assert "hf download facebook/sam2.1-hiera-tiny" in refused[0]
    assert str(tmp_path / "nothing") in marking.state.full_text
    operator.click(marking.pane.canvas.viewport, place(marking, 20, 30))
    assert marking.answer is None
    assert not marking.keep.isEnabled()


def test_the_segmenter_of_the_live_view_is_opened_once_if_it_answers_clicks() -> None:
    opened: list[SegmentationConfig] = []

    def open_one(config: SegmentationConfig) -> Segmenter:
        opened.append(config)
        return Squares()

    source = PromptSource(open_one)
    phase, mask = np.zeros((SIDE, SIDE), np.float32), np.ones((SIDE, SIDE), np.bool_)
    mine = SegmentationConfig(kind="sam", weights=Path("weights"))
    for live in (mine, mine, SegmentationConfig(kind="threshold", threshold=0.5)):
        source.prepared(live, phase, mask)
    assert opened == [mine, SegmentationConfig(kind="sam2")]


def test_a_segmenter_that_answers_no_clicks_is_refused() -> None:
    class Other(Segmenter):
        kind = "sam"

        def _segment(self, *_: object) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
            raise NotImplementedError

    source = PromptSource(lambda config: Other())
    with pytest.raises(SegmentationError, match="does not answer clicks"):
        source.prepared(SegmentationConfig(kind="sam"), np.zeros((4, 4), np.float32), np.ones((4, 4), np.bool_))


def test_a_later_cell_gets_the_pixels_and_an_empty_one_is_refused() -> None:
    cells = MarkedCells((4, 4))
    first, second = np.zeros((2, 4, 4), np.bool_)
    first[:2], second[1:3] = True, True
    cells.add(PromptedMask(mask=first, score=1))
    cells.add(PromptedMask(mask=second, score=1))
    assert np.bincount(cells.labels().ravel()).tolist() == [4, 4, 8]
    with pytest.raises(SegmentationError, match="has no pixel"):
        cells.add(PromptedMask(mask=np.zeros((4, 4), np.bool_), score=1))
    cells.remove_last()
    assert np.bincount(cells.labels().ravel()).tolist() == [8, 8]
    assert cells.labels(second).max() == 2


def test_the_cells_panel_opens_it_with_the_frame_on_the_overlay(
    window: MainWindow, session: ScriptedSession, operator: XOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    squares = Squares()
    monkeypatch.setattr(window.page, "_prompt_source", PromptSource(lambda config: squares))
    session.start_live()
    window.page.toggle_panel("cells")
    operator.click(window.page.cells.mark)
    assert "start the live view first" in window.banner.text
    session.overlays.append(overlay(5))
    window.refresh_pictures()
    operator.click(window.page.cells.mark, until=lambda: window.page.findChild(ClickWindow) is not None)
    marking = window.page.findChild(ClickWindow)
    assert marking is not None
    session.overlays.append(overlay(6))
    window.refresh_pictures()
    wait_until(lambda: marking.is_ready)
    assert marking.pane.shown is not None
    assert marking.pane.shown.frame_index == 5, "the frame stays"
    marking.close()
