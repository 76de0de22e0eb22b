"""How many frames a calibration needs, how long they take, and why an instrument cannot be calibrated so."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from app.calibrations.kinds import FACTS, Calibration, CalibrationOrder
from app.calibrations.target import CalibrationTarget
from calibration.registration.gray_code import count_patterns

TIMING_STEPS: Final = 240
CAMERA_FRAMES: Final = 66
#: Blocks and flat patterns of a registration, and the blur of the fibre that it is made for.
BLOCKS, REFERENCES, LOCALITY_PX = 16, 2, 8.5
#: Patterns of the fibre reference: random pairs, flat ones, and ones of rising phase.
PAIRS, FLATS, DEPTHS = 16, 6, 5
#: Probe patterns that a response is tested with; each is shown twice.
HELD_OUT: Final = 2
#: Probe patterns that a response needs: from scratch with and without coupling between cores, and after an earlier response.
PROBE_PATTERNS_RICH, PROBE_PATTERNS_PLAIN, PROBE_PATTERNS_AGAIN = 64, 6, 8


def usual_probe_patterns(*, coupled: bool, again: bool) -> int:
    """Return how many probe patterns a response needs: after an earlier one, or from scratch with coupled cores or without."""
    if again:
        return PROBE_PATTERNS_AGAIN
    return PROBE_PATTERNS_RICH if coupled else PROBE_PATTERNS_PLAIN


def shots(order: CalibrationOrder, target: CalibrationTarget) -> int:
    """Return how many frames a calibration needs."""
    what = order.what
    if what is Calibration.LUT:
        return order.levels
    if what is Calibration.REGISTRATION:
        shape = target.display.shape if target.display is not None else target.config.panel.fitted_shape
        return count_patterns(shape, BLOCKS, LOCALITY_PX) + REFERENCES
    if what is Calibration.RESPONSE:
        coupled = not target.config.on_twin or target.config.twin.optics.coupling_sigma_um > 0
        usual = usual_probe_patterns(coupled=coupled, again=order.previous is not None)
        return (order.probe_patterns or usual) + 2 * HELD_OUT
    return {
        Calibration.TIMING: TIMING_STEPS,
        Calibration.CAMERA: CAMERA_FRAMES,
        Calibration.FIBRE: PAIRS + FLATS + DEPTHS,
    }[what]


def least_seconds(order: CalibrationOrder, target: CalibrationTarget) -> float:
    """Return the shortest time for all frames of a calibration, in seconds; fits and the twin's simulation come on top."""
    count = shots(order, target)
    if order.what is Calibration.TIMING and target.display is not None:
        return count * (2 * target.settled_s + 3 * target.display.refresh_s)  # each step waits for both patterns
    return count * (target.settled_s + target.frame_s)


def why_impossible(what: Calibration, target: CalibrationTarget, previous: Path | None = None) -> str:
    """Return why an instrument cannot be calibrated so, as a sentence; empty when it can."""
    if target.display is None:
        return "this instrument has no SLM to show patterns; add one on the Rig page"
    if what is Calibration.RESPONSE and not target.config.on_twin and previous is None:
        return (
            "the core positions of a real fibre are unknown, and its response cannot be fitted without them; "
            f"'{FACTS[Calibration.FIBRE].title}' needs none"
        )
    return ""
