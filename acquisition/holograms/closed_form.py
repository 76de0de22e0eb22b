"""Phase holograms in closed form: carriers, lenses, complex fields on a phase-only SLM, and their far fields.

A pattern that is a phase itself needs no hologram, and :class:`drivers.displays.phase_lut.GreyEncoder` adds the panel's
wavefront correction. Iterated holograms are in :mod:`acquisition.holograms.gerchberg_saxton`. Phases are float32 radians in
0..2 pi. The x axis points to the right, the y axis down. The zero order of a far field is at ``(H // 2, W // 2)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from drivers.base import SpeckleScopeError

Phase = NDArray[np.float32]
Amplitude = NDArray[np.float32]

_TURN = 2 * math.pi
# sin(x) / x decreases from 1 to 0 between 0 and pi. This table inverts it to better than 1e-4 rad.
_SINC_X = np.linspace(0, math.pi, 1 << 14)
_SINC = np.sinc(_SINC_X / math.pi)


class HologramError(SpeckleScopeError):
    """The SLM cannot show the requested hologram, or it would give no light."""


@dataclass(frozen=True)
class HologramConfig:
    """A phase that is added to every pattern: a carrier, which moves the light off the axis, and a lens.

    Parameters
    ----------
    carrier_period_px : float
        Period of the carrier's grating in panel pixels; 0 for no carrier.
    carrier_angle_rad : float
        Direction in which its phase increases, from the x axis towards the y axis.
    lens_focal_length_mm : float
        Focal length of a Fresnel lens, negative for a diverging one; 0 for no lens.
    wavelength_um, pitch_um : float
        Wavelength of the light, and pixel pitch of the panel, for the lens.

    Raises
    ------
    ValueError
        A value is out of its range.
    """

    carrier_period_px: float = 0.0
    carrier_angle_rad: float = 0.0
    lens_focal_length_mm: float = 0.0
    wavelength_um: float = 0.532
    pitch_um: float = 8.0

    def __post_init__(self) -> None:
        if 0 < self.carrier_period_px < 2 or self.carrier_period_px < 0:
            raise ValueError(f"a carrier's period must be 0 or at least 2 px, got {self.carrier_period_px}")
        if self.wavelength_um <= 0 or self.pitch_um <= 0:
            raise ValueError(f"wavelength and pitch must be positive, got {self.wavelength_um} and {self.pitch_um} um")


def static_phase(config: HologramConfig, shape: tuple[int, int]) -> Phase | None:
    """Return the phase that is added to every pattern on a panel of ``shape``, or None for no phase.

    Raises
    ------
    HologramError
        The lens is too strong for the panel.
    """
    parts = []
    if config.carrier_period_px:
        parts.append(grating(shape, config.carrier_period_px, config.carrier_angle_rad))
    if config.lens_focal_length_mm:
        parts.append(fresnel_lens(shape, config.lens_focal_length_mm, config.wavelength_um, config.pitch_um))
    return add(*parts) if parts else None


def add(*phases_rad: Phase) -> Phase:
    """Return the sum of phase images of one shape, wrapped to 0..2 pi.

    Raises
    ------
    HologramError
        Their shapes differ.
    """
    shapes = {phase.shape for phase in phases_rad}
    if len(shapes) != 1:
        raise HologramError(f"only phases of one shape can be added, got {sorted(shapes)}; resize them to the SLM")
    return np.mod(np.sum(phases_rad, axis=0, dtype=np.float64), _TURN).astype(np.float32)


def carrier(shape: tuple[int, int], frequency_per_px: tuple[float, float]) -> Phase:
    """Return the linear phase that moves the light off the axis.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the hologram in pixels.
    frequency_per_px : (float, float)
        Cycles per pixel along y and x. The far field moves by ``frequency * shape`` far-field pixels.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Phase in radians, 0 at the first pixel.

    Raises
    ------
    HologramError
        A frequency is above half a cycle per pixel, where pixels show the same as at a lower frequency.
    """
    if not max(abs(frequency) for frequency in frequency_per_px) <= 0.5:
        raise HologramError(f"a carrier has at most 0.5 cycles/px, got {frequency_per_px}; use a coarser grating")
    y, x = (np.arange(size) * frequency for size, frequency in zip(shape, frequency_per_px, strict=True))
    # The whole turns are removed in double precision, because float32 has only four digits of phase at thousands of radians.
    turns = (y - np.floor(y))[:, None] + (x - np.floor(x))
    return (np.mod(turns, 1) * _TURN).astype(np.float32)


def grating(shape: tuple[int, int], period_px: float, angle_rad: float = 0.0) -> Phase:
    """Return the :func:`carrier` of a blazed grating with lines ``period_px`` apart.

    ``angle_rad`` is the direction in which the light is moved, from the x axis towards the y axis.

    Raises
    ------
    HologramError
        The period is below 2 px.
    """
    if not period_px >= 2:
        raise HologramError(f"a grating's period is at least 2 px, got {period_px:g} px; use a coarser grating")
    return carrier(shape, (math.sin(angle_rad) / period_px, math.cos(angle_rad) / period_px))


def fresnel_lens(
    shape: tuple[int, int],
    focal_length_mm: float,
    wavelength_um: float,
    pitch_um: float,
    centre_px: tuple[float, float] = (0.0, 0.0),
) -> Phase:
    """Return the phase of a thin lens, ``-pi r^2 / (wavelength f)``.

    Goodman, "Introduction to Fourier Optics", 3rd ed., eq. 5-10.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the hologram in pixels.
    focal_length_mm : float
        Positive for a converging lens, negative for a diverging one.
    wavelength_um, pitch_um : float
        Wavelength of the light, and pixel pitch of the SLM.
    centre_px : (float, float)
        Distance of the lens's centre from the panel's centre, downwards and to the right.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Phase in radians.

    Raises
    ------
    HologramError
        The fringes at the panel's edge are narrower than 2 px, which would give several lenses instead of one.
    """
    if not (wavelength_um > 0 and pitch_um > 0):
        raise ValueError(f"wavelength and pitch must be positive, got {wavelength_um} um and {pitch_um} um")
    y, x = (np.arange(size) - (size - 1) / 2 - centre for size, centre in zip(shape, centre_px, strict=True))
    edge_px = max(np.abs(y).max(), np.abs(x).max())
    # Along an axis the phase changes by pitch^2 r / (wavelength f) turns from one pixel to the next.
    shortest_mm = 2 * edge_px * pitch_um**2 / wavelength_um * 1e-3
    if not (abs(focal_length_mm) >= shortest_mm and focal_length_mm):
        raise HologramError(
            f"a lens of {focal_length_mm:g} mm has fringes below 2 px at the panel's edge; "
            f"the shortest focal length is {shortest_mm:.4g} mm"
        )
    turns = (y[:, None] ** 2 + x**2) * (-0.5 * pitch_um**2 / (wavelength_um * focal_length_mm * 1e3))
    return (np.mod(turns, 1) * _TURN).astype(np.float32)


def encode_field(amplitude: Amplitude, phase_rad: Phase, carrier_rad: Phase) -> Phase:
    """Return the phase hologram whose first order is a complex field.

    The depth of a blazed grating sets the amplitude of its first order. The position of the grating sets the phase, which is
    corrected for the influence of the depth. The method is exact for fields that vary slowly: Bolduc et al., "Exact solution to
    simultaneous intensity and phase encryption with a single phase-only hologram", Opt. Lett. 38, 3546 (2013), eqs. 4 and 5.
    Depth alone, without the correction, is the method of Davis et al., Appl. Opt. 38, 5004 (1999).

    Parameters
    ----------
    amplitude : ndarray of float32, shape (H, W)
        Amplitude in 0..1; the remaining light stays in the zero order.
    phase_rad : ndarray of float32, shape (H, W)
        Phase of the field in radians.
    carrier_rad : ndarray of float32, shape (H, W)
        From :func:`carrier` or :func:`grating`, with a period shorter than the field's details. Low multiples of its frequency,
        modulo 1 cycle per pixel, must not coincide with the frequency itself: (0.2, 0.25) is a good choice; (0, 0.25) is a bad
        one, because its orders -3 and 5 disturb.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Phase in radians, 0..2 pi. The light must pass an aperture around the first order after the SLM.

    Raises
    ------
    HologramError
        Shapes differ, or the amplitude is outside 0..1.
    """
    if not amplitude.shape == phase_rad.shape == carrier_rad.shape:
        raise HologramError(
            f"amplitude, phase and carrier must have one shape, got {amplitude.shape}, {phase_rad.shape}, {carrier_rad.shape}"
        )
    if not (amplitude.min() >= 0 and amplitude.max() <= 1):
        raise HologramError(f"amplitudes lie in 0..1, got {amplitude.min():g}..{amplitude.max():g}; divide by their maximum")
    # The paper's inverse sinc is negative: -x here. np.interp needs increasing abscissae.
    depth = 1 - np.interp(amplitude, _SINC[::-1], _SINC_X[::-1]) / math.pi
    # The phase of the first order is the grating's + pi * depth - pi; the last two terms are subtracted here.
    grooves = np.mod(carrier_rad.astype(np.float64) + phase_rad + math.pi * (1 - depth), _TURN)
    return (depth * grooves).astype(np.float32)


def far_field(phase_rad: Phase, source_amplitude: Amplitude | None = None) -> NDArray[np.complex64]:
    """Return the far field of a phase hologram, in the focal plane of a lens.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (H, W)
        The hologram.
    source_amplitude : ndarray of float32, shape (H, W), optional
        Amplitude of the light on the SLM; uniform light if left out.

    Returns
    -------
    ndarray of complex64, shape (H, W)
        Complex amplitude, with the zero order in the centre and a total power of 1. A pixel is ``wavelength f / (N pitch)``
        wide.
    """
    field = np.exp(1j * phase_rad).astype(np.complex64)
    if source_amplitude is not None:
        field *= source_amplitude
    field /= np.linalg.norm(field)
    return scipy.fft.fftshift(scipy.fft.fft2(scipy.fft.ifftshift(field), norm="ortho"))


def spot_grid(shape: tuple[int, int], spots: tuple[int, int], spacing_px: int) -> Amplitude:
    """Return the target amplitude of a grid of equal spots, one far-field pixel each, centred on the zero order.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the far field in its pixels.
    spots : (int, int)
        Rows and columns of the grid.
    spacing_px : int
        Distance between neighbours in far-field pixels.

    Raises
    ------
    HologramError
        The grid is larger than the far field.
    """
    first = [size // 2 - (count - 1) * spacing_px // 2 for size, count in zip(shape, spots, strict=True)]
    last = [start + (count - 1) * spacing_px for start, count in zip(first, spots, strict=True)]
    if min(*spots, spacing_px) < 1 or min(first) < 0 or any(end >= size for end, size in zip(last, shape, strict=True)):
        raise HologramError(f"{spots} spots {spacing_px} px apart do not fit a far field of {shape}; move them closer")
    target = np.zeros(shape, np.float32)
    target[first[0] : last[0] + 1 : spacing_px, first[1] : last[1] + 1 : spacing_px] = 1
    return target
