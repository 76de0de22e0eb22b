"""Lets the SLM of an instrument flash, and times the flashes without a window."""

from __future__ import annotations

import math
import time

from app.instrument.config import InstrumentConfig
from app.live.loop_back.results import LoopBackState, LoopBackStatus
from app.live.session import Session
from app.progress import Report
from app.status import MessageLevel
from drivers.base import SpeckleScopeError

#: How long the first reconstruction may take, with the choice of an engine, in seconds.
_FIRST_S = 600.0
_POLL_S = 0.05


def bench_loop_back(config: InstrumentConfig, flashes: int, report: Report) -> LoopBackStatus:
    """Measure the time from the command to the SLM until frame and reconstruction show the flash.

    Raises
    ------
    SpeckleScopeError
        Nothing is reconstructed, a flash cannot be told from the still pattern, or no flash was found.
    """
    with Session.open(config) as session:
        session.start_live()
        _await_reconstruction(session)
        session.start_loop_back(flashes)
        while (status := session.loop_back_status()).state.active:
            report("flashes", len(status.flashes), flashes, f"{status.missed} not found")
            time.sleep(_POLL_S)
        if status.state is LoopBackState.REFUSED or not status.timed:
            raise SpeckleScopeError(status.text)
        report("flashes", len(status.flashes), flashes, f"{status.missed} not found")
        return status


def _await_reconstruction(session: Session) -> None:
    """Wait until frames are reconstructed against a reference."""
    deadline_s = time.monotonic() + _FIRST_S
    while math.isnan(session.live_status().reference_correlation):
        errors = [message.text for message in session.pop_messages() if message.level is MessageLevel.ERROR]
        if errors:
            raise SpeckleScopeError("; ".join(errors))
        if time.monotonic() > deadline_s or not session.live_status().model_id:
            raise SpeckleScopeError("nothing is reconstructed; check the instrument with 'specklescope live' first")
        time.sleep(_POLL_S)
