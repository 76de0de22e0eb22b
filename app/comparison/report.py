"""The table as files: Markdown to paste, CSV to compute with, a figure, and the spread of SSIM over images."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from acquisition.archive.atomic_files import write_whole
from app.comparison.comparison import MethodComparison
from app.comparison.figure import comparison_figure
from drivers.base import SpeckleScopeError

#: Column, heading, and format of numbers.
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
    ("usaf_um", "USAF bars, um", ".2f"),
    ("usaf_weak_um", "USAF at 1 rad, um", ".2f"),
    ("evaluations", "evaluations", "d"),
    ("ms_per_frame", "ms a frame", ".1f"),
    ("engine", "engine", ""),
    ("parameters", "parameters", "d"),
    ("images", "images", "d"),
)
_REMEDY = "choose another folder for --out"
_SVG_STYLE = (
    "text { font: 12px system-ui, sans-serif; fill: #44505c; } .grid { stroke: #e3e8ee; } circle { fill: #14746f; } "
    ".box { fill: #14746f; fill-opacity: 0.15; stroke: #14746f; } .middle { stroke: #14746f; stroke-width: 2; }"
)


def write_report(comparison: MethodComparison, folder: Path) -> list[str]:
    """Write ``comparison.md``, ``comparison.csv``, ``comparison.png`` and ``ssim.svg`` into a folder and return their paths.

    Raises
    ------
    SpeckleScopeError
        A file cannot be written.
    """
    rows = rows_of(comparison.numbers)
    write_whole(folder / "comparison.md", markdown(comparison.numbers), _REMEDY)
    write_whole(folder / "comparison.csv", as_csv(rows), _REMEDY)
    write_whole(folder / "ssim.svg", ssim_plot(rows), _REMEDY)
    picture = folder / "comparison.png"
    try:
        picture.write_bytes(cv2.imencode(".png", comparison_figure(comparison))[1].tobytes())
    except OSError as error:
        raise SpeckleScopeError(f"cannot write {picture}: {error.strerror or error}; {_REMEDY}") from error
    return [str(folder / name) for name in ("comparison.md", "comparison.csv", "comparison.png", "ssim.svg")]


def rows_of(numbers: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the table's rows."""
    rows = numbers["rows"]
    assert isinstance(rows, list)
    return rows


def cell(value: object, form: str) -> str:
    """Return a value as the table shows it: a dash for what there is not."""
    if value is None:
        return "-"
    return format(value, form) if isinstance(value, int | float) else str(value)


def markdown(numbers: Mapping[str, object]) -> str:
    """Return the table with what has to be known to read it."""
    lines = [
        "# Every method on the same held-out data",
        "",
        f"{numbers['data']}, fibre '{numbers['fibre']}'. Scores are means over whole images inside the fibre's disc; SSIM and "
        f"PSNR have the range {numbers['phase_range_rad']:.3g} rad. Times are medians of single frames on {numbers['threads']} "
        "threads, all methods in turn. Slow methods saw fewer images; the first "
        f"{numbers['images_common']} are common to all.",
        "",
        "|" + "|".join(f" {heading} " for _, heading, _ in COLUMNS) + "|",
        "|" + "---|" * len(COLUMNS),
    ]
    rows = rows_of(numbers)
    lines += ["|" + "|".join(f" {_safe(cell(row[key], form))} " for key, _, form in COLUMNS) + "|" for row in rows]
    lines += ["", "## Notes", ""]
    lines += [f"- {_safe(str(row['method']))}: {_safe(str(row['note']))}" for row in rows if row["note"]]
    skipped = numbers["skipped"]
    if isinstance(skipped, list):
        lines += [f"- not in the table: {_safe(each)}" for each in skipped]
    curve = numbers["reliability"]
    if isinstance(curve, Mapping):
        lines += ["", f"## Intervals of {_safe(str(numbers['interval_method']))}", "", "| nominal | observed |", "|---|---|"]
        lines += [f"| {a:.2f} | {b:.3f} |" for a, b in zip(curve["nominal"], curve["observed"], strict=True)]
    return "\n".join([*lines, ""])


def as_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Return the rows with all their single numbers, headed by their keys."""
    keys = [key for key, value in rows[0].items() if not isinstance(value, list)]
    text = io.StringIO()
    writer = csv.DictWriter(text, keys, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def ssim_plot(rows: Sequence[Mapping[str, object]]) -> str:
    """Return an SVG file: for each method a box from quartile to quartile, its median, and every image as a dot."""
    left, right, top, pitch = 250, 20, 30, 34
    width, height = 820, top + pitch * len(rows) + 44
    samples = [np.asarray(row["ssim_per_image"], float) for row in rows]
    low = min(0.0, np.floor(10 * min(float(each.min()) for each in samples)) / 10)

    def across(value: float) -> float:
        return round(left + (value - low) / (1 - low) * (width - left - right), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f'<style>{_SVG_STYLE}</style><rect width="{width}" height="{height}" fill="white"/>',
    ]
    for value in np.arange(round(10 * low), 11, 2) / 10:
        x = across(float(value))
        parts.append(f'<line x1="{x}" x2="{x}" y1="{top - 8}" y2="{height - 40}" class="grid"/>')
        parts.append(f'<text x="{x}" y="{height - 24}" text-anchor="middle">{value:.1f}</text>')
    for number, (row, each) in enumerate(zip(rows, samples, strict=True)):
        middle = top + pitch * number + pitch / 2 - 6
        first, median, third = (across(float(value)) for value in np.percentile(each, (25, 50, 75)))
        name = html.escape(str(row["method"]))
        parts.append(f'<text x="{left - 10}" y="{middle + 4}" text-anchor="end">{name}</text>')
        parts.append(f'<rect x="{first}" y="{middle - 9}" width="{max(1.0, third - first):.1f}" height="18" class="box"/>')
        parts.append(f'<line x1="{median}" x2="{median}" y1="{middle - 9}" y2="{middle + 9}" class="middle"/>')
        # Dots are shifted a little, always alike, so that equal scores stay apart.
        shifts = 5 * np.sin(2.4 * np.arange(len(each)))
        parts += [
            f'<circle cx="{across(float(value))}" cy="{middle + shift:.1f}" r="2" fill-opacity="0.6"/>'
            for value, shift in zip(each, shifts, strict=True)
        ]
    title = "SSIM of single images: every dot one, the box half of them, the line their median"
    parts.append(f'<text x="{left}" y="{height - 6}">{title}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _safe(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
