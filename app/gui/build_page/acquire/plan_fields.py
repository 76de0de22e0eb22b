"""The numbers of a plan as an operator reads them: name, unit, range, default, and what each is for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from acquisition.capture.plan import CapturePlan
from acquisition.patterns.sources import DEFAULT_PHASE_RANGE_RAD

_MOST = 10_000_000


@dataclass(frozen=True, kw_only=True)
class PlanNumber:
    """One number of a plan.

    Parameters
    ----------
    key : str
        The field of :class:`acquisition.capture.plan.CapturePlan`.
    label, unit : str
        What the operator reads; the unit is empty for counts.
    low, high, default : float
        Range and default, in ``unit``.
    decimals : int
        Digits after the point; 0 for whole numbers.
    step : float
        What one step up or down changes; 0 where it changes the first digit, so that any size of number is soon reached.
    scale : float
        The shown number divided by the one of the plan.
    is_expert : bool
        Whether it is among the options that are seldom changed.
    help : str
        What it is for, in plain words.
    """

    key: str
    label: str
    unit: str = ""
    low: float
    high: float
    default: float
    decimals: int = 0
    step: float = 1
    scale: float = 1
    is_expert: bool = True
    help: str

    @property
    def explanation(self) -> str:
        """What it is for, with its range and its default."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.help} {self.low:g} to {self.high:.10g}{unit}; at first {self.default:g}{unit}."


def _default(key: str, scale: float = 1) -> float:
    return float(CapturePlan.model_fields[key].default) * scale


NUMBERS: Final = (
    PlanNumber(
        key="pairs",
        label="Pairs",
        low=1,
        high=_MOST,
        default=1000,
        step=0,
        is_expert=False,
        help="How many pairs of speckle and phase are captured. A model of a fibre needs 1000 or more; 60 are enough to try. "
        "Reference pairs come on top.",
    ),
    PlanNumber(
        key="phase_range_rad",
        label="Phase range",
        unit="rad",
        low=0.1,
        high=round(8 * math.pi, 2),
        default=DEFAULT_PHASE_RANGE_RAD,
        decimals=2,
        step=0.1,
        is_expert=False,
        help="The phase that white stands for; black is 0. A model learns phases of this range, so choose that of your "
        "objects.",
    ),
    PlanNumber(
        key="exposure_s",
        label="Exposure",
        unit="ms",
        low=0.001,
        high=60_000,
        default=_default("exposure_s", 1e3),
        decimals=3,
        step=0.5,
        scale=1e3,
        is_expert=False,
        help="Exposure time of every frame. The live view's exposure is proposed: set it there until the brightest pixels "
        "are at about 80 % of full scale.",
    ),
    PlanNumber(
        key="repeats",
        label="Frames per pattern",
        low=1,
        high=10_000,
        default=_default("repeats"),
        is_expert=False,
        help="How often each pattern is captured, one after the other. More than 1 lets you average noise away later; each "
        "frame counts as a pair.",
    ),
    PlanNumber(
        key="reference_every",
        label="Reference every",
        unit="pairs",
        low=1,
        high=100_000,
        default=_default("reference_every"),
        help="The flat pattern is captured first, after every so many pairs, and last. It shows whether the fibre has moved: "
        "pairs since the last good reference are withdrawn when it has.",
    ),
    PlanNumber(
        key="dark_frames",
        label="Dark frames",
        low=0,
        high=10_000,
        default=_default("dark_frames"),
        help="Frames at the shortest exposure before the first pair. Their mean is stored with the dataset, as the camera's "
        "offset.",
    ),
    PlanNumber(
        key="seed",
        label="Seed",
        low=0,
        high=2**31 - 1,
        default=_default("seed"),
        help="Random patterns with the same seed are the same patterns. Take another seed for patterns that no dataset has.",
    ),
    PlanNumber(
        key="max_saturated",
        label="Most saturated pixels",
        unit="%",
        low=0,
        high=100,
        default=_default("max_saturated", 100),
        decimals=2,
        step=0.5,
        scale=100,
        help="A frame with more saturated pixels is captured again.",
    ),
    PlanNumber(
        key="min_mean_fraction",
        label="Least mean",
        unit="% of full scale",
        low=0,
        high=100,
        default=_default("min_mean_fraction", 100),
        decimals=2,
        step=0.1,
        scale=100,
        help="A darker frame is captured again: the shutter is closed, or the laser is off.",
    ),
    PlanNumber(
        key="min_reference_correlation",
        label="Least reference correlation",
        low=-1,
        high=1,
        default=_default("min_reference_correlation"),
        decimals=2,
        step=0.05,
        help="A reference that is less like the first one means that the fibre has moved.",
    ),
    PlanNumber(
        key="min_frame_correlation",
        label="Least frame correlation",
        low=-1,
        high=1,
        default=_default("min_frame_correlation"),
        decimals=2,
        step=0.05,
        help="Any frame that is less like the first reference is captured again: the fibre moved, or something is in the "
        "light.",
    ),
)

#: What the choices are for that are not numbers, by their field.
CHOICE_HELP: Final = {
    "name": "Name of the dataset, for people. Its folder gets this name with date, time and a mark of its own.",
    "source": "Where the patterns on the SLM come from.",
    "folder": "Your own pictures, in the order of their names; every page of a stack is one pattern. They are cropped to the "
    "shape of the SLM, and repeat from the start when there are fewer than pairs.",
    "parameters": "Details of the patterns, such as bar_px=20 or size_px=400&black=0&white=4095; empty takes their defaults.",
    "order": "Sequential shows the patterns as the source gives them; shuffled mixes them, so that slow drifts do not look "
    "like a property of certain patterns.",
    "preamble": "Before the first pair, known patterns check that every frame belongs to its own pattern. Leave it on, "
    "unless the camera does not see the SLM.",
}
