"""Reading a result: layers for some or all frames of a recording, each image protected by its CRC-32.

A result is a folder ``results/NAME`` in the folder of its recording, with ``result.yaml`` (how it was made), ``rows.npy`` (the
numbers of the rows that it has), one ``.npy`` file for each layer, ``crc32.npy``, and ``manifest.sha256``. It gets its name
when it is complete.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from acquisition.archive.results.disc import DISC, Disc, parsed_disc
from acquisition.archive.rows import StorageError
from drivers.limits import LimitError, check_inside
from drivers.manifest import digest_problem, read_manifest, sha256_of
from drivers.safe_arrays import load_npy, read_npy_header
from drivers.safe_text import read_yaml

#: The folder of all results, in the recording's folder.
RESULTS = "results"
CARD, ROWS, CRC32 = "result.yaml", "rows.npy", "crc32.npy"
#: Layers that a result may have, and the types of their images.
LAYERS: Mapping[str, str] = {"phase": "float32", "uncertainty": "float32", "labels": "uint16"}
_REMEDY = "compute it again"


class ResultKind(StrEnum):
    """What a result is."""

    #: Phase and labels of every frame, computed again.
    RECONSTRUCTION = "reconstruction"
    #: Phase and labels of the frames that were skipped while they were recorded.
    SKIPPED_FRAMES = "skipped-frames"
    #: Labels of the recorded phase, computed again.
    SEGMENTATION = "segmentation"


@dataclass(frozen=True, kw_only=True)
class ResultCard:
    """How a result was made.

    Parameters
    ----------
    kind : ResultKind
        What it is.
    name : str
        For people.
    created_utc : str
        When it was made, ISO 8601.
    method, method_id : str
        The model or the method, and its hash.
    engine : str
        The engine that computed it.
    reference : str
        What it was reconstructed against.
    facts : mapping
        Further plain values, such as settings.
    """

    kind: ResultKind
    name: str
    created_utc: str
    method: str = ""
    method_id: str = ""
    engine: str = ""
    reference: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class _Layer:
    """Where the images of a layer are in its file."""

    file: Path
    offset: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        return self.shape[0] * self.shape[1] * self.dtype.itemsize


class StoredResult:
    """A result that was opened; its images are read one by one, and each is checked.

    Parameters
    ----------
    path : Path
        Its folder.

    Raises
    ------
    StorageError
        A file is missing or damaged.

    Attributes
    ----------
    path : Path
        Its folder.
    card : ResultCard
        How it was made.
    disc : ndarray of bool, shape (h, w), or None
        The fibre's disc in which its phase was computed, where its card says it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            check_inside(path, (), whole=(".",))
            self._sums = read_manifest(path) or {}
            for name in (CARD, ROWS, CRC32):
                if problem := digest_problem(name, sha256_of(path / name), self._sums):
                    raise LimitError(problem)
            card, content = _card(read_yaml(path / CARD))
            self.card = card
            self.disc: Disc | None = parsed_disc(card.facts[DISC]) if DISC in card.facts else None
            self._rows: NDArray[np.int64] = load_npy(path / ROWS)
            self._crc32: NDArray[np.uint32] = load_npy(path / CRC32)
            self._layers = {str(name): self._layer(str(name)) for name in content}
            if self._crc32.shape != (len(self._layers), len(self._rows)):
                raise LimitError(f"{CRC32} is {self._crc32.shape} for {len(self._layers)} layers of {len(self._rows)} frames")
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError, LimitError) as error:
            reason = " ".join(str(getattr(error, "strerror", None) or error).split())
            raise StorageError(f"the result {path} cannot be read ({reason}); {_REMEDY}") from error

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of its layers: ``phase``, ``uncertainty``, ``labels``."""
        return tuple(self._layers)

    @property
    def rows(self) -> tuple[int, ...]:
        """The numbers of the rows of the recording that it has images of, in order."""
        return tuple(self._places)

    @cached_property
    def _places(self) -> dict[int, int]:
        return {int(row): place for place, row in enumerate(self._rows)}

    def __contains__(self, row: object) -> bool:
        return row in self._places

    def shape(self, layer: str) -> tuple[int, int]:
        """Return the shape of the images of a layer, (h, w)."""
        return self._layers[layer].shape

    def read(self, layer: str, row: int) -> NDArray[Any]:
        """Return the image of a layer for a row of the recording, shape (h, w).

        Raises
        ------
        StorageError
            The result has no such layer or row, or the image is damaged.
        """
        if layer not in self._layers or row not in self._places:
            raise StorageError(f"the result {self.path.name} has no {layer} of row {row}; {_REMEDY}")
        where, place = self._layers[layer], self._places[row]
        try:
            with where.file.open("rb") as file:
                file.seek(where.offset + place * where.nbytes)
                content = file.read(where.nbytes)
        except OSError as error:
            raise StorageError(f"{where.file} cannot be read ({error.strerror}); check its disk") from error
        if len(content) != where.nbytes or zlib.crc32(content) != self.crc32(layer, row):
            raise StorageError(f"row {row} of {where.file} differs from what was written (CRC-32); {_REMEDY}")
        return np.frombuffer(content, where.dtype).reshape(where.shape)

    def crc32(self, layer: str, row: int) -> int:
        """Return the CRC-32 of the image of a layer for a row, as it was written."""
        return int(self._crc32[list(self._layers).index(layer), self._places[row]])

    def damage(self) -> Iterator[str]:
        """Read everything, and yield one text for each file that differs from what was written."""
        for name, sha256 in self._sums.items():
            try:
                is_same = sha256_of(self.path / name) == sha256
            except OSError:
                is_same = False
            if not is_same:
                yield f"{self.path / name} differs from what was written (SHA-256); {_REMEDY}"

    def _layer(self, name: str) -> _Layer:
        if name not in LAYERS or f"{name}.npy" not in self._sums:
            raise LimitError(f"it has an unknown layer {name!r}")
        path = self.path / f"{name}.npy"
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            shape, is_fortran, dtype = read_npy_header(file, size, size)
            offset = file.tell()
        if len(shape) != 3 or shape[0] != len(self._rows) or is_fortran or dtype != np.dtype(LAYERS[name]).newbyteorder("<"):
            raise LimitError(f"{path.name} is {dtype} {shape} for {len(self._rows)} frames")
        if size != offset + prod(shape) * dtype.itemsize:
            raise LimitError(f"{path.name} has {size} bytes, which are not those of {shape}")
        return _Layer(path, offset, (shape[1], shape[2]), dtype)


def _card(content: Any) -> tuple[ResultCard, list[str]]:
    texts = {name: str(content[name]) for name in ("name", "created_utc", "method", "method_id", "engine", "reference")}
    return ResultCard(kind=ResultKind(content["kind"]), facts=dict(content["facts"]), **texts), list(content["layers"])


def stored_results(path: Path) -> tuple[list[StoredResult], list[str]]:
    """Return the results of the recording at ``path``, the oldest first, and one text for each that cannot be read."""
    results, problems = [], []
    try:
        folders = sorted(one for one in (path / RESULTS).iterdir() if one.is_dir() and not one.name.startswith("."))
    except OSError:
        return [], []
    for folder in folders:
        try:
            results.append(StoredResult(folder))
        except StorageError as error:
            problems.append(str(error))
    return results, problems
