"""The states of an acquisition. Why it finished is a :class:`acquisition.archive.kinds.FinishReason`."""

from __future__ import annotations

from enum import StrEnum


class AcquisitionState(StrEnum):
    """What an acquisition is doing.

    ::

        PREPARING --> CAPTURING <--> PAUSED
            |             |            |
            |             +------------+--> VERIFYING (only when every pair is there)
            |             |            |        |
            +-------------+------------+--------+--> FINISHED

    Every state leads to FINISHED, once and with one reason.
    """

    #: Pre-flight check, dark frames, and the sync check before the first pair.
    PREPARING = "preparing"
    #: Pairs are captured; those that fail a check are withdrawn and captured again.
    CAPTURING = "capturing"
    #: The operator paused it: everything captured is on disk and the camera is disarmed.
    PAUSED = "paused"
    #: Every pair is there; the certificate is computed from the bytes on disk.
    VERIFYING = "verifying"
    #: Nothing more happens; the finish reason says why.
    FINISHED = "finished"
