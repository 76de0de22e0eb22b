"""Pairs from array files: the npz, HDF5 and OME-TIFF files that we export, or files with arrays of the same names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.rows import PairRow
from acquisition.archive.shards import ArraySpec, Image
from acquisition.exchange.array_files import (
    INTEGERS,
    NUMBERS,
    TEXTS,
    ArrayFile,
    ArrayFileError,
    json_mapping,
    one_line_errors,
    read_array_file,
)
from acquisition.exchange.check_sums import NO_CHECK_SUMS, CheckSums
from acquisition.exchange.import_source import PairImportError, PairSource
from drivers.base import Pattern
from drivers.limits import LimitError, check_pixels

#: Order of the arrays; the others follow in the order of the file.
_ORDER = {"speckle": 0, "phase": 1}


def open_arrays(path: Path, phase_range_rad: float | None) -> PairSource:
    """Find the pairs in ``.npz``, ``.h5``, ``.hdf5``, or in the OME-TIFF files beside ``NAME_speckle.ome.tif``.

    Parameters
    ----------
    path : Path
        The file. It needs ``speckle`` and ``phase``, both (N, H, W). Times and ids are used where it has them.
    phase_range_rad : float, optional
        Phase of grey 255 in radians, when the file's metadata does not state it. It must not contradict the metadata.

    Raises
    ------
    PairImportError
        The file cannot be read, lacks ``speckle`` or ``phase``, or its parts do not fit together.
    """
    with _import_errors(path):
        content = read_array_file(path)
    missing = [name for name in ("speckle", "phase") if name not in content.arrays]
    if missing:
        names = ", ".join(content.arrays) or "none"
        raise PairImportError(path, [f"it has no {missing[0]!r} of shape (N, H, W); its arrays of three axes are: {names}"])
    problems = _problems(content, phase_range_rad)
    if problems:
        raise PairImportError(path, problems)
    if phase_range_rad is not None:
        content.metadata["phase_range_rad"] = phase_range_rad
    content.arrays = dict(sorted(content.arrays.items(), key=lambda item: _ORDER.get(item[0], len(_ORDER))))
    return PairSource(
        path=path,
        # 8-bit speckle and labels do not shrink; phase and 12-bit counts do.
        specs=[ArraySpec(k, shape[1:], dtype.name, compress=dtype != np.uint8) for k, (shape, dtype) in content.arrays.items()],
        count=content.arrays["speckle"][0][0],
        metadata=content.metadata,
        images=partial(_images, path, content),
        row=partial(_row, content.columns),
        name=lambda name, index: f"image {index} of {name!r}",
        hashed=tuple(content.arrays),
        notes=[*content.notes, *([] if content.check_sums else [NO_CHECK_SUMS])],
    )


def _problems(content: ArrayFile, phase_range_rad: float | None) -> list[str]:
    """Return what does not fit together in a file."""
    count = content.arrays["speckle"][0][0]
    problems = [] if count else ["it holds no images"]
    problems += content.check_sums.problems if content.check_sums else ()
    for name, (shape, _) in content.arrays.items():
        try:
            check_pixels(shape[1:])
        except LimitError as error:
            problems.append(f"{name!r}: {error}")
        if shape[0] != count:
            problems.append(f"{name!r} holds {shape[0]} images, but 'speckle' holds {count}")
    for name, column in content.columns.items():
        if column.shape != (count,):
            problems.append(f"column {name!r} has shape {column.shape} for {count} images")
    stated = content.metadata.get("phase_range_rad", phase_range_rad)
    if phase_range_rad is not None and stated != phase_range_rad:
        problems.append(f"its metadata states phase_range_rad {stated}, not {phase_range_rad}; leave --phase-range-rad out")
    return problems


def _images(path: Path, content: ArrayFile, problems: list[str]) -> Iterator[dict[str, Image] | None]:
    check_sums = content.check_sums or CheckSums(crc32={})
    # Each array is one stream: images after a damaged place in it cannot be trusted, so an error ends the reading.
    with _import_errors(path):
        for index, images in enumerate(zip(*map(content.read, content.arrays), strict=True)):
            pair = dict(zip(content.arrays, images, strict=True))
            damage = [text for name, image in pair.items() if (text := check_sums.problem(name, index, image))]
            problems += damage
            yield None if damage else pair


def _row(columns: Mapping[str, NDArray[Any]], index: int, images: Mapping[str, Image]) -> PairRow:
    facts: dict[str, Any] = {"frame_index": index, "t_ns": 0, "exposure_s": 0.0}
    facts |= {name: int(columns[name][index]) for name in INTEGERS if name in columns}
    facts |= {name: float(columns[name][index]) for name in NUMBERS if name in columns}
    facts |= {name: str(columns[name][index]) for name in TEXTS if name in columns}
    if np.isnan(facts.get("latency_s", 0.0)):
        del facts["latency_s"]
    if "extra_json" in columns:
        facts["extra"] = json_mapping(columns["extra_json"][index])
    phase = images["phase"]
    if not facts.get("pattern_id") and phase.dtype == np.float32 and np.isfinite(phase).all():
        facts["pattern_id"] = Pattern(phase).id  # datasets are split into parts by it
    return PairRow(**facts)


@contextmanager
def _import_errors(path: Path) -> Iterator[None]:
    """Turn what is wrong with a file into a PairImportError."""
    try:
        with one_line_errors():
            yield
    except ArrayFileError as error:
        raise PairImportError(path, [str(error)]) from error
