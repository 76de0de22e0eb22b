"""Draws what the operator wants on the SLM. A picture takes tens of milliseconds, a hologram seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.holograms.gerchberg_saxton import IterationSettings, gerchberg_saxton
from acquisition.holograms.target_picture import target_amplitude
from acquisition.patterns.picture_file import picture_pattern
from acquisition.patterns.sources import blank, open_source
from app.live.slm.content import SlmContent, SlmKind
from drivers.base import Pattern, SpeckleScopeError
from reconstruction.field import to_grid

_ITERATIONS = 30  # as the command "hologram" does


class SlmContentError(SpeckleScopeError):
    """The SLM cannot show what was asked for. Nothing changes."""


@dataclass(frozen=True, kw_only=True)
class SlmFacts:
    """What drawing has to know about the instrument.

    Parameters
    ----------
    shape : (int, int)
        Height and width of a pattern in pixels.
    grid_px : int or None
        Side of the images of the true phase; None where frames have no such grid.
    phase_range_rad : float
        What white means in a pattern, in radians.
    has_hologram : bool
        Whether the instrument has a carrier or a lens for holograms.
    """

    shape: tuple[int, int]
    grid_px: int | None
    phase_range_rad: float
    has_hologram: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """A pattern for the SLM.

    Parameters
    ----------
    content : SlmContent
        What it was drawn for.
    pattern : Pattern
        The pattern.
    truth_rad : ndarray of float32, shape (grid_px, grid_px), or None
        The phase that a reconstruction should show; None for a hologram, whose phase is finer than any grid.
    notes : tuple of str
        How a picture was changed, for the operator.
    """

    content: SlmContent
    pattern: Pattern
    truth_rad: NDArray[np.float32] | None
    notes: tuple[str, ...] = ()


def draw(content: SlmContent, facts: SlmFacts) -> Drawn:
    """Draw one pattern; raises SpeckleScopeError when its picture cannot be used."""
    pattern, notes = _pattern(content, facts)
    knows_truth = facts.grid_px is not None and content.kind is not SlmKind.HOLOGRAM
    truth_rad = to_grid(pattern.phase_rad, facts.grid_px) if knows_truth and facts.grid_px is not None else None
    return Drawn(content=content, pattern=pattern, truth_rad=truth_rad, notes=notes)


def _pattern(content: SlmContent, facts: SlmFacts) -> tuple[Pattern, tuple[str, ...]]:
    if content.kind is SlmKind.BLANK:
        return blank(facts.shape), ()
    if content.kind is SlmKind.TEST_CARD:
        return open_source("usaf", facts.shape, count=1, phase_range_rad=facts.phase_range_rad)[0], ()
    if content.picture is None:
        raise SlmContentError(f"a {content.kind} needs a picture file; choose one")
    if content.kind is SlmKind.PICTURE:
        return picture_pattern(content.picture, facts.shape, facts.phase_range_rad)
    amplitude, notes = target_amplitude(content.picture, facts.shape)
    result = gerchberg_saxton(amplitude, iterations=_ITERATIONS, settings=IterationSettings(method="wgs"))
    quality = f"efficiency {result.efficiency:.0%}"
    return Pattern(result.phase_rad, f"hologram of {content.picture.name}"), (quality, *notes)
