"""How the model of a session draws samples: chosen by the instrument file, then by the operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from app.instrument.config import LiveConfig
from app.live.parts.errors import SessionError
from app.live.parts.processing import Processing
from reconstruction.live.live_reconstructor import own_sampling, sampler_choices
from reconstruction.models.model import Model
from reconstruction.sampling import SamplerState, Sampling


class SamplerControl:
    """One thread calls this; the inference thread gets what is chosen through ``processing``.

    Parameters
    ----------
    model : Model, optional
        The model as it was loaded; None where none fits the fibre.
    config : LiveConfig
        What the instrument file chooses.
    processing : Processing
        Runs the model.
    on_warning : callable
        Called with a text when the instrument file chooses something that this model does not have.

    Raises
    ------
    SamplingError
        The model cannot draw samples as the instrument file says.
    """

    def __init__(
        self, model: Model | None, config: LiveConfig, processing: Processing, on_warning: Callable[[str], None]
    ) -> None:
        self._processing = processing
        self.state = _first_state(model, config)
        if self.state is None and model is not None and config.chooses_sampling:
            on_warning(f"model {model.card.name!r} draws no samples; steps, shown and sample_seed of 'live' have no effect")

    @property
    def sampling(self) -> Sampling | None:
        """How samples are drawn; None where the model draws none."""
        return self.state.sampling if self.state is not None else None

    def choose(self, sampling: Sampling) -> None:
        """Draw samples so from the next frame on; returns at once.

        Raises
        ------
        SpeckleScopeError
            The model draws no samples, or none with these settings. Nothing changes.
        """
        if self.state is None:
            raise SessionError("this model draws no samples; choose one that does on the Train page")
        self.state.choices.check(sampling)
        self.state = replace(self.state, sampling=sampling)
        self._processing.set_sampling(sampling)


def _first_state(model: Model | None, config: LiveConfig) -> SamplerState | None:
    if model is None:
        return None
    own, choices = own_sampling(model.network), sampler_choices(model.network)
    if own is None or choices is None:
        return None
    sampling = Sampling(
        steps=own.steps if config.steps is None else config.steps,
        shown=config.shown,
        seed=own.seed if config.sample_seed is None else config.sample_seed,
    )
    choices.check(sampling)
    return SamplerState(choices, sampling)
