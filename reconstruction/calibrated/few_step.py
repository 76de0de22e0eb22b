"""Few steps through the calibrated fibre: predict the speckle, see what is wrong with it at every core, let a network correct.

A learned descent in the sense of Adler and Oktem (IEEE Trans. Med. Imaging 37, 1322, 2018) on two unknown phases of every
core: that of the light that enters it, which is the picture with all its detail, and its own in this very shot, which left out
would be taken for picture. Both go by their own gradient (:mod:`reconstruction.calibrated.speckle_residual`) and by what a
small network, one for each step, makes of the residual all around; the network also moves the picture.

The networks know nothing of a particular fibre, only maps over its facet: trained on many simulated fibres, with the errors
that calibrations have, they take any calibrated one. Faster and better is to start from what a referenced model of the same
fibre gives, which counts as the first step. How far a fibre has moved since its calibration is seen in the
reference, whose phase is known to be flat: its residual is another input.

No intensity tells the phase's level. The start has guessed it from the picture; where there is none,
:class:`reconstruction.networks.level.LevelNet` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from reconstruction.base import ReconstructionError
from reconstruction.calibrated.speckle_residual import Residual, SpeckleResidual
from reconstruction.data import Pairs
from reconstruction.losses import centred, phase_loss, uncertain_loss
from reconstruction.networks.level import LevelNet, fit_level
from reconstruction.networks.step_unet import StepUNet
from reconstruction.reconstructor import Batch, NetworkConfig, Reconstructor

#: Phase pixels per grid cell and side: what a core sees is finer than what is shown.
FINE = 2
#: Maps of one residual, of the reference's, and what goes with them: both core phases, cells with cores, disc.
_RESIDUAL_MAPS, _REFERENCE_MAPS, _OTHERS = 5, 3, 4
#: First factors on :meth:`SpeckleResidual.core_steps`, entering and leaving; they are learned. Before the first network the
#: cores' own phases go first: they are the larger ones.
_FIRST_RATES, _RATES = (0.5, 4.0), (1.5, 2.5)
#: Weight of earlier steps, of the fine picture, of the core noise, where that is known, and of the spread, in the loss.
_EARLIER, _FINE_WEIGHT, _NOISE_WEIGHT, _SPREAD_WEIGHT = 0.4, 0.3, 10.0, 0.1


@dataclass(frozen=True)
class FewStepConfig(NetworkConfig):
    """Shape of the loop.

    Parameters
    ----------
    start : str
        Referenced model whose phase the first step starts from; flat without one.
    steps : int
        Each has a U-Net of its own, of ``base_channels`` and ``multipliers``, and hands ``hidden`` maps on to the next.
    core_steps : int
        Residuals for every step: cores go by their own gradients so often before a network looks at what is left.
    """

    start: str = ""
    steps: int = 4
    core_steps: int = 1
    base_channels: int = 24
    multipliers: tuple[int, ...] = (1, 2, 4)
    hidden: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.steps, self.core_steps) < 1 or self.hidden < 0:
            raise ValueError(f"a loop has at least one step of each kind and no negative number of hidden maps, got {self}")
        if self.grid_px % 2 ** (len(self.multipliers) - 1):
            raise ValueError(f"grid_px {self.grid_px} cannot be halved {len(self.multipliers) - 1} times")


@dataclass(frozen=True, eq=False)
class FibreBatch(Batch):
    """Pairs of one known fibre, on frames of any size.

    Parameters
    ----------
    fibre : SpeckleResidual
        The fibre as its calibration has it.
    entered : tensor of complex64, shape (b, cores)
        Light that the pictures really brought into the cores.
    core_noise_rad : tensor of float32, shape (b, cores)
        What the cores' phases really were beyond the calibrated ones, averaged over the modes.
    """

    fibre: SpeckleResidual
    entered: torch.Tensor
    core_noise_rad: torch.Tensor


@dataclass(frozen=True, eq=False)
class Step:
    """What stands after a step.

    Parameters
    ----------
    fine : tensor, shape (b, 4, g, g)
        Phase in radians on the fine grid, folded.
    begun : tensor of complex64, shape (b, cores)
        Light in the cores at the start.
    entering_rad, leaving_rad : tensor, shape (b, cores)
        Its phase beyond that, and the cores' own.
    """

    fine: torch.Tensor
    begun: torch.Tensor
    entering_rad: torch.Tensor
    leaving_rad: torch.Tensor

    @property
    def phase_rad(self) -> torch.Tensor:
        """On the grid, (b, 1, g, g)."""
        return self.fine.mean(1, keepdim=True)


class CalibratedFewStep(Reconstructor):
    """A few steps of descent through the calibrated fibre, each corrected by a small network.

    Before it can run, :meth:`attach` has to give it a fibre.
    """

    kind: ClassVar[str] = "calibrated"
    # Fourier transforms on complex numbers, which the exporter and the CPU engines do not do well.
    exportable: ClassVar[bool] = False
    config: FewStepConfig

    def __init__(self, config: FewStepConfig) -> None:
        super().__init__(config)
        maps = self.maps = FINE**2 + _RESIDUAL_MAPS + _REFERENCE_MAPS + _OTHERS + config.hidden
        gives = FINE**2 + 2 + config.hidden
        self.steps = nn.ModuleList(StepUNet(maps, gives, config.base_channels, config.multipliers) for _ in range(config.steps))
        self.rates = nn.Parameter(torch.tensor([_FIRST_RATES, *[_RATES] * config.steps * config.core_steps]))
        self.spread = StepUNet(maps + gives, 1, config.base_channels // 2, config.multipliers)
        self.level = LevelNet()
        self.fibre: SpeckleResidual | None = None
        # In a list, so that its weights are not taken for this one's: it is a model of its own.
        self._start: list[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = []
        self._still: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def evaluations(self) -> int:
        """One for every step, and one for the start."""
        return self.config.steps + bool(self.config.start)

    @property
    def truth_px(self) -> int:
        """It learns on a finer grid than it shows."""
        return FINE * self.config.grid_px

    def attach(self, fibre: SpeckleResidual) -> None:
        """Use this fibre from now on."""
        self.fibre, self._still = fibre, None

    def prepare(self, pool: Pairs, on_progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Learn the level of whole pictures, for which no fibre is needed, where no start will give it."""
        if self.config.start:
            return
        pictures = F.adaptive_avg_pool2d(torch.from_numpy(pool.pictures_rad()), self.config.grid_px)
        fit_level(self.level, pictures.numpy(), self.inside, on_progress=on_progress)

    def start_with(self, network: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        """Take the phase to start from from ``network(frame, reference)``."""
        self._start = [network]

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Reconstruct; see :class:`reconstruction.reconstructor.Reconstructor`.

        Raises
        ------
        ReconstructionError
            No fibre is attached.
        """
        fibre = self._attached()
        return self._levelled(self.run(fibre, frame, reference)[0][-1].phase_rad, fibre)[0]

    def deviation(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Phase and its standard deviation: of the picture and of its level together."""
        fibre = self._attached()
        made, inputs = self.run(fibre, frame, reference)
        phase, level_std = self._levelled(made[-1].phase_rad, fibre)
        return phase, (self._std(inputs).square() + level_std.square()).sqrt()

    def loss(self, batch: Batch) -> torch.Tensor:
        """Sum over the steps; the spread learns from what the last one gives, but does not change it."""
        fibre = batch.fibre if isinstance(batch, FibreBatch) else self._attached()
        made, inputs = self.run(fibre, batch.frames, batch.reference)
        inside, fine = fibre.inside, F.pixel_unshuffle(batch.phase_rad, FINE)
        truth = fine.mean(1, keepdim=True)
        total = torch.zeros((), device=truth.device)
        for number, step in enumerate(made):
            phase = step.phase_rad if self.config.start else centred(step.phase_rad, inside) + truth - centred(truth, inside)
            loss = phase_loss(phase, truth, inside, self.config.range_rad)
            away = (step.fine - step.phase_rad + phase - fine) * inside
            loss = loss + _FINE_WEIGHT * away.abs().mean() / inside.mean() / self.config.range_rad * 4
            if isinstance(batch, FibreBatch):
                loss = loss + _NOISE_WEIGHT * self._core_loss(step, batch)
            total = total + (1.0 if number == len(made) - 1 else _EARLIER) * loss
        std = self._std([part.detach() for part in inputs])
        return total + _SPREAD_WEIGHT * uncertain_loss(phase.detach(), std, truth, inside)

    def _core_loss(self, step: Step, batch: FibreBatch) -> torch.Tensor:
        """Mean squares of both core phases' errors, without what all cores have in common, which no light tells."""
        fibre = batch.fibre
        seen = fibre.from_grid(fibre.inside)[0, 0] > 0
        entering = torch.angle(batch.entered * step.begun.conj())
        errors = [step.entering_rad - entering, step.leaving_rad - batch.core_noise_rad]
        return torch.stack([(error[:, seen] - error[:, seen].mean(1, keepdim=True)).square().mean() for error in errors]).sum()

    def run(
        self, fibre: SpeckleResidual, frame: torch.Tensor, reference: torch.Tensor
    ) -> tuple[list[Step], list[torch.Tensor]]:
        """Take all steps; return them, and the maps that the last one had and gave."""
        amplitude = fibre.amplitude(frame, reference)
        fine = self._first(frame, reference, fibre.grid_px).expand(-1, FINE**2, -1, -1)
        begun = self._launched(fibre, fine)
        still = torch.cat([self._reference_maps(fibre, reference), fibre.occupied, fibre.inside], 1)
        still, hidden = still.expand(len(fine), -1, -1, -1), fine.new_zeros((len(fine), self.config.hidden, *fine.shape[2:]))
        entering = leaving = fine.new_zeros(begun.shape)
        rates = iter(self.rates)
        made, inputs, residual = [], [], _compare(fibre, amplitude, begun, entering, leaving)
        entering, leaving = _stepped(fibre, residual, entering, leaving, next(rates))
        for network in self.steps:
            residual = _compare(fibre, amplitude, begun, entering, leaving)
            for _ in range(self.config.core_steps - 1):
                entering, leaving = _stepped(fibre, residual, entering, leaving, next(rates))
                residual = _compare(fibre, amplitude, begun, entering, leaving)
            phases = fibre.to_grid(torch.stack([entering, leaving], 1))
            x = torch.cat([fine, fibre.maps(residual), phases, still, hidden], 1)
            change = network(x).float()
            fine = fine + change[:, : FINE**2]
            cores = fibre.from_grid(change[:, FINE**2 : FINE**2 + 2])
            entering, leaving = _stepped(fibre, residual, entering.detach(), leaving.detach(), next(rates))
            entering, leaving = entering + cores[:, 0], leaving + cores[:, 1]
            hidden = change[:, FINE**2 + 2 :]
            made.append(Step(fine, begun, entering, leaving))
            inputs = [x, change]
        return made, inputs

    @staticmethod
    def _launched(fibre: SpeckleResidual, fine: torch.Tensor) -> torch.Tensor:
        """Light that a folded phase brings into the cores."""
        n = fibre.optics.config.image_px
        with torch.no_grad(), torch.autocast(fine.device.type, enabled=False):
            image = F.interpolate(F.pixel_shuffle(fine.float(), FINE), (n, n), mode="bilinear", align_corners=False)
            return fibre.optics.launch(image[:, 0])

    def _first(self, frame: torch.Tensor, reference: torch.Tensor, side: int) -> torch.Tensor:
        """Return the phase to start from, (b, 1, g, g)."""
        if not self.config.start:
            return frame.new_zeros((len(frame), 1, side, side))
        if not self._start:
            from reconstruction.model import load_model

            self.start_with(load_model(self.config.start).network.to(frame.device))
        with torch.no_grad():
            return torch.as_tensor(self._start[0](frame, reference))

    def _levelled(self, phase: torch.Tensor, fibre: SpeckleResidual) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the phase at its level, and the level's own standard deviation (b, 1, 1, 1)."""
        if self.config.start:  # what the start's level may be off is in the spread
            return phase, phase.new_zeros((len(phase), 1, 1, 1))
        shape = centred(phase, fibre.inside)
        level, std = self.level(shape, fibre.inside)
        return shape + level, std

    def _std(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        """Return the standard deviation of the picture, (b, 1, g, g), in radians."""
        return torch.as_tensor(0.1 * F.softplus(self.spread(torch.cat(inputs, 1)).float()) + 0.005)

    def _reference_maps(self, fibre: SpeckleResidual, reference: torch.Tensor) -> torch.Tensor:
        """Return what the reference says about the fibre, (1 or b, 3, g, g); kept as long as it is the same reference."""
        if self._still is not None and self._still[0] is reference and fibre is self.fibre:
            return self._still[1]
        n = fibre.optics.config.image_px
        with torch.no_grad(), torch.autocast(reference.device.type, enabled=False):
            flat = fibre.optics.launch(reference.new_zeros((len(reference), n, n)))
            found = fibre(fibre.amplitude(reference, reference), flat, torch.zeros_like(flat.real))
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


def _compare(
    fibre: SpeckleResidual, amplitude: torch.Tensor, begun: torch.Tensor, entering: torch.Tensor, leaving: torch.Tensor
) -> Residual:
    """Return what is wrong with both core phases; nothing is learned through the fibre itself."""
    with torch.no_grad(), torch.autocast(amplitude.device.type, enabled=False):
        turned = begun * torch.polar(torch.ones_like(entering), entering.detach())
        return fibre(amplitude, turned, leaving.detach())


def _stepped(
    fibre: SpeckleResidual, residual: Residual, entering: torch.Tensor, leaving: torch.Tensor, rates: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both core phases after they have gone by their own gradients."""
    own = fibre.core_steps(residual)
    return entering + rates[0] * own[0], leaving + rates[1] * own[1]
