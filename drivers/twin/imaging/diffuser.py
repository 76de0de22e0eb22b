"""A sample in the speckle of laser light that has passed a diffuser.

The diffuser is a screen of random phase with Gaussian correlation, much deeper than ``2 pi``. A round beam passes it and
spreads over a distance ``z``. There its speckle has the size ``lambda z / D``, whatever the screen (Goodman, Speckle Phenomena
in Optics, 2nd ed., section 4.4). The screen's correlation length decides how wide the light spreads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from drivers.twin.imaging.fresnel import frequencies_squared

#: The screen is computed on a grid of this side.
_SCREEN_PX = 512


@dataclass(frozen=True, kw_only=True)
class DiffuserConfig:
    """Diffuser, sample and objective.

    Parameters
    ----------
    correlation_um : float
        Correlation length of the screen: the distance at which the correlation of its phase is 1/e.
    phase_std_rad : float
        Standard deviation of the screen's phase.
    beam_um : float
        Diameter of the beam on the diffuser.
    distance_um : float
        From the diffuser to the sample.
    wavelength_um : float
        Of the laser.
    numerical_aperture : float
        Of the objective.
    pixel_um : float
        Size of a pixel at the sample.

    Raises
    ------
    ValueError
        A length is not positive, the phase is not deeper than 2 pi, or the beam or the screen do not fit the sampling.
    """

    correlation_um: float = 40.0
    phase_std_rad: float = 12.0
    beam_um: float = 600.0
    distance_um: float = 4000.0
    wavelength_um: float = 0.532
    numerical_aperture: float = 0.4
    pixel_um: float = 0.5

    def __post_init__(self) -> None:
        lengths = (
            self.correlation_um,
            self.beam_um,
            self.distance_um,
            self.wavelength_um,
            self.numerical_aperture,
            self.pixel_um,
        )
        if not min(lengths) > 0 or not self.phase_std_rad > 2 * math.pi:
            raise ValueError(f"lengths are more than 0 and the phase is deeper than 2 pi, got {self}")
        if self.beam_um > 0.5 * _SCREEN_PX * self.screen_pixel_um:
            raise ValueError(
                f"a beam of {self.beam_um:g} um is wider than half of the screen, "
                f"{0.5 * _SCREEN_PX * self.screen_pixel_um:.4g} um; choose a narrower beam, a longer distance or smaller pixels"
            )
        if self.correlation_um < 2 * self.screen_pixel_um:
            raise ValueError(
                f"a correlation length of {self.correlation_um:g} um is less than two pixels of the screen, "
                f"{2 * self.screen_pixel_um:.3g} um; choose a longer one, a shorter distance or larger pixels"
            )

    @property
    def screen_pixel_um(self) -> float:
        """Size of a pixel on the diffuser: one Fourier transform leads from there to the sample (Goodman eq. 4-17)."""
        return self.wavelength_um * self.distance_um / (_SCREEN_PX * self.pixel_um)

    @property
    def speckle_um(self) -> float:
        """Size of a speckle at the sample."""
        return self.wavelength_um * self.distance_um / self.beam_um


class Diffuser:
    """One diffuser.

    Parameters
    ----------
    config : DiffuserConfig
        What it is made of, and where.
    seed : int
        Another seed is another diffuser of the same class.
    """

    def __init__(self, config: DiffuserConfig, seed: int) -> None:
        self.config = config
        rng = np.random.default_rng((seed, 21))
        # A Gaussian blur of sigma s gives white noise the correlation exp(-r^2 / (4 s^2)).
        sigma_px = config.correlation_um / config.screen_pixel_um / 2
        noise = ndimage.gaussian_filter(rng.standard_normal((_SCREEN_PX, _SCREEN_PX)), sigma_px, mode="wrap")
        #: Phase of the screen in radians; it goes on periodically.
        self.screen_rad: NDArray[np.float32] = (noise * (config.phase_std_rad / noise.std())).astype(np.float32)
        axis_um = (np.arange(_SCREEN_PX) - _SCREEN_PX / 2) * config.screen_pixel_um
        radius_um = np.hypot(axis_um[:, None], axis_um)
        self._beam = radius_um <= config.beam_um / 2
        self._curvature_rad = np.pi * radius_um**2 / (config.wavelength_um * config.distance_um)

    def illumination(self, side_px: int, place_px: tuple[int, int]) -> torch.Tensor:
        """Return the field at the sample, (side, side) complex64, with a mean intensity of 1.

        Parameters
        ----------
        side_px : int
            Side of the patch; at most half of the computed field, which is 512 px wide.
        place_px : (int, int)
            How far the diffuser has moved: every place has a speckle of its own.

        Raises
        ------
        ValueError
            The patch is too large.
        """
        if side_px > _SCREEN_PX // 2:
            raise ValueError(f"a patch of {side_px} px is wider than half of the computed field; at most {_SCREEN_PX // 2} px")
        phase = np.roll(self.screen_rad, place_px, (0, 1)) + self._curvature_rad
        field = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(self._beam * np.exp(1j * phase))))
        first = (_SCREEN_PX - side_px) // 2
        patch = field[first : first + side_px, first : first + side_px]
        patch = patch / np.sqrt(np.mean(np.abs(patch) ** 2))
        return torch.from_numpy(patch.astype(np.complex64))

    def seen(self, amplitude: torch.Tensor, phase_rad: torch.Tensor, place_px: tuple[int, int]) -> torch.Tensor:
        """Return the intensity (h, h) behind the objective of a sample with this amplitude and phase (h, h)."""
        lit = self.illumination(amplitude.shape[-1], place_px) * torch.polar(amplitude, phase_rad)
        squared = frequencies_squared((lit.shape[0], lit.shape[1]), self.config.pixel_um)
        pupil = squared <= (self.config.numerical_aperture / self.config.wavelength_um) ** 2
        image = torch.fft.ifft2(torch.fft.fft2(lit) * pupil)
        return image.real.square() + image.imag.square()
