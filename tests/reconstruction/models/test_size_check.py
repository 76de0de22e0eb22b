"""Models from elsewhere: a card that promises more than its weights file holds is refused before its network is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from drivers.limits import LimitError
from reconstruction.base import ReconstructionError
from reconstruction.models.model import CARD, WEIGHTS, load_model
from reconstruction.models.size_check import limited_parameters, stored_elements
from tests.helpers.small_instrument import small_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_model(tmp_path / "mine")
    return tmp_path / "mine"


def change(folder: Path, **values: object) -> None:
    card = yaml.safe_load((folder / CARD).read_text())
    card.pop("card_sha256", None)  # as in a card that somebody wrote himself
    for key, value in values.items():
        (card["network"] if key in card["network"] else card)[key] = value
    (folder / CARD).write_text(yaml.safe_dump(card))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"parameters": 10**15}, "it states 1000000000000000 parameters, the weights file holds"),
        ({"base_channels": 4096}, "more than the .* parameters that the weights file holds"),
        ({"base_channels": 2**22}, "describes no network of this version"),
        ({"multipliers": [1] * 2000}, "describes no network of this version"),
        ({"frame_px": 10**6}, "frame_px = 1000000, this version takes"),
        ({"grid_px": 2**40}, "grid_px = 1099511627776, this version takes"),
        ({"network": ["frame_px"]}, "'network' = "),
        ({"seconds": "long"}, "'seconds' = 'long': Input should be a valid number"),
        ({"fibre": 5}, "'fibre' = 5: Input should be a valid string"),
        ({"scores": [0.9]}, "'scores' = "),
        ({"window_cells": "wide"}, "'window_cells' = 'wide': Input should be a valid number"),
        ({"field_radius": float("nan")}, "field_radius nan"),
        ({"phase_range_rad": -1.0}, "phase_range_rad -1.0 must be positive"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_card_that_promises_too_much_is_refused(values: dict[str, object], reason: str, folder: Path) -> None:
    change(folder, **values)
    with pytest.raises(ReconstructionError, match=reason) as caught:
        load_model(folder)
    assert str(folder / CARD) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [WEIGHTS, CARD])
def test_links_out_of_a_model_folder_are_refused(name: str, folder: Path, tmp_path: Path) -> None:
    (folder / name).rename(tmp_path / "outside")
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(ReconstructionError, match=f"{folder / name} is a link to {tmp_path / 'outside'}"):
        load_model(folder)


def file_with(header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"\0" * 64


@pytest.mark.parametrize(
    "data",
    [
        b"",
        (2**60).to_bytes(8, "little") + b"{}",
        file_with(b"[" * 2000 + b"]" * 2000),
        file_with([1]),
        file_with({"a": {"dtype": "F16"}}),
        file_with({"a": {"dtype": "F16", "shape": [2**20, 2**20]}}),
        file_with({"a": {"dtype": "F16", "shape": [-4, 2]}}),
        file_with({"a": {"dtype": "F16", "shape": "ab"}}),
    ],
    ids=["empty", "long header", "nested", "no mapping", "no shape", "terabytes", "negative", "text"],
)
def test_a_weights_file_whose_header_lies_is_refused(data: bytes, folder: Path) -> None:
    with pytest.raises(ValueError, match=r"header|nested"):
        stored_elements(data)
    (folder / WEIGHTS).write_bytes(data)
    change(folder, weights_sha256="")
    with pytest.raises(ReconstructionError, match=rf"{WEIGHTS} is damaged \(.*copy the model again"):
        load_model(folder)


def test_parameters_are_counted_before_they_are_filled() -> None:
    seen = []

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.empty(2**20, 2**14, device="meta"))
            seen.append("filled")

    with limited_parameters(12):
        nn.Linear(3, 3)
    with pytest.raises(LimitError, match="more than the 12 parameters"), limited_parameters(12):
        Layer()
    assert not seen
    Layer()  # outside, nothing is limited
    assert seen
