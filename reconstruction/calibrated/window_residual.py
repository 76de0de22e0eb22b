"""The residual for little time: on the camera's own pixels, of the strongest modes, mode by mode on all processor cores.

It differs from :class:`reconstruction.calibrated.speckle_residual.SpeckleResidual` in three ways:

- The Fourier transforms have the size of the frame, without a margin. Light that leaves at one edge enters at the other, so
  pixels near the edge of the frame count for nothing. In a round disc these are few.
- The light of all modes is predicted, but only the residual of the strongest ones is propagated back.
- The gradient of the picture is summed up on the loop's grid, without a map of the frame's size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from reconstruction.calibrated.speckle_residual import LEAST_INTENSITY, Residual, SpeckleResidual, as_bright
from reconstruction.calibrated.threads import shared

R = TypeVar("R")

#: Least light of a core on the window, in parts of the usual one. The window cuts cores at its edges.
_LEAST_ENERGY = 0.5


@dataclass(frozen=True, eq=False)
class _ModeLight:
    """One mode: amplitude of the cores (b, cores), its field on the camera and the intensity (b, n, n)."""

    left: torch.Tensor
    field: torch.Tensor
    intensity: torch.Tensor


class WindowResidual:
    """Residuals of a calibrated fibre, on frames that are much larger than the spread of a core's light.

    Parameters
    ----------
    fibre : SpeckleResidual
        The calibrated fibre.
    modes : int
        Number of modes whose residual is propagated back, strongest first.
    fine_px : int
        Side of the grid for the gradient of the picture.
    """

    def __init__(self, fibre: SpeckleResidual, modes: int, fine_px: int) -> None:
        self.fibre = fibre
        self._fine_px = fine_px
        optics, side = fibre.optics, fibre.optics.config.image_px
        self._modes: list[int] = fibre.transmission.abs().square().sum((1, 2)).argsort(descending=True).tolist()
        self._followed = modes
        facet = optics.facet(side)
        self._owner, self._mode_field, self._transfer = facet.owner, facet.mode_field, facet.transfer
        self._back = facet.transfer.conj().resolve_conj()
        energy = facet.energy(optics.cores)
        self._energy = energy.clamp(min=_LEAST_ENERGY * float(energy.median()))
        edge = torch.zeros(side, device=optics.device)
        edge[optics.margin_px : side - optics.margin_px] = 1
        self._counts = edge[:, None] * edge
        self._lit = fibre.lit * self._counts
        self._place_taps(side)

    def _place_taps(self, side: int) -> None:
        """Find the pixel of the fine grid, and the weight there, of every pixel of the pattern in front of a core."""
        pixel, weight = self.fibre.optics.taps
        cell = side // self._fine_px
        self._fine_index = (pixel // side // cell * self._fine_px + pixel % side // cell).flatten()
        self._fine_weight = weight / self.fibre.pixel_light.flatten()[pixel] / cell**2

    def __call__(self, amplitude: torch.Tensor, phase_rad: torch.Tensor, core_noise_rad: torch.Tensor) -> Residual:
        """Compare measured with predicted amplitudes; see :class:`SpeckleResidual`.

        Parameters
        ----------
        amplitude, phase_rad : tensor, shape (b, n, n)
            Measured amplitude, and assumed picture.
        core_noise_rad : tensor, shape (b, cores)
            Assumed phase of every core minus its calibrated phase.

        Returns
        -------
        Residual
            Its ``slope_rad`` is on the fine grid, and its ``power`` is that of the followed modes.
        """
        pixel, weight = self.fibre.optics.taps
        at_taps = phase_rad.flatten(1)[:, pixel]
        cosine, sine = at_taps.cos(), at_taps.sin()
        entered = torch.complex((cosine * weight).sum(-1), (sine * weight).sum(-1))
        turned = torch.polar(torch.ones_like(core_noise_rad), core_noise_rad)
        from_neighbours = entered[:, self.fibre.optics.neighbours]
        light = self._each(lambda mode: self._light(mode, from_neighbours, turned), self._modes)
        predicted = torch.full_like(amplitude, self.fibre.background + LEAST_INTENSITY)
        for each in light:
            predicted += each.intensity
        predicted.sqrt_()
        difference = as_bright(amplitude, predicted, self._lit).sub_(predicted).mul_(self._counts)
        relative = difference / predicted
        followed = range(min(self._followed, len(light)))
        back = self._each(lambda number: self._returned(self._modes[number], light[number], relative, turned), followed)
        returned, leaving, power = (sum(parts[1:], parts[0]) for parts in zip(*back, strict=True))
        return Residual(
            slope_rad=self._slope(cosine, sine, returned),
            entering=entered.conj() * returned,
            leaving=leaving,
            power=power,
            predicted=predicted,
            difference=difference,
            disc=self.fibre.disc,
        )

    def _each(self, work: Callable[[int], R], items: Sequence[int]) -> list[R]:
        """Return ``[work(item) for item in items]``; on a graphics card, whose operations run in order, by one thread."""
        return shared(work, items) if self.fibre.optics.device.type == "cpu" else [work(item) for item in items]

    def _light(self, mode: int, from_neighbours: torch.Tensor, turned: torch.Tensor) -> _ModeLight:
        """Predict one mode from the light of every core's neighbours (b, cores, k) and the core noise as unit phasors."""
        left = (from_neighbours * self.fibre.transmission[mode]).sum(-1) * turned
        facet = left[:, self._owner].unflatten(1, self._mode_field.shape).mul_(self._mode_field)
        field = torch.fft.ifft2(torch.fft.fft2(facet).mul_(self._transfer))
        return _ModeLight(left, field, field.real.square().addcmul_(field.imag, field.imag))

    def _returned(
        self, mode: int, light: _ModeLight, relative: torch.Tensor, turned: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Propagate the residual of one mode back; return it at the entrance and exit of every core, and the core's light."""
        facet = torch.fft.ifft2(torch.fft.fft2(light.field * relative).mul_(self._back)).mul_(self._mode_field).flatten(1)
        collected = facet.new_zeros(light.left.shape).index_add(1, self._owner, facet).div_(self._energy)
        returned = self.fibre.to_sources((collected * turned.conj())[..., None] * self.fibre.conjugated[mode])
        return returned, light.left.conj() * collected, light.left.real.square() + light.left.imag.square()

    def _slope(self, cosine: torch.Tensor, sine: torch.Tensor, returned: torch.Tensor) -> torch.Tensor:
        """Return the proposed change of the picture on the fine grid, (b, fine_px, fine_px)."""
        slope = (cosine * returned.imag[..., None]).sub_(sine * returned.real[..., None]).mul_(self._fine_weight)
        flat = slope.new_zeros((len(slope), self._fine_px**2)).index_add(1, self._fine_index, slope.flatten(1))
        return flat.unflatten(1, (self._fine_px, self._fine_px))
