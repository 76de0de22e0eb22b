"""Pairs from array files: npz, HDF5, MATLAB, TIFF and OME-Zarr, as we export them or as other programs write them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.archive.rows import PairRow, StorageError
from acquisition.archive.shards import ArraySpec, Image
from acquisition.exchange.array_files import (
    ArrayFile,
    ArrayFileError,
    channel_names,
    check_image,
    is_array_file,
    joined,
    one_line_errors,
    read_array_file,
)
from acquisition.exchange.check_sums import NO_CHECK_SUMS, CheckSums, combined
from acquisition.exchange.conversion.phase import PhaseConverter, PhaseError, StatedPhase
from acquisition.exchange.conversion.rows import RowError, RowFacts, StatedRows
from acquisition.exchange.conversion.speckle import SpeckleConverter, SpeckleError, StatedSpeckle
from acquisition.exchange.conversion.units import PhaseUnit
from acquisition.exchange.import_source import ImportOptions, PairImportError, PairSource
from drivers.base import named_or_numbered
from drivers.limits import LimitError

#: The arrays that a pair needs; the others follow in the order of the file.
_NEEDED = ("speckle", "phase")
#: Only files of ours have all these columns; those of version 0.1.0 have no check sums.
_OUR_COLUMNS = {"frame_index", "t_ns", "exposure_s", "extra_json"}
#: Axes of an array whose frames have channels: N, C, H and W.
_WITH_CHANNELS = 4
#: Metadata of an exported recording.
_RECORDING = "recording"


@dataclass(frozen=True, kw_only=True)
class _Converters:
    phase: PhaseConverter
    speckle: SpeckleConverter
    rows: RowFacts


def open_arrays(path: Path, options: ImportOptions) -> PairSource:
    """Find the pairs in a file of arrays, or in several files of one array each.

    Parameters
    ----------
    path : Path
        The file; of several files the one of the speckle. Times and ids are used where it has them.
    options : ImportOptions
        What is stated about it. ``speckle`` and ``phase`` name arrays of the file, or other files. The phase range must not
        contradict the metadata of the file.

    Raises
    ------
    PairImportError
        The file cannot be read, lacks ``speckle`` or ``phase``, its parts do not fit together, or the unit of its phase is not
        stated.
    """
    with _import_errors(path):
        content, ours = _chosen(path, options)
    notes = [*content.notes, *([] if content.check_sums else [NO_CHECK_SUMS])]
    if not ours:
        _leave_out(content, options, notes)
    problems = _problems(content, options.phase_range_rad)
    if problems:
        raise PairImportError(path, problems)
    _state(content.metadata, options, notes)
    _name_channels(content, notes)
    try:
        converters = _converters(content, options, ours=ours)
    except (PhaseError, SpeckleError, RowError) as error:
        raise PairImportError(path, [str(error)]) from error
    return PairSource(
        path=path,
        specs=_specs(path, content, converters),
        count=content.arrays["speckle"][0][0],
        metadata=content.metadata,
        images=partial(_images, path, content, converters),
        row=partial(_row, converters.rows),
        name=_name,
        hashed=tuple(content.arrays),
        phase=converters.phase,
        speckle=converters.speckle,
        rows=converters.rows,
        notes=notes,
    )


def _name(array: str, index: int) -> str:
    return f"image {index} of {array!r}"


def _is_ours(content: ArrayFile) -> bool:
    """Whether SpeckleScope wrote a file; those of version 0.1.0 have no check sums."""
    return content.check_sums is not None or content.columns.keys() >= _OUR_COLUMNS


def _chosen(path: Path, options: ImportOptions) -> tuple[ArrayFile, bool]:
    """Return a file with its speckle and phase under these names, and whether SpeckleScope wrote all of it."""
    content = read_array_file(path, options.axes)
    if content.planes and options.speckle in ("", "speckle"):
        content = _with_channels(content)
    ours, alone = _is_ours(content), len(content.arrays) == 1
    chosen = {"speckle": options.speckle or "speckle", "phase": options.phase or "phase"}
    for array, stated in (("speckle", options.speckle), ("phase", options.phase)):
        file = next((place for place in (Path(stated), path.parent / stated) if stated and place.exists()), None)
        if file is None or stated in content.arrays:
            continue
        if alone and array == "phase" and not options.speckle:
            chosen["speckle"] = next(iter(content.arrays))
        content, other_is_ours = _with_file(content, array, file, options.axes)
        chosen[array], ours = array, ours and other_is_ours
    missing = {array: name for array, name in chosen.items() if name not in content.arrays}
    if missing:
        reasons = [note for note in content.notes if any(note.startswith(f"{name!r} of shape") for name in missing.values())]
        text = (
            f"it has no {next(iter(missing.values()))!r} of shape (N, H, W); its arrays of three axes are: "
            f"{', '.join(content.arrays) or 'none'}; name the array, or the file with it, by "
            f"{' and '.join(f'--{array} NAME' for array in missing)}"
        )
        raise ArrayFileError("; ".join([text, *reasons]))
    return _renamed(content, chosen), ours


def _with_channels(content: ArrayFile) -> ArrayFile:
    """Return a file whose arrays of one channel each are the channels of the speckle."""
    names = content.planes
    note = f"its channels {', '.join(names)} are those of the speckle; --speckle NAME uses one of them alone"
    content = joined(content, "speckle", names)
    return replace(content, metadata={**content.metadata, "channels": list(names)}, notes=(*content.notes, note))


def _name_channels(content: ArrayFile, notes: list[str]) -> None:
    """Add numbers as names to the metadata where the channels of the speckle have no names."""
    shape, _ = content.arrays["speckle"]
    names = channel_names(content.metadata)
    if len(shape) == _WITH_CHANNELS and len(names) != shape[1]:
        content.metadata["channels"] = list(named_or_numbered(names, shape[1]))
        notes.append(f"its {shape[1]} channels have no names of their own; they are numbered")


def _renamed(content: ArrayFile, chosen: Mapping[str, str]) -> ArrayFile:
    """Return a file whose arrays ``speckle`` and ``phase`` are those that have the chosen names."""
    others = [name for name in content.arrays if name not in (*chosen.values(), *_NEEDED)]
    original = {**chosen, **{name: name for name in others}}
    read, check_sums = content.read, content.check_sums
    if check_sums is not None:
        crc32 = {array: check_sums.crc32[name] for array, name in original.items() if name in check_sums.crc32}
        check_sums = replace(check_sums, crc32=crc32)
    return replace(
        content,
        arrays={array: content.arrays[name] for array, name in original.items()},
        check_sums=check_sums,
        read=lambda array: read(original[array]),
        units={array: content.units.get(name, "") for array, name in original.items()},
    )


def _with_file(content: ArrayFile, array: str, file: Path, axes: str) -> tuple[ArrayFile, bool]:
    """Return a file with one more array, which another file has by this name or as its only one, and whether that is ours."""
    if not is_array_file(file):
        raise ArrayFileError(f"{file} is no file of arrays: give an .npz, .h5, .mat, .tif or .ome.zarr for --{array}")
    other = read_array_file(file, axes)
    name = array if array in other.arrays else next(iter(other.arrays), "")
    if not other.arrays or (len(other.arrays) > 1 and name != array):
        raise ArrayFileError(f"{file} has the arrays {', '.join(other.arrays) or 'none'}: name the one for --{array} {array!r}")
    read = content.read
    parts = []
    if content.check_sums:
        kept = {own: values for own, values in content.check_sums.crc32.items() if own != array}
        parts.append(replace(content.check_sums, crc32=kept))
    if other.check_sums:
        crc32 = {array: other.check_sums.crc32[name]} if name in other.check_sums.crc32 else {}
        parts.append(CheckSums(crc32=crc32, problems=other.check_sums.problems))
    both = replace(
        content,
        arrays={**content.arrays, array: other.arrays[name]},
        metadata={**other.metadata, **content.metadata},
        check_sums=combined(parts),
        read=lambda wanted: other.read(name) if wanted == array else read(wanted),
        notes=(*content.notes, *other.notes),
        units={**content.units, array: other.units.get(name, "")},
    )
    return both, _is_ours(other)


def _leave_out(content: ArrayFile, options: ImportOptions, notes: list[str]) -> None:
    """Leave out arrays of another program that are no images of the pairs."""
    count = content.arrays["speckle"][0][0]
    for name, ((length, *shape), dtype) in list(content.arrays.items()):
        if name in _NEEDED:
            continue
        try:
            ArraySpec(name, tuple(shape), dtype.name)
            fits = (
                length == count
                and len(shape) < _WITH_CHANNELS - 1
                and (name != "uncertainty" or options.phase_unit in (None, PhaseUnit.RAD))
            )
        except StorageError:
            fits = False
        if not fits:
            notes.append(f"array {name!r} of {length} images {dtype} is left out: an archive cannot hold it beside the pairs")
            del content.arrays[name]


def _problems(content: ArrayFile, phase_range_rad: float | None) -> list[str]:
    """Return what does not fit together in a file."""
    count = content.arrays["speckle"][0][0]
    problems = [] if count else ["it holds no images"]
    problems += content.check_sums.problems if content.check_sums else ()
    for name, (shape, _) in content.arrays.items():
        try:
            check_image(shape[1:])
        except LimitError as error:
            problems.append(f"{name!r}: {error}")
        if len(shape) == _WITH_CHANNELS and name != "speckle":
            problems.append(
                f"{name!r} has images of shape {shape[1:]}: only the speckle may have channels; save it as (N, H, W)"
            )
        if shape[0] != count:
            problems.append(f"{name!r} holds {shape[0]} images, but 'speckle' holds {count}")
    for name, column in content.columns.items():
        if column.shape != (count,):
            problems.append(f"column {name!r} has shape {column.shape} for {count} images")
    stated = content.metadata.get("phase_range_rad", phase_range_rad)
    if phase_range_rad is not None and stated != phase_range_rad:
        problems.append(f"its metadata states phase_range_rad {stated}, not {phase_range_rad}; leave --phase-range-rad out")
    return problems


def _state(metadata: dict[str, Any], options: ImportOptions, notes: list[str]) -> None:
    """Add what the operator states to the metadata of a file."""
    if options.phase_range_rad is not None:
        metadata["phase_range_rad"] = options.phase_range_rad
    if options.pixel_um is not None:
        stored = metadata.get("pixel_um", options.pixel_um)
        if stored != options.pixel_um:
            notes.append(f"pixel size: its metadata states {stored} um, but --pixel-um {options.pixel_um:g} is used")
        metadata["pixel_um"] = options.pixel_um


def _converters(content: ArrayFile, options: ImportOptions, *, ours: bool) -> _Converters:
    recording = ours and _RECORDING in content.metadata
    # Without check sums somebody may have changed the values, so they are looked at as those of any other program.
    unchanged = ours and content.check_sums is not None
    phase_range_rad, bits = content.metadata.get("phase_range_rad"), content.metadata.get("bit_depth")
    phase = StatedPhase(
        unit=options.phase_unit,
        phase_range_rad=float(phase_range_rad)
        if isinstance(phase_range_rad, int | float) and 0 < phase_range_rad < math.inf
        else None,
        white=options.phase_white,
        fill=options.phase_fill,
        file_unit=content.units.get("phase", ""),
        ours=unchanged and options.phase_unit is None,
        gaps=recording and unchanged,
    )
    speckle = StatedSpeckle(
        bit_depth=options.bit_depth,
        file_bit_depth=bits if isinstance(bits, int) and not isinstance(bits, bool) else None,
        white=options.speckle_white,
        ours=ours,
    )
    rows = StatedRows(period_s=options.period_s, reference_name=options.reference_name, ours=ours, recording=recording)
    return _Converters(
        phase=PhaseConverter(content.arrays["phase"][1], phase),
        speckle=SpeckleConverter(content.arrays["speckle"][1], speckle),
        rows=RowFacts(content.columns, rows),
    )


def _specs(path: Path, content: ArrayFile, converters: _Converters) -> list[ArraySpec]:
    stored = {"speckle": converters.speckle.dtype, "phase": "float32"}
    try:
        # 8-bit speckle and labels do not shrink; phase and 12-bit counts do.
        return [
            ArraySpec(name, shape[1:], kept := stored.get(name, dtype.name), compress=kept != "uint8")
            for name, (shape, dtype) in content.arrays.items()
        ]
    except StorageError as error:
        raise PairImportError(path, [str(error)]) from error


def _images(path: Path, content: ArrayFile, converters: _Converters, problems: list[str]) -> Iterator[dict[str, Image] | None]:
    check_sums = content.check_sums or CheckSums(crc32={})
    # Each array is one stream: images after a damaged place in it cannot be trusted, so an error ends the reading.
    with _import_errors(path):
        for index, images in enumerate(zip(*map(content.read, content.arrays), strict=True)):
            pair = dict(zip(content.arrays, images, strict=True))
            wrong = [text for name, image in pair.items() if (text := check_sums.problem(name, index, image))]
            wrong += _convert(pair, index, converters) if not wrong else []
            problems += wrong
            yield None if wrong else pair


def _convert(pair: dict[str, Image], index: int, converters: _Converters) -> list[str]:
    """Convert the images of a pair, in place; return what is wrong with them."""
    wrong = []
    for array, converter in (("speckle", converters.speckle), ("phase", converters.phase)):
        try:
            pair[array] = np.ascontiguousarray(converter.convert(_name(array, index), pair[array]))
        except (PhaseError, SpeckleError) as error:
            wrong.append(str(error))
    return wrong


def _row(rows: RowFacts, index: int, images: Mapping[str, Image]) -> PairRow:
    return rows.row(index, images["phase"])


@contextmanager
def _import_errors(path: Path) -> Iterator[None]:
    """Turn what is wrong with a file into a PairImportError."""
    try:
        with one_line_errors():
            yield
    except ArrayFileError as error:
        raise PairImportError(path, [str(error)]) from error
