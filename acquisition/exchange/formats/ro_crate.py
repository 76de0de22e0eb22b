"""A description of exported files for data repositories and journals: RO-Crate 1.1 (https://w3id.org/ro/crate/1.1)."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from acquisition.archive.reader import Archive
from drivers.manifest import sha256_of
from drivers.program_version import program_version

CRATE = "ro-crate-metadata.json"
_SPECIFICATION = "https://w3id.org/ro/crate/1.1"
_OPERATOR, _PROGRAM = "#operator", "#specklescope"
#: Facts of an archive that a reader of a paper asks for, and their units.
_VARIABLES = {"instrument": "", "fibre": "", "sample": "", "pixel_um": "um", "bit_depth": "", "phase_range_rad": "rad"}


def ro_crate(archive: Archive, folder: Path, exported: Sequence[Path]) -> str:
    """Return the text of ``ro-crate-metadata.json`` for a folder with exported files.

    Parameters
    ----------
    archive : Archive
        What was exported.
    folder : Path
        The folder of the export, in which the text will lie.
    exported : sequence of Path
        Its files, and folders such as those of OME-Zarr.

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
    return json.dumps({"@context": f"{_SPECIFICATION}/context", "@graph": graph}, indent=2, ensure_ascii=False) + "\n"


def _described(facts: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
    """Yield the operator and every fact as entities of their own."""
    if operator := facts.get("operator"):
        yield {"@id": _OPERATOR, "@type": "Person", "name": str(operator)}
    for name, unit in _VARIABLES.items():
        if name in facts:
            entity = {"@id": f"#{name}", "@type": "PropertyValue", "name": name, "value": facts[name]}
            yield entity | ({"unitText": unit} if unit else {})


def _files(path: Path) -> Iterable[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


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
    return file.relative_to(folder).as_posix()
