"""The capture plan: everything that decides which pattern is shown as shot number n."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, WrapValidator, model_validator

from acquisition.archive.old_names import with_present_names
from acquisition.archive.validation import explain
from acquisition.patterns.source_name import PatternError
from acquisition.patterns.sources import DEFAULT_PHASE_RANGE_RAD, PatternSource, blank, open_source
from drivers.base import Pattern
from drivers.safe_text import read_handwritten_yaml


def _as_written(value: Any, validate: Callable[[Any], float]) -> Any:
    validate(value)
    return value


Order = Literal["sequential", "shuffled"]
#: A whole number stays one: the plan's hash is over the values as they were written.
Number = Annotated[float, WrapValidator(_as_written)]


class PlanError(PatternError):
    """A capture plan is missing, is not YAML, or holds a wrong field or value."""


@dataclass(frozen=True)
class Shot:
    """One thing to capture: its number in the plan, its pattern, and whether it is a reference shot (the flat pattern)."""

    number: int
    pattern: Pattern
    is_reference: bool


class CapturePlan(BaseModel):
    """A deterministic list of shots.

    Parameters
    ----------
    source : str
        Pattern source, see :func:`acquisition.patterns.sources.open_source`.
    pairs : int
        Object pairs to capture; reference pairs come on top.
    seed : int
        Draw of the source, and of the order.
    phase_range_rad : float
        Phase of white in radians.
    reference_every : int
        The flat pattern is shown first, after every so many objects, and last. It gives the reconstructor its reference, and
        it is the reference check by which earlier pairs are trusted.
    exposure_s : float
        Camera exposure in seconds.
    max_saturated : float
        Largest accepted fraction of saturated pixels.
    min_mean_fraction : float
        Smallest accepted mean, as a fraction of full scale. Darker frames mean a closed shutter or a laser that is off.
    min_reference_correlation : float
        Smallest accepted correlation of a reference shot with the first one.
    min_frame_correlation : float
        Smallest accepted correlation of any frame with the first reference. It falls when the fibre moves.
    repeats : int
        Frames of each pattern, one after the other.
    order : {"sequential", "shuffled"}
        Order of the source's patterns; ``seed`` shuffles them.
    dark_frames : int
        Frames at the camera's shortest exposure, captured before the first pair; their mean is kept with the dataset.
    preamble : bool
        Whether a run begins with a sync check, which verifies which frame belongs to which pattern.

    Raises
    ------
    PlanError
        A field is unknown, missing, or has a wrong value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    source: str
    pairs: int = Field(ge=1)
    seed: int = Field(0, ge=0)
    phase_range_rad: Number = Field(DEFAULT_PHASE_RANGE_RAD, gt=0)
    reference_every: int = Field(25, ge=1)
    exposure_s: Number = Field(0.010, gt=0)
    max_saturated: Number = Field(0.01, ge=0)
    min_mean_fraction: Number = Field(0.005, ge=0)
    min_reference_correlation: Number = 0.6
    min_frame_correlation: Number = 0.1
    repeats: int = Field(1, ge=1)
    order: Order = "sequential"
    dark_frames: int = Field(0, ge=0)
    preamble: bool = True

    @model_validator(mode="wrap")
    @classmethod
    def _explained(cls, content: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(content)
        except pydantic.ValidationError as error:
            raise PlanError(explain(error, cls.model_fields)) from error

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a plan with other values for some fields; raises PlanError where they are wrong."""
        return type(self).model_validate(self.to_dict() | dict(update or {}))

    def __len__(self) -> int:
        """Return the number of shots, references included."""
        return self.pairs + 1 + math.ceil(self.pairs / self.reference_every)

    @property
    def patterns_needed(self) -> int:
        """Number of different patterns that the source must give."""
        return math.ceil(self.pairs / self.repeats)

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of SHA-256 over all fields, as :func:`plan_hash` computes it."""
        return plan_hash(self.to_dict())

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain values, for the dataset's metadata."""
        return self.model_dump()

    def is_reference(self, number: int) -> bool:
        """Whether shot ``number`` shows the flat pattern."""
        return number % (self.reference_every + 1) == 0 or number == len(self) - 1

    def shots(self, shape: tuple[int, int], start: int = 0) -> Iterator[Shot]:
        """Yield the shots from number ``start`` on, for an SLM of ``shape``; the last one is a reference."""
        make = self.maker(shape)
        for number in range(start, len(self)):
            yield make(number)

    def maker(self, shape: tuple[int, int]) -> Callable[[int], Shot]:
        """Return a function that makes shot number n, for an SLM of ``shape``; only one thread at a time may call it."""
        flat = blank(shape)
        patterns = self.patterns(shape)
        count = self.patterns_needed
        order = np.random.default_rng((self.seed, 7)).permutation(count) if self.order == "shuffled" else range(count)

        def make(number: int) -> Shot:
            if self.is_reference(number):
                return Shot(number, flat, is_reference=True)
            references_before = 1 + (number - 1) // (self.reference_every + 1)
            pattern = patterns[int(order[(number - references_before) // self.repeats])]
            return Shot(number, pattern, is_reference=False)

        return make

    def patterns(self, shape: tuple[int, int]) -> PatternSource:
        """Open the plan's pattern source."""
        return open_source(self.source, shape, count=self.patterns_needed, seed=self.seed, phase_range_rad=self.phase_range_rad)


def plan_hash(content: Mapping[str, object]) -> str:
    """Return the hash of a plan's fields: first 16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(json.dumps(dict(content), sort_keys=True).encode()).hexdigest()[:16]


def read_plan(path: Path) -> CapturePlan:
    """Read a plan from YAML; fields that are not named have their defaults.

    Raises
    ------
    PlanError
        With the field, its value and what is expected.
    """
    try:
        content = read_handwritten_yaml(path)
    except FileNotFoundError as error:
        raise PlanError(f"no plan file {path}; check the path") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PlanError(f"cannot read the plan {path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise PlanError(f"{path} must hold 'field: value' lines, got {type(content).__name__}")
    return plan_from(with_present_names(content), str(path))


def plan_from(content: Mapping[str, object], origin: str) -> CapturePlan:
    """Return the plan that plain values describe.

    Raises
    ------
    PlanError
        With ``origin``, the field, its value and what is expected.
    """
    try:
        return CapturePlan.model_validate(dict(content))
    except PlanError as error:
        raise PlanError(f"{origin}: {error}") from error
