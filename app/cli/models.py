"""Commands about models: train and time them."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from app.cli.options import Config, Count, Json, ModelName, Response, Seconds, settings_of
from app.cli.output import console, progress_bars, publish, publish_rows
from drivers.base import SpeckleScopeError

Options = Annotated[
    list[str] | None, Parameter(name="--set", help="An option of the network, name=value; may be given several times.")
]
StartModel = Annotated[
    str | None, Parameter(name="--from", help="Start with the weights of this model: a shipped name or a model folder.")
]


def train(
    folder: Path,
    *,
    kind: str | None = None,
    set_: Options = None,
    from_: StartModel = None,
    dataset: Path | None = None,
    response: Response = None,
    source: str = "mixed",
    pairs: Count = 6000,
    steps: Count = 3000,
    minutes: Seconds | None = None,
    batch: Count = 8,
    rate: Seconds | None = None,
    schedule: Literal["cosine", "plateau"] = "cosine",
    validate_every: Count = 250,
    early_stop: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    seed: int = 11,
    front_end: Literal["ridge", "correlate", "fold", "shrink"] | None = None,
    base_channels: Count | None = None,
    resume: bool = False,
    config: Config = None,
    json: Json = None,
) -> None:
    """Train a model for this fibre and write it to FOLDER, with its card; the run is recorded in FOLDER/run.

    Several processes, or cards, train together: torchrun --nproc-per-node 2 .venv/bin/specklescope train ...

    Parameters
    ----------
    folder
        Where the model goes; its name is the model's name.
    kind
        What to train: referenced, unless --from says otherwise; an unknown kind is answered with all there are.
    dataset
        A captured dataset. Without it pairs are simulated on the twin.
    source
        Patterns of the simulated pairs.
    pairs
        How many to simulate.
    steps
        Training steps.
    minutes
        Time to train instead of a number of steps.
    batch
        Pairs in one step.
    rate
        Highest learning rate; without it the kind's own, and a tenth of that with --from.
    schedule
        How the rate falls: cosine to nothing at the end, plateau when validation stops getting better.
    validate_every
        Steps between two looks at held-out pairs, each with a checkpoint and a model that can be used.
    early_stop
        End after so many validations without progress, with the weights of the best; 0 never does.
    seed
        Draw of patterns, noise and first weights.
    front_end
        Short for --set front_end=...
    base_channels
        Short for --set base_channels=...
    resume
        Go on with the run in FOLDER that was stopped; all other options as when it was begun.
    """
    from app.training.network_options import network_options
    from app.training.train import Job, train_on_dataset, train_on_twin
    from reconstruction.models.model import load_model
    from reconstruction.training.config import Schedule, TrainConfig
    from reconstruction.training.distributed import join
    from reconstruction.training.loop import TrainingStoppedError

    settings = settings_of(config)
    if not resume and folder.exists() and any(folder.iterdir()):
        raise SpeckleScopeError(f"{folder} is not empty; choose a new folder for the model, or go on with --resume")
    start = load_model(from_) if from_ is not None else None
    kind = kind or (start.card.kind if start else "referenced")
    short = {"front_end": front_end, "base_channels": base_channels}
    options = [f"{name}={value}" for name, value in short.items() if value is not None] + (set_ or [])
    network = network_options(kind, options)
    training = TrainConfig(
        steps=steps,
        minutes=minutes,
        batch=batch,
        learning_rate=rate,
        schedule=Schedule(schedule),
        validate_every=validate_every,
        early_stop=early_stop,
        seed=seed,
    )
    command = shlex.join(["specklescope", *sys.argv[1:]])
    with join() as world, progress_bars() if world.first else nullcontext(_silent) as report:
        job = Job(folder, kind, network, training, command, start, response, resume, world)
        try:
            if dataset is not None:
                done = train_on_dataset(settings, dataset, job, report)
            else:
                done = train_on_twin(settings, source, pairs, seed, job, report)
        except TrainingStoppedError as stopped:
            if not world.first:
                raise SystemExit(1) from stopped
            again = command if resume else f"{command} --resume"
            raise SpeckleScopeError(f"stopped at step {stopped.step}; go on with: {again}") from stopped
    if done is not None:
        model, result = done
        publish("held-out scores", {"model": str(folder), "model_id": model.id, **result.to_dict()}, json)


def _silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Report of the processes that report nothing."""


def compile_(
    model: str,
    *,
    engine: str | None = None,
    precision: Literal["fp32", "fp16", "bf16", "int8"] | None = None,
    frames: Path | None = None,
    response: Response = None,
    config: Config = None,
    json: Json = None,
) -> None:
    """Build engines for MODEL on this machine, verify them equal to torch, time them, and remember the fastest.

    Parameters
    ----------
    model
        A shipped name or a model folder.
    engine
        Only this one: tensorrt, tensorrt_rtx, torch_cuda, openvino, onnxruntime or torch. Without it, all there are.
    precision
        How that engine calculates.
    frames
        Captured dataset of the model's fibre to judge engines on; the twin's frames where the model is for the twin.
    """
    from app.instrument.responses import attach
    from app.training.compile import compile_model
    from reconstruction.engines.engine_kinds import parse
    from reconstruction.models.model import load_model

    if precision and not engine:
        raise SpeckleScopeError(f"--precision {precision} is that of an engine; name it with --engine")
    choice = parse(f"{engine} {precision or ''}") if engine else None
    settings = settings_of(config, response=response)
    loaded = load_model(model)
    attach(loaded, settings.response, loaded.card.fibre)
    with progress_bars() as report:
        numbers = compile_model(loaded, settings, choice, frames, report)
    publish_rows("compile", numbers, json)


def bench(
    what: Literal["live", "twin", "engines", "devices", "acquisition", "calibration", "training"],
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
        live: the live loop against its engine alone. twin: simulated frames a second. engines: every engine on every shipped
        model, in turns, and what the steady state keeps. devices: contract suites of cameras
        and SLMs, exactness of the screen SLM, and acquisitions under faults. acquisition: a dataset under faults, kills and a
        full disk; the clean run's time; holograms, writing and reading beside others. calibration: every calibration against
        the twin's truth; few-pair reconstruction, also of captured pairs where they lie beside the checkout. training: scores
        against the number of pairs, and fine-tuning on few pairs of another kind, on a smaller twin.
    patterns
        For devices: patterns on the screen at each scaling.
    pairs
        Pairs of each acquisition: 2000 for devices, 10000 for acquisition.
    quick
        For acquisition: under a minute, with few pairs and rounds. For calibration: some three minutes, with few fibres. For
        training: two points of each curve.
    """
    if what == "calibration":
        from app.benchmarks.calibration import bench_calibration

        sheet = json.with_suffix(".png") if json is not None else None
        with progress_bars() as report:
            publish("bench calibration", bench_calibration(report, quick, sheet), json)
        return
    if what == "engines":
        from app.benchmarks.engines import bench_engines

        with progress_bars() as report:
            numbers = bench_engines(settings_of(config, model=model), report, quick)
        publish_rows("bench engines", numbers, json)
        return
    if what == "training":
        from app.benchmarks.training import bench_training

        with progress_bars() as report:
            publish("bench training", bench_training(report, quick), json)
        return
    if what == "devices":
        from app.benchmarks.devices import bench_devices

        with progress_bars() as report:
            publish("bench devices", bench_devices(report, patterns, pairs or 2000), json)
        return
    if what == "acquisition":
        from app.benchmarks.acquisition import bench_acquisition

        with progress_bars() as report:
            publish("bench acquisition", bench_acquisition(report, pairs or 10_000, quick), json)
        return
    from app.benchmarks.live import bench_live, bench_twin

    settings = settings_of(config, model=model)
    with console.status(f"measuring {what}"):
        numbers = bench_live(settings) if what == "live" else bench_twin(settings)
    publish(f"bench {what}", numbers, json)
