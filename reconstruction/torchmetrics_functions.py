"""Scores of torchmetrics, imported without the package transformers.

Where transformers is installed, for the segmenter Segment Anything, torchmetrics imports parts of it for its metrics of text,
which nobody uses here: 1.0 s of the 2.3 s that its import takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError
from typing import Any
from unittest import mock

from lightning_utilities.core import imports

_HIDDEN = "transformers"


@contextmanager
def _hidden() -> Iterator[None]:
    """Let torchmetrics see no transformers, as long as this lasts. It asks two functions of its package lightning-utilities."""
    version_of, is_available = vars(imports).get("_version"), vars(imports).get("module_available")

    def version(name: str) -> Any:
        if name == _HIDDEN or version_of is None:
            raise PackageNotFoundError(name)
        return version_of(name)

    def available(path: str) -> bool:
        return path.partition(".")[0] != _HIDDEN and is_available is not None and is_available(path)

    with ExitStack() as replaced:
        if version_of is not None and is_available is not None:  # another version may ask in another way: then it is imported
            replaced.enter_context(mock.patch.object(imports, "_version", version))
            replaced.enter_context(mock.patch.object(imports, "module_available", available))
        yield


with _hidden():
    from torchmetrics.functional.detection import panoptic_quality
    from torchmetrics.functional.image import (
        learned_perceptual_image_patch_similarity,
        structural_similarity_index_measure,
    )

__all__ = ["learned_perceptual_image_patch_similarity", "panoptic_quality", "structural_similarity_index_measure"]
