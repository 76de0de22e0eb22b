"""``specklescope twin-statistics``: write simulated pairs, to compare them with those of a real fibre."""

from __future__ import annotations

from pathlib import Path

from app.cli.options import Config, CountOrZero, Instrument, InstrumentOptions
from app.cli.output import progress_bars, publish


def twin_statistics(
    out: Path,
    *,
    images: str = "held-out",
    count: CountOrZero = 0,
    config: Config = None,
    instrument: Instrument = None,
) -> None:
    """Write simulated pairs in the published layout (input/, label/), to compare the twin with a real fibre.

    Parameters
    ----------
    out
        New folder for the pairs.
    images
        Folder of images, or a pattern source.
    count
        Number of pairs. 0 uses every image of the folder once.
    """
    from app.datasets.twin_statistics import write_twin_pairs

    settings = InstrumentOptions(config=config, instrument=instrument).settings()
    with progress_bars() as report:
        written = write_twin_pairs(settings, out, images, count, lambda done: report("exposing", done, max(done, count)))
    publish("twin pairs", {"folder": str(out), "pairs": len(written)}, None)
