"""Hostile instrument and plan files, names that play with the terminal, and a working folder full of programs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from acquisition.archive.old_names import METADATA
from app.benchmarks.reliability.children import specklescope
from app.benchmarks.reliability.hostile.attack import Attack, Target, put, yaml_alias_bomb, yaml_program
from app.benchmarks.reliability.samples import SampleKind
from app.instrument.config import load_config
from app.instrument.devices import open_camera, open_slm
from drivers.clock import RealClock
from drivers.safe_text import read_yaml

#: A command has to start first, which takes long on a busy computer.
_COMMAND_S = 120.0
_ESCAPE = "\x1b[2J\x1b]0;owned\x07"


def instrument_attacks() -> Iterator[Attack]:
    """Yield hostile instrument and plan files."""
    for name, settings in _SETTINGS.items():
        yield Attack(name=f"instrument: {name}", kind=SampleKind.INSTRUMENT, spoil=_with(settings), read=_open_devices)
    texts: dict[str, Callable[[Target], str]] = {
        "an alias bomb": lambda _: yaml_alias_bomb(),
        "a program": lambda target: yaml_program(target.canary),
        "nested 100000 deep": lambda _: "[" * 100_000,
        "a number of a million digits": lambda _: "pixel_um: " + "9" * 1_000_000,
    }
    for kind in (SampleKind.INSTRUMENT, SampleKind.PLAN):
        for name, text in texts.items():
            yield Attack(name=f"{kind}: {name}", kind=kind, spoil=_text(text))
        yield Attack(name=f"{kind}: a pipe", kind=kind, spoil=_pipe)
        yield Attack(name=f"{kind}: an endless device", kind=kind, spoil=_device)


def _program(target: Target) -> Path:
    path = target.outside / "program"
    put(path, f"#!/bin/sh\ntouch '{target.canary}'\n")
    path.chmod(0o700)
    return path


def _code_folder(target: Target) -> Path:
    folder = target.outside / "slmPy"
    folder.mkdir()
    for name in ("slmpy.py", "wx.py"):
        put(folder / name, f"open({str(target.canary)!r}, 'w')\n")
    return folder


_SLMSUITE = "slmsuite.hardware.slms.meadowlark.Meadowlark"
_SETTINGS: dict[str, Callable[[Target], dict[str, object]]] = {
    "a program as interpreter": lambda t: {"slm": "slmpy-window", "slmpy_window": {"python": str(_program(t)), "start_s": 5}},
    "a folder of code": lambda t: {"slm": "slmpy-window", "slmpy_window": {"slmpy_path": str(_code_folder(t)), "start_s": 5}},
    "another computer": lambda _: {"slm": "slmpy", "slmpy": {"host": "192.0.2.1"}},
    "a class of the system": lambda _: {"slm": "slmsuite", "slmsuite_slm": {"class_path": "os.system"}},
    "a class behind a path": lambda _: {"slm": "slmsuite", "slmsuite_slm": {"class_path": "slmsuite.hardware.slms...os.X"}},
    "a library for a maker's class": lambda t: {
        "slm": "slmsuite",
        "slmsuite_slm": {"class_path": _SLMSUITE, "arguments": {"sdk_path": str(t.outside)}},
    },
    "an address as camera": lambda _: {"camera": "opencv", "slm": "none", "opencv": {"source": "http://127.0.0.1:9/x"}},
    "a pipeline as camera": lambda _: {"camera": "opencv", "slm": "none", "opencv": {"source": "gst:videotestsrc"}},
    "a device that is no camera": lambda _: {"camera": "opencv", "slm": "none", "opencv": {"source": "/dev/zero"}},
    "a calibration that is a device": lambda _: {"slm": "screen", "panel": {"lut_file": "/dev/zero"}},
}


def _with(settings: Callable[[Target], dict[str, object]]) -> Callable[[Target], object]:
    return lambda target: put(target.path, json.dumps({"camera": "opencv", **settings(target)}))


def _open_devices(path: Path) -> None:
    config = load_config(path)
    if config.slm.value != "none":
        open_slm(config)
    open_camera(config, RealClock())


def _text(text: Callable[[Target], str]) -> Callable[[Target], object]:
    return lambda target: put(target.path, text(target))


def _pipe(target: Target) -> None:
    target.path.unlink()
    os.mkfifo(target.path)


def _device(target: Target) -> None:
    target.path.unlink()
    target.path.symlink_to("/dev/zero")


def terminal_attacks() -> Iterator[Attack]:
    """Yield names that would reach the terminal as control characters."""
    dataset, instrument = SampleKind.DATASET, SampleKind.INSTRUMENT
    yield Attack(
        name="terminal: a dataset's name", kind=dataset, spoil=_named, read=_command("certify"), inert=True, most_s=_COMMAND_S
    )
    yield Attack(
        name="terminal: a folder's name", kind=dataset, spoil=_renamed, read=_certify_first, inert=True, most_s=_COMMAND_S
    )
    yield Attack(
        name="terminal: an instrument's value", kind=instrument, spoil=_odd_value, read=_doctor, inert=True, most_s=_COMMAND_S
    )
    yield Attack(
        name="terminal: an instrument's program",
        kind=instrument,
        spoil=_odd_program,
        read=_trust,
        inert=True,
        most_s=_COMMAND_S,
    )
    yield Attack(
        name="terminal: an instrument's name", kind=instrument, spoil=_odd_name, read=_doctor, inert=True, most_s=_COMMAND_S
    )


def _named(target: Target) -> None:
    path = target.path / METADATA
    content = read_yaml(path)
    put(path, json.dumps({**content, "name": _ESCAPE, "fibre": _ESCAPE, "damage": _ESCAPE}))


def _renamed(target: Target) -> None:
    target.path.rename(target.path.with_name(f"x{_ESCAPE}"))


def _certify_first(path: Path) -> None:
    _run("certify", next(iter(path.parent.iterdir())))


def _command(name: str) -> Callable[[Path], object]:
    return lambda path: _run(name, path)


def _odd_value(target: Target) -> None:
    put(target.path, json.dumps({"camera": _ESCAPE, _ESCAPE: 1}))


def _odd_name(target: Target) -> None:
    put(target.path, json.dumps({"name": _ESCAPE, "model": f"x{_ESCAPE}"}))


def _odd_program(target: Target) -> None:
    folder = target.outside / _ESCAPE.replace("/", "")
    folder.mkdir()
    put(target.path, json.dumps({"camera": "opencv", "slm": "slmpy-window", "slmpy_window": {"slmpy_path": str(folder)}}))


def _doctor(path: Path) -> None:
    _run("live", "--seconds", "0.1", "--config", path)


def _trust(path: Path) -> None:
    _run("trust", path)


def _run(*arguments: object) -> None:
    """Run a command, whose output goes where that of this process goes, and end as it does."""
    raise SystemExit(subprocess.run(specklescope(*arguments), check=False).returncode)
