"""All models as a list; of the chosen one its card in words, the comparison with the model in use, and its engines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.gui.train_page.comparison_view import ComparisonView
from app.gui.train_page.engines_view import EnginesView
from app.gui.widgets.formatting import UNKNOWN
from app.gui.widgets.icons import IconLabel, Ink, icon
from app.gui.widgets.labels import scrolled
from app.gui.widgets.rows_table import rows_table, set_low_rows
from app.gui.widgets.style import set_style
from app.training.model_comparison import ModelComparison
from app.training.model_list import ListedModel, ModelOrigin, card_lines
from app.training.verdict import Judgement, Verdict, judge_cards
from drivers.visible_text import visible
from reconstruction.models.model import DEFAULT_MODEL

_SIGNS = {
    Verdict.BETTER: ("good", Ink.GOOD, "good"),
    Verdict.ABOUT_EQUAL: ("info", Ink.ACCENT, "normal"),
    Verdict.WORSE: ("warning", Ink.WARNING, "warning"),
    Verdict.LEARNED_NOTHING: ("error", Ink.ALARM, "alarm"),
    Verdict.UNKNOWN: ("info", Ink.MUTED, "muted"),
}
_REMARKS = 2


class ModelsPanel(QWidget):
    """Shows what it is given, and emits a signal for every request, with the model."""

    #: A ListedModel, and the Judgement about it.
    use_requested = pyqtSignal(object, object)
    compare_requested = pyqtSignal(object)
    compile_requested = pyqtSignal(object)
    shipped_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._models: tuple[ListedModel, ...] = ()
        self._present = ""
        self._fibre = ""
        self._comparisons: dict[tuple[str, str], ModelComparison] = {}
        self._obstacles = ("", "")
        self.list = rows_table(("Model", "SSIM", "Remarks"), "Models")
        set_low_rows(self.list)
        self.name = QLabel()
        self.name.setObjectName("heading")
        self.sign = IconLabel()
        self.verdict = QLabel()
        self.verdict.setWordWrap(True)
        self.verdict.setTextFormat(Qt.TextFormat.PlainText)
        self.verdict.setAccessibleName("Verdict")
        self.use = QPushButton("Use this model")
        self.compare = QPushButton("Compare with the model in use")
        self.compile = QPushButton("Compile for this computer")
        self.shipped = QPushButton(f"Back to {DEFAULT_MODEL}")
        self.sheets = QTabWidget()
        self.comparison = ComparisonView()
        self.engines = EnginesView()
        self._card = QWidget()
        self._lines = QFormLayout(self._card)
        self._build()
        self._show_chosen()

    @property
    def selected(self) -> ListedModel | None:
        """The model that is selected."""
        row = self.list.currentRow()
        return self._models[row] if 0 <= row < len(self._models) else None

    @property
    def shown(self) -> tuple[ListedModel, ...]:
        """All models of the list."""
        return self._models

    @property
    def judgement(self) -> Judgement:
        """What is known of the selected model beside the one in use."""
        model = self.selected
        if model is None or model.card is None:
            return Judgement(Verdict.UNKNOWN, model.problem if model else "")
        comparison = self._comparison_of(model)
        if comparison is not None:
            return comparison.judgement
        present = self._present_model
        of_fibre = present is not None and present.card is not None and present.card.fibre == model.card.fibre
        return judge_cards(model.card.scores, present.card.scores if of_fibre and present and present.card else None)

    def show_models(self, models: Sequence[ListedModel], present: str, fibre: str) -> None:
        """Show the models of this computer.

        Parameters
        ----------
        models : sequence of ListedModel
            All models.
        present : str
            The one in use, as an instrument file names it; empty without an instrument.
        fibre : str
            Fibre of the instrument; empty if it is unknown.
        """
        selected = self.selected
        if (tuple(models), present, fibre) == (self._models, self._present, self._fibre):
            self._show_chosen()
            return
        self._models = tuple(models)
        self._present = present
        self._fibre = fibre
        with QSignalBlocker(self.list):
            self._fill()
        self.select(selected.folder if selected is not None else None)
        self._show_chosen()

    def select(self, folder: Path | None) -> None:
        """Select a model by its folder; the first one if it is not there."""
        rows = [row for row, model in enumerate(self._models) if model.folder == folder]
        if self._models:
            self.list.setCurrentCell(rows[0] if rows else 0, 0)

    def show_comparison(self, comparison: ModelComparison) -> None:
        """Keep a comparison, and show it if it is that of the selected model."""
        self._comparisons[comparison.new_id, comparison.order.present] = comparison
        self.sheets.setCurrentWidget(self.comparison)
        self._show_chosen()

    def show_obstacles(self, compare: str, compile_: str) -> None:
        """Say why nothing can be compared or compiled now; empty texts where it can."""
        if (compare, compile_) != self._obstacles:
            self._obstacles = (compare, compile_)
            self._show_buttons()

    # -- parts ----------------------------------------------------------------------------------------------------

    @property
    def _present_model(self) -> ListedModel | None:
        return next((model for model in self._models if self._is_in_use(model)), None)

    def _is_in_use(self, model: ListedModel | None) -> bool:
        """Whether the live view uses a model; one that does not fit the fibre is named by the instrument file only."""
        return model is not None and model.reference == self._present and not model.misfit(self._fibre)

    def _comparison_of(self, model: ListedModel) -> ModelComparison | None:
        return self._comparisons.get((model.id, self._present))

    def _fill(self) -> None:
        self.list.setRowCount(len(self._models))
        for row, model in enumerate(self._models):
            for column, text in enumerate(self._cells(model)):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                if column == _REMARKS and self._is_in_use(model):
                    item.setIcon(icon("good", Ink.GOOD))
                self.list.setItem(row, column, item)

    def _cells(self, model: ListedModel) -> tuple[str, ...]:
        card = model.card
        ssim = card.scores.get("ssim") if card is not None else None
        in_use = "in use" if self._is_in_use(model) else ""
        remark = in_use or model.misfit(self._fibre) or ("" if model.origin is ModelOrigin.SHIPPED else model.origin.value)
        text = f"{ssim:.2f}" if isinstance(ssim, int | float) else UNKNOWN
        return (visible(model.name), text, visible(remark))

    def _show_chosen(self) -> None:
        model = self.selected
        self.name.setText(visible(model.name) if model is not None else "")
        while self._lines.rowCount():
            self._lines.removeRow(0)
        for caption, text in card_lines(model) if model is not None else ():
            self._lines.addRow(_caption(caption), _text(visible(text)))
        comparison = self._comparison_of(model) if model is not None and model.card is not None else None
        if comparison is not self.comparison.comparison:
            self.comparison.show_comparison(comparison)
        self.engines.show_compilation(model.compilation if model is not None else None)
        self._show_verdict()
        self._show_buttons()

    def _show_verdict(self) -> None:
        model = self.selected
        if self._is_in_use(model):
            sign, ink, tone, text = "good", Ink.GOOD, "good", "The live view uses this model"
        elif model is not None and (misfit := model.misfit(self._fibre)):
            sign, ink, tone, text = "error", Ink.ALARM, "alarm", visible(misfit)
        else:
            judgement = self.judgement
            sign, ink, tone = _SIGNS[judgement.verdict]
            word = judgement.verdict.value
            text = f"{word[:1].upper()}{word[1:]}. {judgement.reason}"
        self.sign.show_icon(sign, ink)
        self.verdict.setText(text)
        set_style(self.verdict, "tone", tone)

    def _show_buttons(self) -> None:
        model = self.selected
        misfit = model.misfit(self._fibre) if model is not None else "No model is selected"
        if not self._present:
            misfit = misfit or "Open an instrument first"
        in_use = "It is in use already" if self._is_in_use(model) else ""
        compare, compile_ = self._obstacles
        default = next((one for one in self._models if one.reference == DEFAULT_MODEL), None)
        no_default = default.misfit(self._fibre) if default is not None else f"{DEFAULT_MODEL} is missing"
        if self._is_in_use(default):
            no_default = "It is in use already"
        for button, tip, why_not in (
            (self.use, "Let the live view use this model, also after the next start", misfit or in_use),
            (self.compare, "Reconstruct held-out pictures with both models", misfit or in_use or compare),
            (self.compile, "Build every engine of this computer, compare it with torch, and time it", misfit or compile_),
            (self.shipped, "Let the live view use the model that came with the program", no_default),
        ):
            button.setEnabled(not why_not)
            button.setToolTip(why_not or tip)
        set_style(self.use, "tone", "primary" if self.use.isEnabled() and not self.judgement.verdict.warns else "")
        self.note.setText(compare if not misfit and compare else compile_ if not misfit else "")
        self.note.setVisible(bool(self.note.text()))

    def _use(self) -> None:
        if self.selected is not None:
            self.use_requested.emit(self.selected, self.judgement)

    def _compare(self) -> None:
        if self.selected is not None:
            self.compare_requested.emit(self.selected)

    def _compile(self) -> None:
        if self.selected is not None:
            self.compile_requested.emit(self.selected)

    # -- construction ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.note = QLabel()
        self.note.setWordWrap(True)
        set_style(self.note, "tone", "warning")
        self._lines.setContentsMargins(0, 6, 6, 0)
        self._lines.setVerticalSpacing(8)
        self._lines.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        self.sheets.addTab(scrolled(self._card), "Card")
        self.sheets.addTab(self.comparison, "Pictures")
        self.sheets.addTab(self.engines, "Engines")
        right = QVBoxLayout()
        right.setContentsMargins(14, 10, 14, 10)
        right.setSpacing(6)
        right.addWidget(self.name)
        line = QHBoxLayout()
        line.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.verdict, 1)
        right.addLayout(line)
        right.addLayout(self._buttons())
        right.addWidget(self.note)
        right.addWidget(self.sheets, 1)
        left = QVBoxLayout()
        left.setContentsMargins(12, 10, 12, 10)
        left.addWidget(self.list, 1)
        left.addWidget(self.shipped)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(10)
        for part, stretch in ((left, 3), (right, 7)):
            frame = QFrame()
            frame.setObjectName("card")
            frame.setLayout(part)
            layout.addWidget(frame, stretch)
        self.list.currentCellChanged.connect(self._show_chosen)
        self.use.clicked.connect(self._use)
        self.compare.clicked.connect(self._compare)
        self.compile.clicked.connect(self._compile)
        self.shipped.clicked.connect(self.shipped_requested)

    def _buttons(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(6)
        for button in (self.use, self.compare, self.compile):
            button.setObjectName("small")
            line.addWidget(button)
        self.shipped.setObjectName("small")
        line.addStretch(1)
        return line


def _caption(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("muted")
    label.setMinimumWidth(90)
    return label


def _text(text: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
