"""The check before an archive is called complete: a fresh reader has to find on the disk what the writer has acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from acquisition.archive.journal.checksums import Seal
from acquisition.archive.reader import DATA, Archive, damage
from acquisition.archive.rows import StorageError
from acquisition.archive.shards import Shards

_REMEDY = "something deleted or changed files during the run; check the disk, then resume or repeat"


class NotOnDiskError(StorageError):
    """Something that a writer has acknowledged is not on the disk any more."""


def check_on_disk(path: Path, acknowledged: Seal, sizes: Mapping[Path, int]) -> None:
    """Open an archive again and look for everything that was acknowledged.

    Of each shard only the last image is read, so the time does not grow with the size of the images.

    Parameters
    ----------
    path : Path
        The archive's folder.
    acknowledged : Seal
        Number of the rows that its writer has acknowledged, and the chain of their check sums.
    sizes : mapping of Path to int
        The size in bytes of every shard file when it was written.

    Raises
    ------
    NotOnDiskError
        The folder, the journal, a row or a shard is missing, or differs from what was written.
    """
    try:
        archive = Archive.open(path)
        rows = archive.rows()
        references = archive.references()
    except StorageError as error:
        raise NotOnDiskError(f"{path} cannot be read back ({error}); {_REMEDY}") from error
    if archive.rows_seal != acknowledged:
        state = f"{len(rows)} are there" if len(rows) != acknowledged.entries else "other ones are there"
        raise NotOnDiskError(f"{path} should have {acknowledged.entries} rows in its journal, {state}; {_REMEDY}")
    for file, size in sizes.items():
        there = file.stat().st_size if file.is_file() else None
        if there != size:
            state = "is missing" if there is None else f"has {there} bytes instead of {size}"
            raise NotOnDiskError(f"shard {file} {state}; {_REMEDY}")
    for problem in (problem for entry in references for problem in entry.damage()):
        raise NotOnDiskError(f"{problem}; {_REMEDY}")
    last_rows = {row.shard: row for row in rows}
    for bad in damage(Shards(path / DATA), list(last_rows.values())):
        raise NotOnDiskError(f"{bad.reason}; {_REMEDY}")
