"""Checks whether this computer is ready for the instrument."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

from app.diagnostics.devices import cameras, configured, libraries, screens
from app.diagnostics.findings import Finding, Verdict
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import attach
from app.training.engine_check_frames import frames_for
from drivers.base import SpeckleScopeError
from reconstruction.data.simulation import cores
from reconstruction.engines.choose import open_engine
from reconstruction.models.model import load_model

#: Rate of 20 pairs/s, with 8-bit frames of 512 px and their patterns.
_NEEDED_MB_PER_S = 30.0
_NEEDED_FREE_GB = 5.0


def examine(config: InstrumentConfig, *, in_use: bool = False) -> list[Finding]:
    """Check processor, GPU, display, devices, disk, model and engine. A check that fails is a finding, not an error.

    Parameters
    ----------
    config : InstrumentConfig
        The instrument.
    in_use : bool
        Whether the instrument is open: then nothing is done that could disturb a camera, an SLM, or a recording.
    """
    return [finding for findings in examinations(config, in_use=in_use) for finding in findings]


def examinations(config: InstrumentConfig, *, in_use: bool = False) -> Iterator[list[Finding]]:
    """Make the checks of :func:`examine` one by one, :data:`CHECK_COUNT` in all; yield the findings of each."""
    for subject, check in _CHECKS.items():
        if in_use and subject in _DISTURBING:
            text = "not checked, because the instrument is open"
            remedy = "close it, then check again: on the Rig page, or with specklescope doctor"
            yield [Finding(subject, Verdict.NOTE, text, remedy)]
            continue
        try:
            yield check(config)
        except (SpeckleScopeError, OSError) as error:
            yield [Finding(subject, Verdict.BAD, str(error), "do what the text says, then run doctor again")]


def _processor(config: InstrumentConfig) -> list[Finding]:
    text = f"{cores()} cores, {platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}"
    return [Finding("processor", Verdict.OK, text)]


def _gpu(config: InstrumentConfig) -> list[Finding]:
    if torch.cuda.is_available():
        return [Finding("GPU", Verdict.OK, torch.cuda.get_device_name(0))]
    return [Finding("GPU", Verdict.NOTE, "no CUDA device was detected; the live view runs on the processor")]


def _display(config: InstrumentConfig) -> list[Finding]:
    where = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
    if where or platform.system() in ("Windows", "Darwin"):
        return [Finding("display", Verdict.OK, where or "native")]
    return [Finding("display", Verdict.NOTE, "none; commands run without a window, and the demo draws its window into a file")]


def _disk_space(config: InstrumentConfig) -> list[Finding]:
    free_gb = shutil.disk_usage(_existing(config.archive)).free / 1e9
    text = f"{free_gb:.1f} GB free for {config.archive}"
    if free_gb >= _NEEDED_FREE_GB:
        return [Finding("disk space", Verdict.OK, text)]
    return [Finding("disk space", Verdict.BAD, text, "free space, or set 'archive' to another disk")]


def _disk_speed(config: InstrumentConfig) -> list[Finding]:
    block, count = os.urandom(4 << 20), 8
    folder = _existing(config.archive)
    with tempfile.TemporaryFile(dir=folder) as file:
        start = time.perf_counter()
        for _ in range(count):
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        rate = count * len(block) / 1e6 / (time.perf_counter() - start)
    text = f"{rate:.0f} MB/s written and synced in {folder}"
    if rate >= _NEEDED_MB_PER_S:
        return [Finding("disk speed", Verdict.OK, text)]
    return [Finding("disk speed", Verdict.BAD, text, f"{_NEEDED_MB_PER_S:.0f} MB/s are needed; set 'archive' to a local SSD")]


def _engine(config: InstrumentConfig) -> list[Finding]:
    model = load_model(config.model)
    attach(model, config.response, fibre_name(config.twin.optics) if config.on_twin else config.fibre)
    chosen = open_engine(model, config.live.engine, frames_for(model, config))
    return [Finding("engine", Verdict.OK, f"{chosen.name} for {model.card.name} ({model.id}); {chosen.reason}")]


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


#: Checks that open devices, or use much of the disk or the processor.
_DISTURBING = frozenset({"monitors", "cameras", "devices", "disk speed", "engine"})
#: What is checked, in this order, under the subject that is named if the check fails.
_CHECKS: Mapping[str, Callable[[InstrumentConfig], list[Finding]]] = {
    "processor": _processor,
    "GPU": _gpu,
    "display": _display,
    "monitors": screens,
    "cameras": cameras,
    "device libraries": libraries,
    "devices": configured,
    "disk space": _disk_space,
    "disk speed": _disk_speed,
    "engine": _engine,
}
#: Number of the checks.
CHECK_COUNT = len(_CHECKS)
