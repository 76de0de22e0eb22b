"""The comparison as files: Markdown to read, CSV for further computation, a figure, and the SSIM of single images."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from acquisition.archive.atomic_files import write_bytes, write_whole
from app.comparison.comparison import MethodComparison
from app.comparison.figure import comparison_figure
from app.comparison.perception_plot import perception_plot
from app.reporting.plots import FAINT, TEAL, new_figure, svg

#: Key, heading, and format of the numbers.
COLUMNS = (
    ("method", "method", ""),
    ("ssim", "SSIM", ".3f"),
    ("psnr_db", "PSNR, dB", ".2f"),
    ("mae_rad", "MAE, rad", ".3f"),
    ("correlation", "correlation", ".3f"),
    ("prstd", "PRSTD, rad", ".3f"),
    ("iou", "IoU", ".3f"),
    ("ms_ssim", "MS-SSIM", ".3f"),
    ("nrmse", "NRMSE", ".3f"),
    ("ssim_centred", "SSIM, mean removed", ".3f"),
    ("ssim_common", "SSIM, common images", ".3f"),
    ("spectrum_error", "spectrum error", ".2f"),
    ("perceptual", "patch distance", ".3f"),
    ("lpips", "LPIPS", ".3f"),
    ("crps", "CRPS, rad", ".3f"),
    ("coverage_90", "90 % coverage", ".3f"),
    ("coverage_50", "50 % coverage", ".3f"),
    ("coverage_90_widened", "90 % coverage, widened", ".3f"),
    ("coverage_50_widened", "50 % coverage, widened", ".3f"),
    ("usaf_um", "USAF bars, µm", ".2f"),
    ("usaf_weak_um", "USAF bars at 1 rad, µm", ".2f"),
    ("evaluations", "evaluations", "d"),
    ("ms_per_frame", "ms per frame", ".1f"),
    ("engine", "engine", ""),
    ("parameters", "parameters", "d"),
    ("minutes", "minutes of training", ".0f"),
    ("images", "images", "d"),
)
_REMEDY = "choose another folder for --out"
#: File of the plot of perception against distortion.
PERCEPTION = "perception.svg"
#: Size of the plot of single images, in inches: width, height of a method, and height of axis and title.
_WIDTH_IN, _ROW_IN, _FRAME_IN = 10.0, 0.45, 1.3
_TITLE: Final[Mapping[str, Any]] = {"x": 0.01, "horizontalalignment": "left", "fontsize": 11, "color": FAINT}


def write_report(comparison: MethodComparison, folder: Path) -> list[str]:
    """Write the report into a folder and return the paths of its files.

    They are ``comparison.md``, ``comparison.csv``, ``comparison.png``, ``ssim.svg`` and ``perception.svg``.

    Raises
    ------
    SpeckleScopeError
        A file cannot be written.
    """
    rows = rows_of(comparison.numbers)
    write_whole(folder / "comparison.md", markdown(comparison.numbers), _REMEDY)
    write_whole(folder / "comparison.csv", as_csv(rows), _REMEDY)
    write_bytes(folder / "comparison.png", comparison_figure(comparison), _REMEDY)
    write_whole(folder / "ssim.svg", ssim_plot(rows), _REMEDY)
    write_whole(folder / PERCEPTION, perception_plot(rows), _REMEDY)
    return [str(folder / name) for name in ("comparison.md", "comparison.csv", "comparison.png", "ssim.svg", PERCEPTION)]


def write_steps_report(numbers: Mapping[str, object], folder: Path) -> list[str]:
    """Write ``perception.svg``, the plot by steps, into a folder and return its path.

    Raises
    ------
    SpeckleScopeError
        The file cannot be written.
    """
    beside = numbers["beside"]
    assert isinstance(beside, list)
    write_whole(folder / PERCEPTION, perception_plot(rows_of(numbers), beside), _REMEDY)
    return [str(folder / PERCEPTION)]


def rows_of(numbers: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the numbers of each method."""
    rows = numbers["rows"]
    assert isinstance(rows, list)
    return rows


def cell(value: object, form: str) -> str:
    """Return a value as text; a dash if there is none."""
    if value is None:
        return "-"
    return format(value, form) if isinstance(value, int | float) else str(value)


def markdown(numbers: Mapping[str, object]) -> str:
    """Return the comparison as Markdown, with what is needed to understand it."""
    rows = rows_of(numbers)
    lines = [
        "# Every method on the same held-out data",
        "",
        f"{numbers['data']}, fibre '{numbers['fibre']}'. Scores are means over whole images inside the fibre's disc. SSIM and "
        f"PSNR use the phase range {numbers['phase_range_rad']:.3g} rad. Times are medians of single frames on "
        f"{numbers['threads']} threads; all methods ran in turn. Slow methods saw fewer images. All methods saw the first "
        f"{numbers['images_common']}.",
        "",
        "|" + "|".join(f" {heading} " for _, heading, _ in COLUMNS) + "|",
        "|" + "---|" * len(COLUMNS),
    ]
    lines += ["|" + "|".join(f" {_safe(cell(row[key], form))} " for key, _, form in COLUMNS) + "|" for row in rows]
    lines += ["", *_meanings(numbers), "", "## Notes", ""]
    lines += [f"- {_safe(str(row['method']))}: {_safe(str(row['note']))}" for row in rows if row["note"]]
    skipped = numbers["skipped"]
    if isinstance(skipped, list):
        lines += [f"- skipped: {_safe(each)}" for each in skipped]
    if speed := speed_lines(numbers):
        lines += ["", "## Speed", "", *(f"- {_safe(line)}" for line in speed)]
    curve = numbers["reliability"]
    if isinstance(curve, Mapping):
        lines += ["", f"## Intervals of {_safe(str(numbers['interval_method']))}", "", "| nominal | observed |", "|---|---|"]
        lines += [f"| {a:.2f} | {b:.3f} |" for a, b in zip(curve["nominal"], curve["observed"], strict=True)]
    return "\n".join([*lines, ""])


def _meanings(numbers: Mapping[str, object]) -> list[str]:
    """Return what the scores of texture and of samples mean, a line for each."""
    missing = str(numbers["lpips_missing"])
    return [
        "- Spectrum error: rms difference of the natural logarithm of the radial power spectrum. 0.69 is a factor of 2.",
        "- Patch distance: sliced Wasserstein distance between patches of the Laplacian pyramid. 1 is a standard deviation.",
        "- CRPS: of 19 samples; else of the normal distribution with the method's standard deviation; else the absolute error.",
        "- Coverage: fraction of the true pixels between the 1st and the 19th of 19 sorted samples, and between the 5th and the"
        " 15th. Widened: after one factor on the samples' distance from their mean, fitted on other images.",
        *([f"- {missing}."] if missing else []),
    ]


def speed_lines(numbers: Mapping[str, object]) -> list[str]:
    """Return the speed-ups of the comparison as sentences."""
    lines = []
    over_specdiffusion, over_descent = numbers["speed_over_specdiffusion"], numbers["speed_over_descent"]
    if isinstance(over_specdiffusion, Mapping):
        lines += [f"{name}: speed-up over SpecDiffusion: {r:.0f}x" for name, r in over_specdiffusion["ratios"].items()]
    if isinstance(over_descent, Mapping):
        lines += [_over_descent(name, speed) for name, speed in over_descent["methods"].items()]
    return lines


def _over_descent(name: str, speed: Mapping[str, object]) -> str:
    reached, reached_with_mean = speed["descent_reaches_it"], speed["descent_reaches_it_with_mean"]
    at_least = "" if reached else "at least "
    line = f"{name}: speed-up over gradient descent to the same SSIM, mean removed: {at_least}{speed['ratio']:.1f}x"
    if not reached:
        return f"{line}. Gradient descent does not reach the same SSIM."
    if not reached_with_mean:
        return f"{line}. Gradient descent reaches the same SSIM only after the mean phase is removed."
    return line


def as_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Return the rows with all their single numbers; the first line has the keys."""
    keys = [key for key, value in rows[0].items() if not isinstance(value, list)]
    text = io.StringIO()
    writer = csv.DictWriter(text, keys, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def ssim_plot(rows: Sequence[Mapping[str, object]]) -> str:
    """Return an SVG file: for each method a box from quartile to quartile, its median, and every image as a dot."""
    names = [str(row["method"]) for row in rows]
    samples = [np.asarray(row["ssim_per_image"], float) for row in rows]
    low = min(0.0, np.floor(10 * min(float(each.min()) for each in samples)) / 10)
    with new_figure(_WIDTH_IN, _FRAME_IN + _ROW_IN * len(rows)) as figure:
        axes = figure.add_subplot()
        axes.boxplot(
            samples,
            orientation="horizontal",
            tick_labels=names,
            widths=0.6,
            showcaps=False,
            whiskerprops={"linestyle": "none"},
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": f"{TEAL}26", "edgecolor": TEAL},
            medianprops={"color": TEAL, "linewidth": 2.2},
        )
        for number, each in enumerate(samples, start=1):
            # Dots are shifted by fixed amounts, so that equal scores remain visible.
            shifts = 0.15 * np.sin(2.4 * np.arange(len(each)))
            (dots,) = axes.plot(each, number + shifts, "o", color=TEAL, alpha=0.6, markersize=3.5, markeredgewidth=0)
            dots.set_gid(f"images-of-method-{number}")
        axes.set_xlim(low, 1.0)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        figure.suptitle("Each dot is one image. The box contains half of the images, the thick line is their median.", **_TITLE)
        axes.set_xlabel("SSIM of single images")
        return svg(figure)


def _safe(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
