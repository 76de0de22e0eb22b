"""What a recording was reconstructed against, beside its export: a folder that any program with NumPy files reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from acquisition.archive.atomic_files import array_bytes, write_inside
from acquisition.archive.reader import Archive
from acquisition.exchange.containers.references_folder import DESCRIPTION, references_name
from drivers.limits import LimitError
from drivers.manifest import MANIFEST, manifest_text, read_manifest, sha256_of


def references_folder(archive: Archive) -> str | None:
    """Return the name of the folder; None where the archive holds no reference."""
    return references_name(archive.path.name) if archive.references() else None


def holds_references(archive: Archive, path: Path) -> bool:
    """Whether a folder holds exactly what :func:`write_references` would write; raises StorageError as it does."""
    expected = {DESCRIPTION: hashlib.sha256(_description(archive)).hexdigest()}
    for number, entry in enumerate(archive.references()):
        expected |= {_file_name(number, name): digest for name, digest in entry.sha256.items()}
    try:
        return read_manifest(path) == expected == {name: digest for name, digest in _digests(path) if name != MANIFEST}
    except (OSError, LimitError):
        return False


def write_references(archive: Archive, path: Path) -> None:
    """Write the references of a recording as ``.npy`` files, with their description and a manifest for ``sha256sum -c``.

    Raises
    ------
    StorageError
        A reference is damaged.
    OSError
        The folder cannot be written.
    """
    path.mkdir()
    for number, entry in enumerate(archive.references()):
        for name, array in entry.read().arrays.items():
            write_inside(path / _file_name(number, name), array_bytes(array))
    write_inside(path / DESCRIPTION, _description(archive))
    write_inside(path / MANIFEST, manifest_text(dict(_digests(path))).encode("utf-8"))


def _description(archive: Archive) -> bytes:
    described = [
        {
            "first_frame": entry.first_frame,
            "files": {name: _file_name(number, name) for name in entry.sha256},
            "values": dict(entry.values),
        }
        for number, entry in enumerate(archive.references())
    ]
    return json.dumps(described, indent=1, sort_keys=True).encode("utf-8")


def _file_name(number: int, name: str) -> str:
    return f"{number:06d}_{name}.npy"


def _digests(path: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(path.iterdir()):
        yield file.name, sha256_of(file)
