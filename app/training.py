"""Training a model for one fibre, from its twin or from a captured dataset, and the card that says how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from acquisition.store import Archive
from app.config import InstrumentConfig
from app.rig import fibre_name
from reconstruction.base import ReconstructionError
from reconstruction.data import PairPool, from_archive
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.evaluate import Evaluation, evaluate
from reconstruction.field import field_mask
from reconstruction.model import Model, ModelCard, save_model
from reconstruction.networks.unet import ReferencedUNet, UNetConfig
from reconstruction.simulate import TwinData, cores, simulated_pool
from reconstruction.train import TrainConfig, TrainReport, train

#: Images of the held-out and the validation source of the twin.
TEST_PAIRS = 24
VALIDATION_PAIRS = 24

#: ``(stage, done, total, note)``: what is going on and how far it is.
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class TrainingPools:
    """Pairs to learn from, to watch, and to report on; no pattern is in two of them."""

    training: PairPool
    validation: PairPool
    test: PairPool
    description: str
    fibre: str
    range_rad: float


def twin_data(config: InstrumentConfig, source: str, pairs: int, seed: int, grid_px: int) -> TwinData:
    """Describe simulated pairs of the configured twin."""
    camera = config.twin.camera
    return TwinData(config.twin.optics, camera.sensor, camera.exposure_s, source, pairs, seed, config.depth_rad, grid_px)


def train_on_twin(
    config: InstrumentConfig,
    folder: Path,
    source: str,
    pairs: int,
    seed: int,
    network: UNetConfig,
    training: TrainConfig,
    command: str,
    on_progress: Progress,
) -> tuple[Model, Evaluation]:
    """Simulate ``pairs`` pairs of ``source`` on the configured twin and train on them."""
    grid = network.grid_px
    data = twin_data(config, source, pairs, seed, grid)
    with (
        simulated_pool(data, cores(), lambda done: on_progress("simulating pairs", done, pairs, "")) as pool,
        simulated_pool(twin_data(config, "validation", VALIDATION_PAIRS, 1, grid), 0) as validation,
        simulated_pool(twin_data(config, "held-out", TEST_PAIRS, 2, grid), 0) as test,
    ):
        description = f"{pairs} simulated pairs, source '{source}', seed {seed}, phase depth {config.depth_rad} rad"
        fibre = fibre_name(config.twin.optics)
        pools = TrainingPools(pool, validation, test, description, fibre, config.depth_rad)
        return _train(pools, folder, field_radius(config), network, training, command, on_progress)


def train_on_dataset(
    config: InstrumentConfig,
    folder: Path,
    dataset: Path,
    network: UNetConfig,
    training: TrainConfig,
    command: str,
    on_progress: Progress,
) -> tuple[Model, Evaluation]:
    """Train on a captured dataset; a tenth of its patterns is watched, another tenth is reported on."""
    card = Archive.open(dataset).card
    parts = [from_archive(dataset, network.grid_px, part) for part in ("training", "validation", "test")]
    range_rad = card.get("depth_rad")
    if not isinstance(range_rad, int | float):
        raise ReconstructionError(f"the card of {dataset} names no depth_rad, the phase of white; acquire it again")
    description = f"{parts[0].ready} pairs captured in {dataset.name}"
    pools = TrainingPools(parts[0], parts[1], parts[2], description, str(card.get("fibre", "unknown")), float(range_rad))
    network = replace(network, frame_px=parts[0].reference.shape[0])
    return _train(pools, folder, field_radius(config), network, training, command, on_progress)


def field_radius(config: InstrumentConfig) -> float:
    """Radius of the fibre's disc as a fraction of half the frame."""
    optics = config.twin.optics
    return min(1.0, optics.field_radius_um / optics.pixel_um / (optics.image_px / 2))


def _train(
    pools: TrainingPools,
    folder: Path,
    radius: float,
    shape: UNetConfig,
    training: TrainConfig,
    command: str,
    on_progress: Progress,
) -> tuple[Model, Evaluation]:
    torch.manual_seed(training.seed)
    network = ReferencedUNet(replace(shape, field_radius=radius))
    if shape.front_end == "ridge":
        network.features.ridge.fit(pools.training, lambda done, total: on_progress("fitting the fibre's maps", done, total, ""))
    card = ModelCard(
        name=folder.name,
        fibre=pools.fibre,
        field_radius=radius,
        range_rad=pools.range_rad,
        network=network.config.to_dict(),
        data=pools.description,
        command=command,
        training=training.to_dict(),
    )
    note = ""

    def validated(average: ReferencedUNet, report: TrainReport) -> None:
        nonlocal note
        scores = report.validation[-1][1]
        note = f"validation SSIM {scores.ssim:.3f}, correlation {scores.correlation:.3f}"
        # A run that is cut short leaves the model of its last validation.
        save_model(folder, average, replace(card, seconds=report.seconds, scores={"stopped_at_step": report.steps}))

    mask = field_mask(shape.grid_px, radius)
    network, report = train(
        network,
        pools.training,
        pools.validation,
        mask,
        pools.range_rad,
        training,
        lambda step, loss: on_progress("training", step, training.steps, note),
        validated,
    )
    model = save_model(folder, network, replace(card, seconds=report.seconds))
    result = evaluate(model, TorchEngine(model), pools.test)
    return save_model(folder, network, replace(card, seconds=report.seconds, scores=result.to_dict())), result
