"""What reading one input led to, and how an exception counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from drivers.base import SpeckleScopeError


class Outcome(StrEnum):
    """What became of one input."""

    #: It was read.
    ACCEPTED = "accepted"
    #: It was refused with a message for the operator.
    REFUSED = "refused"
    #: An exception came that nothing below the last-resort handler foresaw, or whose message names no file.
    LAST_RESORT = "last-resort"
    #: A traceback was printed, or the process died.
    TRACEBACK = "traceback"
    #: It took longer than the watchdog allows.
    HANG = "hang"
    #: It took more memory than any file of ours needs.
    MEMORY = "memory"

    @property
    def is_fault(self) -> bool:
        """Whether the reader has to be mended."""
        return self not in (Outcome.ACCEPTED, Outcome.REFUSED)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of one input, with the message or the place of the fault."""

    reader: str
    seed: int
    outcome: Outcome
    text: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.outcome}: reader {self.reader!r}, seed {self.seed}: {self.text}"


def outcome_of(error: Exception) -> Outcome:
    """Return what an exception of a reader means: as the command would end with it.

    The command prints the messages of our own exceptions. Of the system's exceptions it prints the file and the reason, so one
    that names no file says too little.
    """
    explained = all(
        isinstance(leaf, SpeckleScopeError) or (isinstance(leaf, OSError) and leaf.filename is not None)
        for leaf in _leaves(error)
    )
    return Outcome.REFUSED if explained else Outcome.LAST_RESORT


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
