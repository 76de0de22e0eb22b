"""SHA-256 of files and of values. Manifests hold those of files, in the format of ``sha256sum``.

A folder has its manifest inside, and a single file has it beside itself. Anybody checks them with ``sha256sum -c``. While a
single file is replaced, its manifest has a comment with the SHA-256 of the new one: whichever file is there is right.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from drivers.limits import LimitError

#: Name of the manifest in a folder.
MANIFEST = "manifest.sha256"
_SUFFIX = ".sha256"
#: Size of a manifest; one line for each of a million files has less.
_MAX_BYTES = 2**27
#: The digits, a blank, a blank or an asterisk, and the name: what ``sha256sum`` writes.
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
#: How a comment begins that has the SHA-256 of the file that is about to get this name.
_NEXT = "# "
_REMEDY = "copy or export it again"


def manifest_of(path: Path) -> Path:
    """Return the manifest of a folder, or of a single file."""
    return path / MANIFEST if path.is_dir() else path.with_name(path.name + _SUFFIX)


def manifest_text(digests: Mapping[str, str]) -> str:
    """Return the content of a manifest: for each name its SHA-256 in hexadecimal digits."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items())


def replacing_text(path: Path, sha256: str) -> str:
    """Return the manifest of a single file for as long as one with this SHA-256 replaces it: either of them is right.

    Where the present file is absent, or has no readable manifest, it is that of the new one.
    """
    try:
        present = [] if not path.exists() else _entries(manifest_of(path))
    except (OSError, LimitError):
        present = []
    lines = [f"{_NEXT if is_next else ''}{digest}  {name}\n" for digest, name, is_next in present]
    return "".join([*lines, f"{_NEXT}{sha256}  {path.name}\n"]) if lines else manifest_text({path.name: sha256})


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def values_sha256(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain values in hexadecimal digits: of their JSON with sorted keys, where dates are texts."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode("utf-8")).hexdigest()


def read_manifest(path: Path) -> dict[str, str] | None:
    """Return the SHA-256 of every file that the manifest of a folder or file lists, or None if there is no manifest.

    Raises
    ------
    LimitError
        The manifest is damaged, or names a file outside its folder.
    OSError
        It cannot be read.
    """
    file = manifest_of(path)
    if not file.is_file():
        return None
    return {name: digest for digest, name, is_next in _entries(file) if not is_next}


def _entries(file: Path) -> list[tuple[str, str, bool]]:
    """Return the SHA-256 and the name in every line of a manifest, and whether it is that of the next file of this name."""
    if file.stat().st_size > _MAX_BYTES:
        raise LimitError(f"{file.name} is larger than {_MAX_BYTES} bytes, which no manifest is; {_REMEDY}")
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise LimitError(f"{file.name} is damaged ({error}); {_REMEDY}") from error
    entries = []
    names = set()
    for line in filter(None, lines):
        is_next = file.name != MANIFEST and line.startswith(_NEXT)
        match = _LINE.fullmatch(line.removeprefix(_NEXT) if is_next else line)
        if not match or not _is_plain(match[2]) or (match[2] in names and not is_next):
            raise LimitError(f"{file.name} is damaged at {line[:80]!r}; {_REMEDY}")
        names.add(match[2])
        entries.append((match[1], match[2], is_next))
    return entries


def content_problem(name: str, content: bytes, digests: Mapping[str, str] | None) -> str:
    """Return what is wrong with a file of a folder that has a manifest; an empty text if nothing is."""
    return digest_problem(name, hashlib.sha256(content).hexdigest(), digests)


def digest_problem(name: str, sha256: str, digests: Mapping[str, str] | None) -> str:
    """As :func:`content_problem`, for a file whose SHA-256 is known."""
    if digests is None or digests.get(name) == sha256:
        return ""
    return _problem(name, MANIFEST, is_listed=name in digests)


def missing_files(folder: Path, digests: Mapping[str, str]) -> list[str]:
    """Return a problem for every file that the manifest of a folder lists and that is not there."""
    return [f"{name} is listed in {MANIFEST}, but missing; {_REMEDY}" for name in digests if not (folder / name).is_file()]


def file_problem(path: Path) -> str:
    """Return what is wrong with a single file that has a manifest beside itself; an empty text if nothing is.

    Raises
    ------
    LimitError
        The manifest is damaged.
    OSError
        A file cannot be read.
    """
    manifest = manifest_of(path)
    if not manifest.is_file():
        return ""
    right = {digest for digest, name, _ in _entries(manifest) if name == path.name}
    return "" if sha256_of(path) in right else _problem(path.name, manifest.name, is_listed=bool(right))


def _problem(name: str, manifest: str, *, is_listed: bool) -> str:
    state = f"differs from its SHA-256 in {manifest}" if is_listed else f"is not listed in {manifest}"
    return f"{name} {state}; {_REMEDY}, or delete {manifest} if you changed it yourself"


def _is_plain(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name
