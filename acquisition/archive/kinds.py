"""Kinds of archives and events, and reasons for finishing, as a journal stores them."""

from __future__ import annotations

from enum import StrEnum

#: The verdict of a complete archive, for people; version 0.1.0 wrote the same.
COMPLETE_VERDICT = "complete"


class ArchiveKind(StrEnum):
    """What an archive holds."""

    #: Verified pairs of speckle and phase, acquired by a plan or imported.
    DATASET = "dataset"
    #: Camera frames of the live view with their reconstructions.
    RECORDING = "recording"


class FinishReason(StrEnum):
    """Why an acquisition, an import or a recording finished."""

    #: Everything that was asked for is on disk.
    COMPLETED = "completed"
    #: The operator stopped it; what was captured is on disk.
    STOPPED = "stopped"
    #: A recording ended before its first frame came, so there is no archive.
    NO_FRAMES = "no-frames"
    #: Frames came faster than the disk could write them.
    OVERFLOW = "overflow"
    #: The archive could not be written: the disk failed, is full, or refuses the folder.
    DISK_FAILED = "disk-failed"
    #: Anything else failed, for instance a device.
    FAILED = "failed"


class RecordingEnd(StrEnum):
    """What ended a recording; its finish reason says whether everything is on disk."""

    #: The operator, or the program that recorded.
    OPERATOR = "operator"
    #: It reached the length that was set.
    SET_LENGTH = "set-length"
    #: An error: of the disk, of the camera, or of the program.
    ERROR = "error"


class EventKind(StrEnum):
    """What an event in a journal reports. A fault that an exception reports has the name of its class."""

    #: What was checked before the first pair.
    PREFLIGHT = "preflight"
    #: Dark frames were captured.
    DARK = "dark"
    #: The sync check before the first pair of a run passed.
    PREAMBLE = "sync"
    #: A sync check between pairs passed.
    SYNC_CHECK = "scan"
    #: A run went on where an earlier one had ended.
    RESUME = "resume"
    #: Pairs were withdrawn.
    QUARANTINE = "quarantine"
    #: A note of an import.
    IMPORT = "import"
    #: How a recording ended.
    VERDICT = "verdict"
    DEVICE_TIMEOUT = "DeviceTimeoutError"
    DEVICE_LOST = "DeviceLostError"
    FRAME_FAILED = "FrameFailedError"
    TRIGGER_IGNORED = "TriggerIgnoredError"
    WRONG_PATTERN = "WrongPatternError"
    BAD_PAIR = "BadPairError"
    #: The numbers of a camera's frames have a gap.
    FRAMES_SKIPPED = "FramesSkipped"
    #: The reconstruction of a frame has values that are not numbers.
    FRAME_NAN = "FrameNotANumber"
    #: A frame has next to no light.
    FRAME_DARK = "FrameDark"
    #: A frame has too many saturated pixels.
    FRAME_SATURATED = "FrameSaturated"
    #: The camera delivered the frame before once more.
    FRAME_FROZEN = "FrameFrozen"
    #: A frame has nothing in common with the reference.
    FRAME_DECORRELATED = "FrameDecorrelated"
    #: A camera that delivered nothing was armed again.
    REARMED = "rearmed"
    #: A device that was lost is back.
    RECONNECTED = "reconnected"
    #: The operator changed a setting of the camera.
    CAMERA_SETTING = "camera-setting"
    #: The operator marked a moment of a recording with a text.
    MARKER = "marker"

    @property
    def is_fault(self) -> bool:
        """Whether something went wrong: in an acquisition it was retaken, in a recording it stays."""
        return self in _FAULTS


_FAULTS = frozenset(
    {
        EventKind.DEVICE_TIMEOUT,
        EventKind.DEVICE_LOST,
        EventKind.FRAME_FAILED,
        EventKind.TRIGGER_IGNORED,
        EventKind.WRONG_PATTERN,
        EventKind.BAD_PAIR,
        EventKind.FRAMES_SKIPPED,
        EventKind.FRAME_NAN,
        EventKind.FRAME_DARK,
        EventKind.FRAME_SATURATED,
        EventKind.FRAME_FROZEN,
        EventKind.FRAME_DECORRELATED,
    }
)
