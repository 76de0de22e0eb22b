"""Colours of outlines say what they are chosen for, and texts lie in their cells."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.gui.image_view.cell_marks import (
    CellColour,
    CellLook,
    CellSizes,
    cell_colours,
    cell_texts,
    identity_colour,
    outline_colours,
)
from reconstruction.cells.measurement import measure_cells
from reconstruction.cells.table import CellScale, CellTable


@pytest.fixture
def cells() -> CellTable:
    phase, labels = np.zeros((32, 32), np.float32), np.zeros((32, 32), np.uint16)
    for number, side in ((1, 3), (2, 5), (4, 8)):  # no cell has the number 3
        labels[8 * (number - 1) : 8 * (number - 1) + side, :side] = number
        phase[labels == number] = number
    table = measure_cells(phase, labels, np.ones((32, 32), np.bool_), CellScale(pixel_um=1.0))
    return table.with_identities(np.array([9, 1, 2], np.int32))


def test_a_colour_belongs_to_the_label_and_an_identity_keeps_its_colour(cells: CellTable) -> None:
    look = CellLook(colour=CellColour.IDENTITY)
    table = outline_colours(cells, look)
    assert table is not None
    assert table.shape == (4, 4)
    np.testing.assert_array_equal(table[[0, 1, 3]], cell_colours(cells, look))
    assert "#{:02x}{:02x}{:02x}".format(*table[1][:3]) == identity_colour(1) == identity_colour(9)
    assert identity_colour(1) != identity_colour(2)


def test_a_quantity_goes_from_blue_to_red_and_one_that_is_not_known_has_no_colour_of_its_own(cells: CellTable) -> None:
    colours = cell_colours(cells, CellLook(colour=CellColour.AREA, top=64.0)).astype(int)
    assert colours[0][2] > colours[0][0]
    assert colours[2][0] > colours[2][2]
    one = cell_colours(cells, CellLook())
    np.testing.assert_array_equal(cell_colours(cells, CellLook(colour=CellColour.DRY_MASS)), one)


def test_a_cell_of_another_size_is_grey_and_has_no_number(cells: CellTable) -> None:
    look = CellLook(sizes=CellSizes(smallest_um2=10.0, largest_um2=30.0))
    assert [text.text for text in cell_texts(cells, look)] == ["1"]
    colours = cell_colours(cells, look)
    assert (colours[0] == colours[2]).all()
    assert (colours[0] != colours[1]).any()
    assert list(CellSizes().passes(cells)) == [True] * 3
    unknown = measure_cells(np.zeros((4, 4), np.float32), np.ones((4, 4), np.uint16), np.ones((4, 4), np.bool_), CellScale())
    assert math.isnan(unknown.area_um2[0])
    assert list(look.sizes.passes(unknown)) == [True]


def test_numbers_lie_in_the_middle_of_their_cells(cells: CellTable) -> None:
    first = cell_texts(cells, CellLook())[0]
    assert (first.place.x(), first.place.y(), first.text) == (1.5, 1.5, "9")
    assert cell_texts(cells, CellLook(has_numbers=False)) == ()
