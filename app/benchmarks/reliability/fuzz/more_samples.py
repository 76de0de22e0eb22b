"""Samples that only the fuzzing needs: files without a check sum over the whole, and those that users bring along."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from unittest import mock

import cv2
import numpy as np
import scipy.io
import torch

from acquisition.archive.atomic_files import array_bytes, image_bytes, write_bytes, write_whole
from acquisition.archive.journal.schema import UNPROTECTED_VERSION, Table
from acquisition.archive.reader import JOURNAL
from acquisition.exchange.export import ExportFormat
from acquisition.exchange.import_pairs import import_pairs
from app.benchmarks.reliability.samples import SampleKind, write_samples
from app.calibrations.figure_file import figure_files
from app.instrument.applied_calibrations import APPLIED, AppliedSettings
from app.instrument.config import InstrumentConfig, to_yaml
from app.instrument.trust import TrustRequest, is_trusted, trust
from app.reporting.images import Picture
from app.reporting.plots import Limit, Plot, Role, Series
from app.reporting.rendering import Section
from calibration.fibre.response import from_transmission
from calibration.registration.affine import Registration
from calibration.stored import FILE, save
from drivers.manifest import MANIFEST
from drivers.safe_text import dump_yaml, read_yaml
from drivers.testing.videos import write_mjpeg
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from reconstruction.engines.base import Precision
from reconstruction.engines.check_frames import CheckFrames, remember
from reconstruction.engines.choose import open_engine, rank_engines
from reconstruction.engines.engine_check import EngineCheck
from reconstruction.engines.engine_kinds import ENGINES, parse
from reconstruction.engines.onnx.runtime import open_onnx_runtime
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import CARD, ModelCard, load_model, save_model
from reconstruction.networks.referenced_unet import FrontEnd, ReferencedUNet, UNetConfig
from reconstruction.training.config import TrainConfig
from reconstruction.training.resume_state import TrainState
from reconstruction.training.run import Run

_REMEDY = "free space in the folder for temporary files"
_CONFIGURATION: Mapping[str, object] = {
    "kind": "referenced",
    "training": {"steps": 3, "rate": 0.001},
    "network": {"grid_px": 16},
}
#: Suffixes of images that a folder of patterns may hold.
_IMAGES = (".png", ".jpg", ".tif", ".bmp", ".webp")
#: Command lines; each question mark becomes an absurd value. They name an instrument file that does not exist, or end earlier.
_COMMANDS = (
    "export ? --format ? --out {folder}/out", "export {folder} --phase-range-rad ?", "certify ?", "certify {folder} --json ?",
    "import ? --check --phase-range-rad ?", "import {folder} --check --name ?", "import ? --archive {folder}/archive",
    "hologram ? {folder}/h.npy --iterations ?", "hologram {folder}/plan.yaml ? --seed ?",
    "reconstruct ? --references {folder}", "reconstruct {folder}/plan.yaml --references ? --out ?",
    "acquire ? --dry-run --config {folder}/none.yaml", "acquire {folder}/plan.yaml --resume ? --config {folder}/none.yaml",
    "calibrate ? {folder}", "calibrate lut {folder} --levels ?", "calibrate response {folder} --previous ? --probe-patterns ?",
    "train {folder} --steps ? --kind ?", "train {folder} --set ? --minutes ? --batch ?", "train {folder} --from ? --rate ?",
    "live --seconds ? --config {folder}/none.yaml", "record ? --seconds ? --config {folder}/none.yaml",
    "evaluate --model ? --pairs ? --config {folder}/none.yaml", "compile ? --config {folder}/none.yaml",
    "bench reliability --only ? --json {folder}/x.json", "bench ? --json ?", "? ?", "--?",
)  # fmt: skip
_ABSURD = (
    "-1", "0", "nan", "inf", "-inf", "1e400", "9" * 80, "-9223372036854775809", "1.5", "0x10", "1_000", "", " ", "-", "--", "=",
    "a=b", "a=", "\0", "a\0b", "\udcff", "\udcff\udcfe.yaml", "../../../etc/passwd", "/", "/dev/null", ".", "..", "~",
    "~nobody",
    "{folder}", "{folder}/plan.yaml", "{folder}/none", "{folder}/plan.yaml/x", "/proc/self/mem", "a" * 300, "a/" * 3000, "*",
    "\u202e", "%s%n", "null", "[]", "--help=x", "-h-", "--json", "--config", "x\ny",
)  # fmt: skip
#: The consent in the sample.
_TRUST = TrustRequest(key="slmpy.address", purpose="connect to", value="192.0.2.7:18888")
#: A second file of the same image, in colours.
_COLOUR = "colour"


def write_all(folder: Path) -> None:
    """Write all samples into new folders inside ``folder``."""
    write_samples(folder)
    for kind in (SampleKind.DATASET, SampleKind.RECORDING):
        shutil.copytree(folder / kind, folder / f"old-{kind}")
        _remove_row_sums(folder / f"old-{kind}")
    for name, write in _WRITERS.items():
        own = folder / name
        own.mkdir()
        write(own)


def train_state() -> TrainState:
    """Return the state of a training run before its first step, of the network of the sample."""
    return TrainState(_network(), TrainConfig(steps=1))


def resume_run(folder: Path) -> None:
    """Resume the run of the sample, as ``train --resume`` does before its first step."""
    run = Run.resume(folder, _CONFIGURATION, {})
    state = train_state()
    if run.checkpoint is not None:
        state.restore(*run.checkpoint)
    with run.open():
        run.begin(state)


def read_cache(folder: Path, random: Random) -> None:
    """Open engines from the cache of the sample; most of the check sums are made right again before that."""
    if random.random() < 0.8:
        _repair_sums(folder)
    with mock.patch.dict(os.environ, {"SPECKLESCOPE_CACHE": str(folder)}):
        model = load_model(folder / "model")
        preference = random.choice(("auto", "auto", "torch", "onnxruntime"))
        # A choice that is lost is measured again, which takes long with every engine.
        few = {name: kind for name, kind in ENGINES.items() if name.startswith("torch")} if preference == "auto" else {}
        with mock.patch.dict(ENGINES, few, clear=bool(few)):
            engine = open_engine(model, preference)
        zeros = np.zeros((model.frame_px, model.frame_px), np.float32)
        engine.run(zeros, zeros)


def command_line(folder: Path, random: Random) -> list[str]:
    """Return a command line whose values are absurd; no such command gets as far as opening a device.

    Parameters
    ----------
    folder : Path
        Holds some file; what the commands write goes there.
    random : Random
        Chooses the command and the values.
    """
    absurd = [text.format(folder=folder) for text in _ABSURD]
    template = random.choice(_COMMANDS).format(folder=folder).split()
    chosen = [random.choice(absurd) if word == "?" else word for word in template]
    if random.random() < 0.3:
        chosen.insert(random.randrange(1, len(chosen) + 1), random.choice(absurd))
    if random.random() < 0.1:
        chosen.pop(random.randrange(1, len(chosen)))
    return chosen


def _repair_sums(folder: Path) -> None:
    """Write the check sum of every damaged file of a cache into its description, as a hostile program would."""
    for sidecar in folder.glob("*.json"):
        file = sidecar.with_suffix("")
        try:
            content = json.loads(sidecar.read_bytes())
            content["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        except (OSError, ValueError, TypeError):
            continue
        write_whole(sidecar, json.dumps(content), _REMEDY)


def _network() -> ReferencedUNet:
    torch.manual_seed(0)
    config = UNetConfig(frame_px=32, grid_px=16, front_end=FrontEnd.FOLD.value, base_channels=4, multipliers=(1, 2))
    return ReferencedUNet(config)


def _write_old_model(folder: Path) -> None:
    """Write a model whose card has no check sum, as those of version 0.1.0."""
    network = _network().eval()
    card = ModelCard(
        name="sample",
        fibre="sample",
        field_radius=1.0,
        phase_range_rad=2.85,
        network=network.config.to_dict(),
        scores={"ssim": 0.9},
        training={"steps": 10},
    )
    save_model(folder / "model", network, card)
    _remove_sums(folder / "model" / CARD)


def _remove_sums(path: Path) -> None:
    """Remove the check sums from a description: only without them a reader looks at values that were changed."""
    facts = read_yaml(path)
    kept = {name: value for name, value in facts.items() if "sha256" not in name}
    write_whole(path, dump_yaml(kept), _REMEDY)


def _write_run(folder: Path) -> None:
    run = Run(folder / "model", _CONFIGURATION, {"torch": "2.13"})
    with run.open():
        run.begin(train_state())
        for step in range(1, 4):
            run.log_step(step, 0.5 / step, 0.001, 1.5 * step)
        run.save(train_state())
    write_bytes(folder / "model" / "run" / "validation.png", image_bytes(np.zeros((8, 8), np.uint8)), _REMEDY)


def _write_instrument(folder: Path) -> None:
    write_whole(folder / "instrument.yaml", to_yaml(InstrumentConfig()), _REMEDY)


def _write_response(folder: Path) -> None:
    """Write the response of a small fibre as it is: its core positions follow from the description of its optics."""
    config = OpticsConfig(image_px=64, field_radius_um=14.0)
    fibre = FibreOptics(config).response
    transmission = torch.polar(fibre.gain, fibre.rest_phase_rad)[..., None] * fibre.coupling
    modes = transmission.reshape(-1, *transmission.shape[-2:]).numpy().astype(np.complex64)
    response = from_transmission(config, modes, background=3.0, probe_patterns=10)
    _remove_sums(save(response.stored({"camera": "sample", "slm": "sample"}), folder / "response") / FILE)


def _remove_row_sums(folder: Path) -> None:
    """Turn the archives in a folder into those of version 0.1.0, whose journals have no check sums of rows and files."""
    for journal in folder.glob(f"*/{JOURNAL}"):
        with closing(sqlite3.connect(journal, isolation_level=None)) as connection:
            connection.execute(f"DROP TABLE {Table.SEALS}")
            connection.execute("DELETE FROM status WHERE key LIKE 'sha256 %'")
            for table in (Table.ROWS, Table.EVENTS, Table.STATUS):
                connection.execute(f"ALTER TABLE {table} DROP COLUMN sha256")
            connection.execute(f"PRAGMA user_version = {UNPROTECTED_VERSION}")


def _write_references(folder: Path) -> None:
    """Write an export with references that have no manifest, so that a reader looks at what is damaged in them."""
    shutil.copytree(folder.parent / f"{SampleKind.RECORDING}-{ExportFormat.NPZ}", folder, dirs_exist_ok=True)
    for manifest in folder.glob(f"*/{MANIFEST}"):
        manifest.unlink()


def _write_other_zarr(folder: Path) -> None:
    """Write OME-Zarr folders as other programs do: without our facts and check sums."""
    shutil.copytree(folder.parent / f"{SampleKind.DATASET}-{ExportFormat.OME_ZARR}", folder, dirs_exist_ok=True)
    for group in folder.glob("*/zarr.json"):
        content = json.loads(group.read_bytes())
        content["attributes"] = {"ome": content["attributes"]["ome"]}
        write_whole(group, json.dumps(content), _REMEDY)


def _write_other_matlab(folder: Path) -> None:
    """Write a MATLAB file as MATLAB does: with a struct, texts and columns, and without check sums."""
    rng = np.random.default_rng(6)
    arrays = {"speckle": rng.integers(0, 255, (16, 12, 5)).astype(np.uint8), "phase": rng.uniform(0, 2.6, (16, 12, 5))}
    facts = {"pixel_um": 0.7, "camera": "sample", "t_ms": np.arange(5.0), "names": np.array(["a", "b"], object)}
    for name, compressed in (("plain", False), ("compressed", True)):
        stored = io.BytesIO()
        scipy.io.savemat(stored, {**arrays, "facts": facts, **facts}, do_compression=compressed)
        write_bytes(folder / f"{name}.mat", stored.getvalue(), _REMEDY)


def _write_trust(folder: Path) -> None:
    with mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(folder)}):
        trust([_TRUST])


def read_trust(folder: Path) -> bool:
    """Return whether the consent of the sample holds."""
    with mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(folder)}):
        return is_trusted(_TRUST)


def _write_square(folder: Path) -> None:
    """Write a dataset of square frames with a blank pattern, as training needs it."""
    rng = np.random.default_rng(5)
    phase_rad = rng.uniform(0, 2.6, (8, 16, 16)).astype(np.float32)
    phase_rad[0] = 0
    names = ["blank", *(f"cell-{number}" for number in range(1, 8))]
    stored = io.BytesIO()
    np.savez(
        stored,
        speckle=rng.integers(0, 255, (8, 32, 32)).astype(np.uint8),
        phase=phase_rad,
        pattern_name=np.array(names),
        metadata_json=np.array(json.dumps({"phase_range_rad": 2.6, "fibre": "sample"})),
    )
    write_bytes(folder / "pairs.npz", stored.getvalue(), _REMEDY)
    import_pairs(folder / "pairs.npz", folder, "square")
    _remove_row_sums(folder)


def _write_registration(folder: Path) -> None:
    matrix = np.array([[1.1, 0.05, 2.0], [-0.04, 1.08, -3.0]])
    registration = Registration(matrix, (24, 24), (32, 32), 0.9, 0.1, 2.0)
    out = save(registration.stored({"camera": "sample", "slm": "sample"}), folder / "out")
    _remove_sums(out / FILE)
    plot = Plot(series=[Series([0, 1], [2, 3], name="fit", role=Role.AFTER)], x_title="x", y_title="y", limit=Limit(0.5))
    section = Section(title="sample", pictures=[[Picture(np.zeros((8, 8), np.uint8), "speckle")]], plots=[plot])
    for name, content in figure_files([section]).items():
        write_bytes(out / name, content, _REMEDY)
    applied = AppliedSettings(before={"calibrations.registration": None}, after={"calibrations.registration": "out"})
    write_whole(out / APPLIED, applied.text(), _REMEDY)


def _write_panel(folder: Path) -> None:
    phases_rad = np.linspace(0, 2 * np.pi, 256)
    write_whole(folder / "lut.txt", "\n".join(f"{phase_rad:.6f}" for phase_rad in phases_rad) + "\n", _REMEDY)
    write_bytes(folder / "lut.npy", array_bytes(phases_rad), _REMEDY)
    write_bytes(folder / "correction.npy", array_bytes(np.zeros((16, 16), np.float32)), _REMEDY)


def _write_images(folder: Path) -> None:
    rng = np.random.default_rng(4)
    for suffix in _IMAGES:
        for name, shape in ((f"grey{suffix}", (20, 24)), (f"{_COLOUR}{suffix}", (20, 24, 3))):
            done, data = cv2.imencode(suffix, rng.integers(0, 256, shape).astype(np.uint8))
            if done:
                write_bytes(folder / name, data.tobytes(), _REMEDY)


def _write_cache(folder: Path) -> None:
    with mock.patch.dict(os.environ, {"SPECKLESCOPE_CACHE": str(folder)}):
        _write_old_model(folder)
        model = load_model(folder / "model")
        noise = CheckFrames.noise(model)
        frames = CheckFrames(noise.frames, noise.reference, np.zeros((2, model.grid_px, model.grid_px), np.float32))
        remember(model, frames)
        engine_check = EngineCheck(model, frames)
        open_onnx_runtime(model, Precision.FP32, engine_check)
        rank_engines(engine_check, {parse("torch"): TorchEngine(model)}, [1.0], [])


def _write_bench_numbers(folder: Path) -> None:
    write_whole(folder / "numbers.json", json.dumps({"lost": 0, "kills_findings": ["none"], "seconds": 1.5}), _REMEDY)


def _write_video(folder: Path) -> None:
    write_mjpeg(folder, 5, 25.0)


_WRITERS: Mapping[str, Callable[[Path], None]] = {
    "old-model": _write_old_model,
    "run": _write_run,
    "full-instrument": _write_instrument,
    "small-response": _write_response,
    "references": _write_references,
    "other-zarr": _write_other_zarr,
    "other-matlab": _write_other_matlab,
    "trust": _write_trust,
    "square": _write_square,
    "registration": _write_registration,
    "panel": _write_panel,
    "images": _write_images,
    "cache": _write_cache,
    "numbers": _write_bench_numbers,
    "avi": _write_video,
}
