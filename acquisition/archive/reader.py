"""Reading an archive. Only the images that its journal names exist; other files in its folder do not count."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import yaml

from acquisition.archive.folder import LOCK
from acquisition.archive.journal.checksums import Seal
from acquisition.archive.journal.reader import BadRow, read_journal
from acquisition.archive.kinds import ArchiveKind, FinishReason
from acquisition.archive.old_names import (
    METADATA,
    OLD_METADATA,
    finish_reason_of,
    metadata_file,
    present_event,
    present_kind,
    with_present_names,
)
from acquisition.archive.references import REFERENCES, ReferenceEntry, reference_entries
from acquisition.archive.results.disc import Disc, discs_in
from acquisition.archive.results.stored_result import StoredResult, stored_results
from acquisition.archive.rows import Event, StorageError, StoredRow
from acquisition.archive.shards import ArraySpec, Image, Shards
from drivers.limits import LimitError, check_inside
from drivers.safe_text import read_yaml

_Name = TypeVar("_Name", bound=StrEnum)

DATA, JOURNAL = "data.zarr", "journal.sqlite"
#: How a key of a journal's status begins that holds the SHA-256 of a file of the archive.
_FILE_SUM = "sha256 "


@dataclass(frozen=True)
class BadImage:
    """An acknowledged image that does not read back as it was written."""

    index: int
    array: str
    reason: str


@dataclass(frozen=True)
class VerifyReport:
    """Result of reading a whole archive.

    Parameters
    ----------
    count : int
        Number of rows.
    bad : tuple of BadImage
        Every image that differs from what was written.
    bad_rows : tuple of BadRow
        Every row of the journal that does, or that is missing.
    bad_facts : tuple of str
        What else is damaged: events and facts in the journal, the metadata, and the descriptions of the arrays.
    rows_protected : bool
        Whether the journal has check sums of its own entries; those of version 0.1.0 have none.
    """

    count: int
    bad: tuple[BadImage, ...]
    bad_rows: tuple[BadRow, ...] = ()
    bad_facts: tuple[str, ...] = ()
    rows_protected: bool = True

    @property
    def ok(self) -> bool:
        """Whether everything that has a check sum is intact."""
        return not self.bad and not self.bad_rows and not self.bad_facts

    def damage(self) -> list[str]:
        """Return one text for everything that is damaged."""
        rows = [f"row {bad.index} of the journal: {bad.reason}" for bad in self.bad_rows]
        return [*self.bad_facts, *rows, *(bad.reason for bad in self.bad)]


class Archive:
    """A read-only view of an archive, with the rows that its journal held when it was opened or last refreshed.

    An archive with damaged parts opens. What is damaged is refused where it is used, and :meth:`verify` names all of it:
    :meth:`row` and :meth:`read` give every image whose own row is intact, and :meth:`intact_rows` lists these rows.

    It may be used while a writer appends. To read from several processes, open the archive in each of them: TensorStore's
    threads do not survive a fork.
    """

    def __init__(self, path: Path, metadata: dict[str, object]) -> None:
        self.path = path
        self._metadata = metadata
        self._shards = Shards(path / DATA)
        self._journal = read_journal(path / JOURNAL)
        self._changed = _changed_files(path, self._journal.intact_status)

    @classmethod
    def open(cls, path: Path) -> Archive:
        """Open the archive in folder ``path``.

        Raises
        ------
        StorageError
            The folder is missing, is not an archive, or is incomplete.
        """
        path = Path(path)
        if not path.is_dir():
            raise StorageError(f"no archive at {path}: there is no such folder; check the path")
        check_links(path)
        try:
            metadata = read_yaml(metadata_file(path))
        except (OSError, ValueError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise StorageError(f"{path} is not an archive: {METADATA} is missing or unreadable ({reason})") from error
        if not isinstance(metadata, dict):
            raise StorageError(f"{path} is not an archive: {METADATA} holds no mapping")
        archive = cls(path, _with_present_names(metadata))
        for name in archive.arrays:
            if not (path / DATA / name / "zarr.json").is_file():
                raise StorageError(f"archive {path} is incomplete: {DATA}/{name} is missing; restore it from a copy")
        return archive

    def refresh(self) -> None:
        """Read the journal again, to see pairs that a running writer has acknowledged since."""
        self._journal = read_journal(self.path / JOURNAL)

    @property
    def metadata(self) -> dict[str, object]:
        """Facts about the run, as ``metadata.yaml`` states them; raises StorageError when this file was changed."""
        self._check_unchanged(METADATA)
        return self._metadata

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return self._journal.arrays

    @property
    def status(self) -> Mapping[str, str]:
        """Facts about the whole archive, as text; raises StorageError where the journal's facts are damaged.

        ``kind``, ``name``, ``created_utc``, and once the archive is finished ``finish_reason`` and ``verdict``. Programs ask
        :attr:`kind` and :attr:`finish_reason`; the verdict is for people.
        """
        status = self._journal.status
        return {**status, "kind": present_kind(status["kind"])} if "kind" in status else status

    @property
    def kind(self) -> ArchiveKind:
        """What the archive holds.

        Raises
        ------
        StorageError
            The journal names no kind, or one that this version does not know.
        """
        return self._parsed(ArchiveKind, "kind", self.status.get("kind", ""))

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the last run ended; None when none has ended by itself yet.

        Raises
        ------
        StorageError
            The journal names a reason that this version does not know.
        """
        status = self._journal.status
        if "finish_reason" in status:
            return self._parsed(FinishReason, "finish_reason", status["finish_reason"])
        return finish_reason_of(status["verdict"]) if "verdict" in status else None

    @property
    def rows_protected(self) -> bool:
        """Whether the journal has check sums of its own entries; those of version 0.1.0 have none."""
        return self._journal.protected

    def check_array(self, name: str) -> None:
        """Raise StorageError when there is no such array, or its description was changed; the array is not opened."""
        self._known(name)

    def spec(self, name: str) -> ArraySpec:
        """Return shape and dtype of an array's images."""
        return self._shards.spec(self._known(name))

    def __len__(self) -> int:
        return len(self._journal.intact_rows) + len(self._journal.bad_rows)

    def rows(self) -> tuple[StoredRow, ...]:
        """Return all acknowledged rows in order; raises StorageError when one of them is damaged."""
        return self._journal.rows

    @property
    def rows_seal(self) -> Seal:
        """Number of the intact rows, and the chain of their check sums."""
        return self._journal.rows_seal

    def intact_rows(self) -> tuple[StoredRow, ...]:
        """Return the rows that are not damaged, in order."""
        return self._journal.intact_rows

    def row(self, index: int) -> StoredRow:
        """Return one row; raises StorageError outside 0 to ``len - 1``, or when it is damaged."""
        return self._journal.row(index)

    def read(self, name: str, index: int, *, check: bool = True) -> Image:
        """Return image ``index`` of array ``name``, shape ``(H, W)``.

        Parameters
        ----------
        name : str
            Name of the array.
        index : int
            Number of the row.
        check : bool
            Compare the image with its CRC-32 in the journal, which takes about 1 ms per megabyte.

        Raises
        ------
        StorageError
            No such array or row, or the image is damaged.
        """
        return self._shards.read(self._known(name), self.row(index), check=check)

    def events(self) -> tuple[Event, ...]:
        """Return the events in the order in which they happened; raises StorageError when the journal's facts are damaged."""
        return tuple(replace(event, kind=present_event(event.kind)) for event in self._journal.events)

    def references(self) -> tuple[ReferenceEntry, ...]:
        """Return what the frames were reconstructed against, each entry with the frame from which it holds.

        Recordings of version 0.1.0 have none, and datasets only where they were imported from an exported recording.

        Raises
        ------
        StorageError
            The journal's facts are damaged.
        """
        return reference_entries(self.path, self._journal.status)

    def discs(self) -> dict[str, Disc]:
        """Return the fibre's disc, (h, w) of bool, of every method that reconstructed frames, by the hash of the method.

        A recording of before version 0.2.0 has none, and neither has a dataset.

        Raises
        ------
        StorageError
            The journal's facts are damaged.
        """
        return discs_in(self._journal.status)

    def results(self) -> tuple[list[StoredResult], list[str]]:
        """Return the results that were computed later, the oldest first, and one text for each that cannot be read."""
        return stored_results(self.path)

    def verify(self, progress: Callable[[int], None] = lambda done: None) -> VerifyReport:
        """Read every image of every row and compare it with its CRC-32; name everything that is damaged.

        Parameters
        ----------
        progress : callable
            Called with the number of rows whose images were read.
        """
        changed = (str(self._changed_error(name)) for name in self._changed)
        journal = self._journal
        return VerifyReport(
            len(self),
            tuple(damage(self._shards, _counted(journal.intact_rows, progress))),
            bad_rows=journal.bad_rows,
            bad_facts=(
                *changed,
                *([journal.mixed] if journal.mixed else []),
                *(f"{JOURNAL}: {text}" for text in journal.bad_facts),
                *self._damaged_references(),
            ),
            rows_protected=journal.protected,
        )

    def check_intact(self) -> None:
        """Raise StorageError unless everything but the images is as it was written; the images are not read."""
        self.check_unchanged()
        if self._journal.mixed:
            raise StorageError(f"{self.path}: {self._journal.mixed}")
        self._journal.check_facts()
        self.rows()

    def check_unchanged(self) -> None:
        """Raise StorageError when the metadata or the description of an array was changed."""
        for name in self._changed:
            self._check_unchanged(name)

    def _damaged_references(self) -> list[str]:
        try:
            entries = reference_entries(self.path, self._journal.intact_status)
        except StorageError as error:
            return [str(error)]
        return [problem for entry in entries for problem in entry.damage()]

    def _check_unchanged(self, name: str) -> None:
        if name in self._changed:
            raise self._changed_error(name)

    def _changed_error(self, name: str) -> StorageError:
        return StorageError(f"{self.path / name} differs from what was written (SHA-256); restore it from a copy")

    def _parsed(self, names: type[_Name], key: str, text: str) -> _Name:
        try:
            return names(text)
        except ValueError as error:
            raise StorageError(
                f"{self.path.name}: {key} is {text!r}, this version knows {', '.join(names)}; use a matching release"
            ) from error

    def _known(self, name: str) -> str:
        if name not in self.arrays:
            raise StorageError(f"{self.path.name} has no array {name!r}; it has {', '.join(self.arrays)}")
        self._check_unchanged(_array_file(name))
        return name


def _counted(rows: Iterable[StoredRow], progress: Callable[[int], None]) -> Iterator[StoredRow]:
    for done, row in enumerate(rows):
        yield row
        progress(done + 1)


def file_sums(path: Path, arrays: Iterable[str]) -> dict[str, str]:
    """Return what a journal's status says about the files of a new archive that never change: key and SHA-256 of each.

    Raises
    ------
    OSError
        One of them cannot be read.
    """
    names = [METADATA, f"{DATA}/zarr.json", *(_array_file(name) for name in arrays)]
    return {_FILE_SUM + name: _sha256(path / name) for name in names}


def _array_file(name: str) -> str:
    return f"{DATA}/{name}/zarr.json"


def _changed_files(path: Path, status: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files that are missing or differ from the check sum in the journal."""
    sums = {key.removeprefix(_FILE_SUM): sha256 for key, sha256 in status.items() if key.startswith(_FILE_SUM)}
    return tuple(name for name, sha256 in sums.items() if not _is_unchanged(path, name, sha256))


def _is_unchanged(path: Path, name: str, sha256: str) -> bool:
    try:
        check_inside(path, [name])
        return _sha256(path / name) == sha256
    except (OSError, LimitError):
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def check_links(path: Path) -> None:
    """Refuse an archive whose files are links out of its folder, pipes or devices; raises StorageError with their path."""
    journal = (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm")
    try:
        check_inside(path, (METADATA, OLD_METADATA, LOCK, "targets", *journal), whole=(DATA, REFERENCES))
    except LimitError as error:
        raise StorageError(f"archive {path.name} is refused: {error}") from error


def damage(shards: Shards, rows: Iterable[StoredRow]) -> Iterator[BadImage]:
    """Yield every image of ``rows`` that does not read back as it was written."""
    for row in rows:
        for name in row.crc32:
            try:
                shards.read(name, row)
            except StorageError as error:
                yield BadImage(row.index, name, str(error))


def _with_present_names(metadata: dict[str, object]) -> dict[str, object]:
    """Return the metadata with today's keys. The plan keeps the keys it was written with, because its hash covers them."""
    return {**with_present_names(metadata), **({"plan": metadata["plan"]} if "plan" in metadata else {})}
