"""A simulated SLM whose cable is pulled out and plugged in again by hand."""

from __future__ import annotations

from drivers.base import DeviceLostError
from drivers.twin.slm import SimulatedSlm


class PluggableSlm(SimulatedSlm):
    """A simulated SLM that does not come back by itself."""

    _present = True

    def plug(self, *, present: bool) -> None:
        """Pull the cable out, or plug it in again; any thread may call this."""
        self._present = present
        if not present:
            self.unplug()

    def reconnect(self) -> None:
        """Connect it again; raises DeviceLostError while the cable is out."""
        if not self._present:
            raise DeviceLostError("the simulated SLM is not there")
        super().reconnect()
