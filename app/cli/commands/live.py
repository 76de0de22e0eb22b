"""``specklescope live`` and ``specklescope record``: the live view without a window."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from app.cli.options import LiveOptions, Positive, RecordingOptions, TimesFile
from app.cli.output import console, progress_bars, publish
from app.cli.record_options import Order, WhatToRecord, order_of
from app.cli.typed_lines import TypedLines
from app.signals import StopRequest, stop_on_signal
from drivers.base import SpeckleScopeError
from drivers.visible_text import visible

if TYPE_CHECKING:
    from pathlib import Path

    from app.instrument.config import InstrumentConfig
    from app.live.session import Session
    from app.status import LiveStatus

_LIVE, _RECORDING, _WHAT = LiveOptions(), RecordingOptions(), WhatToRecord()


#: The part of the seconds before a recording that is waited for: the ring never spans all of them.
_KEPT_PART = 0.95


def live(*, seconds: Positive = 10.0, times_csv: TimesFile = None, instrument: LiveOptions = _LIVE) -> None:
    """Reconstruct live without a window; print rates, latency and dropped frames.

    Parameters
    ----------
    seconds
        Duration in seconds.
    """
    session = _open(instrument.settings())
    with stop_on_signal() as stop:
        publish("live", _run(session, seconds, None, stop, times_csv), instrument.json)
        stop.check()


def record(
    name: str, *, what: WhatToRecord = _WHAT, times_csv: TimesFile = None, instrument: RecordingOptions = _RECORDING
) -> None:
    """Record without a window: camera frames with their reconstructions.

    A line that is typed meanwhile, ended by Enter, marks this moment of the recording with its text.
    A time lapse (--every 20min --for 14h) that was interrupted goes on when the same command is given again: in a next part.

    Parameters
    ----------
    name
        Name of the recording.
    """
    settings = instrument.settings()
    order_of(name, what, settings.archive)  # wrong options are told before devices are opened
    session = _open(settings)
    with stop_on_signal() as stop:
        numbers = _run(session, None, lambda: order_of(name, what, settings.archive), stop, times_csv)
        publish("recording", numbers, instrument.json)
        stop.check(f"{numbers['frames_recorded']} frames are on disk, in {numbers['recording']}")


def _open(settings: InstrumentConfig) -> Session:
    """Open the session; a signal meanwhile ends the command at once, because there is nothing to finish yet."""
    from app.live.session import Session

    return Session.open(settings)


def _run(
    session: Session, seconds: float | None, new_order: Callable[[], Order] | None, stop: StopRequest, times_csv: Path | None
) -> dict[str, object]:
    """Run the live view for so long after its first reconstruction, or until the order is recorded; close the session."""
    with session, progress_bars() as report:
        before_s = new_order().options.before_s if new_order else 0.0
        session.set_pre_trigger(before_s)
        session.start_live()
        typed = TypedLines()
        started_s: float | None = None
        seen_s: float | None = None
        while not stop.wait(0.1):
            _print_messages(session)
            now_s = time.monotonic()
            if session.poll_view() is not None and seen_s is None:
                seen_s = now_s
            # The memory may be too small for all the seconds before.
            has_kept = session.pre_trigger_s >= before_s * _KEPT_PART or (seen_s is not None and now_s - seen_s > before_s)
            if seen_s is not None and started_s is None and has_kept:
                started_s = now_s
                if new_order is not None:
                    order = new_order()
                    seconds = order.seconds
                    session.start_recording(order.name, order.options)
                    _explain_markers(typed)
            _set_markers(session, typed.pop() if new_order is not None else ())
            elapsed_s = time.monotonic() - started_s if started_s is not None else 0.0
            status = session.live_status()
            note = f"{status.inference_fps:.1f} fps, {status.engine}"
            report("recording" if new_order else "live", int(elapsed_s), int(seconds or elapsed_s + 1), note)
            late_s = 0.0 if new_order is None else 1.0
            if session.recording_status().ended_by is not None or (seconds is not None and elapsed_s >= seconds + late_s):
                break
        status = session.live_status()
        numbers = status.to_dict()
        if times_csv is not None:
            _write_times(times_csv, status)
        session.stop_recording()
        session.join()
        _print_messages(session)  # an error at the very end is an error too
        return numbers if new_order is None else numbers | _recording_numbers(session, stop)


def _write_times(file: Path, status: LiveStatus) -> None:
    from acquisition.archive.atomic_files import write_whole
    from app.live.status import times_csv

    write_whole(file, times_csv(status.stage_times), "choose another file for --times-csv")


def _explain_markers(typed: TypedLines) -> None:
    if typed.open:
        console.print("Type a line and press Enter to mark a moment of the recording with this text.")


def _set_markers(session: Session, lines: Sequence[str]) -> None:
    """Mark this moment with each text; one that cannot be a marker is told, and the recording goes on."""
    for line in lines:
        if not line:
            continue
        try:
            session.add_marker(line)
            console.print(f"marked: {line}", markup=False)
        except SpeckleScopeError as error:
            console.print(f"not marked: {visible(str(error))}", markup=False)


def _print_messages(session: Session) -> None:
    from app.status import MessageLevel

    messages = session.pop_messages()
    if any(message.level is MessageLevel.ERROR for message in messages):
        raise SpeckleScopeError("; ".join(message.text for message in messages))
    for message in messages:
        console.print(f"{message.level}: {message.text}")


def _recording_numbers(session: Session, stop: StopRequest) -> dict[str, object]:
    from acquisition.archive.kinds import FinishReason
    from acquisition.archive.reader import Archive
    from acquisition.archive.recording_faults import markers

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
        "markers": [f"{one.text} (frame {one.frame_index})" for one in markers(Archive.open(status.path))],
        "ended_by": str(status.ended_by),
        "faults": dict(status.faults),
        "frames_missing": status.frames_missing,
        "frames_not_reconstructed": status.frames_not_reconstructed,
        "frames_not_segmented": status.frames_not_segmented,
    }
