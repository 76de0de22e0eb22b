"""Images in reports: grey levels, and bytes inside the page."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from app.reporting.images import Picture, grey


def test_low_is_black_high_is_white_and_the_rest_is_clipped() -> None:
    shown = grey(np.array([[-1.0, 0.0, 0.5, 1.0, 9.0]]), 0.0, 1.0)
    assert shown.dtype == np.uint8
    assert shown.tolist() == [[0, 0, 128, 255, 255]]


def test_a_picture_contains_its_own_bytes(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (9, 7, 3), np.uint8)
    kind, _, content = Picture(image, "noise").source.partition(",")
    assert kind == "data:image/png;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decoded, image)
