"""Keeps the computer awake while something runs; the screen may still go dark."""

from __future__ import annotations

import contextlib
import logging
import threading
from types import TracebackType
from typing import Self

from wakepy import keep

log = logging.getLogger(__name__)
_END_S = 5.0


class StayAwake:
    """Asks the operating system not to sleep, in a thread of its own, because the answer may take time.

    It is also a context manager, for a command that runs for hours.
    """

    def __init__(self) -> None:
        self._release: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._refused = False

    @property
    def holding(self) -> bool:
        """Whether the computer is being kept awake, as far as it is possible."""
        return self._release is not None

    @property
    def refused(self) -> bool:
        """Whether the operating system does not let itself be kept awake; False while that is not known."""
        return self._refused

    def hold(self, *, awake: bool) -> None:
        """Keep the computer awake from now on, or no longer; returns at once. Repeating it costs nothing."""
        if awake and self._release is None:
            self._release = threading.Event()
            self._thread = threading.Thread(target=self._keep, args=(self._release,), name="stay awake", daemon=True)
            self._thread.start()
        elif not awake and self._release is not None:
            self._release.set()
            self._release = None

    def close(self) -> None:
        """Let the computer sleep again."""
        self.hold(awake=False)
        if self._thread is not None:
            self._thread.join(_END_S)

    def __enter__(self) -> Self:
        self.hold(awake=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _keep(self, release: threading.Event) -> None:
        # Without it the work goes on all the same.
        with contextlib.suppress(Exception), keep.running(on_fail="pass") as mode:
            self._refused = not mode.active
            if self._refused:
                log.info("the computer cannot be kept awake: %s", mode.result.get_failure_text())
            release.wait()
