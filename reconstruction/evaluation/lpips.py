"""LPIPS (Zhang et al., CVPR 2018), if its weights lie on this computer. Nothing is ever downloaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

Phase = NDArray[np.float32]

#: The weights of AlexNet, as torchvision stores them in torch's folder of downloads.
_ALEXNET = "alexnet-owt-7be5be79.pth"


def missing_for_lpips() -> str:
    """Return what this computer lacks for LPIPS, as a sentence; empty if it has everything."""
    if importlib.util.find_spec("torchvision") is None:
        return "LPIPS is not measured: the package torchvision is not installed"
    weights = Path(torch.hub.get_dir()) / "checkpoints" / _ALEXNET
    if not weights.is_file():
        return f"LPIPS is not measured: there is no file {weights} with the weights of AlexNet"
    return ""


def lpips(phases_rad: Sequence[Phase], truths_rad: Sequence[Phase], mask: NDArray[np.bool_], phase_range_rad: float) -> float:
    """Return the mean LPIPS distance (AlexNet) of images to their truths.

    Parameters
    ----------
    phases_rad, truths_rad : sequence of ndarray of float32, shape (n, n)
        Images and truths, in radians.
    mask : ndarray of bool, shape (n, n)
        The fibre's disc; pixels outside are black in both.
    phase_range_rad : float
        Phase of white.

    Raises
    ------
    ValueError
        :func:`missing_for_lpips` names what is missing.
    """
    if missing := missing_for_lpips():
        raise ValueError(missing)
    from reconstruction.torchmetrics_functions import learned_perceptual_image_patch_similarity

    def picture(phase_rad: Phase) -> torch.Tensor:
        grey = np.clip(np.where(mask, phase_rad, 0) / phase_range_rad, 0, 1).astype(np.float32)
        return torch.from_numpy(grey).expand(1, 3, -1, -1)

    distances = [
        learned_perceptual_image_patch_similarity(picture(phase), picture(truth), net_type="alex", normalize=True)
        for phase, truth in zip(phases_rad, truths_rad, strict=True)
    ]
    return float(torch.stack(distances).mean())
