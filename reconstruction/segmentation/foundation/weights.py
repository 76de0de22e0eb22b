"""Weights and configuration of a network that others trained, read from a local folder. Nothing is ever downloaded.

Files from elsewhere may be damaged or hostile: sizes and numbers are limited before anything is built, and a pickle, which can
run a program, is read only if the operator has allowed it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from platformdirs import user_data_path

from drivers.limits import MAX_ARRAY_BYTES, LimitError, check_inside, check_regular
from drivers.safe_text import parse_json
from reconstruction.segmentation.base import SegmentationError

#: Files of a folder of weights, by the names that the transformers package gives them.
CONFIG, SAFETENSORS, PICKLE = "config.json", "model.safetensors", "pytorch_model.bin"
#: The largest published configuration has 8 KiB.
_MAX_CONFIG_BYTES = 2**20
#: Largest whole number of a configuration; the widest layer of SAM has 5,120 neurons.
_MAX_NUMBER = 2**16


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where people get the weights of a kind of segmenter.

    Parameters
    ----------
    kind : str
        The segmenter.
    page : str
        Name of weights on Hugging Face that suit it, such as ``facebook/sam-vit-base``.
    licence : str
        Licence of these weights.
    """

    kind: str
    page: str
    licence: str

    def remedy(self, folder: Path) -> str:
        """Return how to get the files and where to put them, as a clause."""
        return (
            f"get {CONFIG} and {SAFETENSORS} of {self.page} from Hugging Face (licence {self.licence}; the program downloads "
            f"nothing) and put both into {folder}: hf download {self.page} {CONFIG} {SAFETENSORS} --local-dir {folder}"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Checkpoint:
    """The content of a folder of weights.

    Parameters
    ----------
    folder : Path
        Where it lies.
    config : mapping
        Content of its configuration.
    weights : dict
        Tensors by their names.
    sha256 : str
        SHA-256 of the file of weights.
    config_sha256 : str
        SHA-256 of the configuration.
    """

    folder: Path
    config: Mapping[str, Any]
    weights: dict[str, torch.Tensor]
    sha256: str
    config_sha256: str

    @property
    def elements(self) -> int:
        """How many numbers the weights have."""
        return sum(tensor.numel() for tensor in self.weights.values())


def default_folder(kind: str) -> Path:
    """Return the folder in which the weights of a kind of segmenter are looked for when no other is named."""
    return user_data_path("specklescope", appauthor=False) / "segmenters" / kind


def read_checkpoint(folder: Path, source: Source, *, allow_pickle: bool = False) -> Checkpoint:
    """Read a folder with ``config.json`` and ``model.safetensors``.

    Parameters
    ----------
    folder : Path
        The folder.
    source : Source
        What the folder should hold, for the message if it does not.
    allow_pickle : bool
        Read ``pytorch_model.bin`` where ``model.safetensors`` is absent. Only tensors are taken from it.

    Raises
    ------
    SegmentationError
        A file is absent, damaged, too large, a pickle without permission, or a link to another place.
    """
    if not folder.is_dir():
        raise SegmentationError(
            f"there is no folder {folder} with weights for the segmenter '{source.kind}'; {source.remedy(folder)}"
        )
    try:
        check_inside(folder, [CONFIG, SAFETENSORS, PICKLE])
    except LimitError as error:
        raise SegmentationError(f"the weights in {folder} are refused: {error}") from error
    if not (folder / CONFIG).is_file():
        raise SegmentationError(f"{folder} has no {CONFIG}; {source.remedy(folder)}")
    config, config_sha256 = _read_config(folder / CONFIG, source)
    file = _weights_file(folder, source, allow_pickle=allow_pickle)
    # Whole, and not through a map of the file: that would end the program when somebody replaces the file.
    data = _content(file)
    weights = _pickled_tensors(data, file) if file.name == PICKLE else _safetensors(data, file)
    return Checkpoint(
        folder=folder, config=config, weights=weights, sha256=hashlib.sha256(data).hexdigest(), config_sha256=config_sha256
    )


def read_pickled_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a file that ``torch.save`` wrote; torch refuses everything else that such a file can hold.

    Raises
    ------
    SegmentationError
        The file is damaged, or holds something else than tensors by their names.
    """
    return _pickled_tensors(_content(file), file)


def _pickled_tensors(data: bytes, file: Path) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - a damaged pickle can raise anything
        raise SegmentationError(f"{file} is damaged or holds more than tensors ({_cause(error)}); get it again") from error
    if not isinstance(content, Mapping) or not content:
        raise SegmentationError(f"{file} holds no tensors with names; get it again")
    if not all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()):
        raise SegmentationError(f"{file} holds something else than tensors with names; get it again")
    return dict(content)


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file, of any size."""
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise SegmentationError(f"{file} cannot be read: {error.strerror}; copy it again") from error


def _weights_file(folder: Path, source: Source, *, allow_pickle: bool) -> Path:
    """Return the file of weights that may be read."""
    if (folder / SAFETENSORS).is_file():
        return folder / SAFETENSORS
    if not (folder / PICKLE).is_file():
        raise SegmentationError(f"{folder} has no {SAFETENSORS}; {source.remedy(folder)}")
    if not allow_pickle:
        raise SegmentationError(
            f"{folder} holds its weights as a pickle ({PICKLE}), which can run a program; use {SAFETENSORS} instead, or set "
            "allow_pickle if you trust where the file comes from"
        )
    return folder / PICKLE


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > MAX_ARRAY_BYTES:
            raise SegmentationError(f"{file} has more than {MAX_ARRAY_BYTES // 2**30} GiB; use smaller weights")
        return file.read_bytes()
    except OSError as error:
        raise SegmentationError(f"{file} cannot be read: {error.strerror}; copy it again") from error


def _safetensors(data: bytes, file: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, RuntimeError) as error:
        raise SegmentationError(f"{file} is damaged or no safetensors file ({_cause(error)}); get it again") from error


def _read_config(path: Path, source: Source) -> tuple[dict[str, Any], str]:
    """Return the content of a configuration, and its SHA-256."""
    try:
        check_regular(path)
        with path.open("rb") as file:
            text = file.read(_MAX_CONFIG_BYTES + 1)
        if len(text) > _MAX_CONFIG_BYTES:
            raise LimitError(f"it has more than {_MAX_CONFIG_BYTES} bytes")
        config = parse_json(text)
        if not isinstance(config, dict):
            raise LimitError("it is no mapping")
        _check_numbers(config)
    except (OSError, ValueError) as error:
        raise SegmentationError(
            f"{path} is no configuration of a network ({_cause(error)}); {source.remedy(path.parent)}"
        ) from error
    return config, hashlib.sha256(text).hexdigest()


def _check_numbers(values: object) -> None:
    """Raise LimitError for a whole number that no published network has: tables of that size would fill the memory."""
    if isinstance(values, dict):
        for name, value in values.items():
            if isinstance(value, int) and abs(value) > _MAX_NUMBER:
                raise LimitError(f"{name} = {value}, at most {_MAX_NUMBER} are accepted")
            _check_numbers(value)
    elif isinstance(values, list):
        for value in values:
            if isinstance(value, int) and abs(value) > _MAX_NUMBER:
                raise LimitError(f"it holds the number {value}, at most {_MAX_NUMBER} are accepted")
            _check_numbers(value)


def _cause(error: BaseException) -> str:
    """Return the first line of an error, or its kind where it has none."""
    return str(error).partition("\n")[0][:200] or type(error).__name__
