"""Exit codes say the same as the printed verdicts: 0 only when everything is good."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.archive.reader import Archive
from acquisition.archive.writer import ArchiveWriter
from acquisition.exchange.export import export
from app.instrument.config import to_yaml
from reconstruction.models.model import load_model, save_model
from tests.conftest import ROOT
from tests.helpers.command import refused, run_here
from tests.helpers.journals import execute
from tests.helpers.small_instrument import small_instrument

DATASET = ROOT / "tests" / "fixtures" / "version-0.1.0" / "dataset"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pairs of the dataset in the published layout."""
    (layout,) = export(Archive.open(DATASET), tmp_path_factory.mktemp("published"), ["specdiffusion"])
    return layout


@pytest.fixture
def bench(published: Path, tmp_path: Path) -> Path:
    """A folder with an instrument file, a verified dataset, and the same pairs in the published layout."""
    (tmp_path / "small.yaml").write_text(to_yaml(small_instrument(tmp_path)), "utf-8")
    shutil.copytree(DATASET, tmp_path / "dataset")
    shutil.copytree(published, tmp_path / "layout")
    return tmp_path


def untouched(bench: Path) -> None:
    """Everything is good."""


def damaged_image(bench: Path) -> None:
    shard = bench / "dataset" / "data.zarr" / "speckle" / "c.0.0.0"
    content = bytearray(shard.read_bytes())
    content[5000] ^= 0xFF
    shard.write_bytes(content)


def changed_time(bench: Path) -> None:
    execute(bench / "dataset", "UPDATE rows SET t_ns = 'soon' WHERE idx = 2")


def unfinished(bench: Path) -> None:
    """Only the first pair is left of the plan."""
    with ArchiveWriter.resume(bench / "dataset") as writer:
        writer.quarantine(1, "the operator asked for it")


def report_is_a_folder(bench: Path) -> None:
    report = bench / "dataset" / "report.html"
    report.unlink()
    (report / "notes").mkdir(parents=True)


def damaged_png(bench: Path) -> None:
    frame = min((bench / "layout" / "input").iterdir())
    frame.write_bytes(frame.read_bytes()[:60])


def same_frame_twice(bench: Path) -> None:
    first, second, *_ = sorted((bench / "layout" / "input").iterdir())
    shutil.copy(first, second)
    (bench / "layout" / "manifest.sha256").unlink()  # it would name the change first


def no_model(bench: Path) -> None:
    shutil.rmtree(bench / "small-model")


def model_that_overflows(bench: Path) -> None:
    model = load_model(bench / "small-model")
    for parameter in model.network.parameters():
        parameter.data.fill_(6e4)
    save_model(bench / "small-model", model.network, model.card)


def black_image(bench: Path) -> None:
    cv2.imwrite(str(bench / "target.png"), np.zeros((8, 8), np.uint8))


CONFIG = ("--config", "small.yaml")


@pytest.mark.parametrize(
    ("state", "arguments", "code", "message"),
    [
        (untouched, ("certify", "dataset"), 0, ""),
        (damaged_image, ("certify", "dataset"), 1, "verification of the pairs failed"),
        (unfinished, ("certify", "dataset"), 1, "only 1 of 8 pairs"),
        (untouched, ("certify", "layout"), 0, ""),
        (damaged_png, ("certify", "layout"), 1, "layout is damaged: "),
        (changed_time, ("certify", "dataset"), 1, "row 2 of the journal: t_ns is 'soon'"),
        (untouched, ("certify",), 2, ""),
        (untouched, ("export", "dataset", "--format", "npz"), 0, ""),
        (damaged_image, ("export", "dataset", "--format", "npz"), 1, "speckle"),
        (untouched, ("import", "layout", "--check"), 0, ""),
        (damaged_png, ("import", "layout", "--check"), 1, ".png"),
        (same_frame_twice, ("import", "layout", "--check"), 1, "same content"),
        (no_model, ("doctor", *CONFIG), 1, "not ready: "),
        (no_model, ("record", "r", *CONFIG), 1, "small-model"),
        (untouched, ("acquire", "cells", "--pairs", 10**10, "--dry-run", *CONFIG), 1, "GB are free"),
        (untouched, ("acquire", "--resume", "layout", *CONFIG), 1, "layout"),
        (untouched, ("acquire", "--resume", "dataset", *CONFIG), 0, ""),
        (damaged_image, ("acquire", "--resume", "dataset", *CONFIG), 0, ""),  # the damaged pairs are captured again
        (report_is_a_folder, ("acquire", "--resume", "dataset", *CONFIG), 1, "its report was not written"),
        (untouched, ("evaluate", "--pairs", 1, *CONFIG), 0, ""),
        (model_that_overflows, ("evaluate", "--pairs", 1, *CONFIG), 1, "not finite"),
        (untouched, ("evaluate", "--pairs", 0, *CONFIG), 2, "--pairs"),
        (untouched, ("compile", "small-model", "--engine", "tensorrt", *CONFIG), 1, "tensorrt"),
        (untouched, ("compile", "small-model", "--engine", "torch", *CONFIG), 0, ""),
        (black_image, ("hologram", "target.png", "h.npy", *CONFIG), 1, "black everywhere"),
        (untouched, ("train", "small-model", *CONFIG), 1, "not empty"),
    ],
)
def test_the_exit_code_is_that_of_the_verdict(
    bench: Path, state: Callable[[Path], None], arguments: tuple[object, ...], code: int, message: str
) -> None:
    state(bench)
    if code:
        assert message in refused(*arguments, cwd=bench, code=code)
    else:
        run_here(*arguments, cwd=bench)
