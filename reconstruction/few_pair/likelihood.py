"""How probable a frame is for an assumed phase, given reference pairs: kriging with the second-order model.

The references' pixels around a pixel of the frame predict its amplitude. The weights of this linear regression, and the
variance that remains, follow from the covariances between all of them, which the second-order model gives: among the
references from their known phases, with the frame from the phase that is assumed (Rasmussen and Williams, Gaussian Processes
for Machine Learning, eq. 2.25). Covariances of intensities serve for amplitudes, which correlate alike but fluctuate evenly.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from calibration.fibre.second_order import Lag, LocalCovariance, SecondOrder

Image = NDArray[np.float32]

#: Camera pixels along a cell of the phase, and along a block in which the model's statistics count as constant.
CELL_PX, BLOCK_PX = 4, 8
#: Pixels of a reference that predict one of the frame: those at most so far along y and x together.
_REACH_PX = 2
#: Variance of an amplitude that no reference explains: camera noise, and what the model does not know.
_RESIDUAL_FRACTION = 0.03
_LEAST_VARIANCE = 0.04


class FrameLikelihood:
    """Negative log-likelihood of a frame's amplitudes, given the references', as a function of its phase; differentiable.

    Parameters
    ----------
    fibre : SecondOrder
        The model, for phases in radians and lengths in camera pixels.
    references : sequence of ndarray of float32, shape (H, W)
        Amplitudes from :func:`calibration.registration.displacement.speckle_amplitude`; H and W multiples of :data:`BLOCK_PX`.
    phases : tensor of float32, shape (J, H / CELL_PX, W / CELL_PX)
        Theirs, in radians.
    lit : ndarray of bool, shape (H, W)
        Where the fibre is.
    frame : ndarray of float32, shape (H, W)
        Amplitude of the frame.
    """

    def __init__(
        self, fibre: SecondOrder, references: Sequence[Image], phases: torch.Tensor, lit: NDArray[np.bool_], frame: Image
    ) -> None:
        device = phases.device
        reach = range(-_REACH_PX, _REACH_PX + 1)
        lags = [(dy, dx) for dy in reach for dx in reach if abs(dy) + abs(dx) <= _REACH_PX]
        apart = sorted({(b[0] - a[0], b[1] - a[1]) for a in lags for b in lags})
        cell = CELL_PX  # lengths of the model in units of cells, as its phases are
        scaled = SecondOrder(1.0, fibre.defocus_px / cell**2, fibre.coupling_px / cell, fibre.floor, fibre.bandwidth * cell)
        aperture = on_cells(lit.astype(np.float32))
        stride = BLOCK_PX // cell

        def model(at: Sequence[Lag]) -> LocalCovariance:
            moved = [(dy / cell, dx / cell) for dy, dx in at]
            return LocalCovariance(
                scaled, (phases.shape[1], phases.shape[2]), moved, aperture, window_px=0, stride=stride, device=device
            )

        self._model, self._phases = model(lags), phases
        covariance = self._covariance(fibre, model(apart), lags, apart)
        blocks = [_blocks(torch.from_numpy(np.roll(a, (-dy, -dx), (0, 1))).to(device)) for a in references for dy, dx in lags]
        around = torch.stack(blocks, -1)
        seen = _blocks(torch.from_numpy(lit.astype(np.float32)).to(device))
        self._kept = torch.nonzero(seen.sum(1) > 0)[:, 0]
        around, seen = around[self._kept], seen[self._kept]
        target = _blocks(torch.from_numpy(frame).to(device))[self._kept]
        weighted = (around * seen[..., None]).transpose(1, 2)
        # All that the likelihood needs of the pixels are sums of products over every block. With weights ``inverse @ expected``
        # the regression's quadratic forms become quadratic in what is expected.
        inverse = torch.linalg.inv(covariance[self._kept])
        self._inverse, self._precision_square = inverse, inverse @ (weighted @ around) @ inverse
        self._with_frame = (inverse @ (weighted @ target[..., None]))[..., 0]
        self._power, self._count = (target.square() * seen).sum(1), seen.sum(1)

    def _covariance(
        self, fibre: SecondOrder, model: LocalCovariance, lags: Sequence[Lag], apart: Sequence[Lag]
    ) -> torch.Tensor:
        """Covariance of the references' pixels around each block, (blocks, J lags, J lags)."""
        count, size = len(self._phases), len(lags)
        place = {lag: index for index, lag in enumerate(apart)}
        table = torch.tensor([[place[b[0] - a[0], b[1] - a[1]] for b in lags] for a in lags])
        # A frame with itself: no phase, and no loss from shot to shot.
        own = (model(torch.zeros_like(self._phases[0])) / fibre.floor).flatten(1).cpu()
        like = {(i, i): own for i in range(count)}
        for i, j in combinations(range(count), 2):
            like[i, j] = model(self._phases[i], self._phases[j]).flatten(1).cpu()
        whole = torch.zeros(own.shape[1], count * size, count * size)
        for (i, j), maps in like.items():
            part = maps[table].permute(2, 0, 1)
            rows, columns = slice(i * size, (i + 1) * size), slice(j * size, (j + 1) * size)
            whole[:, rows, columns] = part
            if i != j:
                whole[:, columns, rows] = part.transpose(1, 2)
        return (whole + _RESIDUAL_FRACTION * torch.eye(count * size)).to(self._phases.device)

    def __call__(self, phase: torch.Tensor) -> torch.Tensor:
        """Return the scalar for a phase (H / CELL_PX, W / CELL_PX) in radians."""
        like = self._model(phase[None], self._phases).flatten(2)[:, :, self._kept]
        expected = like.permute(2, 0, 1).flatten(1)
        variance = (1 - quadratic_form(expected, self._inverse)).clamp(min=_LEAST_VARIANCE)
        missed = self._power - 2 * (expected * self._with_frame).sum(1) + quadratic_form(expected, self._precision_square)
        return 0.5 * (missed / variance + self._count * variance.log()).sum()


class _QuadraticForm(torch.autograd.Function):
    """``x^T M x`` of symmetric matrices. Autograd alone would go through the matrices, which fill the memory, twice."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        """(B, n) and (B, n, n) -> (B,)."""
        product = (matrix @ x[..., None])[..., 0]
        context.save_for_backward(product)
        return (x * product).sum(1)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Twice the product."""
        (product,) = context.saved_tensors
        return 2 * gradients[0][:, None] * product, None


def quadratic_form(x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return ``x^T M x`` for each of a batch (B, n) of vectors and symmetric matrices (B, n, n), differentiable in ``x``."""
    return cast(torch.Tensor, _QuadraticForm.apply(x, matrix))  # type: ignore[no-untyped-call]


def on_cells(image: NDArray[np.floating]) -> Image:
    """Average an image (H, W) over cells of :data:`CELL_PX` pixels both ways."""
    height, width = image.shape
    size = (width // CELL_PX, height // CELL_PX)
    return np.asarray(cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)


def _blocks(image: torch.Tensor) -> torch.Tensor:
    """(H, W) -> (blocks, pixels of a block)."""
    height, width = image.shape
    tiled = image.reshape(height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    return tiled.transpose(1, 2).reshape(-1, BLOCK_PX**2)
