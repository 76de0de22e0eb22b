"""The parameters of a simulated fibre and of the optics around it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OpticsConfig:
    """One fibre and the optics around it; lengths are at the fibre's facet.

    The defaults reproduce the statistics of a real multi-core fibre (see ``docs/twin.md``): 2.18 px grain, pair
    correlation 0.75, second-order locality 9 px. ``distance_um`` sets a = wavelength * distance / pixel^2 = 57 px.
    A core at ``p`` (y, x) from the camera's centre sees the SLM at ``scale * turn(rotation) p + shift`` from its centre; with
    ``flip`` its x is mirrored before the shift.
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
        if not self.mode_weights or min(self.mode_weights) <= 0:
            raise ValueError(f"mode_weights must be positive, got {self.mode_weights}")
        if self.image_px < 32:
            raise ValueError(f"image_px must be at least 32, got {self.image_px}")

    @property
    def defocus_px(self) -> float:
        """``a = wavelength * distance / pixel^2`` in pixels, the real data's second-order length scale."""
        return self.wavelength_um * self.distance_um / self.pixel_um**2
