"""Segmentation without training: a threshold that follows from the picture and its noise, and a watershed for touching objects.

Otsu's threshold divides any picture into two classes, also one that shows nothing but noise. So the two classes have to be
further apart than the noise of the phase explains; else the picture has no objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

from reconstruction.segmentation.base import SegmentationError, Segmenter
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.phase_noise import background_and_noise

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Limits of the phase noise in radians. What is measured in the picture may be more, because objects that fill the picture look
#: like noise. What a model states may be more, because it includes the error of the mean phase, which objects and background
#: share: 0.09 to 0.25 rad for tissue with an actual deviation of 0.09. Less is a residual that is always there.
LEAST_NOISE_RAD, MOST_NOISE_RAD = 0.03, 0.10
#: Distance of the two classes over the deviation in them, below which a picture shows no objects. Measured on a disc of 124 px:
#: 2.4 to 2.9 for Gaussian noise with a grain of up to 4 px, and 2.3 to 2.8 for what a model makes of a fibre that has moved;
#: 3.1 and more for reconstructions of tissue, 4.8 and more for those of other synthetic cells.
_SEPARATION: Final = 2.9
#: Noise with a coarser grain reaches 3.5. So classes that are less than this many times ``noise_factor`` times the noise apart
#: need a larger separation.
_SURELY: Final = 1.5
_SAFE_SEPARATION: Final = 3.5
#: Blur before the threshold, in pixels.
_BLUR_PX: Final = 0.7
#: What lies around an object is the smallest phase within a square of this side, in pixels, blurred by so much.
_AROUND_PX, _AROUND_BLUR_PX = 11, 2.0
#: Where that is brighter than the dark class, the threshold rises by this part of the difference, but by no more than this part
#: of the distance from the dark class to Otsu's threshold.
_RISE, _MOST_RISE = 0.9, 0.3
#: How much of the height that is flooded is phase; the rest is distance to the border. Both are relative to their largest value
#: within a square of this side, in pixels.
_PHASE_SHARE: Final = 0.3
_LARGEST_PX: Final = 15
#: Blur of the distance and of the height, in pixels.
_HEIGHT_BLUR_PX: Final = 1.0
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True, kw_only=True)
class ThresholdSettings:
    """How threshold and watershed label objects.

    Parameters
    ----------
    threshold_rad : float, optional
        Phase above the background that belongs to an object, in radians. By default the threshold is Otsu's, and whether there
        is an object follows from the noise.
    noise_factor : float
        How many times the phase noise the objects must exceed the background, on average. Not used with ``threshold_rad``.
    min_area_px : int
        Objects with fewer pixels are removed.
    separation_px : int
        Two centres of objects are at least half of this apart, in pixels: a smaller number separates more.

    Raises
    ------
    SegmentationError
        A setting is impossible.
    """

    threshold_rad: float | None = None
    noise_factor: float = 4.0
    min_area_px: int = 12
    separation_px: int = 5

    def __post_init__(self) -> None:
        if self.threshold_rad is not None and not self.threshold_rad > 0:
            raise SegmentationError(f"the threshold must be more than 0 rad, got {self.threshold_rad:g}; choose a larger one")
        for name, least in (("noise_factor", 0.5), ("min_area_px", 1), ("separation_px", 3)):
            if not getattr(self, name) >= least:
                raise SegmentationError(f"{name} must be at least {least:g}, got {getattr(self, name):g}; choose a larger one")


class ThresholdWatershed(Segmenter):
    """Labels what is brighter than its surroundings, and separates touching objects.

    The score of an object with the contrast ``c`` is ``c / (c + noise_factor * noise)``: 0.5 for the least contrast of an
    object, 0.9 for nine times as much. Contrast is the mean phase of the object above what lies around it.

    Parameters
    ----------
    settings : ThresholdSettings, optional
        How objects are labelled.
    """

    kind: ClassVar[str] = "threshold"

    def __init__(self, settings: ThresholdSettings | None = None) -> None:
        self._settings = settings or ThresholdSettings()

    @classmethod
    def of(cls, config: SegmentationConfig) -> Self:
        """Return the segmenter of a configuration; a threshold of 0 is the default one."""
        return cls(ThresholdSettings(threshold_rad=config.threshold or None, min_area_px=config.min_area_px))

    def settings(self) -> Mapping[str, str | float | bool]:
        """Return the settings; see :meth:`Segmenter.settings`."""
        own = {key: value for key, value in asdict(self._settings).items() if value is not None}
        return {"segmenter": self.kind, **own}

    def _segment(self, phase_rad: Image, mask: Mask, std_rad: Image | None) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
        field = _Field(phase_rad, mask)
        threshold_rad = self._threshold(field, std_rad)
        if threshold_rad is None:
            return np.zeros(phase_rad.shape, np.int32), np.zeros(0, np.float32)
        labels = _separated(field, threshold_rad, self._settings.separation_px)
        return self._kept(field, labels, field.noise_rad(std_rad))

    def _threshold(self, field: _Field, std_rad: Image | None) -> Image | None:
        """Return the phase that belongs to an object, for every pixel; None if there is no object."""
        if self._settings.threshold_rad is not None:
            return np.full(field.smooth.shape, field.background_rad + self._settings.threshold_rad, np.float32)
        if field.is_noise(self._settings.noise_factor * field.noise_rad(std_rad)):
            return None
        rise = np.clip(_RISE * (field.around - field.dark_rad), 0, _MOST_RISE * (field.otsu_rad - field.dark_rad))
        return np.asarray(field.otsu_rad + rise, np.float32)

    def _kept(
        self, field: _Field, labels: NDArray[np.int32], noise_rad: float
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Remove objects that are too small; return the others' labels, with gaps, and all scores."""
        settings, count = self._settings, int(labels.max())
        areas = np.bincount(labels.ravel(), minlength=count + 1)
        means_rad = np.bincount(labels.ravel(), field.smooth.ravel(), count + 1) / np.maximum(areas, 1)
        # Inside a large object only other parts of it lie around a pixel: the darkest surroundings are those at its border.
        around_rad = np.full(count + 1, np.inf)
        np.minimum.at(around_rad, labels[labels > 0], field.around[labels > 0])
        contrasts_rad = np.maximum(means_rad - around_rad, 0)
        least_rad = settings.noise_factor * max(noise_rad, 1e-6)
        keep = areas >= settings.min_area_px
        scores = contrasts_rad / (contrasts_rad + least_rad)
        return np.where(keep[labels], labels, 0), scores[1:].astype(np.float32)


def segment(phase_rad: Image, mask: Mask, std_rad: Image | None = None) -> NDArray[np.uint16]:
    """Return the labels (h, w) of a phase image with the default settings; see :meth:`Segmenter.segment`."""
    return ThresholdWatershed().segment(phase_rad, mask, std_rad).labels


class _Field:
    """A phase image, and what follows from it."""

    def __init__(self, phase_rad: Image, mask: Mask) -> None:
        self.mask = mask
        filled = np.where(mask, phase_rad, np.median(phase_rad[mask])).astype(np.float32)
        self.smooth: Image = np.asarray(cv2.GaussianBlur(filled, (0, 0), _BLUR_PX), np.float32)
        self.values: Image = self.smooth[mask]
        self.background_rad, self._measured_rad = background_and_noise(self.values)
        self.otsu_rad = _otsu(self.values)
        is_dark = self.values <= self.otsu_rad
        self._dark, self._bright = self.values[is_dark], self.values[~is_dark]
        self.dark_rad = float(self._dark.mean()) if self._dark.size else self.otsu_rad
        smallest = cv2.erode(self.smooth, np.ones((_AROUND_PX, _AROUND_PX), np.uint8))
        #: Phase of what lies around each pixel.
        self.around: Image = np.asarray(cv2.GaussianBlur(smallest, (0, 0), _AROUND_BLUR_PX), np.float32)

    def noise_rad(self, std_rad: Image | None) -> float:
        """Return the phase noise where there is no object: what the model states, or else what is measured here."""
        noise_rad = self._measured_rad
        if std_rad is not None:
            stated = std_rad[self.mask & (self.smooth <= self.otsu_rad)]
            stated = stated[np.isfinite(stated)]
            noise_rad = float(np.median(stated)) if stated.size else noise_rad
        return float(np.clip(noise_rad, LEAST_NOISE_RAD, MOST_NOISE_RAD))

    def is_noise(self, least_rad: float) -> bool:
        """Whether the two classes of Otsu are no further apart than noise explains; ``least_rad`` apart they may be objects."""
        if not (self._dark.size and self._bright.size):
            return True
        distance_rad = float(self._bright.mean()) - self.dark_rad
        within = self._dark.var() * self._dark.size + self._bright.var() * self._bright.size
        deviation_rad = float(np.sqrt(within / self.values.size))
        separation = _SEPARATION if distance_rad >= _SURELY * least_rad else _SAFE_SEPARATION
        return distance_rad < least_rad or distance_rad < separation * deviation_rad


def _otsu(values: Image) -> float:
    """Return Otsu's threshold of values (n,), which divides them into two classes."""
    low, high = (float(value) for value in np.percentile(values[::8], (0.5, 99.5)))
    if high - low < 1e-6:
        return high
    grey = np.clip((values - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(grey[None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return low + (threshold + 0.5) * (high - low) / 255


def _separated(field: _Field, threshold_rad: Image, separation_px: int) -> NDArray[np.int32]:
    """Return labels of what is above the threshold, one for every peak of a height of phase and of distance to the border."""
    foreground = np.asarray(((field.smooth > threshold_rad) & field.mask), np.uint8)
    foreground = np.asarray(cv2.morphologyEx(foreground, cv2.MORPH_OPEN, _CROSS), np.uint8)
    distance = cv2.GaussianBlur(cv2.distanceTransform(foreground, cv2.DIST_L2, 5), (0, 0), _HEIGHT_BLUR_PX)
    above = np.clip(field.smooth - threshold_rad, 0, None)
    height = (1 - _PHASE_SHARE) * _relative(distance) + _PHASE_SHARE * _relative(above)
    height = np.asarray(cv2.GaussianBlur(height * foreground, (0, 0), _HEIGHT_BLUR_PX), np.float32)
    side = 2 * (separation_px // 2) + 1
    peaks = (height >= cv2.dilate(height, np.ones((side, side), np.uint8))) & (foreground > 0) & (distance > 1.0)
    _, markers = cv2.connectedComponents(peaks.astype(np.uint8))
    # The watershed of scikit-image floods by height. That of OpenCV floods by colour steps and lets the background in.
    return np.asarray(watershed(-height, markers, mask=foreground > 0), np.int32)


def _relative(values: NDArray[Any]) -> Image:
    """Return values over the largest one near to them."""
    largest = cv2.dilate(np.asarray(values, np.float32), np.ones((_LARGEST_PX, _LARGEST_PX), np.uint8))
    return np.asarray(values / (largest + np.float32(1e-6)), np.float32)
