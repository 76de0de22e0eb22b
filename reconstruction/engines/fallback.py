"""The engine that runs, and those that stand behind it: one that fails while it runs is replaced, and the frame still comes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from reconstruction.engines.base import FAILURES, Counts, Engine, EngineError
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import Model

log = logging.getLogger(__name__)


class FallbackEngine:
    """A chosen engine.

    Parameters
    ----------
    engine : Engine
        Warmed and checked.
    model : Model
        Whose engine it is; torch runs it when nothing else does.
    reason : str
        Why this one.
    others : iterable of callable
        Open the next best, in order; each is called when it is needed.
    on_replaced : callable
        Takes words for the operator.
    """

    def __init__(
        self,
        engine: Engine,
        model: Model,
        reason: str,
        others: Iterable[Callable[[], Engine]] = (),
        on_replaced: Callable[[str], None] = lambda words: None,
    ) -> None:
        self.engine, self.reason = engine, reason
        self._model, self._others, self._on_replaced = model, iter(others), on_replaced

    @property
    def name(self) -> str:
        """Of the engine that runs now."""
        return self.engine.name

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.Engine`.

        Raises
        ------
        EngineError
            Not even torch can.
        """
        while True:
            try:
                phase = self.engine.run(frame, reference)
                if np.isfinite(phase).all():
                    return phase
                why = "it gives numbers that are not finite"
            except FAILURES as error:
                why = str(error).splitlines()[0] if str(error) else type(error).__name__
            if type(self.engine) is TorchEngine:  # what inherits from it runs networks elsewhere
                raise EngineError(f"torch cannot reconstruct this frame: {why}; check the camera and the model")
            self._replace(why)

    def _replace(self, why: str) -> None:
        failed, self.engine = self.engine.name, self._next()
        self.reason = f"{failed} failed while it ran: {why}"
        words = f"engine {self.reason}; going on with {self.engine.name}. Compile the model again (specklescope compile)"
        log.error("%s", words)
        self._on_replaced(words)

    def _next(self) -> Engine:
        for opened in self._others:
            try:
                return opened()
            except FAILURES as error:
                log.warning("engine refused: %s", error)
        return TorchEngine(self._model)
