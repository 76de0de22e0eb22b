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

KIND = "registration"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Registration:
    """An affine map from the pattern to the camera.

    Parameters
    ----------
    matrix : ndarray of float64, shape (2, 3)
        ``(y, x)`` in pattern pixels from the pattern's centre, and 1, to ``(y, x)`` in camera pixels from the frame's centre.
    pattern_shape, camera_shape : (int, int)
        Pixels of each.
    correlation : float
        Of the measured maps of local correlation with those that the affine predicts, 1 is perfect.
    uncertainty_px : float
        Root mean square over the fibre, in camera pixels, of half the difference between the affines that the even and the
        odd shots give by themselves.
    locality_px : float
        Standard deviation of the blur by which a phase acts on the speckle around it, in camera pixels.
    """

    matrix: Floats
    pattern_shape: tuple[int, int]
    camera_shape: tuple[int, int]
    correlation: float
    uncertainty_px: float
    locality_px: float

    @property
    def matrix_xy(self) -> Floats:
        """The same map for ``(x, y, 1)``, as OpenCV wants it: still from centre to centre."""
        return np.ascontiguousarray(self.matrix[::-1][:, [1, 0, 2]])

    @property
    def scale(self) -> float:
        """Camera pixels per pattern pixel: the root of the change of area."""
        return float(math.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))

    @property
    def flipped(self) -> bool:
        """Whether the pattern's x is mirrored, before it is turned."""
        return bool(np.linalg.det(self.matrix[:, :2]) < 0)

    @property
    def rotation_deg(self) -> float:
        """Angle from the pattern's y to the camera's, positive towards x, after the mirror."""
        (yy, yx), (xy, xx) = self.matrix[:, :2] @ np.diag([1, -1 if self.flipped else 1])
        return math.degrees(math.atan2(xy - yx, yy + xx))

    @property
    def shift_px(self) -> tuple[float, float]:
        """Where the pattern's centre lies, ``(y, x)`` in camera pixels from the frame's centre."""
        return float(self.matrix[0, 2]), float(self.matrix[1, 2])

    def to_camera(self, points: Floats) -> Floats:
        """Map pattern points (N, 2), ``(y, x)`` from the centre, to the camera."""
        return np.asarray(points @ self.matrix[:, :2].T + self.matrix[:, 2])

    def to_pattern(self, points: Floats) -> Floats:
        """Map camera points (N, 2), ``(y, x)`` from the centre, to the pattern."""
        return np.asarray((points - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T)

    def warp(self, image: NDArray[np.float32], fill: float | None = 0.0) -> NDArray[np.float32]:
        """Return a pattern's image (H, W) as the camera would see it, on the camera's grid.

        Beside the pattern lies ``fill``, or, where that is None, what lies at its edge.

        Raises
        ------
        CalibrationError
            The image has another shape than the patterns that were registered.
        """
        if image.shape != self.pattern_shape:
            raise CalibrationError(f"the image is {image.shape}, the registration is of {self.pattern_shape}; resize the image")
        source: NDArray[Any] = np.asarray(image, np.float32)
        if self.scale < 0.8:  # several pattern pixels share one of the camera's: average them first
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
        """Return it as :func:`calibration.stored.save` takes it."""
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
        """Read it back.

        Raises
        ------
        CalibrationError
            Something is missing or does not fit.
        """
        try:
            pattern, camera = (tuple(map(int, stored.values[f"{name}_shape"])) for name in ("pattern", "camera"))
            numbers = [float(stored.values[name]) for name in ("correlation", "uncertainty_px", "locality_px")]
            matrix = np.asarray(stored.arrays["matrix"], np.float64)
            if matrix.shape != (2, 3) or len(pattern) != 2 or len(camera) != 2:
                raise ValueError(f"a matrix of {matrix.shape} between {pattern} and {camera}")
            return cls(matrix, (pattern[0], pattern[1]), (camera[0], camera[1]), *numbers)
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"the stored registration lacks or spoils {error}; calibrate again") from error
