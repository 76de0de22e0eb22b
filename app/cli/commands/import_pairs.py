"""``specklescope import``: import pairs into a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from app.cli.options import ArchiveOptions, Positive
from app.cli.output import progress_bars, publish
from app.signals import stop_on_signal
from drivers.base import SpeckleScopeError

_STAGES = {"check": "checking pairs", "write": "writing pairs"}
_DONE = {"check": "checked", "write": "written"}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PairImportOptions:
    """How the pairs are read.

    Parameters
    ----------
    name
        Name of the dataset. [default: the name of the source]
    phase_range_rad
        Phase of label grey 255 in radians. Needed when the source does not state it.
    check
        Only check the pairs; write nothing.
    allow_duplicates
        Accept frames that occur twice.
    """

    name: str = ""
    phase_range_rad: Positive | None = None
    check: bool = False
    allow_duplicates: bool = False


_OPTIONS, _INSTRUMENT = PairImportOptions(), ArchiveOptions()


def import_pairs(source: Path, *, options: PairImportOptions = _OPTIONS, instrument: ArchiveOptions = _INSTRUMENT) -> None:
    """Import pairs into a dataset. Everything is checked before the first byte is written.

    Parameters
    ----------
    source
        A folder in the published layout (input/ and label/ of PNG), or an .npz, .h5 or OME-TIFF that SpeckleScope exported.
    """
    from acquisition.exchange import import_pairs as importer

    root = instrument.settings().archive
    name = options.name or source.absolute().stem
    if not options.check and not name:
        raise SpeckleScopeError(f"{source} gives no name for the dataset; state one with --name")
    stated = importer.ImportOptions(phase_range_rad=options.phase_range_rad, allow_duplicates=options.allow_duplicates)
    with progress_bars() as report, stop_on_signal() as stop:

        def on_progress(step: str, done: int, total: int) -> None:
            report(_STAGES[step], done, total)
            # The importer removes an incomplete dataset.
            stop.check(f"{done} of {total} pairs were {_DONE[step]}; nothing was kept in {root}; import again")

        pairs = importer.check_pairs(source, stated, on_progress)
        numbers: dict[str, object] = {
            "pairs": pairs.count,
            "arrays": [spec.name for spec in pairs.arrays],
            "notes": [*pairs.notes],
        }
        if not options.check:
            numbers["path"] = str(importer.import_pairs(source, root, name, stated, on_progress))
        publish("checked" if options.check else "imported", numbers, instrument.json)
        stop.check(f"all {pairs.count} pairs are in {numbers['path']}" if "path" in numbers else "nothing was to be written")
