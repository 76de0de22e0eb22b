"""The radial power spectrum of phase images inside the fibre's disc, and how much two spectra differ.

A regressor gives the mean of all images that fit the light. The mean is smooth where the light leaves freedom, so its power at
high spatial frequencies is too low. No pixel-wise error shows this, but the spectrum does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reconstruction.field import disc_window

Phase = NDArray[np.float32]
Power = NDArray[np.float64]

#: White noise of this standard deviation is added to both spectra before their logarithm, so that the logarithm is finite.
#: It is smaller than a grey value of an 8-bit SLM (0.01 rad).
_LEAST_NOISE_RAD = 1e-3


class RadialSpectrum:
    """Measures radial power spectra of images on one grid.

    The weighted mean inside the disc is removed, and a window falls smoothly to 0 at the rim (Hann, over the distance from the
    disc's centre). Without the window, the rim would add power at all frequencies.

    Parameters
    ----------
    mask : ndarray of bool, shape (n, n)
        The fibre's disc.

    Raises
    ------
    ValueError
        The mask is not square, or empty.
    """

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        if mask.ndim != 2 or mask.shape[0] != mask.shape[1] or not mask.any():
            raise ValueError(f"a spectrum needs a square mask that is not empty, got shape {mask.shape}")
        self.side_px = len(mask)
        self._window = disc_window(mask)
        self._rings = rings(self.side_px)
        self._counts = np.bincount(self._rings.ravel())

    def power(self, phase_rad: Phase) -> Power:
        """Return the mean power in rings of equal width: (n // 2,), in rad^2.

        Ring k, from 1 to n // 2, holds the frequencies of about k / n cycles per pixel. White noise of standard deviation s has
        the power s^2 in every ring.

        Raises
        ------
        ValueError
            The image has another shape than the mask.
        """
        window = self._window
        if phase_rad.shape != window.shape:
            raise ValueError(f"shapes differ: phase {phase_rad.shape}, mask {window.shape}")
        # Pixels outside the disc may have any value, also one that is not a number.
        image = np.where(window > 0, phase_rad, 0).astype(np.float64)
        image = (image - (image * window).sum() / window.sum()) * window
        spectrum = np.abs(np.fft.fft2(image)) ** 2 / np.square(window).sum()
        total = np.bincount(self._rings.ravel(), spectrum.ravel())
        return np.asarray((total / self._counts)[1 : self.side_px // 2 + 1])

    def log_power(self, phase_rad: Phase) -> Power:
        """Return the natural logarithm of the power, with the power of the least noise added."""
        return np.asarray(np.log(self.power(phase_rad) + _LEAST_NOISE_RAD**2))

    def error(self, phase_rad: Phase, truth_rad: Phase) -> float:
        """Return the rms difference of the logarithms of two power spectra, over all rings.

        0.69 means that the power is wrong by a factor of 2. The phase mean and the position of details have no effect.
        """
        return float(np.sqrt(np.mean(np.square(self.log_power(phase_rad) - self.log_power(truth_rad)))))


def rings(side_px: int) -> NDArray[np.intp]:
    """Return the ring of every frequency of ``numpy.fft.fft2``: its distance from frequency 0, rounded, (n, n)."""
    frequency = np.fft.fftfreq(side_px) * side_px
    return np.asarray(np.rint(np.hypot(frequency[:, None], frequency[None, :])), np.intp)
