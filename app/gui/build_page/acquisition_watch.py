"""Stands in the list of jobs for an acquisition of the session, so that nothing else uses the devices meanwhile."""

from __future__ import annotations

import threading
from typing import Final

from acquisition.archive.kinds import FinishReason
from app.gui.pages.page import PageContext
from app.gui.session_protocol import SessionLike
from app.jobs.job_list import JobOrder, Need, Progress
from drivers.base import SpeckleScopeError

#: What an acquisition needs.
NEEDS: Final = frozenset({Need.DEVICES})
_POLL_S = 0.1
_IF_STOPPED = "Its pairs are stored, and Resume on the Build page goes on with it."


def watch_order(session: SessionLike, name: str) -> JobOrder:
    """Return the job of an acquisition that was just started.

    Parameters
    ----------
    session : SessionLike
        The session that acquires.
    name : str
        Name of the dataset.
    """

    def work(progress: Progress, stop: threading.Event) -> None:
        status = session.acquisition_status()
        while status.active:
            progress(status.pairs_acknowledged, status.pairs_requested)
            if stop.wait(_POLL_S):
                session.stop_acquisition()
                stop = threading.Event()  # asked once; the current pair is finished first
            status = session.acquisition_status()
        progress(status.pairs_acknowledged, status.pairs_requested)
        if status.finish_reason not in (FinishReason.COMPLETED, FinishReason.STOPPED, None):
            raise SpeckleScopeError(status.verdict)

    return JobOrder(name=f"Acquire {name}", work=work, needs=NEEDS, resumable=True, if_stopped=_IF_STOPPED)


def busy_reason(session: SessionLike | None, context: PageContext) -> str:
    """Return what uses the devices now, or that there are none, as a sentence; empty when an acquisition can have them."""
    if session is None:
        return "Open an instrument first: a dataset is captured with its camera and its SLM"
    if session.acquisition_status().active:
        return "An acquisition is running; wait for its end, or stop it below"
    if session.recording_status().active:
        return "A recording is running and uses the camera; stop it on the live page first"
    return context.jobs.conflict(NEEDS)
