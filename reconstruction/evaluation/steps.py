"""Setting how many steps a sampling network takes, whatever it calls them."""

from __future__ import annotations

from torch import nn


def has_steps(network: nn.Module) -> bool:
    """Whether the network takes as many steps as it is told."""
    return hasattr(network, "schedule") or hasattr(network, "flow_steps")


def set_steps(network: nn.Module, steps: int) -> None:
    """Let a network take so many steps: of a diffusion schedule uniform in log-SNR, or of a flow.

    Raises
    ------
    ValueError
        The network has none.
    """
    if hasattr(network, "schedule"):
        network.schedule = f"uniform-{steps}"  # type: ignore[assignment]
    elif hasattr(network, "flow_steps"):
        network.flow_steps = steps  # type: ignore[assignment]
    else:
        raise ValueError(f"{type(network).__name__} takes no steps that could be set")
