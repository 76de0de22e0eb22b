"""Re-tune: a new reference and a few reference pairs in less than a minute, for a fibre that has moved.

After any movement of the fibre, a few known images and their frames suffice to reconstruct phase from displacements of the
speckle, and to find where the patterns lie on the camera.
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
from drivers.base import Frame, frozen_array

Counts = NDArray[np.uint8] | NDArray[np.uint16]

#: Seed of the probe patterns; no dataset and no evaluation uses it.
_SEED = 424_242
PROBE_PATTERNS = 8
_FLATS = 4
#: Least amplitude correlation of the flat pattern before and after the probe patterns. Below it the fibre moves too fast.
_LEAST_STABILITY = 0.6


@dataclass(frozen=True, eq=False)
class RetuneData:
    """Frames of a re-tune.

    Parameters
    ----------
    flats : tuple of ndarray, shape (H, W)
        Frames of the flat pattern before and after the probe patterns, in counts.
    frames : tuple of ndarray, shape (H, W)
        Frames of the probe patterns, in counts.
    phases_rad : tuple of ndarray of float32, shape (h, w)
        Phases of the probe patterns, on the pattern's grid.
    """

    flats: tuple[Counts, ...]
    frames: tuple[Counts, ...]
    phases_rad: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class ReferencePairs:
    """The reference and the reference pairs of a fibre in its present position.

    Parameters
    ----------
    reference : ndarray of float32, shape (H, W)
        Mean speckle of the flat pattern, in counts.
    frames : tuple of ndarray, shape (H, W)
        Frames of the probe patterns, in counts.
    phases_rad : tuple of ndarray of float32, shape (H, W)
        Phases of the probe patterns, on the camera's grid.
    registration : Registration
        Where patterns lie on the camera.
    stability : float
        Amplitude correlation of the flat pattern before and after the probe patterns.
    """

    reference: NDArray[np.float32]
    frames: tuple[Counts, ...]
    phases_rad: tuple[NDArray[np.float32], ...]
    registration: Registration
    stability: float


def acquire(
    rig: Rig,
    probe_patterns: int = PROBE_PATTERNS,
    phase_range_rad: float = DEFAULT_PHASE_RANGE_RAD,
    on_frame: Callable[[Frame], None] = lambda frame: None,
) -> RetuneData:
    """Show the flat pattern, the probe patterns, and the flat pattern again.

    Parameters
    ----------
    rig : Rig
        Used by this thread only.
    probe_patterns : int
        Number of probe patterns, which are images of random shapes and textures.
    phase_range_rad : float
        Phase of white in the probe patterns.
    on_frame : callable
        Called with every frame.

    Raises
    ------
    CaptureError, DeviceError
        A device failed, or frames are dark or saturated.
    """
    shape = rig.display().capabilities.shape
    flat = blank(shape)
    source = open_source("leaves", shape, count=probe_patterns, seed=_SEED, phase_range_rad=phase_range_rad)
    patterns = [*[flat] * (_FLATS // 2), *(source[index] for index in range(probe_patterns)), *[flat] * (_FLATS // 2)]
    capture = PairCapture(rig)
    frames = []
    try:
        for pattern in patterns:
            frame = capture.capture(pattern)
            frames.append(frame.pixels)
            on_frame(frame)
    finally:
        capture.release()
    first, last = _FLATS // 2, _FLATS // 2 + probe_patterns
    phases = tuple(pattern.phase_rad for pattern in patterns[first:last])
    return RetuneData((*frames[:first], *frames[last:]), tuple(frames[first:last]), phases)


def fit(data: RetuneData) -> ReferencePairs:
    """Average the reference and register the probe patterns.

    Raises
    ------
    CalibrationError
        There are too few probe patterns, the fibre moved during the re-tune, or the speckle does not follow the patterns.
    """
    inside = lit_field(data.flats)
    before, after = (speckle_amplitude(np.mean(part, axis=0)) for part in np.split(np.stack(data.flats), 2))
    stability = float(np.corrcoef(before[inside], after[inside])[0, 1])
    if stability < _LEAST_STABILITY:
        raise CalibrationError(
            f"the flat pattern's speckle before and after the probe patterns correlates {stability:.2f}, at least "
            f"{_LEAST_STABILITY} is needed: the fibre is moving; wait until it is still and re-tune again"
        )
    registration = register_pairs(data.frames, data.phases_rad)
    return ReferencePairs(
        reference=frozen_array(np.mean(data.flats, axis=0, dtype=np.float32)),
        frames=data.frames,
        phases_rad=tuple(frozen_array(registration.warp(phase, fill=None)) for phase in data.phases_rad),
        registration=registration,
        stability=stability,
    )
