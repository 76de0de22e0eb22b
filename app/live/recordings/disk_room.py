"""How long the room on the disk lasts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DiskRoom:
    """Room on the disk of a recording.

    Parameters
    ----------
    free_bytes : int
        Free space in bytes.
    seconds_left : float or None
        How long it lasts at the present rate, in seconds; None while nothing is written or the rate is unknown.
    """

    free_bytes: int
    seconds_left: float | None

    @property
    def text(self) -> str:
        """For people: ``52 GB free, 2 h 5 min left``."""
        free = f"{self.free_bytes / 1e9:.3g} GB free"
        if self.seconds_left is None:
            return free
        minutes = int(self.seconds_left // 60)
        if minutes >= 60:
            return f"{free}, {minutes // 60} h {minutes % 60} min left"
        return f"{free}, {minutes} min left" if minutes else f"{free}, {int(self.seconds_left)} s left"


def disk_room(free_bytes: int, frame_bytes: int, frames_per_s: float) -> DiskRoom:
    """Return how long the free space lasts for frames of so many bytes, uncompressed, with their results.

    Parameters
    ----------
    free_bytes : int
        Free space in bytes.
    frame_bytes : int
        Bytes of a frame, its phase and its labels.
    frames_per_s : float
        How many are recorded in a second.
    """
    bytes_per_s = frame_bytes * frames_per_s
    return DiskRoom(free_bytes, free_bytes / bytes_per_s if bytes_per_s > 0 else None)
