"""The form of a new training: what is trained, on what, and for how long, with what it means and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.gui.widgets.formatting import count, duration
from app.gui.widgets.icons import IconLabel, Ink, icon
from app.gui.widgets.labels import ElidedLabel, caption_label, scrolled
from app.gui.widgets.number_box import NumberBox
from app.gui.widgets.style import set_style
from app.instrument.config import InstrumentConfig
from app.library.entry import Entry, EntryEnd
from app.training.model_list import ListedModel, reference_of
from app.training.order_check import TrainedFibre, TrainingData, order_problem
from app.training.process import KIND_DESCRIPTIONS, TrainingOrder
from app.training.time_left import estimated_s
from drivers.visible_text import visible
from reconstruction.models.model import ModelCard

_LONGEST_MINUTES = 60 * 24 * 14
_MOST_PAIRS = 1_000_000
_NO_INSTRUMENT = "Open an instrument first: a model belongs to its fibre"
_SOURCE = "mixed"


@dataclass(frozen=True, kw_only=True)
class TrainedInstrument:
    """The instrument that models are trained for.

    Parameters
    ----------
    config : InstrumentConfig
        What its file says, with the model in use.
    fibre : str
        Name of its fibre.
    sources : tuple of str
        Pattern sources for simulated pairs.
    """

    config: InstrumentConfig
    fibre: str
    sources: tuple[str, ...]


class TrainingForm(QFrame):
    """Says what is wrong beside the button, which is then disabled."""

    #: A TrainingOrder.
    train_requested = pyqtSignal(object)
    #: Why a typed number was refused.
    refused = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self._instrument: TrainedInstrument | None = None
        self._models: tuple[ListedModel, ...] = ()
        self._datasets: dict[Path, Entry] = {}
        self._root = Path("models").absolute()
        self._archive_problem = ""
        self._taken: frozenset[Path] = frozenset()
        self._stem = f"model-{date.today():%Y-%m-%d}"
        self._suggested = ""
        self._start_chosen = False
        self._data_chosen = False
        self.name = QLineEdit()
        self.folder = QPushButton(icon("folder"), "")
        self.place = ElidedLabel("muted")
        self.data = QComboBox()
        self.data_text = _text_label("muted")
        self.source = QComboBox()
        self.pairs = NumberBox()
        self.start = QComboBox()
        self.kind = QComboBox()
        self.kind_text = _text_label("muted")
        self.minutes = NumberBox()
        self.estimate = _text_label("muted")
        self.sign = IconLabel()
        self.problem = _text_label("")
        self.train_button = QPushButton("Train")
        self._problem_line = QWidget()
        self._simulated = QWidget()
        self._set_up()
        self._build()
        self._connect()
        self.refresh()

    # -- what is shown --------------------------------------------------------------------------------------------

    def use_instrument(self, instrument: TrainedInstrument | None) -> None:
        """Train for another instrument, or for none."""
        self._instrument = instrument
        if instrument is not None:
            self._root = models_folder(instrument.config)
            _fill(self.source, [(name, name) for name in instrument.sources], _SOURCE)
        self._datasets = {}
        self._data_chosen = False
        self._fill_data()
        self._fill_starts()
        if self.name.text() == self._suggested:
            self._suggest_name()
        self.refresh()

    def show_datasets(self, datasets: Sequence[Entry], problem: str) -> None:
        """Offer the datasets of the archive; ``problem`` says why it cannot be read."""
        self._archive_problem = problem
        self._datasets = {entry.path: entry for entry in datasets}
        self._fill_data()
        self.refresh()

    def show_models(self, models: Sequence[ListedModel]) -> None:
        """Offer the models of this fibre to start from."""
        self._models = tuple(models)
        self._fill_starts()
        self.refresh()

    def show_taken(self, folders: Iterable[Path]) -> None:
        """Refuse the folders of the trainings that are in the queue already."""
        taken = frozenset(folders)
        if taken != self._taken:
            self._taken = taken
            if self.name.text() == self._suggested:
                self._suggest_name()
            self.refresh()

    def order(self) -> TrainingOrder:
        """Return what the form asks for."""
        dataset, start = self.data.currentData(), self._start_model()
        config = self._instrument.config if self._instrument is not None else None
        return TrainingOrder(
            folder=self._root / self.name.text().strip(),
            kind=start.card.kind if start is not None and start.card is not None else self.kind.currentData(),
            minutes=self.minutes.value(),
            start=start.reference if start is not None else "",
            dataset=dataset,
            source=self.source.currentText(),
            pairs=int(self.pairs.value()),
            config=config.read_from if config is not None else None,
            response=config.response if config is not None else None,
        )

    def refresh(self) -> None:
        """Show what the choices mean, and what is wrong with them."""
        order = self.order()
        problem = self._problem(order)
        start = self._start_card()
        self._simulated.setVisible(order.dataset is None)
        self.data_text.setText(self._about_data(order))
        self.kind.setEnabled(start is None)
        if start is not None:
            self.kind.setCurrentIndex(self.kind.findData(start.kind))
        self.kind_text.setText(_about_kind(self.kind.currentData(), start))
        self.place.show_text(f"in {self._root}")
        whole_s = estimated_s(order)
        around = duration(whole_s - 60 * order.minutes)
        self.estimate.setText(
            f"About {duration(whole_s)} in all: {duration(60 * order.minutes)} of training, and {around} around it, to load, "
            "simulate, score and compile"
        )
        self.estimate.setVisible(not problem)
        self.problem.setText(problem)
        self._problem_line.setVisible(bool(problem))
        self.train_button.setEnabled(not problem)
        self.train_button.setToolTip(problem or "Add it to the end of the queue, and run the queue")

    # -- parts ----------------------------------------------------------------------------------------------------

    def _problem(self, order: TrainingOrder) -> str:
        if self._instrument is None:
            return _NO_INSTRUMENT
        name = self.name.text().strip()
        if not name or name in (".", "..") or "/" in name or "\\" in name or not name.isprintable():
            return "Give the model a name, without / and \\"
        if order.folder in self._taken:
            return f"{name} is in the queue already; choose another name"
        fibre = TrainedFibre(name=self._instrument.fibre, simulated=self._instrument.config.on_twin)
        return order_problem(order, fibre, self._data_facts(order), self._start_card())

    def _data_facts(self, order: TrainingOrder) -> TrainingData:
        entry = self._datasets.get(order.dataset) if order.dataset is not None else None
        if entry is None:
            return TrainingData()
        return TrainingData(fibre=entry.fibre, pairs=entry.pairs, problem=entry.problem)

    def _about_data(self, order: TrainingOrder) -> str:
        if order.dataset is None:
            return self._archive_problem or "Pairs are computed on the twin of the fibre. No light is needed"
        entry = self._datasets[order.dataset]
        when = f", acquired {entry.date:%Y-%m-%d %H:%M}" if entry.date is not None else ""
        fibre = f" of fibre '{visible(entry.fibre)}'" if entry.fibre else ""
        return f"{count(entry.pairs)} pairs{fibre}{when}. A tenth each is kept for validation and for the scores"

    def _start_model(self) -> ListedModel | None:
        folder = self.start.currentData()
        return next((model for model in self._models if model.folder == folder), None)

    def _start_card(self) -> ModelCard | None:
        start = self._start_model()
        return start.card if start is not None else None

    def _fill_data(self) -> None:
        choices: list[tuple[str, object]] = []
        if self._instrument is None or self._instrument.config.on_twin:
            choices.append(("Simulated pairs", None))
        for path, entry in self._datasets.items():
            choices.append((f"{entry.shown_name} ({count(entry.pairs)} pairs)", path))
        _fill(self.data, choices, self.data.currentData() if self._is_data_kept() else self._newest_dataset())
        self.data.setEnabled(bool(choices))

    def _is_data_kept(self) -> bool:
        """Whether what was chosen by hand can still be chosen."""
        dataset = self.data.currentData()
        return self._data_chosen and (dataset is None or dataset in self._datasets)

    def _newest_dataset(self) -> Path | None:
        """Return the dataset of this fibre that was completed last: what was just acquired is what a model is wanted for."""
        fibre = self._instrument.fibre if self._instrument is not None else ""
        fitting = [
            entry
            for entry in self._datasets.values()
            if entry.end is EntryEnd.COMPLETE and entry.date is not None and not entry.problem and entry.fibre == fibre
        ]
        return max(fitting, key=_date).path if fitting else None

    def _fill_starts(self) -> None:
        fibre = self._instrument.fibre if self._instrument is not None else ""
        present = reference_of(self._instrument.config.model) if self._instrument is not None else ""
        choices: list[tuple[str, object]] = [("Random weights: a new model", None)]
        usual: object = None
        for model in self._models:
            if model.card is None or model.misfit(fibre):
                continue
            used = model.reference == present
            choices.append((f"{visible(model.name)}{', the model in use' if used else ''}", model.folder))
            if used:
                usual = model.folder
        _fill(self.start, choices, self.start.currentData() if self._start_chosen else usual)

    def _suggest_name(self) -> None:
        """Suggest a name that is not used yet."""
        names = (self._stem, *(f"{self._stem}-{number}" for number in range(2, 1000)))
        free = (name for name in names if not (self._root / name).exists() and self._root / name not in self._taken)
        self._suggested = next(free, self._stem)
        self.name.setText(self._suggested)

    def _note_start(self) -> None:
        self._start_chosen = True

    def _note_data(self) -> None:
        self._data_chosen = True

    def _choose_root(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Choose the folder for models", str(self._root))
        if chosen:
            self._root = Path(chosen)
            self.refresh()

    def _ask(self) -> None:
        order = self.order()
        if not self._problem(order):
            self.train_requested.emit(order)

    def accepted(self) -> None:
        """Suggest the next name: this order is in the queue."""
        name = self.name.text().strip()
        if name != self._suggested:
            self._stem = name
        self._taken = self._taken | {self._root / name}
        self._suggest_name()

    # -- construction ---------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        self.name.setMaxLength(64)
        self.folder.setToolTip("Choose the folder for models")
        self.folder.setAccessibleName("Folder for models")
        for name in KIND_DESCRIPTIONS:
            self.kind.addItem(name, name)
        self.pairs.describe("The number of pairs", "pairs")
        self.pairs.setDecimals(0)
        self.pairs.setRange(8, _MOST_PAIRS)
        self.pairs.step_by_digit()
        self.pairs.setValue(6000)
        self.pairs.setSuffix(" pairs")
        self.minutes.describe("The time to train", "min")
        self.minutes.setDecimals(1)
        self.minutes.setRange(0.1, _LONGEST_MINUTES)
        self.minutes.step_by_digit()
        self.minutes.setValue(30)
        self.minutes.setSuffix(" min")
        self.sign.show_icon("warning", Ink.WARNING)
        set_style(self.problem, "tone", "warning")
        set_style(self.train_button, "tone", "primary")
        self.name.setObjectName("compact")
        self.folder.setObjectName("small")
        for number in (self.pairs, self.minutes):
            number.setObjectName("stepper")
            number.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # its longest number is rare
        for box in (self.data, self.start, self.kind, self.source):
            box.setObjectName("compact")
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(8)

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 10, 2, 12)
        layout.setSpacing(6)
        heading = QLabel("New training")
        heading.setObjectName("heading")
        heading.setContentsMargins(12, 0, 12, 0)
        layout.addWidget(heading)
        layout.addWidget(scrolled(self._fields()), 1)
        below = QVBoxLayout()  # always seen, however small the screen is
        below.setContentsMargins(12, 0, 12, 0)
        below.setSpacing(6)
        below.addWidget(self.estimate)
        line = QHBoxLayout(self._problem_line)  # an empty layout would take half of the room
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.problem, 1)
        below.addWidget(self._problem_line)
        below.addWidget(self.train_button)
        layout.addLayout(below)

    def _fields(self) -> QWidget:
        fields = QWidget()
        layout = QVBoxLayout(fields)
        layout.setContentsMargins(12, 0, 12, 0)
        layout.setSpacing(3)
        tip = "Its name becomes the name of the model, and of its folder"
        _add(layout, "Name of the model", self.name, tip, self.folder)
        layout.addWidget(self.place)
        _add(layout, "Trained on", self.data, "A dataset of the archive, or pairs that are simulated on the twin")
        layout.addWidget(self.data_text)
        layout.addWidget(self._simulated_fields())
        tip = f"How long the model learns: {self.minutes.range_text}. Loading, simulation and scores come on top"
        _add(layout, "Time to train", self.minutes, tip)
        _add(layout, "Start from", self.start, "A trained model learns on, and needs fewer pairs and less time than a new one")
        _add(layout, "Kind of model", self.kind, "How the phase is computed; a model that learns on keeps its kind")
        layout.addWidget(self.kind_text)
        layout.addStretch(1)
        return fields

    def _simulated_fields(self) -> QWidget:
        line = QHBoxLayout(self._simulated)
        line.setContentsMargins(0, 0, 0, 0)
        for caption, field, tip in (
            ("Patterns", self.source, "The pictures of the simulated pairs"),
            ("Simulated pairs", self.pairs, "More pairs make a better model, and take longer"),
        ):
            column = QVBoxLayout()
            column.setSpacing(3)
            _add(column, caption, field, tip)
            line.addLayout(column, 1)
        return self._simulated

    def _connect(self) -> None:
        self.name.textChanged.connect(self.refresh)
        for box in (self.data, self.start, self.kind, self.source):
            box.activated.connect(self.refresh)
        for number in (self.pairs, self.minutes):
            number.valueChanged.connect(self.refresh)
            number.refused.connect(self.refused)
        self.start.activated.connect(self._note_start)
        self.data.activated.connect(self._note_data)
        self.folder.clicked.connect(self._choose_root)
        self.train_button.clicked.connect(self._ask)


def models_folder(config: InstrumentConfig) -> Path:
    """Return the folder for the models of an instrument: beside its archive."""
    return config.archive.expanduser().absolute().parent / "models"


def _date(entry: Entry) -> datetime:
    assert entry.date is not None
    return entry.date


def _about_kind(kind: str, start: ModelCard | None) -> str:
    text = KIND_DESCRIPTIONS.get(kind, "")
    text = f"{text[:1].upper()}{text[1:]}"
    return f"{text}. The model that it starts from has this kind" if start is not None else text


def _fill(box: QComboBox, choices: Sequence[tuple[str, object]], chosen: object) -> None:
    """Replace the choices of a box; ``chosen`` stays chosen if it is among them."""
    box.clear()
    for text, value in choices:
        box.addItem(text, value)
    places = [place for place, (_, value) in enumerate(choices) if value == chosen]
    box.setCurrentIndex(places[0] if places else 0)


def _add(layout: QVBoxLayout, caption: str, field: QWidget, tip: str, beside: QWidget | None = None) -> None:
    """Put a field below its caption, with a button beside it."""
    label = caption_label(caption)
    label.setBuddy(field)
    field.setToolTip(tip)
    field.setAccessibleName(caption)
    layout.addSpacing(4)
    layout.addWidget(label)
    if beside is None:
        layout.addWidget(field)
        return
    line = QHBoxLayout()
    line.setSpacing(6)
    line.addWidget(field, 1)
    line.addWidget(beside)
    layout.addLayout(line)


def _text_label(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label
