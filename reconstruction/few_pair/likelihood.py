"""Likelihood of a frame for an assumed phase, given reference pairs: kriging with the second-order model.

The pixels of the references around a pixel of the frame predict its amplitude. The weights of this linear regression and the
remaining variance follow from the covariances between all these pixels (Rasmussen and Williams, Gaussian Processes for Machine
Learning, eq. 2.25). The second-order model gives the covariances: among the references from their known phases, with the frame
from the assumed phase. The covariances of intensities are used for amplitudes, because both correlate equally, while the
fluctuations of amplitudes are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from calibration.fibre.second_order import Lag, LocalCovariance, MapSampling, SecondOrder

Image = NDArray[np.float32]

#: Side in camera pixels of a cell of the phase, and of a block in which the statistics are taken as constant.
CELL_PX, BLOCK_PX = 4, 8
#: Largest distance, along y and x together, between a pixel of the frame and a pixel of a reference that predicts it.
_REACH_PX = 2
#: Fraction of an amplitude's variance that no reference explains: camera noise and errors of the model.
_RESIDUAL_FRACTION = 0.03
_LEAST_VARIANCE = 0.04


class FrameLikelihood:
    """Negative log-likelihood of a frame as a function of its phase, given references; differentiable.

    Parameters
    ----------
    fibre : SecondOrder
        The model, for phases in radians and lengths in camera pixels.
    references : sequence of ndarray of float32, shape (H, W)
        Amplitudes of the references from :func:`calibration.registration.displacement.speckle_amplitude`; H and W are multiples
        of :data:`BLOCK_PX`.
    phases : tensor of float32, shape (J, H / CELL_PX, W / CELL_PX)
        Phases of the references in radians.
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
        differences = sorted({(b[0] - a[0], b[1] - a[1]) for a in lags for b in lags})
        # The model's lengths are in units of cells, because the phases are on cells.
        scaled = SecondOrder(
            phase_scale=1.0,
            defocus_px=fibre.defocus_px / CELL_PX**2,
            coupling_px=fibre.coupling_px / CELL_PX,
            repeatability=fibre.repeatability,
            bandwidth=fibre.bandwidth * CELL_PX,
        )
        aperture = on_cells(lit.astype(np.float32))

        def model(at: Sequence[Lag]) -> LocalCovariance:
            in_cells = [(dy / CELL_PX, dx / CELL_PX) for dy, dx in at]
            sampling = MapSampling(in_cells, window_px=0, stride=BLOCK_PX // CELL_PX)
            return LocalCovariance(scaled, (phases.shape[1], phases.shape[2]), sampling, aperture, device)

        self._model = model(lags)
        self._phases = phases
        covariance = self._covariance(fibre, model(differences), lags, differences)
        blocks = [_blocks(torch.from_numpy(np.roll(a, (-dy, -dx), (0, 1))).to(device)) for a in references for dy, dx in lags]
        around = torch.stack(blocks, -1)
        inside = _blocks(torch.from_numpy(lit.astype(np.float32)).to(device))
        self._kept = torch.nonzero(inside.sum(1) > 0)[:, 0]
        around, inside = around[self._kept], inside[self._kept]
        target = _blocks(torch.from_numpy(frame).to(device))[self._kept]
        weighted = (around * inside[..., None]).transpose(1, 2)
        # The likelihood depends on the pixels only through sums of products over every block. The regression's weights are
        # ``inverse @ expected``, so its quadratic forms are quadratic in the expected covariances.
        self._inverse = torch.linalg.inv(covariance[self._kept])
        self._precision_square = self._inverse @ (weighted @ around) @ self._inverse
        self._with_frame = (self._inverse @ (weighted @ target[..., None]))[..., 0]
        self._power = (target.square() * inside).sum(1)
        self._count = inside.sum(1)

    def _covariance(
        self, fibre: SecondOrder, model: LocalCovariance, lags: Sequence[Lag], differences: Sequence[Lag]
    ) -> torch.Tensor:
        """Return the covariance of the references' pixels around each block, (blocks, J lags, J lags)."""
        count, size = len(self._phases), len(lags)
        place = {lag: index for index, lag in enumerate(differences)}
        table = torch.tensor([[place[b[0] - a[0], b[1] - a[1]] for b in lags] for a in lags])
        # A frame with itself has no phase difference and no loss of correlation from shot to shot.
        own = (model(torch.zeros_like(self._phases[0])) / fibre.repeatability).flatten(1).cpu()
        covariances = {(i, i): own for i in range(count)}
        for i, j in combinations(range(count), 2):
            covariances[i, j] = model(self._phases[i], self._phases[j]).flatten(1).cpu()
        whole = torch.zeros(own.shape[1], count * size, count * size)
        for (i, j), maps in covariances.items():
            part = maps[table].permute(2, 0, 1)
            rows, columns = slice(i * size, (i + 1) * size), slice(j * size, (j + 1) * size)
            whole[:, rows, columns] = part
            if i != j:
                whole[:, columns, rows] = part.transpose(1, 2)
        return (whole + _RESIDUAL_FRACTION * torch.eye(count * size)).to(self._phases.device)

    def __call__(self, phase: torch.Tensor) -> torch.Tensor:
        """Return the negative log-likelihood, a scalar, of a phase (H / CELL_PX, W / CELL_PX) in radians."""
        maps = self._model(phase[None], self._phases).flatten(2)[:, :, self._kept]
        expected = maps.permute(2, 0, 1).flatten(1)
        variance = (1 - quadratic_form(expected, self._inverse)).clamp(min=_LEAST_VARIANCE)
        residual = self._power - 2 * (expected * self._with_frame).sum(1) + quadratic_form(expected, self._precision_square)
        return 0.5 * (residual / variance + self._count * variance.log()).sum()


class _QuadraticForm(torch.autograd.Function):
    """``x^T M x`` of symmetric matrices. Plain autograd would read the matrices, which fill the memory, a second time."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        """Return the forms (B,) of vectors (B, n) and matrices (B, n, n)."""
        product = (matrix @ x[..., None])[..., 0]
        context.save_for_backward(product)
        return (x * product).sum(1)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return the gradient with respect to x, twice the product ``M x``; the matrices get none."""
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
    """Cut an image (H, W) into blocks; return (blocks, pixels of a block)."""
    height, width = image.shape
    tiled = image.reshape(height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    return tiled.transpose(1, 2).reshape(-1, BLOCK_PX**2)
