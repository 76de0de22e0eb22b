"""The row of numbers when nothing is measured."""

from __future__ import annotations

import math
from dataclasses import replace

from app.gui.widgets.palette import colours
from app.status import LiveState


def test_a_stopped_live_view_shows_no_number_and_no_green_gauge(window, session) -> None:
    unknown = math.nan
    session.status = replace(session.status, state=LiveState.RUNNING, reference_correlation=0.93)
    window.refresh_numbers()
    strip = window.page.status_strip
    assert strip.drift.number.text == "Reference correlation 0.93 good"
    session.status = replace(
        session.status, state=LiveState.STOPPED, camera_fps=unknown, inference_fps=unknown, inference_ms_p50=unknown,
        latency_ms_p50=unknown, latency_ms_p99=unknown, reference_correlation=unknown, can_retune=False,
    )  # fmt: skip
    window.refresh_numbers()
    assert strip.camera.text == "Camera – fps"
    assert strip.inference.text == "Reconstruction – fps"
    assert strip.latency.text == "Latency, software path – ms p50 – ms p99"
    assert strip.drift.number.text == "Reference correlation – "
    bar = strip.drift.bar.grab().toImage()
    shown = {bar.pixelColor(x, bar.height() // 2).name() for x in range(bar.width())}
    assert colours().good not in shown
    assert not strip.drift.retune.isEnabled()
