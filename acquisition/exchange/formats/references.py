"""What a recording was reconstructed against, beside its export: a folder that any program with NumPy files reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from acquisition.archive.atomic_files import array_bytes, write_inside
from acquisition.archive.reader import Archive
from drivers.manifest import MANIFEST, manifest_text, sha256_of

#: The description of all references: for each the first frame for which it holds, its numbers, and its files.
DESCRIPTION = "references.json"
_SUFFIX = "_references"


def references_folder(archive: Archive) -> str | None:
    """Return the name of the folder; None where the archive holds no reference."""
    return archive.path.name + _SUFFIX if archive.references() else None


def is_references_folder(path: Path) -> bool:
    """Whether :func:`write_references` wrote a folder."""
    return (path / DESCRIPTION).is_file() and path.is_dir()


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
    described = []
    for number, entry in enumerate(archive.references()):
        files = {}
        for name, array in entry.read().arrays.items():
            files[name] = f"{number:06d}_{name}.npy"
            write_inside(path / files[name], array_bytes(array))
        described.append({"first_frame": entry.first_frame, "files": files, "values": dict(entry.values)})
    write_inside(path / DESCRIPTION, json.dumps(described, indent=1, sort_keys=True).encode("utf-8"))
    write_inside(path / MANIFEST, manifest_text(dict(_digests(path))).encode("utf-8"))


def _digests(path: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(path.iterdir()):
        yield file.name, sha256_of(file)
