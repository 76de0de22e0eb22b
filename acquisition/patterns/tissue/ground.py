"""Everything behind and between the cells of a tissue: dark spaces, bands of fibres, cytoplasm, debris, uneven light."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from acquisition.patterns.tissue.cell import CANVAS_PX, Cell, Grey

#: How far the cytoplasm of a group of cells reaches beyond them, in pixels of the canvas.
_CYTOPLASM_PX = 9


class Ground:
    """Everything behind the cells: dark spaces, and bands of fibres along one curved direction."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.angle_rad = float(rng.uniform(0, np.pi))
        y, x = np.mgrid[:CANVAS_PX, :CANVAS_PX].astype(np.float32) - np.float32(CANVAS_PX / 2)
        cos, sin = np.float32(np.cos(self.angle_rad)), np.float32(np.sin(self.angle_rad))
        bent = 22 * smooth_noise(rng, 160)
        along, across = x * cos + y * sin, y * cos - x * sin + bent
        band = np.sin(across * np.float32(2 * np.pi / rng.uniform(170, 260)) + np.float32(rng.uniform(0, 2 * np.pi)))
        band = band + 0.5 * smooth_noise(rng, 110)
        #: How much of each pixel is fibres, 0 to 1.
        self.fibrous = np.asarray(1 / (1 + np.exp(-(band + np.float32(rng.uniform(-0.2, 0.3))) * 6)), np.float32)
        strands = _strands(rng, along, across)
        self.grey: Grey = np.asarray(0.035 + self.fibrous * np.clip(0.13 + 0.055 * strands, 0.02, 0.4), np.float32)
        slope = float(rng.uniform(0, 2 * np.pi))
        tilt = (x * np.cos(slope) + y * np.sin(slope)) / CANVAS_PX
        #: Uneven light, around 1.
        self.gradient: Grey = np.asarray(1 + 0.25 * tilt + 0.05 * smooth_noise(rng, 200), np.float32)
        self._bent = bent

    def direction_rad(self, y_px: float, x_px: float) -> float:
        """Return the direction of the fibres at a point."""
        row, column = (int(np.clip(value, 8, CANVAS_PX - 9)) for value in (y_px, x_px))
        down = float(self._bent[row + 8, column] - self._bent[row - 8, column]) / 16
        right = float(self._bent[row, column + 8] - self._bent[row, column - 8]) / 16
        # The fibres follow lines of equal ``across``: they are at right angles to its gradient.
        return float(np.arctan2(np.sin(self.angle_rad) - right, np.cos(self.angle_rad) + down))

    def is_fibrous(self, y_px: float, x_px: float) -> bool:
        """Whether a point of the image lies in a band of fibres."""
        row, column = (int(np.clip(value, 0, CANVAS_PX - 1)) for value in (y_px, x_px))
        return bool(self.fibrous[row, column] > 0.5)


def _strands(rng: np.random.Generator, along: Grey, across: Grey) -> Grey:
    """Return fine noise that is long in one direction and narrow in the other."""
    noise = cv2.GaussianBlur(rng.standard_normal((CANVAS_PX, CANVAS_PX), np.float32), (0, 0), 1.6)
    strands = cv2.remap(noise, along * 0.07 + 256, across * 0.7 + 256, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(strands / strands.std(), np.float32)


def smooth_noise(rng: np.random.Generator, grain_px: float) -> Grey:
    """Return smooth noise on the canvas: mean 0, standard deviation 1, no finer than ``grain_px``."""
    coarse = max(4, round(CANVAS_PX / grain_px))
    noise = cv2.resize(rng.standard_normal((coarse, coarse), np.float32), (CANVAS_PX, CANVAS_PX), interpolation=cv2.INTER_CUBIC)
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


def dark_ground(rng: np.random.Generator) -> Grey:
    """Return a dark background that is nearly even, on the canvas."""
    return np.asarray(0.06 + 0.012 * smooth_noise(rng, 90), np.float32)


def with_cytoplasm(rng: np.random.Generator, ground: Grey, cells: Sequence[Cell], noise: Grey) -> Grey:
    """Return the background with a granular, dim seam of cytoplasm around round cells."""
    near = np.zeros(ground.shape, np.uint8)
    for cell in cells:
        centre = (round(cell.x_px), round(cell.y_px))
        axes = (round(cell.major_px) + _CYTOPLASM_PX, round(cell.minor_px) + _CYTOPLASM_PX)
        cv2.ellipse(near, centre, axes, float(np.degrees(cell.angle_rad)), 0, 360, 255, -1)
    cover = cv2.GaussianBlur(near, (0, 0), 4.0).astype(np.float32) / 255
    grey = np.clip(0.15 + 0.03 * smooth_noise(rng, 40) + 0.035 * noise, 0.05, None)
    return np.asarray(np.maximum(ground, grey * cover), np.float32)


def with_debris(rng: np.random.Generator, grey: Grey) -> Grey:
    """Return a picture with specks that are no cells: small bright ones, and larger ones that are dim and blurred."""
    specks = np.zeros(grey.shape, np.float32)
    for _ in range(int(rng.integers(4, 13))):
        _add_speck(rng, specks, float(rng.uniform(1.2, 3.5)), float(rng.uniform(0.4, 0.9)))
    bright = cv2.GaussianBlur(specks, (0, 0), 1.0)
    specks = np.zeros(grey.shape, np.float32)
    for _ in range(int(rng.integers(1, 5))):
        _add_speck(rng, specks, float(rng.uniform(5, 11)), float(rng.uniform(0.08, 0.2)))
    dim = cv2.GaussianBlur(specks, (0, 0), 4.0)
    return np.asarray(np.maximum(grey, bright) + dim * (1 - grey), np.float32)


def _add_speck(rng: np.random.Generator, specks: Grey, radius_px: float, light: float) -> None:
    y_px, x_px = rng.uniform(0, CANVAS_PX, 2)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
    radii = radius_px * rng.uniform(0.6, 1.4, 7)
    corners = np.stack([x_px + radii * np.cos(angles), y_px + radii * np.sin(angles)], axis=1)
    cv2.fillPoly(specks, [np.round(corners * 16).astype(np.int32)], light, lineType=cv2.LINE_AA, shift=4)
