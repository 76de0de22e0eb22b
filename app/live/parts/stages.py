"""The threads of a session: none starts once it closes, their errors are reported once, and all are waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from acquisition.streams.channel import Stage
from app.live.parts.errors import SessionError
from app.status import Message, MessageLevel


class Stages:
    """The threads of one session.

    Any thread may call any method. A command that starts something does so within :meth:`starting`; closing waits for that
    moment, and every later command is refused. So nothing starts that nobody would stop.

    Parameters
    ----------
    on_message : callable
        Called with the error of every stage that has failed.
    """

    def __init__(self, on_message: Callable[[Message], None]) -> None:
        self._on_message = on_message
        self._lock = threading.RLock()
        self._closed = False
        self._stages: list[Stage] = []
        self._noticed: list[BaseException] = []
        self._failures: list[BaseException] = []

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Let a command start something; raises SessionError when the instrument is being closed, or is closed."""
        with self._lock:
            if self._closed:
                raise SessionError("the instrument is closed; open it again first")
            yield

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Refuse every later command, unless the block raises."""
        with self._lock:
            yield
            self._closed = True

    def add(self, stage: Stage) -> None:
        """Watch a stage until it has ended."""
        with self._lock:
            self._stages.append(stage)

    def start(self, stage: Stage) -> None:
        """Watch a stage and start it."""
        self.add(stage)
        stage.start()

    def notice(self) -> None:
        """Report the error of every stage that has failed, once."""
        with self._lock:
            # Asked before the errors: a stage that fails in between is still watched, and reported the next time.
            running = [stage for stage in self._stages if stage.running]
            for error in [stage.error for stage in self._stages]:
                if error is not None and not any(error is other for other in self._noticed):
                    self._noticed.append(error)
                    self._failures.append(error)
                    self._on_message(Message(MessageLevel.ERROR, str(error)))
            self._stages = running

    def join(self, timeout_s: float) -> None:
        """Wait so long for every stage.

        Raises
        ------
        ExceptionGroup
            The errors of all stages that failed, and of those that have not ended in time.
        """
        with self._lock:
            stages = list(self._stages)
        late = [stage.name for stage in stages if not stage.join(timeout_s)]
        self.notice()
        with self._lock:
            failures, self._failures = self._failures, []
        errors = [error for error in failures if isinstance(error, Exception)]
        errors += [
            SessionError(f"the thread {name!r} has not ended within {timeout_s:g} s; restart the program") for name in late
        ]
        if errors:
            raise ExceptionGroup("stages of the session failed", errors)

    def let_go(self) -> None:
        """Forget every stage and error."""
        with self._lock:
            self._stages.clear()
            self._noticed.clear()
            self._failures.clear()
