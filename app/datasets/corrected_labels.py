"""Labels that were corrected by hand, stored beside the automatic ones as a result of their recording."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.journal.writer import utc_now
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED, ROW_NOT_SEGMENTED
from acquisition.archive.results.result_writer import new_result
from acquisition.archive.results.stored_result import ResultCard, ResultKind, StoredResult
from acquisition.archive.rows import StorageError
from app.library.in_use import kept_in_place


def store_corrections(
    path: Path, corrected: Mapping[int, NDArray[np.uint16]], automatic: StoredResult | None = None
) -> StoredResult:
    """Store corrected labels as a result; every frame that was not corrected keeps its automatic labels in it.

    Parameters
    ----------
    path : Path
        The recording's folder.
    corrected : mapping of int to ndarray of uint16, shape (h, w)
        The corrected labels, by the numbers of their rows.
    automatic : StoredResult, optional
        The result whose labels were corrected; without it, the recorded ones.

    Returns
    -------
    StoredResult
        The result. Its facts say which rows were corrected, what their labels are of, and how those were made.

    Raises
    ------
    StorageError
        Nothing is corrected, the automatic labels are gone or damaged, or the result cannot be stored. Nothing is kept.
    """
    if not corrected:
        raise StorageError("nothing is corrected; there is nothing to store")
    with kept_in_place(path):
        archive = Archive.open(path)
        rows = [row.index for row in archive.rows() if not {ROW_NOT_RECONSTRUCTED, ROW_NOT_SEGMENTED} & row.extra.keys()]
        if automatic is not None and "labels" in automatic.layers:
            rows = [row for row in automatic.rows if row in automatic]
        if missing := corrected.keys() - set(rows):
            raise StorageError(f"frame {min(missing)} has no automatic labels that were corrected; segment it again first")
        facts: dict[str, object] = {
            "corrected_rows": sorted(corrected),
            "labels_of": automatic.card.name if automatic is not None else "the recording",
        }
        card = ResultCard(kind=ResultKind.SEGMENTATION, name="corrected by hand", created_utc=utc_now(), facts=facts)
        height, width = archive.spec("phase").shape
        with new_result(path, card, rows, {"labels": (height, width)}) as writer:
            for row in rows:
                labels = corrected.get(row)
                if labels is None:
                    labels = automatic.read("labels", row) if automatic is not None else archive.read("labels", row)
                writer.add({"labels": labels})
    return StoredResult(writer.path)
