"""Cells in the live view: measured, followed from frame to frame, with settings that change while it runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from acquisition.archive.recorder import RecordItem
from acquisition.streams.channel import Channel, Overflow
from app.live.frame_joiner import ROW_SEGMENTER, FrameJoiner
from app.live.segmentation import SegmentationPipeline, SegmentationSettings
from app.status import LiveView, Message, MessageLevel, Overlay
from drivers.base import Frame
from reconstruction.base import Reconstruction
from reconstruction.cells.table import CellScale
from reconstruction.segmentation.base import Segmenter
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.registry import open_segmenter
from tests.helpers.small_instrument import until

SIDE = 64
MASK = np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2)) < SIDE / 2
SCALE = CellScale(pixel_um=2.0, wavelength_um=0.5)


def view(index: int) -> LiveView:
    """Return a view with two cells that move to the right by 3 pixels from frame to frame."""
    phase_rad = np.random.default_rng(index).normal(0, 0.02, (SIDE, SIDE)).astype(np.float32)
    phase_rad[18:26, 12 + 3 * index : 20 + 3 * index] += 2
    phase_rad[40:50, 14 + 3 * index : 24 + 3 * index] += 1
    reconstruction = Reconstruction(phase_rad, index, 0.01, 0.005, "model", "torch", MASK)
    return LiveView(Frame(np.zeros((8, 8), np.uint8), index, index * 10**7, 0.01), reconstruction)


@dataclass
class Running:
    """A stage with what it has published and said."""

    stage: SegmentationPipeline
    overlays: list[Overlay] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def show(self, index: int) -> Overlay:
        """Let a frame come, and return its overlay."""
        before = len(self.overlays)
        self.stage.offer(view(index))
        until(lambda: len(self.overlays) > before)
        return self.overlays[-1]


@contextmanager
def running(config: SegmentationConfig | None = None) -> Iterator[Running]:
    messages: list[Message] = []
    settings = SegmentationSettings(config=config or SegmentationConfig(), scale_of=lambda view: SCALE)
    stage = SegmentationPipeline(settings, messages.append)
    run = Running(stage, messages=messages)
    stage.overlays.subscribe(run.overlays.append)
    stage.start()
    try:
        yield run
    finally:
        stage.stop()
        assert stage.stage.join(10)


def test_cells_are_measured_and_keep_their_identities_over_skipped_frames() -> None:
    with running() as run:
        tables = [run.show(index).cells for index in (0, 1, 3, 4)]
        assert run.stage.stats().segmenter["segmenter"] == "threshold"
    first = tables[0]
    assert first is not None
    assert sorted(first.identity) == [1, 2]
    upper = int(first.identity[np.argmin(first.y_px)])
    for table in tables:
        assert table is not None
        row = int(np.argmin(table.y_px))
        assert table.identity[row] == upper
        assert table.area_um2[row] == pytest.approx(4 * table.area_px[row])
        # 64 pixels of 2 rad; the outline may cut some of them off.
        assert table.optical_volume_um3[row] == pytest.approx(64 * 2 * 4 * 0.5 / (2 * np.pi), rel=0.15)
        assert np.isnan(table.dry_mass_pg[row])


def test_settings_change_while_the_live_view_runs_and_identities_stay() -> None:
    with running() as run:
        before = run.show(0)
        assert before.cells is not None
        between = int(before.cells.area_px.mean())
        run.stage.set_config(SegmentationConfig(min_area_px=between))
        after = run.show(1)
        assert run.stage.stats().segmenter != before.segmenter
    assert after.cells is not None
    assert (len(before.cells), len(after.cells)) == (2, 1)
    assert after.cells.identity[0] == before.cells.identity[np.argmax(before.cells.area_px)]
    assert after.segmenter["min_area_px"] == between


class Failing(Segmenter):
    """A segmenter of another package that raises what it likes."""

    kind = "failing"
    closed = 0

    def _segment(
        self, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_], std_rad: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
        raise ZeroDivisionError("its own bug")

    def close(self) -> None:
        Failing.closed += 1


def offered(kinds: dict[str, Callable[[], Segmenter]]) -> Callable[[SegmentationConfig], Segmenter]:
    """Return an ``open_segmenter`` that knows further kinds."""
    return lambda config: kinds[config.kind]() if config.kind in kinds else open_segmenter(config)


def test_a_segmenter_that_fails_is_reported_once_and_the_live_view_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.segmentation.open_segmenter", offered({"failing": Failing}))
    with running(SegmentationConfig(kind="failing")) as run:
        assert [run.show(index).labels for index in range(3)] == [None] * 3
        assert [message.level for message in run.messages] == [MessageLevel.ERROR]
        assert "'failing' has failed, so that frames have no cells: its own bug" in run.messages[0].text
        run.stage.set_config(SegmentationConfig())
        assert run.show(3).cells is not None
        assert run.messages[-1].text == "cells are segmented with 'threshold'"
    assert Failing.closed == 1


def test_a_segmenter_that_cannot_be_opened_is_reported_and_frames_have_no_cells() -> None:
    with running(SegmentationConfig(kind="absent")) as run:
        overlay = run.show(0)
        assert (overlay.labels, overlay.cells, overlay.segmenter) == (None, None, {})
        assert "the segmenter 'absent' cannot be used" in run.messages[0].text
        assert len(run.messages) == 1


def test_a_recorded_frame_says_what_its_labels_depend_on_where_that_has_changed() -> None:
    channel: Channel[RecordItem] = Channel("record", 10, Overflow.FAIL)
    known, changed = {"segmenter": "threshold"}, {"segmenter": "threshold", "threshold_rad": 0.4}
    join = FrameJoiner(channel, SIDE, segmenter=known)
    for index, facts in enumerate((known, changed)):
        shown = view(index)
        join.put_frame(shown.frame)
        join.put_view(shown)
        join.put_overlay(Overlay(shown, np.zeros((SIDE, SIDE), np.uint16), 0.0, segmenter=facts))
    join.finish()
    first, second = channel
    assert ROW_SEGMENTER not in first.facts()
    assert json.loads(str(second.facts()[ROW_SEGMENTER])) == changed


def test_frames_of_a_live_view_that_starts_again_are_followed_from_the_beginning() -> None:
    with running() as run:
        late = run.show(9).cells
        early = run.show(0).cells
    assert late is not None
    assert early is not None
    assert not set(late.identity) & set(early.identity)


def test_overlays_are_of_their_own_frames_whatever_is_changed_meanwhile() -> None:
    stop = threading.Event()
    with running() as run:

        def change() -> None:
            for step in range(1, 200):
                if stop.is_set():
                    return
                run.stage.set_config(SegmentationConfig(threshold=0.2 + 0.001 * step))

        thread = threading.Thread(target=change)
        thread.start()
        shown = [run.show(index) for index in range(6)]
        stop.set()
        thread.join()
    for index, overlay in enumerate(shown):
        assert overlay.frame_index == index
        assert overlay.labels is not None
        assert overlay.labels[22, 16 + 3 * index]
    assert replace(shown[0], segment_s=0.0).view is shown[0].view
