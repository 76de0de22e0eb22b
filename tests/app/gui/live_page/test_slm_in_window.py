"""The window on a real session: what the operator chooses is on the SLM, in the panes SLM, truth and error, and in presets."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from app.gui.image_view.contents import Content
from app.gui.image_view.pane_options import PaneOptions
from app.live.session import Session
from app.live.slm.content import SlmContent, SlmKind
from drivers.camera_settings import SettingName, find
from tests.helpers.small_instrument import small_instrument


@pytest.mark.slow
def test_a_preset_brings_picture_truth_and_exposure_back(window_of, qtbot, tmp_path) -> None:
    file = tmp_path / "half.png"
    pixels = np.zeros((64, 64), np.uint8)
    pixels[:, :32] = 255
    cv2.imwrite(str(file), pixels)
    session = Session.open(small_instrument(tmp_path))
    window = window_of(session)
    page = window.page

    def polled(condition):
        def look() -> bool:
            window.refresh_pictures()
            window.refresh_numbers()
            return bool(condition())

        return look

    page.toggle_live()
    for pane, content in zip(page.pictures.panes, (Content.SLM, Content.TRUTH, Content.ERROR), strict=True):
        pane.set_options(PaneOptions.of(content))
    page.slm.use_picture(file)
    page.change_camera(SettingName.EXPOSURE_S, 0.004)

    def exposure() -> object:
        return find(session.camera_settings(), SettingName.EXPOSURE_S).value

    def left_half_is_shown() -> bool:
        slm, truth, error = (pane.image for pane in page.pictures.panes)
        if slm is None or truth is None or error is None:
            return False
        return bool(slm[64, 10] > 2 > slm[64, 120] and np.nanmean(truth[:, :10]) > 2 > np.nanmean(truth[:, -10:]))

    qtbot.waitUntil(polled(left_half_is_shown), timeout=30_000)
    qtbot.waitUntil(polled(lambda: exposure() == 0.004), timeout=10_000)
    page.save_preset("half")

    page.show_on_slm(SlmContent(SlmKind.BLANK))
    page.change_camera(SettingName.EXPOSURE_S, 0.001)
    qtbot.waitUntil(polled(lambda: exposure() == 0.001 and not left_half_is_shown()), timeout=30_000)
    page.apply_preset("half")
    qtbot.waitUntil(polled(lambda: exposure() == 0.004 and left_half_is_shown()), timeout=30_000)
    assert page.session.slm_status().content == SlmContent(SlmKind.PICTURE, file)
