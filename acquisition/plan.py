"""The capture plan: everything that decides which pattern is shown as shot number n, frozen and hashed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from acquisition.patterns import DEFAULT_DEPTH_RAD, PatternError, PatternSource, blank, open_source
from drivers.base import Pattern


@dataclass(frozen=True)
class Shot:
    """One thing to capture: the pattern, its place in the plan, and whether it is a reference (flat) shot."""

    number: int
    pattern: Pattern
    is_reference: bool


@dataclass(frozen=True)
class CapturePlan:
    """A deterministic list of shots.

    Parameters
    ----------
    source : str
        Pattern source, see :func:`acquisition.patterns.open_source`.
    pairs : int
        Object pairs to capture; reference pairs come on top.
    seed : int
        Draw of the source.
    depth_rad : float
        Phase of white in radians.
    reference_every : int
        A flat pattern is shown first and after every so many objects. It gives the reconstructor its reference and is the
        sentinel by which earlier pairs are trusted.
    exposure_s : float
        Camera exposure in seconds.
    max_saturated : float
        Largest accepted fraction of saturated pixels.
    min_mean_fraction : float
        Smallest accepted mean, as a fraction of full scale: darker frames show a closed shutter or a lost laser.
    min_sentinel_correlation : float
        Smallest accepted correlation of a sentinel with the plan's first reference.
    """

    source: str
    pairs: int
    seed: int = 0
    depth_rad: float = DEFAULT_DEPTH_RAD
    reference_every: int = 25
    exposure_s: float = 0.010
    max_saturated: float = 0.01
    min_mean_fraction: float = 0.005
    min_sentinel_correlation: float = 0.6

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise PatternError(f"a plan captures at least 1 pair, got {self.pairs}")
        if self.reference_every < 1:
            raise PatternError(f"reference_every must be at least 1, got {self.reference_every}")

    def __len__(self) -> int:
        """Return the number of shots, references included."""
        return self.pairs + 1 + math.ceil(self.pairs / self.reference_every)

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of SHA-256 over all fields."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, object]:
        """Plain types, for the dataset's card."""
        return asdict(self)

    def is_reference(self, number: int) -> bool:
        """Whether shot ``number`` shows the flat pattern."""
        return number % (self.reference_every + 1) == 0 or number == len(self) - 1

    def shots(self, shape: tuple[int, int], start: int = 0) -> Iterator[Shot]:
        """Yield the shots from number ``start`` on, for an SLM of ``shape``; a plan ends with a reference."""
        flat = blank(shape)
        patterns = self.patterns(shape)
        for number in range(start, len(self)):
            if self.is_reference(number):
                yield Shot(number, flat, True)
            else:
                references_before = 1 + (number - 1) // (self.reference_every + 1)
                yield Shot(number, patterns[number - references_before], False)

    def patterns(self, shape: tuple[int, int]) -> PatternSource:
        """Open the plan's pattern source."""
        return open_source(self.source, shape, count=self.pairs, seed=self.seed, depth_rad=self.depth_rad)
