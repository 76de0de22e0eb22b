"""What this computer offers the instrument: every finding with a verdict and, where it is bad, a remedy."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from app.diagnostics.devices import cameras, configured, libraries, screens
from app.diagnostics.findings import Finding
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import attach
from app.training.engine_check_frames import frames_for
from drivers.base import SpeckleScopeError
from reconstruction.data.simulation import cores
from reconstruction.engines.choose import open_engine
from reconstruction.models.model import load_model

#: 8-bit frames of 512 px with their patterns, at 20 pairs/s.
_NEEDED_MB_PER_S = 30.0
_NEEDED_FREE_GB = 5.0


def examine(config: InstrumentConfig) -> list[Finding]:
    """Look at processor, disk, display, devices, model and engines; never raises for what it finds."""
    checks: list[tuple[str, Callable[[InstrumentConfig], Finding | list[Finding]]]] = [
        ("processor", _processor),
        ("GPU", _gpu),
        ("display", _display),
        ("monitors", screens),
        ("cameras", cameras),
        ("device libraries", libraries),
        ("devices", configured),
        ("disk space", _disk_space),
        ("disk speed", _disk_speed),
        ("engine", _engine),
    ]
    findings: list[Finding] = []
    for subject, check in checks:
        try:
            found = check(config)
        except (SpeckleScopeError, OSError) as error:
            found = Finding(subject, "bad", str(error), "do what the text says, then run doctor again")
        findings += found if isinstance(found, list) else [found]
    return findings


def _processor(config: InstrumentConfig) -> Finding:
    text = f"{cores()} cores, {platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}"
    return Finding("processor", "ok", text)


def _gpu(config: InstrumentConfig) -> Finding:
    if torch.cuda.is_available():
        return Finding("GPU", "ok", torch.cuda.get_device_name(0))
    return Finding("GPU", "note", "no CUDA device; the live view runs on the processor")


def _display(config: InstrumentConfig) -> Finding:
    where = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
    if where or platform.system() in ("Windows", "Darwin"):
        return Finding("display", "ok", where or "native")
    return Finding("display", "note", "none; commands run headless, the demo draws its window into a file")


def _disk_space(config: InstrumentConfig) -> Finding:
    free_gb = shutil.disk_usage(_existing(config.archive)).free / 1e9
    text = f"{free_gb:.1f} GB free for {config.archive}"
    if free_gb >= _NEEDED_FREE_GB:
        return Finding("disk space", "ok", text)
    return Finding("disk space", "bad", text, "free space, or set 'archive' to another disk")


def _disk_speed(config: InstrumentConfig) -> Finding:
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
        return Finding("disk speed", "ok", text)
    return Finding("disk speed", "bad", text, f"{_NEEDED_MB_PER_S:.0f} MB/s are needed: use a local SSD for 'archive'")


def _engine(config: InstrumentConfig) -> Finding:
    model = load_model(config.model)
    attach(model, config.response, fibre_name(config.twin.optics) if config.on_twin else config.fibre)
    chosen = open_engine(model, config.live.engine, frames_for(model, config))
    return Finding("engine", "ok", f"{chosen.name} for {model.card.name} ({model.id}); {chosen.reason}")


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
