"""The operator's presets: states of the live page under names, in one JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from acquisition.archive.atomic_files import write_whole
from drivers.base import SpeckleScopeError

VERSION: Final = 1
_MAX_NAME: Final = 64
_REMEDY: Final = "free space on its disk, or make its folder writable"


class PresetError(SpeckleScopeError):
    """A preset cannot be stored or found. The message says what to do."""


class PresetStore:
    """The presets of one user, by name. A bad file or entry gives a warning and is skipped.

    Parameters
    ----------
    path : Path or None
        The file; it need not exist. None keeps the presets in memory only.

    Attributes
    ----------
    warnings : list of str
        What could not be read.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.warnings: list[str] = []
        self._path = path
        self._unreadable = False
        self._states = self._read() if path is not None and path.exists() else {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all presets, in alphabetical order."""
        return tuple(sorted(self._states, key=str.casefold))

    def state(self, name: str) -> Mapping[str, object]:
        """Return the state that is stored under a name; raises PresetError when there is none."""
        if name not in self._states:
            raise PresetError(f"there is no preset {name!r}; choose one of the list")
        return self._states[name]

    def save(self, name: str, state: Mapping[str, object]) -> None:
        """Store a state under a name; raises PresetError when the name or the file cannot be written."""
        self._write({**self._states, _checked(name): dict(state)})

    def rename(self, old: str, new: str) -> None:
        """Give a preset another name; raises PresetError when there is no such preset or the name is used."""
        state = self.state(old)
        if _checked(new) in self._states:
            raise PresetError(f"there is a preset {new!r} already; choose another name")
        self._write({**{name: each for name, each in self._states.items() if name != old}, new: dict(state)})

    def delete(self, name: str) -> None:
        """Delete a preset; raises PresetError when there is none of this name."""
        self.state(name)
        self._write({each: state for each, state in self._states.items() if each != name})

    def _read(self) -> dict[str, dict[str, object]]:
        assert self._path is not None
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if not isinstance(content, dict) or content.get("version") != VERSION:
                raise ValueError(f"it is no file of presets of version {VERSION}")
            entries = content.get("presets")
            if not isinstance(entries, dict):
                raise ValueError("it has no presets")
        except (OSError, ValueError, RecursionError) as error:
            self._unreadable = True
            self.warnings.append(f"The presets in {self._path} cannot be read ({error}); none is offered")
            return {}
        return {name: state for name, state in entries.items() if self._is_usable(name, state)}

    def _is_usable(self, name: str, state: object) -> bool:
        try:
            _checked(name)
        except PresetError as error:
            self.warnings.append(f"A preset was skipped: {error}")
            return False
        if not isinstance(state, dict):
            self.warnings.append(f"The preset {name!r} was skipped: it has no state")
            return False
        return True

    def _write(self, states: dict[str, dict[str, object]]) -> None:
        if self._path is not None:
            if self._unreadable:  # somebody may want to repair it
                self._path.replace(self._path.with_name(f"{self._path.name}.unreadable"))
                self._unreadable = False
            text = json.dumps({"version": VERSION, "presets": states}, indent=1, ensure_ascii=False)
            write_whole(self._path, f"{text}\n", _REMEDY, PresetError)
        self._states = states


def _checked(name: str) -> str:
    if not name or len(name) > _MAX_NAME or not name.isprintable() or name != name.strip():
        raise PresetError(f"{name!r} is no name for a preset; type 1 to {_MAX_NAME} printable characters")
    return name
