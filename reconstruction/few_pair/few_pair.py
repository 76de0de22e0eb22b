"""Reconstruct phase from one frame and a few reference pairs, without a network and without training.

The unknown phases of the cores make every frame a random speckle. But the local covariance of two frames depends only on the
difference of their phases, as the second-order model of :mod:`calibration.fibre.second_order` describes. Gradient descent with
a total-variation prior finds the phase that makes the frame most probable, given the references
(:mod:`reconstruction.few_pair.likelihood`). It starts from the integrated displacements of the speckle.

Frames of a real fibre also move as a whole by a tenth of a pixel from shot to shot, which looks like a slope of the phase. The
slopes of the whole image are therefore additional unknowns.
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
#: Standard deviation of the final smoothing, in camera pixels.
_SMOOTH_PX = 3.0
#: If the amplitudes correlate less, the frame does not belong to the reference: 0.7 is usual within one session, 0.25 between
#: two.
LEAST_CORRELATION = 0.45


#: Phase of label grey 255 in the published captures. They do not state it; it comes from a second-order fit to them.
PUBLISHED_PHASE_RANGE_RAD = 2.6
#: The fibre of the real captures, for phases in radians.
REAL_FIBRE = SecondOrder(phase_scale=1.0, defocus_px=57.0, coupling_px=4.8, repeatability=0.85)


@dataclass(frozen=True, kw_only=True)
class FewPairConfig:
    """Settings of the few-pair reconstruction; the defaults were chosen on simulated fibres.

    Parameters
    ----------
    fibre : SecondOrder
        The model for phases in radians. The default is the fibre of the real captures. The result depends on it weakly: errors
        of 15 % in a, sc and the phase scale reduce the correlation by 0.01.
    steps : int
        Steps of Adam.
    rate_rad : float
        First step of a cell's phase; it decreases to a twentieth.
    smoothness : float
        Weight of the total variation, per radian between cells.
    range_weight : float
        Weight of phases outside the range of the references' phases, per square radian and cell.
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
        Phases of the references, on the camera's grid.
    config : FewPairConfig, optional
        Settings.
    device : torch device
        Where the gradient descent runs.

    Attributes
    ----------
    reference_slopes : ndarray of float64, shape (J, 2)
        Slope of the whole image, along y and x in radians per pixel, that stands for the motion of each reference against the
        first reference.

    Raises
    ------
    ReconstructionError
        There are too few references, or frames are dark, saturated, of different shapes, or too small.
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
                f"few-pair takes at least {_LEAST_REFERENCES} reference pairs, got {len(frames)}; add references"
            )
        self.shape = (frames[0].shape[0], frames[0].shape[1])
        if min(self.shape) < 64:
            raise ReconstructionError(f"few-pair takes frames of at least 64 px, got {self.shape}; enlarge the ROI")
        for number, (frame, phase) in enumerate(zip(frames, phases_rad, strict=True)):
            self._check(frame, f"reference {number + 1}")
            if phase.shape != frame.shape:
                raise ReconstructionError(
                    f"phase {number + 1} is {phase.shape} px, its frame {frame.shape} px; register the phase first"
                )
        # The model needs whole blocks. Frames are padded with the values at their edge.
        self._padded = tuple(math.ceil(side / BLOCK_PX) * BLOCK_PX for side in self.shape)
        self._amplitudes = [speckle_amplitude(self._pad(frame)) for frame in frames]
        self._phases = [on_cells(self._pad(phase)) for phase in phases_rad]
        self.lit = lit_field([self._pad(frame) for frame in frames])
        self._lit_cells = on_cells(self.lit.astype(np.float32))
        inside = np.concatenate([phase[self._lit_cells > 0.5] for phase in self._phases])
        self._range = float(inside.min()), float(inside.max())
        self.reference_slopes = self._fit_reference_slopes()

    def fast_estimate(self, frame: NDArray[Any]) -> Image:
        """Integrate the displacements of the speckle; takes a tenth of a second and shows most of the object.

        Returns
        -------
        ndarray of float32, shape (H, W)
            Phase in radians on the camera's grid.

        Raises
        ------
        ReconstructionError
            The frame is dark, saturated, of another shape, or of another session than the references.
        """
        return self._enlarge(self._estimate(self._amplitude(frame))[0])

    def live_estimate(self, frame: NDArray[Any], leave_out: int | None = None) -> Image:
        """Return the fast estimate on cells, without a check of the frame.

        Parameters
        ----------
        frame : ndarray, shape (H, W)
            Counts. For a frame of another session the result is noise, which the live view's drift measure must detect.
        leave_out : int, optional
            Index of a reference that is not used.

        Returns
        -------
        ndarray of float32, shape (h, w)
            Phase in radians on cells of :data:`reconstruction.few_pair.likelihood.CELL_PX` pixels.
        """
        return self._estimate(speckle_amplitude(self._pad(frame)), leave_out)[0]

    def reconstruct(self, frame: NDArray[Any]) -> Image:
        """Find the most probable phase.

        Returns
        -------
        ndarray of float32, shape (H, W)
            Phase in radians on the camera's grid. Its absolute level is a guess, because the speckle does not depend on it.

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
            raise ReconstructionError(f"{name} is {frame.shape} px, reference 1 is {self.shape} px; use one camera setting")
        top = float(frame.max())
        if not top > 0:
            raise ReconstructionError(f"{name} is dark; is the laser on?")
        full = np.iinfo(frame.dtype).max if np.issubdtype(frame.dtype, np.integer) else top
        # A 12-bit camera in 16-bit frames saturates below the full scale of the type. A frequent maximum is saturation, too.
        saturated = float((frame >= min(top, full)).mean())
        if saturated > 0.005:
            raise ReconstructionError(f"{name} is saturated in {saturated:.1%} of its pixels; shorten the exposure")

    def _amplitude(self, frame: NDArray[Any]) -> Image:
        """Check the frame against the references and return its amplitude."""
        self._check(frame, "the frame")
        amplitude = speckle_amplitude(self._pad(frame))
        for number, other in enumerate(self._amplitudes):
            correlation = _correlation(amplitude, other, self.lit)
            if correlation < LEAST_CORRELATION:
                raise ReconstructionError(
                    f"the frame's speckle correlates {correlation:.2f} with reference {number + 1}, at least "
                    f"{LEAST_CORRELATION} is needed: the session is another one, or the fibre has moved; capture new references"
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

    def _fit_reference_slopes(self) -> NDArray[np.float64]:
        """Fit one slope per reference to the motions between all pairs of references; the first slope is 0."""
        pairs = list(combinations(range(len(self._amplitudes)), 2))
        inside = self._lit_cells > 0.9
        rows, motions = np.zeros((len(pairs), len(self._amplitudes))), np.zeros((len(pairs), 2))
        for row, (i, j) in enumerate(pairs):
            move = displacement(self._amplitudes[i], self._amplitudes[j], CELL_PX)
            weight = move.weight[inside]
            slope = slopes(self._phases[i] - self._phases[j], CELL_PX)
            measured, expected = (np.average(maps[:, inside], axis=1, weights=weight) for maps in (move.shift_px, slope))
            rows[row, [i, j]] = 1, -1
            motions[row] = -self._radians_per_px() * measured - expected
        others = np.linalg.lstsq(rows[:, 1:], motions, rcond=None)[0]
        return np.vstack([np.zeros((1, 2)), others])

    def _estimate(self, amplitude: Image, leave_out: int | None = None) -> tuple[Image, NDArray[np.float64]]:
        """Return the phase on cells from displacements, without its mean slope, and this slope.

        The motion of the frame causes the mean slope.
        """
        total, weights = np.zeros((2, *self._lit_cells.shape), np.float32), np.zeros(self._lit_cells.shape, np.float32)
        references = zip(self._amplitudes, self._phases, self.reference_slopes, strict=True)
        for index, (other, phase, reference_slope) in enumerate(references):
            if index == leave_out:
                continue
            move = displacement(amplitude, other, CELL_PX)
            slope = slopes(phase, CELL_PX) + reference_slope[:, None, None] - self._radians_per_px() * move.shift_px
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
        """Return the most probable phase on cells by gradient descent from a start and the slope of the whole image."""
        config, device = self.config, self._device
        height, width = start.shape
        centred = [(torch.arange(side, device=device) + 0.5 - side / 2) * CELL_PX for side in (height, width)]
        # Slopes are in radians at half the frame from its centre, so that one step size suits both phase and slopes.
        reach = max(self._padded) / 2
        ramps = torch.stack([centred[0][:, None].expand(height, width), centred[1].expand(height, width)]).float() / reach
        reference_slopes = torch.tensor(self.reference_slopes * reach, dtype=torch.float32, device=device)
        known = torch.from_numpy(np.stack(self._phases)).to(device)
        known = known + torch.einsum("js,syx->jyx", reference_slopes, ramps)
        likelihood = FrameLikelihood(config.fibre, self._amplitudes, known, self.lit, amplitude)
        phase = torch.from_numpy(start.copy()).to(device).requires_grad_()
        tilt = torch.tensor(slope * reach, dtype=torch.float32, device=device, requires_grad=True)
        adam = torch.optim.Adam([phase, tilt], lr=config.rate_rad, betas=(0.9, 0.95))
        low, high = self._range
        with torch.enable_grad():
            for step in range(config.steps):
                decay = 0.5 * (1 + math.cos(math.pi * step / config.steps))
                adam.param_groups[0]["lr"] = config.rate_rad * (0.05 + 0.95 * decay)
                outside = (low - phase).clamp(min=0).square().sum() + (phase - high).clamp(min=0).square().sum()
                loss = likelihood(phase + torch.einsum("s,syx->yx", tilt, ramps))
                loss = loss + config.smoothness * _variation(phase) + config.range_weight * outside
                adam.zero_grad()
                loss.backward()
                adam.step()
        # Texture that is finer than the fibre's resolution often has the wrong sign. Smooth it out; the window is narrower than
        # a grain.
        return np.asarray(cv2.GaussianBlur(phase.detach().cpu().numpy(), (0, 0), _SMOOTH_PX / CELL_PX), np.float32)


def _correlation(a: Image, b: Image, inside: NDArray[np.bool_]) -> float:
    return float(np.corrcoef(a[inside], b[inside])[0, 1])


def _variation(phase: torch.Tensor) -> torch.Tensor:
    down, right = phase[1:, :-1] - phase[:-1, :-1], phase[:-1, 1:] - phase[:-1, :-1]
    return (down.square() + right.square() + 4e-4).sqrt().sum()


def _integral(steps: NDArray[np.float32]) -> Image:
    """Integrate slopes (2, h, w) per cell by least squares (Ghiglia and Romero, JOSA A 11, 107, 1994)."""
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
