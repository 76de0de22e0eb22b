"""A simulated optical bench in virtual time, small and fast."""

from __future__ import annotations

from functools import cache

from acquisition.capture.pair_capture import Rig
from drivers.base import TriggerMode
from drivers.clock import VirtualClock
from drivers.twin.camera import FaultConfig, SimulatedCamera, SimulatedCameraConfig, TwinOptics
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlm, SimulatedSlmConfig

#: Side of the camera frames and of the SLM's patterns in pixels.
PX = 64


@cache
def fibre(seed: int = 1) -> FibreOptics:
    """Return the small twin of a fibre; each seed is another fibre."""
    return FibreOptics(OpticsConfig(image_px=PX, field_radius_um=14.0, seed=seed))


class VirtualBench:
    """SLM, fibre and camera of the twin, on a clock that never waits.

    Parameters
    ----------
    config : SimulatedCameraConfig, optional
        The camera; one with a trigger delay is triggered by the SLM.
    faults : FaultConfig, optional
        Faults of the camera.
    optics : TwinOptics, optional
        What lies in the fibre's place.
    """

    def __init__(
        self, config: SimulatedCameraConfig | None = None, faults: FaultConfig | None = None, optics: TwinOptics | None = None
    ) -> None:
        config = config or SimulatedCameraConfig()
        self.clock = VirtualClock()
        self.slm = SimulatedSlm((PX, PX), SimulatedSlmConfig(latency_frames=(1, 3)), self.clock)
        self.camera = SimulatedCamera(self.slm, optics or fibre(), config, faults, self.clock)
        trigger = TriggerMode.HARDWARE if config.trigger_delay_s else TriggerMode.SOFTWARE
        self.rig = Rig(self.camera, self.slm, self.clock, trigger)
