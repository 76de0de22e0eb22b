"""Gerchberg-Saxton: the phase on the SLM whose far field has a wanted amplitude, with and without weights.

No phase is ever computed inside the loop: a field gets its amplitude back by one division, which is what makes it fast. A
linear phase moves the target's box to the far field's first pixel, so that the second half of each transform is done only
where the target has light, in place, and nothing is ever shifted. On the CPU SciPy's transforms in place took 9 ms at
1080x1920 where torch's took 20, so torch works only on other devices; the arithmetic is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray

from acquisition.holograms.closed_form import Amplitude, HologramError, Phase

Method = Literal["gs", "wgs", "wgs-kim"]
METHODS: tuple[Method, ...] = ("gs", "wgs", "wgs-kim")

# Added to fields of about 1e-3, so that a dark pixel has phase 0 and not an undefined one.
_DARK = 1e-18
# Spots weaker than this part of their target keep their weight: there is no telling how much they need.
_UNLIT = 1e-9
# Rows are taken in pieces of this many pixels, so that they stay in the processor's cache.
_PIECE = 1 << 15
# With less of its box lit than this the target is worked on as a list of pixels.
_SPARSE = 1 / 8


class Quality(NamedTuple):
    """How well a far field meets its target, as slmsuite defines it.

    Parameters
    ----------
    efficiency : float
        Squared overlap of the far field's amplitude with the target's, both of unit power.
    uniformity : float
        ``1 - (max - min) / (max + min)`` of the power over the wanted power, where light is wanted.
    """

    efficiency: float
    uniformity: float


@dataclass(frozen=True, eq=False)
class HologramResult:
    """An iterated hologram.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (H, W)
        The hologram, 0..2 pi.
    efficiency, uniformity : float
        Of its far field: see :class:`Quality`.
    history : tuple of Quality
        Before each iteration, where it was asked for; else empty.
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
    seed: int = 0,
    method: Method = "gs",
    exponent: float = 0.8,
    fix_after: int = 10,
    record: bool = False,
    device: str = "cpu",
) -> HologramResult:
    """Compute the phase hologram for an amplitude in the far field.

    The methods are those of Gerchberg and Saxton, Optik 35, 237 (1972); of Di Leonardo et al., "Computer generation of optimal
    holograms for optical trap arrays", Opt. Express 15, 1913 (2007), eq. 14; and of Kim et al., "Large-scale uniform optical
    focus array generation with a phase spatial light modulator", Opt. Lett. 44, 3178 (2019). From the same start they give what
    slmsuite 0.5 gives as ``GS``, ``WGS-Leonardo`` and ``WGS-Kim``.

    Parameters
    ----------
    target_amplitude : ndarray of float32, shape (H, W)
        Wanted amplitude (the root of the intensity), of any scale, with the zero order at ``(H // 2, W // 2)``.
    source_amplitude : ndarray of float32, shape (H, W), optional
        Amplitude of the light on the SLM, of any scale; even light when left out.
    iterations : int
        Trips to the far field and back.
    phase0_rad : ndarray of float32, shape (H, W), optional
        Where to start; random, by ``seed``, when left out.
    seed : int
        Of the random start.
    method : {"gs", "wgs", "wgs-kim"}
        Plain, for images; weighted, which makes spots equally bright; weighted and with the far field's phase held.
    exponent : float
        How strongly weights answer to a spot's relative amplitude; smaller is slower and steadier.
    fix_after : int
        Iteration from which "wgs-kim" holds the phase.
    record : bool
        Whether to judge every iteration, which costs time.
    device : str
        Of torch, such as "cuda"; "cpu" uses SciPy.

    Returns
    -------
    HologramResult
        The hologram and how good it is.

    Raises
    ------
    HologramError
        An amplitude is negative, dark everywhere or of another shape, or the device is missing.
    ValueError
        A method or a number that there is not.
    """
    if method not in METHODS or iterations < 1 or fix_after < 1 or not exponent > 0:
        raise ValueError(f"no hologram by {method!r} with {iterations=}, {fix_after=}, {exponent=}; methods are {METHODS}")
    shape = target_amplitude.shape
    target = _unit(target_amplitude, shape, "target")
    source: Any = 1 / math.sqrt(target.size) if source_amplitude is None else _unit(source_amplitude, shape, "source")
    if phase0_rad is None:
        phase0_rad = np.random.default_rng(seed).random(shape, np.float32) * np.float32(2 * math.pi)
    elif phase0_rad.shape != shape or not np.isfinite(phase0_rad).all():
        raise HologramError(f"a start phase is finite and {shape} like the target, got {phase0_rad.shape}; resize it")
    with torch.inference_mode():
        loop = _Loop(_backend(device), target, source, phase0_rad, method, exponent, fix_after)
        history = []
        for number in range(iterations):
            loop.light.forward()
            if record:
                history.append(loop.quality())
            loop.shape_far_field(number)
            loop.light.backward()
            loop.shape_near_field()
        phase_rad = loop.phase_rad()
        loop.light.forward()
        return HologramResult(phase_rad, *loop.quality(), history=tuple(history))


def _unit(amplitude: NDArray[Any], shape: tuple[int, ...], name: str) -> Amplitude:
    """Return an amplitude image of unit power."""
    if amplitude.ndim != 2 or amplitude.shape != shape:
        raise HologramError(f"the {name} amplitude is (H, W), all of one shape, got {amplitude.shape} for {shape}; resize it")
    amplitude = amplitude.astype(np.float32)
    if not (amplitude.min() >= 0 and 0 < amplitude.max() < np.inf):  # false for NaN, which min and max pass on
        raise HologramError(f"the {name} amplitude must be finite, never negative and somewhere above 0; check the image")
    amplitude /= amplitude.max()
    amplitude /= np.float32(math.sqrt(np.sum(np.square(amplitude), dtype=np.float64)))
    return amplitude


class _Backend(Protocol):
    """Arrays of one library; all else is said with operators that numpy and torch share."""

    piece_px: int | None  # of an array worked on at a time; None for all

    def put(self, array: NDArray[Any]) -> Any: ...
    def get(self, array: Any) -> NDArray[Any]: ...
    def transform(self, field: Any, axis: int, inverse: bool) -> None:
        """Replace a field by its unitary Fourier transform along one axis."""


class _SciPy:
    def __init__(self) -> None:
        self.piece_px: int | None = _PIECE
        self._workers = torch.get_num_threads()

    def put(self, array: NDArray[Any]) -> NDArray[Any]:
        return array

    def get(self, array: Any) -> NDArray[Any]:
        return array

    def transform(self, field: NDArray[np.complex64], axis: int, inverse: bool) -> None:
        function = scipy.fft.ifft if inverse else scipy.fft.fft
        result = function(field, axis=axis, norm="ortho", overwrite_x=True, workers=self._workers)
        if result is not field:  # it may overwrite, it need not
            field[...] = result


class _Torch:
    def __init__(self, device: str) -> None:
        self.piece_px: int | None = None
        self._device = torch.device(device)

    def put(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def get(self, array: torch.Tensor) -> NDArray[Any]:
        return array.cpu().numpy()

    def transform(self, field: torch.Tensor, axis: int, inverse: bool) -> None:
        field.copy_((torch.fft.ifft if inverse else torch.fft.fft)(field, dim=axis, norm="ortho"))


def _backend(device: str) -> _Backend:
    if device == "cpu":
        return _SciPy()
    try:
        torch.zeros(1, device=device)
        return _Torch(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise HologramError(f"holograms cannot be computed on {device!r}: {reason}; use 'cpu'") from error


class _Light:
    """A field that goes to the far field and back in place; ``far`` is the target's box there."""

    def __init__(self, backend: _Backend, near: NDArray[np.complex64], box: tuple[int, int]) -> None:
        self._transform = backend.transform
        self.near = backend.put(near)
        height, width = box
        # The second transform has only the lines that the box leaves: begin where that is fewer.
        self._axis = 1 if width * near.shape[0] <= height * near.shape[1] else 0
        self._part = self.near[:, :width] if self._axis else self.near[:height]
        self._beside = (
            (self.near[:, width:], self._part[height:]) if self._axis else (self.near[height:], self._part[:, width:])
        )
        self.far = self.near[:height, :width]

    def forward(self) -> None:
        self._transform(self.near, self._axis, False)
        self._transform(self._part, 1 - self._axis, False)

    def backward(self) -> None:
        for dark in self._beside:
            dark[...] = 0
        self._transform(self._part, 1 - self._axis, True)
        self._transform(self.near, self._axis, True)


def _ramp(start: int, size: int) -> NDArray[np.complex64]:
    """Return the linear phase that moves a far field from its first pixel to pixel ``start``."""
    return np.exp(2j * math.pi * (np.arange(size) * (start - size // 2) % size) / size).astype(np.complex64)


class _Loop:
    """What is imposed on both sides, and the weights. Near field, far field and target have unit power."""

    def __init__(
        self,
        backend: _Backend,
        target: Amplitude,
        source: Any,
        phase0_rad: Phase,
        method: Method,
        exponent: float,
        fix_after: int,
    ) -> None:
        self._backend, self._method, self._exponent, self._fix_after = backend, method, exponent, fix_after
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
        lit = np.nonzero(box) if np.count_nonzero(box) < _SPARSE * box.size else None
        self._picked = tuple(map(backend.put, lit)) if lit else None
        self._target = np.ascontiguousarray(box[lit] if lit else box)
        self._weights = backend.put(self._target.copy())
        self._inverse = backend.put(np.divide(1, self._target, out=np.zeros_like(self._target), where=self._target > 0))
        self._held: Any = None

    def _pieces(self, array: Any) -> Iterator[slice]:
        length = array.shape[0]
        step = (
            length
            if self._backend.piece_px is None
            else max(1, self._backend.piece_px * length // max(1, math.prod(array.shape)))
        )
        return (slice(first, first + step) for first in range(0, length, step))

    def shape_near_field(self) -> None:
        """Give the near field the source's amplitude."""
        for piece in self._pieces(self.light.near):
            field = self.light.near[piece]
            field += _DARK
            field *= (self._source if self._uniform else self._source[piece]) / abs(field)

    def shape_far_field(self, number: int) -> None:
        """Give the far field the target's amplitude, weighted."""
        far = self.light.far
        lit = far[self._picked] if self._picked else far
        weighted = self._method != "gs" and number > 0
        holding = self._method == "wgs-kim" and number >= self._fix_after - 1
        fixed = holding and self._held is not None
        power: Any = 0.0
        for piece in self._pieces(lit):
            field, weights = lit[piece], self._weights[piece]
            if not fixed:
                field += _DARK
            amplitude = abs(field)
            if weighted:
                relative = amplitude * self._inverse[piece]
                relative[relative < _UNLIT] = 1
                weights *= relative**-self._exponent
                power = power + (weights * weights).sum()
            if not fixed:
                field *= weights / amplitude
        if fixed:
            lit[...] = self._held * self._weights
        if weighted:
            self._weights *= power**-0.5
        if holding and not fixed:
            self._hold(lit)
        if self._picked:
            far[...] = 0
            far[self._picked] = lit

    def _hold(self, lit: Any) -> None:
        self._held = lit / (abs(lit) + _DARK)

    def phase_rad(self) -> Phase:
        """Return the hologram."""
        near = self._backend.get(self.light.near).copy()
        for ramp in self._ramps:
            near *= ramp
        phase: Phase = np.angle(near)
        phase[phase < 0] += np.float32(2 * math.pi)
        return phase

    def quality(self) -> Quality:
        """Judge the far field; all power beside the box is what unit power leaves."""
        far = self.light.far
        amplitude = abs(self._backend.get(far[self._picked] if self._picked else far)).astype(np.float64)
        efficiency = float(np.vdot(amplitude, self._target)) ** 2
        wanted = self._target > 0
        ratio = (amplitude[wanted] / self._target[wanted]) ** 2
        low, high = float(ratio.min()), float(ratio.max())
        return Quality(efficiency, 1 - (high - low) / (high + low) if high > 0 else 0.0)
