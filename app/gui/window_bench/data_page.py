"""How soon the Data page of a large archive is seen after the click on the rail, and how soon a search is seen."""

from __future__ import annotations

import os
import time
from pathlib import Path

from PyQt6.QtCore import QEvent, QObject, QTimer

from app.benchmarks.live.library_search import make_archive
from app.gui.data_page.page import DataPage
from app.gui.main_window.page_list import DATA
from app.gui.window_bench.amounts import Amounts, Numbers
from app.gui.window_bench.bench_window import BenchOptions, BenchWindow
from drivers.base import SpeckleScopeError

_SHOWN_S = 60.0
_ALL_S = 300.0
_SIDE_PX = 64
#: What is typed into the search, letter by letter.
_QUERY = "liver left"


def data_page(folder: Path, amounts: Amounts) -> Numbers:
    """Open the page in an archive that was never looked at, and again in another window, and search there.

    Returns
    -------
    dict
        ``data_page_first_s`` from the click to the first rows on the screen, where nothing is known of the archive;
        ``data_page_all_s`` until all are listed; ``data_page_s`` from the click to all rows, at a later start of the program;
        ``data_page_search_ms`` from a letter of a search to its rows on the screen, the longest; ``data_page_entries``.
    """
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    root = folder / "archive"
    make_archive(root, amounts.entries)
    with BenchWindow(root, BenchOptions(side_px=_SIDE_PX)) as bench:
        first = _Opened(bench)
        first_s = first.rows_shown(1)
        all_s = first.rows_shown(amounts.entries)
    with BenchWindow(root, BenchOptions(side_px=_SIDE_PX)) as bench:
        second = _Opened(bench)
        again_s = second.rows_shown(amounts.entries)
        search_ms = max(second.search_ms(_QUERY[: length + 1]) for length in range(len(_QUERY)))
    return {
        "data_page_s": again_s,
        "data_page_first_s": first_s,
        "data_page_all_s": all_s,
        "data_page_search_ms": search_ms,
        "data_page_entries": amounts.entries,
    }


class _Opened(QObject):
    """The page that a click on the rail has opened; notes when its list is painted."""

    def __init__(self, bench: BenchWindow) -> None:
        super().__init__()
        self._bench = bench
        self._painted_s = 0.0
        self._rows = -1
        bench.window.pages.made.connect(self._watch)
        bench.run(0.5)  # a window that has just opened is still busy with itself
        self._clicked_s = time.perf_counter()
        bench.window.rail.actions()[DATA].trigger()

    def rows_shown(self, count: int) -> float:
        """Wait until so many rows are listed and painted; return the seconds since the click."""
        limit_s = _SHOWN_S if count == 1 else _ALL_S
        if not self._bench.run_until(lambda: self._rows >= count, limit_s):
            raise SpeckleScopeError(f"the Data page did not list {count} entries within {limit_s:g} s; it lists {self._rows}")
        return self._painted_s - self._clicked_s

    def search_ms(self, query: str) -> float:
        """Search, and return the milliseconds until the rows are painted."""
        self._rows = -1
        start_s = time.perf_counter()
        self._page.bar.search.setText(query)
        if not self._bench.run_until(lambda: self._rows >= 0, _SHOWN_S):
            raise SpeckleScopeError(f"the search for {query!r} was not painted within {_SHOWN_S:g} s")
        return 1e3 * (self._painted_s - start_s)

    def _watch(self, page: object) -> None:
        assert isinstance(page, DataPage)
        self._page = page
        page.table.viewport_.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """After a painting, take the time."""
        if event is not None and event.type() is QEvent.Type.Paint:
            QTimer.singleShot(0, self._note)
        return super().eventFilter(watched, event)

    def _note(self) -> None:
        self._painted_s = time.perf_counter()
        self._rows = len(self._page.model.entries)
