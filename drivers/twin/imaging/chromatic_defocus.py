"""A bright-field microscope with a colour camera: each colour of one exposure is in focus at another distance.

So the three colours of a frame are three planes of a defocus series (Waller et al., Optics Express 18, 22817, 2010). A pure
phase object changes the path of light by the same length at every wavelength; its phase is inversely proportional to the
wavelength.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from drivers.twin.imaging.fresnel import mirrored, propagated, reach_px

#: Names of the colours, in the order of the channels of a frame.
COLOURS: Final = ("red", "green", "blue")
#: Ranges of the drawn microscopes: defocus of each colour, and width of its response, in micrometres.
_DEFOCUS_UM, _RESPONSE_UM = (0.01, 3.0), (0.010, 0.100)


@dataclass(frozen=True, kw_only=True)
class ChromaticConfig:
    """The microscope and its camera.

    Parameters
    ----------
    pixel_um : float
        Size of a pixel at the object.
    centre_um : tuple of float
        Wavelength at which each colour is most sensitive.
    response_um : tuple of float
        Standard deviation of each colour's Gaussian response; 0 for light of one wavelength.
    defocus_um : tuple of float
        Distance of the object's plane from the plane that the camera sees, in each colour.
    phase_wavelength_um : float
        Wavelength to which phases belong.
    spectrum_um : (float, float)
        Shortest and longest wavelength of the lamp, whose spectrum is flat.
    wavelengths : int
        Number of wavelengths that are summed up.

    Raises
    ------
    ValueError
        A length is not positive, or a colour lies outside the lamp's spectrum.
    """

    pixel_um: float = 0.21
    centre_um: tuple[float, float, float] = (0.63, 0.55, 0.45)
    response_um: tuple[float, float, float] = (0.03, 0.03, 0.03)
    defocus_um: tuple[float, float, float] = (-1.0, 0.0, 1.0)
    phase_wavelength_um: float = 0.55
    spectrum_um: tuple[float, float] = (0.4, 0.7)
    wavelengths: int = 31

    def __post_init__(self) -> None:
        low, high = self.spectrum_um
        if not (self.pixel_um > 0 and self.phase_wavelength_um > 0 and 0 < low < high and self.wavelengths >= 1):
            raise ValueError(f"pixel, wavelengths and spectrum are more than 0, got {self}")
        if not all(low <= each <= high for each in self.centre_um) or min(self.response_um) < 0:
            raise ValueError(f"each colour lies in the lamp's spectrum and has a width of 0 or more, got {self}")

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> ChromaticConfig:
        """Return a microscope with defocus and responses at random, as for the training of arXiv 2406.04388."""
        defocus, response = (rng.uniform(*limits, 3) for limits in (_DEFOCUS_UM, _RESPONSE_UM))
        return cls(
            defocus_um=(float(defocus[0]), float(defocus[1]), float(defocus[2])),
            response_um=(float(response[0]), float(response[1]), float(response[2])),
        )


def colour_frames(phase_rad: torch.Tensor, config: ChromaticConfig) -> torch.Tensor:
    """Return what the camera sees of a pure phase object.

    Parameters
    ----------
    phase_rad : tensor of float32, shape (b, h, w)
        Phase of the object at ``phase_wavelength_um``, in radians.
    config : ChromaticConfig
        The microscope.

    Returns
    -------
    tensor of float32, shape (b, 3, h, w)
        Intensity of every colour; without an object it is 1.
    """
    height, width = phase_rad.shape[-2:]
    largest_um = max(map(abs, config.defocus_um))
    path = mirrored(phase_rad[:, None], 2 * reach_px(largest_um, config.spectrum_um[1], config.pixel_um))[:, 0]
    top, left = ((long - side) // 2 for long, side in zip(path.shape[-2:], (height, width), strict=True))
    colours = []
    for centre_um, response_um, defocus_um in zip(config.centre_um, config.response_um, config.defocus_um, strict=True):
        seen = torch.zeros_like(path)
        for wavelength_um, weight in _response(config, centre_um, response_um):
            phase = path * (config.phase_wavelength_um / wavelength_um)
            field = propagated(torch.polar(torch.ones_like(phase), phase), defocus_um, wavelength_um, config.pixel_um)
            seen = seen + weight * (field.real.square() + field.imag.square())
        colours.append(seen[:, top : top + height, left : left + width])
    return torch.stack(colours, 1)


def _response(config: ChromaticConfig, centre_um: float, response_um: float) -> list[tuple[float, float]]:
    """Return wavelengths and their weights, which sum to 1; those that count for nothing are left out."""
    if not response_um:
        return [(centre_um, 1.0)]
    wavelengths = np.linspace(*config.spectrum_um, config.wavelengths)
    # At least the nearest wavelength counts, also where the response is narrower than their distance.
    width_um = max(response_um, float(wavelengths[1] - wavelengths[0]) / 2) if len(wavelengths) > 1 else response_um
    weights = np.exp(-0.5 * ((wavelengths - centre_um) / width_um) ** 2)
    counts = weights > 1e-4 * weights.sum()
    wavelengths, weights = wavelengths[counts], weights[counts] / weights[counts].sum()
    return [(float(each), float(weight)) for each, weight in zip(wavelengths, weights, strict=True)]
