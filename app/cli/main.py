"""The command ``specklescope``: one function a command, thin over what the window uses too."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from cyclopts import App, CycloptsError

from app.cli import calibrate, datasets, evaluate, exchange, models, reconstruct
from app.cli.options import Archives, Camera, Config, Count, Json, ModelName, Seconds, Slm, has_display, settings_of
from app.cli.output import console, progress_bars, publish, write_json
from app.instrument.config import InstrumentConfig
from app.malloc_tuning import keep_freed_memory
from app.signals import stop_on_signal
from drivers.base import SpeckleScopeError

app = App(
    name="specklescope",
    help="Run a lensless multi-core-fibre endoscope: acquire speckle/phase pairs, train, watch live, record, export.",
    version=lambda: next((d.version for d in metadata.distributions(name="specklescope")), "not installed"),
    help_format="plaintext",
)


@app.command
def demo(
    *,
    headless: bool = False,
    pairs: Count = 200,
    out: Path = Path("demo-out"),
    camera: Camera = None,
    config: Config = None,
    json: Json = None,
) -> None:
    """Show the whole job on the simulated instrument: acquire, check, reconstruct live, record, export.

    Opens the window where there is a display; otherwise runs without one and draws the same window into a file.

    Parameters
    ----------
    headless
        Open no window even where there is a display.
    pairs
        Speckle/phase pairs to acquire.
    out
        Folder for the dataset, the recording, its exports and the picture of the window.
    """
    from app.demo import Demo
    from app.gui.main import render_offscreen, run_window
    from app.live.session import Session

    settings = settings_of(config, archive=out / "archive", camera=camera)
    if not settings.on_twin:
        raise SpeckleScopeError(f"the demo needs the simulated instrument, not camera '{settings.camera}'; leave --config out")
    windowed = not headless and has_display()
    if not windowed:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with Session.open(settings) as session, progress_bars() as report:
        show = Demo(session, pairs, report)
        if windowed:
            numbers = _beside_window(show.run, lambda: run_window(session)[0])
        else:
            numbers = show.run()
            report("drawing the window", 0, 1)
            numbers["screenshot"] = str(render_offscreen(session, out / "window.png"))
            report("drawing the window", 1, 1)
    if numbers:
        publish("demo", numbers, json)


@app.command
def live(
    *,
    seconds: Seconds = 10.0,
    model: ModelName = None,
    engine: str | None = None,
    camera: Camera = None,
    slm: Slm = None,
    config: Config = None,
    json: Json = None,
) -> None:
    """Reconstruct live without a window and print rates, latency and drops.

    Parameters
    ----------
    seconds
        How long.
    engine
        auto, openvino, onnxruntime or torch.
    """
    settings = settings_of(config, model=model, engine=engine, camera=camera, slm=slm)
    publish("live", _run_live(settings, seconds, None), json)


@app.command
def record(
    name: str,
    *,
    seconds: Seconds = 10.0,
    model: ModelName = None,
    engine: str | None = None,
    camera: Camera = None,
    slm: Slm = None,
    config: Config = None,
    archive: Archives = None,
    json: Json = None,
) -> None:
    """Record without a window: every camera frame with its reconstruction.

    Parameters
    ----------
    name
        Name of the recording, for people.
    seconds
        How long.
    engine
        auto, openvino, onnxruntime or torch.
    """
    settings = settings_of(config, archive, model, engine, camera, slm)
    publish("recording", _run_live(settings, seconds, name), json)


@app.command
def gui(*, setup: bool = False, model: ModelName = None, config: Config = None) -> None:
    """Open the window.

    Parameters
    ----------
    setup
        Start with the setup page: choose camera and SLM, see them live, write the instrument file.
    """
    from app.gui.main import run_instrument

    if not has_display():
        raise SpeckleScopeError("there is no display to open a window on; use 'specklescope live', or connect with ssh -X")
    code = run_instrument(config, model, setup)
    if code:
        raise SystemExit(code)


@app.command
def doctor(*, config: Config = None, json: Json = None) -> None:
    """Look at processor, disk, display, model and engines; say what is wrong and what to do."""
    from app.diagnostics.doctor import examine

    settings = settings_of(config)
    with console.status("looking around"):
        findings = examine(settings)
    words = {f.subject: f"{f.verdict}: {f.text}" + (f"\n-> {f.remedy}" if f.remedy else "") for f in findings}
    publish("doctor", words, None)
    bad = [f.subject for f in findings if f.verdict == "bad"]
    if json is not None:
        write_json(json, {"ok": not bad, "findings": [asdict(f) for f in findings]})
    if bad:
        raise SpeckleScopeError(f"not ready: {', '.join(bad)}; the remedies stand above")


COMMANDS = (
    datasets.acquire,
    calibrate.calibrate,
    datasets.certify,
    datasets.hologram,
    exchange.export,
    models.train,
    evaluate.evaluate,
    reconstruct.reconstruct,
    models.bench,
)
for command in COMMANDS:
    app.command(command)
app.command(models.compile_, name="compile")
app.command(datasets.twin_statistics, name="twin-statistics")
app.command(exchange.import_pairs, name="import")


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; exits with 0, 1 (it failed), 2 (asked wrongly) or 130 (interrupted)."""
    keep_freed_memory()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # temporary files go with either
    logging.basicConfig(level=os.environ.get("SPECKLESCOPE_LOG", "ERROR"), format="%(levelname)s %(name)s: %(message)s")
    try:
        app(argv, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(str(error), 2)
    except SpeckleScopeError as error:
        _fail(str(error), 1)
    except ExceptionGroup as group:
        _fail("; ".join(str(error) for error in group.exceptions), 1)
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror or error}; check path, rights and free space", 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def _fail(text: str, code: int) -> None:
    print(f"specklescope: {' '.join(text.split())}", file=sys.stderr)
    raise SystemExit(code)


def _run_live(settings: InstrumentConfig, seconds: float, take: str | None) -> dict[str, object]:
    from acquisition.archive.kinds import FinishReason
    from app.live.session import Session

    with Session.open(settings) as session, progress_bars() as report, stop_on_signal() as stop:
        session.start_live()
        started: float | None = None
        while not stop.wait(0.1):
            messages = session.pop_messages()
            if any(message.level == "error" for message in messages):
                raise SpeckleScopeError("; ".join(message.text for message in messages))
            for message in messages:
                console.print(f"{message.level}: {message.text}")
            if session.poll_view() is not None and started is None:
                started = time.monotonic()
                if take is not None:
                    session.start_recording(take)
            elapsed = time.monotonic() - started if started else 0.0
            status = session.live_status()
            note = f"{status.inference_fps:.1f} fps, {status.engine}"
            report("recording" if take else "live", int(elapsed), int(seconds), note)
            if elapsed >= seconds:
                break
        numbers = asdict(session.live_status())
        session.stop_recording()
        session.join()
        if take is not None:
            done = session.recording_status()
            numbers |= {"recording": str(done.path), "frames_recorded": done.frames_recorded, "verdict": done.verdict}
            if done.finish_reason is not FinishReason.COMPLETED:
                raise SpeckleScopeError(f"the recording ended as '{done.verdict}'; {done.frames_recorded} frames are safe")
    return numbers


def _beside_window(work: Callable[[], dict[str, object]], show_window: Callable[[], int]) -> dict[str, object]:
    """Run ``work`` in a thread while the window is open; its numbers, or none when the window closed first."""
    result: dict[str, object] = {}
    errors: list[BaseException] = []

    def run() -> None:
        try:
            result.update(work())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="demo", daemon=True)
    thread.start()
    show_window()
    if errors:
        raise errors[0]
    return result


if __name__ == "__main__":
    main()
