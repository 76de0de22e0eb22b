"""Who uses camera and SLM: one stage after another, never two at once."""

from __future__ import annotations

from collections.abc import Callable

from acquisition.streams.channel import Stage
from app.live.parts.stages import Stages


class DeviceQueue:
    """The stages that use the devices; each begins when the one before it has ended. One thread calls this.

    Parameters
    ----------
    stages : Stages
        Where they are watched.

    Attributes
    ----------
    last : Stage or None
        The stage after which the next one begins.
    """

    def __init__(self, stages: Stages) -> None:
        self.last: Stage | None = None
        self._stages = stages

    def start(self, stage: Stage) -> None:
        """Start a stage that was made with ``after=last``."""
        self._stages.start(stage)
        self.last = stage

    def use(self, name: str, use: Callable[[], None]) -> None:
        """Use the devices in a thread of its own, when those that use them now have ended."""
        self.start(Stage(name, lambda stop: use(), after=self.last))
