"""What the driver of a screen SLM and its window say to each other, one line of JSON each."""

from __future__ import annotations

from enum import StrEnum


class Command(StrEnum):
    """What the driver asks for."""

    #: Cover the monitor, again after it was unplugged.
    PLACE = "place"
    #: Show the image in the shared file.
    SHOW = "show"


class Answer(StrEnum):
    """What the window's process reports."""

    #: The monitor is covered.
    READY = "ready"
    #: There is no such monitor, or its pixels are not those of the panel.
    REFUSED = "refused"
    #: The window system has accepted the image.
    SHOWN = "shown"
    #: The monitor was unplugged, or the process ended.
    LOST = "lost"
    #: All monitors.
    SCREENS = "screens"
    #: The frame period of a monitor.
    PERIOD = "period"
