"""How a model that draws samples is asked: in how many steps, from which noise, and what is shown as the phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from drivers.base import SpeckleScopeError

#: A seed is below this, so that everything that stores numbers can store it.
MOST_SEED: Final = 2**31 - 1
#: Keys of the facts of a frame, as a recording stores them.
_MODEL, _STEPS, _SEED, _SHOWN = "model", "steps", "sample_seed", "shown"


class Shown(StrEnum):
    """What is shown and recorded as the phase. The standard deviation is given beside it in any case."""

    #: One sample: a picture that agrees with the speckle, with the texture of real ones.
    SAMPLE = "sample"
    #: The mean of all samples: the smallest error, without the texture that the speckle leaves open.
    MEAN = "mean"


class SamplingError(SpeckleScopeError):
    """Settings that a model cannot draw samples with."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Settings of a model that draws samples.

    Parameters
    ----------
    steps : int
        Steps of the sampler.
    shown : Shown
        What is the phase.
    seed : int
        Seed of the noise of a sample: 0 to :data:`MOST_SEED`. The same seed gives the same noise for every frame.

    Raises
    ------
    SamplingError
        A number is out of its range.
    """

    steps: int
    shown: Shown = Shown.SAMPLE
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 <= self.seed <= MOST_SEED:
            raise SamplingError(f"a sampler has 1 or more steps and a seed from 0 to {MOST_SEED}, got {self}")

    def facts(self, model: str) -> dict[str, str | int]:
        """Return what a recording stores with each frame that the model of this name has reconstructed so."""
        return {_MODEL: model, _STEPS: self.steps, _SEED: self.seed, _SHOWN: self.shown.value}

    @classmethod
    def of_facts(cls, facts: Mapping[str, object]) -> Self | None:
        """Return the settings that a recording has stored with a frame; None where it has none."""
        steps, seed, shown = facts.get(_STEPS), facts.get(_SEED), facts.get(_SHOWN)
        if not isinstance(steps, int) or not isinstance(seed, int) or shown not in list(Shown):
            return None
        try:
            return cls(steps=steps, shown=Shown(str(shown)), seed=seed)
        except SamplingError:
            return None

    @property
    def text(self) -> str:
        """What is shown, for people: ``sample 7, 4 steps``."""
        what = "mean" if self.shown is Shown.MEAN else f"sample {self.seed}"
        return f"{what}, {self.steps_text}"

    @property
    def steps_text(self) -> str:
        """The number of steps, for people: ``4 steps``."""
        return f"{self.steps} {'step' if self.steps == 1 else 'steps'}"


@dataclass(frozen=True, kw_only=True)
class SamplerChoices:
    """What an operator can choose of a model that draws samples.

    Parameters
    ----------
    steps : tuple of int
        Numbers of steps.
    has_mean : bool
        Whether it also gives the mean of all samples and their standard deviation.
    """

    steps: tuple[int, ...]
    has_mean: bool

    def check(self, sampling: Sampling) -> None:
        """Raise SamplingError unless the model can draw samples so."""
        if sampling.steps not in self.steps:
            known = ", ".join(map(str, self.steps))
            raise SamplingError(
                f"this model draws samples in {known} steps, not in {sampling.steps}; choose one of these numbers"
            )
        if sampling.shown is Shown.MEAN and not self.has_mean:
            raise SamplingError(
                "this model draws one sample of a frame and gives no mean; set live: {samples_per_frame: 8} for the mean of 8"
            )


@dataclass(frozen=True)
class SamplerState:
    """What can be chosen of the model in use, and what is chosen."""

    choices: SamplerChoices
    sampling: Sampling
