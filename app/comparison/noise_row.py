"""The row that a model of textures has to beat: a model's reconstruction plus random noise of the spectrum that it lacks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.comparison.held_out import HeldOutPairs
from app.comparison.methods import NetworkMethod
from reconstruction.evaluation.comparison import Entry, on_grid
from reconstruction.evaluation.missing_spectrum import MissingSpectrum, NoisyMethod

#: Kind of the model that gets the noise.
_KIND = "referenced"


def with_noise(entries: Sequence[Entry], data: HeldOutPairs) -> list[Entry]:
    """Return the first referenced model with noise, fitted on the other images; empty without such a model or such images."""
    others, mask = data.others, data.mask
    for entry in entries:
        method = entry.method
        if others is None or not isinstance(method, NetworkMethod) or method.model.card.kind != _KIND:
            continue
        truths = [np.asarray(truth, np.float32) for truth in others.phase_rad[: others.ready]]
        frames = (np.array(frame) for frame in others.speckle[: others.ready])
        phases = [on_grid(method.run(frame, data.reference), len(mask)) for frame in frames]
        note = f"noise with the power that {others.ready} other images lacked, without knowledge of the object"
        noisy = NoisyMethod(method, MissingSpectrum(phases, truths, mask))
        return [Entry(noisy, entry.parameters, entry.model_id, note, entry.minutes)]
    return []
