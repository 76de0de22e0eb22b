"""One flash is timed from its command on; what is not seen, or came before, is not counted."""

from __future__ import annotations

import numpy as np
import pytest

from app.live.loop_back.flash_axis import FlashAxis
from app.live.loop_back.flash_timing import ArrivedFrame, ArrivedView, FlashAxes, FlashTiming, PaintedView
from app.live.loop_back.results import LoopBackState, LoopBackStatus, Moment, loop_back_csv
from app.live.slm.shown import ShownPattern
from app.status import LiveView
from drivers.base import Frame, Pattern
from reconstruction.base import Reconstruction

FLASH = Pattern(np.ones((4, 4), np.float32), "flash")
AXIS = FlashAxis(origin=np.zeros((4, 4), np.float32), direction=np.full((4, 4), 1 / 16, np.float32), limit=0.5)
MS = 10**6
COMMAND_NS = 1000 * MS


def frame(index: int, lit: float, at_ms: float, exposed_ms: float | None = None) -> ArrivedFrame:
    exposed_ns = COMMAND_NS + round((at_ms - 5 if exposed_ms is None else exposed_ms) * MS)
    return ArrivedFrame(np.full((4, 4), lit, np.float32), index, exposed_ns, COMMAND_NS + round(at_ms * MS))


def view(index: int, lit: float, at_ms: float) -> ArrivedView:
    reconstruction = Reconstruction(np.full((4, 4), lit, np.float32), index, 0.01, 0.005, "model", "torch")
    return ArrivedView(
        LiveView(Frame(np.zeros((8, 8), np.uint8), index, 0, 0.01), reconstruction), COMMAND_NS + round(at_ms * MS)
    )


def painted(index: int, at_ms: float) -> PaintedView:
    return PaintedView(index, COMMAND_NS + round(at_ms * MS))


def timing_of(*events) -> FlashTiming:
    timing = FlashTiming(FLASH, FlashAxes(speckle=AXIS, phase=AXIS))
    for event in events:
        timing.see(event)
    return timing


COMMAND = ShownPattern(FLASH, COMMAND_NS)


def test_the_first_frame_reconstruction_and_paint_that_show_it_are_timed() -> None:
    timing = timing_of(
        COMMAND, frame(7, 0.1, 20), view(6, 0, 25), frame(8, 0.8, 40), painted(6, 42),
        view(7, 0.2, 45), frame(9, 1, 60), painted(7, 62), view(8, 0.7, 65), painted(8, 80), view(9, 1, 90), painted(9, 95),
    )  # fmt: skip
    flash = timing.result()
    assert timing.timed
    assert timing.painted
    assert flash.timed
    assert flash.frame_index == 8
    assert flash.after_s == pytest.approx(
        {Moment.EXPOSURE: 0.035, Moment.FRAME: 0.040, Moment.RECONSTRUCTION: 0.065, Moment.PAINT: 0.080}
    )


def test_a_frame_lit_in_part_that_only_its_reconstruction_shows_does_not_count() -> None:
    flash = timing_of(COMMAND, frame(7, 0.4, 20), view(7, 0.6, 30), frame(8, 1, 40), painted(7, 45), view(8, 1, 60)).result()
    assert flash.frame_index == 8
    assert flash.after_s == pytest.approx({Moment.EXPOSURE: 0.035, Moment.FRAME: 0.040, Moment.RECONSTRUCTION: 0.060})
    late = timing_of(COMMAND, frame(7, 0.4, 20), frame(8, 1, 40), view(7, 0.6, 45), view(8, 1, 60)).result()
    assert late.after_s[Moment.RECONSTRUCTION] == pytest.approx(0.060)


def test_what_comes_before_the_command_does_not_count() -> None:
    other = ShownPattern(Pattern(np.zeros((4, 4), np.float32)), COMMAND_NS)
    assert timing_of(other, frame(1, 1, 10), view(1, 1, 12), painted(1, 13)).result() is None


def test_a_frame_that_was_exposed_before_the_command_spoils_the_flash() -> None:
    timing = timing_of(COMMAND, frame(8, 0.9, 3, exposed_ms=-2), view(8, 0.9, 8))
    assert timing.spoiled
    assert not timing.result().timed
    assert timing.result().after_s == {}


@pytest.mark.parametrize("events", [(), (frame(8, 0.9, 40),), (view(8, 0.9, 40),), (frame(8, 0.4, 40), view(8, 0.4, 50))])
def test_a_flash_that_is_not_seen_in_both_is_not_found(events) -> None:
    flash = timing_of(COMMAND, *events).result()
    assert not flash.timed
    assert flash.after_s == {}


def test_results_are_labelled_and_flashes_that_were_not_found_have_no_times() -> None:
    good = timing_of(COMMAND, frame(8, 1, 40), view(8, 1, 60), painted(8, 70)).result()
    lost = timing_of(COMMAND, frame(9, 0, 40)).result()
    status = LoopBackStatus(state=LoopBackState.FINISHED, requested=3).with_flash(good).with_flash(lost).with_flash(good)
    assert (status.timed, status.missed) == (2, 1)
    assert status.times()[Moment.PAINT].count == 2
    assert status.text == (
        "SLM to screen: p50 70.0 ms, p95 70.0 ms, p99 70.0 ms; measured by 2 flashes, 1 not found; includes the SLM's refresh "
        "and settling, exposure, camera, engine and paint, but not the monitor; software time stamps"
    )
    lines = loop_back_csv(status).splitlines()
    assert lines[0] == f"# {status.label}"
    assert lines[2:] == [
        "flash,found,frame,exposure_ms,frame_ms,reconstruction_ms,paint_ms",
        "1,yes,8,35,40,60,70",
        "2,no,,,,,",
        "3,yes,8,35,40,60,70",
    ]
    blind = LoopBackStatus(state=LoopBackState.FINISHED, requested=1).with_flash(lost)
    assert blind.text == "loop-back: none of 1 flashes was found"
    plain = timing_of(COMMAND, frame(8, 1, 40), view(8, 1, 60)).result()
    without_window = LoopBackStatus(state=LoopBackState.FINISHED, requested=1).with_flash(plain)
    assert without_window.label.startswith("SLM to reconstruction, measured by 1 flashes")
    assert without_window.to_dict()["after_command"]["frame"]["p50_ms"] == pytest.approx(40)
