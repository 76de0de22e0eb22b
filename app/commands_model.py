"""Commands about models: train, score and time them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from app.options import Config, Count, Json, ModelName, settings_of
from app.terminal import console, progress_bars, publish
from drivers.base import SpeckleScopeError


def train(
    folder: Path,
    *,
    dataset: Path | None = None,
    source: str = "mixed",
    pairs: Count = 6000,
    steps: Count = 3000,
    batch: Count = 8,
    seed: int = 11,
    front_end: Literal["ridge", "correlate", "fold", "shrink"] = "ridge",
    base_channels: Count = 24,
    config: Config = None,
    json: Json = None,
) -> None:
    """Train a model for this fibre and write it to FOLDER, with its card.

    Parameters
    ----------
    folder
        Where the model goes; its name is the model's name.
    dataset
        A captured dataset. Without it pairs are simulated on the twin.
    source
        Patterns of the simulated pairs.
    pairs
        How many to simulate.
    steps
        Training steps.
    batch
        Pairs in one step.
    seed
        Draw of patterns, noise and first weights.
    front_end
        How the frame enters the network.
    base_channels
        Width of the network.
    """
    from app.training import train_on_dataset, train_on_twin
    from reconstruction.networks.unet import UNetConfig
    from reconstruction.train import TrainConfig

    settings = settings_of(config)
    if folder.exists() and any(folder.iterdir()):
        raise SpeckleScopeError(f"{folder} is not empty; choose a new folder for the model")
    network = UNetConfig(front_end=front_end, base_channels=base_channels)
    training = TrainConfig(steps=steps, batch=batch, seed=seed)
    command = "specklescope " + " ".join(sys.argv[1:])
    with progress_bars() as report:
        if dataset is not None:
            model, result = train_on_dataset(settings, folder, dataset, network, training, command, report)
        else:
            model, result = train_on_twin(settings, folder, source, pairs, seed, network, training, command, report)
    publish("held-out scores", {"model": str(folder), "model_id": model.id, **result.to_dict()}, json)


def evaluate(
    *,
    model: ModelName = None,
    dataset: Path | None = None,
    source: str = "held-out",
    pairs: Count = 48,
    engine: str | None = None,
    config: Config = None,
    json: Json = None,
) -> None:
    """Score a model on pairs it has not seen: error, PSNR, SSIM, correlation, IoU, time a frame.

    Parameters
    ----------
    dataset
        A captured dataset, of which the test part is used. Without it pairs are simulated on the twin.
    source
        Patterns of the simulated pairs.
    pairs
        How many to simulate.
    engine
        auto, openvino, onnxruntime or torch.
    """
    from acquisition.store import Archive
    from app.rig import fibre_name
    from app.training import twin_data
    from reconstruction.data import from_archive
    from reconstruction.engines.choose import open_engine
    from reconstruction.evaluate import evaluate as score_pool
    from reconstruction.model import load_model
    from reconstruction.simulate import simulated_pool

    settings = settings_of(config, model=model)
    loaded = load_model(settings.model)
    chosen = open_engine(loaded, engine or settings.live.engine)
    with progress_bars() as report:
        if dataset is not None:
            loaded.check_fibre(str(Archive.open(dataset).card.get("fibre", "")))
            pool = from_archive(dataset, loaded.grid_px, "test")
            loaded.check_frame((pool.reference.shape[0], pool.reference.shape[1]))
            result = score_pool(loaded, chosen.engine, pool, lambda done: report("scoring", done, pool.ready))
        else:
            loaded.check_fibre(fibre_name(settings.twin.optics))
            data = twin_data(settings, source, pairs, 2, loaded.grid_px)
            with simulated_pool(data, 0, lambda done: report("simulating pairs", done, pairs)) as pool:
                result = score_pool(loaded, chosen.engine, pool, lambda done: report("scoring", done, pairs))
    publish("scores", {"model": loaded.card.name, "model_id": loaded.id, **result.to_dict()}, json)


def bench(
    what: Literal["live", "twin", "devices", "acquisition", "calibration"],
    *,
    model: ModelName = None,
    patterns: Count = 1000,
    pairs: Count | None = None,
    quick: bool = False,
    config: Config = None,
    json: Json = None,
) -> None:
    """Measure on this computer, side by side in one run.

    Parameters
    ----------
    what
        live: the live loop against its engine alone. twin: simulated frames a second. devices: contract suites of cameras
        and SLMs, exactness of the screen SLM, and acquisitions under faults. acquisition: a dataset under faults, kills and a
        full disk; the clean run's time; holograms, writing and reading beside others. calibration: every calibration against
        the twin's truth; few-pair reconstruction, also of captured pairs where they lie beside the checkout.
    patterns
        For devices: patterns on the screen at each scaling.
    pairs
        Pairs of each acquisition: 2000 for devices, 10000 for acquisition.
    quick
        For acquisition: under a minute, with few pairs and rounds. For calibration: some three minutes, with few fibres.
    """
    if what == "calibration":
        from app.bench_calibration import bench_calibration

        sheet = json.with_suffix(".png") if json is not None else None
        with progress_bars() as report:
            publish("bench calibration", bench_calibration(report, quick, sheet), json)
        return
    if what == "devices":
        from app.bench_devices import bench_devices

        with progress_bars() as report:
            publish("bench devices", bench_devices(report, patterns, pairs or 2000), json)
        return
    if what == "acquisition":
        from app.bench_acquisition import bench_acquisition

        with progress_bars() as report:
            publish("bench acquisition", bench_acquisition(report, pairs or 10_000, quick), json)
        return
    from app.bench import bench_live, bench_twin

    settings = settings_of(config, model=model)
    with console.status(f"measuring {what}"):
        numbers = bench_live(settings) if what == "live" else bench_twin(settings)
    publish(f"bench {what}", numbers, json)
