"""Writing a result: image by image into a hidden folder, which gets its name when everything is on the disk."""

from __future__ import annotations

import shutil
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from io import BufferedWriter, BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from acquisition.archive.atomic_files import array_bytes, make_folder, moved_when_complete, write_inside
from acquisition.archive.folder import WriterLock, check_space, one_line
from acquisition.archive.results.stored_result import CARD, CRC32, LAYERS, RESULTS, ROWS, ResultCard
from acquisition.archive.rows import StorageError
from drivers.manifest import MANIFEST, manifest_text, sha256_of
from drivers.safe_text import dump_yaml

_LOCK = "results.lock"


class ResultWriter:
    """Takes the images of a result, row by row in order; made by :func:`new_result`.

    Attributes
    ----------
    path : Path
        Where the result lies when it is complete.
    card : ResultCard
        How it is made; may be replaced until the end.
    """

    def __init__(self, folder: Path, card: ResultCard, rows: Sequence[int], shapes: Mapping[str, tuple[int, int]]) -> None:
        self.path = folder
        self.card = card
        self._folder = folder
        self._rows = np.array(rows, np.int64)
        self._shapes = shapes
        self._files: dict[str, BufferedWriter] = {}
        self._crc32 = np.zeros((len(shapes), len(rows)), np.uint32)
        self._next = 0

    def open_files(self, stack: ExitStack) -> None:
        """Make the files of the layers; ``stack`` closes them."""
        for name, shape in self._shapes.items():
            file = stack.enter_context((self._folder / f"{name}.npy").open("xb"))
            header = BytesIO()
            description = np.dtype(LAYERS[name]).newbyteorder("<").str
            npy.write_array_header_1_0(
                header, {"descr": description, "fortran_order": False, "shape": (len(self._rows), *shape)}
            )
            file.write(header.getvalue())
            self._files[name] = file

    def add(self, images: Mapping[str, NDArray[Any]]) -> None:
        """Write the images of the next row, one for each layer, (h, w)."""
        for number, (name, shape) in enumerate(self._shapes.items()):
            image = np.ascontiguousarray(images[name], np.dtype(LAYERS[name]).newbyteorder("<"))
            if image.shape != shape:
                raise StorageError(f"{name} of a frame is {image.shape}, the result has {shape}; compute it with one model")
            self._crc32[number, self._next] = zlib.crc32(image.data)
            self._files[name].write(image.data)
        self._next += 1

    def finish(self) -> None:
        """Write what belongs to the layers, whose files are closed; raises StorageError when a frame is missing."""
        card = self.card
        if self._next != len(self._rows):
            raise StorageError(f"the result has {self._next} of {len(self._rows)} frames; compute it again")
        content = {**vars(card), "kind": card.kind.value, "facts": dict(card.facts), "layers": list(self._shapes)}
        write_inside(self._folder / CARD, dump_yaml(content).encode())
        write_inside(self._folder / ROWS, array_bytes(self._rows))
        write_inside(self._folder / CRC32, array_bytes(self._crc32))
        names = sorted(file.name for file in self._folder.iterdir())
        write_inside(self._folder / MANIFEST, manifest_text({name: sha256_of(self._folder / name) for name in names}).encode())


@contextmanager
def new_result(
    path: Path, card: ResultCard, rows: Sequence[int], shapes: Mapping[str, tuple[int, int]]
) -> Iterator[ResultWriter]:
    """Write a result for the recording at ``path``; it is there, complete, when the block succeeds, and else not at all.

    Parameters
    ----------
    path : Path
        The recording's folder.
    card : ResultCard
        How it is made.
    rows : sequence of int
        The rows of the recording that it has images of, in order.
    shapes : mapping of str to tuple of int
        The layers, and the shape (h, w) of their images.

    Raises
    ------
    StorageError
        Another process computes a result for this recording, its folder cannot be written, or the disk is too small.
    """
    root = path / RESULTS
    now = datetime.now().astimezone()
    folder = root / f"{now:%Y%m%d-%H%M%S}_{card.kind.value}_{uuid.uuid4().hex[:8]}"
    try:
        make_folder(root)
        with WriterLock(root, _LOCK, target=root):
            for leftover in root.glob(".*.part"):  # of a process that was killed here
                shutil.rmtree(leftover, ignore_errors=True)
            frame_bytes = sum(h * w * np.dtype(LAYERS[name]).itemsize for name, (h, w) in shapes.items())
            check_space(root, frame_bytes * len(rows))
            with moved_when_complete(folder) as part:
                part.mkdir()
                writer = ResultWriter(part, card, rows, shapes)
                with ExitStack() as stack:
                    writer.open_files(stack)
                    yield writer
                writer.finish()
                writer.path = folder
    except OSError as error:
        raise StorageError(f"no result was stored in {root}: {one_line(error)}; check its permissions and its disk") from error
