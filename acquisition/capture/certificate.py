"""The pairing certificate of a dataset: what was checked of every pair, how often, and with which margin.

It is made from the archive alone, so it can be made again at any time and by anybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import yaml

from acquisition.archive.folder import write_synced
from acquisition.archive.kinds import EventKind
from acquisition.archive.reader import Archive
from acquisition.archive.rows import StorageError
from acquisition.capture.runner import faults_of, plan_of
from acquisition.capture.sync_check import ReferenceCheck, speckle_of
from drivers.base import Frame, Pattern

CERTIFICATE = "certificate.yaml"
#: Host and camera clocks may disagree by so much over one interval.
INTERVAL_TOLERANCE_S = 0.005
_DRAWN_AGAIN = 200


@dataclass(frozen=True)
class Certificate:
    """What holds of a dataset, by its own bytes.

    Parameters
    ----------
    pairs, requested : int
        Acknowledged pairs, references included, and what the plan asks for.
    images_checked, pairs_damaged : int
        By their check sums.
    shots_in_order, patterns_hashed, patterns_as_planned : bool
        Row n is shot n; its phase has the content hash that was on the SLM; and, for some 200 of them, that is the hash of
        the pattern which the plan draws for it.
    frames_repeated : int
        Frames that are byte for byte the one before.
    sentinels, lowest_reference_correlation
        Flat shots, and the smallest correlation of one with the first.
    sync_checks, smallest_sync_margin
        Scans of lags -2..+2 that the run made with sync patterns, all won by lag 0, and the least lead.
    sync_margins : list of float
        Of the sync preamble of every run.
    intervals_checked, interval_error_s
        Intervals of the camera's own clock against the host's, where it has one, and the largest difference.
    faults, withdrawn
        What was met and retaken, by kind; pairs withdrawn back to a good sentinel.
    """

    pairs: int
    requested: int
    images_checked: int
    pairs_damaged: int
    shots_in_order: bool
    patterns_hashed: bool
    patterns_as_planned: bool
    frames_repeated: int
    reference_checks: int
    lowest_reference_correlation: float
    sync_checks: int
    smallest_sync_margin: float
    sync_margins: list[float]
    intervals_checked: int
    interval_error_s: float
    faults: dict[str, int]
    withdrawn: int
    drift: list[tuple[int, float]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all that the plan asks for is there."""
        return self.pairs == self.requested

    @property
    def verified(self) -> bool:
        """Whether light speaks for the pairing, and nothing against any pair."""
        return (
            bool(self.sync_margins)
            and self.smallest_sync_margin > 0
            and self.pairs_damaged == self.frames_repeated == 0
            and self.shots_in_order
            and self.patterns_hashed
            and self.patterns_as_planned
            and all(margin > 0 for margin in self.sync_margins)
            and self.interval_error_s <= INTERVAL_TOLERANCE_S
        )


def certify(archive: Archive, progress: Callable[[int], None] = lambda done: None) -> Certificate:
    """Check a dataset from its bytes; reads every image once.

    Raises
    ------
    StorageError
        It is no dataset, or its plan was edited.
    """
    plan = plan_of(archive)
    rows = archive.rows()
    height, width = archive.spec("phase").shape
    make = plan.maker((height, width))
    depth = archive.metadata.get("bit_depth", 8)
    reference_check = ReferenceCheck(plan.min_reference_correlation)
    damaged = repeated = 0
    hashed = planned = True
    before: int | None = None
    # Drawing every pattern again would take longer than the run did.
    drawn_again = set(range(0, len(rows), max(1, len(rows) // _DRAWN_AGAIN)))
    for row in rows:
        progress(row.index + 1)
        repeated += row.crc32["speckle"] == before
        before = row.crc32["speckle"]
        if row.index in drawn_again:
            planned = planned and make(row.index).pattern.id == row.pattern_id
        try:
            pixels, phase = archive.read("speckle", row.index), archive.read("phase", row.index)
        except StorageError:
            damaged += 1
            continue
        hashed = hashed and Pattern(phase).id == row.pattern_id
        frame = Frame(pixels, row.frame_index, row.t_ns, row.exposure_s, depth if isinstance(depth, int) else 8)
        flat = plan.is_reference(row.index)
        if flat:
            reference_check.holds(row.index, speckle_of(frame))
    intervals, error_s = _intervals(archive)
    events = archive.events()
    scans = [_number(r" (?:margin|by) (-?[\d.]+) up to ", event.text) for event in events if event.kind is EventKind.SCAN]
    return Certificate(
        pairs=len(rows),
        requested=len(plan),
        images_checked=len(rows) * len(archive.arrays),
        pairs_damaged=damaged,
        shots_in_order=[row.extra.get("shot") for row in rows] == list(range(len(rows))),
        patterns_hashed=hashed,
        patterns_as_planned=planned,
        frames_repeated=repeated,
        reference_checks=len(reference_check.drift),
        lowest_reference_correlation=round(reference_check.lowest, 4),
        sync_checks=len(scans),
        smallest_sync_margin=round(min(scans, default=1.0), 4),
        sync_margins=[
            _number(r" (?:margin|by) (-?[\d.]+) on ", event.text) for event in events if event.kind is EventKind.SYNC
        ],
        intervals_checked=intervals,
        interval_error_s=error_s,
        faults=faults_of(archive),
        withdrawn=sum(int(_number(r"^withdrew (\d+) ", event.text)) for event in events if event.kind is EventKind.QUARANTINE),
        drift=[(number, round(value, 4)) for number, value in reference_check.drift],
    )


def write_certificate(folder: Path, certificate: Certificate) -> Path:
    """Write ``certificate.yaml`` into a dataset's folder and return its path."""
    content = asdict(certificate) | {"complete": certificate.complete, "verified": certificate.verified}
    content["drift"] = [list(point) for point in certificate.drift]
    path = folder / CERTIFICATE
    write_synced(path, yaml.safe_dump(content, sort_keys=False, default_flow_style=None))
    return path


def _intervals(archive: Archive) -> tuple[int, float]:
    rows = archive.rows()
    device = np.array([row.extra.get("device_ns", 0) for row in rows], np.float64)
    if not device.size or not device.all():
        return 0, 0.0
    host = np.array([row.t_ns for row in rows], np.float64)
    differences = np.abs(np.diff(device) - np.diff(host)) * 1e-9
    return len(differences), float(differences.max(initial=0.0))


def _number(pattern: str, text: str) -> float:
    """Return the number that an event's words hold where ``pattern`` has its group."""
    found = re.search(pattern, text)
    return float(found[1]) if found else 0.0
