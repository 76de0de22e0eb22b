"""The archive of a dataset: created for a plan, and read back as a plan and its faults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from acquisition.archive.kinds import ArchiveKind, EventKind
from acquisition.archive.old_names import with_present_names
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, StorageError
from acquisition.capture.pair_capture import Rig
from acquisition.capture.plan import CapturePlan, plan_from, plan_hash
from drivers.camera_settings import facts, settings_of

#: Patterns of this size or larger are stored compressed, in bytes.
_COMPRESS_FROM = 2 << 20


def open_dataset(root: Path, name: str, plan: CapturePlan, rig: Rig, metadata: Mapping[str, object]) -> ArchiveWriter:
    """Create the archive of a new acquisition, after checking the disk.

    Raises
    ------
    StorageError
        The folder cannot be written or has too little space.
    """
    return ArchiveWriter.create(root, dataset_spec(name, plan, rig, metadata), expected=len(plan))


def dataset_spec(name: str, plan: CapturePlan, rig: Rig, metadata: Mapping[str, object]) -> ArchiveSpec:
    """Return the description of the archive that an acquisition of ``plan`` on ``rig`` fills."""
    bits = 8 if rig.camera.bit_depth <= 8 else 16
    rows, columns = rig.display().capabilities.shape
    arrays = [
        ArraySpec("speckle", rig.camera.capabilities.frame_shape, f"uint{bits}", compress=bits > 8),
        # Reading compressed patterns is twenty times slower; but uncompressed patterns of a whole panel would fill the disk.
        ArraySpec("phase", (rows, columns), "float32", compress=rows * columns * 4 > _COMPRESS_FROM),
    ]
    stored = {"plan": plan.to_dict(), "plan_hash": plan.hash, "phase_range_rad": plan.phase_range_rad}
    stored |= {"bit_depth": rig.camera.bit_depth, "camera_settings": facts(settings_of(rig.camera)), **metadata}
    if rig.camera.capabilities.channels:
        stored["channels"] = list(rig.camera.capabilities.channels)
    return ArchiveSpec(kind=ArchiveKind.DATASET, name=name, arrays=arrays, metadata=stored)


def plan_of(archive: Archive) -> CapturePlan:
    """Read the plan of an existing dataset.

    Raises
    ------
    StorageError
        The metadata holds no plan, or its plan was edited.
    PlanError
        The plan holds a wrong field or value.
    """
    stored = archive.metadata.get("plan")
    if not isinstance(stored, dict) or "plan_hash" not in archive.metadata:
        raise StorageError(
            f"{archive.path} has no capture plan in its metadata: it was imported, or written by a script. Its images can be "
            "verified; it can neither be resumed nor get a certificate of its pairs: start a new dataset for these"
        )
    try:
        digest = plan_hash(stored)
    except TypeError as error:  # keys of several types cannot be sorted
        text = f"the plan in {archive.path}/metadata.yaml has a key that is no text; restore it from a copy"
        raise StorageError(text) from error
    if digest != archive.metadata.get("plan_hash"):
        raise StorageError(f"the plan in {archive.path}/metadata.yaml was edited; restore it or start a new dataset")
    return plan_from(with_present_names(stored), f"{archive.path}/metadata.yaml")


def faults_of(archive: Archive) -> dict[str, int]:
    """Count the faults in a dataset's journal by their kind, over all its runs."""
    faults: dict[str, int] = {}
    for event in archive.events():
        kind = event.kind
        # A kind that this version does not know may be a fault: a report should rather name one too many than one too few.
        if not isinstance(kind, EventKind) or kind.is_fault:
            faults[str(kind)] = faults.get(str(kind), 0) + 1
    return faults
