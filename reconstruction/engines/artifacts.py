"""What was exported or built once, kept on disk: whole or not at all, and never believed without its check sum.

An artifact is a file and a JSON sidecar of the same name. The sidecar holds the facts that the file was made from (they give
it its name), the file's SHA-256, and what was learned about it since: the gate's report, times.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acquisition.archive.atomic_files import write_bytes
from drivers.base import SpeckleScopeError
from reconstruction.engines.base import EngineError

log = logging.getLogger(__name__)

_REMEDY = "give a folder with room as SPECKLESCOPE_CACHE"


def cache_folder() -> Path:
    """Folder for compiled models: ``$SPECKLESCOPE_CACHE`` or ``~/.cache/specklescope``."""
    return Path(os.environ.get("SPECKLESCOPE_CACHE") or Path.home() / ".cache" / "specklescope")


class Artifact:
    """A file that depends on ``facts`` alone.

    Parameters
    ----------
    stem : str
        Beginning of its name, for people.
    suffix : str
        ``onnx``, ``rtx``.
    facts : mapping of str to str, int or list
        Everything that decides what is in it: hash of the weights, versions, shapes, precision, device, driver.
    """

    def __init__(self, stem: str, suffix: str, facts: Mapping[str, object]) -> None:
        self.facts = json.loads(json.dumps(dict(facts)))
        digest = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()[:12]
        self.path = cache_folder() / f"{stem}-{digest}.{suffix}"
        self.sidecar = self.path.with_name(self.path.name + ".json")

    def store(self, data: bytes) -> Path:
        """Write the file, then its sidecar; each appears whole or not at all.

        Raises
        ------
        EngineError
            There is no room, or no folder.
        """
        self._write(self.path, data)
        self._describe({"facts": self.facts, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})
        return self.path

    def load(self) -> bytes | None:
        """Return the file's content; None where there is none.

        Raises
        ------
        EngineError
            It is damaged, or made from other facts. It is removed, so that the next attempt makes it anew.
        """
        try:
            data = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise EngineError(f"cannot read {self.path}: {error.strerror}; {_REMEDY}") from error
        known = self._read()
        if known.get("facts") != self.facts:
            self._refuse("it has no description, or one of another model, version or machine")
        if hashlib.sha256(data).hexdigest() != known.get("sha256"):
            self._refuse(f"it is damaged: its check sum is not the one of the {known.get('bytes')} bytes that were written")
        return data

    def load_or_remove(self) -> bytes | None:
        """Return the content; a damaged file is logged and counts as none."""
        try:
            return self.load()
        except EngineError as error:
            log.warning("%s", error)
            return None

    def note(self, **learned: object) -> None:
        """Add what was learned about the file to its sidecar."""
        self._describe({**self._read(), **learned})

    def noted(self, key: str) -> Any:
        """Return what :meth:`note` took down under ``key``; None where it did not."""
        return self._read().get(key)

    def remove(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self.sidecar.unlink(missing_ok=True)

    def _refuse(self, why: str) -> None:
        self.remove()
        raise EngineError(f"the cached file {self.path.name} is refused: {why}; it was removed, to be made anew")

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.sidecar.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _describe(self, content: Mapping[str, object]) -> None:
        self._write(self.sidecar, json.dumps(content, indent=1).encode())

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        try:
            write_bytes(path, data, _REMEDY)
        except SpeckleScopeError as error:
            raise EngineError(str(error)) from error
