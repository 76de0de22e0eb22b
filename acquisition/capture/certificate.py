"""The pairing certificate of a dataset: what was checked of every pair, how often, and with which margin.

It is computed from the archive alone, so anybody can compute it again at any time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml

from acquisition.archive.kinds import EventKind
from acquisition.archive.reader import Archive
from acquisition.archive.rows import StorageError, StoredRow
from acquisition.archive.validation import check_types
from acquisition.capture.dataset_archive import faults_of, plan_of
from acquisition.capture.plan import CapturePlan
from acquisition.capture.sync_check import ReferenceCheck, speckle_of
from drivers.base import Pattern
from drivers.safe_text import dump_yaml, read_yaml

CERTIFICATE = "certificate.yaml"
#: Largest accepted difference between the clocks of the host and the camera over one interval, in seconds.
INTERVAL_TOLERANCE_S = 0.005
#: Patterns that are drawn again to compare them with the plan. Drawing all of them would take longer than the run did.
_DRAWN_AGAIN = 200


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What was found about a dataset from its bytes on disk.

    Parameters
    ----------
    pairs, requested : int
        Acknowledged pairs, references included, and the number that the plan asks for.
    images_checked, pairs_damaged : int
        Images whose check sums were compared, and pairs with a wrong one.
    shots_in_order : bool
        Whether row n is shot n of the plan.
    patterns_hashed : bool
        Whether the content hash of every stored phase is the one of the pattern that was on the SLM.
    patterns_as_planned : bool
        Whether the plan draws the same patterns again; checked for about 200 of them.
    frames_repeated : int
        Frames that equal the frame before them byte for byte.
    reference_checks : int
        Number of reference shots.
    lowest_reference_correlation : float
        Smallest correlation of a reference shot with the first one.
    sync_checks : int
        Sync checks between pairs that passed.
    smallest_sync_margin : float
        The smallest margin of these.
    sync_margins : list of float
        Margin of the sync check at the beginning of every run.
    intervals_checked, interval_error_s
        Intervals between frames compared between the clocks of camera and host, and the largest difference in seconds; 0 where
        the camera has no clock.
    faults : dict of str to int
        Faults that were met and retaken, by kind.
    withdrawn : int
        Pairs that were withdrawn and captured again.
    drift : list of (int, float)
        Shot number, and correlation with the first reference, of every reference shot.
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
        """Whether all pairs that the plan asks for are there."""
        return self.pairs == self.requested

    @property
    def verified(self) -> bool:
        """Whether sync checks confirm the pairing, and no check of any pair failed."""
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
        The archive is not a dataset, its plan was edited, or anything but its images is damaged.
    """
    archive.check_intact()
    plan = plan_of(archive)
    for name in ("speckle", "phase"):
        archive.spec(name)  # refuses an archive without it
    rows = archive.rows()
    images = _check_images(archive, plan, progress)
    intervals, error_s = _intervals(archive)
    scans = _numbers(archive, EventKind.SYNC_CHECK, r" (?:margin|by) (-?[\d.]+) up to ")
    return Certificate(
        pairs=len(rows),
        requested=len(plan),
        images_checked=len(rows) * len(archive.arrays),
        pairs_damaged=images.damaged,
        shots_in_order=[row.extra.get("shot") for row in rows] == list(range(len(rows))),
        patterns_hashed=images.patterns_hashed,
        patterns_as_planned=_patterns_as_planned(archive, plan),
        frames_repeated=sum(a.crc32["speckle"] == b.crc32["speckle"] for a, b in pairwise(rows)),
        reference_checks=len(images.references.drift),
        lowest_reference_correlation=round(images.references.lowest, 4),
        sync_checks=len(scans),
        smallest_sync_margin=round(min(scans, default=1.0), 4),
        sync_margins=_numbers(archive, EventKind.PREAMBLE, r" (?:margin|by) (-?[\d.]+) on "),
        intervals_checked=intervals,
        interval_error_s=error_s,
        faults=faults_of(archive),
        withdrawn=sum(int(count) for count in _numbers(archive, EventKind.QUARANTINE, r"^withdrew (\d+) ")),
        drift=[(number, round(value, 4)) for number, value in images.references.drift],
    )


def certificate_text(certificate: Certificate) -> str:
    """Return the content of ``certificate.yaml``."""
    content = asdict(certificate) | {"complete": certificate.complete, "verified": certificate.verified}
    content["drift"] = [list(point) for point in certificate.drift]
    return dump_yaml(content, flow=None)


def read_certificate(folder: Path) -> Certificate | None:
    """Read the certificate of a dataset; None where there is none.

    Raises
    ------
    StorageError
        It cannot be read, or another version of the program wrote it.
    """
    file = folder / CERTIFICATE
    try:
        content = dict(read_yaml(file))
        content.pop("complete", None)
        content.pop("verified", None)
        content["drift"] = [(int(number), float(value)) for number, value in content.get("drift", ())]
        certificate = Certificate(**content)
        check_types(vars(certificate), Certificate)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise StorageError(f"{file} cannot be read ({' '.join(str(error).split())}); verify the dataset again") from error
    return certificate


@dataclass
class _ImageChecks:
    """What reading every image showed."""

    references: ReferenceCheck
    damaged: int = 0
    patterns_hashed: bool = True


def _check_images(archive: Archive, plan: CapturePlan, progress: Callable[[int], None]) -> _ImageChecks:
    checks = _ImageChecks(ReferenceCheck(plan.min_reference_correlation))
    for row in archive.rows():
        progress(row.index + 1)
        try:
            pixels, phase = archive.read("speckle", row.index), archive.read("phase", row.index)
        except StorageError:
            checks.damaged += 1
            continue
        checks.patterns_hashed = checks.patterns_hashed and Pattern(phase).id == row.pattern_id
        if plan.is_reference(row.index):
            checks.references.holds(row.index, speckle_of(pixels))
    return checks


def _patterns_as_planned(archive: Archive, plan: CapturePlan) -> bool:
    rows = archive.rows()
    height, width = archive.spec("phase").shape
    make = plan.maker((height, width))
    chosen = rows[:: max(1, len(rows) // _DRAWN_AGAIN)]
    return all(make(row.index).pattern.id == row.pattern_id for row in chosen)


def _intervals(archive: Archive) -> tuple[int, float]:
    """Return how many intervals camera and host both measured, and their largest difference in seconds."""
    rows = archive.rows()
    device = np.array([_clock(archive, row) for row in rows], np.float64)
    if not device.size or not device.all():
        return 0, 0.0
    host = np.array([row.t_ns for row in rows], np.float64)
    differences = np.abs(np.diff(device) - np.diff(host)) * 1e-9
    return len(differences), float(differences.max(initial=0.0))


def _clock(archive: Archive, row: StoredRow) -> float:
    """Return the camera's own time of a row in nanoseconds; 0 where the camera has no clock."""
    device_ns = row.extra.get("device_ns", 0)
    if isinstance(device_ns, str):
        raise StorageError(f"row {row.index} of {archive.path}: device_ns is {device_ns!r}, no number; restore it from a copy")
    return float(device_ns)


def _numbers(archive: Archive, kind: EventKind, pattern: str) -> list[float]:
    """Return from every event of a kind the number in the group of ``pattern``; 0 where its text has no such number."""
    matches = [re.search(pattern, event.text) for event in archive.events() if event.kind is kind]
    return [float(match[1]) if match else 0.0 for match in matches]
