"""A small sample of everything that our readers read, each in a folder of its own, and how it is read completely.

for sample in write_samples(folder):
    content = sample.read()                      # raises SpeckleScopeError where a reader notices damage
    changed = sample.copy_to(other_folder)       # its files may be damaged; changed.read() reads the copy
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import yaml

from acquisition.archive.atomic_files import write_inside
from acquisition.archive.kinds import ArchiveKind, FinishReason
from acquisition.archive.reader import Archive
from acquisition.archive.references import StoredReference
from acquisition.archive.shards import Image
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.capture.plan import CapturePlan, read_plan
from acquisition.exchange.array_files import ArrayFile
from acquisition.exchange.conversion.references import ReferencesError, find_references
from acquisition.exchange.export import ExportFormat, export
from acquisition.exchange.import_arrays import open_arrays
from acquisition.exchange.import_folder import open_folder
from acquisition.exchange.import_source import ImportOptions, PairSource
from acquisition.exchange.reference_pairs import read_frame, read_references
from acquisition.exchange.verify_export import read_export, verify_export
from acquisition.patterns.sources import open_source
from app.instrument.config import InstrumentConfig, load_config, save_config
from calibration.fibre.response import KIND, FibreResponse, from_transmission
from calibration.stored import load, save
from drivers.base import SpeckleScopeError
from drivers.twin.optics_config import OpticsConfig
from reconstruction.models.model import ModelCard, load_model, save_model
from reconstruction.networks.referenced_unet import FrontEnd, ReferencedUNet, UNetConfig
from reconstruction.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint
from reconstruction.training.config import TrainConfig
from reconstruction.training.resume_state import TrainState

#: Everything that a reader returned, by name: texts, numbers, and arrays as :func:`value` returns them. Two contents that are
#: equal are the same for everybody who uses them.
Content = Mapping[str, object]

_COUNT, _SHAPE, _PHASE_RANGE_RAD = 5, (24, 32), 2.85


class SampleKind(StrEnum):
    """What a sample is."""

    DATASET = "dataset"
    RECORDING = "recording"
    OME_TIFF = ExportFormat.OME_TIFF.value
    FFV1 = ExportFormat.FFV1.value
    VIEWING_MP4 = ExportFormat.VIEWING_MP4.value
    SPECDIFFUSION = ExportFormat.SPECDIFFUSION.value
    NPZ = ExportFormat.NPZ.value
    HDF5 = ExportFormat.HDF5.value
    MATLAB = ExportFormat.MATLAB.value
    OME_ZARR = ExportFormat.OME_ZARR.value
    CHECKPOINT = "checkpoint"
    MODEL = "model"
    CALIBRATION = "calibration"
    REFERENCE_PAIRS = "reference-pairs"
    INSTRUMENT = "instrument"
    PLAN = "plan"
    PATTERNS = "patterns"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One sample.

    Parameters
    ----------
    title : str
        Says which of several it is, for instance ``hdf5 of a recording``.
    kind : SampleKind
        What it is.
    folder : Path
        Holds this sample alone.
    name : str
        The file or folder in it that its reader is given.
    reader : callable
        Reads the file or folder completely.
    """

    title: str
    kind: SampleKind
    folder: Path
    name: str
    reader: Callable[[Path], Content]

    @property
    def path(self) -> Path:
        """The file or folder that the reader is given."""
        return self.folder / self.name

    @property
    def files(self) -> list[Path]:
        """Every file of the sample that is not empty, sorted; the reader may use others than the one that it is given."""
        return sorted(file for file in self.folder.rglob("*") if file.is_file() and file.stat().st_size)

    def read(self) -> Content:
        """Read everything with the product's own readers; raises SpeckleScopeError where they notice damage."""
        return self.reader(self.path)

    def copy_to(self, folder: Path) -> Sample:
        """Copy the sample into a new folder, whose files may be changed, and return it."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)


def write_samples(folder: Path) -> list[Sample]:
    """Write all samples into new folders inside ``folder``; this takes a second or two."""
    dataset = _sample(SampleKind.DATASET, folder, _write_dataset, _read_archive)
    recording = _sample(SampleKind.RECORDING, folder, _write_recording, _read_archive)
    samples = [dataset, recording]
    for archive in (dataset, recording):
        samples += _exports(archive, folder)
    samples += [
        _sample(SampleKind.CHECKPOINT, folder, _write_checkpoint, _read_checkpoint),
        _sample(SampleKind.MODEL, folder, _write_model, _read_model),
        _sample(SampleKind.CALIBRATION, folder, _write_calibration, _read_calibration),
        _sample(SampleKind.REFERENCE_PAIRS, folder, _write_references, _read_references),
        _sample(SampleKind.INSTRUMENT, folder, _write_instrument, _read_instrument),
        _sample(SampleKind.PLAN, folder, _write_plan, lambda path: read_plan(path).to_dict()),
        _sample(SampleKind.PATTERNS, folder, _write_patterns, _read_patterns),
    ]
    return samples


def value(array: object) -> tuple[str, tuple[int, ...], str]:
    """Return what identifies an array: its dtype, its shape, and the SHA-256 of its bytes."""
    content = np.array(array, order="C")
    if content.dtype.kind == "f":
        content[np.isnan(content)] = np.nan  # a NaN stays one, whatever its further bits say
    data = repr(content.tolist()).encode() if content.dtype == object else content.tobytes()
    return content.dtype.str, content.shape, hashlib.sha256(data).hexdigest()


def _sample(kind: SampleKind, folder: Path, write: Callable[[Path], Path], reader: Callable[[Path], Content]) -> Sample:
    own = folder / kind.value
    own.mkdir(parents=True)
    path = write(own)
    return Sample(title=kind.value, kind=kind, folder=own, name=path.relative_to(own).as_posix(), reader=reader)


# ---- archives and their exports


def _write_dataset(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    plan = CapturePlan(source="cells", pairs=3, reference_every=3, phase_range_rad=_PHASE_RANGE_RAD)
    arrays = [ArraySpec("speckle", _SHAPE, "uint8"), ArraySpec("phase", (16, 16), "float32", compress=True)]
    facts = {
        "plan": plan.to_dict(),
        "plan_hash": plan.hash,
        "phase_range_rad": _PHASE_RANGE_RAD,
        "bit_depth": 8,
        "pixel_um": 0.7,
    }
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="sample", arrays=arrays, metadata=facts)
    with ArchiveWriter.create(folder, spec, _COUNT, shard_bytes=16 * arrays[0].nbytes) as writer:
        for shot in plan.shots((16, 16)):
            row = PairRow(
                frame_index=shot.number,
                t_ns=10**9 + shot.number * 40_000_000,
                exposure_s=0.01,
                pattern_id=shot.pattern.id,
                pattern_name=shot.pattern.name,
                extra={"device_ns": shot.number * 40_000_100, "is_reference": int(shot.is_reference)},
            )
            writer.append({"speckle": rng.integers(0, 256, _SHAPE).astype(np.uint8), "phase": shot.pattern.phase_rad}, row)
        writer.complete()
    return writer.path


def _write_recording(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    arrays = [
        ArraySpec("speckle", _SHAPE, "uint16", compress=True),
        ArraySpec("phase", (16, 16), "float32", compress=True),
        ArraySpec("labels", (16, 16), "uint16", compress=True),
    ]
    facts = {"phase_range_rad": _PHASE_RANGE_RAD, "bit_depth": 12, "pixel_um": 0.7}
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="sample", arrays=arrays, metadata=facts)
    # Two shards: the second is sealed when the archive is completed.
    with ArchiveWriter.create(folder, spec, _COUNT, shard_bytes=3 * arrays[0].nbytes) as writer:
        for first_frame in (0, 3):
            speckle = rng.uniform(0, 200, _SHAPE).astype(np.float32)
            values = {"pairs": {"stability": 0.9}}
            writer.add_reference(StoredReference(first_frame=first_frame, arrays={"speckle": speckle}, values=values))
        for index in range(_COUNT):
            images: dict[str, Image] = {
                "speckle": rng.integers(0, 4096, _SHAPE).astype(np.uint16),
                "phase": rng.uniform(0, _PHASE_RANGE_RAD, (16, 16)).astype(np.float32),
                "labels": rng.integers(0, 4, (16, 16)).astype(np.uint16),
            }
            row = PairRow(
                frame_index=index,
                t_ns=10**9 + index * 40_000_000,
                exposure_s=0.01,
                model_id="0123456789ab",
                engine="torch",
                latency_s=0.02,
                extra={"device_ns": index * 40_000_100},
            )
            writer.append(images, row)
        writer.event("FramesSkipped", "2 frames are missing")
        writer.complete()
    return writer.path


def _read_archive(path: Path) -> Content:
    archive = Archive.open(path)
    content: dict[str, object] = {f"row {row.index}": _flat(asdict(row)) for row in archive.rows()}
    for name in archive.arrays:
        content |= {f"{name} {index}": value(archive.read(name, index)) for index in range(len(archive))}
    assert archive.finish_reason in (None, *FinishReason), "asking for it raises where the journal holds another text"
    facts = {"metadata": archive.metadata, "status": dict(archive.status), "kind": archive.kind.value}
    content["references"] = [_reference(entry.read()) for entry in archive.references()]
    return content | facts | {"events": [(event.utc, str(event.kind), event.text) for event in archive.events()]}


def _reference(reference: StoredReference) -> tuple[object, ...]:
    arrays = {name: value(array) for name, array in reference.arrays.items()}
    return reference.first_frame, arrays, _flat(dict(reference.values))


def _exports(archive: Sample, folder: Path) -> list[Sample]:
    samples = []
    for target in ExportFormat:
        own = folder / f"{archive.kind.value}-{target.value}"
        # The first file is the one of the speckle, except of MP4, which shows the phase.
        path = export(Archive.open(archive.path), own, [target])[0]
        kind = SampleKind(target.value)
        title = f"{target.value} of a {archive.kind.value}"
        reader = _read_folder if target is ExportFormat.SPECDIFFUSION else _read_export
        samples.append(Sample(title=title, kind=kind, folder=own, name=path.name, reader=reader))
    return samples


def _read_export(path: Path) -> Content:
    """Verify the exports of one format, then read them: by import where it takes them."""
    content: dict[str, object] = {}
    for file in sorted(path.parent.glob(f"*{''.join(path.suffixes)}")):
        check = verify_export(file)
        if check.damaged:
            raise SpeckleScopeError(f"{file}: {check.damaged[0]}")
        content[f"{file.name}: images"] = check.images
        if check.format in (ExportFormat.FFV1, ExportFormat.VIEWING_MP4):
            content |= _video_content(file)
        elif check.format is not None and check.format is not ExportFormat.SPECDIFFUSION:
            content |= _array_content(file, read_export(file, check.format))
    if path.suffix in (".npz", ".h5", ".mat", ".tif", ".zarr"):
        content["pairs"] = _read_pairs(open_arrays(path, ImportOptions()))
        content["references"] = _read_export_references(path)
    return content


def _read_export_references(path: Path) -> list[tuple[object, ...]]:
    try:
        return [_reference(reference) for reference in find_references(path, None).read(_SHAPE)]
    except ReferencesError as error:
        raise SpeckleScopeError(f"{path}: {error}") from error


def _array_content(file: Path, arrays: ArrayFile) -> Content:
    images = {f"{file.name}: {name}": [value(image) for image in arrays.read(name)] for name in arrays.arrays}
    columns = {f"{file.name}: {name}": value(column) for name, column in arrays.columns.items()}
    return {**images, **columns, f"{file.name}: metadata": arrays.metadata}


def _video_content(file: Path) -> Content:
    with av.open(str(file)) as container:
        frames = [(frame.pts, value(frame.to_ndarray())) for frame in container.decode(video=0)]
        return {"metadata": dict(container.metadata), "frames": frames}


def _read_folder(path: Path) -> Content:
    return {**_read_export(path), **_read_pairs(open_folder(path, ImportOptions()))}


def _read_pairs(source: PairSource) -> Content:
    problems = list(source.problems)
    content: dict[str, object] = {"metadata": source.metadata}
    for index, images in enumerate(source.images(problems)):
        if images is not None:
            content |= {f"{name} {index}": value(image) for name, image in images.items()}
            content[f"row {index}"] = _flat(asdict(source.row(index, images)))
    if problems:
        raise SpeckleScopeError(f"{source.path}: {problems[0]}")
    return content


# ---- networks


def _network() -> ReferencedUNet:
    torch.manual_seed(0)
    config = UNetConfig(frame_px=32, grid_px=16, front_end=FrontEnd.FOLD.value, base_channels=4, multipliers=(1, 2))
    return ReferencedUNet(config)


def _write_checkpoint(folder: Path) -> Path:
    state = TrainState(_network(), TrainConfig(steps=1))
    write_checkpoint(folder / CHECKPOINT, state.tensors(), state.values())
    return folder / CHECKPOINT


def _read_checkpoint(path: Path) -> Content:
    tensors, values = read_checkpoint(path)
    return {"values": values, **{name: value(tensor.numpy()) for name, tensor in tensors.items()}}


def _write_model(folder: Path) -> Path:
    network = _network().eval()
    card = ModelCard(
        name="sample", fibre="sample", field_radius=1.0, phase_range_rad=_PHASE_RANGE_RAD, network=network.config.to_dict()
    )
    save_model(folder / "model", network, card)
    return folder / "model"


def _read_model(path: Path) -> Content:
    model = load_model(path)
    weights = {name: value(tensor.numpy()) for name, tensor in model.network.state_dict().items()}
    return {"id": model.id, "card": _flat(asdict(model.card)), **weights}


# ---- everything else


def _write_calibration(folder: Path) -> Path:
    rng = np.random.default_rng(2)
    transmission = rng.standard_normal((3, 12, 7, 2)).astype(np.float32).view(np.complex64)[..., 0]
    response = from_transmission(OpticsConfig(image_px=32), transmission, background=3.0, probe_patterns=10)
    return save(response.stored({"camera": "sample"}), folder / "response")


def _read_calibration(path: Path) -> Content:
    stored = load(path, KIND)
    response = FibreResponse.from_stored(stored)
    arrays = {name: value(array) for name, array in stored.arrays.items()}
    facts = {"devices": dict(stored.devices), "values": _flat(dict(stored.values)), "made_utc": stored.made_utc}
    return {**facts, **arrays, "response": response.id}


def _write_references(folder: Path) -> Path:
    export(Archive.open(_write_dataset(folder / "dataset")), folder, [ExportFormat.SPECDIFFUSION])
    shutil.rmtree(folder / "dataset")
    [path] = folder.iterdir()
    (path / "input" / "00000.png").rename(folder / "frame.png")
    return folder


def _read_references(path: Path) -> Content:
    frame = read_frame(path / "frame.png")
    [folder] = (entry for entry in path.iterdir() if entry.is_dir())
    pairs = read_references(folder, None, path / "frame.png", frame)
    frames = {f"frame {name}": value(image) for name, image in zip(pairs.names, pairs.frames, strict=True)}
    phases = {f"phase {name}": value(image) for name, image in zip(pairs.names, pairs.phases_rad, strict=True)}
    return {"frame": value(frame), "skipped": pairs.skipped, **frames, **phases}


def _write_instrument(folder: Path) -> Path:
    save_config(InstrumentConfig(name="sample", pixel_um=0.7), folder / "instrument.yaml")
    return folder / "instrument.yaml"


def _read_instrument(path: Path) -> Content:
    return load_config(path).model_dump(mode="json")


def _write_plan(folder: Path) -> Path:
    plan = CapturePlan(source="cells", pairs=3, reference_every=3)
    write_inside(folder / "plan.yaml", yaml.safe_dump(plan.to_dict()).encode())
    return folder / "plan.yaml"


def _write_patterns(folder: Path) -> Path:
    export(Archive.open(_write_dataset(folder / "dataset")), folder, [ExportFormat.SPECDIFFUSION])
    shutil.rmtree(folder / "dataset")
    [exported] = folder.iterdir()
    (exported / "label").rename(folder / "patterns")
    shutil.rmtree(exported)
    return folder / "patterns"


def _read_patterns(path: Path) -> Content:
    source = open_source(str(path), (16, 16), count=_COUNT)
    return {f"{k} {source[k].name}": value(source[k].phase_rad) for k in range(len(source))}


def _flat(facts: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return facts as text, in which NaN equals NaN."""
    return repr(facts)
