"""A small recording, written by the recorder as the live view does, with what a player has to cope with."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from acquisition.archive.recorder import Recorder, RecordItem
from acquisition.archive.recording_faults import marker
from acquisition.streams.channel import Channel, Overflow
from drivers.base import Frame, FrameMark

SIDE_PX, GRID_PX = 32, 24
METADATA: Mapping[str, object] = {
    "instrument": "bench 2",
    "fibre": "fibre A",
    "pixel_um": 0.5,
    "bit_depth": 8,
    "phase_range_rad": 2.5,
    "model": "bench-july",
    "model_id": "0123456789ab",
}
#: Number of the camera's first frame in a recording.
FIRST_INDEX = 100


def disc() -> np.ndarray:
    """Return the disc of the fibre on the grid of the phase."""
    axis = np.arange(GRID_PX) - (GRID_PX - 1) / 2
    return np.hypot(*np.meshgrid(axis, axis)) < 11


def item(
    number: int, t_s: float, *, reconstructed: bool = True, segmented: bool = True, uncertainty: bool = False
) -> RecordItem:
    """Return a frame and its results, which can be told apart from those of other numbers."""
    rng = np.random.default_rng(number)
    speckle = rng.integers(0, 255, (SIDE_PX, SIDE_PX), np.uint8)
    phase = np.where(disc(), rng.normal(0.5, 0.02, (GRID_PX, GRID_PX)), 0).astype(np.float32)
    phase[8:14, 6 : 12 + number % 4] += np.float32(1.2)
    labels = ((phase > 1.2) * 1).astype(np.uint16)
    return RecordItem(
        frame=Frame(
            speckle, FIRST_INDEX + number, round(t_s * 1e9), 0.002, marks=(FrameMark.DECORRELATED,) if number == 5 else ()
        ),
        phase_rad=phase if reconstructed else np.full_like(phase, np.nan),
        model_id="0123456789ab" if reconstructed else "",
        engine="torch" if reconstructed else "",
        latency_s=0.01,
        labels=labels if reconstructed and segmented else np.zeros_like(labels),
        uncertainty_rad=(np.abs(phase) / 10 if reconstructed else np.full_like(phase, np.nan)) if uncertainty else None,
        reconstructed=reconstructed,
        segmented=reconstructed and segmented,
    )


@dataclass(frozen=True, kw_only=True)
class RecordingPlan:
    """What is recorded.

    Parameters
    ----------
    times_s : sequence of float
        When the frames are exposed.
    skipped, unsegmented : sequence of int
        Numbers of the frames without phase, and of those without labels.
    marked : mapping of int to str
        The operator's markers, by the numbers of their frames.
    uncertainty : bool
        Whether phases have a standard deviation.
    has_disc : bool
        Whether the disc of the fibre is stored.
    """

    times_s: Sequence[float]
    name: str = "cells"
    skipped: Sequence[int] = ()
    unsegmented: Sequence[int] = ()
    marked: Mapping[int, str] = field(default_factory=dict)
    uncertainty: bool = False
    has_disc: bool = False
    metadata: Mapping[str, object] = field(default_factory=lambda: METADATA)

    def record(self, root: Path) -> Path:
        """Write the recording and return its folder."""
        channel: Channel[RecordItem] = Channel("record", len(self.times_s) + 1, Overflow.FAIL)
        recorder = Recorder(root, self.name, self.metadata, channel)
        for number, t_s in enumerate(self.times_s):
            reconstructed, segmented = number not in self.skipped, number not in self.unsegmented
            one = item(number, t_s, reconstructed=reconstructed, segmented=segmented, uncertainty=self.uncertainty)
            channel.put(replace(one, disc=disc()) if self.has_disc and reconstructed else one)
        for number, text in self.marked.items():
            recorder.log.add(marker(text, FIRST_INDEX + number))
        channel.close()
        recorder.run(threading.Event())
        assert recorder.path is not None
        return recorder.path
