"""New names for entries: what a name may be, and a rename that is refused or done as a whole."""

from __future__ import annotations

from pathlib import Path

from acquisition.archive.atomic_files import sync_folder
from acquisition.archive.folder import clean_name, one_line
from acquisition.archive.journal.writer import Journal
from acquisition.archive.reader import JOURNAL
from acquisition.archive.rows import StorageError
from app.library.entry import Entry, EntryKind, LibraryError
from app.library.folder_reader import ENTRY_NAME, SNAPSHOT_NAME
from app.library.in_use import sole_user

MOST_LETTERS = 80
#: Characters that no file's name may have on Windows.
_FORBIDDEN = '<>:"/\\|?*'
#: Names of devices on Windows, also with an ending.
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a folder on every system.

    Raises
    ------
    LibraryError
        The name is empty or too long, begins or ends with a blank, ends with a dot, or has a character or a name that Windows
        does not allow.
    """
    forbidden = "".join(sorted({letter for letter in name if letter in _FORBIDDEN or not letter.isprintable()}))
    if not name.strip():
        reason = "it is empty"
    elif len(name) > MOST_LETTERS:
        reason = f"it has {len(name)} letters, at most {MOST_LETTERS} are allowed"
    elif forbidden:
        reason = f"no file may have {ascii(forbidden)[1:-1]} in its name on Windows"
    elif name != name.strip() or name.endswith("."):
        reason = "a name neither begins nor ends with a blank, and does not end with a dot"
    elif name.partition(".")[0].strip().upper() in _DEVICES:
        reason = "Windows uses this name for a device"
    elif not _has_letter(name):
        reason = "it has no letter or digit"
    else:
        return
    raise LibraryError(f"{name[:MOST_LETTERS]!r} cannot be a name: {reason}; choose another name")


def _has_letter(name: str) -> bool:
    try:
        return bool(clean_name(name))
    except StorageError:
        return False


def rename(entry: Entry, name: str) -> Path:
    """Give an entry another name: in its journal, where it has one, and in the name of its folder.

    A rename that was interrupted is completed by another one to the same name.

    Parameters
    ----------
    entry : Entry
        A recording, a dataset or a snapshot.
    name : str
        The new name, for people. In the name of the folder, odd characters become ``-``.

    Returns
    -------
    Path
        The new folder.

    Raises
    ------
    SpeckleScopeError
        It cannot be a name, another entry in this folder has it, the entry is being written or read, or the folder cannot be
        written. Nothing is changed.
    """
    check_name(name)
    path = entry.path
    new = path.with_name(_folder_name(path.name, clean_name(name)))
    _check_is_new(path, new, name)
    with sole_user(path):
        try:
            _move(path, new)
            if entry.kind is not EntryKind.SNAPSHOT:
                _name_in_journal(new, path, name)
        except OSError as error:
            raise LibraryError(f"{path.name} cannot be renamed: {one_line(error)}; check the folder's permissions") from error
    return new


def _move(path: Path, new: Path) -> None:
    if new != path:
        path.rename(new)
        sync_folder(new.parent)


def _name_in_journal(path: Path, former: Path, name: str) -> None:
    """Store the new name; if that fails, the folder gets its former name back."""
    try:
        with Journal.open(path / JOURNAL) as journal:
            journal.set_status({"name": name})
    except StorageError as error:
        _move(path, former)
        raise LibraryError(f"{former.name} cannot be renamed: {error}") from error


def _folder_name(old: str, label: str) -> str:
    """Return the name of a folder with another label between its date and its end."""
    if match := ENTRY_NAME.fullmatch(old):
        return f"{match[1]}_{match[2]}_{label}_{match[4]}"
    if match := SNAPSHOT_NAME.fullmatch(old):
        return f"{match[1]}_snapshot_{label}"
    return label


def _label(folder: str) -> str:
    """Return the part of a folder's name that a person has chosen; drives of Windows and macOS ignore capitals."""
    match = ENTRY_NAME.fullmatch(folder) or SNAPSHOT_NAME.fullmatch(folder)
    return (folder if match is None else match[3] if match.re is ENTRY_NAME else match[2]).casefold()


def _check_is_new(path: Path, new: Path, name: str) -> None:
    try:
        others = [other.name for other in path.parent.iterdir() if other != path and not other.name.startswith(".")]
    except OSError as error:
        raise LibraryError(f"{path.parent} cannot be read: {one_line(error)}; check whether its disk is there") from error
    taken = next((other for other in others if _label(other) == _label(new.name)), None)
    if taken is not None:
        raise LibraryError(f"there is already an entry with the name {name!r}: {taken}; choose another name")
