"""Pillow and OpenCV open every frame of OME-TIFF exports with its values."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageSequence

from tests.helpers.archives.exported_recording import exported


def test_pillow_and_opencv_open_every_frame_of_ome_tiff(tmp_path: Path) -> None:
    example = exported(tmp_path, "ome-tiff")
    for name in example.archive.arrays:
        path = str(example.path_of(name))
        with Image.open(path) as image:
            np.testing.assert_array_equal([np.asarray(page) for page in ImageSequence.Iterator(image)], example.stack(name))
        complete, pages = cv2.imreadmulti(path, flags=cv2.IMREAD_UNCHANGED)
        assert complete
        np.testing.assert_array_equal(np.stack(list(pages)), example.stack(name))
