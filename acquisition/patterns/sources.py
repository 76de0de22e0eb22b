"""Phase patterns to display: packaged images, a folder of images, synthetic cells and textures, flat references.

Every source is a deterministic sequence of :class:`drivers.base.Pattern`: the same arguments give the same patterns, so that an
interrupted acquisition can be resumed. Grey 0..1 becomes a phase of ``0..phase_range_rad``. Whole photographs are split between
training, validation and test, so that no training run sees a test image.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy.fft
import skimage.data
from numpy.typing import NDArray

from acquisition.patterns.picture_folder import Grey, GreyRange, PictureFolder, fit
from acquisition.patterns.source_name import DESCRIPTIONS, Parameters, PatternError
from acquisition.patterns.targets import target_drawer
from acquisition.patterns.tissue.lone_cells import lone_cells
from acquisition.patterns.tissue.scene import LEAST_PX, LabelledScene, tissue_scene
from drivers.base import Pattern
from drivers.recorded.video_file import VideoFile

#: Phase of grey 255 on the default twin, in radians. With it the twin has the statistics of the real fibre.
DEFAULT_PHASE_RANGE_RAD = 2.85
#: Name of the flat pattern, whose speckle is the reference, and of its source.
BLANK = "blank"

_BUILT_IN = {*DESCRIPTIONS, "held-out", "validation"}
_LOG = logging.getLogger(__name__)

# Stereo pairs and near-duplicates belong to the same part of the split.
TEST_IMAGES = ("camera", "chelsea", "coins", "retina", "rocket", "moon")
VALIDATION_IMAGES = ("coffee", "clock")
TRAINING_IMAGES = (
    "astronaut",
    "brick",
    "cell",
    "colorwheel",
    "grass",
    "gravel",
    "horse",
    "hubble_deep_field",
    "immunohistochemistry",
    "page",
    "shepp_logan_phantom",
    "text",
)


class PatternSource(Sequence[Pattern]):
    """A deterministic sequence of patterns; each is drawn when it is used.

    Parameters
    ----------
    name : str
        Name of the source, for messages.
    count : int
        Number of patterns.
    draw : callable
        ``index -> (label, grey)`` with grey (H, W) float32 in 0..1.
    phase_range_rad : float
        Phase of grey 1 in radians.
    check : callable
        Reads every file of the source, and raises PatternError if one cannot be shown.

    Raises
    ------
    PatternError
        There is no pattern, or the phase range is not in (0, 8 pi] rad.
    """

    def __init__(
        self,
        name: str,
        count: int,
        draw: Callable[[int], tuple[str, Grey]],
        phase_range_rad: float,
        *,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        if count < 1:
            raise PatternError(f"pattern source {name!r} holds {count} patterns; ask for at least 1")
        if not 0 < phase_range_rad <= 8 * np.pi:
            raise PatternError(f"the phase range must lie in (0, 8 pi] rad, got {phase_range_rad}; change phase_range_rad")
        self.name = name
        self.phase_range_rad = phase_range_rad
        self._count = count
        self.draw = draw
        #: Reads every file of the source; raises PatternError with the name of one that cannot be shown.
        self.check = check

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Pattern:  # type: ignore[override]  # slices are not offered
        if not 0 <= index < self._count:
            raise IndexError(index)
        label, grey = self.draw(index)
        return Pattern((grey * np.float32(self.phase_range_rad)).astype(np.float32), name=label)


def open_source(
    name: str, shape: tuple[int, int], *, count: int = 200, seed: int = 0, phase_range_rad: float = DEFAULT_PHASE_RANGE_RAD
) -> PatternSource:
    """Open a pattern source by name.

    Parameters
    ----------
    name : str
        One of :data:`acquisition.patterns.source_name.DESCRIPTIONS`, ``held-out`` (test photographs, then test cells),
        ``validation``, the path of a folder of images, or of a video. Parameters follow the name: ``usaf?bar_px=20``,
        ``my-images?size_px=980`` (each image is fitted into a centred square of this size, with phase 0 around it),
        ``my-images?black=0&white=4095`` (which values are black and white; needed for float images, which do not say it).
        ``mixed+tissue``: patterns of several sources in turn.
    shape : (int, int)
        Height and width of the SLM's active area in pixels.
    count : int
        Number of patterns; photographs and folders repeat from the start when they hold fewer.
    seed : int
        Different seeds give different patterns. Held-out sources ignore it.
    phase_range_rad : float
        Phase of white in radians.

    Raises
    ------
    PatternError
        The name or a parameter is unknown, the folder holds no image, or an image cannot be read.
    """
    if "+" in name and not Path(Parameters(name).base).exists():
        return _in_turn(name, shape, count, seed, phase_range_rad)
    parameters = Parameters(name)
    if parameters.base in _BUILT_IN and Path(parameters.base).exists():
        _LOG.warning("'%s' is the built-in pattern source; write './%s' for the folder of this name", *[parameters.base] * 2)
    if (target := target_drawer(parameters, shape, seed)) is not None:
        parameters.done()
        return PatternSource(name, count, target, phase_range_rad)
    if name == "held-out":
        drawers = [_photographs(TEST_IMAGES, shape), _cells(shape, 10_000_019)]
        return PatternSource(name, count, _alternate(drawers), phase_range_rad)
    if name == "validation":
        drawers = [_photographs(VALIDATION_IMAGES, shape), _cells(shape, 20_000_003), _leaves(shape, 20_000_003)]
        return PatternSource(name, count, _alternate(drawers), phase_range_rad)
    if name == "mixed":
        drawers = [_leaves(shape, seed), _cells(shape, seed), _crops(shape, seed)]
        return PatternSource(name, count, _alternate(drawers), phase_range_rad)
    simple: dict[str, Callable[[], Callable[[int], tuple[str, Grey]]]] = {
        BLANK: lambda: lambda index: (BLANK, np.zeros(shape, np.float32)),
        "builtin": lambda: _photographs(TRAINING_IMAGES, shape),
        "cells": lambda: _cells(shape, seed),
        "tissue": lambda: _tissue(shape, seed),
        "lone-cells": lambda: _lone_cells(shape, seed),
        "leaves": lambda: _leaves(shape, seed),
        "crops": lambda: _crops(shape, seed),
    }
    if name in simple:
        return PatternSource(name, count, simple[name](), phase_range_rad)
    path = Path(parameters.base)
    if path.exists():
        size_px, grey_range = parameters.whole("size_px", 0, 1, min(shape)), GreyRange.of(parameters)
        parameters.done()
        if not path.is_dir():
            return PatternSource(name, count, _video(path, shape), phase_range_rad)
        pictures = PictureFolder(path, shape, size_px, grey_range)
        return PatternSource(name, count, pictures, phase_range_rad, check=pictures.check)
    known = ", ".join([*DESCRIPTIONS, "held-out", "validation"])
    raise PatternError(f"no pattern source or folder named {name!r}; use one of {known}, or an existing folder or video")


def _in_turn(name: str, shape: tuple[int, int], count: int, seed: int, phase_range_rad: float) -> PatternSource:
    """Open sources whose names are joined by ``+``: the first pattern of each, then the second of each, and so on."""
    parts = name.split("+")
    each = -(-count // len(parts))
    sources = [open_source(part, shape, count=each, seed=seed, phase_range_rad=phase_range_rad) for part in parts]

    def check() -> None:
        for source in sources:
            source.check()

    return PatternSource(name, count, _alternate([source.draw for source in sources]), phase_range_rad, check=check)


def blank(shape: tuple[int, int]) -> Pattern:
    """Return the flat pattern, whose speckle is the fibre's reference."""
    return Pattern(np.zeros(shape, np.float32), name=BLANK)


def to_grey(image: NDArray[Any], shape: tuple[int, int]) -> Grey:
    """Convert a grey or colour image to (H, W) float32 in 0..1, cropped and resized to ``shape``."""
    if image.dtype == bool:
        image = image.astype(np.uint8) * 255
    white = float(np.iinfo(image.dtype).max) if np.issubdtype(image.dtype, np.integer) else 1.0
    grey = image.astype(np.float32) / np.float32(white)
    if grey.ndim == 3:
        grey = grey[..., :3].mean(-1)
    return fit(grey, shape)


@lru_cache(maxsize=32)
def _packaged(name: str) -> NDArray[Any]:
    image = np.asarray(getattr(skimage.data, name)())
    image.flags.writeable = False
    return image


def _photographs(names: Sequence[str], shape: tuple[int, int]) -> Callable[[int], tuple[str, Grey]]:
    def draw(index: int) -> tuple[str, Grey]:
        name = names[index % len(names)]
        return name, to_grey(_packaged(name), shape)

    return draw


def _video(path: Path, shape: tuple[int, int]) -> Callable[[int], tuple[str, Grey]]:
    frames = VideoFile(path, exposure_s=1.0, period_s=1.0)  # patterns have no times
    return lambda index: (f"{path.name}-{index % len(frames)}", to_grey(frames[index % len(frames)].pixels, shape))


def _alternate(drawers: Sequence[Callable[[int], tuple[str, Grey]]]) -> Callable[[int], tuple[str, Grey]]:
    return lambda index: drawers[index % len(drawers)](index // len(drawers))


def _crops(shape: tuple[int, int], seed: int) -> Callable[[int], tuple[str, Grey]]:
    """Random parts of the training photographs, with random zoom, rotation, mirroring and contrast."""

    def draw(index: int) -> tuple[str, Grey]:
        rng = np.random.default_rng((seed, 3, index))
        name = TRAINING_IMAGES[rng.integers(len(TRAINING_IMAGES))]
        image = to_grey(_packaged(name), (512, 512))
        angle, zoom = rng.uniform(0, 360), np.exp(rng.uniform(np.log(0.9), np.log(2.5)))
        matrix = cv2.getRotationMatrix2D((256, 256), angle, zoom * shape[0] / 512)
        shift = rng.uniform(-120, 120, 2) + np.array(shape[::-1]) / 2 - 256
        matrix = np.column_stack([matrix[:, :2], matrix[:, 2] + shift])
        grey = cv2.warpAffine(image, matrix, shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        if rng.random() < 0.5:
            grey = grey[:, ::-1]
        if rng.random() < 0.3:
            grey = 1 - grey
        low, high = sorted(rng.uniform(0, 1, 2))
        stretch = max(high - low, 0.4)
        return f"crop-{index}", np.clip(grey * stretch + min(low, 1 - stretch), 0, 1).astype(np.float32)

    return draw


def _leaves(shape: tuple[int, int], seed: int) -> Callable[[int], tuple[str, Grey]]:
    """Dead leaves: occluding shapes with power-law sizes and textures, the edge statistics of natural images.

    Lee, Mumford and Huang, "Occlusion models for natural images", Int. J. Comput. Vision 41, 35 (2001).
    """

    def draw(index: int) -> tuple[str, Grey]:
        rng = np.random.default_rng((seed, 1, index))
        side = min(shape)
        canvas = _texture(rng, shape, rng.uniform(0.03, 0.2)) + np.float32(rng.uniform(0.2, 0.8))
        for _ in range(int(rng.integers(15, 120))):
            radius = side * min(0.35, 0.012 / rng.uniform(0.03, 1))
            window, y, x = _window(shape, rng.uniform(0, 1, 2) * shape, 1.1 * radius + 4)
            if rng.random() < 0.5:
                squeeze, angle = rng.uniform(0.3, 1), rng.uniform(0, np.pi)
                u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
                distance = radius - np.hypot(u, v / squeeze)
            else:
                angles = rng.uniform(0, 2 * np.pi) + np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
                distance = np.min([0.7 * radius - x * np.cos(a) - y * np.sin(a) for a in angles], axis=0)
                distance = np.minimum(distance, radius - np.hypot(x, y))
            inside = np.clip(distance / rng.uniform(1, 5) + 0.5, 0, 1)
            value = rng.uniform(0, 1) + x / side * rng.normal(0, 0.5)
            canvas[window] = canvas[window] * (1 - inside) + value * inside
        canvas = canvas + _texture(rng, shape, rng.uniform(0, 0.1))
        return f"leaves-{index}", np.clip(canvas, 0, 1).astype(np.float32)

    return draw


def _cells(shape: tuple[int, int], seed: int) -> Callable[[int], tuple[str, Grey]]:
    """Adherent cells: smooth bodies with brighter nuclei and granules. The phase of the medium around them is 0."""

    def draw(index: int) -> tuple[str, Grey]:
        rng = np.random.default_rng((seed, 2, index))
        side = min(shape)
        height = np.zeros(shape, np.float32)
        for _ in range(int(rng.integers(6, 26))):
            major = side * rng.uniform(0.035, 0.11)
            minor = major * rng.uniform(0.45, 1)
            window, y, x = _window(shape, rng.uniform(0.05, 0.95, 2) * shape, 1.3 * major)
            angle = rng.uniform(0, np.pi)
            u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
            theta = np.arctan2(v, u)
            wobble = 1 + 0.12 * np.cos(2 * theta + rng.uniform(0, 6)) + 0.08 * np.cos(3 * theta + rng.uniform(0, 6))
            radius = np.sqrt((u / major) ** 2 + (v / minor) ** 2) / wobble
            body = np.clip(1 - radius**2, 0, None) ** rng.uniform(0.4, 0.8)
            nucleus = np.clip(1 - (radius / rng.uniform(0.35, 0.6)) ** 2, 0, None) ** 0.5
            cell = rng.uniform(0.35, 0.7) * body + rng.uniform(0.1, 0.3) * nucleus
            height[window] = np.maximum(height[window], cell)
        height *= 1 + _texture(rng, shape, rng.uniform(0, 0.2))
        debris = _texture(rng, shape, rng.uniform(0, 0.03))
        grey = cv2.GaussianBlur(height + debris, (0, 0), rng.uniform(0.7, 2))
        return f"cells-{index}", np.clip(grey, 0, 1).astype(np.float32)

    return draw


def tissue_in(shape: tuple[int, int], seed: int, index: int) -> LabelledScene:
    """Return a scene of the source ``tissue`` with its true labels, as wide as the longer side and cut to the shape.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the pattern in pixels.
    seed, index : int
        Those of the source and of the pattern.
    """
    return cut_to(shape, tissue_scene(max(*shape, LEAST_PX), seed, index))


def cut_to(shape: tuple[int, int], scene: LabelledScene) -> LabelledScene:
    """Return the middle, (H, W) in pixels, of a square scene that is at least as large as ``shape``."""
    rows, columns = ((len(scene.grey) - side) // 2 for side in shape)
    window = slice(rows, rows + shape[0]), slice(columns, columns + shape[1])
    return LabelledScene(scene.grey[window], scene.labels[window])


def _tissue(shape: tuple[int, int], seed: int) -> Callable[[int], tuple[str, Grey]]:
    return lambda index: (f"tissue-{index}", tissue_in(shape, seed, index).grey)


def _lone_cells(shape: tuple[int, int], seed: int) -> Callable[[int], tuple[str, Grey]]:
    size_px = max(*shape, LEAST_PX)
    return lambda index: (f"lone-cells-{index}", cut_to(shape, lone_cells(size_px, seed, index).scene).grey)


def _window(shape: tuple[int, int], centre: NDArray[np.float64], reach: float) -> tuple[tuple[slice, slice], Grey, Grey]:
    """Return the part of the image within ``reach`` of ``centre``, and its y and x coordinates relative to ``centre``."""
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach) + 1, shape).astype(int)
    y, x = np.mgrid[low[0] : high[0], low[1] : high[1]].astype(np.float32)
    return (slice(low[0], high[0]), slice(low[1], high[1])), y - np.float32(centre[0]), x - np.float32(centre[1])


def _texture(rng: np.random.Generator, shape: tuple[int, int], contrast: float) -> Grey:
    """Return Gaussian 1/f noise with standard deviation ``contrast``."""
    f = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    f[0, 0] = np.inf
    spectrum = scipy.fft.rfft2(rng.standard_normal(shape, np.float32)) / f ** rng.uniform(0.9, 1.8)
    noise = scipy.fft.irfft2(spectrum.astype(np.complex64), shape)
    return (noise * (contrast / noise.std())).astype(np.float32)
