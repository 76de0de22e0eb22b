"""Few steps through the calibrated fibre: predict the speckle, see what is wrong with it, let a network correct.

A learned descent in the sense of Adler and Oktem (IEEE Trans. Med. Imaging 37, 1322, 2018) on two unknowns: the picture, on a
grid finer than what is shown, and every core's own phase in this very shot, which left out would be taken for picture. Both go
by their own gradient (:mod:`reconstruction.calibrated.speckle_residual`), the picture on several scales at once, and by what
a small network, one for each step, makes of the residual.

The networks know nothing of a particular fibre, only maps over its facet: trained on many simulated fibres, with the errors
that calibrations have, they take any calibrated one. Faster and better is to start from what a referenced model of the same
fibre gives, which counts as the first step. How far a fibre has moved since its calibration is seen in the
reference, whose phase is known to be flat: its residual is another input.

No intensity tells the phase's level. :class:`reconstruction.networks.piston.PistonNet` guesses it from the picture and says how
surely; where there is a start, its own guess counts too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from reconstruction.base import ReconstructionError
from reconstruction.calibrated.speckle_residual import Residual, SpeckleResidual
from reconstruction.data.batch import Batch, Pairs
from reconstruction.models.losses import centred, phase_loss, uncertain_loss
from reconstruction.models.reconstructor import NetworkConfig, Reconstructor
from reconstruction.networks.piston import PistonNet, fit_piston
from reconstruction.networks.step_unet import StepUNet

#: Phase pixels per grid cell and side: what a core sees is finer than what is shown.
FINE = 2
#: Maps of one residual at the cores, of the reference's, and what goes with them: core phases, cells with cores, disc.
_RESIDUAL_MAPS, _REFERENCE_MAPS, _OTHERS = 5, 3, 3
#: Scales on which the picture descends, each twice as coarse as the one before.
_SCALES = 5
#: Factors of one descent, which are learned: of the picture's scales, its momentum, the cores' own phases, their momentum. At
#: first the cores go: theirs are the larger errors.
_FIRST, _LATER = ((0.5,) * _SCALES, 0.0, 3.0, 0.0), ((4.0,) * _SCALES, 0.5, 2.0, 0.5)
#: How far a start's level is off, root mean square over validation images.
_START_PISTON_STD_RAD = 0.2
#: Of what is beyond black and white, in training.
_BEYOND = 0.1
#: What is left of a slope is small; networks see it larger.
_SLOPE_SCALE = 5.0
#: Weight of earlier steps, of the fine picture, of the core noise, where that is known, and of the spread, in the loss.
_EARLIER, _FINE_WEIGHT, _NOISE_WEIGHT, _SIGMA_WEIGHT = 0.4, 0.3, 10.0, 0.1


@dataclass(frozen=True)
class FewStepConfig(NetworkConfig):
    """Shape of the loop.

    Parameters
    ----------
    start : str
        Referenced model whose phase the first step starts from; flat without one.
    steps : int
        Each has a U-Net of its own, of ``base_channels`` and ``multipliers``, and hands ``hidden`` maps on to the next.
    descents : int
        Residuals for every step: picture and cores go by their gradients so often before a network looks at what is left, and
        keep their momentum (Polyak, USSR Comput. Math. Math. Phys. 4, 1, 1964).
    """

    start: str = ""
    steps: int = 4
    descents: int = 5
    base_channels: int = 24
    multipliers: tuple[int, ...] = (1, 2, 4)
    hidden: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.steps, self.descents) < 1 or self.hidden < 0:
            raise ValueError(f"a loop has at least one step of each kind and no negative number of hidden maps, got {self}")
        halvings = max(len(self.multipliers) - 1, _SCALES - 2)
        if self.grid_px % 2**halvings:
            raise ValueError(f"grid_px {self.grid_px} cannot be halved {halvings} times")


@dataclass(frozen=True, eq=False)
class FibreBatch(Batch):
    """Pairs of one known fibre, on frames of any size.

    Parameters
    ----------
    fibre : SpeckleResidual
        The fibre as its calibration has it.
    core_noise_rad : tensor of float32, shape (b, cores)
        What the cores' phases really were beyond the calibrated ones, averaged over the modes.
    """

    fibre: SpeckleResidual
    core_noise_rad: torch.Tensor


@dataclass(frozen=True, eq=False)
class Step:
    """Where the loop stands.

    Parameters
    ----------
    fine : tensor, shape (b, 4, g, g)
        Phase in radians on the fine grid, folded.
    core_noise_rad : tensor, shape (b, cores)
        The cores' own phases.
    moved : tuple of tensor, optional
        How far both went in the last descent.
    """

    fine: torch.Tensor
    core_noise_rad: torch.Tensor
    moved: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def phase_rad(self) -> torch.Tensor:
        """On the grid, (b, 1, g, g)."""
        return self.fine.mean(1, keepdim=True)


class CalibratedFewStep(Reconstructor):
    """A few steps of descent through the calibrated fibre, each corrected by a small network.

    Before it can run, :meth:`attach` has to give it a fibre.
    """

    kind: ClassVar[str] = "calibrated"
    renamed_parts: ClassVar[Mapping[str, str]] = {"level": "piston", "spread": "sigma_head"}
    # Fourier transforms on complex numbers, which the exporter and the CPU engines do not do well.
    exportable: ClassVar[bool] = False
    config: FewStepConfig

    def __init__(self, config: FewStepConfig) -> None:
        super().__init__(config)
        maps = self.maps = 2 * FINE**2 + _RESIDUAL_MAPS + _REFERENCE_MAPS + _OTHERS + config.hidden
        gives = FINE**2 + 1 + config.hidden
        self.steps = nn.ModuleList(StepUNet(maps, gives, config.base_channels, config.multipliers) for _ in range(config.steps))
        rates = [_FIRST, *[_LATER] * config.steps * config.descents]
        self.rates = nn.Parameter(torch.tensor([[*scales, *others] for scales, *others in rates]))
        self.sigma_head = StepUNet(maps + gives, 1, config.base_channels // 2, config.multipliers)
        self.piston = PistonNet()
        self.most_steps = self._taken = config.steps
        self.fibre: SpeckleResidual | None = None
        # In a list, so that its weights are not taken for this one's: it is a model of its own.
        self._start: list[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = []
        self._still: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def evaluations(self) -> int:
        """One for every step, and one for the start."""
        return self._taken + bool(self.config.start)

    @property
    def truth_px(self) -> int:
        """It learns on a finer grid than it shows."""
        return FINE * self.config.grid_px

    def set_steps(self, count: int) -> None:
        """Take only the first so many steps from now on; raises ValueError where there are not so many."""
        if not 1 <= count <= self.config.steps:
            raise ValueError(f"this loop takes 1 to {self.config.steps} steps, got {count}")
        self._taken = count

    def parts(self) -> dict[str, tuple[torch.Tensor, ...]]:
        """Return every step's network."""
        maps = torch.zeros((1, self.maps, self.config.grid_px, self.config.grid_px))
        return {f"steps.{number}": (maps,) for number in range(len(self.steps))}

    def attach(self, fibre: SpeckleResidual) -> None:
        """Use this fibre from now on."""
        self.fibre, self._still = fibre, None

    def prepare(self, pool: Pairs, on_progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Learn the level of whole pictures, for which no fibre is needed."""
        pictures = F.adaptive_avg_pool2d(torch.from_numpy(pool.pictures_rad()), self.config.grid_px)
        fit_piston(self.piston, pictures.numpy(), self.inside, on_progress=on_progress)

    def train(self, mode: bool = True) -> CalibratedFewStep:
        """Switch modes; the level stays as it was prepared."""
        super().train(mode)
        self.piston.eval().requires_grad_(False)
        return self

    def start_with(self, network: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        """Take the phase to start from from ``network(frame, reference)``."""
        self._start = [network]

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Reconstruct; see :class:`reconstruction.models.reconstructor.Reconstructor`.

        Raises
        ------
        ReconstructionError
            No fibre is attached.
        """
        fibre = self._attached()
        return self._shown(self._with_piston(self.run(fibre, frame, reference)[0][-1].phase_rad, fibre)[0])

    def deviation(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Phase and its standard deviation: of the picture and of its level together."""
        fibre = self._attached()
        made, inputs = self.run(fibre, frame, reference)
        phase, piston_std_rad = self._with_piston(made[-1].phase_rad, fibre)
        return self._shown(phase), self._std(inputs, piston_std_rad)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Sum over the steps; the spread learns from what the last one gives, but does not change it."""
        fibre = batch.fibre if isinstance(batch, FibreBatch) else self._attached()
        made, inputs = self.run(fibre, batch.frames, batch.reference)
        inside, fine = fibre.inside, F.pixel_unshuffle(batch.phase_rad, FINE)
        truth = fine.mean(1, keepdim=True)
        total = torch.zeros((), device=truth.device)
        for number, step in enumerate(made):
            phase, piston_std_rad = self._with_piston(step.phase_rad, fibre)
            phase = self._shown(phase)
            loss = phase_loss(phase, truth, inside, self.config.phase_range_rad)
            away = (step.fine - step.phase_rad + phase - fine) * inside
            loss = loss + _FINE_WEIGHT * away.abs().mean() / inside.mean() / self.config.phase_range_rad * 4
            if isinstance(batch, FibreBatch):
                loss = loss + _NOISE_WEIGHT * self._core_loss(step, batch)
            total = total + (1.0 if number == len(made) - 1 else _EARLIER) * loss
        std = self._std([part.detach() for part in inputs], piston_std_rad)
        return total + _SIGMA_WEIGHT * uncertain_loss(phase.detach(), std, truth, inside)

    def _core_loss(self, step: Step, batch: FibreBatch) -> torch.Tensor:
        """Mean square of the core phases' errors, without what all cores have in common, which no light tells."""
        fibre = batch.fibre
        seen = fibre.from_grid(fibre.inside)[0, 0] > 0
        error = (step.core_noise_rad - batch.core_noise_rad)[:, seen]
        return (error - error.mean(1, keepdim=True)).square().mean()

    def run(
        self, fibre: SpeckleResidual, frame: torch.Tensor, reference: torch.Tensor
    ) -> tuple[list[Step], list[torch.Tensor]]:
        """Take all steps; return them, and the maps that the last one had and gave."""
        amplitude = fibre.amplitude(frame, reference)
        fine = self._first(frame, reference, fibre.grid_px).expand(-1, FINE**2, -1, -1)
        still = torch.cat([self._reference_maps(fibre, reference), fibre.occupied, fibre.inside], 1)
        still, hidden = still.expand(len(fine), -1, -1, -1), fine.new_zeros((len(fine), self.config.hidden, *fine.shape[2:]))
        state = Step(fine, fine.new_zeros((len(fine), fibre.optics.cores)))
        rates = iter(self.rates)
        state = _descended(fibre, _compare(fibre, amplitude, state), state, next(rates))
        made, inputs = [], []
        for network in list(self.steps)[: self._taken]:
            residual = _compare(fibre, amplitude, state)
            for _ in range(self.config.descents - 1):
                state = _descended(fibre, residual, state, next(rates))
                residual = _compare(fibre, amplitude, state)
            slope = _SLOPE_SCALE * F.pixel_unshuffle(_on_fine_grid(residual, fibre), FINE)
            noise = fibre.to_grid(state.core_noise_rad[:, None])
            x = torch.cat([state.fine, slope, fibre.maps(residual), noise, still, hidden], 1)
            change = network(x).float()
            state = _descended(fibre, residual, state, next(rates))
            cores = fibre.from_grid(change[:, FINE**2 : FINE**2 + 1])[:, 0]
            state = replace(state, fine=state.fine + change[:, : FINE**2], core_noise_rad=state.core_noise_rad + cores)
            hidden = change[:, FINE**2 + 1 :]
            made.append(state)
            inputs = [x, change]
        return made, inputs

    def _first(self, frame: torch.Tensor, reference: torch.Tensor, side: int) -> torch.Tensor:
        """Return the phase to start from, (b, 1, g, g)."""
        if not self.config.start:
            return frame.new_zeros((len(frame), 1, side, side))
        if not self._start:
            from reconstruction.models.model import load_model

            self.start_with(load_model(self.config.start).network.to(frame.device))
        with torch.no_grad():
            return torch.as_tensor(self._start[0](frame, reference))

    def _with_piston(self, phase: torch.Tensor, fibre: SpeckleResidual) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the phase at its level, and the level's own standard deviation (b, 1, 1, 1)."""
        shape = centred(phase, fibre.inside)
        with torch.no_grad():
            piston_rad, std = self.piston(shape, fibre.inside)
        if self.config.start:
            own = (phase - shape).mean((2, 3), keepdim=True)
            certainty, own_certainty = std**-2, _START_PISTON_STD_RAD**-2
            piston_rad = (certainty * piston_rad + own_certainty * own) / (certainty + own_certainty)
            std = (certainty + own_certainty) ** -0.5
        return shape + piston_rad, std

    def _shown(self, phase: torch.Tensor) -> torch.Tensor:
        """Phase between 0 and white, where it has to be; while learning, what is beyond still matters a little.

        Dark surroundings of cells are exactly 0, and the eye, and SSIM, see a hundredth of a radian there.
        """
        within = phase.clamp(0, self.config.phase_range_rad)
        return within + _BEYOND * (phase - within) if self.training else within

    def _std(self, inputs: list[torch.Tensor], piston_std_rad: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of the phase, (b, 1, g, g), in radians."""
        picture = 0.1 * F.softplus(self.sigma_head(torch.cat(inputs, 1)).float()) + 0.005
        return torch.as_tensor((picture.square() + piston_std_rad.square()).sqrt())

    def _reference_maps(self, fibre: SpeckleResidual, reference: torch.Tensor) -> torch.Tensor:
        """Return what the reference says about the fibre, (1 or b, 3, g, g); kept as long as it is the same reference."""
        if self._still is not None and self._still[0] is reference and fibre is self.fibre:
            return self._still[1]
        n = fibre.optics.config.image_px
        with torch.no_grad(), torch.autocast(reference.device.type, enabled=False):
            flat, quiet = reference.new_zeros((len(reference), n, n)), reference.new_zeros((len(reference), fibre.optics.cores))
            found = fibre(fibre.amplitude(reference, reference), flat, quiet)
            maps = fibre.to_grid(torch.stack([found.entering.imag, found.leaving.real, found.leaving.imag], 1))
        if fibre is self.fibre:
            self._still = reference, maps
        return maps

    def _attached(self) -> SpeckleResidual:
        if self.fibre is None:
            raise ReconstructionError(
                "the calibrated model has no fibre yet; measure its response first (specklescope calibrate response)"
            )
        return self.fibre


def _compare(fibre: SpeckleResidual, amplitude: torch.Tensor, state: Step) -> Residual:
    """Return what is wrong with picture and cores; nothing is learned through the fibre itself."""
    n = fibre.optics.config.image_px
    with torch.no_grad(), torch.autocast(amplitude.device.type, enabled=False):
        picture = F.interpolate(F.pixel_shuffle(state.fine.float(), FINE), (n, n), mode="bilinear", align_corners=False)
        return fibre(amplitude, picture[:, 0], state.core_noise_rad.detach())


def _on_fine_grid(residual: Residual, fibre: SpeckleResidual) -> torch.Tensor:
    slope = residual.slope_rad[:, None]
    return F.avg_pool2d(slope, slope.shape[-1] // (FINE * fibre.grid_px))


def _descended(fibre: SpeckleResidual, residual: Residual, state: Step, rates: torch.Tensor) -> Step:
    """Return where both have gone by their gradients and their momentum, the picture on all scales at once."""
    scales = [_on_fine_grid(residual, fibre)]
    while len(scales) < _SCALES:
        scales.append(F.avg_pool2d(scales[-1], 2))
    picture = rates[_SCALES - 1] * scales[-1]
    for number in reversed(range(_SCALES - 1)):
        finer = F.interpolate(picture, scales[number].shape[-2:], mode="bilinear", align_corners=False)
        picture = finer + rates[number] * scales[number]
    momentum, core_rate, core_momentum = rates[_SCALES:]
    moved = F.pixel_unshuffle(picture, FINE), core_rate * fibre.core_steps(residual)
    if state.moved is not None:
        moved = moved[0] + momentum * state.moved[0], moved[1] + core_momentum * state.moved[1]
    return Step(state.fine + moved[0], state.core_noise_rad + moved[1], moved)
