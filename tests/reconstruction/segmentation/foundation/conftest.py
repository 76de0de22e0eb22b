"""transformers, and folders of weights of tiny networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.helpers.tiny_sam import save_tiny


@pytest.fixture(scope="session")
def transformers() -> Iterator[ModuleType]:
    """Hugging Face's library, without access to the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield pytest.importorskip("transformers", reason="the extra 'sam' is not installed")


@pytest.fixture(scope="session")
def tiny(transformers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of weights by the kind of segmenter; nobody changes them."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in ("sam", "sam2")}
    for kind, folder in folders.items():
        save_tiny(transformers, kind, folder)
    return folders
