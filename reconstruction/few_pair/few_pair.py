"""Phase from one frame and a handful of reference pairs, with no network and no training.

The unknown phases of the cores make every frame a random speckle, but how alike two frames are, place by place and pixel by
pixel of displacement, is fixed by the difference of their phases: the second-order model of
:mod:`calibration.fibre.second_order`. The phase that makes the frame most probable, given the references
(:mod:`reconstruction.few_pair.likelihood`), is found by descent under total variation. It starts from the displacements of the
speckle, integrated. Frames of a real fibre also move as a whole from shot to shot by a tenth of a pixel, which looks like
a slope of the phase: slopes of the whole image are unknowns of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from calibration.fibre.second_order import SecondOrder
from calibration.registration.displacement import displacement, lit_field, slopes, speckle_amplitude
from reconstruction.base import ReconstructionError
from reconstruction.few_pair.likelihood import BLOCK_PX, CELL_PX, FrameLikelihood, on_cells

Image = NDArray[np.float32]

_LEAST_REFERENCES = 2
#: Standard deviation of the last smoothing, in camera pixels.
_SMOOTH_PX = 3.0
#: Amplitude correlation below which a frame does not belong to a reference: one session has .7, two sessions .25.
LEAST_CORRELATION = 0.45


#: Phase of label grey 255 in the published captures, which do not state it, as the second-order fit to them has it.
PUBLISHED_PHASE_RANGE_RAD = 2.6
#: The fibre of the real captures, for phases in radians.
REAL_FIBRE = SecondOrder(depth_scale=1.0, defocus_px=57.0, coupling_px=4.8, floor=0.85)


@dataclass(frozen=True)
class FewPairConfig:
    """How the few-pair reconstruction works; settled on simulated fibres.

    Parameters
    ----------
    fibre : SecondOrder
        The model for phases in radians. The default is the fibre of the real captures; the result depends on it weakly
        (a, sc and the phase's depth wrong by 15 % cost .01 of correlation).
    steps : int
        Of Adam.
    rate_rad : float
        First step; it falls to a twentieth.
    smoothness : float
        Weight of total variation, per radian between cells.
    range_weight : float
        Weight of phases outside the range of the references', per square radian and cell.
    """

    fibre: SecondOrder = REAL_FIBRE
    steps: int = 100
    rate_rad: float = 0.06
    smoothness: float = 6.0
    range_weight: float = 2.0


class FewPair:
    """Reconstructs frames against reference pairs of the same session.

    Parameters
    ----------
    frames : sequence of ndarray, shape (H, W)
        Counts of the references.
    phases_rad : sequence of ndarray of float32, shape (H, W)
        Their phases on the camera's grid.
    config : FewPairConfig, optional
        Settings.
    device : torch device
        Where the descent runs.

    Raises
    ------
    ReconstructionError
        Too few references, or frames that are dark, saturated, of different shapes, or too small.
    """

    def __init__(
        self,
        frames: Sequence[NDArray[Any]],
        phases_rad: Sequence[Image],
        config: FewPairConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config = config or FewPairConfig()
        self._device = torch.device(device)
        if len(frames) < _LEAST_REFERENCES or len(frames) != len(phases_rad):
            raise ReconstructionError(
                f"few-pair takes at least {_LEAST_REFERENCES} reference pairs, got {len(frames)}; add some"
            )
        self.shape = (frames[0].shape[0], frames[0].shape[1])
        if min(self.shape) < 64:
            raise ReconstructionError(f"few-pair takes frames of at least 64 px, got {self.shape}; enlarge the ROI")
        for number, (frame, phase) in enumerate(zip(frames, phases_rad, strict=True)):
            self._check(frame, f"reference {number + 1}")
            if phase.shape != frame.shape:
                raise ReconstructionError(f"phase {number + 1} is {phase.shape}, its frame {frame.shape}; register it first")
        # Whole blocks only; the rest of the frame repeats its edge.
        self._padded = tuple(math.ceil(side / BLOCK_PX) * BLOCK_PX for side in self.shape)
        self._amplitudes = [speckle_amplitude(self._pad(frame)) for frame in frames]
        self._phases = [on_cells(self._pad(phase)) for phase in phases_rad]
        lit = lit_field([self._pad(frame) for frame in frames])
        self.lit, self._lit_cells = lit, on_cells(lit.astype(np.float32))
        inside = np.concatenate([phase[self._lit_cells > 0.5] for phase in self._phases])
        self._range = float(inside.min()), float(inside.max())
        self._slopes = self._reference_slopes()

    def fast_estimate(self, frame: NDArray[Any]) -> Image:
        """Integrate the displacements of the speckle: a tenth of a second, and most of the truth.

        Returns
        -------
        ndarray of float32, shape (H, W)
            Radians.

        Raises
        ------
        ReconstructionError
            The frame is dark, saturated, of another shape, or not of the references' session.
        """
        return self._enlarge(self._estimate(self._amplitude(frame))[0])

    def live_estimate(self, frame: NDArray[Any], leave_out: int | None = None) -> Image:
        """Return the fast estimate on cells of :data:`reconstruction.few_pair.likelihood.CELL_PX` pixels, whatever the frame.

        Parameters
        ----------
        frame : ndarray, shape (H, W)
            Counts; for a frame of another session the result is noise, which a drift gauge has to tell.
        leave_out : int, optional
            A reference that is not used.
        """
        return self._estimate(speckle_amplitude(self._pad(frame)), leave_out)[0]

    def reconstruct(self, frame: NDArray[Any]) -> Image:
        """Find the most probable phase.

        Returns
        -------
        ndarray of float32, shape (H, W)
            Radians on the camera's grid. Its mean level is a guess: speckle does not depend on it.

        Raises
        ------
        ReconstructionError
            As :meth:`fast_estimate`.
        """
        amplitude = self._amplitude(frame)
        estimate, slope = self._estimate(amplitude)
        return self._enlarge(self._descend(amplitude, estimate, slope))

    def _check(self, frame: NDArray[Any], name: str) -> None:
        if frame.shape != self.shape:
            raise ReconstructionError(f"{name} is {frame.shape}, reference 1 is {self.shape}; use one camera setting")
        top = float(frame.max())
        if not top > 0:
            raise ReconstructionError(f"{name} is dark; is the laser on?")
        full = np.iinfo(frame.dtype).max if np.issubdtype(frame.dtype, np.integer) else top
        # A 12-bit camera in 16 bits saturates below the type's own full scale: a top value that comes often is one too.
        saturated = float((frame >= min(top, full)).mean())
        if saturated > 0.005:
            raise ReconstructionError(f"{name} is saturated in {saturated:.1%} of its pixels; expose shorter")

    def _amplitude(self, frame: NDArray[Any]) -> Image:
        """Return the frame's amplitude, checked against the references."""
        self._check(frame, "the frame")
        amplitude = speckle_amplitude(self._pad(frame))
        for number, other in enumerate(self._amplitudes):
            correlation = _correlation(amplitude, other, self.lit)
            if correlation < LEAST_CORRELATION:
                raise ReconstructionError(
                    f"the frame's speckle correlates {correlation:.2f} with reference {number + 1}, at least "
                    f"{LEAST_CORRELATION} is needed: another session, or the fibre has moved; take new references"
                )
        return amplitude

    def _pad(self, image: NDArray[Any]) -> NDArray[Any]:
        rows, columns = (whole - side for whole, side in zip(self._padded, self.shape, strict=True))
        return np.pad(image, ((0, rows), (0, columns)), mode="edge") if rows or columns else image

    def _enlarge(self, cells: Image) -> Image:
        height, width = self._padded
        whole = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.ascontiguousarray(whole[: self.shape[0], : self.shape[1]], np.float32)

    def _radians_per_px(self) -> float:
        return 2 * math.pi / self.config.fibre.defocus_px

    def _reference_slopes(self) -> NDArray[np.float64]:
        """Slope of the whole image, (J, 2) in radians per pixel, that stands for each reference's motion against the first."""
        pairs = list(combinations(range(len(self._amplitudes)), 2))
        inside = self._lit_cells > 0.9
        rows, motions = np.zeros((len(pairs), len(self._amplitudes))), np.zeros((len(pairs), 2))
        for row, (i, j) in enumerate(pairs):
            move = displacement(self._amplitudes[i], self._amplitudes[j], CELL_PX)
            weight = move.weight[inside]
            slope = slopes(self._phases[i] - self._phases[j], CELL_PX)
            seen, expected = (np.average(maps[:, inside], axis=1, weights=weight) for maps in (move.shift_px, slope))
            rows[row, [i, j]] = 1, -1
            motions[row] = -self._radians_per_px() * seen - expected
        found = np.linalg.lstsq(rows[:, 1:], motions, rcond=None)[0]
        return np.vstack([np.zeros((1, 2)), found])

    def _estimate(self, amplitude: Image, leave_out: int | None = None) -> tuple[Image, NDArray[np.float64]]:
        """Phase on cells from displacements, and the slope taken out of it, which the frame's motion causes."""
        total, weights = np.zeros((2, *self._lit_cells.shape), np.float32), np.zeros(self._lit_cells.shape, np.float32)
        for index, (other, phase, own) in enumerate(zip(self._amplitudes, self._phases, self._slopes, strict=True)):
            if index == leave_out:
                continue
            move = displacement(amplitude, other, CELL_PX)
            slope = slopes(phase, CELL_PX) + own[:, None, None] - self._radians_per_px() * move.shift_px
            total += move.weight * slope.astype(np.float32)
            weights += move.weight
        slope = total / weights
        weights = weights * self._lit_cells
        mean = (slope * weights).sum((1, 2)) / weights.sum()
        phase = _integral((slope - mean[:, None, None]) * self._lit_cells * CELL_PX)
        inside = self._lit_cells > 0.5
        piston_rad = np.mean([reference[inside].mean() for reference in self._phases])
        low, high = self._range
        return np.clip(phase - phase[inside].mean() + piston_rad, low - 0.3, high + 0.3).astype(np.float32), mean

    def _descend(self, amplitude: Image, start: Image, slope: NDArray[np.float64]) -> Image:
        config, device = self.config, self._device
        height, width = start.shape
        centred = [(torch.arange(side, device=device) + 0.5 - side / 2) * CELL_PX for side in (height, width)]
        # In radians at half the frame from its centre, so that one step suits the phase and the slopes.
        reach = max(self._padded) / 2
        ramps = torch.stack([centred[0][:, None].expand(height, width), centred[1].expand(height, width)]).float() / reach
        own = torch.tensor(self._slopes * reach, dtype=torch.float32, device=device)
        known = torch.from_numpy(np.stack(self._phases)).to(device)
        known = known + torch.einsum("js,syx->jyx", own, ramps)
        likelihood = FrameLikelihood(config.fibre, self._amplitudes, known, self.lit, amplitude)
        phase = torch.from_numpy(start.copy()).to(device).requires_grad_()
        tilt = torch.tensor(slope * reach, dtype=torch.float32, device=device, requires_grad=True)
        adam = torch.optim.Adam([phase, tilt], lr=config.rate_rad, betas=(0.9, 0.95))
        low, high = self._range
        with torch.enable_grad():
            for step in range(config.steps):
                fall = 0.5 * (1 + math.cos(math.pi * step / config.steps))
                adam.param_groups[0]["lr"] = config.rate_rad * (0.05 + 0.95 * fall)
                outside = (low - phase).clamp(min=0).square().sum() + (phase - high).clamp(min=0).square().sum()
                loss = likelihood(phase + torch.einsum("s,syx->yx", tilt, ramps))
                loss = loss + config.smoothness * _variation(phase) + config.range_weight * outside
                adam.zero_grad()
                loss.backward()
                adam.step()
        # Texture finer than the fibre resolves is guessed wrong in sign: less than a grain's width is taken off.
        return np.asarray(cv2.GaussianBlur(phase.detach().cpu().numpy(), (0, 0), _SMOOTH_PX / CELL_PX), np.float32)


def _correlation(a: Image, b: Image, inside: NDArray[np.bool_]) -> float:
    return float(np.corrcoef(a[inside], b[inside])[0, 1])


def _variation(phase: torch.Tensor) -> torch.Tensor:
    down, right = phase[1:, :-1] - phase[:-1, :-1], phase[:-1, 1:] - phase[:-1, :-1]
    return (down.square() + right.square() + 4e-4).sqrt().sum()


def _integral(steps: NDArray[np.float32]) -> Image:
    """Least-squares phase of steps (2, h, w) between cells, by cosine transform (Ghiglia and Romero, JOSA A 11, 107 (1994))."""
    down, right = np.zeros_like(steps)
    down[:-1] = 0.5 * (steps[0, :-1] + steps[0, 1:])
    right[:, :-1] = 0.5 * (steps[1, :, :-1] + steps[1, :, 1:])
    curvature = down + right
    curvature[1:] -= down[:-1]
    curvature[:, 1:] -= right[:, :-1]
    rows, columns = (2 * np.cos(np.pi * np.arange(side) / side) - 2 for side in curvature.shape)
    spectrum = dctn(curvature, norm="ortho") / (rows[:, None] + columns - 1e-4)
    spectrum[0, 0] = 0
    return np.asarray(idctn(spectrum, norm="ortho"), np.float32)
