"""A fibre that is small enough to simulate in a few milliseconds a frame."""

from __future__ import annotations

from functools import cache

import numpy as np

from drivers.base import Pattern
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig

IMAGE_PX = 64


@cache
def small_fibre() -> FibreOptics:
    """Return a simulated fibre whose images have 64 x 64 pixels; every caller gets the same object."""
    return FibreOptics(OpticsConfig(image_px=IMAGE_PX, field_radius_um=14.0))


def flat_pattern() -> Pattern:
    """Return a pattern of phase 0 with the pixels of :func:`small_fibre`."""
    return Pattern(np.zeros((IMAGE_PX, IMAGE_PX), np.float32))
