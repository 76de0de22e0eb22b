"""Datasets of other programs become archives. Everything is checked before the first byte is written."""

from __future__ import annotations

import hashlib
import math
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from acquisition.archive.atomic_files import sync_folder
from acquisition.archive.kinds import ArchiveKind, EventKind
from acquisition.archive.shards import Image
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError
from acquisition.exchange.array_files import is_array_file
from acquisition.exchange.import_arrays import open_arrays
from acquisition.exchange.import_folder import open_folder
from acquisition.exchange.import_source import PairImportError, PairSource

__all__ = ["ImportCheck", "ImportOptions", "PairImportError", "check_pairs", "import_pairs"]

#: Called with the step ("check" or "write"), the pairs done, and the pairs in all.
Progress = Callable[[str, int, int], None]
_Digests = tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What the operator states about pairs that are imported.

    Parameters
    ----------
    phase_range_rad : float, optional
        Phase of grey 255 in radians; needed for PNG labels unless ``metadata.yaml`` states it.
    metadata : mapping
        Further facts, plain YAML values. They replace what the source states.
    allow_duplicates : bool
        Accept frames of the same content, with a note. By default they are refused, because no camera gives the same frame
        twice. Repeated patterns are always noted and accepted.
    """

    phase_range_rad: float | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    allow_duplicates: bool = False


@dataclass(frozen=True, kw_only=True)
class ImportCheck:
    """Result of a check.

    Parameters
    ----------
    count : int
        Number of pairs.
    arrays : tuple of ArraySpec
        The arrays that an archive of them would have.
    metadata : mapping
        Its metadata.
    notes : tuple of str
        What the operator should know.
    """

    count: int
    arrays: tuple[ArraySpec, ...]
    metadata: Mapping[str, object]
    notes: tuple[str, ...]


def check_pairs(
    source: Path,
    options: ImportOptions | None = None,
    on_progress: Progress = lambda step, done, total: None,
) -> ImportCheck:
    """Check pairs as :func:`import_pairs` does, and write nothing; same arguments and errors."""
    pairs, _ = _checked(Path(source), options or ImportOptions(), on_progress)
    return ImportCheck(count=pairs.count, arrays=tuple(pairs.specs), metadata=pairs.metadata, notes=tuple(pairs.notes))


def import_pairs(
    source: Path,
    root: Path,
    name: str,
    options: ImportOptions | None = None,
    on_progress: Progress = lambda step, done, total: None,
) -> Path:
    """Make a dataset archive of pairs from another program, and return its folder.

    The archive appears in ``root`` when it is complete, with a journal and check sums like any other. Where a source states no
    times, the rows hold 0, and ``host_utc`` is the time of the import.

    Parameters
    ----------
    source : Path
        A folder with ``input/`` and ``label/`` PNG files (the published SpecDiffusion layout; the rules are those of
        :func:`acquisition.exchange.import_folder.open_folder`), an ``.npz``, ``.h5`` or ``.hdf5`` with ``speckle`` and
        ``phase`` of shape (N, H, W), or a ``NAME_speckle.ome.tif`` with ``NAME_phase.ome.tif`` beside it. The raw labels of a
        folder are kept beside the phase, as array ``label``.
    root : Path
        Folder for archives; made if absent.
    name : str
        Name for people; part of the archive's name.
    options : ImportOptions, optional
        What the operator states about the pairs.
    on_progress : callable
        Called with ``("check" or "write", pairs done, pairs in all)``.

    Raises
    ------
    PairImportError
        Something is wrong with the pairs; the message names the files, and nothing was written.
    StorageError
        The archive cannot be written, or the disk has too little space; nothing is left behind.
    """
    source, root = Path(source), Path(root)
    options = options or ImportOptions()
    pairs, checked = _checked(source, options, on_progress)
    facts = {**pairs.metadata, "imported_from": source.resolve().name, "import_notes": list(pairs.notes), **options.metadata}
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name=name, arrays=pairs.specs, metadata=facts)
    hidden = root / f".import-{uuid.uuid4().hex[:8]}"  # an archive appears under its own name when it is complete
    try:
        with ArchiveWriter.create(hidden, spec, pairs.count) as writer:
            for note in pairs.notes:
                writer.event(EventKind.IMPORT, note)
            problems: list[str] = []
            for index, (images, (row, digests)) in enumerate(zip(pairs.images(problems), checked, strict=True)):
                if images is None or _digests(pairs, images) != digests:
                    changed = f"{pairs.name('speckle', index)} or its label changed after the check; import again"
                    raise PairImportError(source, problems or [changed])
                writer.append(images, row)
                on_progress("write", index + 1, pairs.count)
            writer.complete()
        path = writer.path.rename(root / writer.path.name)
        sync_folder(root)
        return path
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _checked(path: Path, options: ImportOptions, on_progress: Progress) -> tuple[PairSource, list[tuple[PairRow, _Digests]]]:
    """Return the pairs, and the row and the digests of each; raises PairImportError when anything is wrong."""
    pairs = _opened(path, options.phase_range_rad)
    problems = list(pairs.problems)
    repeats = _Repeats(pairs)
    checked: list[tuple[PairRow, _Digests]] = []
    for index, images in enumerate(pairs.images(problems)):
        on_progress("check", index + 1, pairs.count)
        if images is None:
            continue
        digests = _digests(pairs, images)
        try:
            checked.append((pairs.row(index, images), digests))
        except (ValueError, StorageError) as error:
            problems.append(f"the facts of {pairs.name('speckle', index)} are wrong ({error})")
        repeats.add(index, digests)
    problems += repeats.problems(allow_duplicates=options.allow_duplicates)
    if problems:
        raise PairImportError(path, problems)
    pairs.notes += repeats.notes(allow_duplicates=options.allow_duplicates)
    return pairs, checked


def _opened(path: Path, phase_range_rad: float | None) -> PairSource:
    """Return the pairs of a folder or a file, whichever reader takes it."""
    if phase_range_rad is not None and not 0 < phase_range_rad < math.inf:
        raise PairImportError(
            path, [f"phase_range_rad, the phase of grey 255 in radians, must be above 0; it is {phase_range_rad}"]
        )
    if is_array_file(path):
        return open_arrays(path, phase_range_rad)
    if path.is_dir():
        return open_folder(path, phase_range_rad)
    raise PairImportError(path, ["give a folder with input/ and label/, .npz, .h5, .hdf5 or NAME_speckle.ome.tif"])


class _Repeats:
    """Images whose content occurred before: frames are duplicates, patterns may repeat."""

    def __init__(self, pairs: PairSource) -> None:
        self._pairs = pairs
        self._first: dict[tuple[str, bytes], int] = {}
        self._frames: list[str] = []
        self._patterns: list[str] = []

    def add(self, index: int, digests: _Digests) -> None:
        """Compare one pair with all pairs before it."""
        for array, digest in zip(self._pairs.hashed, digests, strict=True):
            earlier = self._first.setdefault((array, digest), index)
            if earlier != index:
                text = f"{self._pairs.name(array, index)} has the same content as {self._pairs.name(array, earlier)}"
                (self._frames if array == "speckle" else self._patterns).append(text)

    def problems(self, *, allow_duplicates: bool) -> list[str]:
        """Return what forbids the import."""
        return [] if allow_duplicates else [f"{text}; remove one, or allow duplicates" for text in self._frames]

    def notes(self, *, allow_duplicates: bool) -> list[str]:
        """Return what the operator should know."""
        notes = []
        if self._frames and allow_duplicates:
            notes.append(f"{len(self._frames)} frames occur again: {self._frames[0]}")
        if self._patterns:
            notes.append(f"{len(self._patterns)} patterns occur again: {self._patterns[0]}")
        return notes


def _digests(pairs: PairSource, images: Mapping[str, Image]) -> _Digests:
    return tuple(hashlib.blake2b(images[array].data, digest_size=16).digest() for array in pairs.hashed)
