"""Random noise with the power that a reconstruction lacks: the row that a model of textures has to beat.

The noise gives a smooth reconstruction the right power spectrum without any knowledge of the object. A method whose samples are
not better than this has learned a spectrum, and no textures.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.evaluation.comparison import Method, on_grid
from reconstruction.evaluation.spectrum import RadialSpectrum, rings

Phase = NDArray[np.float32]


class MissingSpectrum:
    """The power spectrum of truths relative to that of the reconstructions of one method, fitted on some images.

    For every ring of spatial frequencies, the mean logarithm of the ratio is fitted. The noise for another image adds what this
    ratio promises to the power that its reconstruction has.

    Parameters
    ----------
    phases_rad, truths_rad : sequence of ndarray of float32, shape (n, n)
        Reconstructions and truths of the images, in radians; other images than those that are scored.
    mask : ndarray of bool, shape (n, n)
        The fibre's disc.

    Raises
    ------
    ValueError
        There is no image, or the numbers of images differ.
    """

    def __init__(self, phases_rad: Sequence[Phase], truths_rad: Sequence[Phase], mask: NDArray[np.bool_]) -> None:
        if not phases_rad or len(phases_rad) != len(truths_rad):
            raise ValueError(f"a reconstruction for each truth is needed, got {len(phases_rad)} and {len(truths_rad)}")
        self._spectrum = RadialSpectrum(mask)
        self._mask = mask
        difference = [
            self._spectrum.log_power(truth) - self._spectrum.log_power(phase)
            for phase, truth in zip(phases_rad, truths_rad, strict=True)
        ]
        self._ratio = np.exp(np.mean(difference, axis=0))
        self.side_px = self._spectrum.side_px

    def filled(self, phase_rad: Phase, seed: int) -> Phase:
        """Return a reconstruction (n, n) plus the noise that it lacks; the same seed gives the same noise."""
        missing = np.exp(self._spectrum.log_power(phase_rad)) * np.maximum(self._ratio - 1, 0)
        # Ring 0 is the mean, which stays. The corners of the frequencies beyond the last ring get its power.
        power = np.concatenate([[0.0], missing])
        amplitude = np.sqrt(power[np.minimum(rings(len(phase_rad)), len(power) - 1)])
        white = np.random.default_rng(seed).standard_normal(phase_rad.shape)
        noise = np.fft.ifft2(np.fft.fft2(white) * amplitude).real
        return np.where(self._mask, phase_rad + noise, phase_rad).astype(np.float32)


class NoisyMethod:
    """A method whose reconstructions get the noise that they lack.

    Parameters
    ----------
    method : Method
        The method.
    spectrum : MissingSpectrum
        Fitted to this method. Phases of another grid are resampled to that of the spectrum.
    """

    def __init__(self, method: Method, spectrum: MissingSpectrum) -> None:
        self.name = f"{method.name} plus noise of the missing spectrum"
        self.engine = method.engine
        self.evaluations = method.evaluations
        self._method = method
        self._spectrum = spectrum

    def run(self, frame: NDArray[Any], reference: Phase) -> Phase:
        """Return the phase with noise. Every frame has its own noise, which is the same in every run."""
        return self.samples(frame, reference, 1)[0]

    def samples(self, frame: NDArray[Any], reference: Phase, count: int) -> NDArray[np.float32]:
        """Return the phase with ``count`` different noises, (count, grid, grid)."""
        phase = on_grid(self._method.run(frame, reference), self._spectrum.side_px)
        first = zlib.crc32(np.ascontiguousarray(frame).tobytes())
        return np.stack([self._spectrum.filled(phase, first + number) for number in range(count)])
