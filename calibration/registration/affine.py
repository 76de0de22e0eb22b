"""The result of a registration: where the camera sees each pixel of the pattern."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.stored import CalibrationError, Stored
from drivers.limits import check_pixels

KIND = "registration"
#: Camera pixels per pattern pixel, or the reverse, at most: no optics of an endoscope come near it.
_MOST_SCALE = 100.0
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Registration:
    """An affine map from the pattern to the camera.

    Parameters
    ----------
    matrix : ndarray of float64, shape (2, 3)
        Maps ``(y, x, 1)`` in pattern pixels from the pattern's centre to ``(y, x)`` in camera pixels from the frame's centre.
    pattern_shape, camera_shape : (int, int)
        Height and width in pixels.
    correlation : float
        Correlation of measured data with what the map predicts; 1 is perfect.
    uncertainty_px : float
        Half the difference between the maps from the even shots and from the odd shots, in camera pixels, root mean square over
        the fibre.
    locality_px : float
        Standard deviation of the region around a pattern pixel in which its phase changes the speckle, in camera pixels.
    """

    matrix: Floats
    pattern_shape: tuple[int, int]
    camera_shape: tuple[int, int]
    correlation: float
    uncertainty_px: float
    locality_px: float

    @property
    def matrix_xy(self) -> Floats:
        """The same map for ``(x, y, 1)``, the order of OpenCV; still from centre to centre."""
        return np.ascontiguousarray(self.matrix[::-1][:, [1, 0, 2]])

    @property
    def scale(self) -> float:
        """Camera pixels per pattern pixel: the square root of the change of area."""
        return float(math.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))

    @property
    def flipped(self) -> bool:
        """Whether the pattern's x axis is mirrored; the mirror comes before the rotation."""
        return bool(np.linalg.det(self.matrix[:, :2]) < 0)

    @property
    def rotation_deg(self) -> float:
        """Angle from the pattern's y axis to the camera's y axis, positive towards x, after the mirror."""
        (yy, yx), (xy, xx) = self.matrix[:, :2] @ np.diag([1, -1 if self.flipped else 1])
        return math.degrees(math.atan2(xy - yx, yy + xx))

    @property
    def shift_px(self) -> tuple[float, float]:
        """Position of the pattern's centre, ``(y, x)`` in camera pixels from the frame's centre."""
        return float(self.matrix[0, 2]), float(self.matrix[1, 2])

    def to_camera(self, points: Floats) -> Floats:
        """Map pattern points (N, 2), ``(y, x)`` from the centre, to the camera."""
        return np.asarray(points @ self.matrix[:, :2].T + self.matrix[:, 2])

    def to_pattern(self, points: Floats) -> Floats:
        """Map camera points (N, 2), ``(y, x)`` from the centre, to the pattern."""
        return np.asarray((points - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T)

    def warp(self, image: NDArray[np.float32], fill: float | None = 0.0) -> NDArray[np.float32]:
        """Return an image on the pattern's grid, (H, W), on the camera's grid.

        Pixels outside the pattern become ``fill``, or the value at the pattern's edge if ``fill`` is None.

        Raises
        ------
        CalibrationError
            The image and the registered patterns have different shapes.
        """
        if image.shape != self.pattern_shape:
            raise CalibrationError(
                f"the image is {image.shape} px, the registration is for {self.pattern_shape} px; resize the image"
            )
        source: NDArray[Any] = np.asarray(image, np.float32)
        if self.scale < 0.8:  # one camera pixel covers several pattern pixels: average them first
            source = cv2.GaussianBlur(source, (0, 0), 0.5 * math.sqrt(self.scale**-2 - 1))
        linear = self.matrix_xy[:, :2]
        centre, onto = (
            np.array([(width - 1) / 2, (height - 1) / 2]) for height, width in (self.pattern_shape, self.camera_shape)
        )
        offset = self.matrix_xy[:, 2] + onto - linear @ centre
        height, width = self.camera_shape
        warped = cv2.warpAffine(
            source,
            np.column_stack([linear, offset]),
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT,
            borderValue=fill or 0.0,
        )
        return np.asarray(warped, np.float32)

    def stored(self, devices: Mapping[str, str]) -> Stored:
        """Return the registration in the form that :func:`calibration.stored.save` writes."""
        values = {
            "scale": self.scale,
            "rotation_deg": self.rotation_deg,
            "shift_y_px": self.shift_px[0],
            "shift_x_px": self.shift_px[1],
            "flipped": self.flipped,
            "correlation": self.correlation,
            "uncertainty_px": self.uncertainty_px,
            "locality_px": self.locality_px,
            "pattern_shape": list(self.pattern_shape),
            "camera_shape": list(self.camera_shape),
        }
        return Stored(KIND, devices, values, {"matrix": self.matrix})

    @classmethod
    def from_stored(cls, stored: Stored) -> Registration:
        """Return the registration of a stored calibration.

        Raises
        ------
        CalibrationError
            A value is missing or has the wrong type or shape.
        """
        try:
            pattern, camera = (tuple(map(int, stored.values[f"{name}_shape"])) for name in ("pattern", "camera"))
            numbers = [float(stored.values[name]) for name in ("correlation", "uncertainty_px", "locality_px")]
            matrix = np.asarray(stored.arrays["matrix"], np.float64)
            if matrix.shape != (2, 3) or len(pattern) != 2 or len(camera) != 2:
                raise ValueError(f"matrix of shape {matrix.shape}, pattern_shape {pattern}, camera_shape {camera}")
            check_pixels(pattern)
            check_pixels(camera)
            registration = cls(matrix, (pattern[0], pattern[1]), (camera[0], camera[1]), *numbers)
            if not np.isfinite(matrix).all():
                raise ValueError("its matrix holds a number that is not finite")
            if not 1 / _MOST_SCALE <= registration.scale <= _MOST_SCALE:
                raise ValueError(f"its scale is {registration.scale:.3g}, at most {_MOST_SCALE:g} to one is possible")
            return registration
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise CalibrationError(f"the stored registration is incomplete or damaged: {error}; calibrate again") from error
