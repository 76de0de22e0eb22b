"""What training needs, measured: scores against the number of pairs, and a model that is fitted to tissue with few of them.

On a twin of a quarter of the field, so that all of it takes minutes; the full one only takes longer.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from app.instrument.config import InstrumentConfig, TwinConfig
from app.progress import Report
from app.training.train import Job, train_on_twin, twin_data
from drivers.twin.optics_config import OpticsConfig
from reconstruction.data.simulation import simulated_pool
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.evaluation.evaluate import evaluate
from reconstruction.models.model import Model, load_model
from reconstruction.training.config import TrainConfig

Numbers = dict[str, object]

_SIDE_PX = 256
#: Pictures without a cell, and cells; a model of the first is fitted to the second with so many pairs.
_FIRST, _SECOND = "leaves", "cells"
_FEW = (10, 50, 150)
_PAIRS = (250, 1000, 4000)
_TEST_PAIRS, _TEST_SEED = 48, 90_001


def bench_training(report: Report, quick: bool = False) -> Numbers:
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
        ``ssim_by_pairs`` (mixed pictures, tested on the held-out ones) and ``transfer``: SSIM and correlation on held-out cells
        of a model that has seen none of them, after fine-tuning with so many, and of one trained on those few alone.
    """
    config = _small_instrument()
    steps, tuned_steps = (60, 40) if quick else (300, 150)
    with tempfile.TemporaryDirectory(prefix="specklescope-bench-") as folder:
        root = Path(folder)
        by_pairs = {}
        for pairs in _PAIRS[:2] if quick else _PAIRS:
            model = _trained(config, root / f"mixed-{pairs}", "mixed", pairs, steps, report)
            by_pairs[str(pairs)] = _scores(config, model, "held-out")
        base = _trained(config, root / "base", _FIRST, 500 if quick else 4000, steps, report)
        transfer = {"0": {"fine_tuned": _scores(config, base, _SECOND)}}
        for pairs in _FEW[-1:] if quick else _FEW:
            model = _trained(config, root / f"tuned-{pairs}", _SECOND, pairs, tuned_steps, report, base)
            transfer[str(pairs)] = {"fine_tuned": _scores(config, model, _SECOND)}
            if pairs >= 100:  # fewer do not determine the fibre's maps
                alone = _trained(config, root / f"alone-{pairs}", _SECOND, pairs, steps, report)
                transfer[str(pairs)]["alone"] = _scores(config, alone, _SECOND)
    return {
        "twin_px": _SIDE_PX,
        "steps": steps,
        "fine_tuning_steps": tuned_steps,
        "ssim_by_pairs": by_pairs,
        "transfer_from": f"{_FIRST}, without a cell",
        "transfer": transfer,
    }


def _small_instrument() -> InstrumentConfig:
    optics = OpticsConfig()
    radius_um = optics.field_radius_um * _SIDE_PX / optics.image_px
    return InstrumentConfig(twin=TwinConfig(optics=replace(optics, image_px=_SIDE_PX, field_radius_um=radius_um)))


def _trained(
    config: InstrumentConfig, folder: Path, source: str, pairs: int, steps: int, report: Report, base: Model | None = None
) -> Model:
    network: dict[str, object] = {} if base else {"grid_px": _SIDE_PX // 4}
    training = TrainConfig(steps=steps, batch=min(8, pairs), seed=3, validate_every=steps)
    job = Job(folder, "referenced", network, training, "specklescope bench training", base)
    words = f"{folder.name}: "
    done = train_on_twin(config, source, pairs, 3, job, lambda stage, *progress: report(words + stage, *progress))
    assert done is not None
    return load_model(folder)


def _scores(config: InstrumentConfig, model: Model, source: str) -> dict[str, float]:
    data = twin_data(config, source, _TEST_PAIRS, _TEST_SEED, model.grid_px)
    with simulated_pool(data, 0) as pool:
        scores = evaluate(model, TorchEngine(model), pool).scores
    return {"ssim": scores.ssim, "ssim_centred": scores.ssim_centred, "correlation": scores.correlation}
