"""Whether a new model is better than the present one, from their scores on the same held-out pictures, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

#: A picture that was learned correlates with the truth more than this; published networks on the speckle alone reach 0.04.
LEAST_CORRELATION: Final = 0.2
#: And its SSIM is above this.
LEAST_SSIM: Final = 0.05
#: Smaller differences of SSIM are of no use to anybody.
_EQUAL_SSIM: Final = 0.01
#: Scores of two model cards may come from other pictures.
_EQUAL_SSIM_OF_CARDS: Final = 0.02


class Verdict(Enum):
    """What a comparison says about the new model."""

    BETTER = "better"
    ABOUT_EQUAL = "about equal"
    WORSE = "worse"
    #: It reconstructs nothing of the pictures.
    LEARNED_NOTHING = "has learned nothing"
    #: There is no present model to compare it with, or there are no scores.
    UNKNOWN = "not compared"

    @property
    def warns(self) -> bool:
        """Whether an operator has to be asked before the model is used."""
        return self in (Verdict.WORSE, Verdict.LEARNED_NOTHING)


@dataclass(frozen=True)
class PictureScores:
    """SSIM, correlation and mean absolute error (rad) of one picture, or means over several."""

    ssim: float
    correlation: float
    mae_rad: float

    @classmethod
    def of_card(cls, scores: Mapping[str, object]) -> PictureScores | None:
        """Return the scores of a model card; None if it has none."""
        values = [scores.get(name) for name in ("ssim", "correlation", "mae_rad")]
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        return cls(*numbers) if len(numbers) == len(values) else None


@dataclass(frozen=True)
class Judgement:
    """A verdict and the sentence that explains it."""

    verdict: Verdict
    reason: str


def mean_of(scores: Sequence[PictureScores]) -> PictureScores:
    """Return the mean of every score over pictures; at least one is needed."""
    return PictureScores(
        ssim=float(np.mean([one.ssim for one in scores])),
        correlation=float(np.mean([one.correlation for one in scores])),
        mae_rad=float(np.mean([one.mae_rad for one in scores])),
    )


def judge_pictures(new: Sequence[PictureScores], present: Sequence[PictureScores]) -> Judgement:
    """Compare two models on the same pictures, picture by picture.

    Parameters
    ----------
    new, present : sequence of PictureScores
        Scores of the same pictures, in the same order. Empty for ``present``: there is no present model.
    """
    mean = mean_of(new)
    if not _has_learned(mean):
        return _nothing(mean)
    if not present:
        return Judgement(Verdict.UNKNOWN, f"It reaches an SSIM of {mean.ssim:.2f}; there is nothing to compare it with")
    pairs = list(zip(new, present, strict=False))
    differences = np.array([one.ssim - other.ssim for one, other in pairs])
    gain = float(differences.mean())
    # The standard error of the mean: the pictures differ much more from each other than the models do.
    error = float(differences.std(ddof=1) / math.sqrt(len(differences))) if len(differences) > 1 else 0.0
    least = max(_EQUAL_SSIM, 2 * error)
    where = f"on {len(pairs)} held-out pictures" if len(pairs) > 1 else "on 1 held-out picture"
    return _compared(mean, mean_of([other for _, other in pairs]), gain, least, where)


def judge_cards(new: Mapping[str, object], present: Mapping[str, object] | None) -> Judgement:
    """Compare two models by the scores in their cards."""
    scores = PictureScores.of_card(new)
    if scores is None:
        return Judgement(Verdict.UNKNOWN, "Its card has no scores, because its training has not finished")
    if not _has_learned(scores):
        return _nothing(scores)
    other = PictureScores.of_card(present) if present is not None else None
    if other is None:
        return Judgement(Verdict.UNKNOWN, f"It reaches an SSIM of {scores.ssim:.2f}; there is nothing to compare it with")
    return _compared(scores, other, scores.ssim - other.ssim, _EQUAL_SSIM_OF_CARDS, "by the scores in their cards")


def _has_learned(scores: PictureScores) -> bool:
    # Not a number is not learned either.
    return scores.correlation >= LEAST_CORRELATION and scores.ssim >= LEAST_SSIM


def _nothing(scores: PictureScores) -> Judgement:
    return Judgement(
        Verdict.LEARNED_NOTHING,
        f"Its pictures have nothing in common with the truth: SSIM {scores.ssim:.2f}, correlation {scores.correlation:.2f}. "
        "Train it longer, with more pairs, or start from a trained model",
    )


def _compared(new: PictureScores, present: PictureScores, gain: float, least: float, where: str) -> Judgement:
    numbers = f"SSIM {new.ssim:.3f} instead of {present.ssim:.3f} {where}"
    if abs(gain) < least:
        return Judgement(Verdict.ABOUT_EQUAL, f"{numbers}: the difference is too small to matter")
    return Judgement(Verdict.BETTER if gain > 0 else Verdict.WORSE, numbers)
