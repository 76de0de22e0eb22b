"""``specklescope live`` and ``specklescope record``: the live view without a window."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app.cli.options import LiveOptions, Positive, RecordingOptions
from app.cli.output import console, progress_bars, publish
from app.signals import StopRequest, stop_on_signal
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from app.instrument.config import InstrumentConfig
    from app.live.session import Session

_LIVE, _RECORDING = LiveOptions(), RecordingOptions()


def live(*, seconds: Positive = 10.0, instrument: LiveOptions = _LIVE) -> None:
    """Reconstruct live without a window; print rates, latency and dropped frames.

    Parameters
    ----------
    seconds
        Duration in seconds.
    """
    session = _open(instrument.settings())
    with stop_on_signal() as stop:
        publish("live", _run(session, seconds, None, stop), instrument.json)
        stop.check()


def record(name: str, *, seconds: Positive = 10.0, instrument: RecordingOptions = _RECORDING) -> None:
    """Record without a window: every camera frame with its reconstruction.

    Parameters
    ----------
    name
        Name of the recording.
    seconds
        Duration in seconds.
    """
    session = _open(instrument.settings())
    with stop_on_signal() as stop:
        numbers = _run(session, seconds, name, stop)
        publish("recording", numbers, instrument.json)
        stop.check(f"{numbers['frames_recorded']} frames are on disk, in {numbers['recording']}")


def _open(settings: InstrumentConfig) -> Session:
    """Open the session; a signal meanwhile ends the command at once, because there is nothing to finish yet."""
    from app.live.session import Session

    return Session.open(settings)


def _run(session: Session, seconds: float, recording: str | None, stop: StopRequest) -> dict[str, object]:
    """Run the live view for so long after its first reconstruction; record it if a name is given; close the session."""
    from app.live.recordings.options import RecordingOptions
    from app.status import RecordingLength

    with session, progress_bars() as report:
        session.start_live()
        started_s: float | None = None
        while not stop.wait(0.1):
            _print_messages(session)
            if session.poll_view() is not None and started_s is None:
                started_s = time.monotonic()
                if recording is not None:
                    session.start_recording(recording, RecordingOptions(length=RecordingLength(seconds=seconds)))
            elapsed_s = time.monotonic() - started_s if started_s is not None else 0.0
            status = session.live_status()
            note = f"{status.inference_fps:.1f} fps, {status.engine}"
            report("recording" if recording else "live", int(elapsed_s), int(seconds), note)
            if session.recording_status().ended_by is not None or elapsed_s >= seconds + (recording is not None):
                break
        numbers = session.live_status().to_dict()
        session.stop_recording()
        session.join()
        _print_messages(session)  # an error at the very end is an error too
        return numbers if recording is None else numbers | _recording_numbers(session, stop)


def _print_messages(session: Session) -> None:
    from app.status import MessageLevel

    messages = session.pop_messages()
    if any(message.level is MessageLevel.ERROR for message in messages):
        raise SpeckleScopeError("; ".join(message.text for message in messages))
    for message in messages:
        console.print(f"{message.level}: {message.text}")


def _recording_numbers(session: Session, stop: StopRequest) -> dict[str, object]:
    from acquisition.archive.kinds import FinishReason

    status = session.recording_status()
    if status.path is None:
        stop.check("nothing was recorded")
        raise SpeckleScopeError("nothing was recorded: no frame came; check the camera with 'specklescope doctor'")
    if status.finish_reason is not FinishReason.COMPLETED:
        raise SpeckleScopeError(f"the recording ended early ({status.verdict}); {status.frames_recorded} frames are on disk")
    return {
        "recording": str(status.path),
        "frames_recorded": status.frames_recorded,
        "verdict": status.verdict,
        "ended_by": str(status.ended_by),
        "faults": dict(status.faults),
        "frames_missing": status.frames_missing,
        "frames_not_reconstructed": status.frames_not_reconstructed,
        "frames_not_segmented": status.frames_not_segmented,
    }
