"""A checkpoint with a flipped bit is refused with its name, or gives the same weights and values."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import safetensors.torch
import torch

from reconstruction.base import ReconstructionError
from reconstruction.training.checkpoint import CHECKPOINT, read_checkpoint, read_values, write_checkpoint

TENSORS = {
    "model/weight": torch.linspace(-1, 1, 24).reshape(4, 6),
    "model/half": torch.ones(3, dtype=torch.bfloat16),
    "optimizer/0/step": torch.tensor(7.0),
    "model/mask": torch.tensor([True, False]),
    "model/none": torch.empty(0, 3),
}
VALUES = {"epoch": 3, "report": {"loss": 0.25}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / CHECKPOINT, TENSORS, VALUES)
    return tmp_path / CHECKPOINT


def same(path: Path) -> bool:
    tensors, values = read_checkpoint(path)
    return values == VALUES and tensors.keys() == TENSORS.keys() and all(torch.equal(tensors[k], TENSORS[k]) for k in TENSORS)


def refusal(path: Path) -> str:
    """Why a checkpoint is refused; it has to be the one that was written if it is not."""
    try:
        assert same(path)
    except ReconstructionError as error:
        return str(error)
    return ""


def test_a_checkpoint_reads_back(path: Path) -> None:
    assert same(path)
    assert read_values(path) == VALUES


def test_a_flipped_bit_is_refused_or_changes_nothing(path: Path) -> None:
    original = path.read_bytes()
    numbers = random.Random(1)
    messages = []
    for _ in range(150):
        content = bytearray(original)
        content[numbers.randrange(len(content))] ^= 1 << numbers.randrange(8)
        path.write_bytes(content)
        messages.append(refusal(path))
    assert all(str(path) in message for message in messages if message)
    assert sum(bool(message) for message in messages) > 100


def test_a_changed_weight_and_a_changed_value_are_told_apart(path: Path) -> None:
    original = path.read_bytes()
    path.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    assert read_values(path) == VALUES, "the values are intact"
    with pytest.raises(ReconstructionError, match="its weights differ from what was written"):
        read_checkpoint(path)
    path.write_bytes(original.replace(b'epoch\\": 3', b'epoch\\": 4'))
    with pytest.raises(ReconstructionError, match="its values differ from what was written"):
        read_values(path)


def test_a_checkpoint_without_check_sums_is_read(path: Path) -> None:
    header = {"specklescope-training": json.dumps({"version": 1, **VALUES})}
    path.write_bytes(safetensors.torch.save(TENSORS, header))
    assert same(path)
