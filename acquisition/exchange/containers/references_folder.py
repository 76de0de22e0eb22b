"""The folder beside an export with what a recording was reconstructed against: NumPy files, a description, a manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acquisition.archive.references import ARRAY_NAME, StoredReference
from acquisition.exchange.containers.together import TIFF, ZARR, array_name
from drivers.limits import MAX_JSON_BYTES, LimitError, check_inside, check_regular
from drivers.manifest import digest_problem, missing_files, read_manifest, sha256_of
from drivers.safe_arrays import load_npy
from drivers.safe_text import parse_json

#: The description of all references: for each the first frame for which it holds, its numbers, and its files.
DESCRIPTION = "references.json"
_SUFFIX = "_references"
_FILE_NAME = re.compile(r"\w[\w.-]{0,199}\.npy")
#: Kinds of numbers that arrays of a reference have.
_KINDS = "biufc"


@dataclass(frozen=True, kw_only=True)
class ExportedReference:
    """One reference of a folder, as its description states it.

    Parameters
    ----------
    folder : Path
        The folder.
    first_frame : int
        ``frame_index`` of the first frame that it holds for.
    files : mapping of str to str
        The file of every array.
    values : mapping
        Plain numbers and texts.
    digests : mapping of str to str, optional
        The SHA-256 of every file, as the manifest lists it; None where there is no manifest.
    """

    folder: Path
    first_frame: int
    files: Mapping[str, str]
    values: Mapping[str, object]
    digests: Mapping[str, str] | None

    def read(self) -> StoredReference:
        """Read all arrays; raises OSError or ValueError when one is missing, damaged, or not made of numbers."""
        arrays = {}
        for name, file in self.files.items():
            if problem := digest_problem(file, sha256_of(self.folder / file), self.digests):
                raise LimitError(problem)
            try:
                arrays[name] = load_npy(self.folder / file)
            except ValueError as error:
                raise LimitError(f"{file}: {error}") from error
            if arrays[name].dtype.kind not in _KINDS:
                raise LimitError(f"{file} holds {arrays[name].dtype}, no numbers")
        return StoredReference(first_frame=self.first_frame, arrays=arrays, values=self.values)


def references_name(archive_name: str) -> str:
    """Return the name of the folder beside the exports of an archive."""
    return archive_name + _SUFFIX


def references_beside(path: Path) -> Path:
    """Return where the references of an exported file lie; of several files of one array each, it is the same folder."""
    of_one_array = array_name(path, (*TIFF, *ZARR))
    return path.with_name(references_name(of_one_array[0].removesuffix("_") if of_one_array else path.stem))


def is_references_folder(path: Path) -> bool:
    """Whether a folder holds the references of an export."""
    return path.is_dir() and (path / DESCRIPTION).is_file()


def read_references_folder(path: Path) -> tuple[ExportedReference, ...]:
    """Read the description of a folder of references; their arrays are read later, one by one.

    Raises
    ------
    OSError, ValueError
        It is no such folder, is damaged, or leads out of itself.
    """
    check_inside(path, (), whole=["."])
    digests = read_manifest(path)
    problems = missing_files(path, digests or {})
    description = path / DESCRIPTION
    check_regular(description)
    with description.open("rb") as file:
        text = file.read(MAX_JSON_BYTES + 1)
    if problem := digest_problem(DESCRIPTION, sha256_of(description), digests):
        problems.append(problem)
    if problems:
        raise LimitError("; ".join(problems))
    content = parse_json(text)
    if not isinstance(content, list):
        raise LimitError(f"{DESCRIPTION} is no list of references")
    return tuple(_described(path, entry, digests) for entry in content)


def _described(folder: Path, entry: Any, digests: Mapping[str, str] | None) -> ExportedReference:
    try:
        first_frame, files, values = entry["first_frame"], entry["files"], entry["values"]
        is_right = type(first_frame) is int and isinstance(values, dict) and all(map(_is_array, files, files.values()))
    except (KeyError, TypeError, AttributeError):
        is_right = False
    if not is_right:
        raise LimitError(f"{DESCRIPTION} describes no reference: {str(entry)[:80]}")
    return ExportedReference(folder=folder, first_frame=first_frame, files=files, values=values, digests=digests)


def _is_array(name: object, file: object) -> bool:
    """Whether this may be the name of an array, and that a plain name of its file."""
    is_text = isinstance(name, str) and isinstance(file, str)
    return is_text and bool(ARRAY_NAME.fullmatch(str(name)) and _FILE_NAME.fullmatch(str(file)))
