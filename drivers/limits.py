"""The most that a reader takes from a file, so that no file can fill the memory or lead outside its folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from drivers.base import SpeckleScopeError

#: Size of a YAML file; the largest of ours has some kilobytes.
MAX_YAML_BYTES = 2 * 2**20
#: Size of a JSON text.
MAX_JSON_BYTES = 64 * 2**20
#: Values of a YAML file after every alias is replaced by what it stands for.
MAX_YAML_VALUES = 500_000
#: Mappings and lists inside each other, in YAML and JSON.
MAX_NESTING = 50
#: Digits of a number in YAML.
MAX_DIGITS = 100
#: Pixels of one image; a camera of 16384 x 16384 pixels has as many.
MAX_PIXELS = 2**28
#: Size of a picture file: an uncompressed one of 64 bits with that many pixels.
MAX_PICTURE_BYTES = 2 * 2**30
#: Size of one column of facts about all pairs of an import.
MAX_COLUMN_BYTES = 2**30
#: Size of an array that is read into memory at once, such as one of a calibration.
MAX_ARRAY_BYTES = 8 * 2**30
#: How much larger than in its file the content of an array can be; deflate reaches 1032.
MAX_EXPANSION = 1032
#: Memory of the child process that reads an HDF5 file first, beside that of its libraries.
MAX_READER_BYTES = 3 * 2**30
#: Longest time without progress of that process, in seconds.
MAX_READ_STALL_S = 12.0
#: Files with code, and their size, in a folder that an instrument file wants to run.
MAX_CODE_FILES, MAX_CODE_BYTES = 2000, 2**28


class LimitError(SpeckleScopeError, ValueError):
    """A file holds more than its reader takes, or leads to another place. The message names value, limit and remedy."""


def check_pixels(shape: tuple[int, ...]) -> None:
    """Raise LimitError unless an image of this shape ``(H, W, ...)`` has between 1 and :data:`MAX_PIXELS` pixels."""
    height, width = shape[:2]
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise LimitError(f"it claims {width} x {height} pixels, at most {MAX_PIXELS} are read; save it again in a smaller size")


def check_regular(path: Path) -> None:
    """Raise LimitError if this is a pipe or a device, whose content may never end; an absent file is allowed."""
    with suppress(OSError):
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise LimitError(f"{path} is a pipe or a device, not a file; give a file, or a copy of what comes through it")


def check_inside(folder: Path, names: Iterable[str], *, whole: Iterable[str] = ()) -> None:
    """Refuse links that leave a folder, and pipes and devices in it, before a file in it is read or written.

    Parameters
    ----------
    folder : Path
        The folder; it may itself be reached through a link.
    names : iterable of str
        Files in it that are about to be used; an absent one is allowed.
    whole : iterable of str
        Folders in it that are checked with everything that they contain.

    Raises
    ------
    LimitError
        With the path of the link, and where it leads.
    """
    root = folder.resolve()
    pending = [root / name for name in whole]
    for path in (*pending, *(root / name for name in names)):
        _check_entry(path, root)
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            # Most entries are plain files, and the listing of the folder already says so.
            if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False):
                _check_entry(Path(entry.path), root)
            elif entry.is_dir(follow_symlinks=False):
                pending.append(Path(entry.path))


def _check_entry(path: Path, root: Path) -> None:
    target = path.resolve()
    if not target.is_relative_to(root):
        raise LimitError(f"{path} is a link to {target}, outside its folder; replace it by a copy of what it stands for")
    try:
        mode = target.stat().st_mode
    except OSError:
        return  # what is absent cannot be read; its reader says so
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise LimitError(f"{path} is a pipe or a device, not a file; remove it")
