"""A network is built from a card only if the weights file is as large: a false card must not fill the memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.nn.modules.module import register_module_buffer_registration_hook, register_module_parameter_registration_hook

from drivers.limits import LimitError
from drivers.safe_text import parse_json

#: Side of the frames and of the reconstructed phase; the tables of a network grow with its square.
MAX_SIDE_PX = 4096
#: Elements of the tables that a network computes itself and that its file does not hold.
_MAX_BUFFER_ELEMENTS = 2**28


def stored_elements(data: bytes) -> int:
    """Return how many numbers a safetensors file holds, from its header.

    Raises
    ------
    ValueError
        The header is damaged, or promises more than the file holds.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or end > len(data):
        raise LimitError("its header is longer than the file")
    header = parse_json(data[8:end])
    if not isinstance(header, dict):
        raise LimitError("its header is no mapping")
    try:
        elements = sum(math.prod(facts["shape"]) for name, facts in header.items() if name != "__metadata__")
    except (TypeError, KeyError) as error:
        raise LimitError("its header lacks the shapes of its tensors") from error
    if not 0 <= elements <= len(data) - end:
        raise LimitError(f"its header promises {elements} numbers in {len(data) - end} bytes")
    return elements


def check_sides(network: Mapping[str, object]) -> None:
    """Raise LimitError if a side of the images in a card's network is larger than :data:`MAX_SIDE_PX`."""
    for name in ("frame_px", "grid_px"):
        side = network.get(name, 1)
        if not isinstance(side, int) or not 0 < side <= MAX_SIDE_PX:
            raise LimitError(f"{name} = {side}, this version takes 1 .. {MAX_SIDE_PX}")


@contextmanager
def limited_parameters(most: int) -> Iterator[None]:
    """Stop the building of a network with LimitError as soon as it has more than ``most`` parameters.

    A layer registers its parameters before it fills them, so a layer that is far too large takes no memory.
    """
    thread = threading.get_ident()
    parameters: dict[int, torch.Tensor] = {}  # a parameter may be registered twice
    buffers = 0

    def count_parameter(_: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if threading.get_ident() != thread or parameter is None:
            return
        parameters[id(parameter)] = parameter
        if sum(value.numel() for value in parameters.values()) > most:
            raise LimitError(f"its network has more than the {most} parameters that the weights file holds")

    def count_buffer(_: nn.Module, name: str, buffer: torch.Tensor | None) -> None:
        nonlocal buffers
        if threading.get_ident() != thread or buffer is None:
            return
        buffers += buffer.numel()
        if buffers > _MAX_BUFFER_ELEMENTS:
            raise LimitError(f"its network computes tables of more than {_MAX_BUFFER_ELEMENTS} numbers")

    with ExitStack() as hooks:
        hooks.callback(register_module_parameter_registration_hook(count_parameter).remove)
        hooks.callback(register_module_buffer_registration_hook(count_buffer).remove)
        yield
