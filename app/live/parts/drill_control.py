"""The drills of a session: only on the simulated instrument, and only while they can destroy nothing."""

from __future__ import annotations

from collections.abc import Callable

from acquisition.capture.pair_capture import Rig
from app.instrument.config import InstrumentConfig
from app.live.drills.drill import Drill
from app.live.drills.faults import BentFibre, FullDisk, RemovedCamera
from app.live.drills.kinds import DrillKind
from app.live.parts.errors import SessionError
from drivers.base import Camera
from drivers.twin.camera import SimulatedCamera
from drivers.twin.optics import FibreOptics


class DrillControl:
    """Makes the drills of one instrument.

    Parameters
    ----------
    config : InstrumentConfig
        The instrument.
    rig : Rig
        Its devices.
    """

    def __init__(self, config: InstrumentConfig, rig: Rig) -> None:
        self._config = config
        self._rig = rig

    def check_possible(self) -> None:
        """Raise SessionError where a real instrument is open."""
        self._sensor()

    def drill(self, kind: DrillKind, record: Callable[[], FullDisk]) -> Drill:
        """Return a drill that has not begun.

        Parameters
        ----------
        kind : DrillKind
            Which one.
        record : callable
            Starts a recording on a disk that can become full, and returns this disk.

        Raises
        ------
        SpeckleScopeError
            The instrument is real, or the recording cannot start.
        """
        sensor = self._sensor()
        if kind is DrillKind.FULL_DISK:
            return Drill(kind, record())
        if kind is not DrillKind.BEND:
            return Drill(kind, RemovedCamera(sensor))
        if not isinstance(sensor.optics, FibreOptics):
            raise SessionError("only a fibre can be bent, and this instrument has none; choose another drill")
        return Drill(kind, BentFibre(sensor.optics))

    def _sensor(self) -> SimulatedCamera:
        sensor = _sensor_of(self._rig.camera)
        if sensor is None or not self._config.on_twin:
            raise SessionError("drills break the instrument on purpose, so they need the simulated one; open it first")
        return sensor


def _sensor_of(camera: Camera) -> SimulatedCamera | None:
    """Return the simulated camera behind a camera; None where there is none."""
    sensor = getattr(camera, "sensor", camera)  # pylon's emulator delivers the frames of one
    return sensor if isinstance(sensor, SimulatedCamera) else None
