"""Forward model of the digital twin, differentiable in torch: SLM field, fibre cores, propagation, camera intensity.

1. The pattern is imaged onto the input facet. Every core collects the field that overlaps its mode.
2. Along the fibre neighbouring cores couple light with random phases (a Gaussian neighbourhood, different for each mode), and
   every core adds its own random phase.
3. From the output facet the light propagates a short distance (angular spectrum; Goodman, Introduction to Fourier Optics,
   3rd ed., eq. 3-74). The modes add incoherently on the camera.

The coupling is random, not a blur of the field, because the second-order statistics of real fibres show it: ``<u_i u_j*>``
averages ``exp(i(phi_i-phi_j))`` over the neighbourhood. A seed is a fibre; ``drift_rad`` moves its core phases.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import fft, ndimage, spatial

from drivers.base import DeviceError, WrongPatternError
from drivers.twin.core_lattice import core_lattice
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.parallel import parallel_map


@dataclass(frozen=True, kw_only=True)
class CoreResponse:
    """What a fibre does to the light of its cores.

    Parameters
    ----------
    gain : tensor of float32, shape (cores,) or (modes, cores)
        Amplitude.
    rest_phase_rad, drift_direction : tensor of float32, shape (modes, cores)
        Phase without drift, and its change per radian of drift.
    coupling : tensor of complex64, shape (modes, cores, k)
        Share of each of a core's k neighbours.
    mode_power : tensor of float32, shape (1, modes, 1, 1)
        Relative power of every mode; the sum is 1 unless ``gain`` already contains it.
    scale : float
        Factor from the model's power to camera intensity.
    """

    gain: torch.Tensor
    rest_phase_rad: torch.Tensor
    drift_direction: torch.Tensor
    coupling: torch.Tensor
    mode_power: torch.Tensor
    scale: float


@dataclass(frozen=True, kw_only=True)
class Facet:
    """A square facet of ``side`` pixels of the camera, on which light propagates with Fourier transforms.

    Parameters
    ----------
    owner : tensor of int64, shape (side * side,)
        The core that each pixel belongs to.
    mode_field : tensor of float32, shape (side, side)
        Amplitude of the owner's mode.
    transfer : tensor of complex64, shape (side, side)
        The propagation to the camera, in the order of frequencies of ``torch.fft``.
    """

    owner: torch.Tensor
    mode_field: torch.Tensor
    transfer: torch.Tensor

    def energy(self, cores: int) -> torch.Tensor:
        """Return the light of a mode of amplitude 1 of every core, (cores,); 0 for cores without a pixel here."""
        light = self.mode_field.square().flatten()
        return light.new_zeros(cores).index_add(0, self.owner, light)


class FibreOptics:
    """Differentiable forward model of one fibre.

    Parameters
    ----------
    config : OpticsConfig
        The fibre and its optics.
    device : torch device
        Device of all tensors.
    """

    def __init__(self, config: OpticsConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.device = torch.device(device)
        n = config.image_px
        # FFTs are periodic: zero padding keeps light that leaves at one edge from entering at the other.
        #: How far the light of a core spreads on its way to the camera, in pixels.
        self.margin_px = math.ceil(2.2 * config.defocus_px * 0.122) + 1
        # Even, with the prime factors 2, 3 and 5 only.
        self._grid = 2 * fft.next_fast_len(math.ceil((n + 2 * self.margin_px) / 2), real=True)
        self._offset = (self._grid - n) // 2
        rng = np.random.default_rng(config.seed)
        positions = core_lattice(config, rng)
        self.cores = len(positions)
        if self.cores < 2:
            raise DeviceError("the simulated fibre has no cores; make field_radius_um larger than core_pitch_um")
        self.core_positions_px = positions
        facet = self.facet(self._grid)
        self._owner, self._mode_field, self._transfer = facet.owner, facet.mode_field, facet.transfer
        self._mode_energy = facet.energy(self.cores).clamp(min=1e-12)
        self._tap_index, self._tap_weight = self._collection(positions)
        self._neighbours, self.response = self._draw_response(positions, rng)
        self.set_drift(config.drift_rad)

    def set_drift(self, drift_rad: float) -> None:
        """Move every core's phase by ``drift_rad`` rms along the fibre's drift direction."""
        self.drift_rad = drift_rad
        self.core_phase = self.response.rest_phase_rad + drift_rad * self.response.drift_direction

    @property
    def core_gain(self) -> torch.Tensor:
        """Amplitude of every core: (cores,) or (modes, cores)."""
        return self.response.gain

    @property
    def neighbours(self) -> torch.Tensor:
        """Cores with which every core couples, itself first, then by distance: (cores, k) of int64."""
        return self._neighbours

    def with_response(self, core_gain: torch.Tensor, core_phase_rad: torch.Tensor, coupling: torch.Tensor) -> FibreOptics:
        """Return the same structure with a measured response.

        Parameters
        ----------
        core_gain, core_phase_rad : tensor of float32, shape (modes, cores)
            Amplitude and phase of every core. The amplitude contains the mode's share of the power.
        coupling : tensor of complex64, shape (modes, cores, k)
            Share of each of a core's :attr:`neighbours`; not used if k is 1, which means that cores do not couple.

        Returns
        -------
        FibreOptics
            The unit of its intensity is the square of the gain's unit. It has no drift.

        Raises
        ------
        ValueError
            The shapes do not fit each other or the number of cores.
        """
        shape = (len(core_gain), self.cores)
        together = (*shape, self.neighbours.shape[1])
        if not (core_gain.shape == core_phase_rad.shape == shape and coupling.shape == together):
            raise ValueError(
                f"a response must be for {together}, got {core_gain.shape}, {core_phase_rad.shape}, {coupling.shape}"
            )
        other = copy.copy(self)
        other.response = CoreResponse(
            gain=core_gain,
            rest_phase_rad=core_phase_rad,
            drift_direction=torch.zeros_like(core_phase_rad),
            coupling=coupling,
            mode_power=torch.ones((1, len(core_gain), 1, 1), device=self.device),
            scale=1.0,
        )
        other.set_drift(0.0)
        return other

    @property
    def taps(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The pattern's pixels under every core's mode, as flat indices, and the mode's amplitude there, both (cores, taps)."""
        return self._tap_index, self._tap_weight

    def facet(self, side: int) -> Facet:
        """Return the facet on a grid of ``side`` pixels of the camera; the propagation is periodic with this length."""
        owner, mode_field = self._facet_map(side)
        return Facet(
            owner=torch.as_tensor(owner.ravel(), device=self.device),
            mode_field=torch.as_tensor(mode_field, device=self.device),
            transfer=self._angular_spectrum(side),
        )

    def transmission(self) -> torch.Tensor:
        """Return the complex share of each of a core's :attr:`neighbours` at the output facet, (modes, cores, k), complex64.

        The power of the propagated field, summed over the modes, is :meth:`intensity`.
        """
        share = self.response.mode_power.reshape(-1, 1) * self.response.scale
        response = torch.polar(self.core_gain * share.sqrt(), self.core_phase)
        return self.response.coupling * response[..., None]

    def launch(self, phase_rad: torch.Tensor) -> torch.Tensor:
        """Return the complex amplitude that every core collects from the pattern.

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
            raise WrongPatternError(f"the optics need a phase (b, {n}, {n}), got {tuple(phase_rad.shape)}; resize the pattern")
        taps = phase_rad.flatten(1)[:, self._tap_index]
        real = (taps.cos() * self._tap_weight).sum(-1)
        imaginary = (taps.sin() * self._tap_weight).sum(-1)
        return torch.complex(real, imaginary)

    def launch_back(self, amplitude: torch.Tensor) -> torch.Tensor:
        """Return the field on the SLM for core amplitudes, by the transpose of :meth:`launch`: (b, cores) -> (b, n, n)."""
        n = self.config.image_px
        shares = (amplitude[..., None] * self._tap_weight).flatten(1)
        return shares.new_zeros((len(shares), n * n)).index_add(1, self._tap_index.flatten(), shares).unflatten(1, (n, n))

    def couple(self, amplitude: torch.Tensor) -> torch.Tensor:
        """Return the amplitudes after neighbouring cores have coupled: (b, cores) -> (b, modes, cores), linear."""
        if self._neighbours.shape[1] == 1:
            return amplitude[:, None, :].expand(-1, len(self.response.coupling), -1)
        return torch.stack([(amplitude[:, self._neighbours] * mode).sum(-1) for mode in self.response.coupling], 1)

    def propagate(self, amplitude: torch.Tensor) -> torch.Tensor:
        """Return the field on the camera for complex core amplitudes.

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
        """Return every core's amplitude in a camera field, propagated back: (b, modes, n, n) -> (b, modes, cores)."""
        facet = torch.fft.ifft2(torch.fft.fft2(F.pad(field, [self._offset] * 4)).mul_(self._transfer.conj()))
        overlap = facet.mul_(self._mode_field).flatten(-2)
        zeros = overlap.new_zeros((*field.shape[:2], self.cores))
        return zeros.index_add(-1, self._owner, overlap) / self._mode_energy

    def field(self, phase_rad: torch.Tensor, core_noise_rad: torch.Tensor | None = None) -> torch.Tensor:
        """Return the camera field of every mode, shape (b, modes, n, n), for patterns (b, n, n)."""
        return self.propagate(self._output(phase_rad, core_noise_rad))

    def intensity(self, phase_rad: torch.Tensor, core_noise_rad: torch.Tensor | None = None) -> torch.Tensor:
        """Return the camera intensity without noise; its mean over the fibre is 1 for a flat phase.

        Parameters
        ----------
        phase_rad : tensor, shape (b, n, n)
            Displayed phase in radians.
        core_noise_rad : tensor, shape (b, cores), optional
            Additional phase of every core during this exposure, in radians.

        Returns
        -------
        tensor of float32, shape (b, n, n)
        """
        if self.device.type != "cpu":
            return self._power(self._output(phase_rad, core_noise_rad)) * self.response.scale
        # The field of one frame fits into the CPU's caches, that of a batch does not.
        noises = [None] * len(phase_rad) if core_noise_rad is None else core_noise_rad.split(1)
        frames = list(zip(phase_rad.split(1), noises, strict=True))
        return torch.cat(parallel_map(lambda frame: self._power(self._output(*frame)), frames)) * self.response.scale

    def _output(self, phase_rad: torch.Tensor, core_noise_rad: torch.Tensor | None) -> torch.Tensor:
        """Return the amplitude of every core at the output facet, (b, modes, cores)."""
        core_phase = self.core_phase
        if core_noise_rad is not None:
            core_phase = core_phase + core_noise_rad[:, None, :]
        response = torch.polar(self.core_gain.expand_as(core_phase), core_phase)
        return self.couple(self.launch(phase_rad)) * response

    def _power(self, amplitude: torch.Tensor) -> torch.Tensor:
        field = self.propagate(amplitude)
        return ((field.real.square() + field.imag.square()) * self.response.mode_power).sum(1)

    @property
    def side_px(self) -> int:
        """Side of a frame in pixels."""
        return self.config.image_px

    @property
    def serial(self) -> str:
        """What tells this twin from others."""
        return f"twin-{self.config.seed}"

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels of a frame: none, it is grey."""
        return ()

    def seen(self, phase_rad: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the light (n, n) of one exposure, in which the phases (m, n, n) are shown one after the other."""
        noise = self.shot_noise_rad(1, generator).expand(len(phase_rad), -1)
        return self.intensity(phase_rad, noise).mean(0) + self.config.background

    def shot_noise_rad(self, batch: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw the phase noise of every core for ``batch`` exposures, shape (batch, cores), in radians."""
        noise = torch.randn((batch, self.cores), generator=generator, device=self.device)
        return noise * self.config.phase_noise_rad

    def _draw_response(self, positions: NDArray[np.float64], rng: np.random.Generator) -> tuple[torch.Tensor, CoreResponse]:
        """Draw the neighbours of every core (cores, k) and the fibre's response."""
        config = self.config
        gain = torch.as_tensor(self._gain(positions, rng), device=self.device)
        phases = rng.uniform(0, 2 * np.pi, (len(config.mode_weights), self.cores))
        drift = np.random.default_rng((config.seed, 7, config.drift_seed)).normal(size=phases.shape)
        neighbours, coupling = self._draw_coupling(positions, rng)
        weights = torch.tensor(config.mode_weights, device=self.device)
        return neighbours, CoreResponse(
            gain=gain,
            rest_phase_rad=torch.as_tensor(phases, dtype=torch.float32, device=self.device),
            drift_direction=torch.as_tensor(drift, dtype=torch.float32, device=self.device),
            coupling=coupling,
            mode_power=(weights / weights.sum()).reshape(1, -1, 1, 1),
            scale=self._plateau_scale(gain),
        )

    def _plateau_scale(self, gain: torch.Tensor) -> float:
        # Normalised by the expected (incoherent) sum, so that the scale does not depend on a single speckle pattern.
        n = self.config.image_px
        energy = float((self._mode_field.square().sum()) / self._grid**2)
        inside = np.pi * (self.config.field_radius_um / self.config.pixel_um) ** 2
        mean_gain = float(gain.square().mean())
        owned = energy * self._grid**2 * mean_gain
        return float((1 - self.config.background) * min(inside, n * n) / owned)

    def _facet_map(self, side: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        # Every facet pixel belongs to its nearest core: neighbouring modes overlap by less than 4 % in amplitude.
        axis = np.arange(side) - (side - 1) / 2
        pixels = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
        distance, owner = spatial.cKDTree(self.core_positions_px).query(pixels)
        radius = self.config.mode_radius_um / self.config.pixel_um
        mode_field = np.exp(-((distance / radius) ** 2)).astype(np.float32)
        mode_field[mode_field < 1e-4] = 0
        return owner.astype(np.int64), mode_field.reshape(side, side)

    def _gain(self, positions: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
        n = self._grid
        smooth = ndimage.gaussian_filter(rng.normal(size=(n, n)), self.config.relief_sigma_um / self.config.pixel_um)
        at_cores = ndimage.map_coordinates(smooth, (positions + (n - 1) / 2).T, order=1)
        # A field contains only a few patches of the relief, so this draw is scaled to the configured standard deviation.
        at_cores = (at_cores - at_cores.mean()) / at_cores.std()
        radius_um = np.hypot(*positions.T) * self.config.pixel_um
        edge = 1 / (1 + np.exp((radius_um - self.config.field_radius_um) / self.config.edge_um))
        power = np.clip(1 + self.config.gain_relief * at_cores, 0.1, None) * edge
        return np.sqrt(power).astype(np.float32)

    def _angular_spectrum(self, side: int) -> torch.Tensor:
        config = self.config
        f = torch.fft.fftfreq(side, config.pixel_um, dtype=torch.float64)
        squared = f[:, None] ** 2 + f[None, :] ** 2
        # There are no evanescent waves: the Nyquist frequency of the pixels is below 1/wavelength.
        axial = torch.sqrt(torch.clamp(1 / config.wavelength_um**2 - squared, min=0))
        phase = 2 * torch.pi * config.distance_um * (axial - 1 / config.wavelength_um)
        transfer = torch.polar(torch.ones_like(phase), phase)
        return transfer.to(torch.complex64).to(self.device)

    def _collection(self, positions: NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the indices of the pattern's pixels (taps) under every core's mode, and the mode's amplitude there."""
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
        """Return every core's neighbours (cores, k) and complex coupling coefficients (modes, cores, k), rows of unit power."""
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
