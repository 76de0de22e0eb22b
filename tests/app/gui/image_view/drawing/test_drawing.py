"""What is drawn of a picture, and the choice between card and software."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PyQt6.QtCore import QRect
from PyQt6.QtGui import QColor, QTransform

from app.gui.image_view.drawing.choice import (
    Drawing,
    DrawingChoice,
    DrawingOption,
    choose_drawing,
    drawing_in_use,
    is_software_renderer,
    new_picture_item,
    use_drawing,
)
from app.gui.image_view.drawing.colour_tables import CLIPPED
from app.gui.image_view.drawing.outlines import outline_indices, smooth_labels
from app.gui.image_view.drawing.software_item import SoftwarePictureItem
from tests.conftest import ROOT

RED_TO_BLUE = np.stack([np.arange(256)[::-1], np.zeros(256), np.arange(256)], axis=1).astype(np.uint8)


@pytest.fixture
def item(qapp) -> SoftwarePictureItem:
    return SoftwarePictureItem()


def colours(item: SoftwarePictureItem) -> list[tuple[int, int, int, int]]:
    image = item.rendered()
    return [QColor.fromRgba(image.pixel(x, 0)).getRgb() for x in range(image.width())]


def test_a_cyclic_table_starts_again_beyond_its_levels_and_another_one_ends(item):
    item.set_picture(np.array([[0.0, 1.0, 2 * math.pi + 1.0, 1.0 - 4 * math.pi, 9.0]], np.float32))
    item.set_levels(0.0, 2 * math.pi)
    item.set_colours(RED_TO_BLUE, cyclic=True)
    first, second, turned, back, _ = colours(item)
    assert first == (255, 0, 0, 255)
    assert np.abs(np.array([turned, back]) - second).max() <= 1
    item.set_colours(RED_TO_BLUE)
    assert colours(item)[2:] == [(0, 0, 255, 255), (255, 0, 0, 255), (0, 0, 255, 255)]


def test_clipped_counts_are_marked_and_pixels_without_a_number_are_not_drawn(item):
    item.set_picture(np.array([[0, 4094, 4095]], np.uint16))
    item.set_levels(0.0, 4095.0)
    item.mark_clipped(4095)
    assert colours(item) == [(0, 0, 0, 255), (255, 255, 255, 255), CLIPPED]
    item.mark_clipped(None)
    assert colours(item)[2] == (255, 255, 255, 255)
    item.set_picture(np.array([[0.0, np.nan]], np.float32))
    assert [colour[3] for colour in colours(item)] == [255, 0]


def test_a_picture_of_another_kind_is_shown_by_its_values(item):
    item.set_levels(0.0, 4.0)
    for kind in (np.int64, np.float64, np.bool_):
        item.set_picture(np.array([[0, 1]]).astype(kind)[:, ::-1])
        assert [colour[0] for colour in colours(item)] == [64, 0]


def test_colours_of_outlines_are_counted(item):
    labels = np.ones((4, 4), np.uint16)
    for count in (0, 256):
        with pytest.raises(ValueError, match=f"{count} colours of outlines"):
            item.set_outlines(labels, np.zeros((count, 3), np.uint8))


def test_outlines_enclose_each_object_and_part_touching_ones():
    labels = np.zeros((40, 60), np.uint16)
    labels[10:20, 10:20] = 1
    labels[10:20, 20:30] = 2
    labels[30, 40] = 9
    indices = outline_indices(labels, QTransform(), QRect(0, 0, 60, 40), 1, 255)
    assert indices.shape == (40, 60)
    inside = indices[12:18]
    np.testing.assert_array_equal(np.flatnonzero(inside[0]), [9, 10, 19, 20, 29, 30])
    np.testing.assert_array_equal(inside[0][[9, 10, 19, 20, 29, 30]], [1, 1, 2, 2, 2, 2])
    np.testing.assert_array_equal(np.argwhere(indices == 9), [[29, 40], [30, 39], [30, 40], [30, 41], [31, 40]])
    assert not outline_indices(np.zeros((4, 4), np.uint16), QTransform(), QRect(0, 0, 9, 9), 1, 1).any()


def test_an_outline_is_as_wide_on_the_screen_whatever_the_zoom():
    labels = np.zeros((50, 50), np.uint16)
    labels[20:30, 20:30] = 3
    for zoom in (0.5, 1.0, 7.0, 20.0):
        region = QRect(0, int(25 * zoom), int(50 * zoom), 1)
        for half_width_px in (1, 2):
            indices = outline_indices(labels, QTransform.fromScale(1 / zoom, 1 / zoom), region, half_width_px, 1)
            assert np.count_nonzero(indices) == 4 * half_width_px, zoom


def test_refined_labels_cover_the_objects_without_steps():
    labels = np.zeros((64, 64), np.uint16)
    rows, columns = np.ogrid[:64, :64]
    labels[(rows - 20) ** 2 + (columns - 20) ** 2 <= 100] = 7
    labels[20, 50:] = 8
    fine = smooth_labels(labels)
    assert fine.shape == (512, 512)
    assert fine.dtype == np.uint16
    assert set(np.unique(fine)) == {0, 7, 8}
    assert np.count_nonzero(fine == 7) / 64 == pytest.approx(np.count_nonzero(labels == 7), rel=0.03)
    steps = [
        np.abs(np.diff(np.argmax(picture == 7, axis=1)[rows])).max()
        for picture, rows in ((labels, slice(12, 29)), (fine, slice(100, 230)))
    ]
    assert steps[1] < steps[0] * 8
    large = np.zeros((600, 400), np.uint16)
    assert smooth_labels(large) is large


def test_without_a_screen_pictures_are_drawn_in_software():
    code = (
        "from PyQt6.QtGui import QGuiApplication; app = QGuiApplication([]);"
        "from app.gui.image_view.drawing.choice import DrawingOption, choose_drawing;"
        "[print(choose_drawing(option)) for option in (DrawingOption.AUTO, DrawingOption.CARD)]"
    )
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    expected = DrawingChoice(Drawing.SOFTWARE, "Drawn in software: no screen")
    assert done.stdout.splitlines() == [str(expected)] * 2
    assert isinstance(expected.new_item(), SoftwarePictureItem)


@pytest.fixture
def chosen(qapp) -> Iterator[Callable[[DrawingOption], DrawingChoice]]:
    """Chooses where pictures are drawn, until the test has ended."""

    def choose(option: DrawingOption) -> DrawingChoice:
        use_drawing(option)
        return drawing_in_use()

    yield choose
    use_drawing(DrawingOption.SOFTWARE)


def test_new_pictures_are_drawn_where_it_was_chosen_last(chosen):
    assert chosen(DrawingOption.SOFTWARE).reason == "Drawn in software: as chosen"
    assert isinstance(new_picture_item(), SoftwarePictureItem)
    assert chosen(DrawingOption.CARD) == choose_drawing(DrawingOption.CARD)
    assert type(new_picture_item()) is type(drawing_in_use().new_item())


@pytest.mark.parametrize(
    ("renderer", "software"),
    [
        ("llvmpipe (LLVM 15.0.6, 256 bits)", True),
        ("softpipe", True),
        ("Software Rasterizer", True),
        ("Google SwiftShader", True),
        ("Microsoft Basic Render Driver", True),
        ("NVIDIA RTX A2000/PCIe/SSE2", False),
        ("Mesa Intel(R) UHD Graphics 620 (KBL GT2)", False),
        ("AMD Radeon RX 6600 (radeonsi, navi23, LLVM 15.0.6)", False),
    ],
)
def test_renderers_without_a_card_are_known_by_name(renderer, software):
    assert is_software_renderer(renderer) is software
