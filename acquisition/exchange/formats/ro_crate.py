"""A description of exported files for data repositories and journals: RO-Crate 1.1 (https://w3id.org/ro/crate/1.1)."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from acquisition.archive.atomic_files import write_whole
from acquisition.archive.folder import sole_writer
from acquisition.archive.reader import Archive
from acquisition.exchange.export_base import ExportError
from drivers.manifest import manifest_of, sha256_of
from drivers.program_version import program_version

CRATE = "ro-crate-metadata.json"
_SPECIFICATION = "https://w3id.org/ro/crate/1.1"
#: Terms that the context of version 1.1 does not define; a reader of linked data would drop them. Version 1.2 defines them so.
_TERMS = {"sha256": "http://schema.org/sha256"}
_OPERATOR, _PROGRAM = "#operator", "#specklescope"
#: Facts of an archive that a reader of a paper asks for, and their units.
_VARIABLES = {"instrument": "", "fibre": "", "sample": "", "pixel_um": "um", "bit_depth": "", "phase_range_rad": "rad"}


def refuse_existing_crate(folder: Path) -> None:
    """Raise ExportError if a folder has a description already."""
    if (folder / CRATE).exists():
        raise ExportError(f"{folder / CRATE} exists; choose another folder by --out, or replace it by --overwrite")


def write_ro_crate(archive: Archive, folder: Path, exported: Sequence[Path], *, overwrite: bool = False) -> Path:
    """Write the description of exported files beside them, completely or not at all, and return its path.

    Parameters
    ----------
    archive, folder, exported
        As for :func:`ro_crate`.
    overwrite : bool
        Replace an existing description.

    Raises
    ------
    ExportError
        There is one already, a file cannot be read, or the description cannot be written.
    StorageError
        Another process writes it.
    """
    path = folder / CRATE
    with sole_writer(path):
        if not overwrite:
            refuse_existing_crate(folder)
        try:
            text = ro_crate(archive, folder, exported)
        except OSError as error:
            raise ExportError(f"cannot describe {error.filename}: {error.strerror or error}; export it again") from error
        write_whole(path, text, "free space, or choose another folder by --out", ExportError)
    return path


def ro_crate(archive: Archive, folder: Path, exported: Sequence[Path]) -> str:
    """Return the text of ``ro-crate-metadata.json`` for a folder with exported files.

    Parameters
    ----------
    archive : Archive
        What was exported.
    folder : Path
        The folder of the export, in which the text will lie.
    exported : sequence of Path
        Its files, and folders such as those of OME-Zarr. The facts and the manifest beside a video are described with it.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    facts = archive.metadata
    files = [file for path in exported for file in _files(path)]
    root: dict[str, Any] = {
        "@id": "./",
        "@type": "Dataset",
        "name": archive.path.name,
        "description": f"Speckle and phase of a multi-core fibre, {len(archive)} frames, exported from SpeckleScope.",
        "datePublished": datetime.now(UTC).date().isoformat(),
        "hasPart": [{"@id": _relative(file, folder)} for file in files],
        "variableMeasured": [{"@id": f"#{name}"} for name in _VARIABLES if name in facts],
        "creator": {"@id": _OPERATOR if facts.get("operator") else _PROGRAM},
    }
    if licence := facts.get("licence"):
        root["license"] = str(licence)
    graph: list[Mapping[str, Any]] = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "conformsTo": {"@id": _SPECIFICATION},
            "about": {"@id": "./"},
        },
        root,
        {"@id": _PROGRAM, "@type": "SoftwareApplication", "name": "SpeckleScope", "version": program_version()},
        *_described(facts),
        *(_file(file, folder) for file in files),
    ]
    return json.dumps({"@context": [f"{_SPECIFICATION}/context", _TERMS], "@graph": graph}, indent=2, ensure_ascii=False) + "\n"


def _described(facts: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
    """Yield the operator and every fact as entities of their own."""
    if operator := facts.get("operator"):
        yield {"@id": _OPERATOR, "@type": "Person", "name": str(operator)}
    for name, unit in _VARIABLES.items():
        if name in facts:
            entity = {"@id": f"#{name}", "@type": "PropertyValue", "name": name, "value": facts[name]}
            yield entity | ({"unitText": unit} if unit else {})


def _files(path: Path) -> Iterable[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    beside = (path.with_name(f"{path.name}.json"), manifest_of(path))
    return [path, *(file for file in beside if file.is_file())]


def _file(file: Path, folder: Path) -> Mapping[str, Any]:
    entity = {
        "@id": _relative(file, folder),
        "@type": "File",
        "contentSize": str(file.stat().st_size),
        "sha256": sha256_of(file),
    }
    kind, _ = mimetypes.guess_type(file.name)
    return entity | ({"encodingFormat": kind} if kind else {})


def _relative(file: Path, folder: Path) -> str:
    """Return the name of a file as the reference that the specification asks for: blanks and the like become %20."""
    return quote(file.relative_to(folder).as_posix())
