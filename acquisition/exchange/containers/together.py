"""Files of one array each that belong together by their names: ``NAME_speckle.tif`` and ``NAME_phase.tif``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from acquisition.exchange.check_sums import combined
from acquisition.exchange.containers.array_file import KNOWN, ArrayFile
from drivers.limits import check_inside

#: Endings of one kind of file; files of one kind belong together.
TIFF = (".ome.tif", ".ome.tiff", ".tif", ".tiff")
ZARR = (".ome.zarr", ".zarr")
NPY = (".npy",)


def array_name(path: Path, endings: tuple[str, ...]) -> tuple[str, str] | None:
    """Return what stands before the name of the array in a file's name, and this name; None if the file has another ending."""
    pattern = rf"(.*_)?([A-Za-z][A-Za-z0-9-]*)({'|'.join(map(re.escape, endings))})"
    match = re.fullmatch(pattern, path.name, re.IGNORECASE)
    return (match[1] or "", match[2]) if match else None


def files_together(path: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    """Return the files that belong to one with the name of speckle, by their arrays; empty for a file with another name."""
    own = array_name(path, endings)
    if own is None or own[1].lower() != "speckle":
        return {}
    files = {"speckle": path}
    for file in sorted(path.parent.iterdir(), key=lambda file: (file.suffixes != path.suffixes, file.name)):
        other = array_name(file, endings)
        if other is None or other[0] != own[0] or (not own[0] and other[1].lower() not in KNOWN):
            continue
        name = other[1].lower() if other[1].lower() in KNOWN else other[1]
        files.setdefault(name, file)
    check_inside(path.parent, [file.name for file in files.values() if file != path])
    return files


def read_together(files: Mapping[str, Path], read: Callable[[Path, str], ArrayFile]) -> ArrayFile:
    """Read files of one array each as one; times and metadata are those of ``speckle``."""
    contents = {name: read(path, name) for name, path in files.items()}
    readers = {name: content.read for content in contents.values() for name in content.arrays}
    return ArrayFile(
        arrays={name: layout for content in contents.values() for name, layout in content.arrays.items()},
        columns=contents["speckle"].columns,
        metadata=contents["speckle"].metadata,
        check_sums=combined([content.check_sums for content in contents.values() if content.check_sums]),
        read=lambda name: readers[name](name),
        notes=tuple(note for content in contents.values() for note in content.notes),
        units={name: unit for content in contents.values() for name, unit in content.units.items()},
        planes=contents["speckle"].planes,
    )
