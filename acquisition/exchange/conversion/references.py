"""What the frames of an imported recording were reconstructed against: where it lies, and whether it fits to the frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acquisition.archive.references import StoredReference
from acquisition.exchange.containers.references_folder import (
    ExportedReference,
    is_references_folder,
    read_references_folder,
    references_beside,
)

_REMEDY = "copy or export the folder again, name another by --references, or leave it out by --no-references"
#: Arrays that have the shape of a camera frame, or of one of its channels: alone, and as a stack.
_FRAME, _FRAMES = ("speckle", "pairs_reference"), ("pairs_speckle", "pairs_phase_rad")


class ReferencesError(ValueError):
    """References cannot be imported. The message names the folder, the value and the options."""


@dataclass(frozen=True, kw_only=True)
class ImportedReferences:
    """The references of an import.

    Parameters
    ----------
    folder : Path, optional
        Where they lie; None where there are none.
    references : tuple of ExportedReference
        Each of them.
    """

    folder: Path | None = None
    references: tuple[ExportedReference, ...] = ()

    def read(self, frame_shape: tuple[int, ...]) -> Iterator[StoredReference]:
        """Read one reference after the other.

        Parameters
        ----------
        frame_shape : tuple of int
            (H, W) or (C, H, W) of the frames that they are for.

        Raises
        ------
        ReferencesError
            One is damaged, or belongs to frames of another size.
        """
        for number, entry in enumerate(self.references):
            try:
                reference = entry.read()
            except (OSError, ValueError) as error:
                raise ReferencesError(f"{self.folder}: {_one_line(error)}; {_REMEDY}") from error
            for name, array in reference.arrays.items():
                shape = array.shape[1:] if name in _FRAMES else array.shape
                if name in (*_FRAME, *_FRAMES) and shape not in (frame_shape, frame_shape[-2:]):
                    raise ReferencesError(
                        f"{self.folder}: {name!r} of reference {number} is for frames of {shape}, the speckle has "
                        f"{frame_shape}; {_REMEDY}"
                    )
            yield reference

    def facts(self) -> Mapping[str, Any] | None:
        """Return the folder and the first frames, for a report; None where there are none."""
        if self.folder is None:
            return None
        return {"folder": self.folder.name, "first_frames": [entry.first_frame for entry in self.references]}

    def notes(self, expected: object) -> list[str]:
        """Return what the operator should know.

        Parameters
        ----------
        expected : object
            How many the metadata of the file state.
        """
        if self.folder is None and isinstance(expected, int) and expected > 0:
            return [f"its {expected} references are not beside it; give their folder by --references"]
        if any(entry.digests is None for entry in self.references):
            return [f"no check sums in {self.folder}: it has no manifest"]
        return []


def find_references(path: Path, stated: Path | None) -> ImportedReferences:
    """Return the references of an import.

    Parameters
    ----------
    path : Path
        File or folder of the frames.
    stated : Path, optional
        The folder of the references. By default it is the one beside the file that the export gave its name.

    Raises
    ------
    ReferencesError
        The folder is damaged, or holds no references.
    """
    folder = stated if stated is not None else references_beside(path)
    if stated is None and not folder.exists():
        return ImportedReferences()
    if not is_references_folder(folder):
        raise ReferencesError(f"{folder} is no folder of references beside an export; {_REMEDY}")
    try:
        return ImportedReferences(folder=folder, references=read_references_folder(folder))
    except (OSError, ValueError) as error:
        raise ReferencesError(f"{folder}: {_one_line(error)}; {_REMEDY}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
