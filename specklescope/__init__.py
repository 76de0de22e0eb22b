"""What code outside the program may use: the version, training data, trained models, and what a segmenter has to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconstruction.data.dataset import SpecklePairs
    from reconstruction.models.model import load_model
    from reconstruction.segmentation.base import Segmentation, Segmenter
    from reconstruction.segmentation.config import SegmentationConfig

__all__ = ["Segmentation", "SegmentationConfig", "Segmenter", "SpecklePairs", "__version__", "load_model"]


def __getattr__(name: str) -> object:
    """Import a name when it is first used, because the import of torch alone takes a second."""
    if name == "__version__":
        from drivers.program_version import program_version

        return program_version()
    if name == "SpecklePairs":
        from reconstruction.data.dataset import SpecklePairs

        return SpecklePairs
    if name == "load_model":
        from reconstruction.models.model import load_model

        return load_model
    if name in ("Segmentation", "Segmenter"):
        from reconstruction.segmentation import base

        return getattr(base, name)
    if name == "SegmentationConfig":
        from reconstruction.segmentation.config import SegmentationConfig

        return SegmentationConfig
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
