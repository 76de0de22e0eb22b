"""A camera that is unplugged while a recording runs, and comes back."""

from __future__ import annotations

import time

from app.gui.window_bench.amounts import Amounts, Numbers
from app.gui.window_bench.bench_window import BenchWindow
from app.status import RecordingState

_LOST_S = 2.0
_RECOVERS_S = 20.0
_PAINTED_AGAIN = 30


def camera_losses(bench: BenchWindow, amounts: Amounts) -> Numbers:
    """Unplug the camera while a recording runs, plug it in again, and see frames painted again."""
    recovered = 0
    messages_s: list[float] = []
    bench.record("losses")
    for _ in range(amounts.losses):
        bench.camera.lose()
        lost_s = time.monotonic()
        if bench.run_until(lambda: "disappeared" in bench.window.banner.text, _RECOVERS_S):
            messages_s.append(time.monotonic() - lost_s)
        bench.run(_LOST_S)
        bench.camera.return_()
        recovered += bench.paints_again(_PAINTED_AGAIN, _RECOVERS_S)
    grows = bench.session.recording_status().state is RecordingState.RECORDING
    bench.stop_recording()
    return {
        "camera_losses": amounts.losses,
        "camera_loss_recovered": recovered if grows else 0,
        "camera_loss_message_s_max": max(messages_s, default=-1.0),
    }
