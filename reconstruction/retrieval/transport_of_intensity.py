"""Phase from the change of intensity along the axis: the transport-of-intensity equation, solved with Fourier transforms.

Out of focus, phase that is curved gathers or spreads light: ``dI/dz = -div(I grad L)``, with ``L`` the length that the object
adds to the path of light (Teague, J. Opt. Soc. Am. 73, 1434, 1983). ``L`` does not depend on the wavelength, so planes may have
different colours (Waller et al., Optics Express 18, 22817, 2010). Teague's solution takes the flow ``I grad L`` for a gradient;
what it misses in uneven light is solved again (Zuo et al., Phys. Lett. A 378, 1538, 2014). The image is continued by its mirror
images: no light flows over its edge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconstruction.base import ReconstructionError

#: Less intensity than this fraction of the mean counts as this: dark pixels say nothing of the phase.
_LEAST_LIGHT = 0.05
#: How many times the equation is solved.
_ROUNDS = 4


def transport_of_intensity(
    planes: NDArray[np.floating], defocus_um: Sequence[float], pixel_um: float, wavelength_um: float, coarsest_um: float = 0.0
) -> NDArray[np.float32]:
    """Return the phase of an object from its images in two or more planes.

    Parameters
    ----------
    planes : ndarray, shape (p, h, w)
        Intensity in each plane, equally bright.
    defocus_um : sequence of float
        Distance of every plane from the object, along the light.
    pixel_um : float
        Size of a pixel at the object.
    wavelength_um : float
        Wavelength to which the phase belongs.
    coarsest_um : float
        Regularisation: details much larger than this are damped, because noise makes large clouds; 0 damps nothing.

    Returns
    -------
    ndarray of float32, shape (h, w)
        Phase in radians with mean 0, which intensities do not depend on.

    Raises
    ------
    ReconstructionError
        There are fewer than two planes, two equal distances alone, or pixels that are not finite.
    """
    images = np.asarray(planes, np.float64)
    z_um = np.asarray(defocus_um, np.float64)
    if images.ndim != 3 or len(images) != len(z_um) or len(set(z_um.tolist())) < 2:
        raise ReconstructionError(
            f"transport of intensity needs two or more planes at different distances, got {images.shape} and {z_um.tolist()} um"
        )
    if not np.isfinite(images).all():
        raise ReconstructionError("a plane has pixels that are not finite; capture it again")
    design = np.vander(z_um, min(len(set(z_um.tolist())), 3), increasing=True)
    coefficients = np.linalg.pinv(design) @ images.reshape(len(images), -1)
    focus, slope = (row.reshape(images.shape[1:]) for row in coefficients[:2])
    light = np.maximum(focus, _LEAST_LIGHT * focus.mean())
    solver = _Solver(images.shape[1:], pixel_um)
    path_um, rest = np.zeros(images.shape[1:]), -slope
    for _ in range(_ROUNDS):
        along_y, along_x = solver.gradient(solver.inverse_laplacian(rest))
        path_um += solver.inverse_laplacian(solver.divergence(along_y / light, along_x / light))
        along_y, along_x = solver.gradient(path_um)
        rest = -slope - solver.divergence(light * along_y, light * along_x)
    path_um = solver.damped(path_um, coarsest_um)
    return (2 * np.pi / wavelength_um * (path_um - path_um.mean())).astype(np.float32)


class _Solver:
    """Derivatives and the inverse Laplacian of images (h, w) that are continued by their mirror images."""

    def __init__(self, shape: tuple[int, ...], pixel_um: float) -> None:
        self._shape = shape
        self._y, self._x = np.meshgrid(*(2j * np.pi * np.fft.fftfreq(2 * side, pixel_um) for side in shape), indexing="ij")
        self._laplacian = (self._y**2 + self._x**2).real
        self._inverse = np.divide(1, self._laplacian, out=np.zeros_like(self._laplacian), where=self._laplacian != 0)

    def inverse_laplacian(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the image whose Laplacian is ``image``, without its mean."""
        return self._applied(image, self._inverse)

    def damped(self, image: NDArray[np.float64], coarsest_um: float) -> NDArray[np.float64]:
        """Return an image without details that are much larger than a length; 0 damps nothing."""
        if not coarsest_um:
            return image
        squared = self._laplacian**2
        return self._applied(image, squared / (squared + (2 * np.pi / coarsest_um) ** 4))

    def gradient(self, image: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the derivatives along rows and columns."""
        return self._applied(image, self._y), self._applied(image, self._x)

    def divergence(self, along_y: NDArray[np.float64], along_x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the divergence of a flow that does not cross the edge."""
        return self._applied(along_y, self._y, odd=0) + self._applied(along_x, self._x, odd=1)

    def _applied(
        self, image: NDArray[np.float64], factor: NDArray[np.complexfloating] | NDArray[np.float64], odd: int | None = None
    ) -> NDArray[np.float64]:
        """Return the transform of spectrum times factor; ``odd`` is the axis along which the mirror image is negative."""
        continued = image
        for axis in (0, 1):
            continued = np.concatenate([continued, np.flip(continued, axis) * (-1 if axis == odd else 1)], axis)
        result = np.fft.ifft2(np.fft.fft2(continued) * factor).real
        return np.asarray(result[: self._shape[0], : self._shape[1]])
