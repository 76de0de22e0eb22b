"""Shots of a re-tune on a simulated fibre, and the reference pairs from them; computed once in each process."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.sources import open_source
from calibration import retune
from calibration.retune import ReferencePairs, RetuneData
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig
from reconstruction.data.pairs import TwinExposure

PX, PROBE_PATTERNS = 256, 6
OPTICS = OpticsConfig(image_px=PX, field_radius_um=82.0, seed=81)
POSED = replace(OPTICS, seed=82, scale=1.06, rotation_deg=-4.0, shift_px=(4.0, -5.0), flip=True)


@cache
def shots(optics: OpticsConfig = OPTICS) -> tuple[RetuneData, NDArray[np.uint8], NDArray[np.float32]]:
    """Return the shots of a re-tune, and a held-out image's frame and phase."""
    source = open_source("leaves", (PX, PX), count=PROBE_PATTERNS + 1, seed=optics.seed)
    phases = np.stack(
        [*[np.zeros((PX, PX), np.float32)] * 4, *(source[index].phase_rad for index in range(PROBE_PATTERNS + 1))]
    )
    frames = TwinExposure(FibreOptics(optics), SensorConfig(), 0.01, optics.seed)(phases)
    data = RetuneData(tuple(frames[:4]), tuple(frames[4:-1]), tuple(phases[4:-1]))
    return data, frames[-1], phases[-1]


@cache
def reference_pairs(optics: OpticsConfig = OPTICS) -> ReferencePairs:
    return retune.fit(shots(optics)[0])
