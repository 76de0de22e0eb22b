"""Pairs from other programs, in any format: their headers are checked, their contents are still to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acquisition.archive.rows import PairRow
from acquisition.archive.shards import ArraySpec, Image
from drivers.base import SpeckleScopeError

#: Problems that an error message lists; it only counts the others.
_LISTED = 5


class PairImportError(SpeckleScopeError):
    """Pairs cannot be imported.

    Attributes
    ----------
    problems : tuple of str
        Every file or image that is wrong, with the reason; the message lists the first few.
    """

    def __init__(self, source: Path, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        super().__init__(f"cannot import {source}: {'; '.join(problems[:_LISTED])}{more}")


@dataclass(kw_only=True)
class PairSource:
    """Pairs that can be imported.

    Parameters
    ----------
    path : Path
        File or folder of the pairs.
    specs : sequence of ArraySpec
        The arrays of the new archive.
    count : int
        Number of pairs.
    metadata : dict
        Facts about all of them.
    images : callable
        Takes a list of problems. Yields every pair's images by array name, in order; for a pair that cannot be read it yields
        None and adds the reason to the list.
    row : callable
        ``(index, images) -> PairRow``.
    name : callable
        ``(array, index) -> str``, the file or image in messages.
    hashed : tuple of str
        Arrays that the source stores; the others are computed from these.
    problems, notes : list of str
        What makes an import impossible, and what the operator should know.
    """

    path: Path
    specs: Sequence[ArraySpec]
    count: int
    metadata: dict[str, Any]
    images: Callable[[list[str]], Iterator[dict[str, Image] | None]]
    row: Callable[[int, Mapping[str, Image]], PairRow]
    name: Callable[[str, int], str]
    hashed: tuple[str, ...]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
