"""A new reference and a handful of reference pairs in under a minute, for a fibre that has moved.

Whatever the fibre did, a few images that are shown and seen tell enough to read phase again from displacements of the speckle,
and also where the patterns lie on the camera.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.capture.pair_capture import PairCapture, Rig
from acquisition.patterns.sources import DEFAULT_PHASE_RANGE_RAD, blank, open_source
from calibration.registration.affine import Registration
from calibration.registration.displacement import lit_field, speckle_amplitude
from calibration.registration.from_pairs import register_pairs
from calibration.stored import CalibrationError
from drivers.base import frozen_array

Counts = NDArray[np.uint8] | NDArray[np.uint16]

#: Draw of the probes: no dataset and no evaluation uses it.
_SEED = 424_242
PROBE_PATTERNS = 8
_FLATS = 4
#: Amplitude correlation of flat shots before and after the probes: less, and the fibre moves too fast to be tuned to.
_LEAST_STILL = 0.6


@dataclass(frozen=True, eq=False)
class RetuneData:
    """Shots of a re-tune.

    Parameters
    ----------
    flats : tuple of ndarray, shape (H, W)
        The flat pattern before and after the probes, in counts.
    frames : tuple of ndarray, shape (H, W)
        Of the probes.
    phases_rad : tuple of ndarray of float32, shape (h, w)
        The probes, on the pattern's grid.
    """

    flats: tuple[Counts, ...]
    frames: tuple[Counts, ...]
    phases_rad: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, eq=False)
class ReferencePairs:
    """What an instrument needs to go on.

    Parameters
    ----------
    reference : ndarray of float32, shape (H, W)
        Mean speckle of the flat pattern, in counts.
    frames : tuple of ndarray, shape (H, W)
        Of the probes.
    phases_rad : tuple of ndarray of float32, shape (H, W)
        The probes on the camera's grid.
    registration : Registration
        Where patterns lie on the camera.
    stillness : float
        Correlation of flat shots before and after.
    """

    reference: NDArray[np.float32]
    frames: tuple[Counts, ...]
    phases_rad: tuple[NDArray[np.float32], ...]
    registration: Registration
    stillness: float


def acquire(
    rig: Rig,
    probe_patterns: int = PROBE_PATTERNS,
    phase_range_rad: float = DEFAULT_PHASE_RANGE_RAD,
    progress: Callable[[int], None] = lambda done: None,
) -> RetuneData:
    """Show the flat pattern, the probes, and the flat pattern again.

    Parameters
    ----------
    rig : Rig
        Used by this thread.
    probes : int
        Images of random shapes and textures.
    phase_range_rad : float
        Phase of white in them.
    progress : callable
        Called with the number of frames taken.

    Raises
    ------
    CaptureError, DeviceError
        The devices failed, or frames are dark or saturated.
    """
    shape = rig.display().capabilities.shape
    flat = blank(shape)
    shown = open_source("leaves", shape, count=probe_patterns, seed=_SEED, phase_range_rad=phase_range_rad)
    patterns = [*[flat] * (_FLATS // 2), *(shown[index] for index in range(probe_patterns)), *[flat] * (_FLATS // 2)]
    capture = PairCapture(rig)
    frames = []
    try:
        for pattern in patterns:
            frames.append(capture.capture(pattern).pixels)
            progress(len(frames))
    finally:
        capture.release()
    first, last = _FLATS // 2, _FLATS // 2 + probe_patterns
    phases = tuple(pattern.phase_rad for pattern in patterns[first:last])
    return RetuneData((*frames[:first], *frames[last:]), tuple(frames[first:last]), phases)


def fit(data: RetuneData) -> ReferencePairs:
    """Average the reference and register the probes.

    Raises
    ------
    CalibrationError
        Too few probes, the fibre moved meanwhile, or the speckle does not follow the patterns.
    """
    inside = lit_field(data.flats)
    before, after = (speckle_amplitude(np.mean(part, axis=0)) for part in np.split(np.stack(data.flats), 2))
    stillness = float(np.corrcoef(before[inside], after[inside])[0, 1])
    if stillness < _LEAST_STILL:
        raise CalibrationError(
            f"the flat pattern's speckle before and after the probes correlates {stillness:.2f}, at least "
            f"{_LEAST_STILL} is needed; the fibre is moving: let it rest and re-tune again"
        )
    placed = register_pairs(data.frames, data.phases_rad)
    phases = tuple(frozen_array(placed.warp(phase, fill=None)) for phase in data.phases_rad)
    reference = frozen_array(np.mean(data.flats, axis=0, dtype=np.float32))
    return ReferencePairs(reference, data.frames, phases, placed, stillness)
