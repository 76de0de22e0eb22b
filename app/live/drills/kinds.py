"""The drills that there are, and what an operator reads about each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, kw_only=True)
class DrillText:
    """What an operator reads about a drill.

    Parameters
    ----------
    title : str
        Its name.
    fault : str
        What is done to the simulated instrument.
    watch : str
        What the program then says.
    remedy : str
        What to do about it, on a real instrument too.
    lasts_s : float
        How long the fault lasts, in seconds.
    """

    title: str
    fault: str
    watch: str
    remedy: str
    lasts_s: float


class DrillKind(Enum):
    """The drills."""

    BEND = DrillText(
        title="Bend the fibre",
        fault="The simulated fibre is bent, so that it turns the phase of its cores in another way.",
        watch="The drift gauge falls and the drift alarm says that the fibre has moved. Pictures are no longer right.",
        remedy="Press Re-tune (T). If the gauge stays low after that, fix the fibre where it can move.",
        lasts_s=30.0,
    )
    LOST_CAMERA = DrillText(
        title="Unplug the camera",
        fault="The simulated camera is unplugged, and plugged in again after 10 s.",
        watch="A message says that the camera was unplugged and that the program waits for it. A recording does not end.",
        remedy="Check cable and power. Do nothing else: the live view goes on by itself when the camera is back.",
        lasts_s=10.0,
    )
    FULL_DISK = DrillText(
        title="Full disk",
        fault="A recording is started in a folder for this drill, and after 3 s its simulated disk takes nothing more.",
        watch="The recording ends with the reason, and says how many frames are safe on the disk. The live view goes on.",
        remedy="Free space or choose another folder in the Record panel, then record again. Frames on the disk stay readable.",
        lasts_s=10.0,
    )
