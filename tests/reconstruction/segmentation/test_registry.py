"""Segmenters are chosen by name, also those of other packages, and a wrong one is a clear error."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import specklescope
from reconstruction.segmentation.base import SegmentationError
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.registry import GROUP, open_segmenter, segmenter_kinds
from reconstruction.segmentation.threshold_watershed import ThresholdWatershed

#: A package of somebody else: one segmenter, one that gives something else, one whose import fails, one with our name.
MODULE = """
import numpy as np
import specklescope


class Halves(specklescope.Segmenter):
    kind = "halves"

    def __init__(self, config):
        self.config = config

    def _segment(self, phase_rad, mask, std_rad):
        labels = np.where(phase_rad > np.median(phase_rad[mask]), 5, 0)
        return labels, np.array([0.0, 0.0, 0.0, 0.0, 0.75])


def wrong(config):
    return "no segmenter"


class Other(Halves):
    kind = "threshold"
"""
ENTRY_POINTS = f"""
[{GROUP}]
halves = foreign_cells:Halves
wrong = foreign_cells:wrong
gone = foreign_cells_gone:Nothing
threshold = foreign_cells:Other
"""


@pytest.fixture
def foreign_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package: a module, and what pip writes beside it."""
    (tmp_path / "foreign_cells.py").write_text(MODULE, encoding="utf-8")
    facts = tmp_path / "foreign_cells-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-cells\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "foreign_cells", raising=False)


def test_the_default_is_threshold_and_watershed() -> None:
    assert isinstance(open_segmenter(SegmentationConfig()), ThresholdWatershed)
    assert segmenter_kinds()[0] == SegmentationConfig().kind


@pytest.mark.usefixtures("foreign_package")
def test_another_package_offers_a_segmenter() -> None:
    assert "halves" in segmenter_kinds()
    phase = np.tile(np.linspace(0, 1, 8, dtype=np.float32), (8, 1))
    with open_segmenter(SegmentationConfig(kind="halves", min_area_px=3)) as segmenter:
        result = segmenter.segment(phase, np.ones((8, 8), bool))
        assert isinstance(segmenter, specklescope.Segmenter)
        assert segmenter.settings() == {"segmenter": "halves"}
    assert isinstance(result, specklescope.Segmentation)
    assert result.count == 1
    assert (result.labels == (phase > 0.5)).all()
    assert result.scores == pytest.approx([0.75])


@pytest.mark.usefixtures("foreign_package")
def test_a_package_cannot_replace_one_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(open_segmenter(SegmentationConfig(kind="threshold")), ThresholdWatershed)
    assert "foreign_cells:Other" in caplog.text


@pytest.mark.usefixtures("foreign_package")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nobody", "choose from threshold, .*halves"),
        ("wrong", "of the package foreign-cells gave a str and no Segmenter"),
        ("gone", "of the package foreign-cells does not open: No module named 'foreign_cells_gone'"),
    ],
)
def test_one_that_cannot_be_used_is_named_with_its_package(kind: str, message: str) -> None:
    with pytest.raises(SegmentationError, match=message):
        open_segmenter(SegmentationConfig(kind=kind))
