"""Reading an archive. Only the images that its journal names exist; other files in its folder do not count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import yaml

from acquisition.archive.folder import LOCK
from acquisition.archive.journal import read_journal
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
from acquisition.archive.rows import Event, StorageError, StoredRow
from acquisition.archive.shards import ArraySpec, Image, Shards
from drivers.limits import LimitError, check_inside
from drivers.safe_text import read_yaml

_Name = TypeVar("_Name", bound=StrEnum)

DATA, JOURNAL = "data.zarr", "journal.sqlite"


@dataclass(frozen=True)
class BadImage:
    """An acknowledged image that does not read back as it was written."""

    index: int
    array: str
    reason: str


@dataclass(frozen=True)
class VerifyReport:
    """Result of reading a whole archive: the number of rows, and every image that differs from what was written."""

    count: int
    bad: tuple[BadImage, ...]

    @property
    def ok(self) -> bool:
        """Whether every image of every row is intact."""
        return not self.bad


class Archive:
    """A read-only view of an archive, with the rows that its journal held when it was opened or last refreshed.

    It may be used while a writer appends. To read from several processes, open the archive in each of them: TensorStore's
    threads do not survive a fork.
    """

    def __init__(self, path: Path, metadata: dict[str, object]) -> None:
        self.path = path
        self.metadata = metadata
        self._shards = Shards(path / DATA)
        self._journal = read_journal(path / JOURNAL)

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
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return self._journal.arrays

    @property
    def status(self) -> Mapping[str, str]:
        """Facts about the whole archive, as text.

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

    def spec(self, name: str) -> ArraySpec:
        """Return shape and dtype of an array's images."""
        return self._shards.spec(self._known(name))

    def __len__(self) -> int:
        return len(self._journal.rows)

    def rows(self) -> tuple[StoredRow, ...]:
        """Return all acknowledged rows in order."""
        return self._journal.rows

    def row(self, index: int) -> StoredRow:
        """Return one row; raises StorageError outside 0 to ``len - 1``."""
        if not 0 <= index < len(self):
            raise StorageError(f"{self.path.name} has rows 0 to {len(self) - 1}, not {index}")
        return self._journal.rows[index]

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
        """Return the events in the order in which they happened."""
        return tuple(replace(event, kind=present_event(event.kind)) for event in self._journal.events)

    def verify(self) -> VerifyReport:
        """Read every image of every row and compare it with its CRC-32."""
        return VerifyReport(len(self), tuple(damage(self._shards, self.rows())))

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
        return name


def check_links(path: Path) -> None:
    """Refuse an archive whose files are links out of its folder, pipes or devices; raises StorageError with their path."""
    journal = (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm")
    try:
        check_inside(path, (METADATA, OLD_METADATA, LOCK, "targets", *journal), whole=(DATA,))
    except LimitError as error:
        raise StorageError(f"archive {path.name} is refused: {error}") from error


def damage(shards: Shards, rows: Sequence[StoredRow]) -> Iterator[BadImage]:
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
