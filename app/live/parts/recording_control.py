"""The recordings of a session: one at a time, each with the seconds before it and what it was reconstructed against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from acquisition.archive.folder import free_bytes
from acquisition.archive.kinds import FinishReason, RecordingEnd
from acquisition.archive.recording_faults import RecordingFault
from acquisition.capture.pair_capture import Rig
from app.instrument.applied_calibrations import applied_facts
from app.instrument.config import InstrumentConfig
from app.live.camera_control import CameraControl
from app.live.inference import InferenceStats
from app.live.parts.errors import SessionError
from app.live.parts.stages import Stages
from app.live.recording import LiveRecording, RecordingSettings, queue_bytes_of
from app.live.recordings.disk_room import DiskRoom, disk_room
from app.live.recordings.options import RecordingOptions
from app.live.recordings.pre_trigger import PreTriggerRing
from app.live.reference_log import ReferenceLog
from app.live.segmentation import SegmentationStats
from app.status import Message, MessageLevel, RecordingState, RecordingStatus, Topic
from drivers.camera_settings import facts

#: Bytes of phase, uncertainty and label of one pixel.
_RESULT_BYTES = 4 + 4 + 2


@dataclass(frozen=True, kw_only=True)
class RecordedInstrument:
    """Where frames come from, as a recording stores it.

    Parameters
    ----------
    config : InstrumentConfig
        The instrument.
    rig : Rig
        Its devices; only asked for the shape and the depth of frames.
    fibre : str
        Name of the fibre.
    camera : CameraControl
        The settings of the camera.
    """

    config: InstrumentConfig
    rig: Rig
    fibre: str
    camera: CameraControl

    @property
    def pixel_um(self) -> float:
        """Size of a pixel of the frames at the fibre's facet, in micrometres."""
        return self.config.frame_pixel_um * self.camera.binning

    def frame_bytes(self, grid_px: int) -> int:
        """Return how many bytes a frame takes with its results, before compression."""
        pixels = math.prod(self.rig.camera.capabilities.frame_shape)
        return pixels * (2 if self.rig.camera.bit_depth > 8 else 1) + grid_px**2 * _RESULT_BYTES

    def metadata(
        self, stats: InferenceStats, options: RecordingOptions, segmenter: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        """Return what a recording says about itself; ``segmenter`` is what its labels depend on."""
        calibrations = applied_facts(self.config)
        light = {
            "wavelength_um": self.config.light_wavelength_um,
            "refractive_increment_um3_per_pg": self.config.refractive_increment_um3_per_pg,
        }
        return {
            "instrument": self.config.name,
            "fibre": self.fibre,
            "pixel_um": self.pixel_um,
            "bit_depth": self.rig.camera.bit_depth,
            **({"channels": list(channels)} if (channels := self.rig.camera.capabilities.channels) else {}),
            "camera_settings": facts(self.camera.settings),
            "model": stats.method_name if stats.method_id else "",
            "model_id": stats.method_id,
            "phase_range_rad": self.config.phase_range_rad,
            **{name: value for name, value in light.items() if value is not None},
            **({"segmentation": dict(segmenter)} if segmenter else {}),
            **({"calibrations": calibrations} if calibrations else {}),
            **self.config.credits,
            **options.metadata(),
        }


class RecordingControl:
    """The recording that runs, or the last one. One thread calls this; frames and results come through ``ring``.

    Parameters
    ----------
    instrument : RecordedInstrument
        What is recorded.
    stages : Stages
        Where the thread of a recording is watched.
    references : ReferenceLog
        What the live view reconstructs against.

    Attributes
    ----------
    ring : PreTriggerRing
        Where stages put what they deliver.
    references : ReferenceLog
        Where stages put references.
    """

    def __init__(self, instrument: RecordedInstrument, stages: Stages, references: ReferenceLog) -> None:
        self.ring = PreTriggerRing()
        self.ring.keep(instrument.config.live.pre_trigger_s)
        self.references = references
        self._instrument = instrument
        self._stages = stages
        self._recording: LiveRecording | None = None
        self._reported: LiveRecording | None = None
        self._ended = RecordingStatus()

    @property
    def running(self) -> bool:
        """Whether frames are recorded now."""
        return self.status().state is RecordingState.RECORDING

    def status(self) -> RecordingStatus:
        """Return the state of the current or last recording."""
        recording = self._recording
        return recording.status() if recording is not None else self._ended

    def folder(self, options: RecordingOptions) -> Path:
        """Return where a recording with these options is stored."""
        return options.folder or self._instrument.config.archive

    def room(self, options: RecordingOptions, grid_px: int, fps: float) -> DiskRoom | None:
        """Return how long the disk lasts for a recording at ``fps`` frames per second; None where its folder is not there."""
        folder = self.folder(options)
        existing = next((path for path in (folder, *folder.absolute().parents) if path.exists()), None)
        if existing is None:
            return None
        per_s = 1 / options.every_s if options.every_s else (fps if math.isfinite(fps) else 0.0) / options.every_nth
        return disk_room(free_bytes(existing), self._instrument.frame_bytes(grid_px), per_s)

    def set_pre_trigger(self, seconds: float) -> None:
        """Keep so many seconds of frames in memory, so that a recording can begin with them; 0 keeps none."""
        if self.running:
            raise SessionError("a recording is running; change the seconds before a recording when it has ended")
        self.ring.keep(seconds)

    def start(
        self,
        name: str,
        options: RecordingOptions,
        stats: InferenceStats,
        grid_px: int,
        segmentation: SegmentationStats | None = None,
    ) -> None:
        """Record what comes into the ring, until :meth:`stop`, or until the recording has its length.

        Parameters
        ----------
        name : str
            Its name, for people.
        options : RecordingOptions
            What is recorded.
        stats : InferenceStats
            The method, for the metadata, and whether it gives an uncertainty.
        grid_px : int
            Side of the phase images.
        segmentation : SegmentationStats, optional
            The segmenter, for the metadata.

        Raises
        ------
        SpeckleScopeError
            A recording runs already, a setting of the camera is being changed, the seconds before it are not in memory, or the
            folder cannot be used. Nothing is recorded.
        """
        if self.status().active:
            raise SessionError("a recording is already running; stop it first")
        if self._instrument.camera.pending:
            raise SessionError("a setting of the camera is being changed; record when that is done")
        if options.before_s > self.ring.seconds:
            kept = f"{self.ring.seconds:g} s are kept"
            raise SessionError(f"the last {options.before_s:g} s are not in memory, {kept}; set pre_trigger_s first")
        self._disconnect()
        queue_bytes = queue_bytes_of(self._instrument.config.live.record_queue_mb)
        segmenter = segmentation.segmenter if segmentation is not None else {}
        settings = RecordingSettings(queue_bytes, options, stats.has_uncertainty, segmenter)
        metadata = self._instrument.metadata(stats, options, segmenter)
        recording = LiveRecording(self.folder(options), name, metadata, grid_px, settings)
        self._stages.add(recording.stage)
        self._recording = recording
        self.references.follow(recording.put_reference)
        self.ring.attach(recording, options.before_s)

    def add_marker(self, text: str) -> None:
        """Mark this moment of the recording with a text; it is stored with the time and the number of the newest frame."""
        if self._recording is None or not self.running:
            raise SessionError("there is no recording to mark; start one first")
        self._recording.add_marker(text)

    def stop(self, ended_by: RecordingEnd, silence: RecordingFault | None) -> None:
        """Finish the recording; its thread writes what is queued. A silence of the camera that goes on is recorded with it."""
        if self._recording is None:
            return
        self._disconnect()
        if silence is not None and self.running:
            self._recording.put_fault(silence)
        self._recording.finish(ended_by)

    def check_may_end(self, reason: str, *, agreed: bool) -> None:
        """Refuse what would end a recording that the operator has not agreed to end."""
        if self.running and not agreed:
            raise SessionError(f"a recording is running; stop the recording first, before {reason}")

    def messages(self) -> list[Message]:
        """Return what has to be said: of a disk that stalls, and once the verdict of a complete recording that had faults."""
        recording = self._recording
        said = recording.disk_message() if recording is not None else None
        messages = [said] if said is not None else []
        status = self.status()
        has_faults = bool(status.faults) or status.frames_missing > 0
        if recording is not self._reported and status.finish_reason is FinishReason.COMPLETED and has_faults:
            self._reported = recording
            messages.append(Message(MessageLevel.WARNING, f"the recording is {status.verdict_text}", Topic.RECORDING))
        return messages

    def let_go(self) -> None:
        """Free what is large; the outcome of the last recording can still be read."""
        self._ended = self.status()
        self._recording = self._reported = None
        self.ring.clear()
        self.references = ReferenceLog()

    def _disconnect(self) -> None:
        self.references.follow(None)
        self.ring.detach()
