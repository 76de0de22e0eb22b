"""How long and how often is measured."""

from __future__ import annotations

from dataclasses import dataclass

from app.benchmarks.live.library_search import ENTRIES, QUICK_ENTRIES


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How long and how often is measured.

    Parameters
    ----------
    slow_s, lossless_s : float
        Duration of the slow consumer and of the lossless recording, in seconds.
    switches, losses, pre_triggers : int
        Random commands, losses of the camera, and recordings that begin before they are asked for.
    warm_up_s : float
        How long the window runs before it is measured, in seconds.
    asleep_s : float
        For how long the whole process is stopped, in seconds.
    entries : int
        Recordings and datasets in the archive of the Data page.
    played_frames : int
        Frames of the long recording that is played.
    played_s : float
        Duration of the recording whose every frame is compared with what the player shows, in seconds.
    jumps : int
        Jumps on the long recording.
    rounds : int
        Rounds with and without segmentation.
    round_s : float
        Duration of half a round, in seconds.
    """

    slow_s: float
    lossless_s: float
    switches: int
    losses: int
    pre_triggers: int
    warm_up_s: float
    asleep_s: float
    entries: int
    played_frames: int
    played_s: float
    jumps: int
    rounds: int
    round_s: float


WHOLE = Amounts(
    slow_s=60.0,
    lossless_s=600.0,
    switches=1000,
    losses=3,
    pre_triggers=100,
    warm_up_s=5.0,
    asleep_s=30.0,
    entries=ENTRIES,
    played_frames=10_000,
    played_s=2.0,
    jumps=300,
    rounds=10,
    round_s=6.0,
)
QUICK = Amounts(
    slow_s=12.0,
    lossless_s=12.0,
    switches=100,
    losses=3,
    pre_triggers=10,
    warm_up_s=2.0,
    asleep_s=5.0,
    entries=QUICK_ENTRIES,
    played_frames=1000,
    played_s=0.5,
    jumps=100,
    rounds=4,
    round_s=3.0,
)

Numbers = dict[str, object]
