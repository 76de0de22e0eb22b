"""What the live view reconstructs against now, kept for recordings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calibration.fibre.response import FibreResponse
from calibration.reference_state import ReferenceState
from calibration.retune import ReferencePairs


class ReferenceLog:
    """Holds the newest reference, re-tune and response. One follower hears of every change, in the capture thread.

    Parameters
    ----------
    response : FibreResponse, optional
        The calibrated response that the model uses.
    """

    def __init__(self, response: FibreResponse | None = None) -> None:
        self._lock = threading.Lock()
        self._state = ReferenceState(response=response)
        self._follower: Callable[[ReferenceState], None] | None = None

    def follow(self, follower: Callable[[ReferenceState], None] | None) -> None:
        """Call ``follower`` with what is in force now, and then with every change; it replaces the one before."""
        with self._lock:
            self._follower = follower
            if follower is not None:
                follower(self._state)

    def set_reference(self, reference: NDArray[np.float32]) -> None:
        """Note a new reference (H, W) in counts; the pairs of the last re-tune stay."""
        with self._lock:
            self._change(replace(self._state, speckle=reference))

    def set_reference_pairs(self, pairs: ReferencePairs) -> None:
        """Note the result of a re-tune, which brings a new reference."""
        with self._lock:
            self._change(replace(self._state, speckle=pairs.reference, pairs=pairs))

    def _change(self, state: ReferenceState) -> None:
        self._state = state
        if self._follower is not None:
            self._follower(state)
