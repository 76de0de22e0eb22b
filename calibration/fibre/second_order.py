"""Second-order statistics of a fibre's speckle: the local covariance of two frames, at shifts of a few pixels.

Two phases on the input facet give two speckles. Their local covariance does not depend on the unknown phases of the cores:

``cov(I_i(r), I_j(r+D)) = c |sum_x S((r-x)/a) exp(-2 pi i (r-x).D/a) [exp(i(phi_i-phi_j)) * gauss(sc)](x)|^2``

Light of the core at x reaches the camera pixel at r with weight S, the angular spectrum of a core's mode (van Cittert-Zernike;
Goodman, Statistical Optics, section 5.7). Cores within ``sc`` around x couple light with random phases. Siegert's relation
turns the coherence of the fields into the covariance of the intensities. ``c`` is the correlation of two frames of the same
pattern. Prediction and measurement are smoothed with the same window and can be compared directly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft

#: A shift ``(dy, dx)`` in pixels.
Lag = tuple[float, float]

#: Standard deviation of the window for the local mean intensity, in camera pixels: many grains. With a wider window the uneven
#: gain of the fibre stays in the contrast. It is the same in all frames and appears as coherence: with 20 px, sc becomes 6 %
#: too small on small fibres.
_MEAN_PX = 10.0


@dataclass(frozen=True)
class SecondOrder:
    """Second-order model of one fibre.

    Parameters
    ----------
    phase_scale : float
        K, actual phase divided by the phase that is given to the model: 1 for phases in radians and a calibrated SLM, the
        phase range in radians for images of 0 .. 1.
    defocus_px : float
        a = wavelength * distance / pixel^2, in pixels.
    coupling_px : float
        sc, in pixels: two cores at distance d couple with mean power ``exp(-d^2 / (2 sc^2))``.
    repeatability : float
        Local correlation of two frames of the same pattern, 0 .. 1.
    bandwidth : float
        Standard deviation of S per axis in units of x/a, which is the bandwidth of a core's mode in cycles per pixel.

    Raises
    ------
    ValueError
        ``defocus_px`` or ``bandwidth`` is not positive, ``coupling_px`` is negative, or ``repeatability`` is not in 0 .. 1.
    """

    phase_scale: float
    defocus_px: float
    coupling_px: float
    repeatability: float = 1.0
    bandwidth: float = 0.122

    def __post_init__(self) -> None:
        if self.defocus_px <= 0 or self.coupling_px < 0 or self.bandwidth <= 0 or not 0 <= self.repeatability <= 1:
            raise ValueError(
                f"defocus_px and bandwidth must be positive, coupling_px 0 or more, repeatability 0 .. 1, got {self}"
            )

    @property
    def locality_px(self) -> float:
        """Standard deviation of the neighbourhood on the input facet that acts on one camera pixel."""
        return math.hypot(self.defocus_px * self.bandwidth, self.coupling_px)


def square_lags(reach: int = 2) -> tuple[tuple[int, int], ...]:
    """Return all lags ``(dy, dx)`` of at most ``reach`` pixels per axis."""
    return tuple((dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1))


@dataclass(frozen=True)
class MapSampling:
    """Where covariance maps are evaluated; prediction and measurement must use the same.

    Parameters
    ----------
    lags : sequence of (float, float)
        Shifts ``D = (dy, dx)`` between the two frames, in pixels; whole pixels for measured maps.
    window_px : float
        Standard deviation of the Gaussian smoothing window; 0 for no smoothing, which only predictions allow.
    stride : int
        Maps are evaluated on every ``stride``-th pixel. They are so smooth that a stride of 4 loses nothing and costs 1/16.
    """

    lags: Sequence[Lag]
    window_px: float = 6.0
    stride: int = 1


class LocalCovariance:
    """Predicts the normalised local covariance maps of two speckles; differentiable in both phases.

    Parameters
    ----------
    model : SecondOrder
        The fibre.
    shape : (int, int)
        Height and width of the phases, on the camera's grid.
    sampling : MapSampling
        Where the maps are evaluated.
    aperture : ndarray, shape (H, W), optional
        Relative power of the cores, 0 outside the fibre. Without it the fibre fills the image and ends at its border.
    device : torch device
        Where to compute.
    """

    def __init__(
        self,
        model: SecondOrder,
        shape: tuple[int, int],
        sampling: MapSampling,
        aperture: NDArray[np.floating] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model = model
        self.shape = shape
        self.sampling = sampling
        stride = sampling.stride
        # A dark margin: FFTs are periodic, and light that leaves at one edge must not enter at the opposite edge.
        margin = math.ceil(3 * model.locality_px + 1)
        self._size = [stride * fft.next_fast_len(math.ceil((side + margin) / stride)) for side in shape]
        self._kept = [math.ceil(side / stride) for side in shape]
        self._small = [side // stride for side in self._size]
        lit = torch.ones(shape) if aperture is None else torch.as_tensor(np.asarray(aperture, np.float32))
        self._aperture = lit.to(device)
        self._window = self._smoothing_window()
        # Pixels beyond the image are unknown. The window averages over pixels inside the image only, as the measurement does.
        self._inside = self._windowed(torch.ones(self._kept, device=self._aperture.device))
        self._kernels = torch.stack([self._kernel(lag) for lag in sampling.lags])
        power = torch.fft.ifft2(self._spectrum(self._aperture) * self._kernel((0, 0))).abs()
        self._power = power.clamp(min=1e-3 * float(power.max())) ** 2

    def _frequency(self, axis: int) -> torch.Tensor:
        return torch.fft.fftfreq(self._small[axis], self.sampling.stride, dtype=torch.float64)

    def _smoothing_window(self) -> torch.Tensor | None:
        """Return the Fourier transform of the smoothing window, for real FFTs; None for no smoothing."""
        if self.sampling.window_px == 0:
            return None
        rows, columns = (
            torch.exp(-2 * (math.pi * self.sampling.window_px * self._frequency(axis)) ** 2).to(torch.float32)
            for axis in (0, 1)
        )
        return (rows[:, None] * columns[None, : self._small[1] // 2 + 1]).to(self._aperture.device)

    def _kernel(self, lag: Lag) -> torch.Tensor:
        """Return the Fourier transform of ``S((r-x)/a) exp(-2 pi i (r-x) D/a)``, blurred by the coupling.

        It is a Gaussian around -D/a.
        """
        a, reach, sc = self.model.defocus_px, self.model.defocus_px * self.model.bandwidth, self.model.coupling_px

        def along(axis: int) -> torch.Tensor:
            f = self._frequency(axis)
            gauss = torch.exp(-2 * math.pi**2 * (reach**2 * (f + lag[axis] / a) ** 2 + sc**2 * f**2))
            return gauss.to(torch.complex64).to(self._aperture.device)

        return along(0)[:, None] * along(1)

    def __call__(self, phase_i: torch.Tensor, phase_j: torch.Tensor | float = 0.0) -> torch.Tensor:
        """Return the maps, normalised by the local contrasts of both frames.

        Parameters
        ----------
        phase_i, phase_j : tensor of float32, shape (..., H, W)
            Phases in the units of ``phase_scale``; a number stands for a flat phase.

        Returns
        -------
        tensor of float32, shape (..., L, ceil(H / stride), ceil(W / stride))
            For each lag D the covariance of ``I_i(r)`` and ``I_j(r+D)``; 1 is the same speckle without noise.
        """
        difference = self.model.phase_scale * (phase_i - phase_j)
        spectrum = self._spectrum(torch.polar(self._aperture.expand_as(difference), difference))
        fields = torch.fft.ifft2(spectrum[..., None, :, :] * self._kernels)
        coherence = (fields.real.square() + fields.imag.square()) / self._power
        return self.model.repeatability * self._windowed(coherence[..., : self._kept[0], : self._kept[1]]) / self._inside

    def _windowed(self, maps: torch.Tensor) -> torch.Tensor:
        if self._window is not None:
            maps = torch.fft.irfft2(torch.fft.rfft2(maps, s=self._small) * self._window, s=self._small)
        return maps[..., : self._kept[0], : self._kept[1]]

    def _spectrum(self, field: torch.Tensor) -> torch.Tensor:
        """Return the low frequencies of a field, as many as the strided grid holds."""
        stride = self.sampling.stride
        spectrum = torch.fft.fft2(field, s=self._size)
        for axis in (-2, -1):
            kept = self._size[axis] // stride
            high = self._size[axis] - kept // 2
            index = torch.cat([torch.arange((kept + 1) // 2), torch.arange(high, self._size[axis])])
            spectrum = spectrum.index_select(axis, index.to(spectrum.device))
        return spectrum / stride**2


def contrast(speckle: NDArray[np.floating], inside: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Return a speckle's deviation from its local mean, divided by that mean; 0 outside the fibre.

    Parameters
    ----------
    speckle : ndarray, shape (H, W)
        Counts above the dark level.
    inside : ndarray of bool, shape (H, W), optional
        Where the fibre is.

    Returns
    -------
    ndarray of float32, shape (H, W)
    """
    lit = np.ones(speckle.shape, np.float32) if inside is None else inside.astype(np.float32)
    counts = speckle.astype(np.float32) * lit
    mean = _smooth(counts, _MEAN_PX) / np.maximum(_smooth(lit, _MEAN_PX), 1e-6)
    return np.asarray(lit * (counts / np.maximum(mean, 1e-6) - 1), np.float32)


def local_covariance(
    contrast_i: NDArray[np.float32], contrast_j: NDArray[np.float32], sampling: MapSampling
) -> NDArray[np.float32]:
    """Measure the maps that :class:`LocalCovariance` predicts.

    Parameters
    ----------
    contrast_i, contrast_j : ndarray of float32, shape (H, W)
        Contrasts of two frames, from :func:`contrast`.
    sampling : MapSampling
        Where the maps are evaluated; its lags are whole pixels and its window is not 0.

    Returns
    -------
    ndarray of float32, shape (L, ceil(H / stride), ceil(W / stride))
        For each lag D the covariance of ``I_i(r)`` and ``I_j(r+D)``.
    """
    window_px, kept = sampling.window_px, (slice(None, None, sampling.stride),) * 2
    both = _smooth(contrast_i**2, window_px)[kept] * _smooth(contrast_j**2, window_px)[kept]
    scale = 1 / np.sqrt(np.maximum(both, 1e-12))
    shifted = (np.roll(contrast_j, (-int(dy), -int(dx)), (0, 1)) for dy, dx in sampling.lags)
    return np.stack([_smooth(contrast_i * other, window_px)[kept] * scale for other in shifted]).astype(np.float32)


def _smooth(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT), np.float32)
