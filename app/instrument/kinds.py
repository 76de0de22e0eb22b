"""The kinds of camera and SLM that an instrument file may name, and the instruments that come with the program."""

from __future__ import annotations

from enum import StrEnum


class CameraKind(StrEnum):
    """What ``camera`` may be. The first two see the twin, directly or through Basler's pylon and its emulator."""

    SIMULATED = "simulated"
    BASLER_EMULATED = "basler-emulated"
    BASLER = "basler"
    OPENCV = "opencv"
    SLMSUITE = "slmsuite"
    REPLAY = "replay"


class SlmKind(StrEnum):
    """What ``slm`` may be. ``none`` is for looking at tissue, at a video or at a recording."""

    SIMULATED = "simulated"
    SCREEN = "screen"
    SLMPY = "slmpy"
    SLMPY_WINDOW = "slmpy-window"
    SLMSUITE = "slmsuite"
    NONE = "none"


class InstrumentName(StrEnum):
    """An instrument that comes with the program: the default twin, or a file of the folder ``shipped``."""

    FIBRE = "fibre"
    FIBRE64 = "fibre64"
    FIBRE128 = "fibre128"
