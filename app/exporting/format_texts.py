"""What each format of an export is, in words: its name, what it holds, what it loses, and which programs open it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from acquisition.exchange.export import ExportFormat


@dataclass(frozen=True, kw_only=True)
class FormatText:
    """A format in words.

    Parameters
    ----------
    name : str
        Its name.
    holds : str
        What it holds and what it loses, as a sentence.
    programs : str
        Programs that open it.
    """

    name: str
    holds: str
    programs: str


FORMAT_TEXTS: Mapping[ExportFormat, FormatText] = {
    ExportFormat.OME_TIFF: FormatText(
        name="OME-TIFF",
        holds="One file for each layer, with pixel size, times and all facts. Nothing is lost.",
        programs="ImageJ (below 4 GB), napari, Python",
    ),
    ExportFormat.VIEWING_MP4: FormatText(
        name="Film for viewing (MP4)",
        holds="One layer in colours, with the true times. Compressed with loss: for eyes, not for measurements.",
        programs="VLC, PowerPoint, browsers",
    ),
    ExportFormat.FFV1: FormatText(
        name="Lossless film (FFV1, MKV)",
        holds="Every count of the speckle, with the true times. It has no phase.",
        programs="VLC, FFmpeg, Python",
    ),
    ExportFormat.HDF5: FormatText(
        name="HDF5",
        holds="One file with every layer, every column and all facts. Nothing is lost.",
        programs="Python (h5py), MATLAB, Octave",
    ),
    ExportFormat.MATLAB: FormatText(
        name="MATLAB",
        holds="One file with every layer, every column and all facts. Nothing is lost.",
        programs="MATLAB, Octave, Python (SciPy)",
    ),
    ExportFormat.NPZ: FormatText(
        name="NumPy (NPZ)",
        holds="One file with every layer, every column and all facts. Nothing is lost.",
        programs="Python (NumPy)",
    ),
    ExportFormat.OME_ZARR: FormatText(
        name="OME-Zarr",
        holds="A folder for each layer, in parts that load quickly. Nothing is lost.",
        programs="napari, Python",
    ),
    ExportFormat.SPECDIFFUSION: FormatText(
        name="PNG pairs (SpecDiffusion)",
        holds="Speckle and phase as 8-bit pictures with lists, for datasets. The phase is rounded to 256 levels.",
        programs="every viewer, training scripts of others",
    ),
}
