"""The second-order statistics of a fibre's speckle: how alike two frames are, place by place, and by how much they are shifted.

Two phases on the input facet give two speckles whose local covariance does not depend on the unknown phases of the cores:

``cov(I_i(r), I_j(r+D)) = floor |sum_x S((r-x)/a) exp(-2 pi i (r-x).D/a) [exp(i(phi_i-phi_j)) * gauss(sc)](x)|^2``

Light of core x reaches camera pixel r with weight S, the angular spectrum of a core's mode (van Cittert-Zernike; Goodman,
Statistical Optics, section 5.7), the cores around x within ``sc`` trade light at random, and Siegert's relation turns the
field's coherence into the covariance of intensities. Prediction and measurement smooth with the same window, so they compare.
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

Lag = tuple[float, float]

#: Scale over which the mean intensity is taken, in camera pixels: many grains. A wider one leaves relief of the fibre's gain in
#: the contrast, which is alike in all frames and passes for coherence: with 20 px, sc comes out 6 % too small on small fibres.
_MEAN_PX = 10.0


@dataclass(frozen=True)
class SecondOrder:
    """One fibre's second-order model.

    Parameters
    ----------
    depth_scale : float
        K, the factor between the phase given to the model and the phase that acts: 1 for a calibrated SLM and radians,
        the phase of white in radians for images of 0 .. 1.
    defocus_px : float
        a = wavelength * distance / pixel^2, in pixels.
    coupling_px : float
        sc: light goes from a core to another at distance d with mean power ``exp(-d^2 / (2 sc^2))``, in pixels.
    floor : float
        Local correlation of two frames of the same pattern, 0 .. 1.
    bandwidth : float
        Standard deviation of S per axis in units of x/a, which is the bandwidth of a core's mode in cycles per pixel.

    Raises
    ------
    ValueError
        A length, the spread or the floor is impossible.
    """

    depth_scale: float
    defocus_px: float
    coupling_px: float
    floor: float = 1.0
    bandwidth: float = 0.122

    def __post_init__(self) -> None:
        if self.defocus_px <= 0 or self.coupling_px < 0 or self.bandwidth <= 0 or not 0 <= self.floor <= 1:
            raise ValueError(f"defocus_px and spread must be positive, coupling_px 0 or more, floor 0 .. 1: {self}")

    @property
    def locality_px(self) -> float:
        """Standard deviation of the neighbourhood of x that acts on one camera pixel."""
        return math.hypot(self.defocus_px * self.bandwidth, self.coupling_px)


def square_lags(reach: int = 2) -> tuple[tuple[int, int], ...]:
    """Return all lags ``(dy, dx)`` of at most ``reach`` pixels per axis."""
    return tuple((dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1))


class LocalCovariance:
    """Predicts normalised local covariance maps of two speckles; differentiable in both phases.

    Parameters
    ----------
    model : SecondOrder
        The fibre.
    shape : (int, int)
        Height and width of the phases, on the camera's grid.
    lags : sequence of (float, float)
        ``D = (dy, dx)`` in pixels.
    aperture : ndarray, shape (H, W), optional
        Relative power of the cores there, 0 outside the fibre; without it the fibre fills the image, and nothing lies beyond.
    window_px : float
        Standard deviation of the smoothing window, as in :func:`local_covariance`; 0 for none.
    stride : int
        Maps are computed on every ``stride``-th pixel only. They are so smooth that 4 loses nothing and costs a sixteenth.
    device : torch device
        Where it computes.
    """

    def __init__(
        self,
        model: SecondOrder,
        shape: tuple[int, int],
        lags: Sequence[Lag],
        aperture: NDArray[np.floating] | None = None,
        window_px: float = 6.0,
        stride: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model, self.shape, self.lags, self.stride = model, shape, tuple(lags), stride
        self._depth, self._floor = model.depth_scale, model.floor
        # A margin of dark keeps light that leaves one edge from entering at the other (FFTs are periodic).
        margin = math.ceil(3 * model.locality_px + 1)
        self._size = [stride * fft.next_fast_len(-(-(side + margin) // stride)) for side in shape]
        self._kept = [-(-side // stride) for side in shape]
        lit = torch.ones(shape) if aperture is None else torch.as_tensor(np.asarray(aperture, np.float32))
        self._aperture = lit.to(device)
        self._small = [side // stride for side in self._size]
        frequency = [torch.fft.fftfreq(n, stride, dtype=torch.float64) for n in self._small]
        window = [torch.exp(-2 * (math.pi * window_px * f) ** 2).to(torch.float32).to(device) for f in frequency]
        self._plain = window_px == 0
        self._window = window[0][:, None] * window[1][None, : self._small[1] // 2 + 1]
        # Beyond the image nothing is known: the window takes what is inside, as its measured counterpart does.
        self._seen = self._windowed(torch.ones(self._kept, device=self._window.device))
        # The Fourier transform of S((r-x)/a) exp(-2 pi i (r-x) D/a), blurred by the coupling, is a Gaussian around -D/a.
        a, reach, sc = model.defocus_px, model.defocus_px * model.bandwidth, model.coupling_px

        def kernel(f: torch.Tensor, step: int) -> torch.Tensor:
            moved = torch.exp(-2 * math.pi**2 * (reach**2 * (f + step / a) ** 2 + sc**2 * f**2))
            return moved.to(torch.complex64).to(device)

        rows, columns = (
            {step: kernel(f, step) for step in {0, *steps}} for f, steps in zip(frequency, zip(*lags, strict=True), strict=True)
        )
        self._kernels = torch.stack([rows[dy][:, None] * columns[dx] for dy, dx in self.lags])
        power = torch.fft.ifft2(self._spectrum(self._aperture) * (rows[0][:, None] * columns[0])).abs()
        self._power = power.clamp(min=1e-3 * float(power.max())) ** 2

    def __call__(self, phase_i: torch.Tensor, phase_j: torch.Tensor | float = 0.0) -> torch.Tensor:
        """Return the maps, normalised by the local contrasts of both frames.

        Parameters
        ----------
        phase_i, phase_j : tensor of float32, shape (..., H, W)
            Phases in the units of ``depth_scale``; a number for a flat phase.

        Returns
        -------
        tensor of float32, shape (..., L, ceil(H / stride), ceil(W / stride))
            For each lag D, of ``I_i(r)`` with ``I_j(r+D)``; 1 is the same speckle without noise.
        """
        difference = self._depth * (phase_i - phase_j)
        spectrum = self._spectrum(torch.polar(self._aperture.expand_as(difference), difference))
        fields = torch.fft.ifft2(spectrum[..., None, :, :] * self._kernels)
        like = (fields.real.square() + fields.imag.square()) / self._power
        return self._floor * self._windowed(like[..., : self._kept[0], : self._kept[1]]) / self._seen

    def _windowed(self, maps: torch.Tensor) -> torch.Tensor:
        if self._plain:
            return maps[..., : self._kept[0], : self._kept[1]]
        smooth = torch.fft.irfft2(torch.fft.rfft2(maps, s=self._small) * self._window, s=self._small)
        return smooth[..., : self._kept[0], : self._kept[1]]

    def _spectrum(self, field: torch.Tensor) -> torch.Tensor:
        """Return the low frequencies of a field, as many as the strided grid holds."""
        spectrum = torch.fft.fft2(field, s=self._size)
        for axis in (-2, -1):
            kept = self._size[axis] // self.stride
            high = self._size[axis] - kept // 2
            index = torch.cat([torch.arange((kept + 1) // 2), torch.arange(high, self._size[axis])])
            spectrum = spectrum.index_select(axis, index.to(spectrum.device))
        return spectrum / self.stride**2


def contrast(speckle: NDArray[np.floating], inside: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Return a speckle's deviation from its local mean, in units of that mean; 0 outside.

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
    contrast_i: NDArray[np.float32],
    contrast_j: NDArray[np.float32],
    lags: Sequence[tuple[int, int]],
    window_px: float = 6.0,
    stride: int = 1,
) -> NDArray[np.float32]:
    """Measure what :class:`LocalCovariance` predicts.

    Parameters
    ----------
    contrast_i, contrast_j : ndarray of float32, shape (H, W)
        From :func:`contrast`.
    lags : sequence of (int, int)
        ``D = (dy, dx)`` in pixels.
    window_px : float
        Standard deviation of the window over which covariances and variances are taken.
    stride : int
        Every how many pixels.

    Returns
    -------
    ndarray of float32, shape (L, ceil(H / stride), ceil(W / stride))
        For each lag D, of ``I_i(r)`` with ``I_j(r+D)``.
    """
    kept = (slice(None, None, stride), slice(None, None, stride))
    both = _smooth(contrast_i**2, window_px)[kept] * _smooth(contrast_j**2, window_px)[kept]
    scale = 1 / np.sqrt(np.maximum(both, 1e-12))
    maps = [_smooth(contrast_i * np.roll(contrast_j, (-dy, -dx), (0, 1)), window_px)[kept] * scale for dy, dx in lags]
    return np.stack(maps).astype(np.float32)


def _smooth(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT), np.float32)
