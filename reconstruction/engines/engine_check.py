"""The engine check: an engine is used only after it gave the same phase and uncertainty as torch on the check frames."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reconstruction.engines.base import (
    DRAWN_PLANES,
    Engine,
    EngineError,
    Precision,
    drawn,
    draws_from_noise,
    estimate,
    noise_of,
    planes_of,
)
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.metrics import score
from reconstruction.models.model import Model

#: fp32: largest difference of any pixel from torch.
TOLERANCE_RAD: Final = 1e-3
#: fp16 and bf16: largest root mean square difference from torch inside the fibre's disc.
TOLERANCE_RMS_RAD: Final = 0.02
#: Largest loss of SSIM against the displayed phase. For int8 this is the only limit.
TOLERANCE_SSIM: Final = {Precision.FP16: 0.002, Precision.BF16: 0.002, Precision.INT8: 0.005}
#: The same for the standard deviation of the phase, which is smaller than the phase: fp32, largest difference of any pixel;
#: other precisions, largest root mean square difference inside the fibre's disc.
SIGMA_TOLERANCE_RAD: Final = 1e-3
SIGMA_TOLERANCE_RMS_RAD: Final = 0.01
#: Models with more evaluations per frame than this are checked on one frame only.
_MANY_EVALUATIONS = 8
#: Seed of the noise of the first check frame.
_SEED = 1000


@dataclass(frozen=True, kw_only=True)
class EngineCheckReport:
    """What the engine check measured.

    Parameters
    ----------
    max_abs_diff_rad, rms_diff_rad : float
        Difference from torch: of the worst pixel, and root mean square inside the fibre's disc. Of sample and mean, the larger.
    ssim_loss : float, optional
        Mean SSIM of torch minus that of the engine; None without the displayed phase.
    frames : int
        Number of frames compared.
    sigma_max_abs_diff_rad, sigma_rms_diff_rad : float, optional
        The same differences of the standard deviation; None for a model without one.
    """

    max_abs_diff_rad: float
    rms_diff_rad: float
    ssim_loss: float | None
    frames: int
    sigma_max_abs_diff_rad: float | None = None
    sigma_rms_diff_rad: float | None = None

    def to_dict(self) -> dict[str, float | int | None]:
        """Return plain types, for JSON."""
        return asdict(self)


class EngineCheck:
    """The check that every engine of one model has to pass.

    Parameters
    ----------
    model : Model
        Runs once in torch, for comparison.
    frames : CheckFrames
        Frames to compare on. Models with many evaluations per frame are compared on the first one only.
    """

    def __init__(self, model: Model, frames: CheckFrames) -> None:
        self.model = model
        self.frames = frames if model.network.evaluations <= _MANY_EVALUATIONS else frames.first()
        self._expected: NDArray[np.float32] | None = None

    def check(self, engine: Engine, precision: Precision) -> EngineCheckReport:
        """Compare an engine with torch; this also warms the engine up.

        Raises
        ------
        EngineError
            The phase or its standard deviation is missing, has the wrong shape, is not finite, or differs from torch by more
            than the precision is allowed.
        """
        return self.compare([self._planes(engine, number) for number in self._numbers], engine.name, precision)

    @property
    def noises(self) -> list[NDArray[np.float32]] | None:
        """The noise for each check frame, each another one; None for models that draw no samples from noise."""
        network = self.model.network
        # Not that of the model's own seed: an engine that does not use its noise input would pass.
        return [noise_of(network, _SEED + number) for number in self._numbers] if draws_from_noise(network) else None

    def compare(self, planes: list[NDArray[np.float32]], name: str, precision: Precision) -> EngineCheckReport:
        """Compare the planes that the engine ``name`` computed from the check frames; see :meth:`check`."""
        expected = self._expected_planes()
        for each in planes:
            _require_planes(each, expected[0], name)
        difference = np.stack(planes) - expected
        worst, rms = self._per_plane(difference)
        phases = 2 if len(worst) == DRAWN_PLANES else 1
        sigma_worst, sigma_rms = worst[phases:], rms[phases:]
        report = EngineCheckReport(
            max_abs_diff_rad=max(worst[:phases]),
            rms_diff_rad=max(rms[:phases]),
            ssim_loss=self._ssim_loss(np.stack(planes)[:, :phases], expected[:, :phases]),
            frames=len(planes),
            sigma_max_abs_diff_rad=sigma_worst[0] if sigma_worst else None,
            sigma_rms_diff_rad=sigma_rms[0] if sigma_rms else None,
        )
        _require_tolerances(report, name, precision)
        _require_sigma_tolerances(report, name, precision)
        return report

    def _per_plane(self, difference: NDArray[np.float32]) -> tuple[list[float], list[float]]:
        """Return the largest difference of every plane, and the root mean square inside the fibre's disc."""
        inside = difference[..., self.model.mask]
        worst, rms = np.abs(difference).max((0, 2, 3)), np.sqrt(np.square(inside).mean((0, 2)))
        return worst.tolist(), rms.tolist()

    @property
    def _numbers(self) -> range:
        return range(len(self.frames.frames))

    def _planes(self, engine: Engine, number: int) -> NDArray[np.float32]:
        frame, reference, network = self.frames.frames[number], self.frames.reference, self.model.network
        if draws_from_noise(network):
            return drawn(engine, frame, reference, noise_of(network, _SEED + number))
        return planes_of(estimate(self.model, engine, frame, reference))

    def _expected_planes(self) -> NDArray[np.float32]:
        """Return what torch computes, (frames, planes, grid_px, grid_px)."""
        if self._expected is None:
            engine = TorchEngine(self.model)
            self._expected = np.stack([self._planes(engine, number) for number in self._numbers])
        return self._expected

    def _ssim_loss(self, phases: NDArray[np.float32], expected: NDArray[np.float32]) -> float | None:
        """Return the largest loss of SSIM of a plane, (frames, planes, grid_px, grid_px); None without displayed phase."""
        if self.frames.truth_rad is None:
            return None
        planes = range(phases.shape[1])
        return max(self._ssim(list(expected[:, plane])) - self._ssim(list(phases[:, plane])) for plane in planes)

    def _ssim(self, phases: list[NDArray[np.float32]]) -> float:
        """Return the mean SSIM against the displayed phase."""
        assert self.frames.truth_rad is not None
        mask, phase_range_rad = self.model.mask, self.model.card.phase_range_rad
        pairs = zip(phases, self.frames.truth_rad, strict=True)
        return float(np.mean([score(phase, truth, mask, phase_range_rad).ssim for phase, truth in pairs]))


def _require_planes(planes: NDArray[np.float32], expected: NDArray[np.float32], name: str) -> None:
    """Raise EngineError unless an engine gives the planes of this model."""
    if len(planes) < len(expected):
        raise EngineError(f"{name} gives no standard deviation, torch does; compile the model again (specklescope compile)")
    if planes.shape != expected.shape:
        raise EngineError(f"{name} gives {planes.shape}, torch {expected.shape}; its file belongs to another model")
    if not np.isfinite(planes).all():
        raise EngineError(f"{name} gives numbers that are not finite; use full precision (fp32)")


def _require_tolerances(report: EngineCheckReport, name: str, precision: Precision) -> None:
    """Raise EngineError unless the differences are within the tolerances of the precision."""
    worst, rms, loss = report.max_abs_diff_rad, report.rms_diff_rad, report.ssim_loss
    if precision is Precision.FP32:
        if worst > TOLERANCE_RAD:
            raise EngineError(f"{name} differs from torch by {worst:.2g} rad, more than {TOLERANCE_RAD}")
        return
    if loss is None:
        raise EngineError(f"{name} can only be checked on real frames with their phase, and there are none; use fp32")
    if precision is not Precision.INT8 and rms > TOLERANCE_RMS_RAD:
        raise EngineError(f"{name} differs from torch by {rms:.2g} rad rms, more than {TOLERANCE_RMS_RAD}; use fp32")
    if loss > TOLERANCE_SSIM[precision]:
        raise EngineError(f"{name} loses {loss:.4f} of SSIM, more than {TOLERANCE_SSIM[precision]}; use a finer precision")


def _require_sigma_tolerances(report: EngineCheckReport, name: str, precision: Precision) -> None:
    """Raise EngineError unless the difference of the standard deviation is within the tolerance of the precision."""
    worst, rms = report.sigma_max_abs_diff_rad, report.sigma_rms_diff_rad
    if worst is None or rms is None:
        return
    what = f"the standard deviation of {name} differs from torch by"
    if precision is Precision.FP32:
        if worst > SIGMA_TOLERANCE_RAD:
            raise EngineError(f"{what} up to {worst:.2g} rad, more than {SIGMA_TOLERANCE_RAD}; use torch")
    elif rms > SIGMA_TOLERANCE_RMS_RAD:
        raise EngineError(f"{what} {rms:.2g} rad rms, more than {SIGMA_TOLERANCE_RMS_RAD}; use fp32")
