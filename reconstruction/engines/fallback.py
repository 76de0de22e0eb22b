"""The fallback engine: when the engine fails while it runs, the next one takes over, and the frame is still reconstructed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from reconstruction.engines.base import (
    FAILURES,
    Counts,
    Engine,
    EngineError,
    Estimate,
    drawn,
    estimate_of,
    first_line,
    planes_of,
    run_with_sigma,
)
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import Model

log = logging.getLogger(__name__)


class FallbackEngine:
    """A chosen engine, and the engines that replace it when it fails.

    Parameters
    ----------
    engine : Engine
        Checked and warmed up.
    model : Model
        The engine's model. Torch runs it when no other engine can.
    reason : str
        Why this engine was chosen.
    others : iterable of callable
        Each opens the next best engine, in order. They are called only when needed.
    on_replaced : callable
        Called with a message for the operator when an engine was replaced.
    """

    def __init__(
        self,
        engine: Engine,
        model: Model,
        reason: str,
        others: Iterable[Callable[[], Engine]] = (),
        on_replaced: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.engine = engine
        self.reason = reason
        self._model = model
        self._others = iter(others)
        self._on_replaced = on_replaced

    @property
    def name(self) -> str:
        """Name of the engine that runs now."""
        return self.engine.name

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.Engine`.

        Raises
        ------
        EngineError
            Torch failed, too.
        """
        return self._first_good(lambda engine: engine.run(frame, reference)[None])[0]

    def run_with_sigma(self, frame: Counts, reference: NDArray[np.float32]) -> Estimate:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.UncertainEngine`, and :meth:`run` for errors."""
        return estimate_of(self._first_good(lambda engine: planes_of(run_with_sigma(engine, frame, reference))))

    def drawn(self, frame: Counts, reference: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.DrawingEngine`, and :meth:`run` for errors."""
        return self._first_good(lambda engine: drawn(engine, frame, reference, noise))

    def _first_good(self, compute: Callable[[Engine], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the planes of the first engine that works."""
        while True:
            try:
                planes = compute(self.engine)
                # Where torch itself finds no number there is none: the frame is to blame, and it gets a mark.
                if np.isfinite(planes).all() or type(self.engine) is TorchEngine:
                    return planes
                why = "it gives numbers that are not finite"
            except FAILURES as error:
                why = first_line(error)
            if type(self.engine) is TorchEngine:  # its subclasses run networks elsewhere, so torch may still work
                raise EngineError(f"torch cannot reconstruct this frame: {why}; check the camera and the model")
            self._replace(why)

    def _replace(self, why: str) -> None:
        failed = self.engine.name
        self.engine = self._next()
        self.reason = f"{failed} failed while it ran: {why}"
        message = f"engine {self.reason}; going on with {self.engine.name}. Compile the model again (specklescope compile)"
        log.error("%s", message)
        self._on_replaced(message)

    def _next(self) -> Engine:
        for open_next in self._others:
            try:
                return open_next()
            except FAILURES as error:
                log.warning("engine refused: %s", error)
        return TorchEngine(self._model)
