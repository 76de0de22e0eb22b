"""What people add to an entry: a note, tags and a star, in the file ``notes.yaml`` in its own folder.

Without this file they are those that were typed before the recording, in its metadata, which never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from acquisition.archive.atomic_files import write_whole
from acquisition.archive.folder import sole_writer
from acquisition.archive.old_names import METADATA
from acquisition.archive.rows import is_text
from drivers.base import SpeckleScopeError
from drivers.limits import LimitError, check_inside
from drivers.safe_text import dump_yaml, read_yaml

NOTES = "notes.yaml"
MOST_NOTE_LETTERS, MOST_TAGS, MOST_TAG_LETTERS = 10_000, 30, 40
_REMEDY = "check the permissions of the folder and its disk"


class NotesError(SpeckleScopeError):
    """Notes cannot be read or stored; what was stored before is unchanged."""


@dataclass(frozen=True, kw_only=True)
class Notes:
    """What people have added to an entry.

    Parameters
    ----------
    text : str
        A note, in one or more lines.
    tags : tuple of str
        Short words, in the order in which they were added.
    star : bool
        Whether it has a star.
    """

    text: str = ""
    tags: tuple[str, ...] = ()
    star: bool = False


def read_notes(folder: Path) -> Notes:
    """Read what people have added to the entry in ``folder``: what is stored, or else what was typed before it was recorded.

    Raises
    ------
    NotesError
        The file is damaged, or cannot be read.
    """
    stored = stored_notes(folder)
    if stored is not None:
        return stored
    metadata: object = {}
    with suppress(OSError, ValueError, yaml.YAMLError):  # an entry that cannot be read has notes too
        check_inside(folder, [METADATA])
        metadata = read_yaml(folder / METADATA)
    return recorded_notes(metadata if isinstance(metadata, dict) else {})


def stored_notes(folder: Path) -> Notes | None:
    """Read the notes that are stored in the entry's folder, None without any; raises as :func:`read_notes`."""
    file = folder / NOTES
    try:
        check_inside(folder, [NOTES])
        if not file.is_file():
            return None
        content = read_yaml(file)
        return _checked(Notes(text=content["text"], tags=tuple(content["tags"]), star=content["star"]))
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError, LimitError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise NotesError(f"{file} cannot be read ({reason}); correct it, or delete it to write new notes") from error


def recorded_notes(metadata: Mapping[str, object]) -> Notes:
    """Return the note and the tags that were typed before a recording, as its metadata state them."""
    text, tags = metadata.get("notes"), metadata.get("tags")
    known = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return Notes(text=text if isinstance(text, str) else "", tags=_tidy(known))


def change_notes(
    folder: Path, *, text: str | None = None, tags: Iterable[str] | None = None, star: bool | None = None
) -> Notes:
    """Change what people have added to an entry, also while it is being written, and return all of it.

    What is None stays as it is on the disk, so two windows that change different things do not disturb each other.

    Parameters
    ----------
    folder : Path
        The entry's folder.
    text : str, optional
        The new note.
    tags : iterable of str, optional
        The new tags; blanks around them are removed, and so are repetitions.
    star : bool, optional
        Whether it has a star.

    Raises
    ------
    SpeckleScopeError
        The note or a tag is too long or has characters that cannot be stored, or the folder cannot be written.
    """
    if not folder.is_dir():
        raise NotesError(f"{folder} is not there any more; look at the archive again")
    with sole_writer(folder / NOTES, wait=True):
        before = read_notes(folder)
        notes = Notes(
            text=before.text if text is None else text,
            tags=before.tags if tags is None else _tidy(tags),
            star=before.star if star is None else star,
        )
        try:
            _checked(notes)
        except (TypeError, ValueError) as error:
            raise NotesError(f"the notes were not stored: {error}; make them shorter") from error
        content = {**asdict(notes), "tags": list(notes.tags)}
        write_whole(folder / NOTES, dump_yaml(content), _REMEDY, NotesError)
    return notes


def _tidy(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags without blanks around them; of those that differ only in capitals, the first stays."""
    known: dict[str, str] = {}
    for tag in tags:
        tidy = " ".join(tag.split())
        if tidy:
            known.setdefault(tidy.casefold(), tidy)
    return tuple(known.values())


def _checked(notes: Notes) -> Notes:
    if not isinstance(notes.text, str) or not isinstance(notes.star, bool) or not all(isinstance(t, str) for t in notes.tags):
        raise TypeError("a note and its tags are texts, and a star is true or false")
    if len(notes.text) > MOST_NOTE_LETTERS or len(notes.tags) > MOST_TAGS:
        raise ValueError(
            f"a note has up to {MOST_NOTE_LETTERS} letters and an entry up to {MOST_TAGS} tags, "
            f"got {len(notes.text)} letters and {len(notes.tags)} tags"
        )
    for tag in notes.tags:
        if not 0 < len(tag) <= MOST_TAG_LETTERS or not tag.isprintable():
            raise ValueError(f"a tag has 1 to {MOST_TAG_LETTERS} letters in one line, got {tag[:50]!r}")
    if not is_text("".join((notes.text, *notes.tags))) or "\0" in notes.text:
        raise ValueError("the note has characters that are no text")
    return notes
