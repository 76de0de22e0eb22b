"""Self-calibration: the fibre's complex response from the speckle of known probe patterns, without an interferometer.

The twin's forward model is differentiable. Gradient descent from a random start minimises the difference of measured and
predicted amplitudes and so finds the response of every core. This is Wirtinger flow (Candes, Li and Soltanolkotabi, IEEE Trans.
Inf. Theory 61, 1985, 2015) with the amplitude loss (Zhang and Liang, NIPS 2016). The structure must be known: where the cores
lie, how wide their modes are, how far they couple, and how light travels to the camera. The phase noise of every core in every
shot is an unknown of its own with a Gaussian prior. Otherwise the fit would attribute it to the fibre.

After the fibre has moved, a few probe patterns re-tune an earlier response. Then only the core phases are unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from calibration.fibre.probe_patterns import ProbePatternData
from calibration.fibre.response import FibreResponse, from_transmission
from calibration.stored import CalibrationError
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig

#: A fit is refused if its correlation with held-out probe patterns, over the field or in any tile, is below this fraction of
#: the ceiling.
LEAST_QUALITY = 0.8
#: If the ceiling is lower, not even the same pattern gives the same speckle again.
_LEAST_CEILING = 0.5
_BATCH = 8
_TILE_PX = 32
#: Keeps the square root of a dark pixel's intensity differentiable; the mean intensity is 1.
_DARK = 1e-4
#: Sides of the coarse grids of phases across the field.
_COARSE = (3, 6, 12, 24)
#: The descent starts with a disc of this radius, and the disc reaches the rim of the field after this fraction of the steps. If
#: the phases settled everywhere at once, vortices, around which the phase turns by 2 pi, would remain where different regions
#: meet.
_FIRST_RADIUS_UM, _GROWTH = 20.0, 0.6


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Settings of the gradient descent.

    Parameters
    ----------
    steps : int
        Steps of Adam (Kingma and Ba, ICLR 2015), on up to 8 probe patterns each. 0 means 400 without coupling. With coupling
        it means 100 for every 8 probe patterns, at least 800.
    rate : float
        First step of a core's response, in units of its expected size. All steps decrease to nearly 0 as a cosine.
    phase_rate_rad : float
        First step of a core's phase noise and of the phases on the coarse grids.
    background_rate : float
        First step of the background, in units of the mean intensity.
    prior : float
        Weight, for 32 probe patterns, of the Gaussian prior of the response, whose width over distance is
        ``coupling_sigma_um``. The weight decreases with the square of their number. Used with coupling only.
    noise_prior : float
        Weight of the Gaussian prior of a core's phase noise, per rad^2. 0 means 0.01 with coupling and 1 without: few probe
        patterns cannot separate the noise from the response.
    seed : int
        Seed of the random start.
    least_quality : float
        Correlation that the fit must reach over the field and in every tile, as a fraction of the ceiling; see
        :class:`calibration.fibre.response.FibreResponse`.
    device : torch device
        Where to compute.
    """

    steps: int = 0
    rate: float = 0.1
    phase_rate_rad: float = 0.02
    background_rate: float = 0.005
    prior: float = 0.002
    noise_prior: float = 0.0
    seed: int = 0
    least_quality: float = LEAST_QUALITY
    device: torch.device | str = "cpu"


def fit(
    data: ProbePatternData,
    structure: OpticsConfig,
    *,
    start: FibreResponse | None = None,
    config: FitConfig | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FibreResponse:
    """Fit the response to the frames of the probe patterns.

    Parameters
    ----------
    data : ProbePatternData
        Probe patterns and their frames.
    structure : OpticsConfig
        Core positions, mode size, geometry, number of modes, reach of coupling. Its seed is not used.
    start : FibreResponse, optional
        An earlier response. If given, only its core phases are fitted again.
    config : FitConfig, optional
        Settings.
    progress : callable
        Called with the number of steps done and the number of all steps.

    Raises
    ------
    CalibrationError
        The frames do not have the shape of the structure, do not repeat, or are not predicted well enough.
    """
    config = config or FitConfig()
    n = structure.image_px
    if data.frames.shape[1:] != (n, n) or data.phases_rad.shape[1:] != (n, n):
        raise CalibrationError(
            f"the frames are {data.frames.shape[1:]} px, the probe patterns {data.phases_rad.shape[1:]} px, the fibre's "
            f"structure is for {(n, n)} px; register first"
        )
    ceiling = repeatability(data, structure)
    if not ceiling > _LEAST_CEILING:
        raise CalibrationError(
            f"the frames of a repeated probe pattern allow a correlation of {ceiling:.2f} at most, {_LEAST_CEILING} is needed; "
            "check that the SLM's light reaches the fibre and that the fibre does not move"
        )
    optics = FibreOptics(structure, config.device)
    with torch.enable_grad():
        descent = _Descent(data, optics, start, config)
        descent.run(progress)
    transmission, background = descent.result()
    response = from_transmission(structure, transmission, background, len(data.frames))
    correlation, weakest = held_out_correlation(response.optics(config.device), data)
    if not min(correlation, weakest) >= config.least_quality * ceiling:
        raise CalibrationError(
            f"held-out probe patterns are predicted with a correlation of {correlation:.3f}, in the worst tile {weakest:.3f}; "
            f"{ceiling:.3f} is possible and {config.least_quality} of that is needed; use more than {len(data.frames)} probe "
            "patterns"
        )
    return replace(response, correlation=correlation, weakest=weakest, ceiling=ceiling)


def repeatability(data: ProbePatternData, structure: OpticsConfig) -> float:
    """Return the root of the correlation of repeated frames, which is the true response's correlation with one frame."""
    disc = _disc(structure)
    pairs = zip(data.held_out_first, data.held_out_again, strict=True)
    return math.sqrt(max(0.0, float(np.mean([np.corrcoef(a[disc], b[disc])[0, 1] for a, b in pairs]))))


def held_out_correlation(optics: FibreOptics, data: ProbePatternData) -> tuple[float, float]:
    """Return the correlation of predicted and measured intensity of the held-out probe patterns.

    The first value is for the whole field, the second for its worst tile. The worst tile matters because a vortex in the core
    phases spoils few pixels, and hence no mean, but it turns the phase of half the field.
    """
    with torch.no_grad():
        phases = torch.from_numpy(data.held_out_rad).to(optics.device)
        predicted = torch.cat([optics.intensity(phase) for phase in phases.split(1)]).cpu().numpy()
    predicted, measured = np.concatenate([predicted, predicted]), np.concatenate([data.held_out_first, data.held_out_again])
    disc = _disc(optics.config)
    whole = float(np.mean([np.corrcoef(a[disc], b[disc])[0, 1] for a, b in zip(predicted, measured, strict=True)]))
    tiles = []
    for row in range(0, len(disc) - _TILE_PX + 1, _TILE_PX // 2):
        for column in range(0, len(disc) - _TILE_PX + 1, _TILE_PX // 2):
            place = slice(row, row + _TILE_PX), slice(column, column + _TILE_PX)
            if disc[place].all():
                tiles.append(np.corrcoef(predicted[:, *place].ravel(), measured[:, *place].ravel())[0, 1])
    return whole, float(min(tiles, default=whole))


def _radius_um(structure: OpticsConfig) -> NDArray[np.float64]:
    axis = (np.arange(structure.image_px) - (structure.image_px - 1) / 2) * structure.pixel_um
    return np.asarray(np.hypot(axis[:, None], axis[None, :]))


def _disc(structure: OpticsConfig) -> NDArray[np.bool_]:
    return _radius_um(structure) <= structure.field_radius_um


class _Descent:
    """The unknowns and the gradient descent. Intensities are in units of their mean."""

    def __init__(self, data: ProbePatternData, optics: FibreOptics, start: FibreResponse | None, config: FitConfig) -> None:
        self._optics = optics
        self._config = config
        device = optics.device
        self._mean = float(data.frames.mean())
        self._amplitude = torch.from_numpy(np.sqrt(np.maximum(data.frames / self._mean, 0))).to(device)
        with torch.no_grad():
            phases = torch.from_numpy(data.phases_rad).to(device)
            self._launched = torch.cat([optics.launch(phase) for phase in phases.split(1)])
        modes = len(optics.config.mode_weights)
        if start is None:
            generator = torch.Generator().manual_seed(config.seed)
            self._expected = self._envelope()
            unknown = torch.randn((modes, *self._expected.shape, 2), generator=generator) / math.sqrt(2)
        else:
            self._expected = torch.tensor(start.transmission() / math.sqrt(self._mean), device=device)
            unknown = torch.tensor([1.0, 0.0]).expand(*self._expected.shape[:2], 1, 2).clone()
        self._retune = start is not None
        self._unknown = unknown.to(device).requires_grad_()
        self._noise = torch.zeros(self._launched.shape[:2], device=device, requires_grad=True)
        first = 0.1 if start is None else start.background / self._mean
        self._background = torch.tensor(first, device=device, requires_grad=True)
        self._radius_um = torch.from_numpy(_radius_um(optics.config)).to(device)
        self._hats = _hats(optics).to(device)
        self._coarse_rad = torch.zeros((modes, self._hats.shape[1]), device=device, requires_grad=True)
        if start is None:
            self._scale_to_light()

    def _envelope(self) -> torch.Tensor:
        """Return the expected size of a core's transmission from each neighbour, (cores, k), every row of unit power."""
        optics = self._optics
        at = torch.as_tensor(optics.core_positions_px * optics.config.pixel_um, dtype=torch.float32, device=optics.device)
        if optics.neighbours.shape[1] == 1:
            return torch.ones((len(at), 1), device=optics.device)
        away_um = (at[optics.neighbours] - at[:, None]).norm(dim=-1)
        size = torch.exp(-(away_um**2) / (4 * optics.config.coupling_sigma_um**2))
        return size / size.square().sum(1, keepdim=True).sqrt()

    def _scale_to_light(self) -> None:
        with torch.no_grad():
            self._expected = self._expected / self._predict(torch.arange(min(2, len(self._launched)))).mean().sqrt()

    def _transmission(self) -> torch.Tensor:
        unknown = torch.view_as_complex(self._unknown)
        if self._retune:
            unknown = unknown / unknown.abs().clamp(min=1e-6)
        coarse_rad = self._coarse_rad @ self._hats.T
        return self._expected * unknown * torch.polar(torch.ones_like(coarse_rad), coarse_rad)[..., None]

    def _predict(self, chosen: torch.Tensor) -> torch.Tensor:
        launched = self._launched[chosen][:, self._optics.neighbours]
        light = torch.einsum("pck,mck->pmc", launched, self._transmission())
        noise = self._noise[chosen]
        field = self._optics.propagate(light * torch.polar(torch.ones_like(noise), noise)[:, None])
        return (field.real.square() + field.imag.square()).sum(1)

    def run(self, progress: Callable[[int, int], None]) -> None:
        config, count = self._config, len(self._launched)
        steps = config.steps or (max(800, 100 * count // _BATCH) if self._coupling_unknown else 400)
        rates = (config.rate, config.phase_rate_rad, config.phase_rate_rad, config.background_rate)
        groups = zip((self._unknown, self._noise, self._coarse_rad, self._background), rates, strict=True)
        adam = torch.optim.Adam([{"params": [what], "lr": rate} for what, rate in groups], betas=(0.9, 0.99))
        generator = torch.Generator().manual_seed(config.seed)
        batches: list[torch.Tensor] = []
        for step in range(steps):
            decay = 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01
            for group, rate in zip(adam.param_groups, rates, strict=True):
                group["lr"] = rate * decay
            batches = batches or list(torch.randperm(count, generator=generator).split(_BATCH))
            loss = self._loss(batches.pop(), step / (_GROWTH * steps))
            adam.zero_grad()
            loss.backward()
            adam.step()
            progress(step + 1, steps)

    @property
    def _coupling_unknown(self) -> bool:
        """Whether a core's response to its neighbours is fitted, too, and not only to its own light."""
        return self._unknown.shape[2] > 1

    def _loss(self, chosen: torch.Tensor, growth: float) -> torch.Tensor:
        """Return the loss on chosen probe patterns, in a disc that has its full size when ``growth`` reaches 1."""
        config = self._config
        predicted = (self._predict(chosen) + self._background.clamp(min=0) + _DARK).sqrt()
        error = (predicted - self._amplitude[chosen]).square()
        if growth < 1:
            rim_um = self._optics.config.field_radius_um
            error = error * (self._radius_um < _FIRST_RADIUS_UM + growth * (rim_um - _FIRST_RADIUS_UM))
        noise_prior = config.noise_prior or (0.01 if self._optics.neighbours.shape[1] > 1 else 1.0)
        prior = config.prior * (32 / len(self._launched)) ** 2 if self._coupling_unknown else 0.0
        loss = error.mean()
        loss = loss + noise_prior * self._noise[chosen].square().mean()
        return loss + prior * self._unknown.square().sum(-1).mean()

    def result(self) -> tuple[NDArray[np.complex64], float]:
        """Return transmission (modes, cores, k) and background, in the units of the frames."""
        with torch.no_grad():
            transmission = self._transmission() * math.sqrt(self._mean)
            if not self._retune:
                transmission = _principal(transmission)
            background = float(self._background.clamp(min=0)) * self._mean
        return np.asarray(transmission.cpu().numpy(), np.complex64), background


def _hats(optics: FibreOptics) -> torch.Tensor:
    """Return the bilinear weights of every core on the nodes of all coarse grids, (cores, nodes)."""
    reach_px = np.abs(optics.core_positions_px).max()
    parts = []
    for side in _COARSE:
        at = torch.as_tensor((optics.core_positions_px / reach_px + 1) / 2 * (side - 1), dtype=torch.float32)
        row, column = ((1 - (at[:, axis, None] - torch.arange(side)).abs()).clamp(min=0) for axis in (0, 1))
        parts.append((row[:, :, None] * column[:, None, :]).flatten(1))
    return torch.cat(parts, 1)


def _principal(transmission: torch.Tensor) -> torch.Tensor:
    """Mix the modes unitarily so that they are uncorrelated, the strongest first.

    A unitary mixture does not change the intensity, which is an incoherent sum. But when the fibre moves, the core phases
    change in the fibre's own modes, which are independent and therefore nearly uncorrelated over a whole fibre.
    """
    flat = transmission.flatten(1)
    _, vectors = torch.linalg.eigh(flat @ flat.mH)
    return (vectors.flip(1).mH @ flat).reshape(transmission.shape)
