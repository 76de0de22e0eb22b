"""The cells of the last frames: values over time by identity, and all of it as a CSV table."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from app.measuring.csv_text import Cell, csv_text
from drivers.base import Frame
from reconstruction.cells.table import CellQuantity, CellTable

#: What a reader of the CSV table has to know.
_NOTES: Final = (
    "one row for each cell and frame; a cell has the same identity in all frames, x and y are its centroid",
    "phases, volumes and masses are above the background, which is the median of a ring around the cell",
    "optical volume = sum of phase x wavelength / (2 pi) x area of a pixel; dry mass = optical volume / refractive increment",
    "_std: standard deviation of random errors alone, with errors of neighbouring pixels taken as correlated",
    "cut: the edge of the field cuts the cell off; empty: not known",
)
_COLUMNS: Final = {
    "identity": "identity",
    "area_um2": "area_um2",
    "area_px": "area_px",
    "background_rad": "background_rad",
    "mean_phase_rad": "mean_phase_rad",
    "mean_phase_std_rad": "mean_phase_std_rad",
    "optical_volume_um3": "optical_volume_um3",
    "optical_volume_std_um3": "optical_volume_std_um3",
    "dry_mass_pg": "dry_mass_pg",
    "dry_mass_std_pg": "dry_mass_std_pg",
    "cut": "is_cut",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class CellMoment:
    """The cells of one frame.

    Parameters
    ----------
    frame_index : int
        The camera's counter of the frame.
    time_s : float
        When it was exposed, in seconds of a clock that does not jump.
    pixel_um : float
        Side of a pixel of the phase's grid, in micrometres.
    cells : CellTable
        The measured cells.
    """

    frame_index: int
    time_s: float
    pixel_um: float
    cells: CellTable

    @classmethod
    def of_frame(cls, frame: Frame, pixel_um: float, cells: CellTable) -> Self:
        """Return the cells of a frame of the camera."""
        return cls(frame_index=frame.index, time_s=frame.t_ns * 1e-9, pixel_um=pixel_um, cells=cells)


class CellHistory:
    """The cells of the last frames. One thread uses it.

    Parameters
    ----------
    longest : int
        Number of frames that are kept.
    """

    def __init__(self, longest: int = 3000) -> None:
        self._moments: deque[CellMoment] = deque(maxlen=longest)

    def __len__(self) -> int:
        return len(self._moments)

    @property
    def newest(self) -> CellMoment | None:
        """The newest frame."""
        return self._moments[-1] if self._moments else None

    def add(self, moment: CellMoment) -> None:
        """Add a frame; one that is not newer begins the history again, as a live view that is started again does."""
        newest = self.newest
        if newest is not None and moment.frame_index <= newest.frame_index:
            self._moments.clear()
        self._moments.append(moment)

    def clear(self) -> None:
        """Forget everything."""
        self._moments.clear()

    def series(
        self, identities: Sequence[int], quantity: CellQuantity
    ) -> Mapping[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Return seconds before the newest frame and values of a quantity, for each of these cells; both have shape (n,)."""
        if not self._moments:
            return {}
        newest_s = self._moments[-1].time_s
        points: dict[int, list[tuple[float, float]]] = {identity: [] for identity in identities}
        for moment in self._moments:
            values = moment.cells.values(quantity)
            places = {int(identity): place for place, identity in enumerate(moment.cells.identity)}
            for identity, own in points.items():
                place = places.get(identity)
                # A frame without the cell is a gap of its curve.
                own.append((moment.time_s - newest_s, np.nan if place is None else float(values[place])))
        columns = {identity: np.array(own).reshape(-1, 2).T for identity, own in points.items()}
        return {identity: (times, values) for identity, (times, values) in columns.items()}

    def csv(self, wanted: Callable[[CellTable], NDArray[np.bool_]] = lambda cells: np.ones(len(cells), np.bool_)) -> str:
        """Return a row for each cell of each frame, with all digits.

        Parameters
        ----------
        wanted : callable
            Returns which cells of a frame are in the table.
        """
        rows: list[list[Cell]] = []
        for moment in self._moments:
            cells = moment.cells
            places = {"x_um": cells.x_px * moment.pixel_um, "y_um": cells.y_px * moment.pixel_um}
            columns = [*places.values(), *(getattr(cells, name) for name in _COLUMNS.values())]
            for k in np.flatnonzero(wanted(cells)):
                rows.append([moment.frame_index, moment.time_s, *(_plain(column[k]) for column in columns)])
        return csv_text(["frame", "time_s", "x_um", "y_um", *_COLUMNS], rows, _NOTES)


def _plain(value: np.generic) -> Cell:
    plain = value.item()
    return int(plain) if isinstance(plain, bool) else plain
