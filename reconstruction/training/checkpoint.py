"""A checkpoint on disk: one safetensors file, the tensors in its body and everything else as JSON in its header.

It is written beside the last one, waited for until it is on disk, and put in its place in one step: whenever the program is
killed, one whole checkpoint is there. Nothing in it can run code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from acquisition.archive.folder import sync_folder
from reconstruction.base import ReconstructionError

CHECKPOINT = "checkpoint.safetensors"
_KEY, _VERSION = "specklescope-training", 1


def write_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], values: Mapping[str, object]) -> None:
    """Write a checkpoint; what was there before stays until the new one is whole.

    Raises
    ------
    ReconstructionError
        It cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    header = {_KEY: json.dumps({"version": _VERSION, **values})}
    try:
        safetensors.torch.save_file({key: value.contiguous() for key, value in tensors.items()}, part, header)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except (OSError, safetensors.SafetensorError) as error:
        cause = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise ReconstructionError(
            f"cannot write {path}: {cause}; the last checkpoint is whole: make room, then go on with --resume"
        ) from error


def read_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read the tensors and the values of a checkpoint.

    Raises
    ------
    ReconstructionError
        It is missing, cut short, no checkpoint, or one of another version.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            values = json.loads((file.metadata() or {})[_KEY])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        if values.pop("version") != _VERSION:
            raise damaged(path, "of another version of the program")
    except FileNotFoundError as error:
        raise ReconstructionError(f"nothing to go on with: there is no {path}; start again in a new folder") from error
    except (safetensors.SafetensorError, KeyError, ValueError, AttributeError, OSError) as error:
        raise damaged(path, "cut short, or from elsewhere") from error
    return tensors, values


def damaged(path: Path | str, what: str) -> ReconstructionError:
    """Return the error for a checkpoint that cannot be used."""
    return ReconstructionError(f"{path} is no checkpoint of this run ({what}); put a copy back, or start in a new folder")
