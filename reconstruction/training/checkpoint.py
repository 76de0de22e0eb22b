"""A checkpoint on disk: one safetensors file, with the tensors in its body and all other values as JSON in its header.

A new checkpoint is written to a temporary file, synced to the disk, and then renamed: one complete checkpoint exists at any
time, even if the program is killed. A checkpoint cannot run code. Its header has the SHA-256 of the values and of the tensors,
because safetensors does not notice a changed weight; checkpoints of version 0.1.0 have none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from acquisition.archive.atomic_files import write_bytes
from drivers.safe_text import parse_json
from reconstruction.base import ReconstructionError

CHECKPOINT = "checkpoint.safetensors"
_KEY, _VERSION = "specklescope-training", 1
_VALUES_SHA256, _TENSORS_SHA256 = "values_sha256", "tensors_sha256"


def write_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], values: Mapping[str, object]) -> None:
    """Write a checkpoint; the previous one stays until the new one is complete.

    Raises
    ------
    ReconstructionError
        The file cannot be written.
    """
    text = json.dumps({"version": _VERSION, **values})
    header = {_KEY: text, _VALUES_SHA256: _text_sha256(text), _TENSORS_SHA256: _tensors_sha256(tensors)}
    data = safetensors.torch.save({key: value.contiguous() for key, value in tensors.items()}, header)
    remedy = "the last checkpoint is complete; free disk space, then resume with --resume"
    write_bytes(path, data, remedy, ReconstructionError)


def read_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read the tensors and the values of a checkpoint.

    Raises
    ------
    ReconstructionError
        The file is missing, incomplete, damaged, no checkpoint, or a checkpoint of another version.
    """
    with _opened(path) as (file, values):
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        if file.metadata().get(_TENSORS_SHA256) not in (None, _tensors_sha256(tensors)):
            raise damaged(path, "its weights differ from what was written (SHA-256)")
    return tensors, values


def read_values(path: Path) -> dict[str, Any]:
    """Read only the values of a checkpoint; fast, because the tensors stay on the disk.

    Raises
    ------
    ReconstructionError
        See :func:`read_checkpoint`.
    """
    with _opened(path) as (_, values):
        return values


def has_check_sums(path: Path) -> bool:
    """Whether a checkpoint holds check sums; errors as :func:`read_checkpoint`."""
    with _opened(path) as (file, _):
        return _TENSORS_SHA256 in file.metadata()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    try:
        with safetensors.safe_open(path, "pt") as file:
            header = file.metadata() or {}
            if header.get(_VALUES_SHA256) not in (None, _text_sha256(header[_KEY])):
                raise damaged(path, "its values differ from what was written (SHA-256)")
            values = parse_json(header[_KEY])
            if values.pop("version") != _VERSION:
                raise damaged(path, "it was written by another version of the program")
            yield file, values
    except FileNotFoundError as error:
        raise ReconstructionError(
            f"the run cannot be resumed: there is no checkpoint {path}; start it again without --resume, or in a new folder"
        ) from error
    except (safetensors.SafetensorError, KeyError, ValueError, AttributeError, OSError) as error:
        raise damaged(path, "it is incomplete, or comes from another program") from error


def _text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _tensors_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and bytes of all tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode("ascii"))
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def damaged(path: Path | str, what: str) -> ReconstructionError:
    """Return the error for a checkpoint that cannot be used."""
    return ReconstructionError(f"{path} is no checkpoint of this run ({what}); restore a copy, or start in a new folder")
