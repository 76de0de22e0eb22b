"""The calibrated few-step model: predict the speckle, compare it with the frame, and correct the phase with a small network.

This is learned gradient descent (Adler and Oktem, IEEE Trans. Med. Imaging 37, 1322, 2018) on two unknowns: the picture, on a
grid finer than the output, and the phase noise of every core in this shot. Without the second unknown, the noise would appear
in the picture. Both unknowns follow their own gradients (:mod:`reconstruction.calibrated.speckle_residual`), the picture on
several scales at once. In addition a small network, one for each step, computes a correction from the residual.

The networks see maps over the facet and nothing that is specific to one fibre. They are trained on many simulated fibres with
realistic calibration errors and work with any calibrated fibre. The result is faster and better if the descent starts from the
output of a referenced model of the same fibre, which counts as the first step. The reference shows how far the fibre has moved
since its calibration, because its phase is known to be flat: its residual is another input of the networks.

Intensities do not depend on the phase's absolute level, the piston. :class:`reconstruction.networks.piston.PistonNet` estimates
it from the picture, with a standard deviation. If there is a start, its piston is a second estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from reconstruction.base import ReconstructionError
from reconstruction.calibrated.speckle_residual import Residual, SpeckleResidual
from reconstruction.calibrated.threads import beside_engine
from reconstruction.calibrated.window_residual import WindowResidual
from reconstruction.data.batch import Batch, Pairs
from reconstruction.models.base import NetworkConfig, Reconstructor
from reconstruction.models.losses import centred, phase_loss, uncertain_loss
from reconstruction.networks.piston import PistonNet, fit_piston
from reconstruction.networks.step_unet import StepUNet

R = TypeVar("R")

#: Pixels of the fine grid per grid cell and side: a core resolves finer detail than the output has.
FINE = 2
#: Number of maps of a residual, of the reference's residual, and of the others: core noise, cells with cores, disc.
_RESIDUAL_MAPS, _REFERENCE_MAPS, _OTHERS = 5, 3, 3
#: Number of scales of the picture's gradient, each twice as coarse as the one before.
_SCALES = 5
#: Initial values of the learned factors of the first descent and of all later ones: the picture's gradient on every scale, the
#: picture's momentum, the core noise's gradient, the core noise's momentum. The first descent mainly corrects the core noise,
#: because its error is larger.
_FIRST, _LATER = ((0.5,) * _SCALES, 0.0, 3.0, 0.0), ((4.0,) * _SCALES, 0.5, 2.0, 0.5)
#: Root-mean-square error of the piston of a start, over validation images.
_START_PISTON_STD_RAD = 0.2
#: In training, the fraction that remains of phase below 0 or above white.
_BEYOND = 0.1
#: The remaining slopes are small; the networks get them multiplied by this factor.
_SLOPE_SCALE = 5.0
#: Weights in the loss: of earlier steps, of the fine picture, of the core noise where it is known, and of the standard
#: deviation.
_EARLIER, _FINE_WEIGHT, _NOISE_WEIGHT, _SIGMA_WEIGHT = 0.4, 0.3, 10.0, 0.1


@dataclass(frozen=True)
class FewStepConfig(NetworkConfig):
    """Shape of the loop.

    Parameters
    ----------
    start : str
        Name of the referenced model whose phase the first step starts from; flat without one.
    steps : int
        Number of steps. Each has a U-Net of its own.
    descents : int
        Number of gradient steps of picture and core noise before each network; they keep their momentum (Polyak, USSR Comput.
        Math. Math. Phys. 4, 1, 1964).
    base_channels, multipliers : int, tuple of int
        Widths of the U-Nets.
    hidden : int
        Number of maps that a network passes on to the next.
    followed_modes : int
        Number of the fibre's modes whose residual is propagated back, strongest first, on the camera's own pixels
        (:mod:`reconstruction.calibrated.window_residual`). 0 propagates all modes, also at the edge of the frame.
    """

    start: str = ""
    steps: int = 4
    descents: int = 5
    base_channels: int = 24
    multipliers: tuple[int, ...] = (1, 2, 4)
    hidden: int = 8
    followed_modes: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.steps, self.descents) < 1 or min(self.hidden, self.followed_modes) < 0:
            raise ValueError(f"steps and descents must be 1 or more, hidden and followed_modes 0 or more, got {self}")
        halvings = max(len(self.multipliers) - 1, _SCALES - 2)
        if self.grid_px % 2**halvings:
            raise ValueError(f"grid_px {self.grid_px} cannot be halved {halvings} times")


@dataclass(frozen=True, eq=False)
class FibreBatch(Batch):
    """Pairs of one known fibre, on frames of any size.

    Parameters
    ----------
    fibre : SpeckleResidual
        The fibre with its calibrated response.
    core_noise_rad : tensor of float32, shape (b, cores)
        True phases of the cores minus their calibrated phases, averaged over the modes.
    """

    fibre: SpeckleResidual
    core_noise_rad: torch.Tensor


@dataclass(frozen=True, eq=False)
class Step:
    """State of the loop.

    Parameters
    ----------
    fine : tensor, shape (b, 4, g, g)
        Phase in radians on the fine grid, folded into four channels.
    core_noise_rad : tensor, shape (b, cores)
        Phase noise of the cores.
    last_change : tuple of tensor, optional
        Change of both in the last descent, for the momentum.
    """

    fine: torch.Tensor
    core_noise_rad: torch.Tensor
    last_change: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def phase_rad(self) -> torch.Tensor:
        """Phase on the output's grid, (b, 1, g, g)."""
        return self.fine.mean(1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Solution:
    """The result of the loop for frames.

    Parameters
    ----------
    fibre : SpeckleResidual
        The calibrated fibre.
    state : Step
        The last state.
    phase_rad : tensor, shape (b, 1, g, g)
        Its phase in radians with its piston; not clamped.
    std_rad : tensor, shape (b, 1, g, g)
        Standard deviation, which includes that of the piston.
    piston_std_rad : tensor, shape (b, 1, 1, 1)
        Standard deviation of the piston.
    predicted : tensor, shape (b, n, n)
        Amplitude of the speckle that the state predicts.
    """

    fibre: SpeckleResidual
    state: Step
    phase_rad: torch.Tensor
    std_rad: torch.Tensor
    piston_std_rad: torch.Tensor
    predicted: torch.Tensor


class CalibratedFewStep(Reconstructor):
    """A few steps of gradient descent through the calibrated fibre, each corrected by a small network.

    Call :meth:`attach` with a fibre before the first reconstruction.
    """

    kind: ClassVar[str] = "calibrated"
    needs_response: ClassVar[bool] = True
    learns_from_stream: ClassVar[bool] = True
    renamed_parts: ClassVar[Mapping[str, str]] = {"level": "piston", "spread": "sigma_head"}
    # The exporter and the CPU engines do not support Fourier transforms of complex numbers well.
    exportable = False
    config: FewStepConfig

    def __init__(self, config: FewStepConfig) -> None:
        super().__init__(config)
        inputs = 2 * FINE**2 + _RESIDUAL_MAPS + _REFERENCE_MAPS + _OTHERS + config.hidden
        outputs = FINE**2 + 1 + config.hidden
        self.maps = inputs
        self.steps = nn.ModuleList(
            StepUNet(inputs, outputs, config.base_channels, config.multipliers) for _ in range(config.steps)
        )
        rates = [_FIRST, *[_LATER] * config.steps * config.descents]
        self.rates = nn.Parameter(torch.tensor([[*scales, *others] for scales, *others in rates]))
        self.sigma_head = StepUNet(inputs + outputs, 1, config.base_channels // 2, config.multipliers)
        self.piston = PistonNet()
        self.most_steps = config.steps
        self._step_count = config.steps
        self.fibre: SpeckleResidual | None = None
        # In a list, because torch would add the weights of a module attribute to this model's weights.
        self._start: list[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = []
        self._cached: tuple[torch.Tensor, torch.Tensor] | None = None
        self._window: WindowResidual | None = None

    @property
    def evaluations(self) -> int:
        """Evaluations of networks for one frame: one for every step, and one for the start."""
        return self._step_count + bool(self.config.start)

    @property
    def gives_sigma(self) -> bool:
        """Whether there is a standard deviation: a network of its own estimates it."""
        return True

    @property
    def truth_px(self) -> int:
        """Side of the phase images for the loss, which is on a finer grid than the output."""
        return FINE * self.config.grid_px

    def set_steps(self, count: int) -> None:
        """Use only the first ``count`` steps from now on.

        Raises
        ------
        ValueError
            ``count`` is less than 1 or more than the number of steps.
        """
        if not 1 <= count <= self.config.steps:
            raise ValueError(f"this model has 1 to {self.config.steps} steps, got {count}")
        self._step_count = count

    def parts(self) -> dict[str, tuple[torch.Tensor, ...]]:
        """Return the network of every step and that of the standard deviation, with an example of their inputs."""
        side, outputs = self.config.grid_px, FINE**2 + 1 + self.config.hidden
        maps, all_maps = torch.zeros((1, self.maps, side, side)), torch.zeros((1, self.maps + outputs, side, side))
        return {**{f"steps.{number}": (maps,) for number in range(len(self.steps))}, "sigma_head": (all_maps,)}

    def attach(self, fibre: SpeckleResidual) -> None:
        """Use this fibre from now on."""
        self.fibre = fibre
        self._cached = None

    def prepare(self, pool: Pairs, on_progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Train the piston network on whole pictures, for which no fibre is needed."""
        pictures = F.adaptive_avg_pool2d(torch.from_numpy(pool.pictures_rad()), self.config.grid_px)
        fit_piston(self.piston, pictures.numpy(), self.inside, on_progress=on_progress)

    def train(self, mode: bool = True) -> CalibratedFewStep:  # noqa: FBT001, FBT002 (torch's signature)
        """Switch between training and evaluation; the piston network stays as :meth:`prepare` left it."""
        super().train(mode)
        self.piston.eval().requires_grad_(requires_grad=False)
        return self

    def start_with(self, network: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        """Start every reconstruction from the phase ``network(frame, reference)``."""
        self._start = [network]

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Reconstruct; see :class:`reconstruction.models.base.Reconstructor`.

        Raises
        ------
        ReconstructionError
            No fibre is attached.
        """
        fibre = self._attached()

        def phase() -> torch.Tensor:
            steps, _ = self.run(fibre, frame, reference)
            return self._clamped(self._with_piston(steps[-1].phase_rad, fibre)[0])

        return self._computed(phase, frame)

    def with_sigma(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return phase and standard deviation; see :class:`reconstruction.models.base.Reconstructor`."""
        return torch.cat(self.deviation(frame, reference), 1)

    def deviation(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the phase and its standard deviation, which includes that of the piston."""
        fibre = self._attached()

        def phase_and_std() -> tuple[torch.Tensor, torch.Tensor]:
            steps, last_maps = self.run(fibre, frame, reference)
            phase, piston_std_rad = self._with_piston(steps[-1].phase_rad, fibre)
            return self._clamped(phase), self._std(last_maps, piston_std_rad)

        return self._computed(phase_and_std, frame)

    def solve(self, frame: torch.Tensor, reference: torch.Tensor) -> Solution:
        """Run the loop, and return everything that samples around its phase need.

        Raises
        ------
        ReconstructionError
            No fibre is attached.
        """
        fibre = self._attached()
        steps, last_maps = self.run(fibre, frame, reference)
        state = replace(steps[-1], last_change=None)
        phase, piston_std_rad = self._with_piston(state.phase_rad, fibre)
        amplitude = fibre.amplitude(frame, reference)
        predicted = _compare(self._residual_of(fibre), amplitude, state).predicted
        return Solution(fibre, state, phase, self._std(last_maps, piston_std_rad), piston_std_rad, predicted)

    def guided(self, solution: Solution, change_rad: torch.Tensor, descents: int) -> torch.Tensor:
        """Take from changes of the phase what the light contradicts.

        Parameters
        ----------
        solution : Solution
            The result of the loop. The light that its state predicts stands for the measured one, without noise.
        change_rad : tensor, shape (b, 1, g, g)
            Changes of its phase in radians; their means in the disc, which no light depends on, are removed.
        descents : int
            Number of gradient steps, with the factors of the loop's last one.

        Returns
        -------
        tensor of float32, shape (b, 1, g, g)
            What remains of the changes, with mean 0 in the disc.
        """
        compute, inside = self._residual_of(solution.fibre), solution.fibre.inside
        state = replace(solution.state, fine=solution.state.fine + centred(change_rad, inside))
        for _ in range(descents):
            state = _descended(solution.fibre, _compare(compute, solution.predicted, state), state, self.rates[-1])
        return centred(state.phase_rad - solution.state.phase_rad, inside)

    def _computed(self, work: Callable[[], R], frame: torch.Tensor) -> R:
        """Return ``work()``, in threads that leave the cores to the networks where an engine runs these."""
        in_engine = self.config.followed_modes and not isinstance(self.steps[0], StepUNet)
        if in_engine and frame.device.type == "cpu" and not torch.is_grad_enabled():
            return beside_engine(work)
        return work()

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the losses of all steps, and the likelihood of the last step's errors for the standard deviation."""
        fibre = batch.fibre if isinstance(batch, FibreBatch) else self._attached()
        steps, last_maps = self.run(fibre, batch.frames, batch.reference)
        inside, fine = fibre.inside, F.pixel_unshuffle(batch.phase_rad, FINE)
        truth = fine.mean(1, keepdim=True)
        total = torch.zeros((), device=truth.device)
        for number, step in enumerate(steps):
            phase, piston_std_rad = self._with_piston(step.phase_rad, fibre)
            phase = self._clamped(phase)
            loss = phase_loss(phase, truth, inside, self.config.phase_range_rad)
            error = (step.fine - step.phase_rad + phase - fine) * inside
            loss = loss + _FINE_WEIGHT * error.abs().mean() / inside.mean() / self.config.phase_range_rad * 4
            if isinstance(batch, FibreBatch):
                loss = loss + _NOISE_WEIGHT * self._core_loss(step, batch)
            total = total + (1.0 if number == len(steps) - 1 else _EARLIER) * loss
        std = self._std([part.detach() for part in last_maps], piston_std_rad)
        return total + _SIGMA_WEIGHT * uncertain_loss(phase.detach(), std, truth, inside)

    def _core_loss(self, step: Step, batch: FibreBatch) -> torch.Tensor:
        """Return the mean square error of the core noise, without the mean over all cores, which no intensity depends on."""
        fibre = batch.fibre
        inside = fibre.from_grid(fibre.inside)[0, 0] > 0
        error = (step.core_noise_rad - batch.core_noise_rad)[:, inside]
        return (error - error.mean(1, keepdim=True)).square().mean()

    def run(
        self, fibre: SpeckleResidual, frame: torch.Tensor, reference: torch.Tensor
    ) -> tuple[list[Step], list[torch.Tensor]]:
        """Run all steps; return their states, and input and output of the last network."""
        amplitude = fibre.amplitude(frame, reference)
        fine = self._first(frame, reference, fibre.grid_px).expand(-1, FINE**2, -1, -1)
        fixed = torch.cat([self._reference_maps(fibre, reference), fibre.occupied, fibre.inside], 1)
        fixed = fixed.expand(len(fine), -1, -1, -1)
        hidden = fine.new_zeros((len(fine), self.config.hidden, *fine.shape[2:]))
        state = Step(fine, fine.new_zeros((len(fine), fibre.optics.cores)))
        rates = iter(self.rates)
        compute = self._residual_of(fibre)
        state = _descended(fibre, _compare(compute, amplitude, state), state, next(rates))
        states, last_maps = [], []
        for network in list(self.steps)[: self._step_count]:
            residual = _compare(compute, amplitude, state)
            for _ in range(self.config.descents - 1):
                state = _descended(fibre, residual, state, next(rates))
                residual = _compare(compute, amplitude, state)
            x = torch.cat([_network_maps(fibre, residual, state), fixed, hidden], 1)
            change = network(x).float()
            state = _descended(fibre, residual, state, next(rates))
            cores = fibre.from_grid(change[:, FINE**2 : FINE**2 + 1])[:, 0]
            state = replace(state, fine=state.fine + change[:, : FINE**2], core_noise_rad=state.core_noise_rad + cores)
            hidden = change[:, FINE**2 + 1 :]
            states.append(state)
            last_maps = [x, change]
        return states, last_maps

    def _residual_of(self, fibre: SpeckleResidual) -> SpeckleResidual | WindowResidual:
        """Return what computes residuals: the fibre itself, or its followed modes."""
        if not self.config.followed_modes:
            return fibre
        if self._window is None or self._window.fibre is not fibre:
            self._window = WindowResidual(fibre, self.config.followed_modes, FINE * fibre.grid_px)
        return self._window

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
        """Return the phase with its piston, and the piston's standard deviation (b, 1, 1, 1)."""
        shape = centred(phase, fibre.inside)
        with torch.no_grad():
            piston_rad, std = self.piston(shape, fibre.inside)
        if self.config.start:
            # The start has a piston of its own: average both, weighted with their inverse variances.
            start_piston_rad = (phase - shape).mean((2, 3), keepdim=True)
            weight, start_weight = std**-2, _START_PISTON_STD_RAD**-2
            piston_rad = (weight * piston_rad + start_weight * start_piston_rad) / (weight + start_weight)
            std = (weight + start_weight) ** -0.5
        return shape + piston_rad, std

    def _clamped(self, phase: torch.Tensor) -> torch.Tensor:
        """Clamp the phase between 0 and white; in training a small part beyond remains, so that it has a gradient.

        The dark surroundings of cells are exactly 0. There SSIM, like the eye, is sensitive to a hundredth of a radian.
        """
        within = phase.clamp(0, self.config.phase_range_rad)
        return within + _BEYOND * (phase - within) if self.training else within

    def _std(self, inputs: list[torch.Tensor], piston_std_rad: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of the phase, (b, 1, g, g), in radians."""
        picture = 0.1 * F.softplus(self.sigma_head(torch.cat(inputs, 1)).float()) + 0.005
        return torch.as_tensor((picture.square() + piston_std_rad.square()).sqrt())

    def _reference_maps(self, fibre: SpeckleResidual, reference: torch.Tensor) -> torch.Tensor:
        """Return maps of the reference's residual, (1 or b, 3, g, g); cached as long as the reference is the same object."""
        if self._cached is not None and self._cached[0] is reference and fibre is self.fibre:
            return self._cached[1]
        n = fibre.optics.config.image_px
        with torch.no_grad(), torch.autocast(reference.device.type, enabled=False):
            flat = reference.new_zeros((len(reference), n, n))
            no_noise = reference.new_zeros((len(reference), fibre.optics.cores))
            residual = fibre(fibre.amplitude(reference, reference), flat, no_noise)
            maps = fibre.to_grid(torch.stack([residual.entering.imag, residual.leaving.real, residual.leaving.imag], 1))
        if fibre is self.fibre:
            self._cached = reference, maps
        return maps

    def _attached(self) -> SpeckleResidual:
        if self.fibre is None:
            raise ReconstructionError(
                "the calibrated model has no fibre yet; measure its response first (specklescope calibrate response)"
            )
        return self.fibre


def _network_maps(fibre: SpeckleResidual, residual: Residual, state: Step) -> torch.Tensor:
    """Return the part of a network's input that changes from step to step, without the hidden maps."""
    slope = _SLOPE_SCALE * F.pixel_unshuffle(_on_fine_grid(residual, fibre), FINE)
    return torch.cat([state.fine, slope, fibre.maps(residual), fibre.to_grid(state.core_noise_rad[:, None])], 1)


def _compare(compute: SpeckleResidual | WindowResidual, amplitude: torch.Tensor, state: Step) -> Residual:
    """Return the residual of picture and core noise; gradients of the training do not pass through the fibre."""
    n = amplitude.shape[-1]
    with torch.no_grad(), torch.autocast(amplitude.device.type, enabled=False):
        picture = F.interpolate(F.pixel_shuffle(state.fine.float(), FINE), (n, n), mode="bilinear", align_corners=False)
        return compute(amplitude, picture[:, 0], state.core_noise_rad.detach())


def _on_fine_grid(residual: Residual, fibre: SpeckleResidual) -> torch.Tensor:
    slope = residual.slope_rad[:, None]
    cell = slope.shape[-1] // (FINE * fibre.grid_px)
    return F.avg_pool2d(slope, cell) if cell > 1 else slope


def _descended(fibre: SpeckleResidual, residual: Residual, state: Step, rates: torch.Tensor) -> Step:
    """Return the state after one gradient step with momentum, for the picture on all scales at once."""
    scales = [_on_fine_grid(residual, fibre)]
    while len(scales) < _SCALES:
        scales.append(F.avg_pool2d(scales[-1], 2))
    picture = rates[_SCALES - 1] * scales[-1]
    for number in reversed(range(_SCALES - 1)):
        finer = F.interpolate(picture, scales[number].shape[-2:], mode="bilinear", align_corners=False)
        picture = finer + rates[number] * scales[number]
    momentum, core_rate, core_momentum = rates[_SCALES:]
    change, core_change = F.pixel_unshuffle(picture, FINE), core_rate * fibre.core_steps(residual)
    if state.last_change is not None:
        change = change + momentum * state.last_change[0]
        core_change = core_change + core_momentum * state.last_change[1]
    return Step(state.fine + change, state.core_noise_rad + core_change, (change, core_change))
