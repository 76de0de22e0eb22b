"""The comparison of all methods on a small twin: every row complete, every file readable, nothing hidden."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from acquisition.capture.dataset_archive import open_dataset
from acquisition.capture.plan import CapturePlan
from acquisition.capture.runner import acquire
from app.cli.commands.evaluate import EvaluationOptions, evaluate
from app.cli.output import write_json
from app.comparison import comparison as comparison_module
from app.comparison import methods, sampler_steps
from app.comparison.comparison import EvaluationBudget, MethodComparison, evaluate_all
from app.comparison.figure import GAP_PX, LEFT_PX, TILE_PX, TOP_PX
from app.comparison.perception_plot import perception_plot
from app.comparison.report import COLUMNS, rows_of, speed_lines, ssim_plot, write_report, write_steps_report
from app.comparison.sampler_steps import StepsBudget, score_steps
from app.instrument.config import InstrumentConfig, TwinConfig
from app.instrument.opening import open_rig
from app.training.train import INTERVAL_SCALE
from drivers.base import SpeckleScopeError
from drivers.clock import VirtualClock
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import PairPool
from reconstruction.diffusion.specdiffusion import SpecDiffusion, SpecDiffusionConfig
from reconstruction.evaluation.comparison import Entry, HeldOut, compare
from reconstruction.evaluation.ridge_baseline import RidgeBaseline
from reconstruction.few_pair.few_pair import FewPair, FewPairConfig
from reconstruction.models.model import ModelCard, save_model
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, OPTICS, small_mean_flow, small_model

CONFIG = InstrumentConfig(twin=TwinConfig(optics=OPTICS))
REQUIRED = {"method", "ssim", "psnr_db", "mae_rad", "correlation", "prstd", "iou", "ms_ssim", "nrmse", "evaluations"}
REQUIRED |= {"ms_per_frame", "engine", "ssim_centred", "images", "parameters", "model_id", "note"}
REQUIRED |= {"spectrum_error", "perceptual", "lpips", "crps", "coverage_90", "coverage_50", "usaf_um", "minutes", "seed"}
NOISY = "first plus noise of the missing spectrum"


def quiet(stage: str, done: int, total: int, note: str = "") -> None:
    """Report nothing."""


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> MethodComparison:
    folder = tmp_path_factory.mktemp("models")
    small_model(folder / "first")
    small_model(folder / "second", "fold")
    budget = EvaluationBudget(images=3, baseline_pairs=40, charts=1, budget_s=2.0, others=3)
    return evaluate_all(CONFIG, quiet, models=folder, budget=budget)


def test_every_method_has_a_whole_row(comparison: MethodComparison) -> None:
    rows = {str(row["method"]): row for row in rows_of(comparison.numbers)}
    assert set(rows) == {
        "ridge on raw intensity",
        "first",
        "second",
        NOISY,
        "8 reference pairs, fast",
        "8 reference pairs, most probable",
    }
    for row in rows.values():
        assert set(row) >= REQUIRED
        assert -1 <= float(row["ssim"]) <= 1  # type: ignore[arg-type]
        assert row["ms_per_frame"] > 0  # type: ignore[operator]
        assert 2 <= row["images"] <= 3  # type: ignore[operator]
        assert row["spectrum_error"] > 0  # type: ignore[operator]
        assert row["perceptual"] > 0  # type: ignore[operator]
        assert row["crps"] == pytest.approx(row["mae_rad"], rel=1e-3) or row["crps_of"] != "one image"
    assert rows["first"]["model_id"] != rows["second"]["model_id"]
    assert rows["first"]["parameters"] > 1000  # type: ignore[operator]
    assert rows["8 reference pairs, most probable"]["evaluations"] == 100


def test_noise_of_the_missing_spectrum_mends_the_spectrum_and_nothing_else(comparison: MethodComparison) -> None:
    rows = {str(row["method"]): row for row in rows_of(comparison.numbers)}
    smooth, noisy = rows["first"], rows[NOISY]
    assert float(str(noisy["spectrum_error"])) < float(str(smooth["spectrum_error"]))
    assert float(str(noisy["mae_rad"])) > float(str(smooth["mae_rad"]))
    assert (noisy["crps_of"], smooth["crps_of"]) == ("samples", "one image")
    assert noisy["widening"] is not None
    for key in ("coverage_90", "coverage_50", "coverage_90_widened", "coverage_50_centred_widened"):
        assert 0 <= float(str(noisy[key])) <= 1
        assert smooth[key] is None
    assert "without knowledge of the object" in str(noisy["note"])


def test_the_contrast_of_bars_is_given_by_group(comparison: MethodComparison) -> None:
    row = next(row for row in rows_of(comparison.numbers) if row["method"] == "8 reference pairs, fast")
    groups = row["usaf_contrast"]
    assert isinstance(groups, list)
    widths = [group["widest_bars_um"] for group in groups]
    assert widths == sorted(widths, reverse=True)
    assert all(-1 < group["contrast"] < 2 for group in groups)


def test_the_full_size_of_specdiffusion_is_timed_beside_the_models(comparison: MethodComparison) -> None:
    timed = comparison.numbers["speed_over_specdiffusion"]
    assert isinstance(timed, dict)
    assert set(timed["ratios"]) == {"first", "second"}
    assert timed["specdiffusion_parameters"] == pytest.approx(61.6e6, rel=0.01)
    assert min(timed["ratios"].values()) > 10


def test_a_model_of_another_fibre_is_skipped_with_the_reason(comparison: MethodComparison) -> None:
    skipped = " ".join(comparison.numbers["skipped"])  # type: ignore[arg-type]
    assert "default-twin" in skipped
    assert "--response" in skipped


def test_numbers_are_plain_json(comparison: MethodComparison, tmp_path: Path) -> None:
    write_json(tmp_path / "t.json", comparison.numbers)
    read = json.loads((tmp_path / "t.json").read_text())
    assert read["best_method"] == max(read["rows"], key=lambda row: row["ssim"])["method"]
    assert {"usaf_um", "interval90_coverage", "reliability"} <= set(read)
    assert read["images_common"] == min(row["images"] for row in read["rows"])
    for row in read["rows"]:
        assert len(row["ssim_per_image"]) == row["images"]
        assert row["ssim_quartiles"] == sorted(row["ssim_quartiles"])


def test_the_report_can_be_read_back(comparison: MethodComparison, tmp_path: Path) -> None:
    files = [Path(file) for file in write_report(comparison, tmp_path / "out")]
    assert [file.name for file in files] == ["comparison.md", "comparison.csv", "comparison.png", "ssim.svg", "perception.svg"]
    rows = rows_of(comparison.numbers)
    read = list(csv.DictReader(files[1].read_text().splitlines()))
    assert [row["method"] for row in read] == [row["method"] for row in rows]
    assert float(read[0]["ssim"]) == pytest.approx(rows[0]["ssim"])
    text = files[0].read_text()
    assert "- skipped: " in text
    assert text.count("speed-up over SpecDiffusion: ") == 2
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(rows)
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 1}
    groups = [str(element.get("id")) for element in ET.parse(files[3]).iter() if element.get("id")]
    assert len([name for name in groups if name.startswith("images-of-method-")]) == len(rows)
    for number, row in enumerate(rows, start=1):
        group = next(each for each in ET.parse(files[3]).iter() if each.get("id") == f"images-of-method-{number}")
        dots = [element for element in group.iter() if element.tag.endswith("}use")]
        assert len(dots) == len(row["ssim_per_image"])  # type: ignore[arg-type]
    assert {str(row["method"]) for row in rows} <= {str(element.text) for element in ET.parse(files[3]).iter()}


def numbers_with_speed(*, reached: bool, reached_with_mean: bool) -> dict[str, object]:
    speed = {"ratio": 31.4, "descent_reaches_it": reached, "descent_reaches_it_with_mean": reached_with_mean}
    return {"speed_over_specdiffusion": {"ratios": {"m": 213.7}}, "speed_over_descent": {"methods": {"m": speed}}}


@pytest.mark.parametrize(
    ("reached", "reached_with_mean", "end"),
    [
        (True, True, ", mean removed: 31.4x"),
        (True, False, "31.4x. Gradient descent reaches the same SSIM only after the mean phase is removed."),
        (False, False, "at least 31.4x. Gradient descent does not reach the same SSIM."),
    ],
)
def test_speed_ups_are_sentences(*, reached: bool, reached_with_mean: bool, end: str) -> None:
    first, second = speed_lines(numbers_with_speed(reached=reached, reached_with_mean=reached_with_mean))
    assert first == "m: speed-up over SpecDiffusion: 214x"
    assert second.startswith("m: speed-up over gradient descent to the same SSIM, ")
    assert second.endswith(end)
    assert speed_lines({"speed_over_specdiffusion": None, "speed_over_descent": None}) == []


def test_the_figure_shows_every_method(comparison: MethodComparison, tmp_path: Path) -> None:
    write_report(comparison, tmp_path)
    figure = cv2.imread(str(tmp_path / "comparison.png"))
    assert figure is not None
    pitch = TILE_PX + GAP_PX
    assert figure.shape[1] == LEFT_PX + (1 + len(comparison.rows)) * pitch
    for column in range(1 + len(comparison.rows)):
        tile = figure[TOP_PX : TOP_PX + TILE_PX, LEFT_PX + column * pitch :][:, :TILE_PX]
        assert tile.std() > 10
        name = figure[:TOP_PX, LEFT_PX + column * pitch :][:, :TILE_PX]
        assert name.min() < 100, "no name above the column"


def test_texture_is_drawn_against_error_with_a_number_for_every_method(comparison: MethodComparison) -> None:
    rows = rows_of(comparison.numbers)
    drawn = ET.fromstring(perception_plot(rows))
    texts = [str(element.text) for element in drawn.iter()]
    for number, row in enumerate(rows, start=1):
        assert texts.count(str(number)) >= 2, "one in each panel"
        assert f"{number}: {row['method']}" in texts
    for key in ("perceptual", "spectrum_error"):
        group = next(each for each in drawn.iter() if each.get("id") == f"{key}-points")
        assert len([element for element in group.iter() if element.tag.endswith("}use")]) == len(rows)


def test_a_sampler_is_scored_by_steps_beside_the_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_mean_flow(tmp_path / "flow")
    small_model(tmp_path / "mean")
    monkeypatch.setattr(sampler_steps, "SHIPPED", tmp_path)
    monkeypatch.setattr(sampler_steps, "DEFAULT_MODEL", "mean")
    budget = StepsBudget(images=2, others=2, charts=1, budget_s=600.0)  # a slow computer draws the samples too
    numbers = score_steps(CONFIG, quiet, tmp_path / "flow", budget, quick=True)
    assert numbers["steps"] == [1, 2, 4]
    rows = rows_of(numbers)
    assert [row["steps"] for row in rows] == [1, 2, 4]
    for name in ("ssim", "psnr_db", "correlation", "ms_per_frame"):
        assert numbers[name] == [row[name] for row in rows]
    assert [row["evaluations"] for row in rows] == [2, 3, 5]
    assert {row["crps_of"] for row in rows} == {"samples"}
    assert all(-1 <= row["correlation_mean8"] <= 1 for row in rows)  # type: ignore[operator]
    assert set(rows[0]) >= REQUIRED
    beside = numbers["beside"]
    assert isinstance(beside, list)
    assert [row["method"] for row in beside] == ["mean", "mean plus noise of the missing spectrum"]
    write_json(tmp_path / "steps.json", numbers)
    (file,) = write_steps_report(numbers, tmp_path)
    texts = {str(element.text) for element in ET.parse(file).iter()}
    assert {"1", "2", "4", "a", "b", "a: mean", "1, 2, ...: steps of flow"} <= texts


def test_any_name_of_a_model_can_be_drawn() -> None:
    text = ssim_plot([{"method": "<b>5 $ and 6 $</b>", "ssim_per_image": [0.5, -0.31]}])
    assert "<b>" not in text
    assert "<b>5 $ and 6 $</b>" in {element.text for element in ET.fromstring(text).iter()}


def test_the_baseline_learns_a_linear_fibre_and_no_more(rng: np.random.Generator) -> None:
    mixing = rng.standard_normal((64, 16 * 16))
    truths = rng.uniform(0, 1, (140, 8, 8)).astype(np.float32)
    frames = (truths.reshape(140, 64) @ mixing).reshape(140, 16, 16) + 100
    ridge = RidgeBaseline(frames[:120], truths[:120])
    estimates = np.stack([ridge.run(frame, frames[0]) for frame in frames[120:]])
    assert np.abs(estimates - truths[120:]).mean() < 0.05
    unrelated = RidgeBaseline(rng.uniform(50, 150, (120, 16, 16)), truths[:120])
    guess = unrelated.run(rng.uniform(50, 150, (16, 16)), frames[0])
    assert np.abs(guess - truths.mean(0)).mean() < 0.1, "if the frames are unrelated to the phases, the mean is the best answer"
    with pytest.raises(ReconstructionError, match="at least 2"):
        RidgeBaseline(frames[:1], truths[:1])


class Slow:
    """A method with many evaluations; counts its calls, or refuses every frame."""

    engine, evaluations = "none", 100

    def __init__(self, name: str, *, refuses: bool = False) -> None:
        self.name = name
        self.calls = 0
        self._refuses = refuses

    def run(self, frame: np.ndarray, reference: np.ndarray) -> np.ndarray:
        self.calls += 1
        if self._refuses:
            raise ReconstructionError("the frame is dark")
        return np.zeros((GRID_PX // 2, GRID_PX // 2), np.float32)


def test_a_method_beyond_its_budget_sees_fewer_images_and_one_that_refuses_is_named(rng: np.random.Generator) -> None:
    truths = rng.uniform(0, 2, (5, GRID_PX, GRID_PX)).astype(np.float32)
    pool = PairPool(speckle=np.ones((5, 64, 64), np.uint8), phase_rad=truths, reference=np.ones((64, 64), np.float32), ready=5)
    slow, broken = Slow("slow"), Slow("broken", refuses=True)
    held_out = HeldOut(pool, np.ones((GRID_PX, GRID_PX), bool), 2.85)
    rows, refused = compare([Entry(slow), Entry(broken)], held_out, budget_s=0.0)
    assert refused == ["broken: the frame is dark"]
    assert (slow.calls, broken.calls, len(rows), len(rows[0].per_image)) == (2, 1, 1, 2)
    assert rows[0].phases_rad[0].shape == (GRID_PX, GRID_PX)


def test_a_model_without_sampler_steps_is_refused(tmp_path: Path) -> None:
    small_model(tmp_path / "m")
    with pytest.raises(ReconstructionError, match="no sampler steps"):
        score_steps(CONFIG, quiet, tmp_path / "m", StepsBudget(images=2), quick=True)


@pytest.mark.slow
def test_a_captured_dataset_is_scored_on_its_test_part_with_uncertainty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, fibre = open_rig(CONFIG, VirtualClock())
    plan = CapturePlan(source="cells", pairs=40, seed=4)
    with open_dataset(tmp_path, "d", plan, rig, {"fibre": fibre}) as writer:
        acquire(rig, plan, writer)
    torch.manual_seed(0)
    shape = SpecDiffusionConfig(
        frame_px=FRAME_PX, grid_px=GRID_PX, base_channels=4, multipliers=(1, 2), heads=1, schedule="uniform-9", samples=3
    )
    card = ModelCard(
        name="sampler",
        fibre=fibre,
        field_radius=0.9,
        phase_range_rad=2.85,
        network=shape.to_dict(),
        kind="specdiffusion",
        training={INTERVAL_SCALE: 100.0},
    )
    save_model(tmp_path / "sampler", SpecDiffusion(shape), card)
    monkeypatch.setattr(methods, "shipped_models", tuple)  # all of them are for another fibre
    monkeypatch.setattr(methods, "FewPair", partial(FewPair, config=FewPairConfig(steps=3)))
    monkeypatch.setattr(comparison_module, "speed_over_specdiffusion", lambda *_: None)
    budget = EvaluationBudget(images=4, baseline_pairs=30, charts=1, budget_s=6.0, sampler_steps=4)
    numbers = evaluate_all(CONFIG, quiet, writer.path, tmp_path / "sampler", budget).numbers
    assert writer.path.name in str(numbers["data"])
    assert {"8 reference pairs, fast", "8 reference pairs, most probable"} < {row["method"] for row in rows_of(numbers)}
    sampler = next(row for row in rows_of(numbers) if row["method"] == "sampler")
    assert sampler["evaluations"] == 4
    assert "4 steps instead of 9" in str(sampler["note"])
    assert numbers["interval_method"] == "sampler"
    assert float(str(numbers["interval90_coverage"])) > 0.95, (
        "an interval of a hundred standard deviations contains nearly every truth"
    )
    assert sampler["crps_of"] == "samples"
    assert sampler["sampled_images"] >= 2  # type: ignore[operator]
    assert 0 <= sampler["coverage_50_centred_widened"] <= sampler["coverage_90_centred_widened"] <= 1  # type: ignore[operator]


def test_options_of_the_comparison_are_refused_without_it(tmp_path: Path) -> None:
    with pytest.raises(SpeckleScopeError, match="--out needs --all or --steps"):
        evaluate(options=EvaluationOptions(out=tmp_path))
    with pytest.raises(SpeckleScopeError, match="--models needs --all"):
        evaluate(options=EvaluationOptions(models=tmp_path, steps=tmp_path))
    with pytest.raises(SpeckleScopeError, match="two different reports"):
        evaluate(options=EvaluationOptions(all_=True, steps=tmp_path))
