"""The pages on the rail below the live page, from top to bottom."""

from __future__ import annotations

from app.gui.pages.page_stack import PageEntry

PAGES: tuple[PageEntry, ...] = ()
