"""The camera that repeats recorded frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from drivers.base import Frame, TriggerMode
from drivers.clock import VirtualClock
from drivers.recorded.replay import ReplayCamera
from drivers.testing.camera_contract import CameraContract, FreeRunOnlyContract, Subject


def recorded(bit_depth: int) -> list[Frame]:
    """Return three frames of random counts, 20 ms apart."""
    rng = np.random.default_rng(bit_depth)
    shape, dtype = (3, 12, 16), np.uint8 if bit_depth == 8 else np.uint16
    images = rng.integers(1, 2**bit_depth, shape).astype(dtype)
    return [Frame(image, 7 + i, 10**12 + i * 20_000_000, 0.004, bit_depth) for i, image in enumerate(images)]


class TestReplay(CameraContract, FreeRunOnlyContract):
    """Frames; it has no trigger and cannot be lost."""

    @pytest.fixture(params=[8, 12], ids=lambda depth: f"{depth} bit")
    def subject(self, request: pytest.FixtureRequest) -> Iterator[Subject]:
        """Return a replay of frames of 8 or 12 bit."""
        clock = VirtualClock()
        with ReplayCamera(recorded(request.param), clock=clock) as camera:
            yield Subject(camera, clock, TriggerMode.FREE_RUN)
