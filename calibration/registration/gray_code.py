"""Registration of pattern and camera from the speckle itself: no target and no focusing are needed, only 28 shots.

A random phase at one place of the pattern changes the speckle only near this place, within the fibre's second-order locality.
Stripes of random phase therefore write a Gray code of position into the speckle (structured light: Inokuchi, Sato and Matsuda,
ICPR 1984): where a frame still correlates with the frame of the flat pattern, its bit is 0. The decoded bits give a first
affine map for any scale, rotation, shift or mirror. Coarse blocks of phase 0 or pi then refine the map. If ``m`` is the blurred
indicator of pi, theory gives ``correlation = offset + gain (1 - 4 m (1 - m))`` for any phase range of the SLM. Fisher scoring
finds the affine map, offset and gain of largest likelihood for the sums and differences of the frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from acquisition.capture.pair_capture import PairCapture, Rig
from calibration.registration.affine import KIND as KIND
from calibration.registration.affine import Floats, Registration
from calibration.stored import CalibrationError
from drivers.base import Pattern

#: Locality: standard deviation of the region in which the phase of a pixel changes the speckle. The sizes below are in units of
#: it.
_LOCALITY_PX = 8.5
_INTERVAL = 3.7
_SCRAMBLE = 1.0
_BLOCK = 4.7
_MARGIN = 2.4
#: Standard deviation of the window for a frame's local mean and contrast, and camera pixels per sample of the maps along each
#: axis.
_WINDOW_PX = 16.0
_STRIDE = 4
_MIN_CONTRAST = 0.3
_MIN_DECODED = 0.6
_MIN_CORRELATION = 0.6
_MIN_REPEAT = 0.5
_MAX_SATURATED = 0.01
_MIN_SAMPLES = 100
_MAX_SCALE = 20
_MOST_STEPS = 30


@dataclass(frozen=True, kw_only=True)
class RegistrationData:
    """Frames of the flat pattern, of stripes and of blocks.

    Parameters
    ----------
    flat : ndarray of float32, shape (R, H, W)
        Frames of the flat pattern, in counts: the first half before all other frames, the second half after them.
    masks : ndarray of bool, shape (N, h, w)
        Where each of the other patterns has phase pi, in pattern pixels: first the bits of the code along y, widest first, then
        the bits along x, then the blocks.
    frames : ndarray of float32, shape (N, H, W)
        Frames of these patterns, in counts.
    bits : (int, int)
        Number of bits of the code along y and x.
    saturated : float
        Largest fraction of saturated pixels in any frame.
    """

    flat: NDArray[np.float32]
    masks: NDArray[np.bool_]
    frames: NDArray[np.float32]
    bits: tuple[int, int]
    saturated: float = 0.0


def _code(length: int, bit: int, bits: int) -> NDArray[np.bool_]:
    """Return one bit of the Gray code of the position along ``length`` pixels; bit 0 has the widest stripes."""
    interval = np.arange(length) * 2**bits // length
    return (interval ^ (interval >> 1)) >> (bits - 1 - bit) & 1 == 1


def _random_blocks(shape: tuple[int, int], size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return blocks that are on or off at random, on a grid at a random position."""
    cells = rng.integers(0, 2, [side // size + 2 for side in shape]) == 1
    top, left = rng.integers(0, size, 2)
    return np.repeat(np.repeat(cells, size, 0), size, 1)[top : top + shape[0], left : left + shape[1]]


def probe_pattern_masks(shape: tuple[int, int], blocks: int, locality_px: float) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Return where the patterns have phase pi, (N, h, w), bits of the code before blocks; and the number of bits of y and x."""
    rng = np.random.default_rng(11)
    sizes = [max(1, round(part * locality_px)) for part in (_SCRAMBLE, _BLOCK)]
    high, wide = _bits(shape, locality_px)
    rows = [_code(shape[0], bit, high)[:, None] & _random_blocks(shape, sizes[0], rng) for bit in range(high)]
    columns = [_code(shape[1], bit, wide)[None, :] & _random_blocks(shape, sizes[0], rng) for bit in range(wide)]
    return np.stack([*rows, *columns, *(_random_blocks(shape, sizes[1], rng) for _ in range(blocks))]), (high, wide)


def count_patterns(shape: tuple[int, int], blocks: int, locality_px: float) -> int:
    """Return how many patterns :func:`probe_pattern_masks` gives."""
    return sum(_bits(shape, locality_px)) + blocks


def _bits(shape: tuple[int, int], locality_px: float) -> tuple[int, int]:
    """Return the number of bits of y and x."""
    high, wide = (max(2, int(math.log2(side / (_INTERVAL * locality_px)))) for side in shape)
    return high, wide


def acquire(
    rig: Rig,
    blocks: int = 16,
    references: int = 4,
    locality_px: float = _LOCALITY_PX,
    progress: Callable[[int], None] = lambda done: None,
) -> RegistrationData:
    """Show the flat pattern, stripes and blocks, and capture a frame of each.

    Parameters
    ----------
    rig : Rig
        Used by this thread only.
    blocks : int
        Number of patterns of random blocks, at least 2. The error decreases with the square root of this number.
    references : int
        Number of frames of the flat pattern, at least 2; half of them are captured at the end.
    locality_px : float
        Approximate locality in pattern pixels. The sizes of stripes and blocks follow from it.
    progress : callable
        Called with the number of frames captured.

    Raises
    ------
    ValueError
        ``blocks`` or ``references`` is less than 2.
    CaptureError, DeviceError
        A device failed, or frames are too bright or too dark.
    """
    if blocks < 2 or references < 2:
        raise ValueError(f"a registration needs at least 2 blocks and 2 references, got {blocks} and {references}")
    shape = rig.display().capabilities.shape
    masks, bits = probe_pattern_masks(shape, blocks, locality_px)
    flat = Pattern(np.zeros(shape, np.float32), "flat")
    probe_patterns = [Pattern(np.float32(np.pi) * mask, f"registration {number}") for number, mask in enumerate(masks)]
    before = references // 2
    capture = PairCapture(rig)
    frames, saturated = [], 0.0
    try:
        for pattern in [*[flat] * before, *probe_patterns, *[flat] * (references - before)]:
            frame = capture.capture(pattern)
            saturated = max(saturated, frame.saturated_fraction())
            frames.append(frame.pixels.astype(np.float32))
            progress(len(frames))
    finally:
        capture.release()
    after = before + len(probe_patterns)
    return RegistrationData(
        flat=np.stack(frames[:before] + frames[after:]),
        masks=masks,
        frames=np.stack(frames[before:after]),
        bits=bits,
        saturated=saturated,
    )


def fit(data: RegistrationData) -> Registration:
    """Fit the affine map to the places where the speckle changed.

    Raises
    ------
    CalibrationError
        Frames are saturated, the speckle of the flat pattern does not repeat, the stripes do not change the speckle because the
        SLM's light does not reach the fibre, or no affine map explains the changes.
    """
    if data.saturated > _MAX_SATURATED:
        raise CalibrationError(
            f"{100 * data.saturated:.1f} % of a frame's pixels are saturated, at most {100 * _MAX_SATURATED:.0f} % is allowed; "
            "shorten the exposure"
        )
    maps = _maps_of(data)
    if not maps.repeat >= _MIN_REPEAT:
        raise CalibrationError(
            f"the flat pattern's speckle before and after correlates {maps.repeat:.2f}, at least {_MIN_REPEAT} is needed; "
            "check that there is light and that the fibre does not move"
        )
    start = _decode(data, maps)
    to_pattern = _likeliest(data, maps, start, _LOCALITY_PX)
    locality_px = _best_locality(data, maps, to_pattern)
    to_pattern = _likeliest(data, maps, to_pattern, locality_px)
    predicted = _predict(_contrast(data.masks, to_pattern, locality_px), to_pattern @ maps.points)
    correlation = float(np.corrcoef(_centred(predicted[:, maps.lit]).ravel(), _centred(maps.smooth[:, maps.lit]).ravel())[0, 1])
    if correlation < _MIN_CORRELATION:
        raise CalibrationError(
            f"the best affine map explains the changes with a correlation of {correlation:.2f}, at least {_MIN_CORRELATION} is "
            "needed; check that the fibre does not move and that the SLM's light fills the whole field"
        )
    halves = [_likeliest(data, maps, to_pattern, locality_px, slice(part, None, 2)) for part in (0, 1)]
    points = maps.points[:, maps.lit]
    apart = np.linalg.solve(to_pattern[:, :2], (halves[0] - halves[1]) @ points)
    uncertainty_px = float(np.sqrt(np.mean(np.sum(apart**2, axis=0)))) / 2
    linear = np.linalg.inv(to_pattern[:, :2])
    matrix = np.column_stack([linear, -linear @ to_pattern[:, 2]])
    height, width = data.masks.shape[1:]
    return Registration(matrix, (height, width), data.flat.shape[1:], correlation, uncertainty_px, locality_px)


@dataclass(frozen=True, kw_only=True)
class _Maps:
    """Correlation of the frames with the reference, at ``n`` samples of the camera.

    ``sums`` and ``differences`` (N, n) are half the squares of the sum and of the difference of normalised frame and reference;
    their expectations are 1 + correlation and 1 - correlation. ``smooth`` (N, n) is the blurred correlation. ``points`` (3, n)
    are y and x from the centre, and 1. ``lit`` (n,) marks the samples that lie well inside the light. ``repeat`` is the
    correlation of the flat pattern's frames before and after all others.
    """

    sums: Floats
    differences: Floats
    smooth: Floats
    points: Floats
    lit: NDArray[np.bool_]
    repeat: float


def _maps_of(data: RegistrationData) -> _Maps:
    half = len(data.flat) // 2
    mean = data.flat.mean(axis=0)
    light = cv2.GaussianBlur(mean, (0, 0), _LOCALITY_PX) - np.percentile(mean, 1)
    bright = (light > 0.4 * np.percentile(light, 90)).astype(np.uint8)
    # Samples near the edge of the light are not used: only one side acts on their speckle, which would shift the map inwards.
    lit = _coarse(np.minimum(cv2.distanceTransform(bright, cv2.DIST_L2, 5), 1e3)) > _MARGIN * _LOCALITY_PX
    reference, first, last = (_normal(frame) for frame in (mean, data.flat[:half].mean(axis=0), data.flat[half:].mean(axis=0)))
    frames = [_normal(frame) for frame in data.frames]
    sums = np.stack([_coarse((reference + frame) ** 2 / 2) for frame in frames])
    differences = np.stack([_coarse((reference - frame) ** 2 / 2) for frame in frames])
    smooth = np.stack([ndimage.gaussian_filter(each, 2.0) for each in (sums - differences) / 2])
    axes = [_STRIDE * np.arange(n) + (_STRIDE - side) / 2 for n, side in zip(lit.shape, mean.shape, strict=True)]
    y, x = np.meshgrid(*axes, indexing="ij")
    points = np.stack([y.ravel(), x.ravel(), np.ones(y.size)])
    repeat = float(np.mean(_coarse(first * last)[lit])) if lit.any() else 0.0
    rows = (len(frames), -1)
    return _Maps(
        sums=sums.reshape(rows),
        differences=differences.reshape(rows),
        smooth=smooth.reshape(rows),
        points=points,
        lit=lit.ravel(),
        repeat=repeat,
    )


def _normal(frame: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the frame's amplitude, normalised to a local mean of 0 and a local standard deviation of 1."""
    amplitude = np.sqrt(frame)  # the distribution of amplitudes is closer to a Gaussian than that of intensities
    centred = amplitude - cv2.GaussianBlur(amplitude, (0, 0), _WINDOW_PX)
    contrast = np.sqrt(cv2.GaussianBlur(centred * centred, (0, 0), _WINDOW_PX))
    return np.asarray(centred / np.maximum(contrast, 1e-3), np.float32)


def _coarse(image: NDArray[np.float32] | Floats) -> Floats:
    """Average an image over squares of ``_STRIDE`` pixels."""
    height, width = (side // _STRIDE for side in image.shape)
    blocks = image[: height * _STRIDE, : width * _STRIDE].reshape(height, _STRIDE, width, _STRIDE)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float64)


def _centred(rows: Floats) -> Floats:
    return rows - rows.mean(axis=1, keepdims=True)


def _decode(data: RegistrationData, maps: _Maps) -> Floats:
    """Return the affine map (2, 3) from camera points to the pattern that follows from the code, correct to a few pixels."""
    points = maps.points[:, maps.lit].T
    coded = maps.smooth[: sum(data.bits)][:, maps.lit]
    contrast = float(np.median(np.ptp(coded, axis=0)))
    if not contrast >= _MIN_CONTRAST:
        raise CalibrationError(
            f"the stripes changed the correlation of the speckle by {contrast:.2f}, at least {_MIN_CONTRAST} is needed; "
            "check that the SLM's light reaches the fibre"
        )
    low, high = np.percentile(coded, [10, 90])
    changed = (coded < (low + high) / 2).astype(np.int64)
    rows = []
    for axis, bits in enumerate(data.bits):
        length = data.masks.shape[1 + axis]
        gray = changed[:bits] if axis == 0 else changed[data.bits[0] :]
        binary = np.bitwise_xor.accumulate(gray, axis=0)
        interval_px = length / 2**bits
        decoded = (2 ** np.arange(bits - 1, -1, -1) @ binary + 0.5) * interval_px - length / 2
        good = np.ones(len(decoded), bool)
        for _ in range(10):
            row = np.linalg.lstsq(points[good], decoded[good], rcond=None)[0]
            off = np.abs(points @ row - decoded)
            good = off <= max(interval_px, 2 * float(np.median(off)))
        explained = float(np.mean(off <= interval_px))
        if explained < _MIN_DECODED:
            raise CalibrationError(
                f"{100 * explained:.0f} % of the decoded positions fit one affine map, {100 * _MIN_DECODED:.0f} % are needed; "
                "check that the fibre does not move and that the SLM's light fills the whole field"
            )
        rows.append(row)
    affine = np.stack(rows)
    scale = _scale(affine)
    if not 1 / _MAX_SCALE < scale < _MAX_SCALE:
        raise CalibrationError(
            f"a camera pixel would cover {scale:.2g} pattern pixels, 1/{_MAX_SCALE} to {_MAX_SCALE} is allowed; "
            "check that the SLM's light reaches the fibre"
        )
    return affine


def _scale(to_pattern: Floats) -> float:
    """Return pattern pixels per camera pixel."""
    return math.sqrt(abs(float(np.linalg.det(to_pattern[:, :2]))))


def _contrast(masks: NDArray[np.bool_], to_pattern: Floats, locality_px: float) -> list[NDArray[np.float32]]:
    """Return the correlation ``1 - 4 m (1 - m)`` that remains with phase pi inside the masks, on the pattern's grid."""
    sigma = locality_px * _scale(to_pattern)
    blurred = (cv2.GaussianBlur(m.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) for m in masks)
    return [1 - 4 * m * (1 - m) for m in blurred]


def _predict(contrast: list[NDArray[np.float32]], at: Floats) -> Floats:
    """Interpolate every contrast at pattern positions (2, n) from the centre; return (N, n)."""
    corner = at + (np.array(contrast[0].shape)[:, None] - 1) / 2
    return np.stack([ndimage.map_coordinates(each, corner, order=1, mode="nearest") for each in contrast]).astype(np.float64)


def _inside(data: RegistrationData, maps: _Maps, to_pattern: Floats, locality_px: float) -> NDArray[np.bool_]:
    """Return which lit samples lie inside the pattern and away from its border, (n,)."""
    margin_px = 2 * locality_px * _scale(to_pattern)
    limit = np.array(data.masks.shape[1:])[:, None] / 2 - margin_px
    inside = maps.lit & (np.abs(to_pattern @ maps.points) < limit).all(axis=0)
    if inside.sum() < _MIN_SAMPLES:
        raise CalibrationError(
            f"{inside.sum() * _STRIDE**2} px of the fibre lie inside the pattern, at least {_MIN_SAMPLES * _STRIDE**2} are "
            "needed; check the alignment of fibre and SLM"
        )
    return inside


def _likeliest(data: RegistrationData, maps: _Maps, start: Floats, locality_px: float, shots: slice = slice(None)) -> Floats:
    """Refine the affine map by Fisher scoring; frame and reference are unit Gaussians with the predicted correlation."""
    inside = _inside(data, maps, start, locality_px)
    contrast = _contrast(data.masks[shots], start, locality_px)
    points, sums, differences = maps.points[:, inside], maps.sums[shots][:, inside], maps.differences[shots][:, inside]
    # One unit of each of the six parameters moves the map by at most one pixel.
    units = np.array([np.abs(points[0]).max(), np.abs(points[1]).max(), 1.0])
    scaled, affine = points / units[:, None], start.copy()
    offset, gain = 0.0, 0.9
    for _ in range(_MOST_STEPS):
        at = affine @ points
        value = _predict(contrast, at)
        slopes = [_predict(contrast, at + step) - _predict(contrast, at - step) for step in 0.5 * np.eye(2)[:, :, None]]
        rho = np.clip(offset + gain * value, -0.3, 0.97)
        partial = [gain * slope * scaled[k] for slope in slopes for k in range(3)]
        jacobian = np.stack([*partial, np.ones_like(rho), value]).reshape(8, -1)
        score = (sums / (1 + rho) ** 2 - 1 / (1 + rho) - differences / (1 - rho) ** 2 + 1 / (1 - rho)) / 2
        information = (1 + rho**2) / (1 - rho**2) ** 2
        normal = (jacobian * information.ravel()) @ jacobian.T
        step = np.linalg.lstsq(normal, jacobian @ score.ravel(), rcond=None)[0]
        affine += np.clip(step[:6], -3, 3).reshape(2, 3) / units
        offset, gain = offset + float(step[6]), gain + float(step[7])
        if np.abs(step[:6]).max() < 1e-3:
            return affine
    raise CalibrationError(
        f"the affine map still changes by {np.abs(step[:6]).max():.2f} px after {_MOST_STEPS} steps; check that the fibre does "
        "not move"
    )


def _best_locality(data: RegistrationData, maps: _Maps, to_pattern: Floats) -> float:
    """Return the locality, in camera pixels, whose predictions are closest to the measured correlations."""
    inside = _inside(data, maps, to_pattern, _LOCALITY_PX)
    at = to_pattern @ maps.points[:, inside]
    measured = _centred((maps.sums[:, inside] - maps.differences[:, inside]) / 2).ravel()

    def misfit(locality_px: float) -> float:
        predicted = _centred(_predict(_contrast(data.masks, to_pattern, locality_px), at)).ravel()
        return -float(predicted @ measured / np.sqrt(predicted @ predicted))

    bounds = (_LOCALITY_PX / 3, _LOCALITY_PX * 3)
    return float(optimize.minimize_scalar(misfit, bounds=bounds, method="bounded", options={"xatol": 0.1}).x)
