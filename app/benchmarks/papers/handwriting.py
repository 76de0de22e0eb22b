"""Pictures of handwritten digits: real handwriting of scikit-learn's collection, and drawn digits.

The collection (Alpaydin and Kaynak, UCI repository, 1998) has 1,797 digits of 8 x 8 px; the last fifth of it is held out.
Training pictures are real digits of the other part that are turned, stretched and moved a little, and digits that are drawn
with the pen fonts of OpenCV.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.archive.atomic_files import make_folder, write_image
from app.progress import Report
from drivers.base import SpeckleScopeError

Grey = NDArray[np.uint8]

#: Side of the pictures, and of the digits in them, in pixels.
_SIDE_PX, _DIGIT_PX = 64, 40
#: Part of the collection that training pictures come from, and part of the training pictures that are real handwriting.
_TRAINING_PART, _REAL_PART = 0.8, 0.6
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX)
_SEED = 5
_DONE = "complete"


def write_digits(folder: Path, count: int, report: Report) -> None:
    """Write ``training`` with ``count`` pictures and ``test`` with the held-out digits; nothing happens if they are there.

    Raises
    ------
    SpeckleScopeError
        scikit-learn is not installed, or a file cannot be written.
    """
    done = folder / _DONE
    if done.is_file():
        return
    real = _collection()
    split = round(_TRAINING_PART * len(real))
    rng = np.random.default_rng(_SEED)
    for name in ("training", "test"):
        make_folder(folder / name)
    for number in range(count):
        picture = _placed(real[rng.integers(split)]) if rng.random() < _REAL_PART else _drawn(rng)
        _write(folder / "training" / f"{number:05d}.png", _varied(picture, rng))
        report("drawing digits", number + 1, count)
    for number, digit in enumerate(real[split:]):
        _write(folder / "test" / f"{number:05d}.png", _placed(digit))
    done.touch()


def _collection() -> list[Grey]:
    """Return the digits of scikit-learn's collection as 8-bit pictures of 8 x 8 px."""
    try:
        load_digits = import_module("sklearn.datasets").load_digits
    except ImportError as error:
        text = f"handwriting needs scikit-learn ({error}); install it with: pip install 'specklescope[papers]'"
        raise SpeckleScopeError(text) from error
    return [np.round(np.asarray(image) * (255 / 16)).astype(np.uint8) for image in load_digits().images]


def _placed(digit: Grey) -> Grey:
    """Enlarge a digit smoothly and put it on black."""
    large = cv2.resize(digit, (_DIGIT_PX, _DIGIT_PX), interpolation=cv2.INTER_CUBIC)
    edge = (_SIDE_PX - _DIGIT_PX) // 2
    return np.asarray(cv2.copyMakeBorder(large, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=0), np.uint8)


def _drawn(rng: np.random.Generator) -> Grey:
    text, font = str(rng.integers(10)), _FONTS[rng.integers(len(_FONTS))]
    scale, pen_px = rng.uniform(1.2, 1.7), int(rng.integers(2, 6))
    (width, height), _ = cv2.getTextSize(text, font, scale, pen_px)
    canvas = np.zeros((_SIDE_PX, _SIDE_PX), np.uint8)
    at = ((_SIDE_PX - width) // 2, (_SIDE_PX + height) // 2)
    cv2.putText(canvas, text, at, font, scale, 255, pen_px, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.6, 2)), np.uint8)


def _varied(picture: Grey, rng: np.random.Generator) -> Grey:
    """Turn, stretch and move a picture a little."""
    centre = _SIDE_PX / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), rng.uniform(-15, 15), rng.uniform(0.85, 1.1))
    slant, shift = rng.uniform(-0.2, 0.2), rng.uniform(-3, 3, 2)
    matrix = matrix + np.array([[0, slant, shift[0] - slant * centre], [0, 0, shift[1]]])
    return np.asarray(cv2.warpAffine(picture, matrix, (_SIDE_PX, _SIDE_PX), flags=cv2.INTER_LINEAR), np.uint8)


def _write(path: Path, picture: Grey) -> None:
    write_image(path, picture, "choose another folder with --folder")
