"""What the operator states about pairs of another program, before they are imported."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from acquisition.exchange.conversion.units import PhaseUnit
from acquisition.exchange.import_source import ImportOptions
from app.gui.widgets.number_box import NumberBox
from app.gui.widgets.style import set_style

_LONGEST_NAME = 64
_UNITS: Final = (
    (None, "as the source says"),
    (PhaseUnit.RAD, "radians"),
    (PhaseUnit.DEG, "degrees"),
    (PhaseUnit.PERCENT, "per cent of the phase range"),
    (PhaseUnit.LEVELS, "grey levels of the phase range"),
)
#: Numbers that may be stated: field, label, unit, most, decimals, help. 0 states nothing.
_NUMBERS: Final = (
    ("phase_range_rad", "Phase range", "rad", 100.0, 4, "The phase that white stands for, where the source does not say it"),
    ("bit_depth", "Bits of the camera", "bits", 16.0, 0, "12 for a camera of 12 bits whose counts are stored in 16"),
    ("pixel_um", "Pixel size", "\N{MICRO SIGN}m", 1000.0, 4, "Side of a camera pixel at the fibre's facet"),
    ("period_s", "Time between frames", "s", 1e6, 6, "Time from frame to frame, for sources without times"),
    ("phase_white", "Level of white", "", 1e9, 3, "The level that is white in phases of grey levels, such as 255"),
    (
        "speckle_white",
        "White of the speckle",
        "",
        1e9,
        3,
        "The value that becomes the highest count, where speckle is no counts",
    ),
)
_TEXTS: Final = (
    ("speckle", "Speckle", "Array, file or folder with the frames of the camera, where it has another name"),
    ("phase", "Phase", "Array, file or folder with the phase, where it has another name"),
    (
        "axes",
        "Axes",
        "Axes of the arrays in their order, such as HWN, or NCHW with channels; only where nothing in the file tells them",
    ),
    ("reference_name", "Name of references", "The name that the source gives to pairs of the flat pattern"),
    ("phase_fill", "Value for missing pixels", "Number, in the unit of the phase, for pixels that are not finite (NaN)"),
    ("references", "Folder of references", "For an exported recording: its folder of references, if it is not beside it"),
)
_FLAGS: Final = (
    ("to_grey", "Take coloured pictures as grey", "By the mean of their channels; transparent parts are black"),
    ("allow_duplicates", "Accept equal frames", "A camera gives no frame twice, so equal frames are refused by default"),
    ("no_references", "Leave references out", "Import an exported recording without what it was reconstructed against"),
)


class ImportForm(QWidget):
    """Source, name, and what is stated about the pairs. It emits a signal for every change."""

    #: An entry has changed: an older check does not count any more.
    changed = pyqtSignal()
    #: A file or folder was chosen.
    chosen = pyqtSignal()
    #: Why a number that was typed is not taken.
    refused = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.source = QLineEdit()
        self.choose_file = QPushButton("File…")
        self.choose_folder = QPushButton("Folder…")
        self.name = QLineEdit()
        self.unit = QComboBox()
        self.numbers = {key: _box(label, unit, most, decimals) for key, label, unit, most, decimals, _ in _NUMBERS}
        self.texts = {key: QLineEdit() for key, _, _ in _TEXTS}
        self.flags = {key: QCheckBox(label) for key, label, _ in _FLAGS}
        self.more = QToolButton()
        self._expert = QWidget()
        self._named: dict[str, QWidget] = {"Name": self.name, "Unit of the phase": self.unit}
        self._named |= {label: self.numbers[key] for key, label, *_ in _NUMBERS}
        self._named |= {label: self.texts[key] for key, label, _ in _TEXTS}
        self._build()
        self._connect()
        self._show_more()

    @property
    def path(self) -> Path | None:
        """File or folder of the pairs; None while none was chosen."""
        text = self.source.text().strip()
        return Path(text).expanduser() if text else None

    @property
    def dataset_name(self) -> str:
        """Name of the new dataset."""
        return self.name.text().strip()

    def options(self) -> ImportOptions:
        """Return what is stated about the pairs.

        Raises
        ------
        ValueError
            The value for missing pixels is no number.
        """
        numbers = {key: box.value() or None for key, box in self.numbers.items()}
        bits = numbers.pop("bit_depth")
        texts = {key: field.text().strip() for key, field in self.texts.items()}
        fill, references = texts.pop("phase_fill"), texts.pop("references")
        return ImportOptions(
            phase_unit=self.unit.currentData(),
            phase_fill=float(fill) if fill else None,
            bit_depth=round(bits) if bits else None,
            references=Path(references).expanduser() if references else None,
            **numbers,  # type: ignore[arg-type]  # the keys are those of the numbers
            **texts,  # type: ignore[arg-type]
            **{key: box.isChecked() for key, box in self.flags.items()},  # type: ignore[arg-type]
        )

    def mark(self, problems: Iterable[str]) -> None:
        """Mark the entries that problems name, and no others; show them where they are among the seldom ones."""
        text = " ".join(problems)
        for label, field in self._named.items():
            named = f"'{label}'" in text
            set_style(field, "tone", "wrong" if named else "")
            if named and self._expert.isAncestorOf(field):
                self.more.setChecked(True)

    def use_source(self, path: Path) -> None:
        """Take a file or a folder, and its name for the dataset."""
        self.source.setText(str(path))
        stem = path.absolute().name.split(".")[0]
        self.name.setText((stem if any(character.isalnum() for character in stem) else "imported")[:_LONGEST_NAME])
        self.chosen.emit()

    def _choose_file(self) -> None:
        kinds = "Files of pairs (*.npz *.h5 *.hdf5 *.mat *.tif *.tiff);;All files (*)"
        name, _ = QFileDialog.getOpenFileName(self, "Import pairs from a file", self.source.text(), kinds)
        if name:
            self.use_source(Path(name))

    def _choose_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Import pairs from a folder, or from OME-Zarr", self.source.text())
        if name:
            self.use_source(Path(name))

    def _show_more(self) -> None:
        self._expert.setVisible(self.more.isChecked())
        self.more.setArrowType(Qt.ArrowType.DownArrow if self.more.isChecked() else Qt.ArrowType.RightArrow)

    def _build(self) -> None:
        self.source.setPlaceholderText("a file of arrays, or a folder with input/ and label/")
        self.name.setMaxLength(_LONGEST_NAME)
        for field in (self.source, self.name, self.unit, *self.texts.values()):
            field.setObjectName("compact")
        for unit, text in _UNITS:
            self.unit.addItem(text, unit)
        self.more.setText("More options")
        self.more.setCheckable(True)
        self.more.setObjectName("flat")
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more.setToolTip("Show what has to be stated about files of other programs only now and then")
        plain, expert = QFormLayout(), QFormLayout(self._expert)
        buttons = QHBoxLayout()
        buttons.addWidget(self.choose_file)
        buttons.addWidget(self.choose_folder)
        buttons.addStretch(1)
        _add(plain, "From", self.source, "File or folder of the pairs: folders of pictures, .npz, HDF5, MATLAB, TIFF, OME-Zarr")
        plain.addRow("", buttons)
        _add(plain, "Name", self.name, "Name of the new dataset")
        _add(plain, "Unit of the phase", self.unit, "Needed for whole numbers, and for values beyond the phase range")
        for place, (key, label, _, _, _, tip) in enumerate(_NUMBERS):
            _add(plain if place < 1 else expert, label, self.numbers[key], tip)
        for key, label, tip in _TEXTS:
            _add(expert, label, self.texts[key], tip)
        for key, _, tip in _FLAGS:
            _add(expert, "", self.flags[key], tip)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 8, 2)
        layout.addLayout(plain)
        layout.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._expert)
        layout.addStretch(1)
        for button, tip in ((self.choose_file, "Choose a file of arrays"), (self.choose_folder, "Choose a folder of pictures")):
            button.setToolTip(tip)
            button.setObjectName("small")

    def _connect(self) -> None:
        self.choose_file.clicked.connect(self._choose_file)
        self.choose_folder.clicked.connect(self._choose_folder)
        self.more.toggled.connect(self._show_more)
        self.source.textChanged.connect(self.changed)
        self.unit.currentIndexChanged.connect(self.changed)
        for box in self.numbers.values():
            box.valueChanged.connect(self.changed)
            box.refused.connect(self.refused)
        for field in self.texts.values():
            field.textChanged.connect(self.changed)
        for flag in self.flags.values():
            flag.toggled.connect(self.changed)


def _box(label: str, unit: str, most: float, decimals: int) -> NumberBox:
    box = NumberBox()
    box.setObjectName("stepper")
    box.setDecimals(decimals)
    box.setRange(0, most)
    box.setSuffix(f" {unit}" if unit else "")
    box.setSpecialValueText("as the source says")
    box.setKeyboardTracking(False)
    box.describe(label, unit)
    return box


def _add(form: QFormLayout, caption: str, field: QWidget, tip: str) -> None:
    label = QLabel(caption)
    label.setObjectName("muted")
    label.setBuddy(field)
    field.setToolTip(tip)
    field.setAccessibleName(caption or getattr(field, "text", str)())
    form.addRow(label, field)
