"""The cells of the last frames: values over time by identity, and the CSV table."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from app.measuring.cell_history import CellHistory, CellMoment
from reconstruction.cells.measurement import measure_cells
from reconstruction.cells.table import CellQuantity, CellScale

SIDE = 32
EVERYWHERE = np.ones((SIDE, SIDE), np.bool_)


def moment(index: int, heights_rad: dict[int, float], scale: CellScale | None = None) -> CellMoment:
    """Return a frame whose cells have these identities and phases."""
    phase, labels = np.zeros((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.uint16)
    for number, height_rad in enumerate(heights_rad.values(), start=1):
        place = np.s_[2 + 10 * (number - 1) : 6 + 10 * (number - 1), 2:6]
        phase[place], labels[place] = height_rad, number
    cells = measure_cells(phase, labels, EVERYWHERE, scale or CellScale(pixel_um=2.0))
    cells = cells.with_identities(np.array(list(heights_rad), np.int32))
    return CellMoment(frame_index=index, time_s=100.0 + index / 10, pixel_um=2.0, cells=cells)


def test_a_series_has_a_gap_where_the_cell_is_not_there() -> None:
    history = CellHistory()
    for each in (moment(0, {7: 1.0, 8: 0.5}), moment(1, {8: 0.6}), moment(2, {8: 0.7, 7: 1.5})):
        history.add(each)
    time_s, phase = history.series([7], CellQuantity.MEAN_PHASE)[7]
    assert time_s == pytest.approx([-0.2, -0.1, 0.0])
    assert phase == pytest.approx([1.0, np.nan, 1.5], nan_ok=True)
    assert list(history.series([8, 9], CellQuantity.AREA)[8][1]) == [64.0] * 3
    assert np.isnan(history.series([9], CellQuantity.AREA)[9][1]).all()


def test_the_table_has_a_row_for_each_cell_and_frame_and_empty_cells_for_what_is_not_known() -> None:
    history = CellHistory()
    history.add(moment(0, {7: 1.0, 8: 0.5}))
    history.add(moment(1, {8: 0.6}))
    text = history.csv()
    assert text.startswith("# one row for each cell and frame")
    rows = list(csv.DictReader(io.StringIO("".join(line for line in text.splitlines(keepends=True) if line[0] != "#"))))
    assert [(row["frame"], row["identity"]) for row in rows] == [("0", "7"), ("0", "8"), ("1", "8")]
    assert (rows[0]["area_px"], rows[0]["x_um"], rows[0]["cut"]) == ("16", "7", "0")
    assert rows[0]["dry_mass_pg"] == rows[0]["optical_volume_um3"] == ""
    assert len(history.csv(lambda cells: cells.identity == 7).splitlines()) == len(text.splitlines()) - 2


def test_old_frames_are_forgotten_and_a_live_view_that_starts_again_begins_a_new_history() -> None:
    history = CellHistory(longest=3)
    for index in range(5):
        history.add(moment(index, {1: 1.0}))
    assert len(history) == 3
    history.add(moment(0, {1: 1.0}))
    assert len(history) == 1
    history.clear()
    assert history.newest is None
    assert history.series([1], CellQuantity.AREA) == {}
