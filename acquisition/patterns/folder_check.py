"""What a folder holds as a source of patterns: the pictures that are shown, what is ignored, and what cannot be shown."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from acquisition.patterns.picture_folder import GreyRange, PictureFolder
from acquisition.patterns.source_name import Parameters, PatternError
from drivers.pictures import SUFFIXES, is_picture_name, natural_key


@dataclass(frozen=True, kw_only=True)
class FolderCheck:
    """What was found in a folder.

    Parameters
    ----------
    patterns : int
        Pictures that can be shown, the pages of stacks included.
    ignored : tuple of (str, str)
        Name of every entry of the folder that is no picture, and why it is ignored.
    unusable : tuple of str
        Why a picture cannot be shown; each text names its file. An acquisition does not start before they are removed.
    notes : tuple of str
        How pictures are changed: turned into grey, for example.
    """

    patterns: int
    ignored: tuple[tuple[str, str], ...] = ()
    unusable: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_folder(source: str, stop: threading.Event | None = None) -> FolderCheck:
    """Read every picture of a folder, and say what is ignored and what cannot be shown.

    Parameters
    ----------
    source : str
        The folder as the name of a pattern source, see :func:`acquisition.patterns.sources.open_source`.
    stop : threading.Event, optional
        Ends the check when it is set; what was found until then is returned.

    Raises
    ------
    PatternError
        It is no folder that can be read, or a parameter is wrong.
    """
    parameters = Parameters(source)
    grey_range = GreyRange.of(parameters)
    folder = Path(parameters.base)
    try:
        entries = sorted(folder.iterdir(), key=natural_key)
    except OSError as error:
        raise PatternError(f"the folder {folder} cannot be read: {error.strerror}; choose another folder") from error
    ignored = tuple((entry.name, reason) for entry in entries if (reason := _why_ignored(entry)))
    patterns, unusable, notes = 0, [], Counter[str]()
    for file in entries:
        if stop is not None and stop.is_set():
            break
        if _why_ignored(file):
            continue
        try:
            for page_notes in _notes_of_pages(file, grey_range):
                patterns += 1
                notes.update(page_notes)
        except PatternError as error:
            unusable.append(str(error))
    return FolderCheck(
        patterns=patterns,
        ignored=ignored,
        unusable=tuple(unusable),
        notes=tuple(f"{count} pictures are {note}" for note, count in notes.items()),
    )


def _notes_of_pages(file: Path, grey_range: GreyRange) -> Iterator[tuple[str, ...]]:
    """Yield how each page of a file is changed; raises PatternError when one cannot be shown."""
    for picture in PictureFolder.pages_of(file):
        grey_range.grey(picture, file)
        yield picture.notes


def _why_ignored(entry: Path) -> str:
    """Return why an entry of the folder is no pattern; empty when it is one."""
    if entry.is_dir():
        return "a folder; folders in folders are not read"
    if entry.name.startswith("."):
        return "a hidden file"
    if not is_picture_name(entry):
        return f"no picture: it does not end in {', '.join(SUFFIXES)}"
    return "" if entry.is_file() else "no file"
