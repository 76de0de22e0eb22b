"""The device on which torch computes a network."""

from __future__ import annotations

import torch

from reconstruction.segmentation.base import SegmentationError


def usable_device(wanted: str) -> str:
    """Return torch's name of a device: ``cpu`` or ``cuda``.

    Parameters
    ----------
    wanted : str
        ``cpu``, ``cuda``, or ``auto``: the graphics card where torch can use one.

    Raises
    ------
    SegmentationError
        torch can use no graphics card, and one is wanted.
    """
    has_cuda = torch.cuda.is_available()
    if wanted == "cuda" and not has_cuda:
        raise SegmentationError("torch can use no graphics card here; set the device to auto or cpu")
    return "cuda" if has_cuda and wanted != "cpu" else "cpu"
