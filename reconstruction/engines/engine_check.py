"""The engine check: an engine is used only after it gave the same phase as torch on the check frames."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reconstruction.engines.base import Engine, EngineError, Precision, run_with_sigma
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
#: Models with more evaluations per frame than this are checked on one frame only.
_MANY_EVALUATIONS = 8


@dataclass(frozen=True, kw_only=True)
class EngineCheckReport:
    """What the engine check measured.

    Parameters
    ----------
    max_abs_diff_rad, rms_diff_rad : float
        Difference from torch: of the worst pixel, and root mean square inside the fibre's disc.
    ssim_loss : float, optional
        Mean SSIM of torch minus that of the engine; None without the displayed phase.
    frames : int
        Number of frames compared.
    """

    max_abs_diff_rad: float
    rms_diff_rad: float
    ssim_loss: float | None
    frames: int

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
        self._expected: list[NDArray[np.float32]] = []

    def check(self, engine: Engine, precision: Precision) -> EngineCheckReport:
        """Compare an engine with torch; this also warms the engine up.

        Raises
        ------
        EngineError
            The phase has the wrong shape, is not finite, or differs from torch by more than the precision is allowed.
        """
        report = self.compare(
            [engine.run(frame, self.frames.reference) for frame in self.frames.frames], engine.name, precision
        )
        self._check_sigma(engine, precision)
        return report

    def _check_sigma(self, engine: Engine, precision: Precision) -> None:
        """Compare the standard deviation of one frame with that of torch, if the engine gives one."""
        if not self.model.network.has_sigma_head:
            return
        frame = self.frames.frames[0]
        sigma = run_with_sigma(engine, frame, self.frames.reference)[1]
        expected = TorchEngine(self.model).run_with_sigma(frame, self.frames.reference)[1]
        if sigma is None or expected is None:
            return
        if sigma.shape != expected.shape or not np.isfinite(sigma).all():
            raise EngineError(f"{engine.name} gives a standard deviation that is not that of this model; use torch")
        difference = np.abs(sigma - expected)[self.model.mask]
        worst, rms = float(difference.max()), float(np.sqrt(np.square(difference).mean()))
        if worst > TOLERANCE_RAD if precision is Precision.FP32 else rms > TOLERANCE_RMS_RAD:
            raise EngineError(f"the standard deviation of {engine.name} differs from torch by up to {worst:.2g} rad; use fp32")

    def compare(self, phases: list[NDArray[np.float32]], name: str, precision: Precision) -> EngineCheckReport:
        """Compare the phases that the engine ``name`` computed from the check frames; see :meth:`check`."""
        expected = self._torch_phases()
        for phase in phases:
            if phase.shape != expected[0].shape:
                raise EngineError(f"{name} gives {phase.shape}, torch {expected[0].shape}; its file belongs to another model")
            if not np.isfinite(phase).all():
                raise EngineError(f"{name} gives numbers that are not finite; use full precision (fp32)")
        difference = np.stack(phases) - np.stack(expected)
        report = EngineCheckReport(
            max_abs_diff_rad=float(np.abs(difference).max()),
            rms_diff_rad=float(np.sqrt(np.square(difference[:, self.model.mask]).mean())),
            ssim_loss=None if self.frames.truth_rad is None else self._ssim(expected) - self._ssim(phases),
            frames=len(phases),
        )
        _require_tolerances(report, name, precision)
        return report

    def _torch_phases(self) -> list[NDArray[np.float32]]:
        if not self._expected:
            engine = TorchEngine(self.model)
            self._expected = [engine.run(frame, self.frames.reference) for frame in self.frames.frames]
        return self._expected

    def _ssim(self, phases: list[NDArray[np.float32]]) -> float:
        """Return the mean SSIM against the displayed phase."""
        assert self.frames.truth_rad is not None
        mask, phase_range_rad = self.model.mask, self.model.card.phase_range_rad
        pairs = zip(phases, self.frames.truth_rad, strict=True)
        return float(np.mean([score(phase, truth, mask, phase_range_rad).ssim for phase, truth in pairs]))


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
