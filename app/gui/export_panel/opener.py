"""Opens the export panel from wherever an export is asked for; the panel is made when it is first opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from app.gui.image_view.pane import Pane
from app.gui.pages.page import PageContext

if TYPE_CHECKING:
    from app.gui.export_panel.panel import ExportPanel


class ExportOpener(QObject):
    """Opens the one export panel of the window.

    Parameters
    ----------
    context : PageContext
        The jobs of the window, and what it remembers.
    pane_on_display : callable
        Returns the pane that the operator looks at, which a film as displayed shall look like; None where there is none.
    window : QWidget
        The panel ends together with it.
    """

    #: A Message for the operator.
    reported = pyqtSignal(object)

    def __init__(self, context: PageContext, pane_on_display: Callable[[], Pane | None], window: QWidget) -> None:
        super().__init__(window)
        self.panel: ExportPanel | None = None
        self._context = context
        self._pane_on_display = pane_on_display
        self._window = window

    def open_for(self, paths: Sequence[Path]) -> None:
        """Ask how recordings or datasets are exported; returns at once."""
        # The libraries of all formats: the window starts faster without them.
        from app.gui.export_panel.displayed_film import look_of
        from app.gui.export_panel.panel import ExportPanel

        if self.panel is None:
            self.panel = ExportPanel(self._context, self._window)
            self.panel.reported.connect(self.reported)
        pane = self._pane_on_display()
        self.panel.open_for(paths, look_of(pane) if pane is not None else None)
