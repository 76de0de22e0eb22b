"""``specklescope import``: import pairs into a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from acquisition.exchange.conversion.units import PhaseUnit
from app.cli.options import ArchiveOptions, Count, Flag, Positive
from app.cli.output import progress_bars, publish
from app.signals import stop_on_signal
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from acquisition.exchange.import_pairs import ImportCheck, ImportOptions

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
    speckle
        Which array, file or folder of the source holds the camera's frames.
    phase
        Which array, file or folder of the source holds the phase.
    axes
        Axes of the arrays, where nothing in the file tells them: N, H and W in their order, such as HWN; NCHW or HWCN
        for frames with channels.
    phase_unit
        Unit of the phase. Needed for integers, and for values beyond the phase range.
    phase_range_rad
        Phase of white in radians: of level 255 in 8-bit labels. Needed when the source does not state it.
    phase_white
        Level of white, for phase in levels. [default: 255 for 8 bits, 65535 for 16 bits]
    phase_fill
        Value, in the phase's unit, for pixels of the phase that are not finite (NaN).
    bit_depth
        Bits of the camera: 12 for 12 bits in 16. [default: those that the source states, or that its counts need]
    speckle_white
        Value that becomes the highest count, for speckle that is no counts, such as 1.
    pixel_um
        Side of a camera pixel at the fibre's facet, in micrometres.
    period_s
        Time from frame to frame in seconds, for sources without times.
    reference_name
        Name that the source gives to its reference pairs (flat phase).
    to_grey
        Take coloured pictures by the mean of their channels, and transparent parts as black.
    references
        For an exported recording: the folder with its references. [default: NAME_references beside the file]
    no_references
        Leave out the references of an exported recording.
    dry_run
        Only check the pairs, and say how everything was decided; write nothing.
    sheet
        Draw small views of the first pairs into this PNG file.
    allow_duplicates
        Accept frames that occur twice.
    """

    name: str = ""
    speckle: str = ""
    phase: str = ""
    axes: str = ""
    phase_unit: PhaseUnit | None = None
    phase_range_rad: Positive | None = None
    phase_white: Positive | None = None
    phase_fill: float | None = None
    bit_depth: Count | None = None
    speckle_white: Positive | None = None
    pixel_um: Positive | None = None
    period_s: Positive | None = None
    reference_name: str = ""
    to_grey: Flag = False
    references: Path | None = None
    no_references: Flag = False
    dry_run: Annotated[Flag, Parameter(alias="--check")] = False
    sheet: Path | None = None
    allow_duplicates: bool = False

    def stated(self) -> ImportOptions:
        """Return what these options state about the pairs."""
        from acquisition.exchange.import_pairs import ImportOptions

        return ImportOptions(
            speckle=self.speckle,
            phase=self.phase,
            axes=self.axes,
            phase_unit=self.phase_unit,
            phase_range_rad=self.phase_range_rad,
            phase_white=self.phase_white,
            phase_fill=self.phase_fill,
            bit_depth=self.bit_depth,
            speckle_white=self.speckle_white,
            pixel_um=self.pixel_um,
            period_s=self.period_s,
            reference_name=self.reference_name,
            to_grey=self.to_grey,
            references=self.references,
            no_references=self.no_references,
            allow_duplicates=self.allow_duplicates,
        )


_OPTIONS, _INSTRUMENT = PairImportOptions(), ArchiveOptions()


def import_pairs(source: Path, *, options: PairImportOptions = _OPTIONS, instrument: ArchiveOptions = _INSTRUMENT) -> None:
    """Import pairs into a dataset. Everything is checked before the first byte is written.

    Parameters
    ----------
    source
        A folder of pictures in input/ and label/, or a file of arrays: .npz, HDF5, MATLAB, OME-TIFF or OME-Zarr.
    """
    from acquisition.exchange import import_pairs as importer

    root = instrument.settings().archive
    name = options.name or _name_of(source)
    if not options.dry_run and not name:
        raise SpeckleScopeError(f"{source} gives no name for the dataset; state one with --name")
    stated = options.stated()
    with progress_bars() as report, stop_on_signal() as stop:

        def on_progress(step: str, done: int, total: int) -> None:
            report(_STAGES[step], done, total)
            # The importer removes an incomplete dataset.
            stop.check(f"{done} of {total} pairs were {_DONE[step]}; nothing was kept in {root}; import again")

        pairs = importer.check_pairs(source, stated, on_progress)
        numbers: dict[str, object] = {
            "pairs": pairs.count,
            "arrays": [spec.name for spec in pairs.arrays],
            **pairs.facts,
            "notes": [*pairs.notes],
        }
        if options.sheet is not None:
            _draw(pairs, options.sheet)
            numbers["sheet"] = str(options.sheet)
        if not options.dry_run:
            numbers["path"] = str(importer.import_pairs(source, root, name, stated, on_progress))
        publish("checked" if options.dry_run else "imported", numbers, instrument.json)
        stop.check(f"all {pairs.count} pairs are in {numbers['path']}" if "path" in numbers else "nothing was to be written")


def _name_of(source: Path) -> str:
    """Return the name of the source, or a plain one where that has no letter and no digit, such as one of emoji."""
    stem = source.absolute().stem
    return stem if not stem or any(character.isalnum() for character in stem) else "imported"


def _draw(pairs: ImportCheck, sheet: Path) -> None:
    """Write small views of the first pairs into a PNG file."""
    from acquisition.archive.atomic_files import image_bytes, write_bytes
    from acquisition.exchange.conversion.sheet import contact_sheet

    if sheet.suffix.lower() != ".png":
        raise SpeckleScopeError(f"--sheet {sheet} is no name of a PNG file; let it end in .png")
    write_bytes(sheet, image_bytes(contact_sheet(pairs.thumbnails)), "give another place by --sheet")
