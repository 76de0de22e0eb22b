"""The fibre calibrates itself: its complex response from the speckle of known probes, without any interferometer.

The twin's forward model is differentiable, so the response of every core is found by descent on the difference of measured
and predicted amplitudes, as in Wirtinger flow (Candes, Li and Soltanolkotabi, IEEE Trans. Inf. Theory 61, 1985, 2015) on the
amplitude loss (Zhang and Liang, NIPS 2016), from a random start. Known beforehand is the structure: where cores lie, how wide
their modes and the reach of their coupling are, and how light travels to the camera. A core's phase noise during each shot
is an unknown of its own with a Gaussian prior; without that it would be learned as if it were the fibre's.

After the fibre has moved, a few probes re-tune an earlier response: only core phases are unknown then.
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

#: A fit that explains less than this part of what repeats, anywhere in the field, on probes that it has not seen, is refused.
LEAST_QUALITY = 0.8
#: Below this the light did not even repeat.
_LEAST_CEILING = 0.5
_BATCH = 8
_TILE_PX = 32
_FLOOR = 1e-4
#: Side of each coarse grid of phases across the field.
_COARSE = (3, 6, 12, 24)
#: The descent looks at this radius first and has reached the rim at this part of its way: phases that settle everywhere at once
#: leave vortices, about which the phase turns by 2 pi, where regions that chose differently meet.
_SEED_UM, _GROWN = 20.0, 0.6


@dataclass(frozen=True)
class FitConfig:
    """How the descent goes.

    Parameters
    ----------
    steps : int
        Of Adam (Kingma and Ba, ICLR 2015), on up to 8 probes each. 0 takes 400 and, where coupling is to be found, 800 or 100
        for every 8 probes.
    rate : float
        First step of a core's response, in units of its expected size; all steps fall to nearly 0 as a cosine.
    phase_rate_rad : float
        First step of a core's noise and of the phases of coarse grids.
    background_rate : float
        First step of the background, in units of the mean intensity.
    prior : float
        Weight of the Gaussian prior of the response, whose width over distance is ``coupling_sigma_um``, for 32 probes; it
        falls with the square of their number. It is for coupling only.
    noise_prior : float
        Weight of the Gaussian prior of a core's phase noise, per rad^2; 0 takes 0.01 for a coupled fibre, else 1: few
        probes cannot tell noise from what they are there for.
    seed : int
        Of the random start.
    """

    steps: int = 0
    rate: float = 0.1
    phase_rate_rad: float = 0.02
    background_rate: float = 0.005
    prior: float = 0.002
    noise_prior: float = 0.0
    seed: int = 0


def fit(
    data: ProbePatternData,
    structure: OpticsConfig,
    *,
    start: FibreResponse | None = None,
    config: FitConfig | None = None,
    least_quality: float = LEAST_QUALITY,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FibreResponse:
    """Find the response that explains the probes.

    Parameters
    ----------
    data : ProbePatternData
        Probes and their frames.
    structure : OpticsConfig
        Core positions, mode size, geometry, number of modes, reach of coupling. The response that its seed draws is not read.
    start : FibreResponse, optional
        An earlier response, of which only the core phases are fitted anew.
    config : FitConfig
        Settings.
    least_quality : float
        What correlation and weakest have to reach as a fraction of the ceiling, see :class:`FibreResponse`.
    device : torch device
        Where to compute.
    progress : callable
        Called with steps done and in all.

    Raises
    ------
    CalibrationError
        Frames do not fit the structure, do not repeat, or are not predicted well enough.
    """
    config = config or FitConfig()
    n = structure.image_px
    if data.frames.shape[1:] != (n, n) or data.phases_rad.shape[1:] != (n, n):
        raise CalibrationError(
            f"frames are {data.frames.shape[1:]}, probes {data.phases_rad.shape[1:]}, the structure {n} px; register first"
        )
    ceiling = repeatability(data, structure)
    if not ceiling > _LEAST_CEILING:
        raise CalibrationError(
            f"a probe shown twice gives frames that allow a correlation of {ceiling:.2f} at most ({_LEAST_CEILING} needed); "
            "check that the fibre sees the panel and lies still"
        )
    optics = FibreOptics(structure, device)
    with torch.enable_grad():
        descent = _Descent(data, optics, start, config)
        descent.run(progress)
    transmission, background = descent.result()
    found = from_transmission(structure, transmission, background, len(data.frames))
    correlation, weakest = _agreement(found.optics(device), data)
    if not min(correlation, weakest) >= least_quality * ceiling:
        raise CalibrationError(
            f"left-out probes are predicted with a correlation of {correlation:.3f}, in the worst place {weakest:.3f}, where "
            f"{ceiling:.3f} is possible ({least_quality} of that is needed); use more than {len(data.frames)} probes"
        )
    return replace(found, correlation=correlation, weakest=weakest, ceiling=ceiling)


def repeatability(data: ProbePatternData, structure: OpticsConfig) -> float:
    """Root of the correlation of repeated frames: what the true response's prediction would have with one of them."""
    disc = _disc(structure)
    pairs = zip(data.left_first, data.left_again, strict=True)
    return math.sqrt(max(0.0, float(np.mean([np.corrcoef(a[disc], b[disc])[0, 1] for a, b in pairs]))))


def _agreement(optics: FibreOptics, data: ProbePatternData) -> tuple[float, float]:
    """Correlation of predicted and seen intensity on left-out probes: mean over them, and in the worst tile of the field.

    A vortex in the core phases spoils few pixels and hence no mean, but turns the phase of half the field.
    """
    with torch.no_grad():
        phases = torch.from_numpy(data.left_rad).to(optics.device)
        predicted = torch.cat([optics.intensity(phase) for phase in phases.split(1)]).cpu().numpy()
    predicted, seen = np.concatenate([predicted, predicted]), np.concatenate([data.left_first, data.left_again])
    disc = _disc(optics.config)
    whole = float(np.mean([np.corrcoef(a[disc], b[disc])[0, 1] for a, b in zip(predicted, seen, strict=True)]))
    tiles = []
    for row in range(0, len(disc) - _TILE_PX + 1, _TILE_PX // 2):
        for column in range(0, len(disc) - _TILE_PX + 1, _TILE_PX // 2):
            place = slice(row, row + _TILE_PX), slice(column, column + _TILE_PX)
            if disc[place].all():
                tiles.append(np.corrcoef(predicted[:, *place].ravel(), seen[:, *place].ravel())[0, 1])
    return whole, float(min(tiles, default=whole))


def _radius_um(structure: OpticsConfig) -> NDArray[np.float64]:
    axis = (np.arange(structure.image_px) - (structure.image_px - 1) / 2) * structure.pixel_um
    return np.asarray(np.hypot(axis[:, None], axis[None, :]))


def _disc(structure: OpticsConfig) -> NDArray[np.bool_]:
    return _radius_um(structure) <= structure.field_radius_um


class _Descent:
    """Unknowns, and the descent on them. Intensities are in units of their mean."""

    def __init__(self, data: ProbePatternData, optics: FibreOptics, start: FibreResponse | None, config: FitConfig) -> None:
        self._optics, self._config = optics, config
        device = optics.device
        self._mean = float(data.frames.mean())
        self._amplitude = torch.from_numpy(np.sqrt(np.maximum(data.frames / self._mean, 0))).to(device)
        with torch.no_grad():
            phases = torch.from_numpy(data.phases_rad).to(device)
            self._launched = torch.cat([optics.launch(phase) for phase in phases.split(1)])
        modes = len(optics.config.mode_weights)
        if start is None:
            generator = torch.Generator().manual_seed(config.seed)
            self._frame = self._envelope()
            unknown = torch.randn((modes, *self._frame.shape, 2), generator=generator) / math.sqrt(2)
        else:
            self._frame = torch.tensor(start.transmission() / math.sqrt(self._mean), device=device)
            unknown = torch.tensor([1.0, 0.0]).expand(*self._frame.shape[:2], 1, 2).clone()
        self._retune = start is not None
        self._unknown = unknown.to(device).requires_grad_()
        self._noise = torch.zeros(self._launched.shape[:2], device=device, requires_grad=True)
        first = 0.1 if start is None else start.background / self._mean
        self._background = torch.tensor(first, device=device, requires_grad=True)
        self._radius_um = torch.from_numpy(_radius_um(optics.config)).to(device)
        self._hats = _hats(optics).to(device)
        self._swell = torch.zeros((modes, self._hats.shape[1]), device=device, requires_grad=True)
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
            self._frame = self._frame / self._predict(torch.arange(min(2, len(self._launched)))).mean().sqrt()

    def _transmission(self) -> torch.Tensor:
        unknown = torch.view_as_complex(self._unknown)
        if self._retune:
            unknown = unknown / unknown.abs().clamp(min=1e-6)
        swell = self._swell @ self._hats.T
        return self._frame * unknown * torch.polar(torch.ones_like(swell), swell)[..., None]

    def _predict(self, chosen: torch.Tensor) -> torch.Tensor:
        launched = self._launched[chosen][:, self._optics.neighbours]
        light = torch.einsum("pck,mck->pmc", launched, self._transmission())
        noise = self._noise[chosen]
        field = self._optics.propagate(light * torch.polar(torch.ones_like(noise), noise)[:, None])
        return (field.real.square() + field.imag.square()).sum(1)

    def run(self, progress: Callable[[int, int], None]) -> None:
        config, count = self._config, len(self._launched)
        rich = self._unknown.shape[2] > 1
        rim_um = self._optics.config.field_radius_um
        steps = config.steps or (max(800, 100 * count // _BATCH) if rich else 400)
        prior = config.prior * (32 / count) ** 2 if rich else 0.0
        noise_prior = config.noise_prior or (0.01 if self._optics.neighbours.shape[1] > 1 else 1.0)
        rates = (config.rate, config.phase_rate_rad, config.phase_rate_rad, config.background_rate)
        groups = zip((self._unknown, self._noise, self._swell, self._background), rates, strict=True)
        adam = torch.optim.Adam([{"params": [what], "lr": rate} for what, rate in groups], betas=(0.9, 0.99))
        generator = torch.Generator().manual_seed(config.seed)
        batches: list[torch.Tensor] = []
        for step in range(steps):
            fall = 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01
            for group, rate in zip(adam.param_groups, rates, strict=True):
                group["lr"] = rate * fall
            batches = batches or list(torch.randperm(count, generator=generator).split(_BATCH))
            chosen = batches.pop()
            predicted = (self._predict(chosen) + self._background.clamp(min=0) + _FLOOR).sqrt()
            error = (predicted - self._amplitude[chosen]).square()
            part = step / (_GROWN * steps)
            if part < 1:
                error = error * (self._radius_um < _SEED_UM + part * (rim_um - _SEED_UM))
            loss = error.mean()
            loss = loss + noise_prior * self._noise[chosen].square().mean()
            loss = loss + prior * self._unknown.square().sum(-1).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            progress(step + 1, steps)

    def result(self) -> tuple[NDArray[np.complex64], float]:
        """Transmission (modes, cores, k) and background, in the units of the frames."""
        with torch.no_grad():
            transmission = self._transmission() * math.sqrt(self._mean)
            if not self._retune:
                transmission = _principal(transmission)
            background = float(self._background.clamp(min=0)) * self._mean
        return np.asarray(transmission.cpu().numpy(), np.complex64), background


def _hats(optics: FibreOptics) -> torch.Tensor:
    """Bilinear weights of every core on the nodes of all coarse grids, (cores, nodes)."""
    reach_px = np.abs(optics.core_positions_px).max()
    parts = []
    for side in _COARSE:
        at = torch.as_tensor((optics.core_positions_px / reach_px + 1) / 2 * (side - 1), dtype=torch.float32)
        row, column = ((1 - (at[:, axis, None] - torch.arange(side)).abs()).clamp(min=0) for axis in (0, 1))
        parts.append((row[:, :, None] * column[:, None, :]).flatten(1))
    return torch.cat(parts, 1)


def _principal(transmission: torch.Tensor) -> torch.Tensor:
    """Turn modes so that they are uncorrelated, the strongest first.

    Incoherent sums do not change when modes are mixed unitarily, but core phases that move later do so in the fibre's own
    modes, which are independent and hence nearly uncorrelated over a whole fibre.
    """
    flat = transmission.flatten(1)
    _, vectors = torch.linalg.eigh(flat @ flat.mH)
    return (vectors.flip(1).mH @ flat).reshape(transmission.shape)
