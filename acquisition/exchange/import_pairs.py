"""Datasets from elsewhere become archives: everything is checked before the first byte is written."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from acquisition.archive.kinds import COMPLETE_VERDICT, ArchiveKind, EventKind, FinishReason
from acquisition.archive.shards import Image
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError
from acquisition.exchange.import_arrays import is_array_file, open_arrays
from acquisition.exchange.import_folder import open_folder
from acquisition.exchange.import_source import PairImportError, PairSource

__all__ = ["ImportCheck", "PairImportError", "check_pairs", "import_pairs"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ImportCheck:
    """What a check found: number of pairs, the arrays they become, the metadata, and what the operator should know."""

    count: int
    arrays: tuple[ArraySpec, ...]
    metadata: Mapping[str, object]
    notes: tuple[str, ...]


def check_pairs(
    source: Path,
    *,
    phase_range_rad: float | None = None,
    allow_duplicates: bool = False,
    on_progress: Progress = lambda step, done, total: None,
) -> ImportCheck:
    """Check pairs as :func:`import_pairs` does, and write nothing; same arguments and errors."""
    found, _ = _checked(Path(source), phase_range_rad, allow_duplicates, on_progress)
    return ImportCheck(found.count, tuple(found.specs), found.metadata, tuple(found.notes))


def import_pairs(
    source: Path,
    root: Path,
    name: str,
    *,
    phase_range_rad: float | None = None,
    metadata: Mapping[str, object] | None = None,
    allow_duplicates: bool = False,
    on_progress: Progress = lambda step, done, total: None,
) -> Path:
    """Make a dataset archive of pairs from elsewhere and return its folder.

    The archive appears in ``root`` when it is whole, with a journal and check sums like any other. Where a source tells no
    times, the rows say 0, and ``host_utc`` is that of the import.

    Parameters
    ----------
    source : Path
        A folder with ``input/`` and ``label/`` PNG files (the published SpecDiffusion layout; the rules are those of
        :func:`acquisition.exchange.import_folder.open_folder`), an ``.npz``, ``.h5`` or ``.hdf5`` with ``speckle`` and
        ``phase`` of shape (N, H, W), or a ``NAME_speckle.ome.tif`` with ``NAME_phase.ome.tif`` beside it.
    root : Path
        Folder for archives; made if absent.
    name : str
        For people; part of the archive's name.
    phase_range_rad : float, optional
        Phase of grey 255 in radians; needed for PNG labels unless ``metadata.yaml`` tells it. The raw labels are kept
        beside the phase, as array ``label``.
    metadata : mapping, optional
        More facts, plain YAML values, over what the source tells.
    allow_duplicates : bool
        Accept frames of the same content, with a note; otherwise they are refused, as no camera takes one twice.
        Repeated patterns are always noted and accepted.
    on_progress : callable
        Called with ``("check" or "write", pairs done, pairs in all)``.

    Raises
    ------
    PairImportError
        Anything wrong with the pairs; its message names the files, and nothing was written.
    StorageError
        The archive cannot be written, or the disk has too little space; nothing stays behind.
    """
    source, root = Path(source), Path(root)
    found, checked = _checked(source, phase_range_rad, allow_duplicates, on_progress)
    facts = {**found.metadata, "imported_from": source.resolve().name, "import_notes": list(found.notes), **(metadata or {})}
    hidden = root / f".import-{uuid.uuid4().hex[:8]}"  # an archive appears under its name when it is whole
    try:
        with ArchiveWriter.create(
            hidden, ArchiveSpec(kind=ArchiveKind.DATASET, name=name, arrays=found.specs, metadata=facts), found.count
        ) as writer:
            for note in found.notes:
                writer.event(EventKind.IMPORT, note)
            problems: list[str] = []
            for index, (images, (row, digests)) in enumerate(zip(found.images(problems), checked, strict=True)):
                if images is None or _digests(found, images) != digests:
                    changed = f"{found.name('speckle', index)} or its label changed after the check; import again"
                    raise PairImportError(source, problems or [changed])
                writer.append(images, row)
                on_progress("write", index + 1, found.count)
            writer.flush()
            writer.conclude(FinishReason.COMPLETED, COMPLETE_VERDICT)
        return writer.path.rename(root / writer.path.name)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _checked(
    path: Path, phase_range_rad: float | None, allow_duplicates: bool, on_progress: Progress
) -> tuple[PairSource, list[tuple[PairRow, tuple[bytes, ...]]]]:
    if phase_range_rad is not None and not 0 < phase_range_rad < float("inf"):
        raise PairImportError(
            path, [f"phase_range_rad, the phase of grey 255 in radians, must lie above 0; it is {phase_range_rad}"]
        )
    if path.is_dir():
        found = open_folder(path, phase_range_rad)
    elif is_array_file(path):
        found = open_arrays(path, phase_range_rad)
    else:
        wanted = "a folder with input/ and label/, .npz, .h5, .hdf5 or NAME_speckle.ome.tif"
        raise PairImportError(path, [f"give {wanted}"])
    problems = list(found.problems)
    duplicates: list[str] = []
    repeated: list[str] = []
    checked: list[tuple[PairRow, tuple[bytes, ...]]] = []
    first: dict[tuple[str, bytes], int] = {}
    for index, images in enumerate(found.images(problems)):
        on_progress("check", index + 1, found.count)
        if images is None:
            continue
        digests = _digests(found, images)
        try:
            checked.append((found.row(index, images), digests))
        except (ValueError, StorageError) as error:
            problems.append(f"the facts of {found.name('speckle', index)} are wrong ({error})")
        for array, digest in zip(found.hashed, digests, strict=True):
            earlier = first.setdefault((array, digest), index)
            if earlier != index:
                text = f"{found.name(array, index)} has the same content as {found.name(array, earlier)}"
                (duplicates if array == "speckle" else repeated).append(text)
    if duplicates and allow_duplicates:
        found.notes.append(f"{len(duplicates)} frames occur again: {duplicates[0]}")
    else:
        problems += [f"{text}; remove one, or allow duplicates" for text in duplicates]
    if repeated:
        found.notes.append(f"{len(repeated)} patterns occur again: {repeated[0]}")
    if problems:
        raise PairImportError(path, problems)
    return found, checked


def _digests(found: PairSource, images: Mapping[str, Image]) -> tuple[bytes, ...]:
    return tuple(hashlib.blake2b(images[array].data, digest_size=16).digest() for array in found.hashed)
