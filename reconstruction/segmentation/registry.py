"""Every segmenter by its name: ours, and those that other packages offer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from reconstruction.segmentation.base import SegmentationError, Segmenter
from reconstruction.segmentation.config import SegmentationConfig

#: The group of entry points through which a package offers segmenters. The name of an entry point is the segmenter's kind. What
#: it points to, such as a subclass of Segmenter, is called with a SegmentationConfig and gives a Segmenter.
GROUP: Final = "specklescope.segmenters"

#: ``kind: module:object`` of ours, in the same form; a module is imported at its first use.
_OURS: Final[Mapping[str, str]] = {
    "threshold": "threshold_watershed:ThresholdWatershed.of",
    "learned": "learned.segmenter:LearnedSegmenter.of",
    "sam": "foundation.sam:Sam.of",
    "sam2": "foundation.sam:Sam2.of",
    "cellpose": "foundation.cellpose:Cellpose.of",
}
_LOG = logging.getLogger(__name__)


def segmenter_kinds() -> tuple[str, ...]:
    """Return the names of all segmenters: ours first, then those of other packages by name. None of them is imported."""
    return tuple(_offers())


def open_segmenter(config: SegmentationConfig) -> Segmenter:
    """Open the segmenter of a configuration.

    Raises
    ------
    SegmentationError
        There is no such segmenter, its package cannot be imported, it refuses the settings, or it is no Segmenter.
    """
    offers = _offers()
    if config.kind not in offers:
        raise SegmentationError(
            f"no segmenter is named '{config.kind}'; choose from {', '.join(offers)}, or install its package"
        )
    offer = offers[config.kind]
    package = offer.dist.name if offer.dist is not None else "specklescope"
    try:
        build: Callable[[SegmentationConfig], object] = offer.load()
        segmenter = build(config)
    except SegmentationError:
        raise
    except Exception as error:  # noqa: BLE001 - another package may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SegmentationError(
            f"the segmenter '{config.kind}' of the package {package} does not open: {reason}; update or remove the package"
        ) from error
    if not isinstance(segmenter, Segmenter):
        raise SegmentationError(
            f"'{config.kind}' of the package {package} gave a {type(segmenter).__name__} and no Segmenter; update or remove it"
        )
    return segmenter


def reopen_segmenter(settings: Mapping[str, object]) -> Segmenter:
    """Open the segmenter that gave labels, from what a recording or a result keeps of it.

    Raises
    ------
    SegmentationError
        It cannot be opened, or it would not give the same labels: its weights or versions are others, or it has settings that
        a configuration cannot state.
    """
    kind, smallest = settings.get("segmenter"), settings.get("min_area_px", SegmentationConfig().min_area_px)
    threshold = settings.get("threshold_rad", settings.get("threshold"))
    if not isinstance(kind, str) or not isinstance(smallest, int) or not isinstance(threshold, float | None):
        raise SegmentationError(f"{dict(settings)} are not the settings of a segmenter")
    try:
        config = SegmentationConfig(kind=kind, threshold=threshold, min_area_px=smallest)
    except ValueError as error:
        raise SegmentationError(str(error)) from error
    segmenter = open_segmenter(config)
    if dict(segmenter.settings()) != dict(settings):
        segmenter.close()
        raise SegmentationError(f"the segmenter '{kind}' of this computer has other weights, versions or settings")
    return segmenter


def _offers() -> dict[str, EntryPoint]:
    """Return where every segmenter comes from; one of ours is never replaced."""
    offers = {kind: EntryPoint(kind, f"{__package__}.{value}", GROUP) for kind, value in _OURS.items()}
    for offer in sorted(entry_points(group=GROUP), key=lambda offer: (offer.name, offer.value)):
        if offer.name in offers and offers[offer.name].value != offer.value:
            _LOG.warning("the segmenter '%s' (%s) is ignored: there is another one of this name", offer.name, offer.value)
        offers.setdefault(offer.name, offer)
    return offers
