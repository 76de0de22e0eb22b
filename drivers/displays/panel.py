"""From a pattern to the grey image of a whole panel: enlarge, place, correct, and convert phase to grey levels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError, Pattern, WrongPatternError, frozen_array
from drivers.displays.maker_files import read_correction, read_lut
from drivers.displays.phase_lut import GreyEncoder, GreyLut


@dataclass(frozen=True)
class PanelConfig:
    """A panel, and the area of it that the fibre sees.

    Parameters
    ----------
    shape : (int, int)
        The panel's native height and width in pixels.
    pattern_shape : (int, int)
        Height and width of a pattern in its own pixels; 0 means as many as fit on the panel.
    zoom : int
        Number of panel pixels along each side of a pattern pixel.
    offset_px : (int, int)
        Offset of the pattern's centre from the panel's centre, down and to the right, in panel pixels.
    slm_range_rad, gamma : float
        Response without a calibration: grey level g gives the phase ``(g / 255)**gamma * slm_range_rad``.
    lut_file : str
        File with the calibrated response, used instead: 256 phases in radians, as text or CSV (a phase in each line, or a level
        and its phase) or ``.npy``.
    correction_file : str
        Map with the panel's shape that is added to every pattern: the negative of the wavefront error. A ``.npy`` file of
        radians (floats), or the maker's picture (such as BMP) or ``.npy`` file of grey levels.
    correction_levels_2pi : float
        How many of the correction's grey levels make 2 pi, as its maker states, for instance 256; 0 where it is in radians.

    Raises
    ------
    ValueError
        The pattern does not fit on the panel, or the response is none of a panel.
    """

    shape: tuple[int, int] = (1080, 1920)
    pattern_shape: tuple[int, int] = (0, 0)
    zoom: int = 1
    offset_px: tuple[int, int] = (0, 0)
    slm_range_rad: float = 2 * np.pi
    gamma: float = 1.0
    lut_file: str = ""
    correction_file: str = ""
    correction_levels_2pi: float = 0.0

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or min(self.pattern_shape) < 0 or self.zoom < 1:
            raise ValueError(f"shape and zoom of a panel must be positive, got {self.shape} and {self.zoom}")
        if not self.lut_file:
            GreyLut.gamma(self.gamma, self.slm_range_rad)  # raises ValueError
        for size, pattern_size, offset in zip(self.shape, self._size_px, self.offset_px, strict=True):
            if pattern_size > size or abs(2 * offset) > size - pattern_size:
                raise ValueError(
                    f"the pattern must lie on the panel, but {self._size_px} px moved by {self.offset_px} leave {self.shape}"
                )

    @property
    def fitted_shape(self) -> tuple[int, int]:
        """Height and width of a pattern in its own pixels."""
        height, width = (chosen or size // self.zoom for size, chosen in zip(self.shape, self.pattern_shape, strict=True))
        return height, width

    @property
    def _size_px(self) -> tuple[int, int]:
        height, width = self.fitted_shape
        return height * self.zoom, width * self.zoom


class Panel:
    """Convert patterns to the grey images of one panel.

    Parameters
    ----------
    config : PanelConfig
        Its geometry.
    encoder : GreyEncoder, optional
        Its response and correction; by default those of ``config``.

    Raises
    ------
    DeviceError
        A calibration file cannot be read, or the correction does not have the panel's shape.
    """

    def __init__(self, config: PanelConfig | None = None, encoder: GreyEncoder | None = None) -> None:
        self.config = config = config or PanelConfig()
        self.encoder = encoder or _encoder(config)
        correction = self.encoder.correction_rad
        if correction is not None and correction.shape != config.shape:
            raise DeviceError(
                f"the correction must be as large as the panel, {config.shape}, but it is {correction.shape}; resize it"
            )
        height, width = config.fitted_shape
        tops = [
            (size - length * config.zoom) // 2 + offset
            for size, length, offset in zip(config.shape, (height, width), config.offset_px, strict=True)
        ]
        self._area = tuple(slice(top, top + length * config.zoom) for top, length in zip(tops, (height, width), strict=True))
        self._part = GreyEncoder(self.encoder.lut, None if correction is None else correction[self._area])
        self.flat = frozen_array(self.encoder(np.zeros(config.shape, np.float32)))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the grey images, in panel pixels."""
        return self.config.shape

    @property
    def pattern_shape(self) -> tuple[int, int]:
        """Height and width of a pattern."""
        return self.config.fitted_shape

    def grey(self, pattern: Pattern) -> NDArray[np.uint8]:
        """Return the grey image for the panel: the pattern in its place, phase 0 around it, all corrected.

        Parameters
        ----------
        pattern : Pattern
            Of ``pattern_shape``.

        Returns
        -------
        ndarray of uint8, shape (H, W)
            A new array of the panel's shape.

        Raises
        ------
        WrongPatternError
            The pattern has another shape.
        """
        if pattern.shape != self.pattern_shape:
            raise WrongPatternError(
                f"pattern {pattern.name!r} has the shape {pattern.shape}, but the SLM needs {self.pattern_shape}; "
                "resize the pattern"
            )
        phase, zoom = pattern.phase_rad, self.config.zoom
        if zoom > 1:
            phase = np.repeat(np.repeat(phase, zoom, axis=0), zoom, axis=1)
        part = self._part(phase)
        if part.shape == self.shape:
            return part
        grey = self.flat.copy()
        grey[self._area] = part
        return grey

    def phase_of(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the phase in radians that a grey image stands for in the pattern's area, of ``pattern_shape``."""
        zoom = self.config.zoom
        phase = self._part.phase_of(grey[self._area])
        return np.ascontiguousarray(phase[::zoom, ::zoom])

    def check(self, grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a grey image as a read-only array; raises WrongPatternError unless it is uint8 of the panel's shape."""
        if grey.shape != self.shape or grey.dtype != np.uint8:
            raise WrongPatternError(
                f"a grey image must be uint8 {self.shape}, got {grey.dtype} {grey.shape}; resize it to the panel"
            )
        return frozen_array(grey)


def _encoder(config: PanelConfig) -> GreyEncoder:
    lut = GreyLut.gamma(config.gamma, config.slm_range_rad) if not config.lut_file else read_lut(Path(config.lut_file))
    if not config.correction_file:
        return GreyEncoder(lut)
    try:
        return GreyEncoder(lut, read_correction(Path(config.correction_file), config.correction_levels_2pi))
    except ValueError as error:
        raise DeviceError(f"{config.correction_file}: {error}") from error
