"""The engines of a compiled model as a table: time, difference from torch, and which one is used."""

from __future__ import annotations

from PyQt6.QtWidgets import QLabel, QTableWidgetItem, QVBoxLayout, QWidget

from app.gui.widgets.formatting import UNKNOWN
from app.gui.widgets.icons import Ink, icon
from app.gui.widgets.rows_table import rows_table, set_low_rows
from app.training.compiled_engines import Compilation, EngineResult, EngineState, in_text

_SIGNS = {
    EngineState.READY: ("good", Ink.GOOD),
    EngineState.BUILT: ("info", Ink.ACCENT),
    EngineState.REFUSED: ("error", Ink.ALARM),
}
_MEANING = (
    "An engine computes the same network in another way. It is used only if it gives the same phase as torch, within the "
    "limits that are checked here; the live view takes the fastest one."
)


class EnginesView(QWidget):
    """Shows the last compilation of a model on this computer."""

    def __init__(self) -> None:
        super().__init__()
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.table = rows_table(("Engine", "State", "ms per frame", "Difference from torch", "Remarks"), "Compiled engines")
        set_low_rows(self.table)
        meaning = QLabel(_MEANING)
        meaning.setObjectName("muted")
        meaning.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.summary)
        layout.addWidget(self.table, 1)
        layout.addWidget(meaning)

    def show_compilation(self, compilation: Compilation | None) -> None:
        """Show a compilation, or that there is none."""
        self.summary.setText(in_text(compilation))
        rows = compilation.rows if compilation is not None else ()
        self.table.setRowCount(len(rows))
        for row, result in enumerate(rows):
            for column, text in enumerate(_cells(result, is_fastest=result is (compilation.fastest if compilation else None))):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                if column == 1:
                    item.setIcon(icon(*_SIGNS[result.state]))
                self.table.setItem(row, column, item)


def _cells(result: EngineResult, *, is_fastest: bool) -> tuple[str, ...]:
    ms = f"{result.ms:.1f}" if result.ms is not None else UNKNOWN
    difference = f"{result.max_abs_diff_rad:.1e} rad at most" if result.max_abs_diff_rad is not None else UNKNOWN
    remark = "the live view uses it" if is_fastest else result.note
    return (result.engine, str(result.state), ms, difference, " ".join(remark.split()))
