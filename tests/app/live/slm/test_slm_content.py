"""What the operator lets the SLM show: it is shown, its truth is known, and what cannot be shown changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from acquisition.archive.writer import Archive
from acquisition.holograms.closed_form import HologramConfig
from acquisition.patterns.sources import blank, open_source
from app.instrument.opening import open_instrument
from app.live.session import Session, SessionError
from app.live.slm.content import SlmContent, SlmKind
from app.live.slm.drawing import SlmContentError
from app.status import LiveView, RecordingState
from drivers.base import SpeckleScopeError
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, until

CARD, FLAT = SlmContent(SlmKind.TEST_CARD), SlmContent(SlmKind.BLANK)

#: More frames than can be between the camera and the last view.
_FRAMES_UNDER_WAY = 40


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A coloured picture, white in its left half."""
    pixels = np.zeros((60, 90, 3), np.uint8)
    pixels[:, :45] = 255
    pixels[0, 0] = (255, 0, 0)
    file = tmp_path / "half.png"
    cv2.imwrite(str(file), pixels)
    return file


def said(session: Session, *parts: str) -> str:
    """Wait for a message that has all these parts; return it."""
    texts: list[str] = []

    def came() -> list[str]:
        texts.extend(message.text for message in session.pop_messages())
        return [text for text in texts if all(part in text for part in parts)]

    until(came)
    return came()[-1]


def test_the_live_view_shows_my_picture_and_knows_its_truth(session: Session, config, picture: Path) -> None:
    views: list[LiveView] = []
    session.watch(views.append)
    session.start_live()
    until(lambda: views)
    session.show_on_slm(SlmContent(SlmKind.PICTURE, picture))
    text = said(session, "the SLM shows half.png")
    assert "90 x 60 px, fitted into 128 x 128" in text
    assert "coloured; the mean of the channels counts" in text
    until(lambda: _halves(session.slm_phase()) == (pytest.approx(config.phase_range_rad), 0))
    until(lambda: views[-1].truth_rad is not None and views[-1].truth_rad[16, 4] > 2)
    assert views[-1].truth_rad.shape == (GRID_PX, GRID_PX)
    assert views[-1].truth_rad[16, 30] == pytest.approx(0, abs=1e-3)
    assert session.slm_status().content == SlmContent(SlmKind.PICTURE, picture)


def _halves(phase_rad: NDArray[np.float32] | None) -> tuple[float, float] | None:
    """Return the phase in the left and in the right half of the SLM."""
    if phase_rad is None:
        return None
    assert phase_rad.shape == (FRAME_PX, FRAME_PX)
    return float(phase_rad[64, 10]), float(phase_rad[64, 120])


def test_the_flat_pattern_and_the_scene_again(session: Session) -> None:
    views: list[LiveView] = []
    session.watch(views.append)
    session.start_live()
    session.show_on_slm(FLAT)
    flat = blank((FRAME_PX, FRAME_PX)).id
    until(lambda: views and views[-1].frame.pattern_id == flat)
    assert not views[-1].truth_rad.any()
    session.show_on_slm(SlmContent())
    until(lambda: views[-1].frame.pattern_id not in (flat, None) and views[-1].truth_rad is not None)
    assert session.slm_status().content.kind is SlmKind.SCENE


def test_a_recording_has_the_patterns_that_were_shown(session: Session) -> None:
    views: list[LiveView] = []
    session.watch(views.append)
    session.start_live()
    until(lambda: views)
    session.start_recording("two")
    until(lambda: session.recording_status().path is not None)
    recorded = views[-1].frame.index + _FRAMES_UNDER_WAY
    until(lambda: any(view.frame.pattern_id and view.frame.index > recorded for view in list(views)))
    session.show_on_slm(CARD)
    until(lambda: session.slm_status().content == CARD)
    card = open_source("usaf", (FRAME_PX, FRAME_PX), count=1)[0].id
    until(lambda: views[-1].frame.pattern_id == card)
    session.stop_recording()
    until(lambda: session.recording_status().state is RecordingState.FINISHED)
    shown = [row.pattern_id for row in Archive.open(session.recording_status().path).rows()]
    assert shown[-1] == card
    assert set(shown) - {"", card}, "frames of the scene come first"


def test_without_a_live_view_the_slm_shows_it_at_once(session: Session, config) -> None:
    assert session.slm_phase() is None
    session.show_on_slm(CARD)
    until(lambda: session.slm_phase() is not None)
    assert set(np.unique(session.slm_phase())) == {0, np.float32(config.phase_range_rad)}


def test_what_cannot_be_shown_is_refused_and_changes_nothing(session: Session, picture: Path) -> None:
    session.show_on_slm(FLAT)
    said(session, "the SLM shows the blank")
    notes = picture.with_name("notes.txt")
    notes.write_text("none")
    for content, reason in (
        (SlmContent(SlmKind.PICTURE, Path("nowhere.png")), "there is no picture nowhere.png"),
        (SlmContent(SlmKind.PICTURE, notes), "is no picture"),
        (SlmContent(SlmKind.PICTURE), "needs a picture file"),
        (SlmContent(SlmKind.HOLOGRAM, picture), "cannot show the hologram"),
    ):
        with pytest.raises(SlmContentError, match=reason):
            session.show_on_slm(content)
    damaged = picture.with_name("damaged.png")
    damaged.write_bytes(picture.read_bytes()[:100])
    session.show_on_slm(SlmContent(SlmKind.PICTURE, damaged))
    said(session, "not shown on the SLM", "damaged.png")
    assert session.slm_status().content == FLAT
    assert session.slm_status().pending is None
    until(lambda: session.slm_phase() is not None)
    assert not session.slm_phase().any()


def test_of_several_requests_the_newest_counts(session: Session, picture: Path) -> None:
    session.start_live()
    for _ in range(5):
        session.show_on_slm(CARD)
        session.show_on_slm(SlmContent(SlmKind.PICTURE, picture))
        session.show_on_slm(FLAT)
    until(lambda: session.slm_status().pending is None)
    assert session.slm_status().content == FLAT


def test_an_instrument_with_a_carrier_shows_holograms_whose_truth_is_unknown(config, picture: Path) -> None:
    config = config.model_copy(update={"hologram": HologramConfig(carrier_period_px=8.0)})
    with Session.open(config) as session:
        assert SlmKind.HOLOGRAM in session.slm_status().kinds
        session.show_on_slm(SlmContent(SlmKind.HOLOGRAM, picture))
        assert "efficiency" in said(session, "the SLM shows the hologram of half.png")
        until(lambda: session.slm_phase() is not None)
        far_field = np.fft.fftshift(np.abs(np.fft.fft2(np.exp(1j * session.slm_phase()))) ** 2)
        image = far_field[34:94, 19:109]
        assert image[:, :45].sum() > 3 * image[:, 45:].sum()


def test_without_an_slm_nothing_can_be_shown(config) -> None:
    rig, fibre, model, _ = open_instrument(config)
    with Session(config, replace(rig, slm=None), fibre, model, None) as session:
        assert session.slm_status().kinds == ()
        assert session.slm_phase() is None
        with pytest.raises(SessionError, match="has no SLM"):
            session.show_on_slm(FLAT)


def test_an_acquisition_shows_its_own_patterns(session: Session) -> None:
    session.start_acquisition("pairs", 500, "cells")
    with pytest.raises(SpeckleScopeError, match="an acquisition is running"):
        session.show_on_slm(FLAT)
    session.stop_acquisition()
    assert session.slm_status().content.kind is SlmKind.SCENE
