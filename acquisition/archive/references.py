"""What the frames of a recording are reconstructed against: reference speckle, reference pairs and the fibre's response.

Each is a folder ``references/000000`` with one ``.npy`` file for every array. The journal's status names it, with
the frame from which it holds and the SHA-256 of every file; a folder that it does not name does not count.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.atomic_files import array_bytes, make_folder, moved_when_complete, write_inside
from acquisition.archive.rows import StorageError
from drivers.limits import LimitError, check_inside
from drivers.manifest import sha256_of
from drivers.safe_arrays import load_npy
from drivers.safe_text import parse_json

#: The folder of all references, in the archive's folder.
REFERENCES = "references"
#: How a key of a journal's status begins that describes a reference.
_STATUS = "reference "
#: What the name of an array may be.
ARRAY_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, eq=False, kw_only=True)
class StoredReference:
    """The arrays and numbers of one reference.

    Parameters
    ----------
    first_frame : int or None
        ``frame_index`` of the first frame that it holds for; None is the first frame of the recording.
    arrays : mapping of str to ndarray
        ``speckle`` is the mean speckle of the flat pattern, (H, W) float32 in counts. For the others see
        :mod:`calibration.reference_state`.
    values : mapping
        Plain numbers and texts.
    """

    first_frame: int | None
    arrays: Mapping[str, NDArray[Any]]
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReferenceEntry:
    """A reference as the journal describes it.

    Parameters
    ----------
    folder : Path
        Where its files are.
    first_frame : int
        ``frame_index`` of the first frame that it holds for.
    sha256 : mapping of str to str
        SHA-256 of the file of every array.
    values : mapping
        Plain numbers and texts.
    """

    folder: Path
    first_frame: int
    sha256: Mapping[str, str]
    values: Mapping[str, object]

    def read(self) -> StoredReference:
        """Read all arrays; raises StorageError when one is missing or damaged."""
        return StoredReference(
            first_frame=self.first_frame, arrays={name: self.array(name) for name in self.sha256}, values=self.values
        )

    def array(self, name: str) -> NDArray[Any]:
        """Read one array; raises StorageError when it is missing or damaged."""
        if problem := self._problem(name):
            raise StorageError(problem)
        path = self._file(name)
        try:
            return load_npy(path)
        except (OSError, ValueError) as error:
            raise StorageError(f"{path} cannot be read ({error}); restore it from a copy") from error

    def damage(self) -> list[str]:
        """Return one text for every file that is not as it was written."""
        return [problem for name in self.sha256 if (problem := self._problem(name))]

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _problem(self, name: str) -> str:
        path = self._file(name)
        try:
            check_inside(self.folder, [path.name])
            if sha256_of(path) == self.sha256[name]:
                return ""
        except (OSError, LimitError) as error:
            return f"{path} cannot be read ({getattr(error, 'strerror', None) or error}); restore it from a copy"
        return f"{path} differs from what was written (SHA-256); restore it from a copy"


def write_reference(path: Path, number: int, reference: StoredReference) -> dict[str, str]:
    """Write the files of a reference into the archive at ``path``; return the entry for the journal's status.

    The reference counts once the journal has the entry.

    Raises
    ------
    StorageError
        A file cannot be written; nothing is left of it.
    """
    folder = path / REFERENCES / f"{number:06d}"
    sha256 = {}
    try:
        make_folder(folder.parent)
        with moved_when_complete(folder) as part:
            part.mkdir()
            for name, array in reference.arrays.items():
                content = array_bytes(np.asarray(array))
                sha256[name] = hashlib.sha256(content).hexdigest()
                write_inside(part / f"{name}.npy", content)
    except OSError as error:
        raise StorageError(f"cannot write the reference {folder}: {error.strerror or error}; check the disk") from error
    entry = {"first_frame": reference.first_frame or 0, "sha256": sha256, "values": dict(reference.values)}
    return {f"{_STATUS}{number:06d}": json.dumps(entry, sort_keys=True)}


def reference_entries(path: Path, status: Mapping[str, str]) -> tuple[ReferenceEntry, ...]:
    """Return the references that a journal's status describes, in the order in which they were written.

    Raises
    ------
    StorageError
        An entry is no description of a reference.
    """
    return tuple(_entries(path, status))


def reference_at(entries: Sequence[ReferenceEntry], frame_index: int) -> ReferenceEntry | None:
    """Return the reference that holds for a frame; None where there is none."""
    return next((entry for entry in reversed(entries) if entry.first_frame <= frame_index), None)


def _entries(path: Path, status: Mapping[str, str]) -> Iterator[ReferenceEntry]:
    for key in sorted(key for key in status if key.startswith(_STATUS)):
        number = key.removeprefix(_STATUS)
        try:
            yield _entry(path / REFERENCES / number, number, parse_json(status[key]))
        except (ValueError, TypeError, KeyError) as error:
            raise StorageError(
                f"{path.name}: the entry {key!r} of its journal describes no reference ({error}); restore it from a copy"
            ) from error


def _entry(folder: Path, number: str, content: Any) -> ReferenceEntry:
    first_frame, sha256, values = content["first_frame"], content["sha256"], content["values"]
    if not re.fullmatch(r"\d{6}", number, re.ASCII) or type(first_frame) is not int:
        raise ValueError(f"number {number!r}, first frame {first_frame!r}")
    if not isinstance(sha256, dict) or not isinstance(values, dict):
        raise TypeError("its check sums or its values are no mapping")
    for name, digest in sha256.items():
        if not ARRAY_NAME.fullmatch(name) or not isinstance(digest, str):
            raise ValueError(f"array {name!r}")
    return ReferenceEntry(folder=folder, first_frame=first_frame, sha256=sha256, values=values)
