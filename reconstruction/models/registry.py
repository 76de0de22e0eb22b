"""Every kind of reconstructor, by its name in model cards and on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from reconstruction.base import ReconstructionError
from reconstruction.models.base import NetworkConfig, Reconstructor

#: ``kind: (module, configuration, reconstructor)``. A module is imported at its first use; its name is relative to this folder.
_KINDS: dict[str, tuple[str, str, str]] = {
    "calibrated": ("..calibrated.few_step", "FewStepConfig", "CalibratedFewStep"),
    "unet": ("..networks.speckle_only", "SpeckleOnlyConfig", "SpeckleUNet"),
    "resunet": ("..networks.speckle_only", "SpeckleOnlyConfig", "SpeckleResUNet"),
    "specdiffusion": ("..diffusion.specdiffusion", "SpecDiffusionConfig", "SpecDiffusion"),
    "few-step-diffusion": ("..diffusion.few_step_diffusion", "FewStepDiffusionConfig", "FewStepDiffusion"),
    "guided-diffusion": ("..diffusion.guided_diffusion", "GuidedDiffusionConfig", "GuidedDiffusion"),
    "mean-flow": ("..diffusion.mean_flow", "MeanFlowConfig", "MeanFlow"),
    "zmd": ("..diffusion.zero_mean", "ZeroMeanConfig", "ZeroMeanDiffusion"),
    "referenced": ("..networks.referenced_unet", "UNetConfig", "ReferencedUNet"),
}
KINDS = tuple(_KINDS)


def config_of(kind: str, values: Mapping[str, Any]) -> NetworkConfig:
    """Return the configuration of a kind of reconstructor.

    Raises
    ------
    ReconstructionError
        The kind is unknown.
    TypeError, ValueError
        ``values`` do not fit this kind.
    """
    config: NetworkConfig = _part(kind, 1).from_dict(dict(values))
    return config


def build(kind: str, config: NetworkConfig) -> Reconstructor:
    """Return a reconstructor with random weights."""
    network: Reconstructor = _part(kind, 2)(config)
    return network


def _part(kind: str, part: int) -> Any:
    if kind not in _KINDS:
        raise ReconstructionError(f"no reconstructor of kind {kind!r}; choose from {', '.join(_KINDS)}")
    return getattr(import_module(_KINDS[kind][0], __package__), _KINDS[kind][part])
