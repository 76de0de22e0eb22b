"""The fibre's disc on the grid of a phase: nothing was observed outside it. It is stored once for each method.

It is described by its shape, and by the lengths of the runs of pixels outside and inside it, row by row. The first run is
outside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.rows import StorageError
from drivers.safe_text import parse_json

#: The pixels inside the disc, shape (h, w).
Disc = NDArray[np.bool_]
#: How a key of a journal's status begins that describes the disc of a method; the hash of the method follows.
_STATUS = "disc "
#: Key of a card and of metadata for the disc of a single method, and for the discs of all methods of a recording.
DISC, DISCS = "disc", "discs"
#: A larger disc is no disc of ours.
_MOST_PIXELS = 2**26


def described_disc(disc: Disc) -> dict[str, object]:
    """Return a disc as plain values: ``shape``, and ``runs`` as a text with blanks between the numbers."""
    flat = np.concatenate([[False], disc.ravel()])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate([[0], edges, [disc.size]]))
    return {"shape": list(disc.shape), "runs": " ".join(map(str, runs))}


def parsed_disc(described: object) -> Disc:
    """Return the disc from its plain values.

    Raises
    ------
    StorageError
        These values describe no disc.
    """
    try:
        height, width, runs = _numbers(described)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise StorageError(f"shape and runs of a disc are no whole numbers ({error}); restore the file from a copy") from error
    if sum(runs) != height * width or sum(runs) > _MOST_PIXELS or min((height, width, *runs)) < 0:
        raise StorageError(f"the runs of a disc do not fill {height} x {width} pixels; restore the file from a copy")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)


def disc_entry(method_id: str, disc: Disc) -> dict[str, str]:
    """Return the entry for the journal's status that holds the disc of a method."""
    return {f"{_STATUS}{method_id}": json.dumps(described_disc(disc))}


def discs_in(status: Mapping[str, str]) -> dict[str, Disc]:
    """Return the discs that a journal's status describes, by the hash of their method; none in recordings before 0.2.0.

    Raises
    ------
    StorageError
        An entry describes no disc.
    """
    discs = {}
    for key in sorted(key for key in status if key.startswith(_STATUS)):
        try:
            described = parse_json(status[key])
        except ValueError as error:
            raise StorageError(f"the entry {key!r} of the journal is no JSON; restore it from a copy") from error
        discs[key.removeprefix(_STATUS)] = parsed_disc(described)
    return discs


def _numbers(described: Any) -> tuple[int, int, list[int]]:
    height, width = described["shape"]
    if type(height) is not int or type(width) is not int:
        raise TypeError(f"the shape is {described['shape']!r}")
    return height, width, [int(number) for number in described["runs"].split()]
