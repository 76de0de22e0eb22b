"""Up to which shot the pairs of a run are trusted, and how often trust was lost."""

from __future__ import annotations


class TrustedShots:
    """The last shots up to which every pair is trusted.

    Two checks give trust. A passed reference check shows that the fibre has not moved since the first reference. A passed sync
    check shows that frames follow their patterns. A failed check withdraws the pairs back to the last shot that passed it.

    Parameters
    ----------
    resumed_at : int
        Number of the last reference shot that an earlier run stored; 0 for a new run.

    Attributes
    ----------
    by_reference, by_sync_check : int
        Numbers of the last shots that passed the one check and the other.
    failures_in_a_row : int
        Failed checks since the run last got beyond all of them.
    """

    def __init__(self, resumed_at: int = 0) -> None:
        self.by_reference = resumed_at
        self.by_sync_check = resumed_at
        self.failures_in_a_row = 0
        self._failed_at = 0

    def reference_passed(self, number: int) -> None:
        """Note that reference shot ``number`` passed."""
        self.by_reference = number
        # Shots before the last failure are only repetitions: the trouble is over when a reference beyond it passes.
        if number > self._failed_at:
            self.failures_in_a_row = 0

    def sync_check_passed(self, number: int) -> None:
        """Note that the sync check that ended with shot ``number`` passed."""
        self.by_sync_check = number

    def check_failed(self, number: int) -> None:
        """Note that a check failed at shot ``number``."""
        self._failed_at = max(self._failed_at, number)
        self.failures_in_a_row += 1

    def withdraw_to(self, number: int) -> None:
        """Trust nothing after shot ``number``."""
        self.by_reference = min(self.by_reference, number)
        self.by_sync_check = min(self.by_sync_check, number)
