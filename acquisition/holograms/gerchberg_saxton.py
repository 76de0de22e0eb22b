"""Gerchberg-Saxton: the phase on the SLM whose far field has a wanted amplitude, with and without weights.

The loop is fast because it computes no phase: one division gives a field its amplitude. A linear phase moves the target's
bounding box to the first pixel of the far field. So the second half of each transform is computed only where the target is
bright, in place, and no array is ever shifted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from acquisition.holograms.backends import Backend, backend_for
from acquisition.holograms.closed_form import Amplitude, HologramError, Phase

Method = Literal["gs", "wgs", "wgs-kim"]
METHODS: tuple[Method, ...] = ("gs", "wgs", "wgs-kim")

#: Added to fields of about 1e-3, so that a dark pixel has the phase 0 and not an undefined one.
_DARK = 1e-18
#: Spots weaker than this fraction of their target keep their weight, because the weight that they need cannot be estimated.
_UNLIT = 1e-9
#: When less than this fraction of its bounding box is bright, the target is processed as a list of pixels.
_SPARSE = 1 / 8


class Quality(NamedTuple):
    """How well a far field agrees with its target, by slmsuite's definitions.

    Parameters
    ----------
    efficiency : float
        Squared overlap of the far field's amplitude with the target's, both of unit power.
    uniformity : float
        ``1 - (max - min) / (max + min)`` of the power divided by the wanted power, where light is wanted.
    """

    efficiency: float
    uniformity: float


@dataclass(frozen=True, kw_only=True)
class IterationSettings:
    """How a hologram is iterated.

    Parameters
    ----------
    method : {"gs", "wgs", "wgs-kim"}
        ``gs``: plain, for images. ``wgs``: weighted, which makes spots equally bright. ``wgs-kim``: weighted, with the far
        field's phase held fixed from an iteration on.
    exponent : float
        How strongly a weight responds to the relative amplitude of its spot; smaller values are slower and more stable.
    fix_after : int
        Iteration from which ``wgs-kim`` holds the phase.
    seed : int
        Seed of the random start.
    record : bool
        Whether to compute the quality in every iteration, which costs time.
    device : str
        A device of torch, such as ``cuda``; ``cpu`` uses SciPy.

    Raises
    ------
    ValueError
        The method is unknown, or a number is out of its range.
    """

    method: Method = "gs"
    exponent: float = 0.8
    fix_after: int = 10
    seed: int = 0
    record: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.method not in METHODS or self.fix_after < 1 or not self.exponent > 0:
            raise ValueError(
                f"no hologram by {self.method!r} with fix_after={self.fix_after}, exponent={self.exponent}; "
                f"methods are {METHODS}, fix_after is at least 1, and the exponent above 0"
            )


@dataclass(frozen=True, eq=False)
class HologramResult:
    """An iterated hologram.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (H, W)
        The hologram, 0..2 pi.
    efficiency, uniformity : float
        Quality of its far field: see :class:`Quality`.
    history : tuple of Quality
        Quality before each iteration, if it was recorded; else empty.
    """

    phase_rad: Phase
    efficiency: float
    uniformity: float
    history: tuple[Quality, ...] = ()


def gerchberg_saxton(
    target_amplitude: Amplitude,
    source_amplitude: Amplitude | None = None,
    iterations: int = 20,
    *,
    phase0_rad: Phase | None = None,
    settings: IterationSettings | None = None,
) -> HologramResult:
    """Compute the phase hologram for an amplitude in the far field.

    The methods are those of Gerchberg and Saxton, Optik 35, 237 (1972); of Di Leonardo et al., "Computer generation of optimal
    holograms for optical trap arrays", Opt. Express 15, 1913 (2007), eq. 14; and of Kim et al., "Large-scale uniform optical
    focus array generation with a phase spatial light modulator", Opt. Lett. 44, 3178 (2019). From the same start they give the
    same holograms as ``GS``, ``WGS-Leonardo`` and ``WGS-Kim`` of slmsuite 0.5.

    Parameters
    ----------
    target_amplitude : ndarray of float32, shape (H, W)
        Wanted amplitude (the square root of the intensity), in any unit, with the zero order at ``(H // 2, W // 2)``.
    source_amplitude : ndarray of float32, shape (H, W), optional
        Amplitude of the light on the SLM, in any unit; uniform light if left out.
    iterations : int
        Number of iterations.
    phase0_rad : ndarray of float32, shape (H, W), optional
        Phase to start from; random if left out.
    settings : IterationSettings, optional
        Method, random start and device.

    Returns
    -------
    HologramResult
        The hologram and its quality.

    Raises
    ------
    HologramError
        An amplitude is negative, dark everywhere or has another shape, or there is no such device.
    ValueError
        There is less than one iteration.
    """
    settings = settings or IterationSettings()
    if iterations < 1:
        raise ValueError(f"no hologram with {iterations=}; at least 1 is needed")
    shape = target_amplitude.shape
    target = _unit(target_amplitude, shape, "target")
    source: Any = 1 / math.sqrt(target.size) if source_amplitude is None else _unit(source_amplitude, shape, "source")
    if phase0_rad is None:
        phase0_rad = np.random.default_rng(settings.seed).random(shape, np.float32) * np.float32(2 * math.pi)
    elif phase0_rad.shape != shape or not np.isfinite(phase0_rad).all():
        raise HologramError(f"a start phase is finite and {shape} like the target, got {phase0_rad.shape}; resize it")
    with torch.inference_mode():
        loop = _Loop(backend_for(settings.device), target, source, phase0_rad, settings)
        history = []
        for number in range(iterations):
            loop.light.forward()
            if settings.record:
                history.append(loop.quality())
            loop.shape_far_field(number)
            loop.light.backward()
            loop.shape_near_field()
        phase_rad = loop.phase_rad()
        loop.light.forward()
        return HologramResult(phase_rad, *loop.quality(), history=tuple(history))


def _unit(amplitude: NDArray[Any], shape: tuple[int, ...], name: str) -> Amplitude:
    """Return an amplitude image with unit power."""
    if amplitude.ndim != 2 or amplitude.shape != shape:
        raise HologramError(f"the {name} amplitude is (H, W), all of one shape, got {amplitude.shape} for {shape}; resize it")
    amplitude = amplitude.astype(np.float32)
    if not (amplitude.min() >= 0 and 0 < amplitude.max() < np.inf):  # also false for NaN
        raise HologramError(f"the {name} amplitude must be finite, never negative and somewhere above 0; check the image")
    amplitude /= amplitude.max()
    amplitude /= np.float32(math.sqrt(np.sum(np.square(amplitude), dtype=np.float64)))
    return amplitude


class _Light:
    """A field that is transformed to the far field and back in place; ``far`` is the target's bounding box there."""

    def __init__(self, backend: Backend, near: NDArray[np.complex64], box: tuple[int, int]) -> None:
        self._transform = backend.transform
        self.near = backend.put(near)
        height, width = box
        # The second transform needs only the lines inside the box. The first axis is chosen so that these are few.
        if width * near.shape[0] <= height * near.shape[1]:
            self._axis = 1
            self._part = self.near[:, :width]
            self._outside = (self.near[:, width:], self._part[height:])
        else:
            self._axis = 0
            self._part = self.near[:height]
            self._outside = (self.near[height:], self._part[:, width:])
        self.far = self.near[:height, :width]

    def forward(self) -> None:
        """Transform to the far field."""
        self._transform(self.near, self._axis, inverse=False)
        self._transform(self._part, 1 - self._axis, inverse=False)

    def backward(self) -> None:
        """Transform back, with no light outside the box."""
        for dark in self._outside:
            dark[...] = 0
        self._transform(self._part, 1 - self._axis, inverse=True)
        self._transform(self.near, self._axis, inverse=True)


def _ramp(start: int, size: int) -> NDArray[np.complex64]:
    """Return the linear phase that moves a far field from its first pixel to pixel ``start``."""
    return np.exp(2j * math.pi * (np.arange(size) * (start - size // 2) % size) / size).astype(np.complex64)


class _Loop:
    """The constraints in both planes, and the weights. Near field, far field and target have unit power."""

    def __init__(
        self, backend: Backend, target: Amplitude, source: Any, phase0_rad: Phase, settings: IterationSettings
    ) -> None:
        self._backend = backend
        self._settings = settings
        rows, columns = (np.flatnonzero(target.any(axis)) for axis in (1, 0))
        box = target[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        self._ramps = _ramp(rows[0], target.shape[0])[:, None], _ramp(columns[0], target.shape[1])
        near = np.empty(target.shape, np.complex64)
        np.cos(phase0_rad, out=near.real)
        np.sin(phase0_rad, out=near.imag)
        near *= source
        for ramp in self._ramps:
            near *= ramp.conj()
        self.light = _Light(backend, near, box.shape)
        self._uniform = isinstance(source, float)
        self._source = source if self._uniform else backend.put(source)
        bright = np.nonzero(box) if np.count_nonzero(box) < _SPARSE * box.size else None
        #: Indices of the target's bright pixels in its box; None where the whole box is processed.
        self._pixels = tuple(map(backend.put, bright)) if bright else None
        self._target = np.ascontiguousarray(box[bright] if bright else box)
        self._weights = backend.put(self._target.copy())
        self._inverse = backend.put(np.divide(1, self._target, out=np.zeros_like(self._target), where=self._target > 0))
        #: The far field's phase factors, once they are held.
        self._held: Any = None

    def _pieces(self, array: Any) -> Iterator[slice]:
        """Return slices of the first axis, each small enough for the processor's cache."""
        length = array.shape[0]
        step = length
        if self._backend.piece_px is not None:
            step = max(1, self._backend.piece_px * length // max(1, math.prod(array.shape)))
        return (slice(first, first + step) for first in range(0, length, step))

    def shape_near_field(self) -> None:
        """Give the near field the source's amplitude."""
        for piece in self._pieces(self.light.near):
            field = self.light.near[piece]
            field += _DARK
            field *= (self._source if self._uniform else self._source[piece]) / abs(field)

    def shape_far_field(self, number: int) -> None:
        """Give the far field the target's weighted amplitude, in iteration ``number``."""
        far = self.light.far
        field = far[self._pixels] if self._pixels else far
        weighted = self._settings.method != "gs" and number > 0
        holding = self._settings.method == "wgs-kim" and number >= self._settings.fix_after - 1
        held = self._held if holding else None
        power: Any = 0.0
        for piece in self._pieces(field):
            power = power + self._shape_piece(field[piece], piece, weighted=weighted, held=held is not None)
        if held is not None:
            field[...] = held * self._weights
        if weighted:
            self._weights *= power**-0.5
        if holding and held is None:
            self._held = field / (abs(field) + _DARK)
        if self._pixels:
            far[...] = 0
            far[self._pixels] = field

    def _shape_piece(self, field: Any, piece: slice, *, weighted: bool, held: bool) -> Any:
        """Update the weights of a piece and give it its amplitude, unless its phase is held; return the weights' power."""
        weights = self._weights[piece]
        power: Any = 0.0
        if not held:
            field += _DARK
        amplitude = abs(field)
        if weighted:
            relative = amplitude * self._inverse[piece]
            relative[relative < _UNLIT] = 1
            weights *= relative**-self._settings.exponent
            power = (weights * weights).sum()
        if not held:
            field *= weights / amplitude
        return power

    def phase_rad(self) -> Phase:
        """Return the hologram."""
        near = self._backend.get(self.light.near).copy()
        for ramp in self._ramps:
            near *= ramp
        phase: Phase = np.angle(near)
        phase[phase < 0] += np.float32(2 * math.pi)
        return phase

    def quality(self) -> Quality:
        """Return the quality of the far field. Its power is 1, so power outside the box needs no further sum."""
        far = self.light.far
        amplitude = abs(self._backend.get(far[self._pixels] if self._pixels else far)).astype(np.float64)
        efficiency = float(np.vdot(amplitude, self._target)) ** 2
        wanted = self._target > 0
        ratio = (amplitude[wanted] / self._target[wanted]) ** 2
        low, high = float(ratio.min()), float(ratio.max())
        return Quality(efficiency, 1 - (high - low) / (high + low) if high > 0 else 0.0)
