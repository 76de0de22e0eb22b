"""``specklescope bench``: measure on this computer; one command for each benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from cyclopts import App

from app.benchmarks.reliability.budget import Part
from app.cli.options import Config, Count, Instrument, InstrumentOptions, Json, LiveOptions, Model, ModelOptions
from app.cli.output import console, progress_bars, publish, publish_rows, read_numbers, write_json
from app.instrument.kinds import InstrumentName
from drivers.base import SpeckleScopeError

#: Rounds of the live loop and of its engine alone, and the frames of each.
_ROUNDS, _QUICK_ROUNDS = 24, 5
_FRAMES, _QUICK_FRAMES = 60, 24
#: Objects in a frame that shows none, on average: more is a fault.
_FALSE_OBJECTS = 0.05
_LIVE, _MODEL = LiveOptions(), ModelOptions()

bench = App(name="bench", help="Measure on this computer. Things that are compared are timed in turns, in the same run.")


@bench.command
def live(
    *, quick: bool = False, model: Model = None, config: Config = None, instrument: Instrument = None, json: Json = None
) -> None:
    """Measure the window on a screen of its own, and compare the frame rate of the live loop with that of its engine alone.

    The window needs Xvfb and openbox (Debian packages xvfb and openbox).

    Parameters
    ----------
    quick
        Shorter runs, about three minutes.
    """
    from app.benchmarks.live.bench import bench_library, bench_window, broken_promises
    from app.benchmarks.live.live_loop import bench_live

    settings = ModelOptions(config=config, instrument=instrument, model=model).settings()
    rounds, frames = (_QUICK_ROUNDS, _QUICK_FRAMES) if quick else (_ROUNDS, _FRAMES)
    with progress_bars() as report:
        numbers = {
            **bench_live(settings, rounds=rounds, frames_per_round=frames),
            **bench_window(report, quick=quick),
            **bench_library(settings, report, quick=quick),
        }
    publish("bench live", numbers, json)
    _end_in_failure(dict.fromkeys(broken_promises(numbers), True))


@bench.command
def loop_back(*, flashes: Count = 50, csv: Path | None = None, instrument: LiveOptions = _LIVE) -> None:
    """Let the SLM flash, and time how long the flash takes to reach the frame and the reconstruction.

    Includes the SLM's refresh and settling, exposure, camera and engine; the time stamps are those of the software. The window
    measures the same with its drawing: Latency panel (F7).

    Parameters
    ----------
    flashes
        How many flashes, at most 1000.
    csv
        Also write the times of every flash to this CSV file.
    """
    from acquisition.archive.atomic_files import write_whole
    from app.benchmarks.live.loop_back import bench_loop_back
    from app.live.loop_back.results import loop_back_csv

    settings = instrument.settings()
    with progress_bars() as report:
        status = bench_loop_back(settings, flashes, report)
    if csv is not None:
        write_whole(csv, loop_back_csv(status), "choose another file for --csv")
    publish("bench loop-back", status.to_dict(), instrument.json)


@bench.command
def twin(*, config: Config = None, instrument: Instrument = None, json: Json = None) -> None:
    """Measure how many frames per second the twin simulates."""
    from app.benchmarks.live.live_loop import bench_twin

    settings = InstrumentOptions(config=config, instrument=instrument).settings()
    with console.status("measuring the twin"):
        numbers = bench_twin(settings)
    publish("bench twin", numbers, json)


@bench.command
def engines(*, between_models: bool = False, quick: bool = False, instrument: ModelOptions = _MODEL) -> None:
    """Time every engine on every shipped model, in turns; measure what a long run keeps in memory.

    Parameters
    ----------
    between_models
        Only time the models in turns, each on its fastest engine: how many times as long as --model each takes.
    quick
        Fewer rounds and a shorter run.
    """
    from app.benchmarks.engines import bench_engines
    from app.benchmarks.model_times import models_in_turns

    settings = instrument.settings()
    with progress_bars() as report:
        numbers = (models_in_turns if between_models else bench_engines)(settings, report, quick=quick)
    publish_rows("bench engines", numbers, instrument.json)
    _end_in_failure({"no engine was timed": not numbers["rows"]})


@bench.command
def devices(*, patterns: Count | None = None, pairs: Count | None = None, quick: bool = False, json: Json = None) -> None:
    """Run the contract tests of cameras and SLMs, read the screen SLM back pixel by pixel, and acquire pairs under faults.

    Parameters
    ----------
    patterns
        Patterns on the virtual monitor at each scaling. [default: 1000, or 20 with --quick]
    pairs
        Pairs of each acquisition. [default: 2000, or 100 with --quick]
    quick
        Finish in less than three minutes, with few patterns and pairs and two scalings.
    """
    from app.benchmarks.devices import bench_devices

    with progress_bars() as report:
        numbers = bench_devices(report, quick=quick, patterns=patterns, pairs=pairs)
    publish("bench devices", numbers, json)
    exact = numbers.get("slm_exact_fraction")
    fractions = exact.values() if isinstance(exact, Mapping) else ()
    _end_in_failure(
        {
            "a device does not keep its contract": bool(numbers["contract_suites_failed"]),
            "a pair is wrong": bool(numbers["wrong_pairs"]),
            "the screen SLM is not exact": any(isinstance(fraction, float) and fraction < 1 for fraction in fractions),
        }
    )


@bench.command
def acquisition(*, pairs: Count = 10_000, quick: bool = False, json: Json = None) -> None:
    """Acquire a dataset under faults, kills and a full disk; measure speed, and holograms, writing and reading beside others.

    Parameters
    ----------
    pairs
        Pairs of each acquisition.
    quick
        Finish in less than a minute, with few pairs and rounds.
    """
    from app.benchmarks.acquisition import bench_acquisition

    with progress_bars() as report:
        numbers = bench_acquisition(report, pairs, quick=quick)
    publish("bench acquisition", numbers, json)
    _end_in_failure(
        {
            "a pair is wrong": bool(numbers.get("wrong_pairs")),
            "an acknowledged pair is lost": bool(numbers.get("acknowledged_lost")),
            "the pairs are not verified": not numbers.get("verified", True),
        }
    )


@bench.command
def calibration(*, quick: bool = False, captured_pairs: Path | None = None, json: Json = None) -> None:
    """Compare every calibration with the twin's true values; measure few-pair reconstruction, also of captured pairs.

    With --json, the reconstructions of the captured pairs are drawn into a picture beside that file.

    Parameters
    ----------
    quick
        Finish in about three minutes, with few fibres.
    captured_pairs
        Folder with captured pairs: 'imagenet' and 'cell', each in the published layout. [default: shared/real-mcf beside the
        checkout, if it exists]
    """
    from app.benchmarks.calibration import bench_calibration

    sheet = json.with_suffix(".png") if json is not None else None
    with progress_bars() as report:
        numbers = bench_calibration(report, quick=quick, captured=captured_pairs, sheet=sheet)
    publish("bench calibration", numbers, json)


@bench.command
def training(*, quick: bool = False, json: Json = None) -> None:
    """Measure scores against the number of training pairs, and fine-tuning on a few pairs of another kind, on a small twin.

    Parameters
    ----------
    quick
        Two points of each curve, and few steps.
    """
    from app.benchmarks.training import bench_training

    with progress_bars() as report:
        numbers = bench_training(report, quick=quick)
    publish("bench training", numbers, json)


@bench.command
def segmentation(
    *,
    quick: bool = False,
    model: Model = None,
    config: Config = None,
    instrument: Instrument = None,
    json: Json = None,
) -> None:
    """Score and time every segmenter that is installed, on synthetic cells and on empty fields through twin and model.

    Weigh cells of known mass, follow cells that move, and compare the window's frame rate with and without segmentation.
    Without --model, the shipped few-step model reconstructs, and then the model of the instrument.

    With --json, captured pairs of cells are drawn with their outlines into pictures beside that file, if shared/real-mcf
    beside the checkout has any.

    Parameters
    ----------
    quick
        Few images, and no captured pairs; less than three minutes.
    """
    from app.benchmarks.live.bench import bench_segmented
    from app.benchmarks.segmentation.bench import bench_segmentation

    settings = ModelOptions(config=config, instrument=instrument).settings()
    sheet = json.with_suffix(".png") if json is not None else None
    with progress_bars() as report:
        numbers = bench_segmentation(settings, report, model=model, quick=quick, sheet=sheet)
        numbers |= bench_segmented(report, quick=quick)
    publish("bench segmentation", numbers, json)
    wrong = numbers.get("false_objects_empty")
    _end_in_failure({"empty fields have objects": isinstance(wrong, float) and wrong > _FALSE_OBJECTS})


@bench.command
def papers(
    *,
    train: str | None = None,
    processes: Count = 1,
    folder: Path | None = None,
    instrument: Literal[InstrumentName.FIBRE64, InstrumentName.FIBRE128] = InstrumentName.FIBRE64,
    json: Json = None,
) -> None:
    """Train the published networks and ours on a small fibre with the same pairs and the same minutes, and score them.

    This takes some 13 hours of one core, and 7 with fibre128. Stop it when you like: the same command goes on. Trainings run
    with a low priority.

    Parameters
    ----------
    train
        Train only this model of the experiment, in this process on one core, and score nothing.
    processes
        Number of trainings at once, on one core each.
    folder
        Folder for pairs, models and scores. [default: a folder of the user's data]
    instrument
        The small fibre.
    """
    from app.benchmarks.papers.bench import PapersOptions, bench_papers, train_one

    options = PapersOptions(instrument=instrument, root=folder, processes=processes)
    with progress_bars() as report:
        numbers = train_one(options, train, report) if train is not None else bench_papers(options, report)
    publish("bench papers", {key: value for key, value in numbers.items() if key != "rows"}, None)
    if json is not None:
        write_json(json, numbers)


@bench.command
def formats(*, json: Json = None) -> None:
    """Export and import every lossless format again: frames, phases, labels, times, units and names have to be the same."""
    from app.benchmarks.formats import bench_formats

    with progress_bars() as report:
        numbers = bench_formats(report)
    publish("bench formats", numbers, json)
    _end_in_failure({"a format lost something": numbers["identical"] != numbers["round_trips"]})


@bench.command
def reliability(*, quick: bool = False, only: list[Part] | None = None, json: Json = None) -> None:
    """Kill, interrupt, damage and attack the program, and count what was lost, accepted or not reported.

    Parameters
    ----------
    quick
        Finish in less than three minutes, with low counts.
    only
        Only this part; may be given several times. Its numbers are added to those that the JSON file already has.
    """
    from app.benchmarks.reliability.bench import bench_reliability, broken_promises

    numbers: dict[str, object] = read_numbers(json) if only and json is not None and json.is_file() else {}

    def keep(part: Mapping[str, object]) -> None:
        numbers.update(part)
        if json is not None:
            write_json(json, numbers)

    with progress_bars() as report:
        bench_reliability(report, keep, only or tuple(Part), quick=quick)
    publish("bench reliability", numbers, json)
    _end_in_failure(dict.fromkeys(broken_promises(numbers), True))


def _end_in_failure(faults: Mapping[str, bool]) -> None:
    """Raise SpeckleScopeError if one of these is true: then the exit code says so too."""
    if present := [text for text, is_present in faults.items() if is_present]:
        raise SpeckleScopeError(f"{', and '.join(present)}; the numbers above say which")
