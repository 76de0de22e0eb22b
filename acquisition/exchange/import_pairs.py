"""Datasets of other programs become archives. Everything is checked before the first byte is written."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from acquisition.archive.atomic_files import sync_folder
from acquisition.archive.kinds import ArchiveKind, EventKind
from acquisition.archive.shards import Image
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError
from acquisition.exchange.array_files import is_array_file
from acquisition.exchange.conversion.references import ReferencesError, find_references
from acquisition.exchange.conversion.sheet import Thumbnail, thumbnail
from acquisition.exchange.export_base import RECORDING
from acquisition.exchange.import_arrays import open_arrays
from acquisition.exchange.import_folder import open_folder
from acquisition.exchange.import_source import ImportOptions, PairImportError, PairSource

__all__ = ["ImportCheck", "ImportOptions", "PairImportError", "check_pairs", "import_pairs"]

#: Called with the step ("check" or "write"), the pairs done, and the pairs in all.
Progress = Callable[[str, int, int], None]
_Digests = tuple[bytes, ...]
#: Small views of a check.
_THUMBNAILS = 8
_LOSSLESS = "export NPZ, HDF5, MATLAB, OME-TIFF or OME-Zarr, which come back without loss"
#: Why videos cannot be imported, by their ending.
_VIDEOS = {
    ".mp4": f"MP4 is for viewing: its colours are no phase, and they are compressed with loss; {_LOSSLESS}",
    ".mkv": f"a video holds the speckle alone, and no phase; {_LOSSLESS}; or replay the video as a camera (replay: path)",
    ".avi": f"a video holds the speckle alone, and no phase; {_LOSSLESS}; or replay the video as a camera (replay: path)",
}


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
    facts : mapping
        What the pairs are, and how each was decided: shape, type, unit and range of the speckle and the phase, references,
        times.
    thumbnails : tuple of Thumbnail
        Small views of the first pairs, and of the first reference.
    """

    count: int
    arrays: tuple[ArraySpec, ...]
    metadata: Mapping[str, object]
    notes: tuple[str, ...]
    facts: Mapping[str, object]
    thumbnails: tuple[Thumbnail, ...]


def check_pairs(
    source: Path,
    options: ImportOptions | None = None,
    on_progress: Progress = lambda step, done, total: None,
) -> ImportCheck:
    """Check pairs as :func:`import_pairs` does, and write nothing; same arguments and errors."""
    thumbnails: list[Thumbnail] = []
    pairs, _ = _checked(Path(source), options or ImportOptions(), on_progress, thumbnails)
    return ImportCheck(
        count=pairs.count,
        arrays=tuple(pairs.specs),
        metadata=pairs.metadata,
        notes=tuple(pairs.notes),
        facts=_facts(pairs),
        thumbnails=tuple(thumbnails),
    )


def _facts(pairs: PairSource) -> dict[str, object]:
    shapes = {spec.name: "x".join(map(str, (pairs.count, *spec.shape))) for spec in pairs.specs}
    facts: dict[str, object] = {}
    for array, converter in (("speckle", pairs.speckle), ("phase", pairs.phase)):
        axes = "N, C, H, W" if array == "speckle" and len(_frame_shape(pairs)) > 2 else "N, H, W"
        facts |= {f"{array}_shape": f"{shapes[array]} ({axes})"}
        facts |= converter.facts()
    if len(_frame_shape(pairs)) > 2:
        facts["channels"] = pairs.metadata.get("channels")
    others = {name: shape for name, shape in shapes.items() if name not in ("speckle", "phase")}
    facts |= {**pairs.rows.facts(), "recording_references": pairs.references.facts()}
    return {**facts, "pixel_um": pairs.metadata.get("pixel_um"), "other_arrays": others}


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
        A folder with pictures in ``input/`` and ``label/`` (the published SpecDiffusion layout; the rules are those of
        :func:`acquisition.exchange.import_folder.open_folder`), or a file of arrays, or several files of one array each (see
        :func:`acquisition.exchange.import_arrays.open_arrays`). Integer labels of a folder are kept beside the phase, as array
        ``label``.
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
    pairs, checked = _checked(source, options, on_progress, [])
    facts = {**pairs.metadata, "imported_from": source.resolve().name, "import_notes": list(pairs.notes), **options.metadata}
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name=name, arrays=pairs.specs, metadata=facts)
    hidden = root / f".import-{uuid.uuid4().hex[:8]}"  # an archive appears under its own name when it is complete
    try:
        with ArchiveWriter.create(hidden, spec, pairs.count) as writer:
            for note in pairs.notes:
                writer.event(EventKind.IMPORT, note)
            _store_references(pairs, writer)
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


def _store_references(pairs: PairSource, writer: ArchiveWriter) -> None:
    try:
        for reference in pairs.references.read(_frame_shape(pairs)):
            writer.add_reference(reference)
    except ReferencesError as error:
        raise PairImportError(pairs.path, [f"{error}; it was whole when it was checked"]) from error


def _frame_shape(pairs: PairSource) -> tuple[int, ...]:
    return next(spec.shape for spec in pairs.specs if spec.name == "speckle")


def _checked(
    path: Path, options: ImportOptions, on_progress: Progress, thumbnails: list[Thumbnail]
) -> tuple[PairSource, list[tuple[PairRow, _Digests]]]:
    """Return the pairs, and the row and the digests of each; raises PairImportError when anything is wrong.

    Some pairs are added to ``thumbnails``.
    """
    pairs = _opened(path, options)
    problems = pairs.problems
    _find_references(pairs, options)
    repeats = _Repeats(pairs)
    checked: list[tuple[PairRow, _Digests]] = []
    for index, images in enumerate(pairs.images(problems)):
        on_progress("check", index + 1, pairs.count)
        if images is None:
            continue
        digests = _digests(pairs, images)
        try:
            row = pairs.row(index, images)
            checked.append((row, digests))
            if len(thumbnails) < _THUMBNAILS:
                thumbnails.append(thumbnail(f"{index} {row.pattern_name}", images["speckle"], images["phase"]))
        except (ValueError, ArithmeticError, StorageError) as error:
            problems.append(f"the facts of {pairs.name('speckle', index)} are wrong ({error})")
        repeats.add(index, digests)
    pairs.conclude()
    problems += repeats.problems(allow_duplicates=options.allow_duplicates)
    if problems:
        raise PairImportError(path, problems)
    pairs.notes += repeats.notes(allow_duplicates=options.allow_duplicates)
    return pairs, checked


def _opened(path: Path, options: ImportOptions) -> PairSource:
    """Return the pairs of a folder or a file, whichever reader takes it."""
    problems = options.problems()
    if problems:
        raise PairImportError(path, problems)
    if is_array_file(path):
        return open_arrays(path, options)
    if path.is_dir():
        return open_folder(path, options)
    if path.suffix.lower() in _VIDEOS:
        raise PairImportError(path, [_VIDEOS[path.suffix.lower()]])
    kinds = "a folder with input/ and label/, .npz, .h5, .hdf5, .mat, .ome.zarr or NAME_speckle.ome.tif"
    raise PairImportError(path, [f"give {kinds}; or the file of the speckle, with --phase and the file of the phase"])


def _find_references(pairs: PairSource, options: ImportOptions) -> None:
    """Find what the frames were reconstructed against, and read it once; what is wrong with it is added to the problems."""
    if options.no_references or (options.references is None and not is_array_file(pairs.path)):
        return
    try:
        pairs.references = find_references(pairs.path, options.references)
        for _ in pairs.references.read(_frame_shape(pairs)):
            pass
    except ReferencesError as error:
        pairs.problems.append(str(error))
    recording = pairs.metadata.get(RECORDING)
    pairs.notes += pairs.references.notes(recording.get("references") if isinstance(recording, dict) else None)


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
        return [] if allow_duplicates else [f"{text}; remove one, or give --allow-duplicates" for text in self._frames]

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
