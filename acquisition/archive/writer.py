"""Archives: folders of paired images, and a journal that alone decides which of them exist.

A pair is acknowledged when its images are on disk (fsync included) and the journal's COMMIT after that has returned.
"""

from __future__ import annotations

import shutil
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Self

import numpy as np

from acquisition.archive.atomic_files import make_folder, moved_when_complete, write_inside
from acquisition.archive.disk_check import NotOnDiskError, check_on_disk
from acquisition.archive.folder import WriterLock, check_space, clean_name, metadata_text, one_line
from acquisition.archive.journal.reader import JournalSnapshot, read_status
from acquisition.archive.journal.writer import Journal, utc_now
from acquisition.archive.kinds import COMPLETE_VERDICT, ArchiveKind, EventKind, FinishReason
from acquisition.archive.old_names import METADATA
from acquisition.archive.reader import DATA, JOURNAL, Archive, BadImage, VerifyReport, damage, file_sums
from acquisition.archive.references import StoredReference, reference_entries, write_reference
from acquisition.archive.results.disc import Disc, disc_entry
from acquisition.archive.rows import Event, PairRow, StorageError, StoredRow, WrongImageError
from acquisition.archive.sealing.ordered_jobs import OrderedJobs
from acquisition.archive.shards import ArraySpec, Image, Shards
from acquisition.streams.collection_pause import collection_paused

__all__ = [
    "Archive",
    "ArchiveSpec",
    "ArchiveWriter",
    "ArraySpec",
    "BadImage",
    "Event",
    "NotOnDiskError",
    "PairRow",
    "StorageError",
    "StoredRow",
    "VerifyReport",
    "WrongImageError",
]

#: Size of a full shard of the largest array, in bytes.
SHARD_BYTES = 32 * 2**20
#: Arrays that come faster than this are not compressed when shards are written beside: compression would slow them down.
_COMPRESSED_BYTES_PER_S = 200e6
#: ``zarr.json`` of the group that holds the arrays.
_GROUP = '{"zarr_format": 3, "node_type": "group"}\n'


@dataclass(frozen=True, kw_only=True)
class ArchiveSpec:
    """What a new archive will hold.

    Parameters
    ----------
    kind : ArchiveKind
        Part of the folder's name.
    name : str
        For people, for instance ``cells``; part of the folder's name. No path separators; odd characters become ``-``.
    arrays : sequence of ArraySpec
        Every append brings one image for each.
    metadata : mapping
        Facts about the run, plain YAML values; stored as ``metadata.yaml``.
    """

    kind: ArchiveKind
    name: str
    arrays: Sequence[ArraySpec]
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Pair:
    row: PairRow
    images: Mapping[str, Image]


@dataclass(frozen=True)
class _SealedShard:
    """What is on disk of a shard: its rows, which are not committed yet, and the sizes of its files."""

    rows: Sequence[StoredRow]
    sizes: Mapping[Path, int]
    compressed: bool


class ArchiveWriter:
    """Appends images to one archive; made by :meth:`create` or :meth:`resume`.

    Several threads may call it. After an I/O error it refuses further work: close it, and resume the archive.

    Attributes
    ----------
    path : Path
        The archive's folder.
    specs : tuple of ArraySpec
        The archive's arrays.
    dropped : int
        Rows that :meth:`resume` withdrew because they or their images are damaged or missing.
    uncompressed : int
        Acknowledged pairs that were not compressed, because the disk had to catch up.
    check_disk : callable
        Called before each shard is written, in the thread that writes it. It raises OSError where a disk is simulated that is
        full or absent.
    """

    def __init__(self, path: Path, lock: WriterLock, journal: Journal, shards: Shards, seal_after_s: float) -> None:
        self.path = path
        self.specs = tuple(shards.spec(name) for name in journal.arrays)
        self.dropped = 0
        self.uncompressed = 0
        self.check_disk: Callable[[], None] = lambda: None
        self._lock = lock
        self._journal = journal
        self._shards = shards
        self._seal_after_s = seal_after_s
        self._slots_per_shard = shards.slots_per_shard(self.specs[0].name)
        #: Pairs of the shard that fills, and how many are in shards that are being written.
        self._pending: list[_Pair] = []
        self._pending_since_s = 0.0
        self._in_shards = 0
        self._sealed_s: float | None = None
        self._jobs: OrderedJobs[_SealedShard] = OrderedJobs()
        self._shards_beside = 0
        self._acknowledged = 0
        self._shard = 0
        self._sizes: dict[Path, int] = {}
        self._failure: str | None = None
        self._closed = False
        self._mutex = threading.RLock()

    @classmethod
    def create(
        cls,
        root: Path,
        spec: ArchiveSpec,
        expected: int | None,
        *,
        seal_after_s: float = 5.0,
        shard_bytes: int = SHARD_BYTES,
    ) -> ArchiveWriter:
        """Make a new archive ``root/<date-time>_<kind>_<name>_<uuid8>/`` and open it for writing.

        Parameters
        ----------
        root : Path
            Folder for archives; made if absent.
        spec : ArchiveSpec
            What the archive will hold.
        expected : int or None
            Expected number of pairs, for the check of free disk space; None checks the space for one shard.
        seal_after_s : float
            An append writes a partial shard when its oldest pair has waited longer than this, in seconds.
        shard_bytes : int
            Size of a full shard of the largest array.

        Raises
        ------
        StorageError
            Too little space, a bad name, array or metadata, or a folder that cannot be written.
        """
        label = f"{spec.kind.value}_{clean_name(spec.name)}"
        names = [array.name for array in spec.arrays]
        if not names or len(set(names)) != len(names):
            raise StorageError(f"archive {spec.name!r} needs arrays with different names, got {names}")
        text = metadata_text(spec.metadata)
        slots = max(1, shard_bytes // max(array.nbytes for array in spec.arrays))
        stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        path = Path(root) / f"{stamp}_{label}_{uuid.uuid4().hex[:8]}"
        try:
            make_folder(path.parent)
            pair_bytes = sum(array.nbytes for array in spec.arrays)
            check_space(path.parent, pair_bytes * (slots if expected is None else expected))
            with moved_when_complete(path) as part:
                _build(part, spec, slots, text)
        except OSError as error:
            raise StorageError(f"cannot create {path}: {one_line(error)}; check the folder and its disk") from error
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, path, ignore_errors=True)
            lock = undo.enter_context(WriterLock(path))
            journal = undo.enter_context(Journal.open(path / JOURNAL))
            undo.pop_all()
        return cls(path, lock, journal, Shards(path / DATA), seal_after_s)

    @classmethod
    def resume(cls, path: Path, expected: int = 0, *, seal_after_s: float = 5.0) -> ArchiveWriter:
        """Open an archive again to append to it, also after a crash of its last writer.

        The images of the last shard are checked. Rows from the first damaged or missing row or image on are withdrawn:
        ``dropped`` counts them, and an event records it. Never are intact rows of more than one shard withdrawn. Shards that no
        row names are ignored. No shard is written twice.

        Parameters
        ----------
        path : Path
            The archive's folder.
        expected : int
            Expected number of further pairs, for the check of free disk space.
        seal_after_s : float
            As in :meth:`create`.

        Raises
        ------
        StorageError
            Not an archive, not writable, too little space, another writer has it open, or its metadata, its events or an early
            row are damaged.
        """
        path = Path(path)
        archive = Archive.open(path)
        archive.check_unchanged()
        specs = [archive.spec(name) for name in archive.arrays]
        with ExitStack() as undo:
            lock = undo.enter_context(WriterLock(path))
            check_space(path, sum(spec.nbytes for spec in specs) * expected)
            journal = undo.enter_context(Journal.open(path / JOURNAL))
            writer = cls(path, lock, journal, Shards(path / DATA), seal_after_s)
            writer._recover()
            undo.pop_all()
        return writer

    def _recover(self) -> None:
        self._shards.remove_leftovers()
        journal = self._journal.snapshot()
        kept = _first_bad_row(journal)
        rows = journal.intact_rows
        last_shard = rows[kept - 1].shard if kept else -1
        suspects = [row for row in rows[:kept] if row.shard == last_shard]
        kept = min([bad.index for bad in damage(self._shards, suspects)], default=kept)
        self.dropped = len(rows) + len(journal.bad_rows) - kept
        if self.dropped:
            self._journal.quarantine(
                kept, f"resume dropped {self.dropped} rows from {kept} on: they or their images are damaged or missing"
            )
        self._acknowledged = kept
        for number in sorted({row.shard for row in rows[:kept]}):
            self._sizes |= self._shards.sizes(number, self._journal.arrays)
        # After every shard on disk, whether a row names it or not: a sealed shard is never written twice.
        self._shard = 1 + max(self._shards.numbers_on_disk() | {row.shard for row in rows}, default=-1)

    def write_beside(self, shards: int) -> None:
        """Write full shards in threads from now on, at most so many at a time, while the next one fills.

        Rows are still committed in order, and each only after its images are on disk. An image must not be changed after it was
        appended. Compression yields to speed: a shard is not compressed when the one before it is not on disk yet, or when its
        images came faster than 200 MB/s.
        """
        with self._mutex:
            self.flush()
            self._jobs = OrderedJobs(shards)
            self._shards_beside = shards

    @property
    def acknowledged(self) -> int:
        """Number of pairs that are safe on disk: they survive a crash and a power cut."""
        return self._acknowledged

    @property
    def next_index(self) -> int:
        """Index that the next appended pair will get: pairs that are acknowledged, being written, or buffered."""
        return self._acknowledged + self._in_shards + len(self._pending)

    def append(self, images: Mapping[str, Image], row: PairRow) -> None:
        """Append one pair. It is acknowledged when its shard is sealed.

        Its images are copied, unless shards are written beside.

        Parameters
        ----------
        images : mapping of str to ndarray
            Exactly one image for each array, with its shape and dtype.
        row : PairRow
            Facts about these images.

        Raises
        ------
        WrongImageError
            The images do not fit the archive's arrays; the writer stays usable.
        StorageError
            The disk failed now or earlier; the writer refuses further work.
        """
        with self._mutex:
            self._check_usable()
            if images.keys() != set(self._journal.arrays):
                raise WrongImageError(f"{self.path.name} takes images {sorted(self._journal.arrays)}, got {sorted(images)}")
            for spec in self.specs:
                image = images[spec.name]
                if image.shape != spec.shape or image.dtype != spec.dtype:
                    raise WrongImageError(
                        f"{self.path.name}: {spec.name!r} is {spec.shape} {spec.dtype}, got {image.shape} {image.dtype}"
                    )
            now_s = time.monotonic()
            self._pending_since_s = self._pending_since_s if self._pending else now_s
            if not self._shards_beside:
                images = {name: image.copy() for name, image in images.items()}
            self._pending.append(_Pair(row if row.host_utc else replace(row, host_utc=utc_now()), images))
            if len(self._pending) == self._slots_per_shard:
                self._seal()
                self._commit(self._shards_beside)
            else:
                self.flush_old(now_s)

    def flush_old(self, now_s: float | None = None) -> None:
        """Acknowledge what is on disk, and write the buffered pairs if the oldest has waited too long; raises StorageError."""
        with self._mutex:
            self._check_usable()
            now_s = time.monotonic() if now_s is None else now_s
            if self._pending and now_s - self._pending_since_s >= self._seal_after_s:
                self.flush()
            else:
                self._commit(self._shards_beside)

    def flush(self) -> None:
        """Write and acknowledge the buffered pairs, also when they do not fill a shard; raises StorageError."""
        with self._mutex:
            self._check_usable()
            if self._pending:
                self._seal()
            self._commit(0)

    def _seal(self) -> None:
        """Let the buffered pairs be written as the next shard."""
        pairs, self._pending = self._pending, []
        shard = self._shard
        self._shard += 1  # also when this write fails: no shard is written twice
        first = self._acknowledged + self._in_shards
        self._in_shards += len(pairs)
        compress = self._has_time_to_compress(pairs)
        self._jobs.add(lambda: self._written(shard, pairs, first, compress=compress))

    def _has_time_to_compress(self, pairs: Sequence[_Pair]) -> bool:
        """Whether the shard before is on disk and the images come slowly; always where the caller waits for the disk."""
        if not self._shards_beside:
            return True
        now_s = time.monotonic()
        since_s = self._pending_since_s if self._sealed_s is None else self._sealed_s
        self._sealed_s = now_s
        nbytes = len(pairs) * sum(spec.nbytes for spec in self.specs if spec.compress)
        return not self._jobs.unfinished and nbytes <= (now_s - since_s) * _COMPRESSED_BYTES_PER_S

    def _written(self, shard: int, pairs: Sequence[_Pair], first: int, *, compress: bool) -> _SealedShard:
        """Write one shard; return its rows, of which ``first`` is the first index. Runs in any thread."""
        rows = [
            _stored(
                pair.row,
                index=first + k,
                slot=shard * self._slots_per_shard + k,
                shard=shard,
                crc32={name: zlib.crc32(np.ascontiguousarray(image).data) for name, image in pair.images.items()},
            )
            for k, pair in enumerate(pairs)
        ]
        self._check_present()
        try:
            self.check_disk()
        except OSError as error:
            raise StorageError(f"cannot write to {self.path / DATA}: {one_line(error)}; check the disk") from error
        self._shards.write(
            shard, {spec.name: [pair.images[spec.name] for pair in pairs] for spec in self.specs}, compress=compress
        )
        return _SealedShard(rows, self._shards.sizes(shard, self._journal.arrays), compress)

    def _commit(self, most_left: int) -> None:
        """Acknowledge the shards that are on disk, in order; wait until at most so many are left."""
        try:
            for sealed in self._jobs.results(most_left):
                self._check_present()
                self._journal.commit(sealed.rows)
                self._sizes |= sealed.sizes
                self._acknowledged += len(sealed.rows)
                self._in_shards -= len(sealed.rows)
                self.uncompressed += 0 if sealed.compressed else len(sealed.rows)
        except StorageError as error:
            self._failure = str(error)
            lost = self._in_shards + len(self._pending)
            raise StorageError(f"{error} ({self._acknowledged} frames are stored safely, {lost} are lost)") from error

    def quarantine(self, index: int, reason: str) -> int:
        """Withdraw the pairs from ``index`` on, so that they can be captured again; return how many pairs these are.

        Their images stay on disk, but no row names them any more. An event records the reason.

        Raises
        ------
        StorageError
            There is no such index, or the disk failed now or earlier.
        """
        with self._mutex:
            self._check_usable()
            if not 0 <= index <= self.next_index:
                raise StorageError(f"cannot quarantine from {index}: {self.path.name} has {self.next_index} pairs")
            self._commit(0)
            count = self.next_index - index
            del self._pending[max(0, index - self._acknowledged) :]
            self._journal.quarantine(index, f"withdrew {count} pairs from {index} on: {reason}")
            self._acknowledged = min(self._acknowledged, index)
            return count

    def event(self, kind: EventKind | str, text: str) -> None:
        """Store an event in the journal; it is on disk when this returns."""
        with self._mutex:
            self._journal.event(kind, text)

    def set_status(self, key: str, value: str) -> None:
        """Store one fact about the whole archive, replacing its earlier value."""
        with self._mutex:
            self._journal.set_status({key: value})

    def add_disc(self, method_id: str, disc: Disc) -> None:
        """Store the fibre's disc, (h, w), in which a method computes the phase."""
        with self._mutex:
            self._journal.set_status(disc_entry(method_id, disc))

    def add_reference(self, reference: StoredReference) -> None:
        """Store what frames are reconstructed against from ``first_frame`` on; it is on disk when this returns.

        Raises
        ------
        StorageError
            The disk failed now or earlier.
        """
        with self._mutex:
            self._check_usable()
            number = len(reference_entries(self.path, self._journal.status()))
            self._journal.set_status(write_reference(self.path, number, reference))

    def conclude(self, reason: FinishReason, verdict: str) -> None:
        """Store why the writing finished: the reason for programs, the verdict for people."""
        with self._mutex:
            self._journal.set_status({"finish_reason": reason.value, "verdict": verdict})

    def complete(self, verdict: str = COMPLETE_VERDICT) -> None:
        """Conclude the archive as complete, after a fresh reader has found everything that was acknowledged.

        Parameters
        ----------
        verdict : str
            For people; more than ``complete`` where there is more to say.

        Raises
        ------
        NotOnDiskError
            Something is missing or damaged; the archive is not concluded.
        StorageError
            The disk failed now or earlier.
        """
        with self._mutex, collection_paused():  # every row is read, and freed before this returns
            self.flush()
            check_on_disk(self.path, self._journal.rows_seal, self._sizes)
            self.conclude(FinishReason.COMPLETED, verdict)
            # A deleted file still takes what is written to it: only a fresh reader shows that the verdict is on the disk.
            if read_status(self.path / JOURNAL).get("verdict") != verdict:
                raise NotOnDiskError(f"the journal of {self.path} was replaced; check the disk, then resume or repeat")

    def close(self) -> None:
        """Write the buffered pairs, unless the disk failed, and release the archive; may be called twice."""
        with self._mutex:
            if self._closed:
                return
            try:
                if self._failure is None:
                    self.flush()
            finally:
                self._closed = True
                self._jobs.close()
                self._journal.close()
                self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_present(self) -> None:
        """Raise NotOnDiskError when the journal was deleted: its open file would still take rows that nobody finds again."""
        if not (self.path / JOURNAL).is_file():
            raise NotOnDiskError(f"the journal of {self.path} was deleted; restore it from a copy, or repeat")

    def _check_usable(self) -> None:
        if self._closed:
            raise StorageError(f"the writer of {self.path.name} is closed; resume the archive to add to it")
        if self._failure is not None:
            raise StorageError(
                f"{self.path.name} takes no more after a failure "
                f"({self._acknowledged} frames are stored safely): {self._failure}"
            )


def _build(path: Path, spec: ArchiveSpec, slots: int, metadata: str) -> None:
    """Make the folder of an empty archive with all its files; raises OSError or StorageError."""
    names = [array.name for array in spec.arrays]
    (path / "targets").mkdir(parents=True)
    (path / DATA).mkdir()
    write_inside(path / DATA / "zarr.json", _GROUP.encode())
    write_inside(path / METADATA, metadata.encode())
    shards = Shards(path / DATA)
    for array in spec.arrays:
        shards.create(array, slots)
    with Journal.create(path / JOURNAL, names) as journal:
        facts = {"kind": spec.kind.value, "name": spec.name, "created_utc": utc_now()}
        journal.set_status(facts | file_sums(path, names))


def _first_bad_row(journal: JournalSnapshot) -> int:
    """Return from which row on a resumed writer withdraws the rows, because one is damaged: at best the number of rows.

    Raises
    ------
    StorageError
        Intact rows of more than one shard would be withdrawn.
    """
    if not journal.bad_rows:
        return len(journal.rows)
    first = journal.bad_rows[0]
    if len({row.shard for row in journal.intact_rows if row.index > first.index}) > 1:
        raise StorageError(
            f"cannot resume: row {first.index} in {journal.path} is damaged ({first.reason}); restore it from a copy"
        )
    return first.index


def _stored(row: PairRow, index: int, slot: int, shard: int, crc32: Mapping[str, int]) -> StoredRow:
    known = {f.name: getattr(row, f.name) for f in fields(PairRow)}
    return StoredRow(**known, index=index, slot=slot, shard=shard, crc32=crc32)
