"""Power cuts: what the program has written and synced is traced, and cut at every point; nothing acknowledged may be missing.

A child does real work of the program in one folder for each kind of work, and says after each step what is acknowledged. All
its writes, syncs and changes of names are recorded (:mod:`.file_trace`), also those of SQLite,
TensorStore and HDF5. For every point in this record, each state that the disk may be in after a power cut
(:mod:`.disk_states`) is written into a new folder, opened with the program's readers, and continued.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from acquisition.archive.atomic_files import write_bytes, write_together
from acquisition.archive.kinds import COMPLETE_VERDICT, ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import Recorder, RecordItem
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.capture.dataset_archive import dataset_spec
from acquisition.capture.plan import CapturePlan
from acquisition.capture.progress import RunCallbacks
from acquisition.capture.runner import acquire
from acquisition.exchange.export import ExportFormat, exported_files
from acquisition.streams.channel import Channel, Overflow, Stage
from app.benchmarks.reliability.budget import Budget, Numbers
from app.benchmarks.reliability.power.disk_states import Content, DiskStates, digest_of, write_content
from app.benchmarks.reliability.power.file_trace import Change, FileEvent, can_trace, read_trace, traced
from app.benchmarks.reliability.tasks import content_of, visible
from app.benchmarks.reliability.workbench import CAMERA, SLM
from app.instrument.config import InstrumentConfig, TwinConfig
from app.instrument.opening import open_rig
from app.progress import Report
from drivers.base import Frame, SpeckleScopeError
from drivers.clock import VirtualClock
from drivers.twin.optics_config import OpticsConfig
from reconstruction.models.model import ModelCard, load_model, save_model
from reconstruction.networks.referenced_unet import ReferencedUNet, UNetConfig
from reconstruction.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint

_PAIRS, _PAIRS_PER_SHARD, _FRAMES, _STEPS = 24, 8, 12, 3
_OPTICS = OpticsConfig(image_px=32, field_radius_um=10.0)
_ACKNOWLEDGED = ".acknowledged"
#: Cuts that a quick run makes in the record of each kind of work.
_QUICK_CUTS = 12

#: Says that something is acknowledged.
Acknowledge = Callable[[str], None]


class Work(ABC):
    """One kind of work of the program."""

    @abstractmethod
    def perform(self, folder: Path, acknowledge: Acknowledge) -> None:
        """Do the work in a folder, and say after each step what is acknowledged."""

    @abstractmethod
    def missing(self, folder: Path, acknowledged: Sequence[str]) -> Iterator[str]:
        """Yield what was acknowledged before the power cut and is not there; raises SpeckleScopeError if it is unreadable."""


class _ArchiveWork(Work):
    """Work that fills an archive; a number of rows is acknowledged, or a verdict."""

    def missing(self, folder: Path, acknowledged: Sequence[str]) -> Iterator[str]:
        """Open the archive, read every acknowledged image, and resume the archive."""
        count = max((int(text) for text in acknowledged if text.isdigit()), default=0)
        if not acknowledged:
            return
        (path,) = visible(folder)
        archive = Archive.open(path)
        if len(archive) < count:
            yield f"{count - len(archive)} of {count} rows"
        for index in range(min(count, len(archive))):
            for name in archive.arrays:
                archive.read(name, index)
        if COMPLETE_VERDICT in acknowledged and archive.status.get("verdict") != COMPLETE_VERDICT:
            yield "the verdict"
        with ArchiveWriter.resume(path) as writer:
            if writer.acknowledged < count:
                yield f"{count - writer.acknowledged} of {count} rows, after resuming"
            images = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in writer.specs}
            writer.append(images, PairRow(frame_index=10**6, t_ns=10**15, exposure_s=0.01))
        if not Archive.open(path).verify().ok:
            yield "images, after resuming"


class Acquisition(_ArchiveWork):
    """A dataset of several shards."""

    def perform(self, folder: Path, acknowledge: Acknowledge) -> None:
        """Acquire pairs on the twin, in virtual time."""
        config = InstrumentConfig(twin=TwinConfig(optics=_OPTICS, slm=SLM, camera=CAMERA))
        rig, fibre = open_rig(config, VirtualClock())
        plan = CapturePlan(source="cells", pairs=_PAIRS, exposure_s=CAMERA.exposure_s)
        spec = dataset_spec("power", plan, rig, {"fibre": fibre})
        shard_bytes = _PAIRS_PER_SHARD * max(array.nbytes for array in spec.arrays)
        with ArchiveWriter.create(folder, spec, len(plan), seal_after_s=60.0, shard_bytes=shard_bytes) as writer:
            said = _OnChange(acknowledge)
            done = acquire(
                rig, plan, writer, callbacks=RunCallbacks(on_progress=lambda progress: said(str(writer.acknowledged)))
            )
            if not done.complete:
                raise SpeckleScopeError(f"the acquisition ended with {done.acknowledged} of {done.requested} pairs")
            said(str(writer.acknowledged))
            acknowledge(COMPLETE_VERDICT)


class Recording(_ArchiveWork):
    """A recording of the live view."""

    def perform(self, folder: Path, acknowledge: Acknowledge) -> None:
        """Record frames; each is sealed at once."""
        channel: Channel[RecordItem] = Channel("recording", _FRAMES, Overflow.FAIL)
        recorder = Recorder(folder, "power", {"pixel_um": 1.0}, channel, seal_after_s=0.0)
        stage = Stage("recorder", recorder.run)
        stage.start()
        rng = np.random.default_rng(0)
        for index in range(_FRAMES):
            frame = Frame(rng.integers(0, 256, (16, 16), dtype=np.uint8), index, index * 10**7, 0.01, 8)
            phase_rad = rng.random((16, 16), dtype=np.float32)
            channel.put(RecordItem(frame=frame, phase_rad=phase_rad, model_id="m", engine="torch", latency_s=0.01))
            while recorder.frames_recorded <= index and stage.error is None:
                time.sleep(1e-3)
            acknowledge(str(recorder.frames_recorded))
        channel.close()
        stage.join()
        if stage.error is not None:
            raise stage.error
        acknowledge(recorder.verdict)


class ShardsBeside(_ArchiveWork):
    """A recording that is faster than the disk: several shards are written at a time."""

    def perform(self, folder: Path, acknowledge: Acknowledge) -> None:
        """Append frames as fast as they are taken."""
        arrays = [ArraySpec("speckle", (16, 16), "uint8"), ArraySpec("phase", (16, 16), "float32", compress=True)]
        spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="power", arrays=arrays)
        rng = np.random.default_rng(0)
        said = _OnChange(acknowledge)
        with ArchiveWriter.create(folder, spec, None, seal_after_s=60.0, shard_bytes=2 * arrays[1].nbytes) as writer:
            writer.write_beside(3)
            for index in range(_FRAMES):
                images: dict[str, NDArray[Any]] = {
                    "speckle": rng.integers(0, 256, (16, 16), dtype=np.uint8),
                    "phase": rng.random((16, 16), dtype=np.float32),
                }
                writer.append(images, PairRow(frame_index=index, t_ns=index * 10**7, exposure_s=0.01))
                said(str(writer.acknowledged))
            writer.complete()
            said(str(writer.acknowledged))
            acknowledge(COMPLETE_VERDICT)


class ModelFolder(Work):
    """A model that is replaced by a better one, as at each validation of a training."""

    def perform(self, folder: Path, acknowledge: Acknowledge) -> None:
        """Save three models under one name."""
        for seed in range(_STEPS):
            torch.manual_seed(seed)
            network = UNetConfig(frame_px=32, grid_px=16, front_end="fold", base_channels=4, multipliers=(1, 2))
            card = ModelCard(name="m", fibre="f", field_radius=1.0, phase_range_rad=2.85, network=network.to_dict())
            acknowledge(save_model(folder / "models" / "m", ReferencedUNet(network).eval(), card).id)

    def missing(self, folder: Path, acknowledged: Sequence[str]) -> Iterator[str]:
        """Load the model: it is the last one that was acknowledged, or the next."""
        if acknowledged and load_model(folder / "models" / "m").id in acknowledged[:-1]:
            yield f"model {acknowledged[-1]}, an older one is there"


class Checkpoints(Work):
    """Checkpoints of a training, each of which replaces the one before."""

    def perform(self, folder: Path, acknowledge: Acknowledge) -> None:
        """Write three checkpoints."""
        for step in range(_STEPS):
            write_checkpoint(folder / "m" / "run" / CHECKPOINT, {"weights": torch.full((64,), float(step))}, {"step": step})
            acknowledge(str(step))

    def missing(self, folder: Path, acknowledged: Sequence[str]) -> Iterator[str]:
        """Read the checkpoint: it is the last one that was acknowledged, or the next."""
        if acknowledged:
            tensors, values = read_checkpoint(folder / "m" / "run" / CHECKPOINT)
            if values["step"] < int(acknowledged[-1]) or not (tensors["weights"] == values["step"]).all():
                yield f"the checkpoint of step {acknowledged[-1]}"


class Files(Work):
    """Files that the atomic writer replaces, alone and together."""

    def perform(self, folder: Path, acknowledge: Acknowledge) -> None:
        """Write a file in a new folder and two files together, three times."""
        for number in range(_STEPS):
            content = f"{number}".encode() * 3000
            write_bytes(folder / "new" / "folder" / "a", content, "")
            acknowledge(f"a {number}")
            write_together({folder / "b": content, folder / "other" / "c": content}, "")
            acknowledge(f"b {number}")
            acknowledge(f"c {number}")

    def missing(self, folder: Path, acknowledged: Sequence[str]) -> Iterator[str]:
        """Read the files: each has the last content that was acknowledged, or the next, and nothing between."""
        last = dict(text.split() for text in acknowledged)
        for name, path in (("a", folder / "new" / "folder" / "a"), ("b", folder / "b"), ("c", folder / "other" / "c")):
            if name in last:
                content = path.read_bytes() if path.is_file() else b""
                if content not in [f"{number}".encode() * 3000 for number in range(int(last[name]), _STEPS)]:
                    yield f"file {name} number {last[name]}; it has {len(content)} bytes, {content[:1]!r}..."


class Exports(Work):
    """Exported files and folders, which a second export replaces."""

    _FORMATS = (ExportFormat.NPZ, ExportFormat.HDF5, ExportFormat.OME_TIFF, ExportFormat.OME_ZARR, ExportFormat.SPECDIFFUSION)

    def perform(self, folder: Path, acknowledge: Acknowledge) -> None:
        """Export a small archive twice."""
        rng = np.random.default_rng(0)
        arrays = [ArraySpec("speckle", (16, 16), "uint8"), ArraySpec("phase", (16, 16), "float32")]
        spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="power", arrays=arrays, metadata={"phase_range_rad": 2.85})
        with tempfile.TemporaryDirectory() as elsewhere:
            with ArchiveWriter.create(Path(elsewhere), spec, 3) as writer:
                for index in range(3):
                    images: dict[str, NDArray[Any]] = {
                        "speckle": rng.integers(0, 256, (16, 16), dtype=np.uint8),
                        "phase": rng.random((16, 16), dtype=np.float32),
                    }
                    writer.append(images, PairRow(frame_index=index, t_ns=index * 10**7, exposure_s=0.01))
            for _ in range(2):
                archive = Archive.open(writer.path)
                for path in exported_files(archive, folder / "out", self._FORMATS, overwrite=True):
                    acknowledge(f"{path.name} {content_of(path)}")

    def missing(self, folder: Path, acknowledged: Sequence[str]) -> Iterator[str]:
        """Read the exports: each has its content."""
        for name, content in dict(text.split() for text in acknowledged).items():
            path = folder / "out" / name
            if not path.exists() or content_of(path) != content:
                yield f"the export {name}"


#: A quick run makes a few cuts in each.
WORKS: tuple[type[Work], ...] = (Files, Checkpoints, ModelFolder, Acquisition, Recording, ShardsBeside, Exports)


@dataclass
class PowerCuts:
    """What the cuts have shown.

    Parameters
    ----------
    cuts : int
        Points and states of the disk that were looked at.
    lost : int
        States in which something that was acknowledged is missing.
    findings : list of str
        One text for each.
    """

    cuts: int = 0
    lost: int = 0
    findings: list[str] = field(default_factory=list)


def measure(budget: Budget, report: Report) -> Numbers:
    """Trace the work, cut it, and count what is lost."""
    if not can_trace():
        return {"power_cuts": 0, "power_cut_lost": 0, "power_findings": ["this system allows no trace; nothing was cut"]}
    result = PowerCuts()
    with tempfile.TemporaryDirectory(prefix="specklescope-power-") as name:
        folder = Path(name)
        report("tracing", 0, 1)
        events = trace(folder, command_of(folder / "disk", WORKS))
        report("tracing", 1, 1)
        for number, work in enumerate(WORKS):
            report("power cuts", number, len(WORKS), work.__name__)
            cut(work(), events, folder / "disk" / work.__name__, result, _QUICK_CUTS if budget.quick else None)
        report("power cuts", len(WORKS), len(WORKS))
    return {"power_cuts": result.cuts, "power_cut_lost": result.lost, "power_findings": result.findings}


def command_of(disk: Path, works: Sequence[type[Work]]) -> list[str]:
    """Return the command of the child that does some works."""
    return [sys.executable, "-P", "-m", __spec__.name, str(disk), *(work.__name__ for work in works)]


def trace(folder: Path, command: Sequence[str]) -> list[FileEvent]:
    """Run the child and return what it did inside ``folder / "disk"``.

    Raises
    ------
    SpeckleScopeError
        It failed.
    """
    disk, log = folder / "disk", folder / "trace"
    disk.mkdir(parents=True)
    done = subprocess.run(traced(command, log, disk), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SpeckleScopeError(f"the traced child ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return read_trace(log)


def cut(work: Work, events: Sequence[FileEvent], disk: Path, result: PowerCuts, most: int | None = None) -> None:
    """Cut the power after every event, or after ``most`` of them by chance, and look at each state of the disk."""
    root = os.path.realpath(disk)
    marker = f"{root}{_ACKNOWLEDGED}"
    own = [event for event in events if event.path == marker or event.path.startswith(f"{root}/") or event.path == root]
    chosen = set(range(len(own)))
    if most is not None and most < len(own):
        chosen = {0, len(own) - 1, *random.Random(0).sample(range(len(own)), most)}
    states, acknowledged = DiskStates(root), []
    seen: set[tuple[bytes, int]] = set()
    for number, event in enumerate(own):
        if event.path == marker:
            acknowledged += [event.content.decode().strip()] if event.change is Change.WRITE else []
        else:
            states.apply(event)
        if number not in chosen:
            continue
        for state, content in states.after_power_cut():
            result.cuts += 1
            key = (digest_of(content), len(acknowledged))
            if key not in seen:
                seen.add(key)
                what = f"{type(work).__name__}, cut after event {number} ({event.change} {Path(event.path).name}), {state}"
                _look(work, content, acknowledged, what, result)


def _look(work: Work, content: Content, acknowledged: Sequence[str], what: str, result: PowerCuts) -> None:
    """Write one state into a new folder and look for everything that was acknowledged."""
    with tempfile.TemporaryDirectory(prefix="specklescope-cut-") as name:
        folder = Path(name) / "disk"
        write_content(content, folder)
        try:
            missing = list(work.missing(folder, acknowledged))
        except (SpeckleScopeError, OSError, ValueError) as error:
            missing = [f"it cannot be read: {error}"]
    if missing:
        result.lost += 1
        result.findings.append(f"{what}: missing: {'; '.join(missing)}")


class _OnChange:
    """Acknowledges a text when it is another one than before."""

    def __init__(self, acknowledge: Acknowledge) -> None:
        self._acknowledge = acknowledge
        self._last = "0"
        self._mutex = threading.Lock()

    def __call__(self, text: str) -> None:
        with self._mutex:
            if text != self._last:
                self._last = text
                self._acknowledge(text)


def _say(marker: int, text: str) -> None:
    os.write(marker, f"{text}\n".encode())


def main(disk: str, *names: str) -> None:
    """Be the traced child: do the works in folders of their own; a line in a file beside each says what is acknowledged."""
    for work in WORKS:
        if work.__name__ in names:
            folder = Path(disk) / work.__name__
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            marker = os.open(f"{folder}{_ACKNOWLEDGED}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            work().perform(folder, partial(_say, marker))
            os.close(marker)


if __name__ == "__main__":
    main(*sys.argv[1:])
