"""The faults of the drills. Each uses a hook of the simulated camera, its fibre, or the recorder; no file is in danger."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from drivers.twin.camera import SimulatedCamera
from drivers.twin.optics import FibreOptics

#: How far a bent fibre turns the phases of its cores, rms in radians: its speckle then looks like that of another fibre.
BEND_RAD: Final = 2.0
_POLL_S: Final = 0.05
#: How long the end of a recording may take, in seconds.
_ENDS_S: Final = 5.0
#: How long a recording records before its disk is full, in seconds.
RECORDS_S: Final = 3.0


class BentFibre:
    """The fibre is bent, and straight again at the end.

    Parameters
    ----------
    optics : FibreOptics
        The fibre.
    """

    def __init__(self, optics: FibreOptics) -> None:
        self._optics = optics
        self._before_rad = optics.drift_rad

    def begin(self) -> None:
        """Bend it."""
        self._optics.set_drift(self._before_rad + BEND_RAD)

    def end(self) -> None:
        """Straighten it."""
        self._optics.set_drift(self._before_rad)


class RemovedCamera:
    """The camera is unplugged, and plugged in at the end; whoever uses it reconnects.

    Parameters
    ----------
    camera : SimulatedCamera
        The camera.
    """

    def __init__(self, camera: SimulatedCamera) -> None:
        self._camera = camera

    def begin(self) -> None:
        """Unplug it."""
        self._camera.remove()

    def end(self) -> None:
        """Plug it in."""
        self._camera.put_back()


class FullDisk:
    """The disk of one recording takes nothing more; the recording and its folder are gone at the end.

    Parameters
    ----------
    folder : Path
        The folder of the recording; it was made for the drill alone.
    is_recording : callable
        Whether the recording runs. It is one of the drill, so nothing is lost.
    records_s : float
        How long it records before its disk is full, in seconds.
    """

    def __init__(self, folder: Path, is_recording: Callable[[], bool], records_s: float = RECORDS_S) -> None:
        self.folder = folder
        self._is_recording = is_recording
        self._records_s = records_s
        self._full = False

    def check(self) -> None:
        """Raise OSError while the disk is full, as a full disk does; called by the recorder."""
        if self._full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def begin(self) -> None:
        """Let some frames be stored, then take nothing more."""
        time.sleep(self._records_s)
        self._full = True

    def end(self) -> None:
        """Wait for the end of the recording, and remove its folder."""
        self._full = True
        latest_s = time.monotonic() + _ENDS_S
        while self._is_recording() and time.monotonic() < latest_s:
            time.sleep(_POLL_S)
        self._full = False
        shutil.rmtree(self.folder, ignore_errors=True)
