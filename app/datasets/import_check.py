"""An import in words for a page: what was recognised, what speaks against it, and the names of a page's entries."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.rows import StorageError
from acquisition.exchange.import_source import ImportOptions, PairImportError
from app.jobs.job_list import Progress
from app.jobs.result_job import JobStoppedError
from drivers.base import SpeckleScopeError

_FACTS: Final[Mapping[str, str]] = {
    "speckle_shape": "Speckle: images, height, width",
    "speckle_dtype": "Speckle: type in the source",
    "speckle_unit": "Speckle: unit",
    "speckle_values": "Speckle: smallest and largest value",
    "speckle_bit_depth": "Speckle: bits of the camera",
    "phase_shape": "Phase: images, height, width",
    "phase_dtype": "Phase: type in the source",
    "phase_unit": "Phase: unit",
    "phase_values_rad": "Phase: smallest and largest value in rad",
    "phase_range_rad": "Phase: white stands for, in rad",
    "phase_white": "Phase: level of white",
    "references": "Reference pairs (flat phase)",
    "times": "Times of the frames",
    "recording_references": "References of a recording",
    "pixel_um": "Side of a camera pixel, in \N{MICRO SIGN}m",
    "other_arrays": "Other arrays",
}
#: How an entry of the page is called, by the option of the command line that messages name.
ENTRY_NAMES: Final[Mapping[str, str]] = {
    "--allow-duplicates": "'Accept equal frames'",
    "--axes": "'Axes'",
    "--bit-depth": "'Bits of the camera'",
    "--no-references": "'Leave references out'",
    "--period-s": "'Time between frames'",
    "--phase-fill": "'Value for missing pixels'",
    "--phase-range-rad": "'Phase range'",
    "--phase-unit": "'Unit of the phase'",
    "--phase-white": "'Level of white'",
    "--phase": "'Phase'",
    "--pixel-um": "'Pixel size'",
    "--reference-name": "'Name of references'",
    "--references": "'Folder of references'",
    "--speckle-white": "'White of the speckle'",
    "--speckle": "'Speckle'",
    "--to-grey": "'Take coloured pictures as grey'",
    "--name": "'Name'",
}
_OPTION = re.compile("|".join(sorted(map(re.escape, ENTRY_NAMES), key=len, reverse=True)))


@dataclass(frozen=True, eq=False, kw_only=True)
class ImportPreview:
    """What an import would do.

    Parameters
    ----------
    source : Path
        File or folder of the pairs.
    options : ImportOptions
        What the operator has stated about them.
    pairs : int
        Number of pairs; 0 where they cannot be imported.
    facts : tuple of (str, str)
        What was recognised, in words.
    notes : tuple of str
        What the operator should know.
    problems : tuple of str
        Why they cannot be imported, each with what to do; empty when they can.
    sheet : ndarray of uint8, shape (H, W), optional
        Small views of the first pairs.
    """

    source: Path
    options: ImportOptions
    pairs: int = 0
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    sheet: NDArray[np.uint8] | None = None


def preview_import(source: Path, options: ImportOptions, progress: Progress, stop: threading.Event) -> ImportPreview:
    """Check pairs as an import does, and write nothing.

    Parameters
    ----------
    source : Path
        File or folder of the pairs.
    options : ImportOptions
        What the operator states.
    progress : callable
        Called with the pairs that were read, and their number.
    stop : threading.Event
        Ends the check when it is set.

    Raises
    ------
    JobStoppedError
        It was stopped.
    """
    from acquisition.exchange.conversion.sheet import contact_sheet
    from acquisition.exchange.import_pairs import check_pairs  # it loads the readers of all formats

    try:
        pairs = check_pairs(source, options, _reporter(progress, stop, source))
    except PairImportError as error:
        problems = tuple(with_entry_names(text) for text in error.problems)
        return ImportPreview(source=source, options=options, problems=problems)
    return ImportPreview(
        source=source,
        options=options,
        pairs=pairs.count,
        facts=tuple(
            (_FACTS.get(name, name), with_entry_names(_text(value))) for name, value in pairs.facts.items() if _text(value)
        ),
        notes=tuple(with_entry_names(note) for note in pairs.notes),
        sheet=contact_sheet(pairs.thumbnails) if pairs.thumbnails else None,
    )


def import_checked(preview: ImportPreview, root: Path, name: str, progress: Progress, stop: threading.Event) -> Path:
    """Import pairs that were checked; return the folder of the new dataset.

    Raises
    ------
    JobStoppedError
        It was stopped; nothing is left.
    SpeckleScopeError
        The pairs have changed since, or the archive cannot take them. Nothing is left.
    """
    from acquisition.exchange.import_pairs import import_pairs

    try:
        return import_pairs(preview.source, root, name, preview.options, _reporter(progress, stop, preview.source))
    except (PairImportError, StorageError) as error:
        raise SpeckleScopeError(with_entry_names(str(error))) from error


def with_entry_names(text: str) -> str:
    """Return a message with the names of a page's entries in place of the options of the command line."""
    return _OPTION.sub(lambda match: ENTRY_NAMES[match[0]], text.replace(" (phase_range_rad)", ""))


def _reporter(progress: Progress, stop: threading.Event, source: Path) -> Callable[[str, int, int], None]:
    def report(step: str, done: int, total: int) -> None:
        progress(done, total)
        if stop.is_set():
            raise JobStoppedError(f"{source.name}: stopped after {done} of {total} pairs; nothing was kept")

    return report


def _facts(facts: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    texts = {name: with_entry_names(_text(value)) for name, value in facts.items()}
    return tuple((_FACTS.get(name, name), text) for name, text in texts.items() if text)


def _text(value: object) -> str:
    if value is None or value == {}:
        return ""
    if isinstance(value, list | tuple):
        return " to ".join(f"{one:g}" if isinstance(one, int | float) else str(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(one)}" for key, one in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
