"""A new model beside the one in use: the same held-out pictures, the scores with their meaning, and the verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.gui.widgets.formatting import UNKNOWN
from app.gui.widgets.labels import caption_label
from app.gui.widgets.picture import Picture
from app.training.model_comparison import ComparedPicture, ModelComparison
from app.training.verdict import PictureScores, mean_of
from drivers.visible_text import visible

#: Rows of pictures that are seen at once.
_ROWS = 2
#: What white means in the error, as a part of the phase range.
_ERROR_WHITE = 0.25
_COLUMN_NAMES = ("Truth", "Model in use", "New model", "Error of the new model")
_COLUMNS = len(_COLUMN_NAMES)
_LEAST_PX = 60
_SCORES = (
    ("SSIM", "structural similarity: 1 is the truth, 0 has nothing in common with it"),
    ("Correlation", "1 follows the truth everywhere, 0 is chance"),
    ("Mean absolute error", "how far a pixel is from the truth on average, in radians; 0 is best"),
)
_HINT = "Compare shows what both models make of the same pictures, which neither has seen in its training"


class ComparisonView(QWidget):
    """Truth, model in use, new model, error of the new model; two pictures at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.comparison: ModelComparison | None = None
        self._first = 0
        self.tiles = tuple(tuple(Picture("") for _ in range(_COLUMNS)) for _ in range(_ROWS))
        self.captions = tuple(caption_label("") for _ in range(_COLUMNS))
        self.before = QPushButton("Previous")
        self.after = QPushButton("Next")
        self.number = QLabel()
        self.number.setObjectName("muted")
        self.source = QLabel()
        self.source.setObjectName("muted")
        self.source.setWordWrap(True)
        self.scores = tuple(tuple(QLabel() for _ in range(2)) for _ in _SCORES)
        self._names = (QLabel(), QLabel())
        self._build()
        self.show_comparison(None)

    def show_comparison(self, comparison: ModelComparison | None) -> None:
        """Show a comparison, or what it would show."""
        self.comparison = comparison
        self._first = 0
        self._show_scores()
        self._show_pictures()

    def _show_scores(self) -> None:
        comparison = self.comparison
        new = mean_of([one.new for one in comparison.pictures]) if comparison else None
        present_scores = [one.present for one in comparison.pictures if one.present is not None] if comparison else []
        present = mean_of(present_scores) if present_scores else None
        for labels, texts in zip(self.scores, zip(_texts(present), _texts(new), strict=True), strict=True):
            for label, text in zip(labels, texts, strict=True):
                label.setText(text)
        self._names[0].setText(visible(comparison.present_name) if comparison and comparison.present_name else "model in use")
        self._names[1].setText(visible(comparison.new_name) if comparison else "new model")
        self.source.setText(_source(comparison))

    def _show_pictures(self) -> None:
        comparison = self.comparison
        pictures = comparison.pictures if comparison else ()
        shown = pictures[self._first : self._first + _ROWS]
        for row, tiles in enumerate(self.tiles):
            arrays = _row(shown[row], comparison.phase_range_rad) if comparison and row < len(shown) else [None] * _COLUMNS
            for tile, array in zip(tiles, arrays, strict=True):
                tile.show_grey(array)
        for label, text in zip(self.captions, ("truth", *_captions(comparison), "error of the new one"), strict=True):
            label.setText(text)
        self.number.setText(f"{self._first + 1} to {self._first + len(shown)} of {len(pictures)}" if shown else "")
        self.before.setEnabled(self._first > 0)
        self.after.setEnabled(self._first + _ROWS < len(pictures))

    def _show_before(self) -> None:
        self._first = max(0, self._first - _ROWS)
        self._show_pictures()

    def _show_after(self) -> None:
        self._first += _ROWS
        self._show_pictures()

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._score_grid())
        layout.addWidget(self.source)
        layout.addLayout(self._picture_grid(), 1)
        turning = QHBoxLayout()
        for button, tip, slot in (
            (self.before, "Show the pictures before these", self._show_before),
            (self.after, "Show the next pictures", self._show_after),
        ):
            button.setObjectName("small")
            button.setToolTip(tip)
            button.clicked.connect(slot)
            turning.addWidget(button)
        turning.addWidget(self.number)
        turning.addStretch(1)
        layout.addLayout(turning)

    def _picture_grid(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(4)
        for column, label in enumerate(self.captions):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            grid.addWidget(label, 0, column)
            grid.setColumnStretch(column, 1)
        for row, tiles in enumerate(self.tiles, 1):
            grid.setRowStretch(row, 1)
            for column, tile in enumerate(tiles):
                tile.setMinimumHeight(_LEAST_PX)
                tile.setAccessibleName(f"{_COLUMN_NAMES[column]}, picture {row} of the two that are shown")
                grid.addWidget(tile, row, column)
        white = "White is a quarter of the phase range; in the other pictures it is the whole range, and black is 0 rad"
        self.captions[-1].setToolTip(white)
        return grid

    def _score_grid(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(2)
        for column, label in enumerate(self._names, 1):
            label.setObjectName("caption")
            grid.addWidget(label, 0, column)
        for row, ((name, meaning), labels) in enumerate(zip(_SCORES, self.scores, strict=True), 1):
            grid.addWidget(QLabel(name), row, 0)
            for column, label in enumerate(labels, 1):
                label.setAccessibleName(f"{name}, {'model in use' if column == 1 else 'new model'}")
                grid.addWidget(label, row, column)
            text = QLabel(meaning)
            text.setObjectName("muted")
            text.setWordWrap(True)
            grid.addWidget(text, row, 3)
        grid.setColumnStretch(3, 1)
        return grid


def _texts(scores: PictureScores | None) -> tuple[str, str, str]:
    if scores is None:
        return (UNKNOWN, UNKNOWN, UNKNOWN)
    return (f"{scores.ssim:.3f}", f"{scores.correlation:.3f}", f"{scores.mae_rad:.3f} rad")


def _captions(comparison: ModelComparison | None) -> tuple[str, str]:
    if comparison is None:
        return ("model in use", "new model")
    return (visible(comparison.present_name) or "no model in use", visible(comparison.new_name))


def _source(comparison: ModelComparison | None) -> str:
    if comparison is None:
        return _HINT
    number = len(comparison.pictures)
    text = f"Means over {number} pictures: {comparison.pairs}."
    return f"{text} {comparison.note}" if comparison.note else text


def _row(picture: ComparedPicture, phase_range_rad: float) -> list[NDArray[np.uint8] | None]:
    """Return truth, model in use, new model and error, on the same grey scale in every row."""
    error = np.abs(picture.new_rad - picture.truth_rad) / _ERROR_WHITE
    tiles = (picture.truth_rad, picture.present_rad, picture.new_rad, error)
    return [None if tile is None else _grey(tile / phase_range_rad) for tile in tiles]


def _grey(part: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.round(np.clip(np.nan_to_num(part), 0, 1) * 255).astype(np.uint8)
