"""Measures scores against the number of training pairs, and how a model is fine-tuned on a few pairs of another kind.

The twin has a quarter of the usual field, so that all of it takes minutes.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from app.instrument.config import InstrumentConfig, TwinConfig
from app.progress import Report
from app.training.train import Job, SimulatedPairs, train_on_twin, twin_data
from drivers.twin.optics_config import OpticsConfig
from reconstruction.data.simulation import simulated_pool
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.evaluation.evaluate import evaluate
from reconstruction.models.model import Model, load_model
from reconstruction.training.config import TrainConfig

Numbers = dict[str, object]

_SIDE_PX = 256
#: Images without cells, and cells; a model trained on the first is fine-tuned on the second with this many pairs.
_FIRST, _SECOND = "leaves", "cells"
_FEW = (10, 50, 150)
_PAIRS = (250, 1000, 4000)
#: Fewer pairs do not determine the maps of the fibre, so no model is trained on them alone.
_LEAST_ALONE = 100
_TRAINING_SEED = 3
_TEST_PAIRS, _TEST_SEED = 48, 90_001


def bench_training(report: Report, *, quick: bool = False) -> Numbers:
    """Train on growing numbers of pairs, and fine-tune on few pairs of another kind.

    Parameters
    ----------
    report : Report
        Progress.
    quick : bool
        Two points of each curve, and few steps.

    Returns
    -------
    dict
        ``ssim_by_pairs``: scores on held-out images, by the number of pairs of mixed images. ``transfer``: scores on held-out
        cells, by the number of pairs of cells: of a model trained without cells and fine-tuned on these pairs, and of a model
        trained on these pairs alone.
    """
    steps, fine_tuning_steps = (60, 40) if quick else (300, 150)
    with tempfile.TemporaryDirectory(prefix="specklescope-bench-") as folder:
        trainer = _Trainer(_small_instrument(), Path(folder), report)
        by_pairs = {}
        for pairs in _PAIRS[:2] if quick else _PAIRS:
            model = trainer.train(f"mixed-{pairs}", _pairs("mixed", pairs), steps)
            by_pairs[str(pairs)] = trainer.scores(model, "held-out")
        base = trainer.train("base", _pairs(_FIRST, 500 if quick else 4000), steps)
        transfer = {"0": {"fine_tuning": trainer.scores(base, _SECOND)}}
        for pairs in _FEW[-1:] if quick else _FEW:
            model = trainer.train(f"tuned-{pairs}", _pairs(_SECOND, pairs), fine_tuning_steps, base)
            transfer[str(pairs)] = {"fine_tuning": trainer.scores(model, _SECOND)}
            if pairs >= _LEAST_ALONE:
                alone = trainer.train(f"alone-{pairs}", _pairs(_SECOND, pairs), steps)
                transfer[str(pairs)]["alone"] = trainer.scores(alone, _SECOND)
    return {
        "twin_px": _SIDE_PX,
        "steps": steps,
        "fine_tuning_steps": fine_tuning_steps,
        "ssim_by_pairs": by_pairs,
        "transfer_from": f"{_FIRST}, without cells",
        "transfer": transfer,
    }


def _small_instrument() -> InstrumentConfig:
    optics = OpticsConfig()
    radius_um = optics.field_radius_um * _SIDE_PX / optics.image_px
    return InstrumentConfig(twin=TwinConfig(optics=replace(optics, image_px=_SIDE_PX, field_radius_um=radius_um)))


def _pairs(source: str, pairs: int) -> SimulatedPairs:
    return SimulatedPairs(source=source, pairs=pairs, seed=_TRAINING_SEED)


@dataclass(frozen=True)
class _Trainer:
    """Trains and scores models of one instrument in one folder."""

    config: InstrumentConfig
    root: Path
    report: Report

    def train(self, name: str, simulated: SimulatedPairs, steps: int, base: Model | None = None) -> Model:
        """Train a model on simulated pairs; ``base`` is fine-tuned, without it a new model is trained."""
        job = Job(
            folder=self.root / name,
            kind="referenced",
            network={} if base else {"grid_px": _SIDE_PX // 4},
            training=TrainConfig(steps=steps, batch=min(8, simulated.pairs), seed=_TRAINING_SEED, validate_every=steps),
            command="specklescope bench training",
            start=base,
        )
        trained = train_on_twin(
            self.config, simulated, job, lambda stage, *progress: self.report(f"{name}: {stage}", *progress)
        )
        assert trained is not None
        return load_model(job.folder)

    def scores(self, model: Model, source: str) -> dict[str, float]:
        """Score a model on simulated pairs that no model was trained on."""
        data = twin_data(self.config, source, _TEST_PAIRS, _TEST_SEED, model.grid_px)
        with simulated_pool(data, 0) as pool:
            scores = evaluate(model, TorchEngine(model), pool).scores
        return {"ssim": scores.ssim, "ssim_centred": scores.ssim_centred, "correlation": scores.correlation}
