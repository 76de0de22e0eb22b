"""The pages on the rail below the live page, from top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.gui.pages.page_stack import PageEntry

if TYPE_CHECKING:
    from app.gui.pages.page import Page


def _data() -> type[Page]:
    from app.gui.data_page.page import DataPage

    return DataPage


PAGES: tuple[PageEntry, ...] = (
    PageEntry(
        title="Data",
        icon_name="data",
        tip="Recordings, datasets and snapshots: find, play, export, keep in order",
        load=_data,
    ),
)
