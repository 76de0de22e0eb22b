"""The parameters of a simulated fibre and of the optics around it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

#: Fields that are a length or a scale.
_POSITIVE = (
    "pixel_um", "wavelength_um", "field_radius_um", "edge_um", "core_pitch_um", "mode_radius_um", "scale",
)  # fmt: skip
_MOST_MODES = 16


@dataclass(frozen=True, kw_only=True)
class OpticsConfig:
    """One fibre and the optics around it; all lengths are at the fibre's facet.

    The defaults reproduce the statistics of a real multi-core fibre (see ``docs/twin.md``): speckle grains of 2.18 px, pair
    correlation 0.75, second-order locality 9 px. ``distance_um`` gives a = wavelength * distance / pixel^2 = 57 px.
    A core at ``p`` (y, x) from the camera's centre sees the SLM at ``scale * turn(rotation) p + shift`` from its centre. With
    ``flip`` its x is mirrored before the shift.

    Parameters
    ----------
    seed : int
        Draws the core positions, gains, phases and coupling: a seed is a fibre.
    image_px : int
        Width and height of image and pattern in pixels.
    pixel_um, wavelength_um, distance_um : float
        Pixel size, wavelength, and distance from the output facet to the image plane, in micrometres.
    field_radius_um, edge_um : float
        Radius of the fibre's field, and width of its soft edge, in micrometres.
    core_pitch_um, core_jitter, lattice_grains
        Distance of neighbouring cores in micrometres, standard deviation of their position as a fraction of it, and number of
        crystal grains.
    mode_radius_um, mode_weights
        Radius of a core's mode in micrometres, and relative power of every mode.
    coupling_sigma_um : float
        Standard deviation of the neighbourhood in which cores couple, in micrometres.
    gain_relief, relief_sigma_um : float
        Relative standard deviation of the cores' power, and the size of its patches in micrometres.
    background : float
        Uniform light without image, as a share of the mean light.
    phase_noise_rad : float
        Standard deviation of every core's phase from shot to shot, in radians.
    drift_rad, drift_seed
        How far the core phases have moved, rms in radians, and the seed of the direction.
    scale, rotation_deg, shift_px, flip
        Pose of the SLM relative to the camera.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    seed: int = 1
    image_px: int = 512
    pixel_um: float = 0.68
    wavelength_um: float = 0.532
    distance_um: float = 49.5
    field_radius_um: float = 169.3
    edge_um: float = 2.7
    core_pitch_um: float = 3.2
    core_jitter: float = 0.15
    lattice_grains: int = 12
    mode_radius_um: float = 0.93
    coupling_sigma_um: float = 3.26
    mode_weights: tuple[float, ...] = (1.0, 0.85, 0.25)
    gain_relief: float = 0.17
    relief_sigma_um: float = 30.0
    background: float = 0.035
    phase_noise_rad: float = 0.22
    drift_rad: float = 0.0
    drift_seed: int = 0
    scale: float = 1.0
    rotation_deg: float = 0.0
    shift_px: tuple[float, float] = (0.0, 0.0)
    flip: bool = False

    def __post_init__(self) -> None:
        for item in fields(self):
            _check_number(item.name, getattr(self, item.name), whole=type(item.default) is int)
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0, got {getattr(self, name)}")
        if not 1 <= len(self.mode_weights) <= _MOST_MODES or min(self.mode_weights) <= 0:
            raise ValueError(f"mode_weights must be 1 to {_MOST_MODES} positive numbers, got {self.mode_weights}")
        if len(self.shift_px) != 2:
            raise ValueError(f"shift_px must be two numbers, got {self.shift_px}")
        for name, (value, least, most) in self._sizes.items():
            if not least <= value <= most:
                raise ValueError(f"{name} must lie in {least:g} to {most:g}, got {value:.6g}")

    @property
    def _sizes(self) -> Mapping[str, tuple[float, float, float]]:
        """What decides about time and memory of the simulation: each value, and the least and the most that it may be."""
        reach_um = self.field_radius_um + 3 * self.edge_um
        return {
            "image_px": (self.image_px, 32, 2048),
            "seed": (self.seed, 0, 2**63),
            "drift_seed": (self.drift_seed, 0, 2**63),
            "lattice_grains": (self.lattice_grains, 1, 100),
            "field_radius_um + 3 * edge_um, divided by core_pitch_um,": (reach_um / self.core_pitch_um, 1, 300),
            "coupling_sigma_um / core_pitch_um": (self.coupling_sigma_um / self.core_pitch_um, 0, 4),
            "relief_sigma_um / pixel_um": (self.relief_sigma_um / self.pixel_um, 0, 1000),
            "wavelength_um * distance_um / pixel_um**2": (self.defocus_px, -math.inf, 4000),
        }

    @property
    def defocus_px(self) -> float:
        """``a = wavelength * distance / pixel^2`` in pixels, the real data's second-order length scale."""
        return self.wavelength_um * self.distance_um / self.pixel_um**2


def _check_number(name: str, value: object, *, whole: bool) -> None:
    """Raise ValueError unless a value consists of finite numbers; files from elsewhere may hold anything."""
    for number in value if isinstance(value, tuple) else (value,):
        if not isinstance(number, int if whole else int | float) or not math.isfinite(number):
            raise ValueError(f"{name} must be a finite {'whole ' if whole else ''}number, got {number!r}")
