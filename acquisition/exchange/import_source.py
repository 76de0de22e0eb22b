"""Pairs from other programs, in any format: their headers are checked, their contents are still to be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acquisition.archive.rows import PairRow
from acquisition.archive.shards import ArraySpec, Image
from acquisition.exchange.conversion.phase import PhaseConverter
from acquisition.exchange.conversion.references import ImportedReferences
from acquisition.exchange.conversion.rows import RowFacts
from acquisition.exchange.conversion.speckle import SpeckleConverter
from acquisition.exchange.conversion.units import PhaseUnit
from drivers.base import SpeckleScopeError

#: Problems that an error message lists; it only counts the others.
_LISTED = 5
#: Times are counted in nanoseconds, and fit into 64 bits.
_SHORTEST_S, _LONGEST_S = 1e-9, 1e8


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


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What the operator states about pairs that are imported.

    Parameters
    ----------
    phase_range_rad : float, optional
        Phase of white in radians: of grey 255 in 8-bit labels. By default the one that the source states.
    phase_unit : PhaseUnit, optional
        Unit of the phase. Integers need it, except as labels in a folder, and so do values beyond the phase range.
    phase_white : float, optional
        Level of white, when the phase has levels; by default 255 for 8 bits and 65535 for 16 bits.
    phase_fill : float, optional
        Value, in the unit of the phase, for pixels that are not finite. By default they are refused.
    speckle, phase : str
        Name of the array, of the file, or, for a source with folders, of the folder that holds the images.
    axes : str
        The axes of arrays where nothing in the file tells them: the letters N, H and W in their order, or NCHW or HWCN
        where frames have channels.
    bit_depth : int, optional
        Bits of the camera.
    speckle_white : float, optional
        Value of white, for speckle that is no counts; it becomes the highest count.
    pixel_um : float, optional
        Side of a camera pixel at the fibre's facet, in micrometres.
    period_s : float, optional
        Time from frame to frame in seconds, for sources without times.
    reference_name : str
        Name that the source gives to its reference pairs.
    to_grey : bool
        Take coloured pictures by the mean of their channels, and transparent parts as black. By default they are refused.
    references : Path, optional
        Folder of what a recording was reconstructed against, as an export writes it. By default the one beside the file.
    no_references : bool
        Leave that folder out.
    metadata : mapping
        Further facts, plain YAML values. They replace what the source states.
    allow_duplicates : bool
        Accept frames of the same content, with a note. By default they are refused, because no camera gives the same frame
        twice. Repeated patterns are always noted and accepted.
    """

    phase_range_rad: float | None = None
    phase_unit: PhaseUnit | None = None
    phase_white: float | None = None
    phase_fill: float | None = None
    speckle: str = ""
    phase: str = ""
    axes: str = ""
    bit_depth: int | None = None
    speckle_white: float | None = None
    pixel_um: float | None = None
    period_s: float | None = None
    reference_name: str = ""
    to_grey: bool = False
    references: Path | None = None
    no_references: bool = False
    metadata: Mapping[str, object] = field(default_factory=dict)
    allow_duplicates: bool = False

    def problems(self) -> list[str]:
        """Return what cannot be true."""
        quantities = {
            "--phase-range-rad, the phase of white in radians,": self.phase_range_rad,
            "--phase-white, the level of white,": self.phase_white,
            "--speckle-white, the value of white,": self.speckle_white,
            "--pixel-um, the side of a pixel in micrometres,": self.pixel_um,
            "--period-s, the time from frame to frame,": self.period_s,
        }
        problems = [
            f"{name} must be above 0; it is {value}"
            for name, value in quantities.items()
            if value is not None and not 0 < value < math.inf
        ]
        if self.period_s is not None and not _SHORTEST_S <= self.period_s <= _LONGEST_S:
            problems.append(
                f"--period-s {self.period_s:g} is no time from frame to frame: give {_SHORTEST_S:g} to {_LONGEST_S:g} s"
            )
        if self.phase_fill is not None and not math.isfinite(self.phase_fill):
            problems.append(f"--phase-fill, the value for pixels that are not finite, must be finite; it is {self.phase_fill}")
        if self.no_references and self.references is not None:
            problems.append(f"--references {self.references} and --no-references contradict each other; give one of them")
        return problems


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
    phase, speckle, rows : PhaseConverter, SpeckleConverter, RowFacts
        They know what the values mean, when all images were read.
    problems, notes : list of str
        What makes an import impossible, and what the operator should know.
    picture_notes : callable
        Returns what the operator should know of the pictures that were read.
    references : ImportedReferences
        What the frames were reconstructed against.
    """

    path: Path
    specs: Sequence[ArraySpec]
    count: int
    metadata: dict[str, Any]
    images: Callable[[list[str]], Iterator[dict[str, Image] | None]]
    row: Callable[[int, Mapping[str, Image]], PairRow]
    name: Callable[[str, int], str]
    hashed: tuple[str, ...]
    phase: PhaseConverter
    speckle: SpeckleConverter
    rows: RowFacts
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    picture_notes: Callable[[], list[str]] = list
    references: ImportedReferences = field(default_factory=ImportedReferences)

    def conclude(self) -> None:
        """After all images were read: add what all of them together show to the problems, the notes and the metadata."""
        self.problems += self.phase.problems()
        self.notes += [*self.picture_notes(), *self.phase.notes(), *self.speckle.notes(), *self.rows.notes()]
        if self.speckle.bit_depth is not None:
            self.metadata["bit_depth"] = self.speckle.bit_depth
