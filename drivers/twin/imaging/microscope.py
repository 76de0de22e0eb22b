"""Fluorescence microscopes: point spread function, blur, and photon noise.

In the wide field every point of the sample shines: its image is ``|u_em|^2``, with ``u`` the Fourier transform of the pupil. A
confocal microscope lights one point at a time and sees it through a pinhole: ``|u_ex|^2 (T * |u_em|^2)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch

from drivers.twin.imaging.fresnel import frequencies_squared


class Microscope(StrEnum):
    """How the sample is lit and seen."""

    WIDE_FIELD = "wide-field"
    CONFOCAL = "confocal"


@dataclass(frozen=True, kw_only=True)
class MicroscopeConfig:
    """A microscope.

    Parameters
    ----------
    kind : Microscope
        Wide-field or confocal.
    numerical_aperture : float
        Of the objective.
    emission_um, excitation_um : float
        Wavelengths of the light that the sample emits and gets.
    pinhole_um : float
        Radius of the confocal pinhole, at the object.
    pixel_um : float
        Size of a pixel at the object.

    Raises
    ------
    ValueError
        A length is not positive, or the pixels are too large for the details that the microscope resolves.
    """

    kind: Microscope = Microscope.WIDE_FIELD
    numerical_aperture: float = 0.8
    emission_um: float = 0.52
    excitation_um: float = 0.488
    pinhole_um: float = 0.2
    pixel_um: float = 0.07

    def __post_init__(self) -> None:
        lengths = (self.numerical_aperture, self.emission_um, self.excitation_um, self.pinhole_um, self.pixel_um)
        if not min(lengths) > 0:
            raise ValueError(f"aperture, wavelengths, pinhole and pixel are more than 0, got {self}")
        if self.pixel_um > 0.5 / self.cutoff_per_um:
            raise ValueError(
                f"a pixel of {self.pixel_um:g} um is too large: this microscope resolves {self.cutoff_per_um:.3g} periods a "
                f"micrometre, so that a pixel has at most {0.5 / self.cutoff_per_um:.3g} um"
            )

    @property
    def cutoff_per_um(self) -> float:
        """Spatial frequency in 1/um beyond which nothing passes."""
        emission = 2 * self.numerical_aperture / self.emission_um
        if self.kind is Microscope.WIDE_FIELD:
            return emission
        return emission + 2 * self.numerical_aperture / self.excitation_um


def psf_of(config: MicroscopeConfig, shape: tuple[int, int]) -> torch.Tensor:
    """Return the point spread function (h, w), float64, with its centre at [0, 0] and sum 1; it goes on periodically."""
    emitted = _focus(config, shape, config.emission_um)
    if config.kind is Microscope.CONFOCAL:
        emitted = _focus(config, shape, config.excitation_um) * _through_pinhole(emitted, config)
    return emitted / emitted.sum()


def _focus(config: MicroscopeConfig, shape: tuple[int, int], wavelength_um: float) -> torch.Tensor:
    """Return the intensity of the image of a point."""
    pupil = frequencies_squared(shape, config.pixel_um) <= (config.numerical_aperture / wavelength_um) ** 2
    field = torch.fft.ifft2(pupil.to(torch.complex128))
    return field.real.square() + field.imag.square()


def _through_pinhole(emitted: torch.Tensor, config: MicroscopeConfig) -> torch.Tensor:
    """Return how much light of a point passes the pinhole, by the distance of the point from it."""
    height, width = emitted.shape
    y, x = (torch.fft.fftfreq(side, 1 / side, dtype=torch.float64) * config.pixel_um for side in (height, width))
    pinhole = ((y[:, None] ** 2 + x**2) <= config.pinhole_um**2).double()
    return torch.fft.irfft2(torch.fft.rfft2(emitted) * torch.fft.rfft2(pinhole), s=(height, width)).clamp(min=0)


class Blur:
    """The image that a microscope forms of fluorescence, as a linear operator, and its adjoint.

    Parameters
    ----------
    psf : tensor, shape (h, w)
        Point spread function with its centre at [0, 0].
    """

    def __init__(self, psf: torch.Tensor) -> None:
        self.psf = psf
        self._transfer = torch.fft.rfft2(psf).to(torch.complex64)
        self._shape = (psf.shape[0], psf.shape[1])

    def __call__(self, sample: torch.Tensor) -> torch.Tensor:
        """Return the image (..., h, w) of a sample (..., h, w)."""
        return torch.fft.irfft2(torch.fft.rfft2(sample) * self._transfer, s=self._shape)

    def adjoint(self, image: torch.Tensor) -> torch.Tensor:
        """Return the adjoint of the blur, applied to images (..., h, w)."""
        return torch.fft.irfft2(torch.fft.rfft2(image) * self._transfer.conj(), s=self._shape)

    def gradient(self, sample: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Return the gradient of ``|A y - x|^2 / 2`` with respect to the sample ``y``: ``A^T (A y - x)``."""
        return self.adjoint(self(sample) - image)


def photons(image: torch.Tensor, background: float, generator: torch.Generator | None = None) -> torch.Tensor:
    """Return a noisy image: Poisson(image + background), with ``image`` (..., h, w) in expected photons.

    Raises
    ------
    ValueError
        The background is negative.
    """
    if background < 0:
        raise ValueError(f"a background has 0 or more photons, got {background:g}")
    return torch.poisson((image + background).clamp(min=0), generator=generator)
