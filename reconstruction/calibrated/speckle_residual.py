"""What is still wrong with a phase: seen minus predicted speckle, taken back through the fibre to its cores and to the picture.

The gradient of ``|sqrt(I) - sqrt(I(phi, noise))|^2`` with respect to the picture's phase and to the phase that every core
itself adds, by the adjoint of every linear step (Wirtinger calculus; Candes, Li and Soltanolkotabi, IEEE Trans. Inf. Theory
61, 1985, 2015), written out: half the time of differentiating automatically. At the cores both are complex here; their
imaginary part is the gradient, their real part says where more or less light was expected.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F

from drivers.twin.optics import FibreOptics
from reconstruction.field import field_mask

#: Keeps the root of a dark pixel's intensity differentiable; the mean is 1.
_FLOOR = 1e-4


#: A core's own phase is about its gradient over its power; this much of the mean power keeps dark cores from shouting. On a
#: validation picture with noise of .2 rad it correlates .87 with the true one, the bare gradient .77.
_DARK = 0.1


@dataclass(frozen=True, eq=False)
class Residual:
    """The residual of every frame.

    Parameters
    ----------
    slope_rad : tensor of float32, shape (b, n, n)
        Which way, and by how much up to a factor, the phase of every pixel should go: its gradient over its light.
    entering, leaving : tensor of complex64, shape (b, cores)
        At the input and the output facet.
    power : tensor of float32, shape (b, cores)
        Predicted light in every core; how much it can tell.
    error : tensor of float32, shape (b,)
        Mean square difference of amplitudes in the disc.
    """

    slope_rad: torch.Tensor
    entering: torch.Tensor
    leaving: torch.Tensor
    power: torch.Tensor
    error: torch.Tensor


class SpeckleResidual:
    """A calibrated fibre as the loop uses it, its light scaled so that a flat phase gives intensity 1 in the disc.

    Parameters
    ----------
    optics : FibreOptics
        With the calibrated response.
    background : float
        Intensity that carries no speckle, in the optics' unit.
    grid_px : int
        Side of the grid on which cores are laid out.
    """

    def __init__(self, optics: FibreOptics, background: float, grid_px: int) -> None:
        self.optics = optics
        self.grid_px = grid_px
        config = optics.config
        radius = 2 * config.field_radius_um / config.pixel_um / config.image_px
        device = optics.device
        self.disc = torch.from_numpy(field_mask(config.image_px, radius)).to(device)
        self.inside = torch.from_numpy(field_mask(grid_px, radius)).to(device)[None, None].float()
        with torch.no_grad():
            flat = optics.intensity(torch.zeros((1, config.image_px, config.image_px), device=device))[0] + background
        mean = float(flat[self.disc].mean())
        #: Light without speckle, and what every core passes on of its neighbours' (modes, cores, k), both in the loop's unit.
        self.background, self.transmission = background / mean, optics.transmission() / mean**0.5
        self._transposed = self.transmission.conj().resolve_conj()
        # Light that a core passes on in all, of what it takes in: how much its phase can tell, and that of a pixel before it.
        passed = self._given_back(self.transmission.abs().square().sum(0)[None])[0]
        self._entering_light = passed + _DARK * passed.mean()
        light = optics.launch_back(passed[None])[0]
        self._pixel_light = light + _DARK * light.amax()
        self._lay_out(config.image_px // grid_px)

    def to(self, device: torch.device | str) -> SpeckleResidual:
        """Return the same fibre on another device."""
        return _moved(self, torch.device(device))

    def _lay_out(self, cell_px: int) -> None:
        """Each core lies in one cell of the grid; few cells have two."""
        optics, grid = self.optics, self.grid_px
        positions = np.floor((optics.core_positions_px + optics.config.image_px / 2) / cell_px).astype(np.int64)
        outside = ((positions < 0) | (positions >= grid)).any(1)
        cells = np.where(outside, grid * grid, positions[:, 0] * grid + positions[:, 1])
        self._cell = torch.from_numpy(cells).to(optics.device)
        count = torch.bincount(self._cell, minlength=grid * grid + 1).float()
        self._share = 1 / count.clamp(min=1)
        #: 1 where a cell has a core: (1, 1, grid, grid).
        self.occupied = (count[:-1] > 0).float().reshape(1, 1, grid, grid)

    def core_steps(self, residual: Residual) -> torch.Tensor:
        """Which way, and by how much up to a factor, every core's own phase should go, (b, cores).

        Its gradient over its light: the diagonal of Gauss and Newton's matrix is about that.
        """
        return (residual.leaving / self._leaving_light(residual)).imag

    @staticmethod
    def _leaving_light(residual: Residual) -> torch.Tensor:
        return residual.power + _DARK * residual.power.mean(1, keepdim=True)

    def to_grid(self, values: torch.Tensor) -> torch.Tensor:
        """Mean over the cores of every cell: (b, c, cores) -> (b, c, grid, grid); 0 in empty cells."""
        empty = values.new_zeros((*values.shape[:2], self.grid_px**2 + 1))
        sums = empty.index_add(2, self._cell, values) * self._share
        return sums[..., :-1].unflatten(2, (self.grid_px, self.grid_px))

    def from_grid(self, maps: torch.Tensor) -> torch.Tensor:
        """Value of every core's cell: (b, c, grid, grid) -> (b, c, cores); 0 for cores outside the frame."""
        return F.pad(maps.flatten(2), (0, 1))[..., self._cell]

    def amplitude(self, counts: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Measured amplitude in the loop's unit: (b, 1, n, n) counts -> (b, n, n); the reference's mean is intensity 1."""
        mean = reference[:, 0][:, self.disc].mean(1)
        return (counts[:, 0] / mean.clamp(min=1e-6)[:, None, None]).clamp(min=0).sqrt()

    def __call__(self, amplitude: torch.Tensor, phase_rad: torch.Tensor, core_noise_rad: torch.Tensor) -> Residual:
        """Compare.

        Parameters
        ----------
        amplitude : tensor, shape (b, n, n)
            Seen, from :meth:`amplitude`.
        phase_rad : tensor, shape (b, n, n)
            Supposed picture.
        core_noise_rad : tensor, shape (b, cores)
            Supposed phase of every core beyond the calibrated one.
        """
        optics = self.optics
        entered = optics.launch(phase_rad)
        turned = torch.polar(torch.ones_like(core_noise_rad), core_noise_rad)[:, None]
        left = (entered[:, None, optics.neighbours] * self.transmission).sum(-1) * turned
        field = optics.propagate(left)
        predicted = _light(field).add_(self.background + _FLOOR).sqrt_()
        difference = amplitude - predicted
        seen = optics.collect(field * (difference / predicted)[:, None])
        returned = self._given_back(((seen * turned.conj())[..., None] * self._transposed).sum(1))
        light = optics.launch_back(returned)
        slope = (phase_rad.cos() * light.imag - phase_rad.sin() * light.real) / self._pixel_light
        error = (difference.square() * self.disc).sum((1, 2)) / self.disc.sum()
        power = (left.real.square() + left.imag.square()).sum(1)
        return Residual(slope, entered.conj() * returned, (left.conj() * seen).sum(1), power, error)

    def _given_back(self, shares: torch.Tensor) -> torch.Tensor:
        """Sum what every core has from its neighbours, (b, cores, k), at those that gave it: (b, cores)."""
        neighbours = self.optics.neighbours
        return shares.new_zeros(shares.shape[:2]).index_add(1, neighbours.flatten(), shares.flatten(1))

    def maps(self, residual: Residual) -> torch.Tensor:
        """Lay a residual out on the grid: (b, 5, grid, grid)."""
        parts = residual.entering / self._entering_light, residual.leaving / self._leaving_light(residual)
        seen = [image for part in parts for image in (part.real, part.imag)]
        return self.to_grid(torch.stack([*seen, residual.power.clamp(min=1e-3).log()], 1))


def _light(field: torch.Tensor) -> torch.Tensor:
    """Light of all modes together: (b, modes, n, n) -> (b, n, n), in one pass over each."""
    first, *planes = (plane for mode in field.unbind(1) for plane in (mode.real, mode.imag))
    light = first.square()
    for plane in planes:
        light.addcmul_(plane, plane)
    return light


_Held = TypeVar("_Held", "SpeckleResidual", FibreOptics)


def _moved(held: _Held, device: torch.device) -> _Held:
    """Return a copy whose tensors, also those of the optics in it, lie on another device."""
    other = copy.copy(held)
    for name, value in vars(held).items():
        if isinstance(value, torch.Tensor):
            setattr(other, name, value.to(device))
        elif isinstance(value, torch.device):
            setattr(other, name, device)
        elif isinstance(value, FibreOptics):
            setattr(other, name, _moved(value, device))
    return other
