"""Files that are exported or built once and kept in a cache folder; every file is checked before use.

An artifact is a file and a JSON sidecar with the same name. The sidecar holds the facts that the file was made from (they also
give the file its name), the SHA-256 of the file, and later findings, such as the report of the engine check.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from acquisition.archive.atomic_files import write_bytes, write_whole
from acquisition.archive.folder import sole_writer
from acquisition.archive.rows import StorageError
from drivers.safe_text import parse_json
from reconstruction.engines.base import EngineError

log = logging.getLogger(__name__)

_REMEDY = "set SPECKLESCOPE_CACHE to a folder with free space"


def cache_folder() -> Path:
    """Return the folder for compiled models: ``$SPECKLESCOPE_CACHE``, or the user's cache folder of this system."""
    folder = os.environ.get("SPECKLESCOPE_CACHE")
    return Path(folder) if folder else user_cache_path("specklescope", appauthor=False)


class Artifact:
    """A file that depends only on ``facts``.

    Parameters
    ----------
    stem : str
        Beginning of the file name, for people.
    suffix : str
        End of the file name, such as ``onnx`` or ``rtx``.
    facts : mapping of str to str, int or list
        Everything that determines the content: hash of the weights, versions, shapes, precision, device, driver.
    """

    def __init__(self, stem: str, suffix: str, facts: Mapping[str, object]) -> None:
        self.facts = json.loads(json.dumps(dict(facts)))
        digest = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()[:12]
        self.path = cache_folder() / f"{stem}-{digest}.{suffix}"
        self.sidecar = self.path.with_name(self.path.name + ".json")

    def store(self, data: bytes) -> Path:
        """Write the sidecar, then the file, each completely or not at all: no reader finds a file without its sidecar.

        Raises
        ------
        EngineError
            The disk is full, or the folder cannot be written.
        """
        self._describe({"facts": self.facts, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})
        write_bytes(self.path, data, _REMEDY, EngineError)
        return self.path

    def load(self) -> bytes | None:
        """Return the content of the file; None if there is no file.

        Raises
        ------
        EngineError
            The file cannot be read, is damaged, or was made from other facts. A damaged or wrong file is removed, so that the
            next attempt makes a new one.
        """
        try:
            data = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise EngineError(f"cannot read {self.path}: {error.strerror}; {_REMEDY}") from error
        known = self._read()
        if known.get("facts") != self.facts:
            self._refuse("its description is missing, or is that of another model, version or machine")
        if hashlib.sha256(data).hexdigest() != known.get("sha256"):
            self._refuse(f"it is damaged: its checksum differs from that of the {known.get('bytes')} bytes that were written")
        return data

    def load_or_remove(self) -> bytes | None:
        """Return the content; None if there is no file, or after a damaged file was logged and removed."""
        try:
            return self.load()
        except EngineError as error:
            log.warning("%s", error)
            return None

    def load_or_build(self, build: Callable[[], bytes]) -> bytes:
        """Return the content; where there is none, build and store it.

        A second process that needs the same file waits for the first one, and uses its result. If the first one fails or is
        killed, the second one builds. :func:`acquisition.archive.folder.waiting_announced` shows what it waits for.

        Raises
        ------
        EngineError
            As ``build`` does, or the file cannot be written.
        """
        content = self.load_or_remove()
        if content is None:
            with self._sole_builder():
                content = self.load_or_remove()
                if content is None:
                    content = build()
                    self.store(content)
        return content

    @contextmanager
    def _sole_builder(self) -> Iterator[None]:
        with ExitStack() as stack:
            try:
                stack.enter_context(sole_writer(self.path, wait=True))
            except StorageError as error:
                raise EngineError(f"{error}; {_REMEDY}") from error
            yield

    def note(self, **findings: object) -> None:
        """Add findings about the file to its sidecar."""
        self._describe({**self._read(), **findings})

    def noted(self, key: str) -> Any:
        """Return the finding that :meth:`note` stored under ``key``; None if there is none."""
        return self._read().get(key)

    def remove(self) -> None:
        """Remove the file and its sidecar."""
        self.path.unlink(missing_ok=True)
        self.sidecar.unlink(missing_ok=True)

    def _refuse(self, why: str) -> None:
        self.remove()
        raise EngineError(f"the cached file {self.path.name} is refused: {why}; it was removed and will be made again")

    def _read(self) -> dict[str, Any]:
        try:
            content = parse_json(self.sidecar.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _describe(self, content: Mapping[str, object]) -> None:
        write_whole(self.sidecar, json.dumps(content, indent=1), _REMEDY, EngineError)
