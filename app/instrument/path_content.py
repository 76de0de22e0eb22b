"""What a file or folder is that the window can open; it is told by its content, quickly, without reading all of it."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import yaml

from acquisition.archive.old_names import METADATA
from acquisition.archive.reader import JOURNAL
from app.instrument.config import load_config
from calibration.fibre.response import KIND as FIBRE_RESPONSE
from calibration.stored import FILE as CALIBRATION
from drivers.base import SpeckleScopeError
from drivers.pictures import PictureError, count_pages, is_picture_name
from drivers.safe_text import read_handwritten_yaml
from drivers.visible_text import visible
from reconstruction.models.model import CARD, WEIGHTS

#: The instrument file that a folder may have.
_INSTRUMENT = "instrument.yaml"
_YAML = (".yaml", ".yml")
#: Files that mean the folder that they are in.
_PARTS = (JOURNAL, METADATA, CARD, WEIGHTS, CALIBRATION)
OPENABLE = (
    "an instrument file (YAML), the folder of a recording, a dataset, a model or a fibre response, or a picture (PNG, TIFF, "
    "JPEG)"
)


class PathContentError(SpeckleScopeError):
    """A file or folder that the window cannot open. The message says what it can open, or what to do."""


class ContentKind(Enum):
    """What the window can open."""

    INSTRUMENT = "instrument"
    #: A recording or a dataset.
    ARCHIVE = "archive"
    MODEL = "model"
    RESPONSE = "fibre response"
    PICTURE = "picture"


@dataclass(frozen=True)
class PathContent:
    """What a path is.

    Parameters
    ----------
    kind : ContentKind
        What it is.
    path : Path
        What to open: the folder of an archive, a model or a response, also where a file in it was given.
    """

    kind: ContentKind
    path: Path

    @property
    def name(self) -> str:
        """Its name, for people."""
        return visible(self.path.name)


def sole_content(paths: Sequence[Path]) -> PathContent:
    """Return what one path is.

    Raises
    ------
    PathContentError
        There is none or more than one, it cannot be read, or the window cannot open it.
    """
    if len(paths) != 1:
        raise PathContentError(f"one file or folder can be opened at a time, got {len(paths)}; choose {OPENABLE}")
    path = paths[0].absolute()
    try:
        content = _folder(path) if path.is_dir() else _file(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PathContentError(f"cannot read {visible(str(path))} ({reason}); check the path and its permissions") from error
    if content is None:
        raise PathContentError(f"{visible(str(path))} cannot be opened here; choose {OPENABLE}")
    return content


def _folder(path: Path) -> PathContent | None:
    names = {entry.name for entry in path.iterdir()}
    if JOURNAL in names:
        return PathContent(ContentKind.ARCHIVE, path)
    if {CARD, WEIGHTS} <= names:
        return PathContent(ContentKind.MODEL, path)
    if CALIBRATION in names:
        return _calibration(path)
    if _INSTRUMENT in names:
        return _instrument(path / _INSTRUMENT)
    return None


def _file(path: Path) -> PathContent | None:
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
        return None
    with path.open("rb"):  # says why it cannot be read
        pass
    if path.name in _PARTS:
        return _folder(path.parent)
    if path.suffix.lower() in _YAML:
        return _instrument(path)
    try:
        count_pages(path)
    except PictureError as error:
        if is_picture_name(path):
            raise PathContentError(f"{error}; choose {OPENABLE}") from error
        return None
    return PathContent(ContentKind.PICTURE, path)


def _instrument(path: Path) -> PathContent:
    load_config(path)  # says which key of it is wrong
    return PathContent(ContentKind.INSTRUMENT, path)


def _calibration(folder: Path) -> PathContent:
    """Return a calibration that the window can use; the others are named in the instrument file or in a command."""
    try:
        content = read_handwritten_yaml(folder / CALIBRATION)
        kind = content["kind"]
    except (ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise PathContentError(f"{visible(str(folder))} holds no readable calibration; calibrate again") from error
    if kind != FIBRE_RESPONSE:
        raise PathContentError(
            f"{visible(str(folder))} is a calibration of '{visible(str(kind))}'; the window can use a fibre response. "
            "docs/calibration.md says where to name the others"
        )
    return PathContent(ContentKind.RESPONSE, folder)
