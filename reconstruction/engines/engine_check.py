"""The gate: an engine is used only after it has computed, on real frames, what torch computes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reconstruction.engines.base import Engine, EngineError, Precision
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.metrics import score
from reconstruction.models.model import Model

#: Largest difference of any pixel from torch, in full precision.
TOLERANCE_RAD: Final = 1e-3
#: Of 16 bits: root mean square difference in the disc, and change of SSIM against the truth.
TOLERANCE_RMS_RAD: Final = 0.02
_MANY_EVALUATIONS = 8
#: ``precision: largest loss of SSIM``. 8 bits are not held to torch's phase, only to what they are for.
TOLERANCE_SSIM: Final = {"fp16": 0.002, "bf16": 0.002, "int8": 0.005}


@dataclass(frozen=True)
class EngineCheckReport:
    """What the gate measured.

    Parameters
    ----------
    max_abs_diff_rad, rms_diff_rad : float
        Difference from torch: of the worst pixel, and root mean square inside the disc.
    ssim_loss : float, optional
        Mean SSIM of torch minus that of the engine.
    frames : int
        How many were compared.
    """

    max_abs_diff_rad: float
    rms_diff_rad: float
    ssim_loss: float | None
    frames: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain types, for JSON."""
        return asdict(self)


class EngineCheck:
    """What engines of one model have to pass.

    Parameters
    ----------
    model : Model
        Runs in torch for comparison, once.
    frames : CheckFrames
        To compare on; of models that take many evaluations a frame only the first.
    """

    def __init__(self, model: Model, frames: CheckFrames) -> None:
        self.model = model
        self.frames = frames if model.network.evaluations <= _MANY_EVALUATIONS else frames.first()
        self._expected: list[NDArray[np.float32]] = []

    def check(self, engine: Engine, precision: Precision) -> EngineCheckReport:
        """Compare an engine with torch, which also warms it.

        Raises
        ------
        EngineError
            Numbers that are not finite, the wrong shape, or a difference beyond what the precision is allowed.
        """
        return self.judge([engine.run(frame, self.frames.reference) for frame in self.frames.frames], engine.name, precision)

    def judge(self, made: list[NDArray[np.float32]], name: str, precision: Precision) -> EngineCheckReport:
        """Compare phases that the engine ``name`` made of the frames; see :meth:`check`."""
        if not self._expected:
            truth = TorchEngine(self.model)
            self._expected = [truth.run(frame, self.frames.reference) for frame in self.frames.frames]
        expected = self._expected
        for phase in made:
            if phase.shape != expected[0].shape:
                raise EngineError(f"{name} gives {phase.shape}, torch {expected[0].shape}; its file belongs to another model")
            if not np.isfinite(phase).all():
                raise EngineError(f"{name} gives numbers that are not finite; use full precision (fp32)")
        difference = np.stack(made) - np.stack(expected)
        worst, rms = float(np.abs(difference).max()), float(np.sqrt(np.square(difference[:, self.model.mask]).mean()))
        truth_rad = self.frames.truth_rad
        loss = None if truth_rad is None else _ssim_loss(made, expected, truth_rad, self.model)
        if precision == "fp32":
            if worst > TOLERANCE_RAD:
                raise EngineError(f"{name} differs from torch by {worst:.2g} rad, more than {TOLERANCE_RAD}")
        elif loss is None:
            raise EngineError(f"{name} can only be judged on real frames with their phase, and there are none; use fp32")
        elif precision != "int8" and rms > TOLERANCE_RMS_RAD:
            raise EngineError(f"{name} differs from torch by {rms:.2g} rad rms, more than {TOLERANCE_RMS_RAD}; use fp32")
        elif loss > TOLERANCE_SSIM[precision]:
            raise EngineError(f"{name} loses {loss:.4f} of SSIM, more than {TOLERANCE_SSIM[precision]}; use a finer precision")
        return EngineCheckReport(worst, rms, loss, len(made))


def _ssim_loss(
    made: list[NDArray[np.float32]], expected: list[NDArray[np.float32]], truth_rad: NDArray[np.float32], model: Model
) -> float:
    def mean(phases: list[NDArray[np.float32]]) -> float:
        pairs = zip(phases, truth_rad, strict=True)
        return float(np.mean([score(phase, truth, model.mask, model.card.phase_range_rad).ssim for phase, truth in pairs]))

    return mean(expected) - mean(made)
