"""Every reader of the program, each as a command uses it, and the sample that it reads."""

from __future__ import annotations

import contextlib
import io
import itertools
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest import mock

import numpy as np

from acquisition.archive.reader import Archive
from acquisition.archive.recorded_frames import RecordedFrames
from acquisition.archive.recording_faults import recording_facts
from acquisition.archive.writer import ArchiveWriter
from acquisition.capture.dataset_archive import plan_of
from acquisition.capture.plan import read_plan
from acquisition.exchange.export import ExportFormat, export
from acquisition.exchange.import_folder import stated_phase_range_rad
from acquisition.exchange.import_pairs import ImportOptions, check_pairs, import_pairs
from acquisition.exchange.reference_pairs import read_frame, read_references
from acquisition.exchange.verify_export import verify_export
from acquisition.patterns.sources import open_source
from app.benchmarks.reliability.fuzz import more_samples
from app.benchmarks.reliability.samples import SampleKind
from app.calibrations.figure_file import points_csv, read_figures
from app.datasets.quality_report import finish_dataset
from app.instrument.applied_calibrations import changed_since, read_applied
from app.instrument.config import InstrumentConfig, load_config, to_yaml
from app.instrument.devices import panel_of
from app.instrument.opening import fibre_name
from app.instrument.responses import find_response, through
from app.reporting.plots import Plot
from app.training.process import RunWatcher
from calibration.registration import affine
from calibration.stored import load
from drivers.base import DeviceError, FrameFailedError, Pattern, SpeckleScopeError, TriggerMode
from drivers.clock import VirtualClock
from drivers.displays.panel import Panel, PanelConfig
from drivers.pictures import read_picture
from drivers.recorded.replay import ReplayCamera
from drivers.recorded.video_file import VideoFile
from reconstruction.data.dataset import SpecklePairs
from reconstruction.data.pairs import from_archive
from reconstruction.models.model import load_model, readme
from reconstruction.training.checkpoint import read_checkpoint
from reconstruction.training.run import read_finish_reason, read_resolved

#: Images that are read of an input at most: a changed number of images must not make a reader slow.
_MOST_READ = 20
_ARCHIVE_FILES = ("*/journal.sqlite", "*/journal.sqlite", "*/metadata.yaml", "*/data.zarr/*/zarr.json", "*/data.zarr/*/c.*")
_ZARR_FILES = ("*.ome.zarr/zarr.json", "*.ome.zarr/*/zarr.json", "*.ome.zarr/0/c/*/*/*")
#: Formats whose export is tried with damaged archives; video is slow to encode and reads nothing else.
_EXPORTED = tuple(target for target in ExportFormat if target is not ExportFormat.VIEWING_MP4)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A reader of the program.

    Parameters
    ----------
    name : str
        Says what is read and for what.
    folder : str
        Folder of its sample.
    target : str
        The file or folder in it that the reader is given: a glob pattern; empty for the folder itself.
    read : callable
        Reads it as a command does; a choice that it has is made by the second argument.
    files : tuple of str
        Which files are damaged: glob patterns, each as often as the others.
    share : float
        How many inputs it gets, compared with the others; few where it is slow.
    """

    name: str
    folder: str
    target: str
    read: Callable[[Path, Random], object]
    files: tuple[str, ...]
    share: float = 1.0

    def target_in(self, folder: Path) -> Path:
        """Return what the reader is given of a copy of its sample."""
        return sorted(folder.glob(self.target))[0] if self.target else folder


def _archive(path: Path, random: Random) -> None:
    archive = Archive.open(path)
    archive.verify()
    for value in (archive.kind, archive.finish_reason, archive.status, archive.metadata, archive.events()):
        str(value)
    for name in archive.arrays:
        archive.spec(name)
    recording_facts(archive)


def _certify(path: Path, random: Random) -> None:
    finish_dataset(path)


def _resume(path: Path, random: Random) -> None:
    archive = Archive.open(path)
    plan = plan_of(archive)
    plan.patterns((16, 16))
    ArchiveWriter.resume(path, expected=len(plan) - len(archive)).close()


def _replay(path: Path, random: Random) -> None:
    clock = VirtualClock()
    frames = RecordedFrames.open(path)
    _play(ReplayCamera(frames, clock=clock), len(frames))


def _play(camera: ReplayCamera, count: int) -> None:
    camera.arm(TriggerMode.FREE_RUN)
    for _ in range(min(count, _MOST_READ)):
        try:
            camera.read(10.0)
        except (FrameFailedError, DeviceError):
            continue


def _training_pairs(path: Path, random: Random) -> None:
    pairs = SpecklePairs(path, "all", verify=random.random() < 0.5)
    for number in range(min(len(pairs), _MOST_READ)):
        pairs[number]


def _training_pool(path: Path, random: Random) -> None:
    from_archive(path, 8)


def _export(path: Path, random: Random) -> None:
    export(Archive.open(path), path.parent / "export", [random.choice(_EXPORTED)])


def _import(path: Path, random: Random) -> None:
    options = ImportOptions(phase_range_rad=random.choice((None, None, 2.6)), allow_duplicates=random.random() < 0.5)
    check_pairs(path, options)
    import_pairs(path, path.parent / "imported", "fuzz", options)


def _verify(path: Path, random: Random) -> None:
    verify_export(path)


def _trust(path: Path, random: Random) -> None:
    more_samples.read_trust(path)


def _references(path: Path, random: Random) -> None:
    pixels = read_frame(path / "frame.png")
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        stated = stated_phase_range_rad(folder)
        read_references(folder, stated or 2.6, path / "frame.png", pixels)


def _instrument(path: Path, random: Random) -> None:
    config = load_config(path)
    to_yaml(config)
    fibre_name(config.twin.optics)
    if config.panel.shape[0] * config.panel.shape[1] <= 4_000_000:
        panel_of(config)


def _plan(path: Path, random: Random) -> None:
    plan = read_plan(path)
    str(plan.hash)
    make = plan.maker((16, 16))
    for number in range(min(len(plan), 5)):
        make(number)


def _model(path: Path, random: Random) -> None:
    model = load_model(path)
    model.check_frame((32, 32))
    model.check_fibre("sample")
    model.mask.sum()
    readme(model)


def _checkpoint(path: Path, random: Random) -> None:
    tensors, values = read_checkpoint(path)
    more_samples.train_state().restore(tensors, values)


def _run(path: Path, random: Random) -> None:
    watcher = RunWatcher(path)
    watcher.poll()
    watcher.new_picture()
    read_resolved(path, "configuration")
    read_finish_reason(path)
    more_samples.resume_run(path)


def _response(path: Path, random: Random) -> None:
    response = find_response(path, "")
    str(response.quality), str(response.core_noise_rad)
    through(response, 16)


def _registration(path: Path, random: Random) -> None:
    registration = affine.Registration.from_stored(load(path, affine.KIND))
    registration.warp(np.zeros(registration.pattern_shape, np.float32), fill=None)
    str((registration.scale, registration.rotation_deg))
    for section in read_figures(path):
        str([points_csv(plot) for plot in section.plots if isinstance(plot, Plot)])
    changed_since(path, InstrumentConfig())
    with contextlib.suppress(FileNotFoundError):
        read_applied(path)


def _panel(path: Path, random: Random) -> None:
    lut = path / random.choice(("lut.txt", "lut.npy"))
    panel = Panel(PanelConfig(shape=(16, 16), lut_file=str(lut), correction_file=str(path / "correction.npy")))
    panel.grey(Pattern(np.zeros((16, 16), np.float32)))


def _patterns(path: Path, random: Random) -> None:
    source = open_source(str(path), (16, 16), count=12)
    for number in range(len(source)):
        source[number]


def _image(path: Path, random: Random) -> None:
    for file in sorted(path.iterdir()):
        read_picture(file)


def _video(path: Path, random: Random) -> None:
    video = VideoFile(path, exposure_s=0.01)
    _play(ReplayCamera(video, clock=VirtualClock()), len(video))
    for number in range(min(2, len(video))):
        video.load(number)


def _engine_cache(path: Path, random: Random) -> None:
    more_samples.read_cache(path, random)


def _command(path: Path, random: Random) -> None:
    """Run a command of the program in this process, with options that a person might mistype, or that attack it."""
    arguments = more_samples.command_line(path, random)
    with (
        mock.patch.object(sys, "argv", ["specklescope", *arguments]),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()) as errors,
    ):
        try:
            runpy.run_module("specklescope", run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            if ended.code and len(errors.getvalue().strip().splitlines()) != 1:
                raise AssertionError(f"{arguments} ends with {ended.code} and {errors.getvalue()[-300:]!r}") from ended
            if "this is an error of the program" in errors.getvalue():
                raise AssertionError(f"{arguments} reached the last resort: {errors.getvalue()[-300:]}") from ended
            if ended.code:
                raise SpeckleScopeError(errors.getvalue().strip()) from ended


def _all() -> Iterator[Reader]:
    archives = [f"{age}{kind}" for kind in (SampleKind.DATASET, SampleKind.RECORDING) for age in ("", "old-")]
    for kind in archives:
        for name, read in (("verify", _archive), ("export", _export), ("replay", _replay), ("pairs", _training_pairs)):
            yield Reader(name=f"{kind} {name}", folder=kind, target="*_sample_*", read=read, files=_ARCHIVE_FILES)
    for name, read in (("certify", _certify), ("resume", _resume)):
        for kind in (SampleKind.DATASET, f"old-{SampleKind.DATASET}"):
            yield Reader(name=f"{kind} {name}", folder=kind, target="*_sample_*", read=read, files=_ARCHIVE_FILES)
    yield Reader(name="training pool", folder="square", target="*_square_*", read=_training_pool, files=_ARCHIVE_FILES)
    imports = {
        ExportFormat.NPZ: ("*.npz", ("*.npz",)),
        ExportFormat.HDF5: ("*.h5", ("*.h5",)),
        ExportFormat.MATLAB: ("*.mat", ("*.mat",)),
        ExportFormat.OME_TIFF: ("*_speckle.ome.tif", ("*_speckle.ome.tif", "*_phase.ome.tif", "*")),
        ExportFormat.OME_ZARR: ("*_speckle.ome.zarr", _ZARR_FILES),
    }
    for target, (pattern, files) in imports.items():
        for kind in (SampleKind.DATASET, SampleKind.RECORDING):
            folder = f"{kind}-{target}"
            yield Reader(name=f"import {folder}", folder=folder, target=pattern, read=_import, files=files)
    yield Reader(name="import other zarr", folder="other-zarr", target="*_speckle.ome.zarr", read=_import, files=_ZARR_FILES)
    for name in ("plain", "compressed"):
        yield Reader(
            name=f"import {name} matlab", folder="other-matlab", target=f"{name}.mat", read=_import, files=(f"{name}.mat",)
        )
    for name, place, read in (("import", "*.npz", _import), ("verify", "*_references", _verify)):
        yield Reader(name=f"references {name}", folder="references", target=place, read=read, files=("*/*.json", "*/*.npy"))
    folder_files = ("*/input/*", "*/label/*", "*/metadata.yaml", "*/*.flist")
    folder = f"{SampleKind.DATASET}-{ExportFormat.SPECDIFFUSION}"
    yield Reader(name="import folder", folder=folder, target="*", read=_import, files=folder_files)
    yield Reader(
        name="reference pairs",
        folder=SampleKind.REFERENCE_PAIRS,
        target="",
        read=_references,
        files=("frame.png", *folder_files),
    )
    plain = (
        Reader(name="instrument", folder="instrument", target="instrument.yaml", read=_instrument, files=("*",)),
        Reader(name="full instrument", folder="full-instrument", target="instrument.yaml", read=_instrument, files=("*",)),
        Reader(name="plan", folder="plan", target="plan.yaml", read=_plan, files=("*",)),
        Reader(name="model", folder="model", target="model", read=_model, files=("model/card.yaml", "model/*.safetensors")),
        Reader(
            name="old model", folder="old-model", target="model", read=_model, files=("model/card.yaml", "model/*.safetensors")
        ),
        Reader(name="checkpoint", folder="checkpoint", target="checkpoint.safetensors", read=_checkpoint, files=("*",)),
        Reader(name="run", folder="run", target="model", read=_run, files=("model/run/*.yaml", "model/run/*")),
        Reader(name="response", folder="small-response", target="response", read=_response, files=("*/*.yaml", "*/*.npy")),
        Reader(
            name="registration",
            folder="registration",
            target="out",
            read=_registration,
            files=("*/*.yaml", "*/*.npy", "*/*.json", "*/*.png"),
        ),
        Reader(name="panel", folder="panel", target="", read=_panel, files=("*.txt", "*.npy")),
        Reader(name="patterns", folder="patterns", target="patterns", read=_patterns, files=("*/*",)),
        Reader(name="images", folder="images", target="", read=_image, files=("*.png", "*.tif", "*")),
        Reader(
            name="engine cache",
            folder="cache",
            target="",
            read=_engine_cache,
            files=("*.json", "*.choice", "*.npz", "*.onnx"),
            share=0.1,
        ),
        Reader(name="command line", folder="plan", target="", read=_command, files=("*",), share=0.4),
        Reader(name="trust", folder="trust", target="", read=_trust, files=("**/*.json",)),
        Reader(name="video avi", folder="avi", target="*", read=_video, files=("*",)),
    )
    yield from plain
    for kind, suffix in itertools.product((SampleKind.DATASET,), ("ffv1", "viewing-mp4")):
        yield Reader(name=f"video {suffix}", folder=f"{kind}-{suffix}", target="*", read=_video, files=("*",))


#: Every reader by its name.
READERS: Mapping[str, Reader] = {reader.name: reader for reader in _all()}
