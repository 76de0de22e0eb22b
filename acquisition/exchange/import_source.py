"""Pairs from elsewhere, whatever their format: headers checked, contents still to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acquisition.archive.rows import PairRow
from acquisition.archive.shards import ArraySpec, Image
from drivers.base import SpeckleScopeError

_TOLD = 5  # problems that one line can hold


class PairImportError(SpeckleScopeError):
    """Pairs cannot be imported: ``problems`` names every file or image that is wrong, the message the first few."""

    def __init__(self, source: Path, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        more = f"; and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
        super().__init__(f"cannot import {source}: {'; '.join(problems[:_TOLD])}{more}")


@dataclass
class PairSource:
    """Pairs that were found.

    Parameters
    ----------
    path : Path
        Where they come from.
    specs : sequence of ArraySpec
        The arrays of the archive to be.
    count : int
        Number of pairs.
    metadata : dict
        What is known about all of them.
    images : callable
        Yields every pair's images by array name, in order. For a pair that cannot be read it yields None, and the list
        that it was given gets the reason.
    row : callable
        ``(index, images) -> PairRow``.
    name : callable
        ``(array, index) -> str``, the file or image in messages.
    hashed : tuple of str
        Arrays that were stored; the others derive from them.
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
