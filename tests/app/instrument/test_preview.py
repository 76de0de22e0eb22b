"""The device preview of the setup page: each device is opened, monitored and closed independently of the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.instrument.config import checked
from app.instrument.preview import DevicePreview, DeviceSearch, PreviewStatus, SlmImage
from drivers.displays.test_card import draw_test_card
from tests.helpers.small_instrument import small_instrument

PATIENCE_S = 20.0


def until(preview: DevicePreview, true: Callable[[PreviewStatus], object]) -> PreviewStatus:
    deadline_s = time.monotonic() + PATIENCE_S
    while not true(status := preview.status):
        assert time.monotonic() < deadline_s, status
    return status


def ended(preview: DevicePreview) -> PreviewStatus:
    preview.close()
    assert preview.join(PATIENCE_S)
    return preview.status


def test_the_twin_is_shown_live_and_takes_images(tmp_path: Path) -> None:
    preview = DevicePreview(small_instrument(tmp_path))
    status = until(preview, lambda status: status.frame and "frames/s" in status.camera)
    assert "simulated camera" in status.camera
    assert "128 x 128 px, 8 bit, 10 ms" in status.camera
    assert "patterns of 128 x 128 px" in status.slm
    assert status.grey is None
    preview.show(SlmImage.TEST_CARD)
    status = until(preview, lambda status: status.grey is not None)
    assert np.array_equal(status.grey, draw_test_card((128, 128)))  # type: ignore[arg-type]
    preview.show(SlmImage.BLANK)
    until(preview, lambda status: status.grey is not None and not status.grey.any())
    assert not ended(preview).running


def test_each_device_has_its_own_trouble() -> None:
    config = checked({"camera": "opencv", "slm": "slmpy", "opencv": {"source": "gone.avi"}, "slmpy": {"port": 1}}, "test")
    preview = DevicePreview(config)
    status = until(preview, lambda status: status.camera_trouble and status.slm_trouble)
    assert "no video file gone.avi" in status.camera_trouble
    assert "slmPy server" in status.slm_trouble
    assert not ended(preview).running


def test_an_instrument_without_slm_says_so() -> None:
    preview = DevicePreview(checked({"camera": "opencv", "slm": "none", "opencv": {"source": "gone.avi"}}, "test"))
    assert until(preview, lambda status: status.slm == "none").slm_trouble == ""
    ended(preview)


def test_a_twin_that_does_not_open_says_why() -> None:
    config = checked({"camera": "basler-emulated", "twin": {"camera": {"bit_depth": 12}}}, "test")
    preview = DevicePreview(config)
    assert preview.join(PATIENCE_S)
    assert "set bit_depth to 8" in preview.status.camera_trouble


def test_the_search_ends_with_a_result_for_every_kind() -> None:
    search = DeviceSearch()
    deadline_s = time.monotonic() + PATIENCE_S
    while search.running:
        assert time.monotonic() < deadline_s
    assert set(search.cameras) >= {"basler", "opencv"}
    assert set(search.slms) >= {"screen", "slmpy"}


def test_the_test_card_shows_edges_and_single_pixels() -> None:
    card = draw_test_card((60, 100))
    assert card.shape == (60, 100)
    assert (card[0] == 255).all()
    assert (card[:, -1] == 255).all()
    middle = card[28:32, 48:52].astype(int)
    assert (np.abs(np.diff(middle, axis=0)) == 255).all()
    assert (np.abs(np.diff(middle, axis=1)) == 255).all()
    assert not np.array_equal(card, card[::-1])
    assert not np.array_equal(card, card[:, ::-1])
    for shape in ((1, 1), (2, 3), (8, 5)):
        assert draw_test_card(shape).shape == shape
