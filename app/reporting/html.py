"""The frame of our reports: one HTML file that any browser opens without us, pictures inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from typing import Any

import cv2
from numpy.typing import NDArray

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d242c; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } table { border-collapse: collapse; }
td { padding: .2rem 1.2rem .2rem 0; vertical-align: top; } td + td { font-variant-numeric: tabular-nums; }
.good { color: #1a7f37; font-weight: 600; } .bad { color: #b42318; font-weight: 600; } img { max-width: 100%; }
.row { display: flex; gap: 1rem; flex-wrap: wrap; } figure { margin: 0; flex: 1 1 10rem; max-width: 22rem; }
figure img { width: 100%; image-rendering: pixelated; } figcaption { font-size: .9rem; color: #44505c; }
svg { display: block; max-width: 100%; margin: .8rem 0; font: 12px system-ui, sans-serif; fill: #44505c; }
svg polyline { fill: none; stroke-width: 1.6; } svg .grid { stroke: #e3e8ee; }
svg .limit { stroke: #b42318; stroke-dasharray: 5 4; }
"""


def page(title: str, body: str) -> str:
    """Return a whole page; ``body`` is HTML, ``title`` is plain."""
    title = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>\n'
        f"<h1>{title}</h1>\n{body}\n</html>\n"
    )


def table(facts: Mapping[str, object]) -> str:
    """Return plain keys and values as a table."""
    lines = (f"<tr><td>{html.escape(str(key))}</td><td>{html.escape(str(value))}</td></tr>" for key, value in facts.items())
    return f"<table>{''.join(lines)}</table>"


def picture(image: NDArray[Any], words: str) -> str:
    """Return an image, (H, W) or (H, W, 3) of bytes in OpenCV's order, as an ``img`` that holds its own bytes."""
    png = base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()
    return f'<img alt="{html.escape(words)}" src="data:image/png;base64,{png}">'


def figures(named: Mapping[str, NDArray[Any]]) -> str:
    """Return images side by side, each over its words."""
    parts = [
        f"<figure>{picture(image, words)}<figcaption>{html.escape(words)}</figcaption></figure>"
        for words, image in named.items()
    ]
    return f'<div class="row">{"".join(parts)}</div>'
