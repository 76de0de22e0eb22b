"""What the Data page remembers between two starts."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from PyQt6.QtCore import QByteArray, QSettings

from app.gui.data_page.entry_list.entry_model import Column

#: Folders that copies went to; the newest comes first.
_MOST_TARGETS = 5
_DEFAULT_ORDER = Column.DATE, True


class Remembered:
    """Archives, order and places of the Data page. Entries that cannot be used are as none.

    Parameters
    ----------
    store : QSettings, optional
        Where they are stored; None remembers them until the end of the program.
    """

    def __init__(self, store: QSettings | None) -> None:
        self._store = store
        self._kept: dict[str, object] = {}

    @property
    def own_archive(self) -> Path | None:
        """The archive of the instrument that was opened last."""
        return next(iter(self._paths("own_archive")), None)

    @own_archive.setter
    def own_archive(self, root: Path) -> None:
        self._keep_paths("own_archive", (root,))

    @property
    def archives(self) -> tuple[Path, ...]:
        """The archives that the operator has added."""
        return self._paths("archives")

    @archives.setter
    def archives(self, roots: tuple[Path, ...]) -> None:
        self._keep_paths("archives", tuple(dict.fromkeys(roots)))

    @property
    def targets(self) -> tuple[Path, ...]:
        """Folders that entries were copied to, the newest first."""
        return self._paths("targets")

    def add_target(self, folder: Path) -> None:
        """Remember where entries were copied to."""
        self._keep_paths("targets", tuple(dict.fromkeys((folder, *self.targets)))[:_MOST_TARGETS])

    @property
    def order(self) -> tuple[Column, bool]:
        """The column by which the list is sorted, and whether the largest comes first."""
        with suppress(KeyError, ValueError, TypeError):
            name, descending = json.loads(str(self._value("order")))
            return Column[name], bool(descending)
        return _DEFAULT_ORDER

    @order.setter
    def order(self, order: tuple[Column, bool]) -> None:
        self._keep("order", json.dumps([order[0].name, order[1]]))

    @property
    def splitter(self) -> bytes:
        """How the page is divided, as Qt writes it; empty where nothing is stored."""
        state = self._value("splitter")
        return state.data() if isinstance(state, QByteArray) else b""

    @splitter.setter
    def splitter(self, state: QByteArray) -> None:
        self._keep("splitter", state)

    def _paths(self, key: str) -> tuple[Path, ...]:
        with suppress(ValueError, TypeError):
            names = json.loads(str(self._value(key)))
            if isinstance(names, list):
                return tuple(Path(name) for name in names if isinstance(name, str) and name)
        return ()

    def _keep_paths(self, key: str, paths: tuple[Path, ...]) -> None:
        self._keep(key, json.dumps([str(path) for path in paths]))

    def _value(self, key: str) -> object:
        return self._kept.get(key) if self._store is None else self._store.value(f"data/{key}")

    def _keep(self, key: str, value: object) -> None:
        if self._store is None:
            self._kept[key] = value
        else:
            self._store.setValue(f"data/{key}", value)
