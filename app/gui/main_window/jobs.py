"""What runs or has run in the background, of whatever kind, as one list; and the question before it is ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PyQt6.QtWidgets import QWidget

from app.gui.live_page.page import LivePage
from app.gui.session_protocol import SessionLike
from app.gui.widgets.formatting import count
from app.gui.widgets.questions import Question, ask
from app.jobs.job_list import Job, Need
from app.status import JobState, JobStatus, RecordingState


def jobs_of(session: SessionLike | None) -> tuple[JobStatus, ...]:
    """Return the jobs of a session: recordings and exports."""
    jobs: list[JobStatus] = []
    if session is not None:
        recording = session.recording_status()
        if recording.state is not RecordingState.IDLE:
            state = JobState.RUNNING if recording.active else JobState.FINISHED
            name = recording.path.name if recording.path is not None else "recording"
            jobs.append(JobStatus(name=f"Record {name}", state=state, seconds=float(int(recording.seconds))))
        jobs += session.jobs()
    return tuple(jobs)


def unfinished(jobs: Iterable[JobStatus], session: SessionLike | None) -> str:
    """Return which of some jobs, and of those of the session, have to end before the window can close; empty when none."""
    recording = session.recording_status() if session is not None else None
    stored = [f"recording, {count(recording.frames_recorded)} frames are on disk"] if recording and recording.active else []
    running = [*jobs, *(session.jobs() if session is not None else ())]
    names = [job.name for job in running if job.state is JobState.RUNNING] or stored
    text = ", ".join(names)
    return f"{text[:1].upper()}{text[1:]}"


def may_end_jobs(page: LivePage | None, purpose: str, parent: QWidget, stopped: Sequence[Job] = ()) -> bool:
    """Return whether nothing is running that ``purpose`` would end, or the operator agrees to end it.

    Parameters
    ----------
    page : LivePage, optional
        The live page; without one no acquisition and no recording can be running.
    purpose : str
        What the operator wants to do, as a verb.
    parent : QWidget
        The window that asks.
    stopped : sequence of Job
        The jobs that would be stopped, such as a training.
    """
    for job in stopped:
        text = f"{job.order.name} is running.\n{job.order.if_stopped}"
        if not ask(Question(text=text, agree=f"Stop it and {purpose}", refuse="Keep it running"), parent):
            return False
    if page is None:
        return True
    acquisition = page.session.acquisition_status()
    if acquisition.active and not any(Need.DEVICES in job.order.needs for job in stopped):  # that job is the acquisition
        stored, requested = count(acquisition.pairs_acknowledged), count(acquisition.pairs_requested)
        text = f"An acquisition is running: {stored} of {requested} pairs are stored.\nIt can be resumed later."
        if not ask(Question(text=text, agree=f"Stop acquisition and {purpose}", refuse="Keep acquiring"), parent):
            return False
    return page.may_end_recording(purpose)
