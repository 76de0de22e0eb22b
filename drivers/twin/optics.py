"""The physics of the twin: SLM field -> fibre cores -> propagation -> camera intensity, differentiable in torch.

The phase image is imaged onto the input facet, where every core collects the field that overlaps its mode. Along the
fibre neighbouring cores coupling light with random phases (a Gaussian neighbourhood, different in each mode) and every core
adds its own random delay. From the output facet light propagates a short distance (angular spectrum, Goodman,
Introduction to Fourier Optics, 3rd ed., eq. 3-74) and the modes add incoherently on the camera. Random coupling, and not a
blur of the field, is what the second-order statistics of real fibres show: ``<u_i u_j*>`` averages ``exp(i(phi_i-phi_j))``
over the neighbourhood. A seed is a fibre; ``drift_rad`` moves its core phases.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage, spatial

from drivers.base import WrongPatternError
from drivers.twin.core_lattice import core_lattice
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.parallel import parallel_map


class FibreOptics:
    """Differentiable forward model of one fibre.

    Parameters
    ----------
    config : OpticsConfig
        The fibre and its optics.
    device : torch device
        Where tensors live.
    """

    def __init__(self, config: OpticsConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.device = torch.device(device)
        n = config.image_px
        # Zero padding keeps light that leaves one edge from re-entering at the other (FFTs are periodic).
        margin = math.ceil(2.2 * config.defocus_px * 0.122) + 1
        self._grid = _fast_fft_size(n + 2 * margin)
        self._offset = (self._grid - n) // 2
        rng = np.random.default_rng(config.seed)
        positions = core_lattice(config, rng)
        self.cores = len(positions)
        self.core_positions_px = positions
        owner, mode_field = self._facet_map(positions)
        self._owner = torch.as_tensor(owner.ravel(), device=self.device)
        self._mode_field = torch.as_tensor(mode_field, device=self.device)
        energy = torch.zeros(self.cores, device=self.device).index_add(0, self._owner, self._mode_field.square().flatten())
        self._mode_energy = energy.clamp(min=1e-12)
        self.core_gain = torch.as_tensor(self._gain(positions, rng), device=self.device)
        phases = rng.uniform(0, 2 * np.pi, (len(config.mode_weights), self.cores))
        drift = np.random.default_rng((config.seed, 7, config.drift_seed)).normal(size=phases.shape)
        self._rest_phase = torch.as_tensor(phases, dtype=torch.float32, device=self.device)
        self._drift_direction = torch.as_tensor(drift, dtype=torch.float32, device=self.device)
        self.set_drift(config.drift_rad)
        self._transfer = self._angular_spectrum()
        self._tap_index, self._tap_weight = self._collection(positions)
        self._neighbours, self._coupling = self._draw_coupling(positions, rng)
        weights = torch.tensor(config.mode_weights, device=self.device)
        self._weights = (weights / weights.sum()).reshape(1, -1, 1, 1)
        self._scale = self._plateau_scale()

    def set_drift(self, drift_rad: float) -> None:
        """Move every core's phase by ``drift_rad`` rms along the fibre's drift direction."""
        self.drift_rad = drift_rad
        self.core_phase = self._rest_phase + drift_rad * self._drift_direction

    @property
    def neighbours(self) -> torch.Tensor:
        """Cores that every core exchanges light with, itself first, nearest first: (cores, k) of int64."""
        return self._neighbours

    def with_response(self, core_gain: torch.Tensor, core_phase_rad: torch.Tensor, coupling: torch.Tensor) -> FibreOptics:
        """Return the same structure with a fibre's response that was measured instead of drawn.

        Parameters
        ----------
        core_gain, core_phase_rad : tensor of float32, shape (modes, cores)
            Amplitude, the mode's share of the power included, and phase that every core gives.
        coupling : tensor of complex64, shape (modes, cores, k)
            What every core has from each of its :attr:`neighbours`; not looked at where a core has only itself.

        Returns
        -------
        FibreOptics
            Its intensity is in the square of the gain's unit, and it has no drift.
        """
        shape = (len(core_gain), self.cores)
        if not (core_gain.shape == core_phase_rad.shape == coupling.shape[:2] == shape):
            raise ValueError(f"a response is for {shape}, got {core_gain.shape}, {core_phase_rad.shape}, {coupling.shape}")
        other = copy.copy(self)
        other.core_gain, other._coupling = core_gain, coupling
        other._rest_phase, other._drift_direction = core_phase_rad, torch.zeros_like(core_phase_rad)
        other.set_drift(0.0)
        other._weights, other._scale = torch.ones((1, len(core_gain), 1, 1), device=self.device), 1.0
        return other

    def transmission(self) -> torch.Tensor:
        """Return what every core passes on of each of its :attr:`neighbours`, (modes, cores, k), complex64.

        Propagated and summed over the modes in power, it gives :meth:`intensity`.
        """
        share = self._weights.reshape(-1, 1) * self._scale
        response = torch.polar(self.core_gain * share.sqrt(), self.core_phase)
        return self._coupling * response[..., None]

    def launch(self, phase_rad: torch.Tensor) -> torch.Tensor:
        """Complex amplitude that every core collects from the phase image.

        Parameters
        ----------
        phase_rad : tensor, shape (b, n, n)
            Phase on the SLM's active area, in radians.

        Returns
        -------
        tensor of complex64, shape (b, cores)
            Linear in ``exp(1j * phase_rad)``.
        """
        n = self.config.image_px
        if phase_rad.ndim != 3 or phase_rad.shape[-2:] != (n, n):
            raise WrongPatternError(f"the optics take phase (b, {n}, {n}), got {tuple(phase_rad.shape)}; resize the pattern")
        taps = phase_rad.flatten(1)[:, self._tap_index]
        real = (taps.cos() * self._tap_weight).sum(-1)
        imaginary = (taps.sin() * self._tap_weight).sum(-1)
        return torch.complex(real, imaginary)

    def launch_back(self, amplitude: torch.Tensor) -> torch.Tensor:
        """Field that core amplitudes make on the SLM, by the transpose of :meth:`launch`: (b, cores) -> (b, n, n)."""
        n = self.config.image_px
        shares = (amplitude[..., None] * self._tap_weight).flatten(1)
        return shares.new_zeros((len(shares), n * n)).index_add(1, self._tap_index.flatten(), shares).unflatten(1, (n, n))

    def couple(self, amplitude: torch.Tensor) -> torch.Tensor:
        """Light in every core after neighbours have exchanged it: (b, cores) -> (b, modes, cores), linear."""
        if self._neighbours.shape[1] == 1:
            return amplitude[:, None, :].expand(-1, len(self._coupling), -1)
        mixed = torch.stack([(amplitude[:, self._neighbours] * mode).sum(-1) for mode in self._coupling], 1)
        return mixed

    def propagate(self, amplitude: torch.Tensor) -> torch.Tensor:
        """Field on the camera for complex core amplitudes.

        Parameters
        ----------
        amplitude : tensor of complex64, shape (b, modes, cores)
            Output-facet amplitude of every core in every mode.

        Returns
        -------
        tensor of complex64, shape (b, modes, n, n)
        """
        batch, modes, _ = amplitude.shape
        facet = amplitude[..., self._owner].reshape(batch, modes, self._grid, self._grid).mul_(self._mode_field)
        field = torch.fft.ifft2(torch.fft.fft2(facet).mul_(self._transfer))
        stop = self._offset + self.config.image_px
        return field[..., self._offset : stop, self._offset : stop]

    def collect(self, field: torch.Tensor) -> torch.Tensor:
        """Amplitude of every core in a camera field, against :meth:`propagate`: (b, modes, n, n) -> (b, modes, cores)."""
        facet = torch.fft.ifft2(torch.fft.fft2(F.pad(field, [self._offset] * 4)).mul_(self._transfer.conj()))
        seen = facet.mul_(self._mode_field).flatten(-2)
        empty = seen.new_zeros((*field.shape[:2], self.cores))
        return empty.index_add(-1, self._owner, seen) / self._mode_energy

    def field(self, phase_rad: torch.Tensor, core_noise_rad: torch.Tensor | None = None) -> torch.Tensor:
        """Camera field of every mode, shape (b, modes, n, n), for phase images (b, n, n)."""
        return self.propagate(self._output(phase_rad, core_noise_rad))

    def intensity(self, phase_rad: torch.Tensor, core_noise_rad: torch.Tensor | None = None) -> torch.Tensor:
        """Noise-free camera intensity, 1 on average over the fibre for a flat phase.

        Parameters
        ----------
        phase_rad : tensor, shape (b, n, n)
            Displayed phase in radians.
        core_noise_rad : tensor, shape (b, cores), optional
            Extra phase of every core during this shot.

        Returns
        -------
        tensor of float32, shape (b, n, n)
        """
        if self.device.type != "cpu":
            return self._power(self._output(phase_rad, core_noise_rad)) * self._scale
        # One frame's field stays in a processor's caches, a batch's does not.
        noises = [None] * len(phase_rad) if core_noise_rad is None else core_noise_rad.split(1)
        frames = list(zip(phase_rad.split(1), noises, strict=True))
        return torch.cat(parallel_map(lambda frame: self._power(self._output(*frame)), frames)) * self._scale

    def _output(self, phase_rad: torch.Tensor, core_noise_rad: torch.Tensor | None) -> torch.Tensor:
        """Amplitude of every core at the output facet, (b, modes, cores)."""
        core_phase = self.core_phase
        if core_noise_rad is not None:
            core_phase = core_phase + core_noise_rad[:, None, :]
        response = torch.polar(self.core_gain.expand_as(core_phase), core_phase)
        return self.couple(self.launch(phase_rad)) * response

    def _power(self, amplitude: torch.Tensor) -> torch.Tensor:
        field = self.propagate(amplitude)
        return ((field.real.square() + field.imag.square()) * self._weights).sum(1)

    def shot_noise_rad(self, batch: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw the per-core phase noise of ``batch`` shots, shape (batch, cores)."""
        noise = torch.randn((batch, self.cores), generator=generator, device=self.device)
        return noise * self.config.phase_noise_rad

    def _plateau_scale(self) -> float:
        # Normalised on the expected (incoherent) sum, so that the scale does not depend on one speckle's luck.
        n = self.config.image_px
        energy = float((self._mode_field.square().sum()) / self._grid**2)
        inside = np.pi * (self.config.field_radius_um / self.config.pixel_um) ** 2
        mean_gain = float(self.core_gain.square().mean())
        owned = energy * self._grid**2 * mean_gain
        return float((1 - self.config.background) * min(inside, n * n) / owned)

    def _facet_map(self, positions: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        # Each facet pixel belongs to its nearest core: neighbouring modes overlap by < 4 % in amplitude.
        axis = np.arange(self._grid) - (self._grid - 1) / 2
        pixels = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
        distance, owner = spatial.cKDTree(positions).query(pixels)
        radius = self.config.mode_radius_um / self.config.pixel_um
        mode_field = np.exp(-((distance / radius) ** 2)).astype(np.float32)
        mode_field[mode_field < 1e-4] = 0
        return owner.astype(np.int64), mode_field.reshape(self._grid, self._grid)

    def _gain(self, positions: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
        n = self._grid
        smooth = ndimage.gaussian_filter(rng.normal(size=(n, n)), self.config.relief_sigma_um / self.config.pixel_um)
        at_cores = ndimage.map_coordinates(smooth, (positions + (n - 1) / 2).T, order=1)
        # A field of view holds few relief patches: scale this fibre's own draw to the stated relief.
        at_cores = (at_cores - at_cores.mean()) / at_cores.std()
        radius_um = np.hypot(*positions.T) * self.config.pixel_um
        edge = 1 / (1 + np.exp((radius_um - self.config.field_radius_um) / self.config.edge_um))
        power = np.clip(1 + self.config.gain_relief * at_cores, 0.1, None) * edge
        return np.sqrt(power).astype(np.float32)

    def _angular_spectrum(self) -> torch.Tensor:
        config = self.config
        f = torch.fft.fftfreq(self._grid, config.pixel_um, dtype=torch.float64)
        squared = f[:, None] ** 2 + f[None, :] ** 2
        # Evanescent waves cannot occur: Nyquist of the pixel pitch lies below 1/wavelength.
        axial = torch.sqrt(torch.clamp(1 / config.wavelength_um**2 - squared, min=0))
        phase = 2 * torch.pi * config.distance_um * (axial - 1 / config.wavelength_um)
        transfer = torch.polar(torch.ones_like(phase), phase)
        return transfer.to(torch.complex64).to(self.device)

    def _collection(self, positions: NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels (taps) of the SLM image under every core's mode, and the mode's amplitude there."""
        config, n = self.config, self.config.image_px
        angle = math.radians(config.rotation_deg)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        mirror = np.array([1.0, -1.0 if config.flip else 1.0])
        on_slm = config.scale * positions @ turn.T * mirror + np.asarray(config.shift_px) + (n - 1) / 2
        centre = np.rint(on_slm).astype(np.int64)
        steps = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"), -1).reshape(-1, 2)
        taps = centre[:, None, :] + steps
        distance = np.hypot(*np.moveaxis(taps - on_slm[:, None, :], -1, 0))
        weight = np.exp(-((distance * config.pixel_um / config.mode_radius_um) ** 2))
        weight /= weight.sum(1, keepdims=True)
        taps = np.clip(taps, 0, n - 1)
        return (
            torch.as_tensor(taps[..., 0] * n + taps[..., 1], device=self.device),
            torch.as_tensor(weight, dtype=torch.float32, device=self.device),
        )

    def _draw_coupling(self, positions: NDArray[np.float64], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Neighbours of every core (cores, k) and the complex coupling coefficients (modes, cores, k), rows of unit power."""
        sigma, modes = self.config.coupling_sigma_um / self.config.pixel_um, len(self.config.mode_weights)
        pitch = self.config.core_pitch_um / self.config.pixel_um
        count = max(1, min(round(7 * (sigma / pitch) ** 2 * 2 * np.pi / np.sqrt(3)), len(positions)))
        distance, neighbours = spatial.cKDTree(positions).query(positions, k=np.arange(1, count + 1))
        if count == 1:
            rows = np.ones((modes, len(positions), 1), np.complex64)
        else:
            draw = rng.normal(size=(2, modes, *neighbours.shape))
            rows = (draw[0] + 1j * draw[1]) * np.exp(-(distance**2) / (4 * sigma**2))
            rows /= np.sqrt((np.abs(rows) ** 2).sum(-1, keepdims=True))
        return (
            torch.as_tensor(neighbours, device=self.device),
            torch.as_tensor(rows.astype(np.complex64), device=self.device),
        )


def _fast_fft_size(minimum: int) -> int:
    """Smallest even size >= minimum whose prime factors are 2, 3 and 5."""
    size = minimum + minimum % 2
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 2
