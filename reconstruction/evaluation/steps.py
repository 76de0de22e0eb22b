"""Setting how many steps a network takes, whatever it calls them."""

from __future__ import annotations

from torch import nn

from reconstruction.calibrated.few_step import CalibratedFewStep


def has_steps(network: nn.Module) -> bool:
    """Whether the network takes as many steps as it is told."""
    return any(hasattr(network, name) for name in ("schedule", "flow_steps", "take_steps"))


def most_steps(network: nn.Module) -> int | None:
    """How many it can take; None where any number."""
    return len(network.steps) if isinstance(network, CalibratedFewStep) else None


def set_steps(network: nn.Module, steps: int) -> None:
    """Let a network take so many steps: of a diffusion schedule uniform in log-SNR, of a flow, or the first of a loop.

    Raises
    ------
    ValueError
        The network has none, or not so many.
    """
    if hasattr(network, "schedule"):
        network.schedule = f"uniform-{steps}"  # type: ignore[assignment]
    elif hasattr(network, "flow_steps"):
        network.flow_steps = steps  # type: ignore[assignment]
    elif isinstance(network, CalibratedFewStep):
        network.take_steps(steps)
    else:
        raise ValueError(f"{type(network).__name__} takes no steps that could be set")
